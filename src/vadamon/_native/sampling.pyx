# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What each sample of each region costs: picking an address, and counting what was found there.

NumPy can do both. But they are done 200 times a second, after a sleep in which the processor forgot NumPy's code: then
each of its calls takes ten times as long as in a benchmark.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from numpy.random cimport bitgen_t
from numpy.random.c_distributions cimport random_bounded_uint64

import numpy as np


def pick(object bit_generator, const uint64_t[::1] start, const uint64_t[::1] end):
    """Return an address in each range ``[start, end)``, the very ones that ``Generator.integers`` would draw."""
    cdef Py_ssize_t n = start.shape[0]
    cdef bitgen_t *state = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    if end.shape[0] != n:
        raise ValueError("arrays of unequal length")
    addresses = np.empty(n, dtype=np.uint64)
    cdef uint64_t[::1] picked = addresses
    for i in range(n):
        if start[i] >= end[i]:
            raise ValueError("a range is empty")
        picked[i] = random_bounded_uint64(state, start[i], end[i] - start[i] - 1, 0, False)
    return addresses


def count(
    const uint8_t[::1] accessed,
    const uint8_t[::1] void,
    const uint64_t[::1] addresses,
    const uint64_t[::1] page_sizes,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] nr_valid,
):
    """Count one sample of each region; see ``Regions.count``. ``void``, and the two before the last, may be None."""
    cdef Py_ssize_t n = nr_accesses.shape[0]
    cdef Py_ssize_t i, first = 0
    cdef uint64_t page, first_page = 0
    cdef bint has_voids = void is not None, has_pages = addresses is not None
    if (
        accessed.shape[0] != n
        or nr_valid.shape[0] != n
        or (has_voids and void.shape[0] != n)
        or (has_pages and (addresses.shape[0] != n or page_sizes.shape[0] != n))
    ):
        raise ValueError("arrays of unequal length")
    for i in range(n):
        if has_pages:
            page = addresses[i] & -max(page_sizes[i], <uint64_t>1)
            if i == 0 or page != first_page:
                first, first_page = i, page
        else:
            first = i
        if not (has_voids and void[first]):
            nr_valid[i] += 1
            nr_accesses[i] += accessed[first] != 0
