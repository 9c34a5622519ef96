# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Which neighbours to merge, the least different first: each merge changes the differences beside it."""

import numpy as np

cdef inline double cost(Py_ssize_t a, Py_ssize_t b, double[::1] size, double[:, ::1] mean) noexcept nogil:
    """What merging two groups adds to the sum of squared differences from the mean (Ward's criterion)."""
    cdef double x = mean[a, 0] - mean[b, 0], y = mean[a, 1] - mean[b, 1]
    return size[a] * size[b] / (size[a] + size[b]) * (x * x + y * y)


cdef inline bint before(Py_ssize_t a, Py_ssize_t b, double[::1] costs) noexcept nogil:
    """Order by cost; of equal ones the first by address, so that the result is one and the same."""
    return costs[a] < costs[b] or (costs[a] == costs[b] and a < b)


cdef void sift(Py_ssize_t at, Py_ssize_t nr, Py_ssize_t[::1] heap, Py_ssize_t[::1] place, double[::1] costs) noexcept nogil:
    """Bring the entry at ``at`` to its place in the heap."""
    cdef Py_ssize_t item = heap[at], child
    while at > 0 and before(item, heap[(at - 1) // 2], costs):
        heap[at] = heap[(at - 1) // 2]
        place[heap[at]] = at
        at = (at - 1) // 2
    while True:
        child = 2 * at + 1
        if child >= nr:
            break
        if child + 1 < nr and before(heap[child + 1], heap[child], costs):
            child += 1
        if not before(heap[child], item, costs):
            break
        heap[at] = heap[child]
        place[heap[at]] = at
        at = child
    heap[at] = item
    place[item] = at


def first_of_groups(double[::1] size, double[:, ::1] mean, const unsigned char[::1] mergeable, Py_ssize_t max_nr):
    """Merge neighbours until ``max_nr`` are left, or none that may be merged; return the first item of each group.

    ``size`` (float64[n]) and ``mean`` (float64[n, 2]) are of the items, and are overwritten. ``mergeable`` (uint8[n])
    tells whether item i may be merged with item i + 1; the last one is 0.
    """
    cdef Py_ssize_t n = size.shape[0], nr_heap = 0, left = n, i, a, b, last, k
    cdef double total
    costs_array = np.empty(n)
    following_array, preceding_array = np.arange(1, n + 1), np.arange(-1, n - 1)
    heap_array, place_array = np.empty(n, dtype=np.intp), np.full(n, -1, dtype=np.intp)
    is_first = np.ones(n, dtype=np.uint8)
    cdef double[::1] costs = costs_array
    cdef Py_ssize_t[::1] following = following_array, preceding = preceding_array
    cdef Py_ssize_t[::1] heap = heap_array, place = place_array
    cdef unsigned char[::1] first = is_first
    with nogil:
        for i in range(n - 1):
            if mergeable[i]:
                costs[i] = cost(i, i + 1, size, mean)
                heap[nr_heap] = i
                place[i] = nr_heap
                nr_heap += 1
                sift(nr_heap - 1, nr_heap, heap, place, costs)
        while left > max_nr and nr_heap:
            a = heap[0]
            b = following[a]
            total = size[a] + size[b]
            for k in range(2):
                mean[a, k] = (mean[a, k] * size[a] + mean[b, k] * size[b]) / total
            size[a] = total
            first[b] = 0
            left -= 1
            following[a] = following[b]
            if following[b] < n:
                preceding[following[b]] = a
            # The entry of b's right side becomes that of a's, or goes.
            i = b if place[b] >= 0 else a
            nr_heap -= 1
            last = heap[nr_heap]
            if last != i:
                heap[place[i]] = last
                place[last] = place[i]
                sift(place[last], nr_heap, heap, place, costs)
            place[i] = -1
            if i == b:
                costs[a] = cost(a, following[a], size, mean)
                sift(place[a], nr_heap, heap, place, costs)
            i = preceding[a]
            if i >= 0 and place[i] >= 0:
                costs[i] = cost(i, a, size, mean)
                sift(place[i], nr_heap, heap, place, costs)
    return np.flatnonzero(is_first)
