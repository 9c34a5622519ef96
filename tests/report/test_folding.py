import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vadamon.ranges import union
from vadamon.report.folding import FoldedSpace, contains

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda r: (r[0], r[0] + r[1])), max_size=8)


def arrays(ranges: list[tuple[int, int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return np.array([s for s, _ in ranges], np.uint64), np.array([e for _, e in ranges], np.uint64)


@given(RANGES)
def test_union_holds_what_its_ranges_hold(ranges: list[tuple[int, int]]) -> None:
    start, end = union(*arrays(ranges))
    every = np.arange(70, dtype=np.uint64)
    assert contains(start, end, every).tolist() == [any(s <= a < e for s, e in ranges) for a in range(70)]
    assert (end[:-1] < start[1:]).all(), "neighbours are joined"


@given(RANGES)
def test_positions_count_the_bytes_of_ranges(ranges: list[tuple[int, int]]) -> None:
    space = FoldedSpace(*union(*arrays(ranges)))
    addresses = np.arange(75, dtype=np.uint64)
    inside = contains(space.start, space.end, addresses)
    assert space.fold(addresses).tolist() == np.concatenate([[0], np.cumsum(inside)[:-1]]).tolist()
    assert space.unfold(np.arange(inside.sum())).tolist() == addresses[inside].tolist()
