"""Sets of addresses, as sorted ranges ``[start, end)`` that do not overlap: two uint64 arrays."""

import numpy as np
from numpy.typing import NDArray

from vadamon._native import ranges as native

Array = NDArray[np.uint64]
Ranges = tuple[Array, Array]


def union(start: Array, end: Array) -> Ranges:
    """Return the addresses that lie in any of the ranges, which may overlap and be in any order.

    What touches becomes one range.
    """
    if not native.is_sorted(start):
        order = np.argsort(start, kind="stable")
        start, end = start[order], end[order]
    return native.union(start, end)


def subtract(start: Array, end: Array, minus: Ranges) -> tuple[Array, Array, NDArray[np.intp]]:
    """Return the addresses of sorted ranges that lie in none of the sorted ranges ``minus``.

    Returns ``(start, end, source)``: part i comes from range ``source[i]``.
    """
    return native.subtract(start, end, *minus)


def without(ranges: Ranges, minus: Ranges) -> Ranges:
    """Return the addresses of sorted ranges that lie in none of the sorted ranges ``minus``."""
    if not len(minus[0]):
        return ranges
    start, end, _ = subtract(*ranges, minus)
    return start, end


def sizes_within(ranges: Ranges, start: Array, end: Array) -> NDArray[np.int64]:
    """Return for each of ``[start, end)`` how many of its bytes lie in sorted ranges."""
    return _size_below(ranges, end) - _size_below(ranges, start)


def total_size(ranges: Ranges) -> int:
    """Return the sum of the sizes of ranges, in bytes."""
    start, end = ranges
    return int((end - start).sum())


def _size_below(ranges: Ranges, address: Array) -> NDArray[np.int64]:
    start, end = (array.astype(np.int64) for array in ranges)
    address = address.astype(np.int64)
    sizes = np.concatenate(([0], np.cumsum(end - start)))
    nr_whole = np.searchsorted(end, address, side="right")
    # Of the range that the address lies in, if it does, only a part is below.
    in_part = np.append(start, np.iinfo(np.int64).max)[nr_whole]
    return np.asarray(sizes[nr_whole] + np.maximum(address - in_part, 0))
