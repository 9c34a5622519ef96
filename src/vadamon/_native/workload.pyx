# cython: language_level=3
"""The memory and the accesses of `vadamon.workload`."""

import os

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free


cdef extern from "workload.h" nogil:
    enum workload_area_kind:
        WORKLOAD_PRIVATE
        WORKLOAD_HUGE
        WORKLOAD_SHARED
        WORKLOAD_FILE
        WORKLOAD_HUGETLB
        WORKLOAD_MLOCKED
    enum workload_pattern_kind:
        WORKLOAD_SWEEP
        WORKLOAD_STREAM
        WORKLOAD_RANDOM
    struct workload_pattern:
        workload_pattern_kind kind
        int64_t number
        uint64_t start, length, period_ns, stride, move_every_ns, nr_windows
    int workload_die_with_parent(int parent)
    int workload_map(workload_area_kind kind, uint64_t size, int fd, uint64_t *start)
    int workload_populate(int log_fd, workload_area_kind kind, uint64_t start, uint64_t size)
    void workload_touch(uint64_t start, uint64_t size)
    int workload_run(int log_fd, workload_pattern *patterns, size_t nr_patterns)


AREA_KINDS = {
    "private": WORKLOAD_PRIVATE,
    "huge": WORKLOAD_HUGE,
    "shared": WORKLOAD_SHARED,
    "file": WORKLOAD_FILE,
    "hugetlb": WORKLOAD_HUGETLB,
    "mlocked": WORKLOAD_MLOCKED,
}
PATTERN_KINDS = {"sweep": WORKLOAD_SWEEP, "stream": WORKLOAD_STREAM, "random": WORKLOAD_RANDOM}


cdef check(int error):
    if error < 0:
        raise OSError(-error, os.strerror(-error))


def die_with_parent(int parent):
    """Have this process killed when the thread that started it ends; ProcessLookupError where it ended already."""
    check(workload_die_with_parent(parent))


def map_area(kind, uint64_t size, int fd=-1):
    """Map an area of ``size`` bytes, aligned to 2 MiB with unmapped memory on both sides; return its address.

    ``fd`` is the file of an area of kind "file". OSError as of mmap, madvise and mlock.
    """
    cdef uint64_t start = 0
    cdef workload_area_kind native_kind = AREA_KINDS[kind]
    check(workload_map(native_kind, size, fd, &start))
    return start


def populate(int log_fd, kind, uint64_t start, uint64_t size):
    """Fault in every page of an area and log that."""
    cdef workload_area_kind native_kind = AREA_KINDS[kind]
    cdef int error
    with nogil:
        error = workload_populate(log_fd, native_kind, start, size)
    check(error)


def touch(uint64_t start, uint64_t size):
    """Read one byte of every page."""
    with nogil:
        workload_touch(start, size)


def run(int log_fd, patterns):
    """Run patterns in this thread, without the GIL, until a signal ends the process; OSError where the log cannot grow.

    ``patterns``: tuples of kind, number, start, length, period_ns, stride, move_every_ns, nr_windows. A record is
    appended to ``log_fd`` (open with O_APPEND) after each sweep, and after each slice of a busy pattern.
    """
    cdef size_t n = len(patterns)
    cdef int error
    cdef workload_pattern *native = <workload_pattern *>calloc(n + 1, sizeof(workload_pattern))
    if native == NULL:
        raise MemoryError
    try:
        for i, (kind, number, start, length, period_ns, stride, move_every_ns, nr_windows) in enumerate(patterns):
            native[i].kind = PATTERN_KINDS[kind]
            native[i].number = number
            native[i].start = start
            native[i].length = length
            native[i].period_ns = period_ns
            native[i].stride = stride
            native[i].move_every_ns = move_every_ns
            native[i].nr_windows = nr_windows
        with nogil:
            error = workload_run(log_fd, native, n)
        check(error)
    finally:
        free(native)
