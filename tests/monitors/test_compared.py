"""Sampling from what scans have seen, in virtual time."""

from dataclasses import replace

import numpy as np
import pytest

from vadamon import Attrs, IntervalsGoal, Mapping, Mappings
from vadamon.address_space.base import AddressSpace, ReportsVoids, Scan, Scans
from vadamon.clock import VirtualClock
from vadamon.monitors.compared import ComparedMonitor, ScannedAddressSpace
from vadamon.monitors.scanning import ScannedTarget
from vadamon.snapshot import SampleHealth

MS = 1_000_000
PAGE = 4096
BASE = 0x7F0000000000
NR_PAGES = 512
ATTRS = Attrs(sample_us=10_000, aggr_us=200_000)


def page(n):
    return BASE + n * PAGE


def pages(*ranges):
    array = np.array([(page(low), page(high)) for low, high in ranges], dtype=np.uint64).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()


class Memory:
    """Pages of which ``hot`` are accessed all the time, and of ``void`` nothing is known."""

    def __init__(self, hot=((100, 200),), void=(), page_size=PAGE):
        self.hot, self.void, self.page_size = hot, void, page_size
        self.nr_scans, self.nr_execs, self.alive_for = 0, 0, None
        self.complete = True

    def mappings(self):
        return Mappings([Mapping(page(0), page(NR_PAGES))] if self.is_alive() else [])

    def scan(self, start, end, *, clear=True):
        assert clear
        assert (start.tolist(), end.tolist()) == ([page(0)], [page(NR_PAGES)])
        self.nr_scans += 1
        young = pages(*self.hot)
        sizes = np.full(len(young[0]), self.page_size, dtype=np.uint64)
        complete = self.complete and self.nr_scans > 1
        return Scan(*young, sizes, *pages(*self.void), NR_PAGES * PAGE, 0, 0, complete=complete)

    def is_alive(self):
        return self.alive_for is None or self.nr_scans < self.alive_for

    def close(self):
        self.alive_for = 0

    def voids(self):
        return np.empty(0, dtype=np.bool_)

    def take_health(self):
        return SampleHealth(uncleared=3)

    def generation(self):
        return self.nr_execs


def compare(memory, nr, attrs=ATTRS):
    """Return the snapshots of the samples, and those of all pages."""
    of_all = []
    with ComparedMonitor([ScannedTarget(7, memory)], attrs, VirtualClock(), np.random.default_rng(1)) as monitor:
        monitor.keep = lambda snapshot, mappings: of_all.append(snapshot)
        return [snapshot for _, snapshot in zip(range(nr), monitor, strict=False)], of_all


def counts(snapshot):
    """Return nr_accesses of each page."""
    index = np.searchsorted(snapshot.start, pages((0, NR_PAGES))[0] + np.arange(NR_PAGES) * PAGE, side="right") - 1
    return snapshot.nr_accesses[index]


def test_it_is_an_address_space_of_one_that_scans():
    space = ScannedAddressSpace(ScannedTarget(1, Memory()))
    accepted: AddressSpace = space
    assert isinstance(accepted, ReportsVoids)
    assert isinstance(Memory(), Scans)


def test_addresses_get_the_answer_for_their_pages():
    memory = Memory(hot=((100, 200), (300, 301)), void=((250, 260),), page_size=2 * PAGE)
    space = ScannedAddressSpace(ScannedTarget(1, memory))
    space.mappings()
    addresses = np.array([page(n) + 17 for n in (0, 100, 199, 200, 249, 250, 259, 260, 300, 301)], dtype=np.uint64)
    space.mkold(addresses)
    accessed, page_sizes = space.young(addresses)
    assert accessed.tolist() == [False, True, True, False, False, False, False, False, True, False]
    assert page_sizes[accessed].tolist() == [2 * PAGE] * 3
    assert space.voids().tolist() == [False] * 5 + [True, True] + [False] * 3
    assert memory.nr_scans == 2


def test_a_scan_that_tells_nothing_makes_all_samples_void():
    memory = Memory()
    space = ScannedAddressSpace(ScannedTarget(1, memory))
    space.mappings()
    addresses = np.array([page(n) for n in (100, 300)], dtype=np.uint64)
    space.mkold(addresses)
    memory.complete = False
    accessed, _ = space.young(addresses)
    assert not accessed.any()
    assert space.voids().all()


def test_both_are_of_the_same_times_and_samples():
    memory = Memory()
    sampled, of_all = compare(memory, 60)
    assert memory.nr_scans == 1 + 60 * 20  # one to begin with, and one a sample: nobody else clears
    for s, every in zip(sampled, of_all, strict=True):
        assert (every.target_id, every.start_ns, every.end_ns) == (7, s.start_ns, s.end_ns)
        assert (every.nr_samples, every.health) == (s.nr_samples, s.health)
        assert counts(every).tolist() == [0] * 100 + [20] * 100 + [0] * (NR_PAGES - 200)
    assert of_all[-1].age.tolist() == [60, 59, 60]
    # The sample comes near to it, but not to the page.
    means = np.mean([counts(s) for s in sampled[20:]], axis=0)
    assert means[100:200].mean() >= 18
    assert means[:95].mean() <= 1
    assert any(len(s) > 3 for s in sampled)


def test_what_is_void_is_unknown_to_both():
    sampled, of_all = compare(Memory(void=((300, NR_PAGES),)), 40)
    for found in (sampled[-1], of_all[-1]):
        unknown = found.start[found.unknown]
        assert len(unknown)
        assert (unknown >= page(280)).all()


def test_a_target_that_ends_has_its_last_snapshot_in_both():
    memory = Memory()
    memory.alive_for = 31
    sampled, of_all = compare(memory, 9)
    assert [s.nr_samples for s in sampled] == [s.nr_samples for s in of_all] == [20, 10]
    assert counts(of_all[1])[150] == 10


def test_a_new_program_begins_anew_in_both():
    memory = Memory()
    with ComparedMonitor([ScannedTarget(7, memory)], ATTRS, VirtualClock(), np.random.default_rng(1)) as monitor:
        of_all = []
        monitor.keep = lambda snapshot, mappings: of_all.append(snapshot)
        next(monitor)
        memory.nr_execs, memory.hot = 1, ()
        sampled = next(monitor)
    assert counts(sampled).max() == counts(of_all[1]).max() == 0


def test_bad_input():
    for attrs, named in (
        (Attrs(1_000, 300_000), "at most 255 scans"),
        (replace(ATTRS, intervals_goal=IntervalsGoal()), "not tuned"),
    ):
        with pytest.raises(ValueError, match=named):
            compare(Memory(), 1, attrs)
