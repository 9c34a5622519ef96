"""Usage: how often, and when last, each slice of the mappings was accessed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadamon._native.heat import add_usage
from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.report.folding import FoldedSpace
from vadamon.report.survey import Survey

HOT, WARM, COLD, UNTOUCHED, UNKNOWN, UNMONITORED = range(6)
CLASSES = ("hot", "warm", "cold", "untouched", "unknown", "unmonitored")
HOT_SHARE = 0.5
_COLD_AFTER_NS = 120_000_000_000
_SETTLING_INTERVALS = 20
_MOST_SLICES = 16_384
_PAGE = 4096
_MOST_INSTANTS = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Usage:
    """How the mappings of one target were used, slice by slice; the slices of one mapping are of the same size.

    Slice i is ``widths[i]`` bytes (int64[s], at most) from address ``start[i]`` (uint64[s]), of mapping ``mapping[i]``
    (int64[s]). ``share`` (float64[s]) is the mean share of samples in which it was found accessed, NaN where no sample
    was valid. ``last_access_ns`` (int64[s], CLOCK_MONOTONIC) is the end of the last snapshot in which any of it was
    found accessed, -1 where there is none. ``classes`` (int64[s]) are indices of `CLASSES`, as in `MappingsTable`.
    """

    covered: Survey
    mappings: Mappings
    from_ns: int
    cold_after_ns: int
    start: NDArray[np.uint64]
    widths: NDArray[np.int64]
    mapping: NDArray[np.int64]
    share: NDArray[np.float64]
    last_access_ns: NDArray[np.int64]
    classes: NDArray[np.int64]


class UsageCounter:
    """Usage under way: time sums and last accesses of slices of the mappings.

    A region adds the same to all the slices it covers. So only the steps at its two ends are noted, split between the
    slice that a step falls in and the next by where in the slice it is; running sums give the slices' means at the end.

    The first 20 aggregation intervals, in which the regions adapt to the target and are still coarse, are left out of
    recordings that are at least four times as long.
    """

    def __init__(self, covered: Survey, mappings: Mappings, attrs: Attrs) -> None:
        self._covered, self._mappings = covered, mappings
        settling_ns = _SETTLING_INTERVALS * attrs.aggr_us * 1000
        settles = covered.end_ns - covered.start_ns >= 4 * settling_ns
        self._from_ns = covered.start_ns + settling_ns * settles
        self._instant_ns = max(1, (covered.end_ns - self._from_ns) // _MOST_INSTANTS)
        self._space = FoldedSpace(mappings.start, mappings.end)
        self._edges, self._first_slices = _slice_edges(self._space)
        self._widths = np.diff(self._edges)
        self._accessed_ns, self._known_ns, self._unknown_ns = np.zeros((3, len(self._widths) + 2))
        self._last_access_ns = np.full(len(self._widths), -1, np.int64)

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of this target."""
        # Where snapshots are finer than a thousandth of the recording, last accesses are noted to this.
        instants = np.where(batch.end_ns > self._from_ns, (batch.end_ns - self._from_ns) // self._instant_ns, -1)
        add_usage(
            batch.offsets,
            batch.start,
            batch.end,
            batch.nr_accesses,
            batch.unknown.view(np.uint8),
            batch.nr_samples,
            batch.end_ns,
            batch.end_ns - batch.start_ns,
            instants,
            self._space.start,
            self._space.end,
            self._space.offsets.view(np.uint64),
            self._edges.view(np.uint64),
            self._accessed_ns,
            self._known_ns,
            self._unknown_ns,
            self._last_access_ns,
        )

    def usage(self) -> Usage:
        """Return what was counted.

        ``cold_after_ns`` is 2 minutes, or a quarter of a recording that is shorter than 8.
        """
        covered = self._covered
        cold_after_ns = min(_COLD_AFTER_NS, (covered.end_ns - covered.start_ns) // 4)
        accessed_ns, known_ns, unknown_ns = (
            np.cumsum(total)[:-2] for total in (self._accessed_ns, self._known_ns, self._unknown_ns)
        )
        # Sums of steps come back to 0 only within rounding.
        rounding_ns = 1e-9 * (covered.end_ns - covered.start_ns)
        known, seen = known_ns > rounding_ns, unknown_ns > rounding_ns
        share = np.where(known, np.clip(accessed_ns / np.maximum(known_ns, 1), 0, 1), np.nan)
        classes = np.select(
            [
                ~known & ~seen,
                ~known,
                self._last_access_ns < 0,
                self._last_access_ns <= covered.end_ns - cold_after_ns,
                accessed_ns >= HOT_SHARE * known_ns,
            ],
            [UNMONITORED, UNKNOWN, UNTOUCHED, COLD, HOT],
            default=WARM,
        )
        return Usage(
            covered=covered,
            mappings=self._mappings,
            from_ns=self._from_ns,
            cold_after_ns=cold_after_ns,
            start=self._space.unfold(self._edges[:-1]) if len(self._widths) else np.empty(0, np.uint64),
            widths=self._widths,
            mapping=np.repeat(np.arange(len(self._mappings)), np.diff([*self._first_slices, len(self._widths)])),
            share=share,
            last_access_ns=self._last_access_ns,
            classes=classes,
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
