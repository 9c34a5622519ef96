# cython: language_level=3, boundscheck=False, wraparound=False
"""Accessed bits of another process: one native call prepares all samples, one checks them. The GIL is not held."""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from numpy.random cimport bitgen_t

import numpy as np

from vadamon.errors import VadamonError

cdef extern from "page_table/page_table.h" nogil:
    struct page_table:
        pass
    struct mkold_summary:
        uint32_t refs_file
        uint32_t refs_anon
        uint32_t refs_young
        uint32_t present
    enum:
        VOID_REFS
        VOID_UNCLEARED
        VOID_UNCHECKED
        PT_OK
        PT_GONE
        PT_CHANGED
        PT_NO_SCAN
    page_table *page_table_open(int pid, int tid, double flush_budget, char *error, size_t size)
    void page_table_close(page_table *pt)
    int page_table_attach(page_table *pt, int tid, char *error, size_t size)
    int page_table_mkold(page_table *pt, const uint64_t *addresses, size_t n, bint may_clear_refs, uint8_t *voids,
                         mkold_summary *summary)
    struct young:
        const uint64_t *addresses
        size_t n
        uint8_t *voids
        uint8_t *accessed
        uint64_t *page_size
        bint unprepared
    int page_table_young(page_table *pt, const young *young)
    enum stage:
        pass
    enum:
        MAX_ROUND_REGIONS_ "MAX_ROUND_REGIONS"
    struct round_target:
        page_table *pt
        size_t n
        const uint64_t *region_start
        const uint64_t *region_end
        uint32_t *nr_accesses
        uint32_t *nr_valid
        uint64_t clear_refs_from_ns
        uint64_t *addresses
        uint64_t *page_sizes
        uint8_t *voids
        uint8_t *accessed
        uint64_t nr_void[5]
    struct rounds:
        round_target *targets
        size_t nr_targets
        bitgen_t *rng
        uint64_t start_ns
        uint64_t sample_ns
        int64_t now
        int64_t end
        uint64_t until_ns
        uint32_t nr_samples
        uint32_t nr_late
        int64_t last
        int64_t due
        size_t nr_done
    stage page_table_rounds(rounds *rounds)
    struct run:
        pass
    struct runs:
        run *run
        size_t nr
    struct scan_result:
        runs young
        runs refs
        runs uncleared
        bint complete
        uint64_t resident
        uint64_t failed_reads
        uint64_t begin_ns
        uint64_t end_ns
        bint refs_file
        bint refs_anon
    int page_table_scan(page_table *pt, const uint64_t *start, const uint64_t *end, size_t n, bint clear,
                        const scan_result **result)
    void page_table_identity(const page_table *pt, uint64_t *mm, uint64_t *exec_id)

# Reason codes in the `voids` arrays (see page_table.h).
NEEDS_CLEAR_REFS = VOID_REFS
UNCLEARED = VOID_UNCLEARED
UNCHECKED = VOID_UNCHECKED

OK = PT_OK
GONE = PT_GONE
CHANGED = PT_CHANGED

MAX_ROUND_REGIONS = MAX_ROUND_REGIONS_


cdef runs_to_array(const runs *runs):
    """Return runs as an array of start, end and page size in bytes, uint64[n, 3]."""
    array = np.empty((runs.nr, 3), dtype=np.uint64)
    cdef uint64_t[:, ::1] view = array
    if runs.nr:
        memcpy(&view[0, 0], runs.run, runs.nr * sizeof(run))
    return array


cdef class ScanResult:
    """What one scan has found; see ``struct scan_result`` of page_table.h. Runs are uint64[n, 3], start, end, page size."""

    cdef readonly object young, refs, uncleared
    cdef readonly uint64_t resident, failed_reads, begin_ns, end_ns
    cdef readonly bint complete, refs_file, refs_anon


cdef scan_result_of(const scan_result *found):
    cdef ScanResult result = ScanResult()
    result.young = runs_to_array(&found.young)
    result.refs = runs_to_array(&found.refs)
    result.uncleared = runs_to_array(&found.uncleared)
    result.complete = found.complete
    result.resident, result.failed_reads = found.resident, found.failed_reads
    result.begin_ns, result.end_ns = found.begin_ns, found.end_ns
    result.refs_file, result.refs_anon = found.refs_file, found.refs_anon
    return result


cdef class PageTable:
    """The page table of one process, seen through one of its threads.

    Every call returns `OK`, `GONE` (this thread has no address space any more) or `CHANGED` (it has another one than
    when it was attached). Arrays must be contiguous and of equal length.
    """

    cdef page_table *_pt
    cdef mkold_summary _summary

    def __cinit__(self, int pid, int tid, double flush_budget):
        cdef char error[256]
        with nogil:
            self._pt = page_table_open(pid, tid, flush_budget, error, sizeof(error))
        if self._pt is NULL:
            raise VadamonError(error.decode())

    def __dealloc__(self):
        page_table_close(self._pt)

    def close(self):
        """Let go of the process; the object cannot be used afterwards."""
        page_table_close(self._pt)
        self._pt = NULL

    def attach(self, int tid):
        """Look through this thread from now on."""
        cdef char error[256]
        cdef int result
        self._check_open()
        with nogil:
            result = page_table_attach(self._pt, tid, error, sizeof(error))
        if result not in (PT_OK, PT_GONE, PT_CHANGED):
            raise VadamonError(error.decode())
        return result

    def mkold(self, const uint64_t[::1] addresses, uint8_t[::1] voids):
        """Clear the accessed bits; fill ``voids`` with 0 or the reason why a sample will tell nothing."""
        cdef size_t n = addresses.shape[0]
        cdef int result = PT_OK
        self._check_open()
        if <size_t>voids.shape[0] != n:
            raise ValueError("arrays of unequal length")
        if n:
            with nogil:
                result = page_table_mkold(self._pt, &addresses[0], n, False, &voids[0], &self._summary)
        return self._check(result)

    def young(self, const uint64_t[::1] addresses, uint8_t[::1] voids, uint8_t[::1] accessed, uint64_t[::1] page_size,
              bint unprepared=False):
        """Fill ``accessed`` (0 or 1) and ``page_size`` (bytes), and give reclaim back what `mkold` took.

        With ``unprepared`` the addresses are any, looked at soon after clear_refs cleared the pages that need it.
        """
        cdef size_t n = addresses.shape[0]
        cdef int result = PT_OK
        cdef young check
        self._check_open()
        if not (<size_t>voids.shape[0] == n and <size_t>accessed.shape[0] == n and <size_t>page_size.shape[0] == n):
            raise ValueError("arrays of unequal length")
        if n:
            check = young(&addresses[0], n, &voids[0], &accessed[0], &page_size[0], unprepared)
            with nogil:
                result = page_table_young(self._pt, &check)
        return self._check(result)

    cdef void fill(
        self,
        round_target *target,
        regions,
        uint64_t clear_refs_from_ns,
        uint64_t[::1] addresses,
        uint8_t[::1] voids,
        uint8_t[::1] accessed,
        uint64_t[::1] page_size,
    ) except *:
        """Lay out what `take_rounds` needs of this one. All arrays are the caller's, who keeps them."""
        cdef const uint64_t[::1] start = regions.start, end = regions.end
        cdef uint32_t[::1] nr_accesses = regions.nr_accesses, nr_valid = regions.nr_valid
        cdef size_t n = start.shape[0]
        self._check_open()
        for length in (end.shape[0], nr_accesses.shape[0], nr_valid.shape[0], addresses.shape[0], voids.shape[0],
                       accessed.shape[0], page_size.shape[0]):
            if <size_t>length != n:
                raise ValueError("arrays of unequal length")
        if not 0 < n <= MAX_ROUND_REGIONS_:
            raise ValueError(f"{n} regions, not 1 to {MAX_ROUND_REGIONS_}")
        target.pt, target.n = self._pt, n
        target.region_start, target.region_end = &start[0], &end[0]
        target.nr_accesses, target.nr_valid = &nr_accesses[0], &nr_valid[0]
        target.clear_refs_from_ns = clear_refs_from_ns
        target.addresses, target.page_sizes = &addresses[0], &page_size[0]
        target.voids, target.accessed = &voids[0], &accessed[0]
        target.nr_void = [0, 0, 0, 0, 0]

    def scan(self, const uint64_t[::1] start, const uint64_t[::1] end, bint clear):
        """Look at every page of ranges (sorted), and with ``clear`` clear those that are young.

        Returns ``(OK, ScanResult)``, or ``(GONE or CHANGED, None)``.
        """
        cdef size_t n = start.shape[0]
        cdef int result
        cdef const scan_result *found
        self._check_open()
        if <size_t>end.shape[0] != n:
            raise ValueError("arrays of unequal length")
        with nogil:
            result = page_table_scan(self._pt, &start[0] if n else NULL, &end[0] if n else NULL, n, clear, &found)
        if result == PT_NO_SCAN:
            raise VadamonError("every page cannot be scanned on this kernel: it refuses the eBPF program for that, or its struct page has not 64 bytes")
        return self._check(result), scan_result_of(found) if result == PT_OK else None

    @property
    def refs(self):
        """Of the last `mkold`, samples that only clear_refs clears: (in file mappings, in others, of these young)."""
        return self._summary.refs_file, self._summary.refs_anon, self._summary.refs_young

    @property
    def present(self):
        """Of the last `mkold`, samples that had an ordinary page."""
        return self._summary.present

    @property
    def identity(self):
        """Which address space it is: two numbers that both stay the same until ``execve``."""
        cdef uint64_t mm, exec_id
        self._check_open()
        page_table_identity(self._pt, &mm, &exec_id)
        return mm, exec_id

    cdef _check_open(self):
        if self._pt is NULL:
            raise ValueError("the page table is closed")

    cdef _check(self, int result):
        if result not in (PT_OK, PT_GONE, PT_CHANGED):
            raise VadamonError("the eBPF program could not be run, or memory is out")
        return result


def take_rounds(list targets, object bit_generator, schedule):
    """Take samples of regions (1 to `MAX_ROUND_REGIONS` each) of several processes, and count them, by a ``base.Schedule``.

    A target is ``(PageTable, regions, clear_refs_from_ns, addresses, voids, accessed, page_size)``. Returns
    ``(stage, nr_done, nr_samples, nr_late, last, due, now, nr_void)``. The stage is a ``base.Stage``; of a round that is
    under way the arrays hold the addresses and voids. ``nr_void`` is int64[len(targets), 5], by reason.
    """
    cdef rounds r
    cdef stage found
    cdef size_t i
    cdef PageTable page_table
    r.nr_targets = len(targets)
    r.rng = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    r.start_ns, r.sample_ns = schedule.start_ns, schedule.sample_ns
    r.now, r.end, r.until_ns = schedule.now, schedule.end, schedule.until_ns
    r.nr_samples = r.nr_late = 0
    r.last = r.due = schedule.now
    r.nr_done = 0
    r.targets = <round_target *>malloc(r.nr_targets * sizeof(round_target))
    if r.targets is NULL:
        raise MemoryError
    try:
        for i in range(r.nr_targets):
            page_table, regions, clear_refs_from_ns, addresses, voids, accessed, page_size = targets[i]
            page_table.fill(&r.targets[i], regions, clear_refs_from_ns, addresses, voids, accessed, page_size)
        with nogil:
            found = page_table_rounds(&r)
        nr_void = np.array([r.targets[i].nr_void for i in range(r.nr_targets)], dtype=np.int64)
    finally:
        free(r.targets)
    return found, r.nr_done, r.nr_samples, r.nr_late, r.last, r.due, r.now, nr_void
