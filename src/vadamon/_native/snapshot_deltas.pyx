# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The snapshots of one target as small numbers, and back: each is told by what changed since the one before it."""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

# The lowest bits of a border's code. The others are 0 for a border that the snapshot before does not have, and else how
# many of its borders are passed over, plus 1.
cdef enum:
    UNKNOWN = 1  # of the region that begins here
    LAST = 2  # no region begins here: one ends, and the next, if any, begins elsewhere
    FLAG_BITS = 2

cdef enum:
    AGE_IS_ONE_MORE = 0
    AGE_IS_ZERO = 1
    AGE_DIFFERS = 2


def pack(const uint64_t[::1] values):
    """Return ``values`` as bytes: 7 bits in each, lowest first; the high bit says that more follow (LEB128)."""
    cdef Py_ssize_t n = values.shape[0]
    cdef Py_ssize_t i, written = 0
    cdef uint64_t value
    data = np.empty(10 * n, np.uint8)
    cdef uint8_t[::1] out = data
    with nogil:
        for i in range(n):
            value = values[i]
            while value >= 0x80:
                out[written] = <uint8_t>(value | 0x80)
                written += 1
                value >>= 7
            out[written] = <uint8_t>value
            written += 1
    return data[:written].tobytes()


def unpack(const uint8_t[::1] data):
    """Return what `pack` was given. Raises ValueError where the last number is cut off or one is too long."""
    cdef Py_ssize_t size = data.shape[0]
    cdef Py_ssize_t i, n = 0
    cdef uint64_t value = 0
    cdef int shift = 0
    for i in range(size):
        n += data[i] < 0x80
    values = np.empty(n, np.uint64)
    cdef uint64_t[::1] out = values
    n = 0
    with nogil:
        for i in range(size):
            if data[i] < 0x80 and shift == 0:
                out[n] = data[i]
                n += 1
                continue
            if shift > 63:
                break
            value |= <uint64_t>(data[i] & 0x7F) << shift
            shift += 7
            if data[i] < 0x80:
                out[n] = value
                n += 1
                value = 0
                shift = 0
    if shift:
        raise ValueError("a number is cut off or too long")
    return values


cdef inline uint32_t zigzag(uint32_t difference) noexcept nogil:
    """Return a small number for a small difference of either sign."""
    return (difference << 1) ^ <uint32_t>(<int32_t>difference >> 31)


cdef inline uint32_t unzigzag(uint32_t code) noexcept nogil:
    return (code >> 1) ^ (0 - (code & 1))


cdef Py_ssize_t most_borders(const int64_t[::1] offsets) noexcept nogil:
    cdef Py_ssize_t k, most = 0
    for k in range(offsets.shape[0] - 1):
        most = max(most, offsets[k + 1] - offsets[k])
    return 2 * most


cdef struct Borders:
    uint64_t *at
    Py_ssize_t n


# A walk, from low to high, over the borders of a snapshot beside those of the snapshot before it.
cdef struct Known:
    Borders before
    Borders now
    Py_ssize_t passed  # of those before, up to and with the last that was met again


cdef inline void next_snapshot(Known *known) noexcept nogil:
    known.before, known.now = known.now, known.before
    known.now.n = 0
    known.passed = 0


cdef int allocate(Known *known, Py_ssize_t most) except -1:
    known.before.n = known.now.n = known.passed = 0
    known.before.at = <uint64_t *>malloc(max(most, 1) * sizeof(uint64_t))
    known.now.at = <uint64_t *>malloc(max(most, 1) * sizeof(uint64_t))
    if known.before.at == NULL or known.now.at == NULL:
        release(known)
        raise MemoryError
    return 0


cdef void release(Known *known) noexcept:
    free(known.before.at)
    free(known.now.at)


def to_deltas(
    const int64_t[::1] offsets,
    const uint64_t[::1] start,
    const uint64_t[::1] end,
    const uint32_t[::1] nr_accesses,
    const uint32_t[::1] age,
    const uint8_t[::1] unknown,
):
    """Return ``(codes, borders, nr_accesses, age)`` of n snapshots (`offsets` int64[n + 1]), each uint64.

    There is a code for each border of each snapshot: where a region begins, and where one ends that the next does not
    touch. ``borders`` has how far those that the snapshot before does not have lie from the border before them (the
    first: from 0). Accesses are the difference to those of the region before in which the region begins, ages to what
    that would have come to by now.
    """
    cdef Py_ssize_t nr_snapshots = offsets.shape[0] - 1
    cdef Py_ssize_t nr_regions = start.shape[0]
    code_values = np.empty(2 * nr_regions, np.uint64)
    border_values = np.empty(2 * nr_regions, np.uint64)
    access_values = np.empty(nr_regions, np.uint64)
    age_values = np.empty(nr_regions, np.uint64)
    cdef uint64_t[::1] codes = code_values
    cdef uint64_t[::1] borders = border_values
    cdef uint64_t[::1] accesses = access_values
    cdef uint64_t[::1] ages = age_values
    cdef Py_ssize_t nr_codes = 0, nr_borders = 0
    cdef Py_ssize_t k, i, side, met, first, last, parent, parents_first = 0, parents_last = 0
    cdef uint64_t position, flags
    cdef uint32_t accesses_before, age_before
    cdef Known known
    allocate(&known, most_borders(offsets))
    with nogil:
        for k in range(nr_snapshots):
            first, last = offsets[k], offsets[k + 1]
            parent = parents_first
            met = 0
            for i in range(first, last):
                while parent + 1 < parents_last and start[parent + 1] <= start[i]:
                    parent += 1
                accesses_before = nr_accesses[parent] if parent < parents_last else 0
                age_before = age[parent] if parent < parents_last else 0
                accesses[i] = zigzag(nr_accesses[i] - accesses_before)
                if age[i] == <uint32_t>(age_before + 1):
                    ages[i] = AGE_IS_ONE_MORE
                elif age[i] == 0:
                    ages[i] = AGE_IS_ZERO
                else:
                    ages[i] = <uint64_t>zigzag(age[i] - (age_before + 1)) + AGE_DIFFERS
                for side in range(2):
                    if side == 0:
                        position, flags = start[i], UNKNOWN if unknown[i] else 0
                    elif i + 1 < last and start[i + 1] == end[i]:
                        break
                    else:
                        position, flags = end[i], LAST
                    while met < known.before.n and known.before.at[met] < position:
                        met += 1
                    if met < known.before.n and known.before.at[met] == position:
                        codes[nr_codes] = <uint64_t>(met + 1 - known.passed) << FLAG_BITS | flags
                        met += 1
                        known.passed = met
                    else:
                        codes[nr_codes] = flags
                        borders[nr_borders] = position - (known.now.at[known.now.n - 1] if known.now.n else 0)
                        nr_borders += 1
                    nr_codes += 1
                    known.now.at[known.now.n] = position
                    known.now.n += 1
            parents_first, parents_last = first, last
            next_snapshot(&known)
    release(&known)
    return code_values[:nr_codes], border_values[:nr_borders], access_values, age_values


def from_deltas(
    const int64_t[::1] offsets,
    const uint64_t[::1] codes,
    const uint64_t[::1] borders,
    const uint64_t[::1] accesses,
    const uint64_t[::1] ages,
    uint64_t[::1] start,
    uint64_t[::1] end,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] age,
    uint8_t[::1] unknown,
):
    """Undo `to_deltas`, into the last five arrays, which hold ``offsets[n]`` regions, as do ``accesses`` and ``ages``.

    Raises ValueError where the codes are not those of regions that are sorted and do not overlap.
    """
    cdef Known known
    cdef bint whole
    allocate(&known, most_borders(offsets))
    with nogil:
        whole = restore(
            &known, offsets, codes, borders, accesses, ages, start, end, nr_accesses, age, unknown
        )
    release(&known)
    if not whole:
        raise ValueError("these are not regions")


cdef bint restore(
    Known *known,
    const int64_t[::1] offsets,
    const uint64_t[::1] codes,
    const uint64_t[::1] borders,
    const uint64_t[::1] accesses,
    const uint64_t[::1] ages,
    uint64_t[::1] start,
    uint64_t[::1] end,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] age,
    uint8_t[::1] unknown,
) noexcept nogil:
    cdef Py_ssize_t nr_codes = codes.shape[0], nr_borders = borders.shape[0]
    cdef Py_ssize_t next_code = 0, next_border = 0
    cdef Py_ssize_t k, i, last, parent, parents_first = 0, parents_last = 0
    cdef uint64_t code, steps, position, before
    cdef bint is_open
    for k in range(offsets.shape[0] - 1):
        i, last = offsets[k], offsets[k + 1]
        parent = parents_first
        is_open = False
        while i < last or is_open:
            if next_code == nr_codes or known.now.n == 2 * (last - offsets[k]):
                return False
            code = codes[next_code]
            next_code += 1
            steps = code >> FLAG_BITS
            before = known.now.at[known.now.n - 1] if known.now.n else 0
            if steps:
                if steps > <uint64_t>(known.before.n - known.passed):
                    return False
                known.passed += steps
                position = known.before.at[known.passed - 1]
            else:
                if next_border == nr_borders:
                    return False
                position = before + borders[next_border]
                next_border += 1
                if position < before:
                    return False
            if known.now.n and position <= before:
                return False
            known.now.at[known.now.n] = position
            known.now.n += 1

            if is_open:
                end[i] = position
                i += 1
            elif code & LAST:
                return False
            is_open = not code & LAST
            if not is_open:
                continue
            if i == last:
                return False
            start[i] = position
            unknown[i] = code & UNKNOWN
            while parent + 1 < parents_last and start[parent + 1] <= position:
                parent += 1
            nr_accesses[i] = unzigzag(<uint32_t>accesses[i]) + (nr_accesses[parent] if parent < parents_last else 0)
            if ages[i] == AGE_IS_ZERO:
                age[i] = 0
            else:
                age[i] = 1 + (age[parent] if parent < parents_last else 0)
                if ages[i] >= AGE_DIFFERS:
                    age[i] += unzigzag(<uint32_t>(ages[i] - AGE_DIFFERS))
        parents_first, parents_last = offsets[k], last
        next_snapshot(known)
    return next_code == nr_codes and next_border == nr_borders
