# cython: language_level=3, boundscheck=False, wraparound=False
"""Counters of every page of an address space: what scans found, summed up. The GIL is not held."""

import numpy as np

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "page_heat.h" nogil:
    enum:
        PAGE_HEAT_MAX_SCANS
    struct page_heat:
        pass
    struct heat_run:
        uint64_t start
        uint64_t end
        uint32_t nr_accesses
        uint32_t age
        bint unknown
    page_heat *page_heat_new()
    void page_heat_free(page_heat *heat)
    int page_heat_set_ranges(page_heat *heat, const uint64_t *start, const uint64_t *end, size_t n)
    int page_heat_add_scan(page_heat *heat)
    int page_heat_count(page_heat *heat, const uint64_t *start, const uint64_t *end, size_t n, bint as_void)
    unsigned int page_heat_sum_up(page_heat *heat, unsigned int nr_samples)
    int page_heat_end(page_heat *heat, unsigned int threshold, const heat_run **runs, size_t *nr_runs)

MAX_SCANS = PAGE_HEAT_MAX_SCANS


cdef class PageHeat:
    """How often each page was accessed in this aggregation interval, and for how many it has been so.

    Ranges are two arrays, uint64[n], sorted, of whole pages, and do not overlap.
    """

    cdef page_heat *_heat

    def __cinit__(self):
        self._heat = page_heat_new()
        if self._heat is NULL:
            raise MemoryError

    def __dealloc__(self):
        page_heat_free(self._heat)

    def set_ranges(self, const uint64_t[::1] start, const uint64_t[::1] end):
        """Say what is mapped from now on. What was mapped before keeps its history; what is new has none."""
        cdef size_t n = start.shape[0]
        cdef int error
        with nogil:
            error = page_heat_set_ranges(self._heat, &start[0] if n else NULL, &end[0] if n else NULL, n)
        if error:
            raise MemoryError

    def add(self, const uint64_t[::1] start, const uint64_t[::1] end, const uint64_t[::1] void_start,
            const uint64_t[::1] void_end):
        """Add one scan: the ranges that were accessed, and those of which it tells nothing (none are in both).

        All are to be mapped. Raises ValueError after `MAX_SCANS` scans in one aggregation interval.
        """
        cdef size_t n = start.shape[0], nr_void = void_start.shape[0]
        cdef int error
        if page_heat_add_scan(self._heat):
            raise ValueError(f"an aggregation interval holds at most {MAX_SCANS} scans")
        with nogil:
            error = page_heat_count(self._heat, &start[0] if n else NULL, &end[0] if n else NULL, n, False)
            error |= page_heat_count(self._heat, &void_start[0] if nr_void else NULL,
                                     &void_end[0] if nr_void else NULL, nr_void, True)
        if error:
            raise MemoryError

    def sum_up(self, unsigned int nr_samples):
        """Make the counts of the interval ones out of ``nr_samples``, and return the largest; `end` is to follow."""
        cdef unsigned int largest
        if not 0 < nr_samples <= MAX_SCANS:
            raise ValueError(f"an aggregation interval holds 1 to {MAX_SCANS} scans, not {nr_samples}")
        with nogil:
            largest = page_heat_sum_up(self._heat, nr_samples)
        return largest

    def end(self, unsigned int threshold):
        """Update the ages as `Regions.update_ages` does, return the runs of equal pages, and begin the next interval.

        Returns ``(start, end: uint64[n], nr_accesses, age: uint32[n], unknown: bool[n])``; together they are all that
        is mapped.
        """
        cdef const heat_run *runs
        cdef size_t n, i
        cdef int error
        with nogil:
            error = page_heat_end(self._heat, threshold, &runs, &n)
        if error:
            raise MemoryError
        start, end = np.empty(n, dtype=np.uint64), np.empty(n, dtype=np.uint64)
        nr_accesses, age = np.empty(n, dtype=np.uint32), np.empty(n, dtype=np.uint32)
        unknown = np.empty(n, dtype=np.bool_)
        cdef uint64_t[::1] starts = start, ends = end
        cdef uint32_t[::1] counts = nr_accesses, ages = age
        cdef unsigned char[::1] unknowns = unknown.view(np.uint8)
        for i in range(n):
            starts[i], ends[i] = runs[i].start, runs[i].end
            counts[i], ages[i] = runs[i].nr_accesses, runs[i].age
            unknowns[i] = runs[i].unknown
        return start, end, nr_accesses, age, unknown
