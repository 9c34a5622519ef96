"""What a recording covers: the first look at it, from which reports choose their scales."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.folding import union
from vadamon.report.reading import Span, parts


def _none() -> NDArray[np.uint64]:
    return np.empty(0, np.uint64)


@dataclass(slots=True)
class Survey:
    """What a recording covers of one target.

    Times are nanoseconds of CLOCK_MONOTONIC. ``start`` and ``end`` (uint64[n]) are the union of all regions.
    """

    target: Target
    start_ns: int
    end_ns: int
    nr_snapshots: int = 0
    start: NDArray[np.uint64] = field(default_factory=_none)
    end: NDArray[np.uint64] = field(default_factory=_none)

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of this target."""
        self.start_ns = min(self.start_ns, int(batch.start_ns.min()))
        self.end_ns = max(self.end_ns, int(batch.end_ns.max()))
        self.nr_snapshots += len(batch)
        # Regions mostly touch each other: only the ends of runs matter.
        first = np.concatenate([[True], batch.start[1:] != batch.end[:-1]])[: len(batch.start)]
        last = np.concatenate([first[1:], [True]])[: len(batch.start)]
        self.start, self.end = union(
            np.concatenate([self.start, batch.start[first]]), np.concatenate([self.end, batch.end[last]])
        )


def survey(recording: Recording, span: Span | None = None) -> dict[int, Survey]:
    """Return what ``recording`` covers, by target id, in one pass and constant memory.

    Raises VadamonError where it has no snapshot in ``span``.
    """
    surveys: dict[int, Survey] = {}
    for target_id, part in parts(recording, span):
        if target_id not in surveys:
            surveys[target_id] = Survey(recording.target(target_id), int(part.start_ns[0]), int(part.end_ns[0]))
        surveys[target_id].add(part)
    if not surveys:
        raise no_snapshot(recording, span)
    return surveys


def no_snapshot(recording: Recording, span: Span | None = None) -> VadamonError:
    """Return the error for a recording that has nothing to report."""
    if span is not None:
        return VadamonError(f"{recording.path} has no snapshot in that time range: times count from its start")
    return VadamonError(f"{recording.path} has no snapshot: it ended before the first aggregation interval did")


@dataclass(slots=True)
class MappedRanges:
    """Where a target had memory mapped at any time: the union (uint64[n]), and what was last mapped at each place."""

    start: NDArray[np.uint64] = field(default_factory=_none)
    end: NDArray[np.uint64] = field(default_factory=_none)
    latest: Mappings = field(default_factory=Mappings)

    def add(self, mappings: Mappings) -> None:
        """Take in the mappings as they are later."""
        self.start, self.end = union(
            np.concatenate([self.start, mappings.start]), np.concatenate([self.end, mappings.end])
        )
        self.latest = _laid_over(self.latest, mappings)


def mapped_ranges(recording: Recording) -> dict[int, MappedRanges]:
    """Return where memory was mapped, by target id."""
    mapped: dict[int, MappedRanges] = {}
    for change in recording.mappings_history():
        mapped.setdefault(change.target_id, MappedRanges()).add(change.mappings)
    return mapped


def _laid_over(old: Mappings, new: Mappings) -> Mappings:
    """Return the new mappings, and the old ones that none of them overlaps."""
    first = np.searchsorted(new.end, old.start, side="right")
    beyond = np.concatenate([new.start, [np.iinfo(np.uint64).max]]).astype(np.uint64)
    kept = np.flatnonzero(beyond[first] >= old.end)
    if not len(kept):
        return new
    return Mappings(sorted((*(old[i] for i in kept.tolist()), *new), key=lambda mapping: mapping.start))
