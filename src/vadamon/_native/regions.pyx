# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Merge and split of regions: the two loops of the model in which each step depends on the one before it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #include <stdint.h>

    __extension__ typedef unsigned __int128 vadamon_uint128;

    /* In C, because Cython has no type of 128 bits. Size times count does not fit 64: ages grow without bound. */
    static inline uint32_t vadamon_weighted_mean(uint32_t left, uint64_t left_size, uint32_t right, uint64_t right_size)
    {
        vadamon_uint128 total = (vadamon_uint128)left * left_size + (vadamon_uint128)right * right_size;
        return (uint32_t)(total / (left_size + right_size));
    }
    """
    uint32_t weighted_mean "vadamon_weighted_mean"(
        uint32_t left, uint64_t left_size, uint32_t right, uint64_t right_size
    ) noexcept nogil


cdef inline uint32_t difference(uint32_t a, uint32_t b) noexcept nogil:
    return a - b if a > b else b - a


def merge(
    uint64_t[::1] start,
    uint64_t[::1] end,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] last_nr_accesses,
    uint32_t[::1] age,
    uint32_t[::1] nr_valid,
    uint8_t[::1] unknown,
    uint64_t threshold,
    uint64_t size_limit,
):
    """Fold neighbours that are alike into the left one, in place; return how many regions are left at the front."""
    cdef Py_ssize_t n = start.shape[0]
    cdef Py_ssize_t left = 0
    cdef Py_ssize_t right
    cdef uint64_t left_size, right_size
    if n == 0:
        return 0
    with nogil:
        for right in range(1, n):
            left_size = end[left] - start[left]
            right_size = end[right] - start[right]
            if (
                end[left] == start[right]
                and unknown[left] == unknown[right]
                and difference(nr_accesses[left], nr_accesses[right]) <= threshold
                and left_size + right_size <= size_limit
            ):
                end[left] = end[right]
                nr_accesses[left] = weighted_mean(nr_accesses[left], left_size, nr_accesses[right], right_size)
                last_nr_accesses[left] = weighted_mean(
                    last_nr_accesses[left], left_size, last_nr_accesses[right], right_size
                )
                age[left] = weighted_mean(age[left], left_size, age[right], right_size)
                nr_valid[left] = min(nr_valid[left], nr_valid[right])
            else:
                left += 1
                start[left] = start[right]
                end[left] = end[right]
                nr_accesses[left] = nr_accesses[right]
                last_nr_accesses[left] = last_nr_accesses[right]
                age[left] = age[right]
                nr_valid[left] = nr_valid[right]
                unknown[left] = unknown[right]
    return left + 1


def split(
    const uint64_t[::1] start,
    const uint64_t[::1] end,
    const uint8_t[:, ::1] tenths,
    uint64_t min_region_size,
    uint64_t[::1] new_start,
    uint64_t[::1] new_end,
    Py_ssize_t[::1] source,
):
    """Cut each region at random tenths of its size, the left part again in each turn; return the new number.

    ``tenths[i, t]`` in 1..9 is for region i in turn t. Piece k of the result is ``[new_start[k], new_end[k])`` and
    comes from region ``source[k]``; these arrays must hold (turns + 1) pieces a region.
    """
    cdef Py_ssize_t n = start.shape[0]
    cdef Py_ssize_t turns = tenths.shape[1]
    cdef Py_ssize_t written = 0
    cdef Py_ssize_t i, turn, low, high
    cdef uint64_t size, cut
    with nogil:
        for i in range(n):
            low = written
            size = end[i] - start[i]
            new_end[written] = end[i]
            # Each cut is left of the one before it, so the pieces come from right to left.
            for turn in range(turns):
                if size <= 2 * min_region_size:
                    break
                # size * tenths // 10, without leaving 64 bits
                cut = size // 10 * tenths[i, turn] + size % 10 * tenths[i, turn] // 10
                cut -= cut % min_region_size
                if cut == 0 or cut >= size:
                    continue
                new_start[written] = start[i] + cut
                source[written] = i
                written += 1
                new_end[written] = start[i] + cut
                size = cut
            new_start[written] = start[i]
            source[written] = i
            written += 1
            high = written - 1
            while low < high:
                new_start[low], new_start[high] = new_start[high], new_start[low]
                new_end[low], new_end[high] = new_end[high], new_end[low]
                low += 1
                high -= 1
    return written
