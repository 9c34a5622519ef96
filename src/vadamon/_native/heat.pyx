# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The loops of reports over all regions of a recording: cells of heatmaps, and usage of slices."""

import numpy as np

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

# A cell is one number, so that one maximum finds both: the share of samples in 2**-30, and in the low bits the age.
ONE = 1 << 30
AGE_BITS = 32


cdef inline Py_ssize_t behind(const uint64_t[::1] sorted_values, uint64_t value, Py_ssize_t hint) noexcept nogil:
    """Return how many values are not above ``value``, knowing that ``hint`` are: it is mostly close."""
    cdef Py_ssize_t n = sorted_values.shape[0]
    cdef Py_ssize_t low = hint, high, step = 1, middle
    while low < n and sorted_values[low] <= value:
        # The answer is above low; look ever further.
        hint = low + 1
        low += step
        step *= 2
    high = min(low, n)
    low = hint
    while low < high:
        middle = (low + high) // 2
        if sorted_values[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline uint64_t fold(
    const uint64_t[::1] space_start,
    const uint64_t[::1] space_end,
    const uint64_t[::1] space_offsets,
    uint64_t address,
    Py_ssize_t *hint,
) noexcept nogil:
    """As `vadamon.report.folding.FoldedSpace.fold`; ``hint`` is the number of ranges that begin at or before it."""
    cdef Py_ssize_t k
    hint[0] = behind(space_start, address, hint[0])
    k = hint[0] - 1
    if k < 0:
        return 0
    return space_offsets[k] + min(address, space_end[k]) - space_start[k]


def mark(
    const int64_t[::1] offsets,
    const uint64_t[::1] start,
    const uint64_t[::1] end,
    const uint32_t[::1] nr_accesses,
    const uint32_t[::1] age,
    const uint8_t[::1] unknown,
    const uint32_t[::1] nr_samples,
    const int64_t[::1] column_first,
    const int64_t[::1] column_last,
    const uint64_t[::1] space_start,
    const uint64_t[::1] space_end,
    const uint64_t[::1] space_offsets,
    const uint64_t[::1] edges,
    int64_t[:, ::1] cells,
    int64_t[:, ::1] unknown_bytes,
):
    """Raise cells to the heat of each region in them, and count the bytes that are unknown, less those that are not.

    Heat is the share of its samples in which a region was found accessed, in units of 1 / `ONE`, times 2**`AGE_BITS`,
    plus its age; 0 where no sample was valid. The first five arrays are those of a `SnapshotBatch`.
    A region falls in the rows between ``edges`` (uint64[rows + 1], positions in the folded space) that it has bytes in,
    and in the columns of its snapshot.
    """
    cdef Py_ssize_t k, i, row, column, range_hint, row_hint
    cdef uint64_t first, last, size
    cdef int64_t signed_size, heat
    cdef bint is_unknown
    cdef double one = ONE
    cdef int age_bits = AGE_BITS
    cdef Py_ssize_t nr_rows = edges.shape[0] - 1
    with nogil:
        for k in range(offsets.shape[0] - 1):
            range_hint = row_hint = 0
            for i in range(offsets[k], offsets[k + 1]):
                first = fold(space_start, space_end, space_offsets, start[i], &range_hint)
                last = fold(space_start, space_end, space_offsets, end[i], &range_hint)
                if first == last:
                    continue
                is_unknown = unknown[i] or nr_samples[k] == 0
                heat = 0 if is_unknown else <int64_t>min(one * nr_accesses[i] / nr_samples[k], one) << age_bits | age[i]
                row_hint = behind(edges, first, row_hint)
                row = row_hint - 1
                while row < nr_rows and edges[row] < last:
                    size = min(last, edges[row + 1]) - max(first, edges[row])
                    signed_size = <int64_t>size if is_unknown else -<int64_t>size
                    for column in range(column_first[k], column_last[k]):
                        cells[row, column] = max(cells[row, column], heat)
                        unknown_bytes[row, column] += signed_size
                    row += 1


cdef inline void add_step(
    double[::1] total, const uint64_t[::1] edges, Py_ssize_t index, uint64_t position, double weight
) noexcept nogil:
    """Add a step at ``position`` in slice ``index``, split between it and the next by where in the slice it is."""
    cdef double behind_edge = 0
    if index + 1 < edges.shape[0]:
        behind_edge = <double>(position - edges[index]) / <double>(edges[index + 1] - edges[index])
    total[index] += weight * (1 - behind_edge)
    total[index + 1] += weight * behind_edge


cdef inline void note_accesses(int64_t[::1] steps, int64_t[::1] last_access_ns, int64_t now_ns) noexcept nogil:
    cdef Py_ssize_t i
    cdef int64_t nr_regions = 0
    for i in range(last_access_ns.shape[0]):
        nr_regions += steps[i]
        if nr_regions > 0:
            last_access_ns[i] = now_ns
    steps[:] = 0


def add_usage(
    const int64_t[::1] offsets,
    const uint64_t[::1] start,
    const uint64_t[::1] end,
    const uint32_t[::1] nr_accesses,
    const uint8_t[::1] unknown,
    const uint32_t[::1] nr_samples,
    const int64_t[::1] end_ns,
    const int64_t[::1] length_ns,
    const int64_t[::1] instants,
    const uint64_t[::1] space_start,
    const uint64_t[::1] space_end,
    const uint64_t[::1] space_offsets,
    const uint64_t[::1] edges,
    double[::1] accessed_ns,
    double[::1] known_ns,
    double[::1] unknown_ns,
    int64_t[::1] last_access_ns,
):
    """Add what `vadamon.report.usage.UsageCounter` counts of each region.

    ``edges`` (uint64[s + 1], positions in the folded space) part the slices. Steps are added to the three sums
    (float64[s + 2]), and ``last_access_ns`` (int64[s]) is set to the end of the last of neighbouring snapshots with the
    same of ``instants`` (int64[n]). Snapshots at instants below 0 do not count.
    """
    cdef Py_ssize_t k, i, low, high, range_hint, slice_hint
    cdef uint64_t first, last
    cdef double share
    cdef int64_t[::1] steps = np.zeros(edges.shape[0], np.int64)
    cdef bint is_noted = True
    with nogil:
        for k in range(offsets.shape[0] - 1):
            if instants[k] < 0:
                continue
            range_hint = slice_hint = 0
            for i in range(offsets[k], offsets[k + 1]):
                first = fold(space_start, space_end, space_offsets, start[i], &range_hint)
                last = fold(space_start, space_end, space_offsets, end[i], &range_hint)
                if first == last:
                    continue
                low = behind(edges, first, slice_hint) - 1
                high = behind(edges, last, low) - 1
                slice_hint = low
                if unknown[i] or nr_samples[k] == 0:
                    add_step(unknown_ns, edges, low, first, length_ns[k])
                    add_step(unknown_ns, edges, high, last, -length_ns[k])
                    continue
                add_step(known_ns, edges, low, first, length_ns[k])
                add_step(known_ns, edges, high, last, -length_ns[k])
                if nr_accesses[i]:
                    share = min(<double>nr_accesses[i] / nr_samples[k], 1.0)
                    add_step(accessed_ns, edges, low, first, share * length_ns[k])
                    add_step(accessed_ns, edges, high, last, -share * length_ns[k])
                    steps[low] += 1
                    steps[high if edges[high] == last else high + 1] -= 1
                    is_noted = False
            if not is_noted and (k + 2 == offsets.shape[0] or instants[k + 1] != instants[k]):
                note_accesses(steps, last_access_ns, end_ns[k])
                is_noted = True
