"""How accurate a recording is, by bytes."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadamon.accuracy.changes import ChangeTracker
from vadamon.accuracy.pairing import pairs
from vadamon.accuracy.runs import values_at
from vadamon.accuracy.truth import TrueAccesses
from vadamon.attrs import Attrs
from vadamon.errors import VadamonError
from vadamon.ranges import Ranges, union, without
from vadamon.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a recording found, against the truth, over all its intervals.

    Bytes are weighed by the time they were so: a byte that is hot in one interval of ten counts a tenth. Memory of
    which nothing was known counts as not found. What cannot be told is NaN: the precision where nothing was found
    hot, the recall where nothing was hot.
    """

    nr_intervals: int
    threshold: int
    """Memory is hot that is accessed in at least so many samples ..."""
    nr_samples: int
    """... of so many, of one aggregation interval."""
    hot_bytes: float
    """What was hot, on average."""
    found_hot_bytes: float
    precision: float
    """Of the bytes found hot, the share that was."""
    recall: float
    """Of the bytes that were hot, the share that was found so."""
    f1: float
    """Harmonic mean of precision and recall."""
    wss_bytes: float
    """Working set, on average: the bytes of the pages that were accessed within an interval at all."""
    found_wss_bytes: float
    wss_error: float
    """Mean of |found - true| of each interval, over the mean of the true."""
    frequency_error: float
    """Mean of |found - true| share of samples, over the bytes that were accessed or found accessed."""
    unknown_bytes: float
    """Memory in regions of which nothing was known, on average."""
    untold_bytes: float
    """Memory of which the truth is not known, on average; it is left out of all else."""
    delays_ns: tuple[int | None, ...]
    """How long each change of the hot memory took to be seen, see `ChangeTracker`; None where it was not."""


def accuracy(
    snapshots: Iterable[Snapshot],
    truth: Iterable[TrueAccesses],
    attrs: Attrs,
    *,
    threshold: int | None = None,
    from_ns: int | None = None,
) -> Accuracy:
    """Compare snapshots with the truth of the same targets.

    Both have to be in the order of their times; `pairs` says how they are matched by them. Snapshots that begin before
    ``from_ns`` are left out. Memory is hot that is accessed in at least ``threshold`` of the samples of a whole
    aggregation interval of ``attrs``; if not given, in half of them, rounded up.

    Raises VadamonError where no snapshot has a truth to compare with, ValueError for a threshold out of range.
    """
    nr_samples = attrs.max_nr_samples
    if threshold is None:
        threshold = (nr_samples + 1) // 2
    if not 1 <= threshold <= nr_samples:
        raise ValueError(f"the threshold must be 1 to {nr_samples} samples, not {threshold}")
    sums = _Sums(_Threshold(threshold, nr_samples))
    trackers: dict[int, ChangeTracker] = defaultdict(lambda: ChangeTracker(from_ns))
    for snapshot, true in pairs(snapshots, truth):
        hot = without(sums.threshold.hot(true), true.unknown)
        found_hot = without(sums.threshold.hot(snapshot, ~snapshot.unknown), true.unknown)
        trackers[true.target_id].add(true.start_ns, snapshot.end_ns, hot, found_hot)
        if from_ns is None or snapshot.start_ns >= from_ns:
            sums.add(snapshot, true)
    if not sums.nr_intervals:
        raise VadamonError("no snapshot lies in the time of the truth: give the truth of this very recording")
    for tracker in trackers.values():
        tracker.end()
    return sums.result([delay for tracker in trackers.values() for delay in tracker.delays_ns])


@dataclass(frozen=True, slots=True)
class _Threshold:
    nr_accesses: int
    nr_samples: int

    def is_hot(self, nr_accesses: NDArray[np.uint32], nr_samples: int) -> NDArray[np.bool_]:
        is_hot: NDArray[np.bool_] = nr_accesses.astype(np.uint64) * self.nr_samples >= self.nr_accesses * nr_samples
        return is_hot

    def hot(self, interval: TrueAccesses | Snapshot, known: NDArray[np.bool_] | bool = True) -> Ranges:
        hot = self.is_hot(interval.nr_accesses, interval.nr_samples) & known
        return union(interval.start[hot], interval.end[hot])


class _Sums:
    """Sums over the intervals so far, in bytes."""

    def __init__(self, threshold: _Threshold) -> None:
        self.nr_intervals = 0
        self.threshold = threshold
        self._hot = self._found_hot = self._hot_in_both = 0
        self._wss = self._found_wss = self._wss_errors = 0
        self._compared = self._unknown = self._untold = 0
        self._frequency_errors = 0.0

    def add(self, snapshot: Snapshot, true: TrueAccesses) -> None:
        # All is alike between one of these cuts and the next.
        cuts = np.unique(np.concatenate((true.start, true.end, *true.unknown, snapshot.start, snapshot.end)))
        start, sizes = cuts[:-1], np.diff(cuts)
        is_told = ~values_at(start, true.unknown, np.ones(len(true.unknown[0]), np.bool_))
        self._untold += _sum(sizes, ~is_told)
        start, sizes = start[is_told], sizes[is_told]
        regions = snapshot.start, snapshot.end
        accesses = values_at(start, (true.start, true.end), true.nr_accesses)
        found = values_at(start, regions, np.where(snapshot.unknown, 0, snapshot.nr_accesses))
        unknown = values_at(start, regions, snapshot.unknown)

        hot = self.threshold.is_hot(accesses, true.nr_samples)
        found_hot = self.threshold.is_hot(found, snapshot.nr_samples)
        self._hot += _sum(sizes, hot)
        self._found_hot += _sum(sizes, found_hot)
        self._hot_in_both += _sum(sizes, hot & found_hot)

        wss, found_wss = _sum(sizes, accesses > 0), _sum(sizes, found > 0)
        self._wss += wss
        self._found_wss += found_wss
        self._wss_errors += abs(found_wss - wss)

        compared = ((accesses > 0) | (found > 0)) & ~unknown
        errors = np.abs(found / snapshot.nr_samples - accesses / true.nr_samples)
        self._compared += _sum(sizes, compared)
        self._frequency_errors += float((errors * sizes)[compared].sum())
        self._unknown += _sum(sizes, unknown)
        self.nr_intervals += 1

    def result(self, delays_ns: list[int | None]) -> Accuracy:
        precision = _ratio(self._hot_in_both, self._found_hot)
        recall = _ratio(self._hot_in_both, self._hot)
        n = self.nr_intervals
        return Accuracy(
            nr_intervals=n,
            threshold=self.threshold.nr_accesses,
            nr_samples=self.threshold.nr_samples,
            hot_bytes=self._hot / n,
            found_hot_bytes=self._found_hot / n,
            precision=precision,
            recall=recall,
            f1=_ratio(2 * self._hot_in_both, self._hot + self._found_hot),
            wss_bytes=self._wss / n,
            found_wss_bytes=self._found_wss / n,
            wss_error=_ratio(self._wss_errors, self._wss),
            frequency_error=_ratio(self._frequency_errors, self._compared),
            unknown_bytes=self._unknown / n,
            untold_bytes=self._untold / n,
            delays_ns=tuple(delays_ns),
        )


def _sum(sizes: NDArray[np.uint64], chosen: NDArray[np.bool_]) -> int:
    return int(sizes[chosen].sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
