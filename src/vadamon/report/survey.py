"""What a recording covers: the first look at it, from which reports choose their scales."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.ranges import union
from vadamon.recording.encoding import Entry, summary
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
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

    def add(self, entry: Entry) -> None:
        """Take in what is known of a batch of this target."""
        self.start_ns = min(self.start_ns, entry.start_ns)
        self.end_ns = max(self.end_ns, entry.end_ns)
        self.nr_snapshots += entry.nr_snapshots
        start, end = np.array(entry.ranges, np.uint64).reshape(-1, 2).T
        self.start, self.end = union(np.concatenate([self.start, start]), np.concatenate([self.end, end]))


def survey(recording: Recording, span: Span | None = None) -> dict[int, Survey]:
    """Return what ``recording`` covers, by target id: all of it by its index, and a span of it in one pass.

    Raises VadamonError where it has no snapshot in ``span``.
    """
    surveys: dict[int, Survey] = {}
    entries = recording.summaries() if span is None else (summary(part) for _, part in parts(recording, span))
    for entry in entries:
        if entry.target_id not in surveys:
            target = recording.target(entry.target_id)
            surveys[entry.target_id] = Survey(target, entry.start_ns, entry.end_ns)
        surveys[entry.target_id].add(entry)
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
