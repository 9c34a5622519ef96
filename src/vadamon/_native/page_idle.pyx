# cython: language_level=3, boundscheck=False, wraparound=False
"""The idle page bitmap of another process's pages: one native call a batch. The GIL is not held."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, realloc

cdef extern from "page_idle.h" nogil:
    struct page_idle:
        int pagemap
        int kpageflags
        int bitmap
    struct page_idle_sample:
        pass
    enum:
        IDLE_VALID
        IDLE_UNCLEARED
        IDLE_UNCHECKED
    int page_idle_mkold(const page_idle *files, const uint64_t *addresses, size_t n, page_idle_sample *samples,
                        uint8_t *voids)
    int page_idle_young(const page_idle *files, const uint64_t *addresses, size_t n, const page_idle_sample *samples,
                        uint8_t *voids, uint8_t *accessed, uint64_t *page_size)

# Reason codes in the `voids` arrays (see page_idle.h).
UNCLEARED = IDLE_UNCLEARED
UNCHECKED = IDLE_UNCHECKED


cdef class PageIdle:
    """Marks and checks pages through three open files, which stay the caller's. Arrays are contiguous, of equal length.

    Both calls return whether there is an address space behind the pagemap.
    """

    cdef page_idle _files
    cdef page_idle_sample *_samples
    cdef size_t _nr_samples

    def __cinit__(self, int kpageflags, int bitmap):
        self._files.kpageflags = kpageflags
        self._files.bitmap = bitmap

    def __dealloc__(self):
        free(self._samples)

    def mkold(self, int pagemap, const uint64_t[::1] addresses, uint8_t[::1] voids):
        """Mark the pages at sorted addresses idle; fill ``voids`` with 0 or the reason why a sample will tell nothing."""
        cdef size_t n = addresses.shape[0]
        cdef page_idle_sample *samples
        cdef int result
        if <size_t>voids.shape[0] != n:
            raise ValueError("arrays of unequal length")
        self._nr_samples = n
        if not n:
            return True
        samples = <page_idle_sample *>realloc(self._samples, n * sizeof(page_idle_sample))
        if samples is NULL:
            raise MemoryError
        self._samples = samples
        self._files.pagemap = pagemap
        with nogil:
            result = page_idle_mkold(&self._files, &addresses[0], n, samples, &voids[0])
        return result == 0

    def young(self, int pagemap, const uint64_t[::1] addresses, uint8_t[::1] voids, uint8_t[::1] accessed,
              uint64_t[::1] page_size):
        """Fill ``accessed`` (0 or 1) and ``page_size`` (bytes), for the addresses of the last `mkold`."""
        cdef size_t n = addresses.shape[0]
        cdef int result
        if not (<size_t>voids.shape[0] == n and <size_t>accessed.shape[0] == n and <size_t>page_size.shape[0] == n):
            raise ValueError("arrays of unequal length")
        if n != self._nr_samples:
            raise ValueError("these are not the addresses of the last mkold")
        if not n:
            return True
        self._files.pagemap = pagemap
        with nogil:
            result = page_idle_young(&self._files, &addresses[0], n, self._samples, &voids[0], &accessed[0],
                                     &page_size[0])
        return result == 0
