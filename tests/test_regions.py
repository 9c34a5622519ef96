import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon import Regions
from vadamon.regions import scale_counts

COUNTERS = ("nr_accesses", "last_nr_accesses", "age", "nr_valid", "unknown")


@st.composite
def regions(draw, max_n=40, max_count=20, max_size=10_000):
    """Regions with holes here and there, and all counters set."""
    n = draw(st.integers(0, max_n))
    sizes = draw(st.lists(st.integers(1, max_size), min_size=n, max_size=n))
    gaps = draw(st.lists(st.sampled_from([0, 0, 0, 1, 5000]), min_size=n, max_size=n))
    ends = np.cumsum(np.array(sizes, dtype=np.uint64) + np.array(gaps, dtype=np.uint64), dtype=np.uint64)
    counts = st.lists(st.integers(0, max_count), min_size=n, max_size=n)
    made = Regions(ends - np.array(sizes, dtype=np.uint64), ends, draw(counts), draw(counts))
    made.last_nr_accesses = np.array(draw(counts), dtype=np.uint32)
    made.nr_valid = np.array(draw(counts), dtype=np.uint32)
    made.unknown = np.array(draw(st.lists(st.sampled_from([False, False, True]), min_size=n, max_size=n)), dtype=bool)
    return made


def rows(r):
    return list(zip(*(getattr(r, name).tolist() for name in ("start", "end", *COUNTERS)), strict=True))


def covered(ranges):
    """Join ranges that touch: two lists of ranges cover the same if this is the same."""
    joined = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    return joined


def check_well_formed(r):
    assert np.all(r.start < r.end)
    assert np.all(r.end[:-1] <= r.start[1:])
    assert r.start.dtype == r.end.dtype == np.uint64
    assert r.unknown.dtype == np.bool_
    for name in COUNTERS:
        assert getattr(r, name).shape == r.start.shape
    for name in COUNTERS[:-1]:
        assert getattr(r, name).dtype == np.uint32


def plain_fold(before, threshold, size_limit):
    """Merge as the facts about the kernel say it, in unbounded integers."""
    after = []
    for start, end, now, last, age, valid, unknown in before:
        if after:
            left = after[-1]
            sl, sr = left[1] - left[0], end - start
            if left[1] == start and left[6] == unknown and abs(left[2] - now) <= threshold and sl + sr <= size_limit:
                mean = [(a * sl + b * sr) // (sl + sr) for a, b in zip(left[2:5], (now, last, age), strict=True)]
                after[-1] = (left[0], end, *mean, min(left[5], valid), unknown)
                continue
        after.append((start, end, now, last, age, valid, unknown))
    return after


class TestConstruction:
    def test_counters_are_zero_unless_given(self):
        r = Regions.from_ranges([(0, 10), (10, 15), (20, 21)])
        assert r.ranges() == [(0, 10), (10, 15), (20, 21)]
        assert len(r) == 3
        assert r.size() == 16
        assert [getattr(r, name).tolist() for name in COUNTERS] == [[0] * 3] * 4 + [[False] * 3]
        check_well_formed(r)

    def test_arrays_are_the_regions_own(self):
        start = np.array([0], dtype=np.uint64)
        r = Regions(start, [4], nr_accesses=[3], age=[2])
        start[0] = 1
        assert rows(r) == [(0, 4, 3, 0, 2, 0, False)]

    def test_no_regions_at_all(self):
        r = Regions.from_ranges([])
        r.merge(1, 100)
        r.split(3, np.random.default_rng(1))
        r.update_ages(1)
        r.fill_voids(3)
        r.reset_aggregated()
        assert r.ranges() == []
        check_well_formed(r)

    @pytest.mark.parametrize(
        ("ranges", "message"),
        [
            ([(5, 5)], r"empty: \[0x5, 0x5\)"),
            ([(6, 5)], "empty"),
            ([(0, 10), (9, 12)], r"overlap or are not sorted: \[0x0, 0xa\) stands before \[0x9, 0xc\)"),
            ([(10, 12), (0, 5)], "not sorted"),
            ([(0, 1, 2)], "pairs"),
            ([1, 2], "pairs"),
        ],
    )
    def test_wrong_ranges_are_refused(self, ranges, message):
        with pytest.raises(ValueError, match=message):
            Regions.from_ranges(ranges)

    def test_arrays_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="same length"):
            Regions([0, 5], [5])
        with pytest.raises(ValueError, match="same length"):
            Regions([[0]], [[5]])
        with pytest.raises(ValueError, match="nr_accesses"):
            Regions([0], [5], nr_accesses=[1, 2])
        with pytest.raises(ValueError, match="age"):
            Regions([0], [5], age=[1, 2])


class TestMerge:
    def test_literal(self):
        r = Regions([0, 10, 20, 40], [10, 20, 30, 50], nr_accesses=[5, 6, 20, 20], age=[1, 4, 8, 8])
        r.merge(1, 1000)
        assert [(a, b, n, age) for a, b, n, _, age, _, _ in rows(r)] == [
            (0, 20, 5, 2),
            (20, 30, 20, 8),
            (40, 50, 20, 8),
        ]

    def test_the_grown_region_is_compared_with_the_next(self):
        # 0 and 2 have the mean 1, and that is near enough to 3
        r = Regions([0, 1, 2], [1, 2, 3], nr_accesses=[0, 2, 3])
        r.merge(2, 3)
        assert r.ranges() == [(0, 3)]

    def test_size_limit_is_for_the_merged_region(self):
        r = Regions.from_ranges([(i, i + 1) for i in range(7)])
        r.merge(0, 3)
        assert r.ranges() == [(0, 3), (3, 6), (6, 7)]

    def test_unknown_and_known_stay_apart(self):
        r = Regions([0, 1, 2, 3], [1, 2, 3, 4], nr_accesses=[7, 7, 7, 7])
        r.unknown = np.array([False, True, True, False])
        r.merge(20, 100)
        assert r.ranges() == [(0, 1), (1, 3), (3, 4)]
        assert r.unknown.tolist() == [False, True, False]

    def test_big_sizes_and_counts_do_not_overflow(self):
        half = 1 << 62
        r = Regions([0, half], [half, 2 * half], nr_accesses=[2**32 - 1, 2**32 - 3], age=[2**32 - 1, 2**32 - 1])
        r.merge(2, 1 << 64)
        assert rows(r) == [(0, 2 * half, 2**32 - 2, 0, 2**32 - 1, 0, False)]

    @given(regions(), st.integers(0, 25), st.integers(0, 50_000))
    def test_is_the_plain_left_fold(self, r, threshold, size_limit):
        before = rows(r)
        r.merge(threshold, size_limit)
        assert rows(r) == plain_fold(before, threshold, size_limit)

    @given(regions(), st.integers(0, 25), st.integers(0, 50_000))
    def test_keeps_what_is_covered_and_the_total(self, r, threshold, size_limit):
        ranges, n = r.ranges(), len(r)
        total = int(((r.end - r.start) * r.nr_accesses).sum())
        highest = r.nr_accesses.max(initial=0)
        r.merge(threshold, size_limit)
        check_well_formed(r)
        assert covered(r.ranges()) == covered(ranges)
        assert r.nr_accesses.max(initial=0) <= highest
        # each of the n - len(r) merges rounds down by less than the size of what it makes
        lost = total - int(((r.end - r.start) * r.nr_accesses).sum())
        assert 0 <= lost <= (n - len(r)) * int((r.end - r.start).max(initial=0))

    @given(regions())
    def test_arrays_handed_out_before_do_not_change(self, r):
        held, copy = r.nr_accesses, r.nr_accesses.copy()
        r.merge(5, 10**9)
        assert np.array_equal(held, copy)


class TestSplit:
    def test_split_at_keeps_all_counters(self):
        r = Regions([0, 10], [10, 30], nr_accesses=[3, 4], age=[5, 6])
        r.last_nr_accesses = np.array([7, 8], dtype=np.uint32)
        r.split_at(1, 5)
        assert rows(r) == [(0, 10, 3, 7, 5, 0, False), (10, 15, 4, 8, 6, 0, False), (15, 30, 4, 8, 6, 0, False)]
        check_well_formed(r)

    @pytest.mark.parametrize("size", [0, 10, 11])
    def test_split_at_makes_no_empty_region(self, size):
        with pytest.raises(ValueError, match="region of 10 bytes"):
            Regions.from_ranges([(0, 10)]).split_at(0, size)

    @pytest.mark.parametrize("index", [-1, 1])
    def test_split_at_needs_a_region(self, index):
        with pytest.raises(IndexError, match="no region"):
            Regions.from_ranges([(0, 10)]).split_at(index, 5)

    @given(regions(max_size=100_000), st.integers(1, 4), st.sampled_from([1, 64, 4096]), st.integers(0, 2**32))
    def test_cuts_each_region_in_some_of_its_own(self, r, nr_pieces, min_size, seed):
        before = rows(r)
        ranges = r.ranges()
        r.split(nr_pieces, np.random.default_rng(seed), min_size)
        check_well_formed(r)
        assert covered(r.ranges()) == covered(ranges)
        parts = [[p for p in rows(r) if start <= p[0] < end] for start, end in ranges]
        for whole, pieces in zip(before, parts, strict=True):
            assert 1 <= len(pieces) <= nr_pieces
            assert all(p[2:] == whole[2:] for p in pieces)
            size = whole[1] - whole[0]
            if size <= 2 * min_size:
                assert len(pieces) == 1
            # taken apart from the right: each cut is within 10 to 90 %, rounded down to min_size
            for piece in reversed(pieces[1:]):
                cut = piece[0] - whole[0]
                assert cut % min_size == 0
                assert size // 10 - min_size < cut <= size * 9 // 10
                size = cut

    def test_one_of_nine_places_each(self):
        cuts = set()
        for seed in range(200):
            r = Regions.from_ranges([(1000, 1010)])
            r.split(2, np.random.default_rng(seed), 1)
            cuts.add(r.ranges()[0][1] - 1000)
        assert cuts == set(range(1, 10))

    def test_the_left_part_is_cut_again(self):
        class Generator:
            def integers(self, low, high, size, dtype):
                assert (low, high, size) == (1, 10, (1, 2))
                return np.array([[5, 2]], dtype=dtype)

        r = Regions.from_ranges([(0, 100)])
        r.split(3, Generator(), 1)
        assert r.ranges() == [(0, 10), (10, 50), (50, 100)]

    def test_a_turn_without_a_cut_is_skipped(self):
        class Generator:
            def integers(self, low, high, size, dtype):
                return np.array([[1, 9]], dtype=dtype)

        r = Regions.from_ranges([(0, 30)])
        r.split(3, Generator(), 8)  # 3 rounds down to 0, 27 to 24
        assert r.ranges() == [(0, 24), (24, 30)]

    def test_big_regions_do_not_overflow(self):
        r = Regions.from_ranges([(0, 2**64 - 4096)])
        r.split(2, np.random.default_rng(3))
        assert len(r) == 2
        assert covered(r.ranges()) == [[0, 2**64 - 4096]]

    def test_same_seed_same_pieces(self):
        made = []
        for _ in range(2):
            r = Regions.from_ranges([(0, 1 << 30), (1 << 31, 1 << 32)])
            r.split(3, np.random.default_rng(5))
            made.append(r.ranges())
        assert made[0] == made[1]

    @pytest.mark.parametrize(("nr_pieces", "min_size"), [(0, 4096), (2, 0)])
    def test_nonsense_is_refused(self, nr_pieces, min_size):
        with pytest.raises(ValueError, match="cannot split"):
            Regions.from_ranges([(0, 10)]).split(nr_pieces, np.random.default_rng(1), min_size)


class TestAges:
    @pytest.mark.parametrize(
        ("last", "now", "age"),
        [(10, 12, 6), (12, 10, 6), (10, 13, 0), (13, 10, 0), (0, 0, 6), (0, 1, 0), (1, 0, 0), (1, 2, 6)],
    )
    def test_threshold_and_zero(self, last, now, age):
        r = Regions([0], [1], nr_accesses=[now], age=[5])
        r.last_nr_accesses = np.array([last], dtype=np.uint32)
        r.update_ages(2)
        assert r.age.tolist() == [age]
        check_well_formed(r)

    def test_unknown_regions_do_not_age(self):
        r = Regions([0, 1], [1, 2], age=[5, 5])
        r.unknown = np.array([True, False])
        r.update_ages(2)
        assert r.age.tolist() == [5, 6]

    def test_reset_aggregated(self):
        r = Regions([0], [1], nr_accesses=[9], age=[5])
        r.nr_valid = np.array([20], dtype=np.uint32)
        r.reset_aggregated()
        assert rows(r) == [(0, 1, 0, 9, 5, 0, False)]
        r.count(np.array([True]))
        assert rows(r) == [(0, 1, 1, 9, 5, 1, False)]


class TestVoids:
    def test_void_samples_count_neither_way(self):
        r = Regions.from_ranges([(i, i + 1) for i in range(4)])
        r.count(np.array([True, True, False, False]), np.array([False, True, False, True]))
        assert r.nr_accesses.tolist() == [1, 0, 0, 0]
        assert r.nr_valid.tolist() == [1, 0, 1, 0]

    def test_scaled_up_from_the_valid_ones_or_unknown(self):
        r = Regions([0, 1, 2, 3, 4], [1, 2, 3, 4, 5], nr_accesses=[7, 3, 1, 0, 0])
        r.nr_valid = np.array([20, 3, 8, 5, 0], dtype=np.uint32)
        r.last_nr_accesses = np.array([1, 1, 1, 1, 13], dtype=np.uint32)
        r.fill_voids(20)
        assert r.nr_accesses.tolist() == [7, 20, 3, 0, 13]  # 1 of 8 is 2.5 of 20
        assert r.unknown.tolist() == [False, False, False, False, True]
        check_well_formed(r)

    @given(st.data())
    def test_samples_of_one_page_count_as_the_first_of_them(self, data):
        pages = data.draw(st.lists(st.sampled_from([0, 4096, 8192, 2 << 20]), max_size=20))
        # Addresses that lie close together often share a page, of whatever size the first of it is said to be.
        addresses = sorted(data.draw(st.integers(0, 8 << 20)) for _ in pages)
        flags = st.lists(st.booleans(), min_size=len(pages), max_size=len(pages))
        accessed, void = data.draw(flags), data.draw(flags)
        r = Regions.from_ranges([(i, i + 1) for i in range(len(pages))])
        r.count(
            np.array(accessed, dtype=bool),
            np.array(void, dtype=bool),
            (np.array(addresses, dtype=np.uint64), np.array(pages, dtype=np.uint64)),
        )
        page = [address // max(size, 1) * max(size, 1) for address, size in zip(addresses, pages, strict=True)]
        first = list(range(len(page)))
        for i in range(1, len(page)):
            if page[i] == page[i - 1]:
                first[i] = first[i - 1]
        assert r.nr_valid.tolist() == [int(not void[i]) for i in first]
        assert r.nr_accesses.tolist() == [int(accessed[i] and not void[i]) for i in first]

    def test_what_does_not_fit_is_refused(self):
        r = Regions.from_ranges([(0, 1), (1, 2)])
        with pytest.raises(ValueError, match="unequal"):
            r.count(np.array([True]))
        with pytest.raises(ValueError, match="unequal"):
            r.count(np.array([True, True]), np.array([False]))

    @given(st.integers(1, 100), st.data())
    def test_scaled_counts_round_to_the_nearest(self, out_of, data):
        count, nr_samples = data.draw(st.integers(0, out_of)), data.draw(st.integers(1, 1000))
        (scaled,) = scale_counts(np.array([count], dtype=np.uint32), out_of, nr_samples).tolist()
        assert 0 <= scaled <= nr_samples
        exact = count * nr_samples / out_of
        assert exact - 0.5 < scaled + 1e-9 and scaled <= exact + 0.5 + 1e-9
