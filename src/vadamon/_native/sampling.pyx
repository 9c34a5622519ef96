# cython: language_level=3, boundscheck=False, wraparound=False
"""Picking sampling addresses, and counting what was found there.

NumPy can do both. But they are done 200 times a second, after a sleep in which the processor forgot NumPy's code: then
each of its calls takes ten times as long as in a benchmark.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from numpy.random cimport bitgen_t

import numpy as np

cdef extern from "sampling.h" nogil:
    struct found:
        size_t n
        const uint8_t *accessed
        const uint8_t *void_reason
        const uint64_t *addresses
        const uint64_t *page_sizes
    void pick_addresses(bitgen_t *rng, const uint64_t *start, const uint64_t *end, size_t n, uint64_t *addresses)
    void count_accesses(const found *found, uint32_t *nr_accesses, uint32_t *nr_valid)


def pick(object bit_generator, const uint64_t[::1] start, const uint64_t[::1] end):
    """Return an address in each range ``[start, end)``, none of them empty: those that ``Generator.integers`` draws."""
    cdef Py_ssize_t n = start.shape[0]
    cdef bitgen_t *rng = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    if end.shape[0] != n:
        raise ValueError("arrays of unequal length")
    addresses = np.empty(n, dtype=np.uint64)
    cdef uint64_t[::1] picked = addresses
    if n:
        pick_addresses(rng, &start[0], &end[0], n, &picked[0])
    return addresses


def count(
    const uint8_t[::1] accessed,
    const uint8_t[::1] void,
    const uint64_t[::1] addresses,
    const uint64_t[::1] page_sizes,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] nr_valid,
):
    """Count one sample of each region; see ``Regions.count``. ``void``, and the two that follow it, may be None."""
    cdef Py_ssize_t n = nr_accesses.shape[0]
    cdef found found
    if (
        accessed.shape[0] != n
        or nr_valid.shape[0] != n
        or (void is not None and void.shape[0] != n)
        or (addresses is not None and (addresses.shape[0] != n or page_sizes.shape[0] != n))
    ):
        raise ValueError("arrays of unequal length")
    if n:
        found.n = n
        found.accessed = &accessed[0]
        found.void_reason = NULL if void is None else &void[0]
        found.addresses = NULL if addresses is None else &addresses[0]
        found.page_sizes = NULL if addresses is None else &page_sizes[0]
        count_accesses(&found, &nr_accesses[0], &nr_valid[0])
