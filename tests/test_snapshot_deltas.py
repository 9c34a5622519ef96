"""Snapshots as what changed in each: round trips, and numbers that are no snapshots."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vadamon._native.snapshot_deltas import from_deltas, pack, to_deltas, unpack

Regions = list[tuple[int, int, int, int, bool]]  # start, end, accesses, age, unknown
U32 = st.integers(0, 2**32 - 1)


@st.composite
def snapshot(draw: st.DrawFn) -> Regions:
    """Return regions on few addresses, so that borders come back in the next."""
    addresses = st.one_of(st.integers(0, 20), st.sampled_from([2**64 - 1, 2**63, 2**64 - 2]))
    borders = sorted(draw(st.sets(addresses, max_size=12)))
    counts = st.one_of(st.integers(0, 3), U32)
    return [
        (a, b, draw(counts), draw(counts), draw(st.booleans()))
        for a, b in itertools.pairwise(borders)
        if draw(st.integers(0, 4))
    ]


def columns(snapshots: list[Regions]) -> list[NDArray[np.generic]]:
    offsets = np.cumsum([0, *map(len, snapshots)])
    rows = [row for regions in snapshots for row in regions]
    kinds = (np.uint64, np.uint64, np.uint32, np.uint32, np.uint8)
    return [offsets, *(np.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds))]


def restored(offsets: NDArray[np.int64], *deltas: bytes, shift: int = 0) -> list[NDArray[np.generic]]:
    m = int(offsets[-1])
    out = [np.zeros(m, kind) for kind in (np.uint64, np.uint64, np.uint32, np.uint32, np.uint8)]
    from_deltas(offsets, *deltas, shift, *out)
    return out


def packed(values: list[int]) -> bytes:
    return pack(np.array(values, np.uint64))


@given(st.lists(st.one_of(st.integers(0, 200), st.integers(0, 2**64 - 1))))
def test_packed_numbers_come_back(values: list[int]) -> None:
    data = packed(values)
    assert unpack(data, len(values)).tolist() == values
    assert len(data) == sum(max(1, -(-value.bit_length() // 7)) for value in values)


@given(st.binary(max_size=30), st.integers(0, 40))
def test_any_bytes_are_numbers_or_refused(data: bytes, n: int) -> None:
    try:
        unpack(data, n)
    except ValueError:
        return
    assert n == sum(byte < 0x80 for byte in data)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x05\x05", b"\x05\xff", b"\xff" * 10 + b"\x01"])
def test_bytes_of_another_number_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not so many numbers"):
        unpack(data, 1)


@given(st.lists(snapshot(), max_size=6), st.integers(0, 5))
def test_snapshots_come_back(snapshots: list[Regions], shift: int) -> None:
    offsets, start, end, *counts = columns(snapshots)
    regions = [(start << np.uint64(shift)) & ~np.uint64(0), (end << np.uint64(shift)) & ~np.uint64(0), *counts]
    if (regions[0] >> np.uint64(shift) != start).any() or (regions[1] >> np.uint64(shift) != end).any():
        regions, shift = [start, end, *counts], 0
    found = restored(offsets, *to_deltas(offsets, *regions, shift), shift=shift)
    assert [column.tolist() for column in found] == [column.tolist() for column in regions]


def test_small_numbers_for_small_changes() -> None:
    first = [(0, 40, 5, 0, False), (40, 80, 0, 7, False), (160, 200, 3, 7, True)]
    # The second is split at 7 tenths, and its left part has become the first's; the third has grown.
    second = [(0, 68, 6, 0, False), (68, 80, 1, 8, False), (160, 204, 3, 3, False)]
    offsets, *regions = columns([first, second])
    codes, borders, accesses, ages = to_deltas(offsets, *regions, 2)
    unknown, last, known = 1, 2, 4
    far, as_expected, against = 0, 0, 1
    assert list(codes) == [0, 0, last, unknown, last, known, 0, 2 * known + last, known, last]
    assert list(borders) == [far, 0, far, 10, far, 10, far, 20, far, 10, 1 + 18 + 12, far, 11]
    assert list(accesses) == [10, 0, 6, 2, 2, 0]
    assert list(ages) == [as_expected, 2 + 12, 2 + 12, as_expected, against, 2 + 9]


def test_a_region_split_twice_is_told_by_two_tenths() -> None:
    first = [(40, 1040, 0, 0, False)]
    second = [(40, 320, 0, 1, False), (320, 440, 0, 1, False), (440, 1040, 0, 1, False)]  # at 4 tenths, that at 7
    offsets, *regions = columns([first, second])
    _, borders, _, _ = to_deltas(offsets, *regions, 0)
    assert list(borders)[-3:] == [1 + 2 * 3 + 1, 7 - 1, 1 + 2 * 3]


@given(
    st.lists(st.integers(0, 4), max_size=4),
    st.lists(st.integers(0, 30), max_size=20),
    st.lists(st.one_of(st.integers(0, 9), st.just(2**64 - 1)), max_size=20),
)
def test_any_numbers_are_regions_or_refused(sizes: list[int], codes: list[int], borders: list[int]) -> None:
    offsets = np.cumsum([0, *sizes])
    ones = packed([1] * int(offsets[-1]))
    try:
        start, end, *_ = restored(offsets, packed(codes), packed(borders), ones, ones)
    except ValueError:
        return
    for first, last in itertools.pairwise(offsets.tolist()):
        assert (start[first:last] < end[first:last]).all()
        assert (end[first:last][:-1] <= start[first:last][1:]).all()


@pytest.mark.parametrize(
    ("codes", "borders"),
    [
        ([], []),
        ([0], [5]),  # a region without an end
        ([2, 0, 2], [5, 5, 5]),  # an end without a region
        ([0, 2], [5, 0]),  # an empty region
        ([0, 2], [5, 2**64 - 1]),  # an end beyond all addresses
        ([4, 2], [5]),  # a border that was not there before
        ([0, 2, 0], [5, 5, 5]),  # one more
        ([0, 2], [5, 5, 5]),
    ],
)
def test_what_cannot_be_one_region_is_refused(codes: list[int], borders: list[int]) -> None:
    with pytest.raises(ValueError, match="not regions"):
        restored(np.array([0, 1]), packed(codes), packed(borders), b"\1", b"\1")


@pytest.mark.parametrize("counts", [b"", b"\x80", b"\1\1"])
def test_streams_of_another_length_are_refused(counts: bytes) -> None:
    for accesses, ages in ((counts, b"\1"), (b"\1", counts)):
        with pytest.raises(ValueError, match="not regions"):
            restored(np.array([0, 1]), packed([0, 2]), packed([5, 5]), accesses, ages)
