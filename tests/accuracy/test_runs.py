import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vadamon.accuracy.runs import overlaps, values_at

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)).map(lambda r: (r[0], r[0] + r[1])), max_size=12)


def arrays(ranges: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s for s, _ in ranges], np.uint64), np.array([e for _, e in ranges], np.uint64)


@given(RANGES)
def test_overlaps_count_what_covers_each_byte(ranges: list[tuple[int, int]]) -> None:
    start, end, count = overlaps(*arrays(ranges))
    found = {
        byte: c for s, e, c in zip(start.tolist(), end.tolist(), count.tolist(), strict=True) for byte in range(s, e)
    }
    expected = {byte: n for byte in range(60) if (n := sum(s <= byte < e for s, e in ranges))}
    assert found == expected
    touching = end[:-1] == start[1:]
    assert not (count[:-1] == count[1:])[touching].any()
    assert (end[:-1] <= start[1:]).all()


def test_values_are_those_of_the_range_a_point_is_in() -> None:
    ranges = arrays([(10, 20), (20, 30), (40, 50)])
    values = np.array([1, 2, 3], np.uint32)
    points = np.array([0, 10, 19, 20, 30, 39, 40, 49, 50], np.uint64)
    assert values_at(points, ranges, values).tolist() == [0, 1, 1, 2, 0, 0, 3, 3, 0]
    assert values_at(points, arrays([]), values[:0]).tolist() == [0] * 9
