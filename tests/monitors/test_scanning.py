"""The scanning monitor in virtual time, over an address space that does as it is told."""

from dataclasses import replace

import numpy as np
import pytest

from vadamon import Attrs, Mapping, Mappings
from vadamon.address_space.base import Scan, Scans
from vadamon.attrs import IntervalsGoal
from vadamon.clock import VirtualClock
from vadamon.monitors.scanning import ScannedTarget, ScanningMonitor, choose_sample_us
from vadamon.ranges import subtract
from vadamon.snapshot import SampleHealth

MS = 1_000_000
PAGE = 4096
BASE = 0x7F0000000000
ATTRS = Attrs(sample_us=10_000, aggr_us=100_000, update_us=100_000, max_nr_regions=100)
NONE = np.empty(0, dtype=np.uint64)


def page(n):
    return BASE + n * PAGE


def runs(pairs):
    array = np.array([(page(low), page(high)) for low, high in pairs], dtype=np.uint64).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()


class Memory:
    """An address space of some pages; ``touched(k)`` and ``void(k)`` are ranges of pages, of scan k."""

    def __init__(self, touched, void=lambda k: [], nr_pages=100, clock=None, cost_ns=0):
        self.touched, self.void, self.nr_pages = touched, void, nr_pages
        self.nr_scans = -1  # the first one tells nothing
        self.times, self.clock, self.cost_ns = [], clock, cost_ns
        self.alive_for, self.nr_execs, self.spent_ns = None, 0, 0

    def mappings(self):
        return Mappings([Mapping(page(0), page(self.nr_pages))] if self.is_alive() else [])

    def scan(self, start, end, *, clear=True):
        assert (start.tolist(), end.tolist()) == ([page(0)], [page(self.nr_pages)])
        k, self.nr_scans = self.nr_scans, self.nr_scans + 1
        self.spent_ns += self.cost_ns
        if self.clock:
            self.times.append(self.clock.now_ns())
        voids = runs(self.void(k))
        young = subtract(*runs(self.touched(k)), voids)[:2]
        sizes = np.full(len(young[0]), PAGE, dtype=np.uint64)
        return Scan(*young, sizes, *voids, self.nr_pages * PAGE, 0, 0, complete=k >= 0)

    def is_alive(self):
        return self.alive_for is None or self.nr_scans < self.alive_for

    def close(self):
        self.nr_scans = -1

    def voids(self):
        return np.empty(0, dtype=np.bool_)

    def take_health(self):
        return SampleHealth(uncleared=3)

    def generation(self):
        return self.nr_execs


def snapshots(memory, nr, attrs=ATTRS, **kwargs):
    with ScanningMonitor([ScannedTarget(1, memory)], attrs, memory.clock or VirtualClock(), **kwargs) as monitor:
        return [next(monitor) for _ in range(nr)], monitor


def table(snapshot):
    """Return (first page, page behind, nr_accesses, age, unknown) of each region."""
    columns = (snapshot.start, snapshot.end, snapshot.nr_accesses, snapshot.age, snapshot.unknown)
    return [
        ((s - BASE) // PAGE, (e - BASE) // PAGE, *rest)
        for s, e, *rest in zip(*(c.tolist() for c in columns), strict=True)
    ]


def test_the_stand_in_is_what_the_monitor_asks_for():
    assert isinstance(Memory(lambda k: []), Scans)


def test_pages_of_equal_history_are_a_region():
    found, _ = snapshots(Memory(lambda k: [(10, 20)] + [(40, 41)] * (k % 2)), 3)
    assert table(found[0]) == [
        (0, 10, 0, 1, False),
        (10, 20, 10, 0, False),
        (20, 40, 0, 1, False),
        (40, 41, 5, 0, False),
        (41, 100, 0, 1, False),
    ]
    assert [row[3] for row in table(found[2])] == [3, 2, 3, 2, 3]
    assert [s.nr_samples for s in found] == [10, 10, 10]
    assert [(s.start_ns, s.end_ns) for s in found] == [(i * 100 * MS, (i + 1) * 100 * MS) for i in range(3)]
    assert found[0].health.uncleared == 3


def test_what_was_touched_before_monitoring_began_does_not_count():
    found, _ = snapshots(Memory(lambda k: [(0, 100)] if k < 0 else []), 1)
    assert table(found[0]) == [(0, 100, 0, 1, False)]


def test_void_pages_are_scaled_and_unknown_ones_keep_their_last_count():
    # Of page 1 every second scan is void; page 2 is void from the second interval on.
    found, _ = snapshots(Memory(lambda k: [(1, 3)], lambda k: [(1, 2)] * (k % 2) + [(2, 3)] * (k >= 10)), 2, ATTRS)
    assert table(found[0])[1] == (1, 3, 10, 0, False)
    assert table(found[1])[1:3] == [(1, 2, 10, 1, False), (2, 3, 10, 0, True)]


def test_too_many_regions_are_merged_and_the_loss_is_told():
    memory = Memory(lambda k: [(i, i + 1) for i in range(0, 60, 2)] + [(80, 100)])
    found, monitor = snapshots(memory, 1, Attrs(10_000, 100_000, 100_000, 3, 10))
    assert len(found[0]) == 10
    assert found[0].start[0] == page(0)
    assert (found[0].start[1:] == found[0].end[:-1]).all()
    assert found[0].end[-1] == page(100)
    lost = monitor.detail_lost
    assert (lost.nr_merged_snapshots, lost.nr_regions_before, lost.nr_regions_after) == (1, 61, 10)
    assert 0 < lost.largest_error < 0.5
    assert "61 that became 10" in str(lost)


def test_as_many_regions_as_may_be_are_left_alone():
    _, monitor = snapshots(Memory(lambda k: [(2, 4)]), 5)
    assert not monitor.detail_lost


def test_a_target_that_ends_tells_what_was_seen():
    memory = Memory(lambda k: [(0, 50)])
    memory.alive_for = 14
    with ScanningMonitor([ScannedTarget(1, memory)], ATTRS, VirtualClock()) as monitor:
        found = list(monitor)
    assert [s.nr_samples for s in found] == [10, 4]
    assert table(found[1]) == [(0, 50, 4, 1, False), (50, 100, 0, 2, False)]


def test_a_new_program_begins_with_no_history():
    memory = Memory(lambda k: [(0, 50)])
    with ScanningMonitor([ScannedTarget(1, memory)], ATTRS, VirtualClock()) as monitor:
        next(monitor)
        memory.nr_execs, memory.nr_pages, memory.touched = 1, 100, lambda k: []
        assert table(next(monitor)) == [(0, 100, 0, 1, False)]


def test_scans_that_cost_too_much_are_left_out_and_counted():
    clock = VirtualClock()
    memory = Memory(lambda k: [(0, 1)], clock=clock, cost_ns=3 * MS // 10)
    found, _ = snapshots(memory, 8, budget=0.01, cpu_ns=lambda: memory.spent_ns)
    # 0.3 ms at 1 % is a scan each 30 ms, where there could be one each 10 ms.
    assert np.diff(memory.times)[1:].tolist() == [30 * MS] * (len(memory.times) - 2)
    assert [s.nr_samples + s.health.missed_samples for s in found] == [10] * 8
    assert all(table(s)[0][2] == s.nr_samples for s in found)


@pytest.mark.parametrize(("cost_us", "sample_ms"), [(0, 30), (1_000, 200), (8_000, 2_000), (900_000, 10_000)])
def test_the_interval_follows_from_what_a_scan_costs(cost_us, sample_ms):
    memory = Memory(lambda k: [], cost_ns=cost_us * 1000)
    target = ScannedTarget(1, memory)
    assert choose_sample_us([target], 0.01, VirtualClock(), lambda: memory.spent_ns) == sample_ms * 1000


def test_bad_input():
    targets = [ScannedTarget(1, Memory(lambda k: []))]
    with pytest.raises(ValueError, match="at most 255 scans, not 300"):
        ScanningMonitor(targets, Attrs(10_000, 3_000_000, 3_000_000), VirtualClock())
    with pytest.raises(ValueError, match="share of one core"):
        ScanningMonitor(targets, ATTRS, VirtualClock(), budget=0)


def test_the_duration_ends_within_an_interval():
    memory = Memory(lambda k: [(10, 20)], clock=VirtualClock())
    with ScanningMonitor([ScannedTarget(1, memory)], ATTRS, memory.clock) as monitor:
        monitor.duration_ns = 138 * MS
        found = list(monitor)
    assert [(s.start_ns // MS, s.end_ns // MS, s.nr_samples) for s in found] == [(0, 100, 10), (100, 130, 3)]
    assert memory.clock.now_ns() == 138 * MS


def test_intervals_are_not_tuned():
    with pytest.raises(ValueError, match="not tuned"):
        ScanningMonitor([], replace(ATTRS, intervals_goal=IntervalsGoal()), VirtualClock())
