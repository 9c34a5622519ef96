"""The regions of one target, and how they merge, split and age (``mm/damon/core.c``)."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vadamon._native import regions as _native
from vadamon._native import sampling as _sampling

_LARGEST_SIZE = 2**64 - 1


class Regions:
    """Address ranges whose pages are taken to be accessed alike, as one struct of arrays.

    All arrays have one entry a region, sorted by address; regions never overlap:

    - ``start``, ``end``: uint64, byte addresses, half open
    - ``nr_accesses``: uint32, samples that found the region accessed in this aggregation interval
    - ``last_nr_accesses``: uint32, ``nr_accesses`` of the aggregation interval before
    - ``age``: uint32, aggregation intervals since the access pattern changed
    - ``nr_valid``: uint32, samples of this aggregation interval that told something
    - ``unknown``: bool, no sample of the last complete aggregation interval told anything

    What changes regions puts new arrays in place of the old ones; only `count` writes to ``nr_accesses`` and
    ``nr_valid`` as they are.

    Raises ValueError where the ranges are empty, overlap or are not sorted, or where the arrays do not fit together.
    """

    __slots__ = ("age", "end", "last_nr_accesses", "nr_accesses", "nr_valid", "start", "unknown")

    def __init__(
        self,
        start: ArrayLike,
        end: ArrayLike,
        nr_accesses: ArrayLike | None = None,
        age: ArrayLike | None = None,
    ) -> None:
        self.start: NDArray[np.uint64] = np.array(start, dtype=np.uint64)
        self.end: NDArray[np.uint64] = np.array(end, dtype=np.uint64)
        check_ranges(self.start, self.end)
        n = len(self.start)
        self.nr_accesses = _counts("nr_accesses", nr_accesses, n)
        self.last_nr_accesses: NDArray[np.uint32] = np.zeros(n, dtype=np.uint32)
        self.age = _counts("age", age, n)
        self.nr_valid: NDArray[np.uint32] = np.zeros(n, dtype=np.uint32)
        self.unknown: NDArray[np.bool_] = np.zeros(n, dtype=np.bool_)

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int]]) -> "Regions":
        """Make regions without accesses of ``[(start, end), ...]``; ValueError as for `Regions`."""
        return cls(*range_arrays(ranges))

    def ranges(self) -> list[tuple[int, int]]:
        """Return ``[(start, end), ...]``."""
        return list(zip(self.start.tolist(), self.end.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.start)

    def __repr__(self) -> str:
        return f"<Regions: {len(self)}, {self.size()} bytes>"

    def size(self) -> int:
        """Return the sum of the sizes of all regions, in bytes."""
        return int((self.end - self.start).sum())

    def count(
        self,
        accessed: NDArray[np.bool_],
        void: NDArray[np.bool_] | None = None,
        pages: tuple[NDArray[np.uint64], NDArray[np.uint64]] | None = None,
    ) -> None:
        """Count one sample of each region: ``accessed`` (bool[n]), but nothing where ``void`` (bool[n]) is set.

        With ``pages``, the addresses that were looked at (uint64[n], sorted) and the sizes of the pages they lie in
        (uint64[n]), all samples in the same page count as the first of them does.
        """
        addresses, page_sizes = pages or (None, None)
        _sampling.count(
            accessed.view(np.uint8),
            None if void is None else void.view(np.uint8),
            addresses,
            page_sizes,
            self.nr_accesses,
            self.nr_valid,
        )

    def fill_voids(self, nr_samples: int) -> None:
        """Make ``nr_accesses`` a number out of ``nr_samples``, whatever samples were void.

        Where some samples were void, or more addresses were checked than there were samples, ``nr_accesses`` is scaled
        from the valid ones, a half rounded up. Where all were void, it becomes ``last_nr_accesses``, and ``unknown``
        is set.
        """
        self.unknown = self.nr_valid == 0
        if bool((self.nr_valid != nr_samples).any()):
            scaled = scale_counts(self.nr_accesses, np.maximum(self.nr_valid, 1), nr_samples)
            self.nr_accesses = np.where(self.unknown, self.last_nr_accesses, scaled)

    def update_ages(self, threshold: int, by: int = 1) -> None:
        """Make each region ``by`` intervals older, or new where its accesses changed (``damon_merge_regions_of``).

        They changed where ``nr_accesses`` and ``last_nr_accesses`` differ by more than ``threshold``, or where just
        one of them is 0. The age of an unknown region stays: nothing was seen, neither change nor constancy.
        """
        now, last = self.nr_accesses, self.last_nr_accesses
        changed = (np.maximum(now, last) - np.minimum(now, last)) > threshold
        changed |= (now == 0) != (last == 0)
        self.age = np.where(changed, 0, self.age + np.uint32(by) * ~self.unknown)

    def merge(self, threshold: int, size_limit: int) -> None:
        """Merge neighbours that are alike (``damon_merge_regions_of``).

        A left fold: the region so far takes in the next one if they touch, their ``nr_accesses`` differ by at most
        ``threshold``, they have at most ``size_limit`` bytes together, and both are unknown or neither is. It goes on
        with the means, weighted by size and rounded down, of ``nr_accesses``, ``last_nr_accesses`` and ``age``, and
        with the smaller ``nr_valid``.
        """
        start, end = self.start.copy(), self.end.copy()
        nr_accesses, last_nr_accesses = self.nr_accesses.copy(), self.last_nr_accesses.copy()
        age, nr_valid, unknown = self.age.copy(), self.nr_valid.copy(), self.unknown.copy()
        n = _native.merge(
            start,
            end,
            nr_accesses,
            last_nr_accesses,
            age,
            nr_valid,
            unknown.view(np.uint8),
            threshold,
            min(size_limit, _LARGEST_SIZE),
        )
        self.start, self.end = start[:n], end[:n]
        self.nr_accesses, self.last_nr_accesses = nr_accesses[:n], last_nr_accesses[:n]
        self.age, self.nr_valid, self.unknown = age[:n], nr_valid[:n], unknown[:n]

    def split_at(self, index: int, size: int) -> None:
        """Split region ``index`` in two, the left one ``size`` bytes long (``damon_split_region_at``).

        Both keep all counters. Raises IndexError where there is no such region, ValueError where a part would be
        empty.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there is no region {index}: there are {len(self)}")
        whole = int(self.end[index] - self.start[index])
        if not 0 < size < whole:
            raise ValueError(f"cannot split {size} bytes off a region of {whole} bytes")
        middle = self.start[index] + np.uint64(size)
        source = np.insert(np.arange(len(self)), index, index)
        self.rebuild(np.insert(self.start, index + 1, middle), np.insert(self.end, index, middle), source)

    def split(self, nr_pieces: int, rng: np.random.Generator, min_region_size: int = 4096) -> None:
        """Split each region into up to ``nr_pieces`` of random sizes (``damon_split_regions_of``).

        ``nr_pieces - 1`` times, while a region is bigger than twice ``min_region_size`` bytes, it is cut at a random
        1 to 9 tenths of its size, rounded down to a multiple of ``min_region_size``; no cut where that leaves a part
        empty. Its left part is the one that is cut next. All parts keep all counters.

        Raises ValueError where ``nr_pieces`` or ``min_region_size`` is below 1.
        """
        if nr_pieces < 1 or min_region_size < 1:
            raise ValueError(f"cannot split regions into {nr_pieces} pieces of at least {min_region_size} bytes")
        n = len(self)
        tenths = rng.integers(1, 10, size=(n, nr_pieces - 1), dtype=np.uint8)
        start = np.empty(n * nr_pieces, dtype=np.uint64)
        end = np.empty(n * nr_pieces, dtype=np.uint64)
        source = np.empty(n * nr_pieces, dtype=np.intp)
        nr_written = _native.split(self.start, self.end, tenths, min_region_size, start, end, source)
        self.rebuild(start[:nr_written], end[:nr_written], source[:nr_written])

    def rebuild(self, start: NDArray[np.uint64], end: NDArray[np.uint64], source: NDArray[np.intp]) -> None:
        """Put regions ``[start[i], end[i])``, sorted, in place of all; i has the counters of old region ``source[i]``.

        Where ``source[i]`` is -1 the region is new: its counters are 0.
        """
        for name in ("nr_accesses", "last_nr_accesses", "age", "nr_valid", "unknown"):
            # -1 picks the last one, so put a zero there
            setattr(self, name, np.append(getattr(self, name), False)[source])
        self.start = start
        self.end = end

    def reset_aggregated(self) -> None:
        """Begin a new aggregation interval: ``nr_accesses`` becomes ``last_nr_accesses``, and counting begins anew."""
        self.last_nr_accesses = self.nr_accesses
        self.nr_accesses = np.zeros(len(self), dtype=np.uint32)
        self.nr_valid = np.zeros(len(self), dtype=np.uint32)


def range_arrays(ranges: Iterable[tuple[int, int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the starts and the ends of ``[(start, end), ...]``, uint64[n] each; ValueError as for `check_ranges`."""
    pairs = np.array(list(ranges), dtype=np.uint64)
    if not len(pairs):
        pairs = pairs.reshape(0, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError("ranges must be pairs of a start and an end")
    start, end = pairs[:, 0].copy(), pairs[:, 1].copy()
    check_ranges(start, end)
    return start, end


def check_ranges(start: NDArray[np.uint64], end: NDArray[np.uint64]) -> None:
    """Raise ValueError where ranges (uint64[n] each) are empty, overlap or are not sorted."""
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(f"starts and ends must be two arrays of the same length, not {start.shape} and {end.shape}")
    empty = np.flatnonzero(start >= end)
    if len(empty):
        raise ValueError(f"a range is empty: [{start[empty[0]]:#x}, {end[empty[0]]:#x})")
    wrong = np.flatnonzero(end[:-1] > start[1:])
    if len(wrong):
        before, after = wrong[0], wrong[0] + 1
        raise ValueError(
            f"ranges overlap or are not sorted: [{start[before]:#x}, {end[before]:#x}) stands before "
            f"[{start[after]:#x}, {end[after]:#x})"
        )


def scale_counts(counts: NDArray[np.uint32], out_of: ArrayLike, nr_samples: int) -> NDArray[np.uint32]:
    """Scale ``counts`` out of ``out_of`` samples (above 0) to ``nr_samples``, a half rounded up."""
    divisor = np.asarray(out_of, dtype=np.uint64) * 2
    return ((counts.astype(np.uint64) * (2 * nr_samples) + divisor // 2) // divisor).astype(np.uint32)


def _counts(name: str, counts: ArrayLike | None, n: int) -> NDArray[np.uint32]:
    if counts is None:
        return np.zeros(n, dtype=np.uint32)
    array = np.array(counts, dtype=np.uint32)
    if array.shape != (n,):
        raise ValueError(f"{name} must have one entry for each of {n} regions, not shape {array.shape}")
    return array
