# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The snapshots of one target as small numbers, and back: each is told by what changed since the one before it.

Numbers are bytes with 7 bits each, lowest first; the high bit says that more follow (LEB128).
"""

import numpy as np

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

# The lowest bits of a border's code. The others are 0 for a border that the snapshot before does not have, and else how
# many of its borders are passed over, plus 1.
cdef enum:
    UNKNOWN = 1  # of the region that begins here
    LAST = 2  # no region begins here: one ends, and the next, if any, begins elsewhere
    FLAG_BITS = 2

# Where a new border lies: FAR, and how far follows. Or it splits what was one region: SPLITS plus TWICE, where that was
# split before at a higher place, plus 2 times the tenth (from 0) of the first split, plus 18 times the old borders that
# are passed over; if TWICE, the tenth of the second follows.
cdef enum:
    FAR = 0
    SPLITS = 1
    TWICE = 1

cdef enum:
    AGE_AS_EXPECTED = 0
    AGE_AGAINST_EXPECTATION = 1
    AGE_DIFFERS = 2

cdef enum:
    LONGEST = 10  # bytes of a number

cdef uint64_t LARGEST = <uint64_t>-1


cdef inline uint8_t *put(uint8_t *at, uint64_t value) noexcept nogil:
    while value >= 0x80:
        at[0] = <uint8_t>(value | 0x80)
        at += 1
        value >>= 7
    at[0] = <uint8_t>value
    return at + 1


# A stream of numbers; where it ends too early it gives zeros, and says so at the end.
cdef struct Stream:
    const uint8_t *at
    const uint8_t *end
    bint failed


cdef inline uint64_t take(Stream *stream) noexcept nogil:
    if stream.at < stream.end and stream.at[0] < 0x80:
        stream.at += 1
        return stream.at[-1]
    return take_long(stream)


cdef uint64_t take_long(Stream *stream) noexcept nogil:
    cdef uint64_t value = 0
    cdef int shift = 0
    while stream.at < stream.end and shift < 64:
        value |= <uint64_t>(stream.at[0] & 0x7F) << shift
        shift += 7
        stream.at += 1
        if stream.at[-1] < 0x80:
            return value
    stream.failed = True
    return 0


cdef Stream stream_of(const uint8_t[::1] data) noexcept nogil:
    cdef Stream stream
    stream.at = &data[0] if data.shape[0] else NULL
    stream.end = stream.at + data.shape[0]
    stream.failed = False
    return stream


cdef inline bint is_whole(const Stream *stream) noexcept nogil:
    return not stream.failed and stream.at == stream.end


def pack(const uint64_t[::1] values):
    """Return ``values`` as bytes."""
    cdef Py_ssize_t i, n = values.shape[0]
    data = np.empty(LONGEST * n + 1, np.uint8)
    cdef uint8_t[::1] out = data
    cdef uint8_t *at = &out[0]
    with nogil:
        for i in range(n):
            at = put(at, values[i])
    return data[:at - &out[0]].tobytes()


def unpack(const uint8_t[::1] data, Py_ssize_t n):
    """Return the ``n`` values (uint64) that were packed. Raises ValueError where ``data`` is of any other number."""
    if n > data.shape[0]:
        raise ValueError("these are not so many numbers")
    values = np.empty(n, np.uint64)
    cdef uint64_t[::1] out = values
    cdef Stream stream = stream_of(data)
    cdef Py_ssize_t i
    with nogil:
        for i in range(n):
            out[i] = take(&stream)
    if not is_whole(&stream):
        raise ValueError("these are not so many numbers")
    return values


cdef inline uint32_t zigzag(uint32_t difference) noexcept nogil:
    """Return a small number for a small difference of either sign."""
    return (difference << 1) ^ <uint32_t>(<int32_t>difference >> 31)


cdef inline uint32_t unzigzag(uint32_t code) noexcept nogil:
    return (code >> 1) ^ (0 - (code & 1))


cdef inline uint64_t tenths(uint64_t size, uint64_t n, int shift) noexcept nogil:
    """Return n tenths of ``size`` without its lowest ``shift`` bits: where DAMON cuts a region, n being random."""
    return (size // 10 * n + size % 10 * n // 10) >> shift << shift


cdef inline bint age_starts_anew(uint32_t accesses, uint32_t accesses_before, uint32_t most_before) noexcept nogil:
    """Tell whether DAMON would: where accesses have changed by more than a tenth of the most that any region had."""
    cdef uint32_t change = (
        accesses - accesses_before if accesses > accesses_before else accesses_before - accesses
    )
    return change > most_before // 10


cdef Py_ssize_t most_borders(const int64_t[::1] offsets) noexcept nogil:
    cdef Py_ssize_t k, most = 0
    for k in range(offsets.shape[0] - 1):
        most = max(most, offsets[k + 1] - offsets[k])
    return 2 * most


cdef struct Borders:
    uint64_t *at
    Py_ssize_t n


# A walk, from low to high, over the borders of a snapshot beside those of the snapshot before it.
cdef struct Walk:
    Borders before
    Borders now
    Py_ssize_t passed  # of those before, up to and with the last that was met again


cdef int begin(Walk *walk, Py_ssize_t most) except -1:
    walk.before.n = walk.now.n = walk.passed = 0
    walk.before.at = <uint64_t *>malloc(max(most, 1) * sizeof(uint64_t))
    walk.now.at = <uint64_t *>malloc(max(most, 1) * sizeof(uint64_t))
    if walk.before.at == NULL or walk.now.at == NULL:
        end_walk(walk)
        raise MemoryError
    return 0


cdef inline void next_snapshot(Walk *walk) noexcept nogil:
    walk.before, walk.now = walk.now, walk.before
    walk.now.n = 0
    walk.passed = 0


cdef void end_walk(Walk *walk) noexcept:
    free(walk.before.at)
    free(walk.now.at)


cdef uint8_t *put_border(
    uint8_t *at, const Walk *walk, Py_ssize_t met, uint64_t position, int shift
) noexcept nogil:
    """Tell of a new border at ``position``, behind ``met`` borders of the snapshot before."""
    cdef uint64_t base, size, left, n, m, told
    if 0 < met < walk.before.n:
        base = walk.before.at[met - 1]
        size = walk.before.at[met] - base
        told = SPLITS + <uint64_t>(met - walk.passed) * 18
        for n in range(1, 10):
            if base + tenths(size, n, shift) == position:
                return put(at, told + 2 * (n - 1))
        for n in range(1, 10):
            left = tenths(size, n, shift)
            # Only one tenth of the left part can be it, or the one above where what is told is rounded down.
            m = (position - base) * 10 // left if position - base < left < LARGEST // 10 else 0
            for m in range(max(m, 1), min(m + 2, 10)):
                if base + tenths(left, m, shift) == position:
                    return put(put(at, told + 2 * (n - 1) + TWICE), m - 1)
    at = put(at, FAR)
    return put(at, (position - (walk.now.at[walk.now.n - 1] if walk.now.n else 0)) >> shift)


cdef inline uint64_t take_border(Stream *borders, const Walk *walk, int shift) noexcept nogil:
    """Return where a new border is. What cannot be makes the stream fail."""
    cdef uint64_t told = take(borders), base, size, met
    if told == FAR:
        return (walk.now.at[walk.now.n - 1] if walk.now.n else 0) + (take(borders) << shift)
    told -= SPLITS
    met = walk.passed + told // 18
    if not 0 < met < <uint64_t>walk.before.n:
        borders.failed = True
        return 0
    base = walk.before.at[met - 1]
    size = tenths(walk.before.at[met] - base, told % 18 // 2 + 1, shift)
    if told % 2 == TWICE:
        size = tenths(size, take(borders) % 9 + 1, shift)
    return base + size


def to_deltas(
    const int64_t[::1] offsets,
    const uint64_t[::1] start,
    const uint64_t[::1] end,
    const uint32_t[::1] nr_accesses,
    const uint32_t[::1] age,
    const uint8_t[::1] unknown,
    int shift,
):
    """Return n snapshots (``offsets``: int64[n + 1]) as four streams: codes, borders, accesses, ages.

    There is a code for each border of each snapshot: where a region begins, and where one ends that the next does not
    touch. Borders are those that the snapshot before does not have: mostly DAMON has split a region of that one at a
    tenth of its size, and this tenth is told; else how far each lies from the border before it (the first: from 0),
    without the lowest ``shift`` bits, which are zero in all addresses. Accesses are the difference to those of the
    region before in which the region begins. Ages are what DAMON makes of that one's, one more or zero, or else the
    difference to one more.
    """
    cdef Py_ssize_t nr_regions = start.shape[0]
    # Mostly a byte a number; what is not used of the rest costs no memory.
    streams = [
        np.empty(LONGEST * n + 1, np.uint8) for n in (2 * nr_regions, 4 * nr_regions, nr_regions, nr_regions)
    ]
    cdef uint8_t[::1] codes = streams[0]
    cdef uint8_t[::1] borders = streams[1]
    cdef uint8_t[::1] accesses = streams[2]
    cdef uint8_t[::1] ages = streams[3]
    cdef uint8_t *code_at = &codes[0]
    cdef uint8_t *border_at = &borders[0]
    cdef uint8_t *access_at = &accesses[0]
    cdef uint8_t *age_at = &ages[0]
    cdef Py_ssize_t k, i, side, met, first, last, parent, parents_first = 0, parents_last = 0
    cdef uint64_t position, flags
    cdef uint32_t accesses_before, one_more, most_before = 0, most = 0
    cdef bint is_anew
    cdef Walk walk
    begin(&walk, most_borders(offsets))
    with nogil:
        for k in range(offsets.shape[0] - 1):
            first, last = offsets[k], offsets[k + 1]
            parent = parents_first
            met = 0
            for i in range(first, last):
                while parent + 1 < parents_last and start[parent + 1] <= start[i]:
                    parent += 1
                accesses_before = nr_accesses[parent] if parent < parents_last else 0
                access_at = put(access_at, zigzag(nr_accesses[i] - accesses_before))
                most = max(most, nr_accesses[i])
                one_more = 1 + (age[parent] if parent < parents_last else 0)
                is_anew = age_starts_anew(nr_accesses[i], accesses_before, most_before)
                if age[i] == (0 if is_anew else one_more):
                    age_at = put(age_at, AGE_AS_EXPECTED)
                elif age[i] == (one_more if is_anew else 0):
                    age_at = put(age_at, AGE_AGAINST_EXPECTATION)
                else:
                    age_at = put(age_at, <uint64_t>zigzag(age[i] - one_more) + AGE_DIFFERS)
                for side in range(2):
                    if side == 0:
                        position, flags = start[i], UNKNOWN if unknown[i] else 0
                    elif i + 1 < last and start[i + 1] == end[i]:
                        break
                    else:
                        position, flags = end[i], LAST
                    while met < walk.before.n and walk.before.at[met] < position:
                        met += 1
                    if met < walk.before.n and walk.before.at[met] == position:
                        code_at = put(code_at, <uint64_t>(met + 1 - walk.passed) << FLAG_BITS | flags)
                        met += 1
                        walk.passed = met
                    else:
                        code_at = put(code_at, flags)
                        border_at = put_border(border_at, &walk, met, position, shift)
                    walk.now.at[walk.now.n] = position
                    walk.now.n += 1
            parents_first, parents_last = first, last
            most_before, most = most, 0
            next_snapshot(&walk)
    end_walk(&walk)
    sizes = (code_at - &codes[0], border_at - &borders[0], access_at - &accesses[0], age_at - &ages[0])
    return tuple([stream[:size].tobytes() for stream, size in zip(streams, sizes)])


def from_deltas(
    const int64_t[::1] offsets,
    const uint8_t[::1] codes,
    const uint8_t[::1] borders,
    const uint8_t[::1] accesses,
    const uint8_t[::1] ages,
    int shift,
    uint64_t[::1] start,
    uint64_t[::1] end,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] age,
    uint8_t[::1] unknown,
):
    """Undo `to_deltas`, into the last five arrays, which hold ``offsets[n]`` regions.

    Raises ValueError where the streams are not those of regions that are sorted and do not overlap.
    """
    cdef Stream code_stream = stream_of(codes)
    cdef Stream border_stream = stream_of(borders)
    cdef Stream access_stream = stream_of(accesses)
    cdef Stream age_stream = stream_of(ages)
    cdef Walk walk
    cdef bint whole
    begin(&walk, most_borders(offsets))
    with nogil:
        whole = restore(
            &walk, offsets, &code_stream, &border_stream, &access_stream, &age_stream, shift,
            start, end, nr_accesses, age, unknown,
        )
    end_walk(&walk)
    if not (
        whole
        and is_whole(&code_stream)
        and is_whole(&border_stream)
        and is_whole(&access_stream)
        and is_whole(&age_stream)
    ):
        raise ValueError("these are not regions")


cdef bint restore(
    Walk *walk,
    const int64_t[::1] offsets,
    Stream *codes,
    Stream *borders,
    Stream *accesses,
    Stream *ages,
    int shift,
    uint64_t[::1] start,
    uint64_t[::1] end,
    uint32_t[::1] nr_accesses,
    uint32_t[::1] age,
    uint8_t[::1] unknown,
) noexcept nogil:
    cdef Py_ssize_t k, i, last, parent, parents_first = 0, parents_last = 0
    cdef uint64_t code, steps, position, before, age_code
    cdef uint32_t accesses_before, one_more, most_before = 0, most = 0
    cdef bint is_open
    for k in range(offsets.shape[0] - 1):
        i, last = offsets[k], offsets[k + 1]
        parent = parents_first
        is_open = False
        before = 0
        while i < last or is_open:
            code = take(codes)
            if codes.failed or walk.now.n == 2 * (last - offsets[k]):
                return False
            steps = code >> FLAG_BITS
            if steps:
                if steps > <uint64_t>(walk.before.n - walk.passed):
                    return False
                walk.passed += steps
                position = walk.before.at[walk.passed - 1]
            else:
                position = take_border(borders, walk, shift)
                if borders.failed:
                    return False
            if position <= before and walk.now.n:
                return False
            walk.now.at[walk.now.n] = position
            walk.now.n += 1
            before = position

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
            accesses_before = nr_accesses[parent] if parent < parents_last else 0
            nr_accesses[i] = unzigzag(<uint32_t>take(accesses)) + accesses_before
            most = max(most, nr_accesses[i])
            one_more = 1 + (age[parent] if parent < parents_last else 0)
            age_code = take(ages)
            if age_code >= AGE_DIFFERS:
                age[i] = one_more + unzigzag(<uint32_t>(age_code - AGE_DIFFERS))
            elif age_starts_anew(nr_accesses[i], accesses_before, most_before) == (age_code == AGE_AS_EXPECTED):
                age[i] = 0
            else:
                age[i] = one_more
        parents_first, parents_last = offsets[k], last
        most_before, most = most, 0
        next_snapshot(walk)
    return True
