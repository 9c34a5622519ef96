# cython: language_level=3, boundscheck=False, wraparound=False
"""Sorted ranges of addresses, walked from the lowest to the highest.

Scans do this after a sleep, when each of NumPy's calls takes ten times as long as in a benchmark.
"""

from libc.stdint cimport uint64_t

import numpy as np


def is_sorted(const uint64_t[:] values):
    """Tell whether no value (uint64[n]) is less than the one before."""
    cdef Py_ssize_t i
    for i in range(1, values.shape[0]):
        if values[i] < values[i - 1]:
            return False
    return True


def union(const uint64_t[:] start, const uint64_t[:] end):
    """Return ranges (uint64[m] each) of the addresses that lie in any of those that are given.

    These (uint64[n] each) are sorted by ``start``, and may overlap.
    """
    cdef Py_ssize_t n = start.shape[0], m = 0, i
    if end.shape[0] != n:
        raise ValueError("arrays of unequal length")
    starts, ends = np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint64)
    cdef uint64_t[::1] joined_start = starts, joined_end = ends
    for i in range(n):
        if m and start[i] <= joined_end[m - 1]:
            joined_end[m - 1] = max(joined_end[m - 1], end[i])
        else:
            joined_start[m], joined_end[m] = start[i], end[i]
            m += 1
    return starts[:m], ends[:m]


def subtract(
    const uint64_t[:] start, const uint64_t[:] end, const uint64_t[:] minus_start, const uint64_t[:] minus_end
):
    """Return ``(start, end, source)`` (uint64[m] each, and intp[m]), as ``vadamon.ranges.subtract`` does."""
    cdef Py_ssize_t n = start.shape[0], k = minus_start.shape[0], m = 0, at = 0, i, j
    cdef uint64_t low
    if end.shape[0] != n or minus_end.shape[0] != k:
        raise ValueError("arrays of unequal length")
    # Each range has at most one part before each of those that are taken out, and one after the last.
    starts, ends, sources = (np.empty(n + k, dtype=dtype) for dtype in (np.uint64, np.uint64, np.intp))
    cdef uint64_t[::1] part_start = starts, part_end = ends
    cdef Py_ssize_t[::1] source = sources
    for i in range(n):
        low = start[i]
        while at < k and minus_end[at] <= low:
            at += 1
        j = at
        while low < end[i]:
            if j == k or minus_start[j] >= end[i]:
                part_start[m], part_end[m], source[m] = low, end[i], i
                m += 1
                break
            if minus_start[j] > low:
                part_start[m], part_end[m], source[m] = low, minus_start[j], i
                m += 1
            low = minus_end[j]
            j += 1
    return starts[:m], ends[:m], sources[:m]
