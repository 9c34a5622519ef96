"""Counters of every page, against a plain dictionary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon._native.page_heat import MAX_SCANS, PageHeat

PAGE = 4096
BASE = 0x7F0000000000


def pairs(edges):
    return list(zip(edges[::2], edges[1::2], strict=False))


# The ends of chunks of 512 pages, and what lies between.
edge = st.one_of(st.integers(0, 1600), st.sampled_from([0, 1, 511, 512, 513, 1023, 1024, 1536]))
page_ranges = st.lists(edge, max_size=8, unique=True).map(lambda edges: pairs(sorted(edges)))


def arrays(ranges):
    array = np.array(ranges, dtype=np.uint64).reshape(-1, 2) * np.uint64(PAGE) + np.uint64(BASE)
    return array[:, 0].copy(), array[:, 1].copy()


def members(ranges):
    return {page for low, high in ranges for page in range(low, high)}


class Model:
    """What `PageHeat` is to do, page by page."""

    def __init__(self):
        self.pages = {}
        self.nr_scans = self.last_nr_samples = 0

    def set_ranges(self, ranges):
        new = {"count": 0, "void": 0, "last": 0, "age": 0}
        self.pages = {page: self.pages.get(page, dict(new)) for page in members(ranges)}

    def add(self, young, void):
        self.nr_scans += 1
        for page in young & self.pages.keys():
            self.pages[page]["count"] += 1
        for page in void & self.pages.keys():
            self.pages[page]["void"] += 1

    def end(self, nr_samples, threshold):
        result = {}
        for page, p in self.pages.items():
            if self.last_nr_samples:
                p["last"] = (2 * p["last"] * nr_samples + self.last_nr_samples) // (2 * self.last_nr_samples)
            valid = self.nr_scans - p["void"]
            now = (2 * p["count"] * nr_samples + valid) // (2 * valid) if valid else p["last"]
            changed = abs(now - p["last"]) > threshold or (now == 0) != (p["last"] == 0)
            p["age"] = 0 if changed else p["age"] + (valid > 0)
            p["last"], p["count"], p["void"] = now, 0, 0
            result[page] = (now, p["age"], valid == 0)
        self.nr_scans, self.last_nr_samples = 0, nr_samples
        return result


def expanded(start, end, nr_accesses, age, unknown):
    pages = {}
    for s, e, *values in zip(*(a.tolist() for a in (start, end, nr_accesses, age, unknown)), strict=True):
        assert s < e
        for page in range((s - BASE) // PAGE, (e - BASE) // PAGE):
            assert page not in pages
            pages[page] = tuple(values)
    return pages


scan = st.tuples(page_ranges, page_ranges)
interval = st.tuples(page_ranges, st.lists(scan, min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 2))


@given(st.lists(interval, min_size=1, max_size=5))
def test_every_page_is_counted_and_ages_as_its_own_region_would(intervals):
    heat, model = PageHeat(), Model()
    for mapped, scans, more_samples, threshold in intervals:
        heat.set_ranges(*arrays(mapped))
        model.set_ranges(mapped)
        for young, void in scans:
            mapped_young = (members(young) - members(void)) & members(mapped)
            void = members(void) & members(mapped)
            heat.add(*arrays(as_ranges(mapped_young)), *arrays(as_ranges(void)))
            model.add(mapped_young, void)
        nr_samples = len(scans) + more_samples
        expected = model.end(nr_samples, threshold)
        largest = heat.sum_up(nr_samples)
        start, end, *values = heat.end(threshold)
        assert expanded(start, end, *values) == expected
        assert largest >= max((count for count, *_ in expected.values()), default=0)
        alike = end[:-1] == start[1:]
        for value in values:
            alike &= value[:-1] == value[1:]
        assert not alike.any()  # equal neighbours are one run


def as_ranges(pages):
    return [(page, page + 1) for page in sorted(pages)]


def test_memory_that_is_never_touched_costs_nothing():
    heat = PageHeat()
    heat.set_ranges(*arrays([(0, 1 << 32)]))  # 16 TiB
    for age in (1, 2, 3):
        heat.add(*arrays([(7, 8)]), *arrays([]))
        heat.sum_up(1)
        start, _, nr_accesses, ages, unknown = heat.end(0)
        assert ((start - BASE) // PAGE).tolist() == [0, 7, 8]
        assert nr_accesses.tolist() == [0, 1, 0]
        assert ages.tolist() == [age, age - 1, age]
        assert not unknown.any()


def test_an_interval_without_a_scan_is_unknown():
    heat = PageHeat()
    heat.set_ranges(*arrays([(0, 10)]))
    heat.add(*arrays([(0, 4)]), *arrays([]))
    heat.sum_up(1)
    heat.end(0)
    heat.sum_up(1)
    _, _, nr_accesses, _, unknown = heat.end(0)
    assert (nr_accesses.tolist(), unknown.tolist()) == ([1, 0], [True, True])


def test_an_interval_holds_no_more_scans_than_can_be_counted():
    heat = PageHeat()
    heat.set_ranges(*arrays([(0, 1)]))
    for _ in range(MAX_SCANS):
        heat.add(*arrays([(0, 1)]), *arrays([]))
    with pytest.raises(ValueError, match="at most 255 scans"):
        heat.add(*arrays([(0, 1)]), *arrays([]))
    with pytest.raises(ValueError, match="1 to 255 scans, not 0"):
        heat.sum_up(0)
    assert heat.sum_up(MAX_SCANS) == MAX_SCANS
