from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon import Attrs, Mapping, Mappings, Regions, SampleHealth
from vadamon._native import sampling
from vadamon.operations.base import Target
from vadamon.operations.vaddr import VirtualAddressOperations, apply_three_regions, evenly_split, three_regions

PAGE = 4096


@st.composite
def disjoint(draw, min_n=0, max_n=30):
    """Sorted ranges that do not overlap, with many gaps of the same size."""
    n = draw(st.integers(min_n, max_n))
    at, ranges = draw(st.integers(0, 50)), []
    for _ in range(n):
        at += draw(st.sampled_from([0, 0, 1, 3, 10, 40]))
        size = draw(st.integers(1, 20))
        ranges.append((at, at + size))
        at += size
    return ranges


class TestThreeRegions:
    @pytest.mark.parametrize(
        ("ranges", "three"),
        [
            ([(7, 12), (12, 19), (90, 95), (95, 99), (140, 143), (150, 160)], [(7, 19), (90, 99), (140, 160)]),
            ([(0, 1), (2, 3), (4, 5)], [(0, 1), (2, 3), (4, 5)]),
            # of equal gaps the first
            ([(0, 1), (5, 6), (10, 11), (15, 16)], [(0, 1), (5, 6), (10, 16)]),
            ([(0, 1), (3, 4), (6, 7), (20, 21), (23, 24)], [(0, 1), (3, 7), (20, 24)]),
            # bigger ones later
            ([(0, 1), (3, 4), (7, 8), (12, 13)], [(0, 4), (7, 8), (12, 13)]),
            # the biggest is second in the order of addresses
            ([(0, 1), (3, 4), (30, 31)], [(0, 1), (3, 4), (30, 31)]),
        ],
    )
    def test_literal(self, ranges, three):
        assert three_regions(ranges, min_region_size=1) == three

    def test_starts_and_ends_are_aligned_up(self):
        assert three_regions([(1, 5000), (20000, 24000), (40960, 45056)]) == [
            (4096, 8192),
            (20480, 24576),
            (40960, 45056),
        ]

    @pytest.mark.parametrize("ranges", [[], [(0, 1)], [(0, 1), (1, 2)], [(0, 1), (2, 3)], [(0, 1), (2, 3), (3, 4)]])
    def test_two_gaps_are_needed(self, ranges):
        with pytest.raises(ValueError, match="fewer than two gaps"):
            three_regions(ranges, min_region_size=1)

    @pytest.mark.parametrize("ranges", [[(0, 2), (1, 3), (9, 10)], [(9, 10), (5, 6), (0, 1)], [(3, 3), (5, 6), (8, 9)]])
    def test_ranges_must_be_sorted(self, ranges):
        with pytest.raises(ValueError, match=r"overlap|empty"):
            three_regions(ranges, min_region_size=1)

    def test_ranges_high_in_the_address_space(self):
        top = 2**64 - 8192
        assert three_regions([(0, 4096), (2**47, 2**47 + 4096), (top, top + 4096)])[2] == (top, top + 4096)

    @given(disjoint(min_n=3))
    def test_is_one_pass_with_the_two_biggest_so_far(self, ranges):
        first = second = (0, 0)
        for (_, gap_start), (gap_end, _) in pairwise(ranges):
            gap = (gap_start, gap_end)
            if gap_end - gap_start > first[1] - first[0]:
                first, second = gap, first
            elif gap_end - gap_start > second[1] - second[0]:
                second = gap
        if second == (0, 0):
            with pytest.raises(ValueError, match="gaps"):
                three_regions(ranges, min_region_size=1)
            return
        low, high = sorted([first, second])
        expected = [(ranges[0][0], low[0]), (low[1], high[0]), (high[1], ranges[-1][1])]
        assert three_regions(ranges, min_region_size=1) == expected


class TestEvenlySplit:
    @pytest.mark.parametrize(
        ("start", "end", "n", "pieces"),
        [
            (0, 70, 7, [(i, i + 10) for i in range(0, 70, 10)]),
            (3, 50, 4, [(3, 14), (14, 25), (25, 36), (36, 50)]),
            (0, 3, 2, [(0, 1), (1, 3)]),
            (4, 6, 1, [(4, 6)]),
        ],
    )
    def test_literal(self, start, end, n, pieces):
        assert evenly_split(start, end, n, min_region_size=1) == pieces

    def test_pieces_are_multiples_of_the_smallest(self):
        assert evenly_split(0, 3 * PAGE, 2) == [(0, PAGE), (PAGE, 3 * PAGE)]

    @pytest.mark.parametrize(("start", "end", "n"), [(0, 100, 0), (0, 100, -1), (5, 6, 2), (5, 5, 1), (6, 5, 1)])
    def test_no_piece_is_empty(self, start, end, n):
        with pytest.raises(ValueError, match="cannot split"):
            evenly_split(start, end, n, min_region_size=1)

    def test_a_piece_below_the_smallest_is_refused(self):
        with pytest.raises(ValueError, match="2 pieces of at least 4096 bytes"):
            evenly_split(0, 2 * PAGE - 1, 2)

    @given(st.integers(0, 1000), st.integers(1, 5000), st.integers(1, 50), st.sampled_from([1, 8]))
    def test_exactly_as_many_as_asked(self, start, size, n, min_size):
        if size // n < min_size:
            with pytest.raises(ValueError, match="cannot split"):
                evenly_split(start, start + size, n, min_size)
            return
        pieces = evenly_split(start, start + size, n, min_size)
        assert len(pieces) == n
        assert (pieces[0][0], pieces[-1][1]) == (start, start + size)
        assert all(a[1] == b[0] for a, b in pairwise(pieces))
        piece = size // n // min_size * min_size
        assert [b - a for a, b in pieces] == [piece] * (n - 1) + [size - (n - 1) * piece]


def numbered(ranges):
    """Regions of which each can be told by its counters."""
    r = Regions.from_ranges(ranges)
    for i, name in enumerate(("nr_accesses", "last_nr_accesses", "age", "nr_valid")):
        setattr(r, name, np.arange(1, len(r) + 1, dtype=np.uint32) + np.uint32(100 * i))
    return r


def counted(r):
    """Return (start, end, number), the number being 0 for a new region, and check that all counters agree."""
    for i, name in enumerate(("nr_accesses", "last_nr_accesses", "age", "nr_valid")):
        column = getattr(r, name)
        assert column.dtype == np.uint32
        assert column.tolist() == [n and n + 100 * i for n in r.nr_accesses.tolist()]
    return [(*pair, n) for pair, n in zip(r.ranges(), r.nr_accesses.tolist(), strict=True)]


def plain_apply(ranges, three):
    """Apply ranges one by one, as the facts about the kernel say it, without alignment."""
    taken, result = set(), []
    for low, high in three:
        inside = [
            [start, end, i + 1]
            for i, (start, end) in enumerate(ranges)
            if i not in taken and start < high and low < end
        ]
        taken.update(i - 1 for _, _, i in inside)
        if not inside:
            result.append((low, high, 0))
            continue
        inside[0][0] = low
        inside[-1][1] = high
        for before, after in zip([None, *inside], inside, strict=False):
            if before and before[1] < after[0]:
                result.append((before[1], after[0], 0))
            result.append(tuple(after))
    return result


class TestApplyThreeRegions:
    RANGES = ((8, 16), (16, 24), (40, 44), (44, 46), (46, 48), (64, 72), (72, 80), (80, 88))

    @pytest.mark.parametrize(
        ("three", "expected"),
        [
            (
                # a little smaller or bigger
                [(4, 21), (36, 44), (66, 91)],
                [(4, 16, 1), (16, 21, 2), (36, 44, 3), (66, 72, 6), (72, 80, 7), (80, 91, 8)],
            ),
            (
                # the second moved where nothing was
                [(4, 21), (49, 51), (53, 91)],
                [(4, 16, 1), (16, 21, 2), (49, 51, 0), (53, 72, 6), (72, 80, 7), (80, 91, 8)],
            ),
            (
                # a hole in the first is filled
                [(8, 48), (64, 72), (200, 210)],
                [
                    (8, 16, 1),
                    (16, 24, 2),
                    (24, 40, 0),
                    (40, 44, 3),
                    (44, 46, 4),
                    (46, 48, 5),
                    (64, 72, 6),
                    (200, 210, 0),
                ],
            ),
            (
                # one region reaches into two: it goes to the first
                [(10, 12), (14, 15), (83, 84)],
                [(10, 12, 1), (14, 15, 0), (83, 84, 8)],
            ),
            ([(0, 1), (2, 3), (4, 5)], [(0, 1, 0), (2, 3, 0), (4, 5, 0)]),
        ],
    )
    def test_literal(self, three, expected):
        r = numbered(self.RANGES)
        apply_three_regions(r, three, min_region_size=1)
        assert counted(r) == expected

    def test_unknown_regions_stay_unknown_and_new_ones_are_not(self):
        r = Regions.from_ranges([(0, 10)])
        r.unknown = np.array([True])
        apply_three_regions(r, [(0, 5), (6, 7), (8, 9)], min_region_size=1)
        assert r.unknown.tolist() == [True, False, False]

    def test_starts_are_aligned_down_and_ends_up(self):
        r = Regions.from_ranges([(PAGE, 2 * PAGE)])
        apply_three_regions(r, [(PAGE - 1, PAGE + 1), (4 * PAGE + 1, 5 * PAGE), (7 * PAGE, 7 * PAGE + 1)])
        assert r.ranges() == [(0, 2 * PAGE), (4 * PAGE, 5 * PAGE), (7 * PAGE, 8 * PAGE)]

    def test_there_may_be_no_regions_yet(self):
        r = Regions.from_ranges([])
        apply_three_regions(r, [(0, 1), (2, 3), (4, 5)], min_region_size=1)
        assert r.ranges() == [(0, 1), (2, 3), (4, 5)]

    @pytest.mark.parametrize("three", [[(0, 5), (4, 6), (8, 9)], [(8, 9), (4, 6), (0, 1)], [(0, 5), (6, 6), (8, 9)]])
    def test_the_three_must_be_sorted(self, three):
        with pytest.raises(ValueError, match=r"overlap|empty"):
            apply_three_regions(numbered(self.RANGES), three, min_region_size=1)

    def test_the_three_must_not_overlap_once_aligned(self):
        with pytest.raises(ValueError, match="overlap"):
            apply_three_regions(numbered(self.RANGES), [(0, 5), (6, 10), (20, 30)], min_region_size=4)

    @given(disjoint(), disjoint(min_n=3, max_n=3))
    def test_is_the_plain_application(self, ranges, three):
        r = numbered(ranges)
        apply_three_regions(r, three, min_region_size=1)
        assert counted(r) == plain_apply(ranges, three)

    @given(disjoint(), disjoint(min_n=3, max_n=3))
    def test_covers_exactly_the_three(self, ranges, three):
        r = numbered(ranges)
        apply_three_regions(r, three, min_region_size=1)
        covered = [a for start, end in r.ranges() for a in range(start, end)]
        assert covered == [a for start, end in three for a in range(start, end)]


class Space:
    """An address space of which the test says what it answers."""

    def __init__(self, *ranges):
        self.ranges = ranges
        self.old = []
        self.closed = 0
        self.alive = True
        self.hot = set()
        self.page_size = PAGE

    def mappings(self):
        return Mappings(Mapping(start, end) for start, end in self.ranges)

    def mkold(self, addresses):
        self.old.append(addresses)

    def young(self, addresses):
        accessed = np.array([int(a) // PAGE in self.hot for a in addresses], dtype=np.bool_)
        return accessed, np.full(len(addresses), self.page_size, dtype=np.uint64)

    def is_alive(self):
        return self.alive

    def close(self):
        self.closed += 1


class VoidingSpace(Space):
    """An address space that reports voids and has generations."""

    now = 1

    def __init__(self, *ranges):
        super().__init__(*ranges)
        self.void_pages = set()

    def young(self, addresses):
        self.last_voids = np.array([int(a) // PAGE in self.void_pages for a in addresses], dtype=np.bool_)
        return super().young(addresses)

    def voids(self):
        return self.last_voids

    def take_health(self):
        return SampleHealth()

    def generation(self):
        return self.now


def span(first, nr_pages):
    return first * PAGE, (first + nr_pages) * PAGE


class TestOperations:
    ops = VirtualAddressOperations()

    def begun(self, space, regions=None, **attrs):
        target = Target(1, space, regions)
        self.ops.init(target, Attrs(**attrs))
        return target

    def test_init_splits_the_three_evenly(self):
        target = self.begun(Space(span(0, 60), span(100, 38), span(1000, 2)))
        # 100 pages in pieces of 10; the third has less than a piece, and stays whole
        sizes = (target.regions.end - target.regions.start) // PAGE
        assert sizes.tolist() == [10] * 6 + [12, 12, 14] + [2]
        assert target.regions.ranges()[6] == span(100, 12)

    @pytest.mark.parametrize(
        ("ranges", "covered"),
        [
            ([span(5, 10), span(15, 10)], [span(5, 20)]),
            ([span(5, 10), span(100, 10)], [span(5, 10), span(100, 10)]),
            ([], []),
        ],
    )
    def test_fewer_than_two_gaps_are_monitored_all_the_same(self, ranges, covered):
        space = Space(*ranges)
        target = self.begun(space)
        for _ in range(2):
            assert sorted({p for r in target.regions.ranges() for p in range(*r, PAGE)}) == [
                p for r in covered for p in range(*r, PAGE)
            ]
            self.ops.prepare_access_checks(target, np.random.default_rng(1))
            self.ops.check_accesses(target)
            assert target.regions.nr_valid.tolist() == [1] * len(target.regions)
            self.ops.update(target)
            target.regions.reset_aggregated()

    def test_regions_bigger_than_the_pages_of_the_mappings(self):
        target = self.begun(Space(span(1, 1), span(20, 50), span(100, 1)), min_region_size=16 * PAGE)
        for _ in range(2):
            # aligned up to 16 pages, the first and the last have nothing left
            assert target.regions.ranges() == [span(32, 16), span(48, 16), span(64, 16)]
            self.ops.prepare_access_checks(target, np.random.default_rng(1))
            self.ops.check_accesses(target)
            self.ops.update(target)

    def test_sampling_addresses_lie_in_their_regions(self):
        target = self.begun(Space(span(0, 7), span(100, 3), span(1000, 1)))
        rng = np.random.default_rng(2)
        seen = []
        for _ in range(300):
            self.ops.prepare_access_checks(target, rng)
            assert np.all(target.regions.start <= target.sampling_addresses)
            assert np.all(target.sampling_addresses < target.regions.end)
            seen.append(target.sampling_addresses)
        assert np.array_equal(target.address_space.old, seen)
        assert np.all(np.std(np.array(seen) % PAGE, axis=0) > PAGE / 5)

    @given(st.integers(0, 1 << 32), st.lists(st.integers(1, 1 << 56), max_size=20))
    def test_they_are_those_that_numpy_would_draw(self, seed, sizes):
        end = np.cumsum(np.array(sizes, dtype=np.uint64), dtype=np.uint64)
        start = end - np.array(sizes, dtype=np.uint64)
        ours, numpy = np.random.default_rng(seed), np.random.default_rng(seed)
        for _ in range(2):
            expected = numpy.integers(start, end, dtype=np.uint64)
            assert np.array_equal(sampling.pick(ours.bit_generator, start, end), expected)

    def test_accesses_are_counted(self):
        space = Space((0, 2), (4, 6), (8, 10))
        target = self.begun(space, min_region_size=1)
        target.regions = Regions.from_ranges([span(0, 1), span(1, 1), span(2, 1)])
        space.hot = {1}
        for _ in range(3):
            self.ops.prepare_access_checks(target, np.random.default_rng(1))
            self.ops.check_accesses(target)
        assert target.regions.nr_accesses.tolist() == [0, 3, 0]
        assert target.regions.nr_valid.tolist() == [3, 3, 3]

    def test_addresses_of_the_same_page_share_the_first_answer(self):
        space = VoidingSpace(span(0, 1), span(10, 1), span(20, 1))
        target = self.begun(space, Regions.from_ranges([span(i, 1) for i in range(8)]))
        space.page_size = 4 * PAGE
        space.hot, space.void_pages = {0, 5, 6, 7}, {4, 5}
        self.ops.prepare_access_checks(target, np.random.default_rng(1))
        self.ops.check_accesses(target)
        assert target.regions.nr_accesses.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
        assert target.regions.nr_valid.tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
        assert target.page_sizes.tolist() == [4 * PAGE] * 8

    def test_addresses_without_a_page_share_nothing(self):
        space = Space(span(0, 1))
        target = self.begun(space, Regions.from_ranges([span(i, 1) for i in range(3)]))
        space.page_size, space.hot = 0, {1}
        self.ops.prepare_access_checks(target, np.random.default_rng(1))
        self.ops.check_accesses(target)
        assert target.regions.nr_accesses.tolist() == [0, 1, 0]

    def test_update_fits_the_regions_to_new_mappings(self):
        space = Space(span(0, 10), span(100, 10), span(1000, 10))
        target = self.begun(space, min_nr_regions=3)
        target.regions.age = np.array([1, 2, 3], dtype=np.uint32)
        space.ranges = (span(0, 20), span(300, 5), span(1000, 4))
        self.ops.update(target)
        assert target.regions.ranges() == [span(0, 20), span(300, 5), span(1000, 4)]
        assert target.regions.age.tolist() == [1, 0, 3]
        assert target.mappings.ranges() == list(space.ranges)

    def test_update_when_nothing_is_mapped_any_more(self):
        space = Space(span(0, 10), span(100, 10), span(1000, 10))
        target = self.begun(space)
        space.ranges = ()
        self.ops.update(target)
        assert len(target.regions) == 0

    @pytest.mark.parametrize("found_by", ["check", "update"])
    def test_a_new_address_space_is_begun_anew(self, found_by):
        space = VoidingSpace(span(0, 10), span(100, 10), span(1000, 10))
        target = self.begun(space)
        rng = np.random.default_rng(1)
        self.ops.prepare_access_checks(target, rng)
        self.ops.check_accesses(target)
        assert target.regions.nr_valid.min() == 1
        space.ranges = (span(5, 10), span(200, 10), span(2000, 10))
        self.ops.prepare_access_checks(target, rng)
        space.now = 2
        if found_by == "check":
            space.hot = set(range(3000))
            self.ops.check_accesses(target)
        else:
            self.ops.update(target)
        assert target.regions.ranges() == self.begun(space).regions.ranges()
        assert target.regions.nr_valid.max() == target.regions.nr_accesses.max() == target.regions.age.max() == 0
        assert target.mappings.ranges() == list(space.ranges)

    def test_user_ranges_stay_as_set(self):
        space = VoidingSpace(span(0, 10), span(100, 10), span(1000, 10))
        own = Regions.from_ranges([span(3, 4), span(50, 1)])
        target = self.begun(space, own)
        target.regions.split_at(0, PAGE)
        target.regions.age = np.array([5, 6, 7], dtype=np.uint32)
        self.ops.update(target)
        assert target.regions.ranges() == [span(3, 1), span(4, 3), span(50, 1)]
        space.now = 2
        self.ops.update(target)
        assert target.regions.ranges() == own.ranges() == [span(3, 4), span(50, 1)]
        assert target.regions.age.max() == 0

    def test_targets_share_nothing(self):
        rng = np.random.default_rng(1)
        hot, cold = (self.begun(Space(span(0, 10), span(100, 10), span(1000, 10))) for _ in range(2))
        hot.address_space.hot = set(range(2000))
        for target in (hot, cold):
            self.ops.prepare_access_checks(target, rng)
        for target in (hot, cold):
            self.ops.check_accesses(target)
        assert hot.regions.nr_accesses.min() == 1
        assert cold.regions.nr_accesses.max() == 0

    def test_the_end(self):
        space = Space(span(0, 10))
        target = self.begun(space)
        assert self.ops.target_valid(target)
        space.alive = False
        assert not self.ops.target_valid(target)
        self.ops.cleanup(target)
        assert space.closed == 1
