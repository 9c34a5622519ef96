"""Mappings: how much of each was hot, warm, cold, and never touched."""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.folding import FoldedSpace
from vadamon.report.names import label
from vadamon.report.survey import Survey, survey

HOT, WARM, COLD, UNTOUCHED, UNKNOWN, UNMONITORED = range(6)
CLASSES = ("hot", "warm", "cold", "untouched", "unknown", "unmonitored")
HOT_SHARE = 0.5
_COLD_AFTER_NS = 120_000_000_000
_SETTLING_INTERVALS = 20
_MOST_SLICES = 16_384
_PAGE = 4096
_MOST_INSTANTS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class MappingsTable:
    """How the mappings of one target, as they were last seen, were used.

    All bytes of a mapping are in one of `CLASSES`; ``sizes`` (int64[n, 6]) has the bytes of each. They are judged by
    slices, each of the same size in one mapping, over the time from ``from_ns`` to ``end_ns`` (CLOCK_MONOTONIC):

    - *hot*: accessed within the last ``cold_after_ns``, and in at least half of all samples, on average;
    - *warm*: accessed within the last ``cold_after_ns``, in fewer samples;
    - *cold*: accessed, but not within the last ``cold_after_ns``;
    - *untouched*: no sample found it accessed;
    - *unknown*: no sample of it was valid;
    - *unmonitored*: in no region.

    ``last_access_ns`` (int64[n]) is the end of the last snapshot in which any of the mapping was accessed, and -1 where
    there is none.
    """

    target: Target
    attrs: Attrs
    from_ns: int
    end_ns: int
    cold_after_ns: int
    mappings: Mappings
    sizes: NDArray[np.int64]
    last_access_ns: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; ``idle_ns`` is the time since the last access, null where there was none."""
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "from_ns": self.from_ns,
            "end_ns": self.end_ns,
            "cold_after_ns": self.cold_after_ns,
            "hot_share": HOT_SHARE,
            "mappings": [
                {
                    **asdict(mapping),
                    "label": label(mapping),
                    **dict(zip(CLASSES, sizes, strict=True)),
                    "idle_ns": self.end_ns - last_ns if last_ns >= 0 else None,
                }
                for mapping, sizes, last_ns in zip(
                    self.mappings, self.sizes.tolist(), self.last_access_ns.tolist(), strict=True
                )
            ],
        }


def mappings_tables(recording: Recording) -> list[MappingsTable]:
    """Return how the mappings of each target were used, in two passes and constant memory.

    The first 20 aggregation intervals, in which the regions adapt to the target and are still coarse, are left out of
    recordings that are at least four times as long. ``cold_after_ns`` is 2 minutes, or a quarter of a recording that
    is shorter than 8. Raises VadamonError where ``recording`` has no snapshot.
    """
    usages = {
        target_id: _Usage(covered, recording.mappings.get(target_id, Mappings()), recording.attrs)
        for target_id, covered in survey(recording).items()
    }
    for batch in recording.batches():
        for target_id, part in batch.by_target():
            usages[target_id].add(part)
    return [usage.table() for usage in usages.values()]


class _Usage:
    """A table under way: time sums and last accesses of slices of the mappings.

    A region adds the same to all the slices it covers. So only the steps at its two ends are noted, split between the
    slice that a step falls in and the next by where in the slice it is; running sums give the slices' means at the end.
    """

    def __init__(self, covered: Survey, mappings: Mappings, attrs: Attrs) -> None:
        self.covered, self.mappings, self.attrs = covered, mappings, attrs
        settling_ns = _SETTLING_INTERVALS * attrs.aggr_us * 1000
        settles = covered.end_ns - covered.start_ns >= 4 * settling_ns
        self.from_ns = covered.start_ns + settling_ns * settles
        self.instant_ns = max(1, (covered.end_ns - self.from_ns) // _MOST_INSTANTS)
        self.space = FoldedSpace(mappings.start, mappings.end)
        self.edges, self.first_slices = _slice_edges(self.space)
        self.widths = np.diff(self.edges)
        self.accessed_ns, self.known_ns, self.unknown_ns = np.zeros((3, len(self.widths) + 2))
        self.last_access_ns = np.full(len(self.widths), -1, np.int64)

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of this target."""
        first, last = self.space.fold(batch.start), self.space.fold(batch.end)
        snapshot = np.repeat(np.arange(len(batch)), np.diff(batch.offsets))
        nr_samples = batch.nr_samples[snapshot]
        length_ns = (batch.end_ns - batch.start_ns)[snapshot]
        known = ~batch.unknown & (nr_samples > 0)
        share = np.minimum(batch.nr_accesses / np.maximum(nr_samples, 1), 1)
        counts = (last > first) & (batch.end_ns[snapshot] > self.from_ns)
        for total, chosen, weight in (
            (self.accessed_ns, counts & known, share * length_ns),
            (self.known_ns, counts & known, length_ns),
            (self.unknown_ns, counts & ~known, length_ns),
        ):
            self._add_steps(total, first[chosen], weight[chosen])
            self._add_steps(total, last[chosen], -weight[chosen])
        self._note_accesses(batch, first, last, counts & known & (batch.nr_accesses > 0))

    def _add_steps(self, total: NDArray[np.float64], position: NDArray[np.int64], weight: NDArray[Any]) -> None:
        index = np.searchsorted(self.edges, position, side="right") - 1
        widths = np.concatenate([self.widths, [1]])
        behind = (position - self.edges[index]) / widths[index]
        np.add.at(total, index, weight * (1 - behind))
        np.add.at(total, index + 1, weight * behind)

    def _note_accesses(
        self, batch: SnapshotBatch, first: NDArray[np.int64], last: NDArray[np.int64], accessed: NDArray[np.bool_]
    ) -> None:
        """Note when slices were last accessed, to a thousandth of the recording where snapshots are finer."""
        instants = (batch.end_ns - self.from_ns) // self.instant_ns
        borders = np.flatnonzero(np.diff(instants, prepend=-1, append=-1))
        for begin, end in pairwise(borders.tolist()):
            regions = slice(batch.offsets[begin], batch.offsets[end])
            chosen = accessed[regions]
            steps = np.zeros(len(self.widths) + 1, np.int64)
            np.add.at(steps, np.searchsorted(self.edges, first[regions][chosen], side="right") - 1, 1)
            np.add.at(steps, np.searchsorted(self.edges, last[regions][chosen], side="left"), -1)
            self.last_access_ns[np.cumsum(steps[:-1]) > 0] = batch.end_ns[end - 1]

    def table(self) -> MappingsTable:
        end_ns = self.covered.end_ns
        cold_after_ns = min(_COLD_AFTER_NS, (end_ns - self.covered.start_ns) // 4)
        classes = self._classify(end_ns - cold_after_ns)
        sizes = np.zeros((len(self.mappings), len(CLASSES)), np.int64)
        last_access_ns = np.empty(0, np.int64)
        if len(self.mappings):
            mapping = np.repeat(np.arange(len(self.mappings)), np.diff([*self.first_slices, len(self.widths)]))
            np.add.at(sizes, (mapping, classes), self.widths)
            last_access_ns = np.maximum.reduceat(self.last_access_ns, self.first_slices)
        return MappingsTable(
            target=self.covered.target,
            attrs=self.attrs,
            from_ns=self.from_ns,
            end_ns=end_ns,
            cold_after_ns=cold_after_ns,
            mappings=self.mappings,
            sizes=sizes,
            last_access_ns=last_access_ns,
        )

    def _classify(self, recently_ns: int) -> NDArray[np.int64]:
        accessed_ns, known_ns, unknown_ns = (
            np.cumsum(total)[:-2] for total in (self.accessed_ns, self.known_ns, self.unknown_ns)
        )
        # Sums of steps come back to 0 only within rounding.
        rounding_ns = 1e-9 * (self.covered.end_ns - self.covered.start_ns)
        known, seen = known_ns > rounding_ns, unknown_ns > rounding_ns
        return np.select(
            [
                ~known & ~seen,
                ~known,
                self.last_access_ns < 0,
                self.last_access_ns <= recently_ns,
                accessed_ns >= HOT_SHARE * known_ns,
            ],
            [UNMONITORED, UNKNOWN, UNTOUCHED, COLD, HOT],
            default=WARM,
        )


def _slice_edges(space: FoldedSpace) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions that part the slices, int64[slices + 1], and the first slice of each mapping, int64[n].

    A slice is a page; in mappings of more pages than an equal part of `_MOST_SLICES`, it is as many pages as bring them
    down to that. No slice is in two mappings.
    """
    offsets = space.offsets
    sizes = np.diff(offsets)
    most = _MOST_SLICES
    while most > 1 and np.minimum(-(-sizes // _PAGE), most).sum() > _MOST_SLICES:
        most //= 2
    slice_sizes = np.maximum(-(-sizes // (most * _PAGE)), 1) * _PAGE
    edges = [np.arange(*span) for span in zip(offsets[:-1].tolist(), offsets[1:].tolist(), slice_sizes, strict=True)]
    first_slices = np.cumsum([0, *(len(part) for part in edges)])[:-1]
    return np.concatenate([*edges, offsets[-1:]]), first_slices
