# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Memory traces, line by line: too many lines for Python.

Lines of lackey (``valgrind --tool=lackey --trace-mem=yes``) are ``I  ADDRESS,SIZE`` for an instruction, and `` L``,
`` S`` and `` M`` for a load, a store and both. Lines of ``perf script`` have ``SECONDS.FRACTION:`` somewhere, then
perhaps a period and the name of an event that ends with a colon, then the address. Lines that are neither, such as what
the traced program printed in between, are passed over, and so are accesses to addresses that no program maps.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memchr, memcpy

import numpy as np


cdef enum:
    PAGE_SHIFT = 12
    USER_ADDRESS_BITS = 47
    LACKEY = 0
    PERF_SCRIPT = 1

FORMATS = {"lackey": LACKEY, "perf-script": PERF_SCRIPT}


cdef struct Access:
    uint64_t first
    uint64_t last
    bint is_instruction
    int64_t time_ns


cdef struct PageSet:
    # Open addressing. A slot is taken where its stamp is that of now, so that all can be given up at once.
    uint64_t *slots
    uint32_t *stamps
    uint64_t mask
    uint32_t stamp
    uint64_t *pages
    uint64_t nr_pages


cdef inline int hex_digit(char c) noexcept nogil:
    if c'0' <= c <= c'9':
        return c - c'0'
    if c'a' <= c <= c'f':
        return c - c'a' + 10
    return -1


cdef inline const char *parse_hex(const char *at, const char *end, uint64_t *value) noexcept nogil:
    """Read 1 to 16 hexadecimal digits; return what stands behind them, or NULL where there are none, or more."""
    cdef const char *begin = at
    cdef uint64_t result = 0
    cdef int digit
    while at < end and (digit := hex_digit(at[0])) >= 0:
        result = result << 4 | <uint64_t>digit
        at += 1
    if at == begin or at - begin > 16:
        return NULL
    value[0] = result
    return at


cdef inline const char *parse_decimal(const char *at, const char *end, uint64_t *value) noexcept nogil:
    """As `parse_hex`, for 1 to 18 decimal digits."""
    cdef const char *begin = at
    cdef uint64_t result = 0
    while at < end and c'0' <= at[0] <= c'9':
        result = result * 10 + <uint64_t>(at[0] - c'0')
        at += 1
    if at == begin or at - begin > 18:
        return NULL
    value[0] = result
    return at


cdef inline bint parse_lackey(const char *at, const char *end, Access *access) noexcept nogil:
    cdef uint64_t address, size
    if end - at < 6 or at[2] != c' ':
        return False
    access.is_instruction = at[0] == c'I'
    if access.is_instruction:
        if at[1] != c' ':
            return False
    elif at[0] != c' ' or (at[1] != c'L' and at[1] != c'S' and at[1] != c'M'):
        return False
    at = parse_hex(at + 3, end, &address)
    if at == NULL or at == end or at[0] != c',':
        return False
    at = parse_decimal(at + 1, end, &size)
    if at != end or size == 0 or size > 1 << 20:
        return False
    if address >> USER_ADDRESS_BITS or (address + size - 1) >> USER_ADDRESS_BITS:
        return False
    access.first = address
    access.last = address + size - 1
    return True


cdef inline const char *next_token(const char **at, const char *end) noexcept nogil:
    """Move ``at`` to the next token; return its end, NULL where there is none."""
    cdef const char *token = at[0]
    while token < end and (token[0] == c' ' or token[0] == c'\t'):
        token += 1
    if token == end:
        return NULL
    at[0] = token
    while token < end and token[0] != c' ' and token[0] != c'\t':
        token += 1
    return token


cdef inline bint parse_seconds(const char *at, const char *end, int64_t *time_ns) noexcept nogil:
    """Read ``SECONDS.FRACTION:``."""
    cdef uint64_t seconds, fraction
    cdef const char *point
    cdef int digits
    if end[-1] != c':':
        return False
    point = parse_decimal(at, end, &seconds)
    if point == NULL or point[0] != c'.' or seconds > <uint64_t>9_000_000_000:
        return False
    if parse_decimal(point + 1, end, &fraction) != end - 1:
        return False
    digits = <int>(end - point - 2)
    if digits > 9:
        return False
    for _ in range(9 - digits):
        fraction *= 10
    time_ns[0] = <int64_t>(seconds * <uint64_t>1_000_000_000 + fraction)
    return True


cdef inline bint parse_perf_script(const char *at, const char *end, Access *access) noexcept nogil:
    cdef const char *token_end = at
    cdef const char *event
    cdef const char *event_end
    cdef uint64_t address
    while True:
        at = token_end
        token_end = next_token(&at, end)
        if token_end == NULL:
            return False
        if parse_seconds(at, token_end, &access.time_ns):
            break
    at = token_end
    token_end = next_token(&at, end)
    if token_end == NULL:
        return False
    # An event is the first token, or, behind a period, the second.
    event, event_end = at, token_end
    if event_end[-1] != c':':
        event = event_end
        event_end = next_token(&event, end)
    if event_end != NULL and event_end[-1] == c':':
        at = event_end
        token_end = next_token(&at, end)
        if token_end == NULL:
            return False
    # Where a sample has no address, perf tells 0.
    if parse_hex(at, token_end, &address) != token_end or address == 0 or address >> USER_ADDRESS_BITS:
        return False
    access.first = access.last = address
    access.is_instruction = False
    return True


cdef int resize(PageSet *pages, uint64_t nr_slots) noexcept nogil:
    """Make room; keep the pages that are in the set. Return -1 where there is no memory."""
    cdef uint64_t *slots = <uint64_t *>malloc(nr_slots * sizeof(uint64_t))
    cdef uint32_t *stamps = <uint32_t *>calloc(nr_slots, sizeof(uint32_t))
    cdef uint64_t *kept = <uint64_t *>realloc(pages.pages, nr_slots // 2 * sizeof(uint64_t))
    cdef uint64_t i, slot
    if kept != NULL:
        pages.pages = kept
    if slots == NULL or stamps == NULL or kept == NULL:
        free(slots)
        free(stamps)
        return -1
    free(pages.slots)
    free(pages.stamps)
    pages.slots = slots
    pages.stamps = stamps
    pages.mask = nr_slots - 1
    pages.stamp = 1
    for i in range(pages.nr_pages):
        slot = find(pages, pages.pages[i])
        slots[slot] = pages.pages[i]
        stamps[slot] = 1
    return 0


cdef inline uint64_t find(PageSet *pages, uint64_t page) noexcept nogil:
    """Return the slot of a page, or the free one where it belongs."""
    cdef uint64_t slot = (page * <uint64_t>0x9E3779B97F4A7C15) >> 32 & pages.mask
    while pages.stamps[slot] == pages.stamp and pages.slots[slot] != page:
        slot = slot + 1 & pages.mask
    return slot


cdef inline int insert(PageSet *pages, uint64_t page) noexcept nogil:
    cdef uint64_t slot = find(pages, page)
    if pages.stamps[slot] == pages.stamp:
        return 0
    pages.slots[slot] = page
    pages.stamps[slot] = pages.stamp
    pages.pages[pages.nr_pages] = page
    pages.nr_pages += 1
    if pages.nr_pages > pages.mask // 2:
        return resize(pages, 2 * (pages.mask + 1))
    return 0


cdef class TraceParser:
    """Reads the accesses of a trace as time goes by.

    Time is in nanoseconds from the first access on. ``format`` is a key of `FORMATS`. In a trace of lackey each
    instruction takes ``instruction_ns``; one of ``perf script`` has times. Give it whole lines with `feed`, run it with
    `advance` up to a time, and get what was accessed with `take`.
    """

    cdef readonly uint64_t nr_instructions
    cdef readonly uint64_t nr_accesses
    cdef int _format
    cdef int64_t _instruction_ns
    cdef int64_t _first_ns
    cdef bytes _lines
    cdef Py_ssize_t _position
    cdef PageSet _pages

    def __cinit__(self, str format, int64_t instruction_ns):
        self._format = FORMATS[format]
        self._instruction_ns = instruction_ns
        self._first_ns = -1
        self._lines = b""
        if resize(&self._pages, 1 << 10):
            raise MemoryError

    def __dealloc__(self):
        free(self._pages.slots)
        free(self._pages.stamps)
        free(self._pages.pages)

    def feed(self, bytes lines):
        """Go on with these lines, once `advance` has returned False."""
        self._lines = lines
        self._position = 0

    def advance(self, int64_t until_ns):
        """Take in the accesses before ``until_ns``; return False where the lines ended before that time."""
        cdef const char *begin = PyBytes_AS_STRING(self._lines)
        cdef const char *end = begin + PyBytes_GET_SIZE(self._lines)
        cdef const char *at = begin + self._position
        cdef int status
        with nogil:
            status = self._run(&at, end, until_ns)
        self._position = at - begin
        if status < 0:
            raise MemoryError
        return status == 1

    cdef int _run(self, const char **position, const char *end, int64_t until_ns) noexcept nogil:
        """Return 1 where the time has come, 0 where the lines have ended, -1 where there is no memory."""
        cdef const char *at = position[0]
        cdef const char *line_end
        cdef Access access
        cdef bint is_access
        cdef uint64_t page
        cdef int status = 0
        while at < end:
            line_end = <const char *>memchr(at, c'\n', end - at)
            if line_end == NULL:
                line_end = end
            if self._format == LACKEY:
                is_access = parse_lackey(at, line_end, &access)
                if is_access and access.is_instruction:
                    if <int64_t>self.nr_instructions * self._instruction_ns >= until_ns:
                        status = 1
                        break
                    self.nr_instructions += 1
            else:
                is_access = parse_perf_script(at, line_end, &access)
                if is_access:
                    if self._first_ns < 0:
                        self._first_ns = access.time_ns
                    if access.time_ns - self._first_ns >= until_ns:
                        status = 1
                        break
            at = line_end + 1
            if not is_access:
                continue
            self.nr_accesses += 1
            for page in range(access.first >> PAGE_SHIFT, (access.last >> PAGE_SHIFT) + 1):
                if insert(&self._pages, page):
                    position[0] = min(at, end)
                    return -1
        position[0] = min(at, end)
        return status

    def take(self):
        """Return the start addresses of the pages that were accessed since the last call (uint64[n], unsorted)."""
        cdef uint64_t n = self._pages.nr_pages
        pages = np.empty(n, dtype=np.uint64)
        cdef uint64_t[::1] view = pages
        if n:
            memcpy(&view[0], self._pages.pages, n * sizeof(uint64_t))
        self._pages.nr_pages = 0
        self._pages.stamp += 1
        if self._pages.stamp == 0:  # so many calls that old stamps would count again
            if resize(&self._pages, self._pages.mask + 1):
                raise MemoryError
        return pages << np.uint64(PAGE_SHIFT)
