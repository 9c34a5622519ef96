from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon.simulation.memory import PAGE_SIZE, Memory
from vadamon.simulation.patterns import CACHE_LINE, Pattern, Random, Sequential, Zipf

START = 0x7F0000000000
SECOND = 1_000_000_000


class Pages(Memory):
    """The pages that are touched, from START on."""

    def __init__(self) -> None:
        self.touched: set[int] = set()

    def touch(self, start: int, end: int, step: int, write: bool = False) -> None:
        last = (start + (end - 1 - start) // step * step - START) // PAGE_SIZE
        if step < PAGE_SIZE:  # no page is skipped
            self.touched.update(range((start - START) // PAGE_SIZE, last + 1))
        else:
            self.touched.update((address - START) // PAGE_SIZE for address in range(start, end, step))

    def touch_addresses(self, addresses: np.ndarray, write: bool = False) -> None:
        self.touched.update(((addresses - np.uint64(START)) // np.uint64(PAGE_SIZE)).tolist())


def touched(pattern: Pattern, begin_ns: int, end_ns: int, rng: np.random.Generator | None = None) -> set[int]:
    pages = Pages()
    pattern.touch(pages, begin_ns, end_ns, rng or np.random.default_rng(1))
    return pages.touched


@given(
    offset=st.integers(0, 5000),
    size=st.integers(1, 40_000),
    rate=st.fractions(Fraction(1, 10), 2000, max_denominator=10),
    stride=st.sampled_from([1, 64, 100, 4096, 5000, 8192, 12_288]),
    cuts=st.lists(st.integers(0, SECOND), min_size=2, max_size=6),
)
def test_sequential_accesses_come_at_their_times(
    offset: int, size: int, rate: Fraction, stride: int, cuts: list[int]
) -> None:
    pattern = Sequential(START + offset, size, rate, stride=stride)
    nr_places = -(-size // stride)
    cuts.sort()
    for begin, end in pairwise(cuts):
        expected = {
            (offset + i % nr_places * stride) // PAGE_SIZE
            for i in range(int(rate * begin / SECOND) - 1, int(rate * end / SECOND) + 2)
            if begin <= i * SECOND / rate < end
        }
        assert touched(pattern, begin, end) == expected


@pytest.mark.parametrize("rate", [100, 10_000, 1_000_000, 100_000_000])
@pytest.mark.parametrize("kind", [Random, Zipf])
def test_random_patterns_touch_as_many_pages_as_poisson_says(kind: type[Random] | type[Zipf], rate: int) -> None:
    nr_pages, nr_intervals = 500, 200
    pattern = kind(START, nr_pages * PAGE_SIZE, Fraction(rate))
    rng = np.random.default_rng(3)
    counts = np.zeros(nr_pages)
    for _ in range(nr_intervals):
        pages = touched(pattern, 0, 5_000_000, rng)
        assert pages <= set(range(nr_pages))
        counts[list(pages)] += 1
    weights = np.ones(nr_pages) if kind is Random else 1 / np.arange(1, nr_pages + 1)
    expected = -np.expm1(-rate * 0.005 * weights / weights.sum())
    spread = np.sqrt(nr_intervals * expected * (1 - expected)) + 1e-9
    assert (np.abs(counts - nr_intervals * expected) < 5 * spread + 2).all()
    assert abs(counts.sum() - nr_intervals * expected.sum()) < 5 * np.sqrt((spread**2).sum()) + 2


def test_shuffled_ranks_are_a_permutation() -> None:
    rate = Fraction(10**9)
    in_order = Zipf(START, 100 * PAGE_SIZE, rate, exponent=3.0)
    shuffled = Zipf(START, 100 * PAGE_SIZE, rate, exponent=3.0, shuffle=np.random.default_rng(2))
    one, other = touched(in_order, 0, 100_000), touched(shuffled, 0, 100_000)
    assert len(one) == len(other)
    assert 0 in one
    assert one != other


def test_part_of_a_page_is_its_page() -> None:
    for pattern in (
        Random(START + 100, 5000, Fraction(10**9)),
        Zipf(START + 100, 5000, Fraction(10**9)),
        Sequential(START + 100, 5000, Fraction(10**9), stride=CACHE_LINE),
    ):
        assert touched(pattern, 0, SECOND) == {0, 1}
