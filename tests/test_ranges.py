"""Sets of addresses, against Python's own sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vadamon import ranges

pairs = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=8)


def arrays(pairs):
    array = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()


def members(start, end):
    return {address for s, e in zip(start.tolist(), end.tolist(), strict=True) for address in range(s, e)}


def is_sorted_with_gaps(start, end):
    return (start < end).all() and (end[:-1] < start[1:]).all()


@given(pairs)
def test_union_holds_what_the_ranges_hold_and_nothing_touches(pairs):
    start, end = ranges.union(*arrays(pairs))
    assert members(start, end) == members(*arrays(pairs))
    assert is_sorted_with_gaps(start, end)


@given(pairs, pairs)
def test_subtract_leaves_what_only_the_first_hold(pairs, minus):
    whole, minus = ranges.union(*arrays(pairs)), ranges.union(*arrays(minus))
    start, end, source = ranges.subtract(*whole, minus)
    assert members(start, end) == members(*whole) - members(*minus)
    assert is_sorted_with_gaps(start, end)
    assert ((whole[0][source] <= start) & (end <= whole[1][source])).all()


def test_subtract_keeps_neighbours_apart():
    start, end, source = ranges.subtract(*arrays([(0, 4), (4, 9)]), arrays([(6, 7)]))
    assert list(zip(start.tolist(), end.tolist(), source.tolist(), strict=True)) == [(0, 4, 0), (4, 6, 1), (7, 9, 1)]


@given(pairs, pairs)
def test_sizes_within(pairs, asked):
    whole = ranges.union(*arrays(pairs))
    start, end = arrays(asked)
    sizes = ranges.sizes_within(whole, start, end)
    held = members(*whole)
    assert sizes.tolist() == [len(held & set(range(s, e))) for s, e in asked]
    assert ranges.total_size(whole) == len(held)
