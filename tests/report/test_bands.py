from hypothesis import given
from hypothesis import strategies as st

from vadamon.report.bands import share_rows


@given(st.lists(st.integers(1, 1 << 45), min_size=1, max_size=40), st.integers(1, 60), st.sampled_from([1, 4096]))
def test_each_band_has_a_row_and_no_row_is_too_small(sizes: list[int], nr_rows: int, smallest: int) -> None:
    rows = share_rows(sizes, nr_rows, smallest)
    assert all(n >= 1 for n in rows)
    assert sum(rows) <= max(nr_rows, len(sizes))
    assert all(n == 1 or size // n >= smallest for n, size in zip(rows, sizes, strict=True))


def test_rows_go_by_the_square_root() -> None:
    assert share_rows([1 << 20, 1 << 24], 32, 4096) == [7, 25]
