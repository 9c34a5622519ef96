from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon import Attrs, Mapping, Mappings, Regions, SampleHealth
from vadamon.address_space.base import Rounds, Stage
from vadamon.attrs import IntervalsGoal
from vadamon.clock import MonotonicClock, VirtualClock
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations import get
from vadamon.operations.base import Target
from vadamon.workload import Area, Sweep
from vadamon.workload.simulated import SimulatedWorkload

PAGE = 4096
MS = 1_000_000
HEAP, MMAP, STACK = (0x10000, 100), (0x700000, 1000), (0x7FFF00, 20)
"""First page and number of pages."""


class World(VirtualClock):
    """Virtual time in which processes run, and a sleep may last too long."""

    def __init__(self):
        super().__init__(now_ns=7 * MS)
        self.start_ns = self.now_ns()
        self.processes = []
        self.oversleep_ms = {}
        """By the time a sleep should have ended, in ms since the start: how much longer it lasts."""

    def ms(self):
        return (self.now_ns() - self.start_ns) / MS

    def sleep_until_ns(self, deadline_ns):
        late_ms = self.oversleep_ms.get((deadline_ns - self.start_ns) / MS, 0)
        super().sleep_until_ns(deadline_ns + late_ms * MS)
        for process in self.processes:
            process.run()

    def work(self, ms):
        """Let time pass in which the monitor does something."""
        super().sleep_until_ns(self.now_ns() + ms * MS)


class Process:
    """A process with an accessed bit a page, and its address space as the monitor sees it."""

    def __init__(self, world, hot=(MMAP[0] + 200, 100), areas=(HEAP, MMAP, STACK)):
        self.world = world
        self.hot = hot
        self.map(areas)
        self.alive = True
        self.nr_closed = 0
        self.checked_at_ms = []
        self.at_ms = {}
        """What happens, by the time in ms."""
        world.processes.append(self)

    def map(self, areas):
        self.areas = areas
        self.pages = np.concatenate([np.arange(first, first + n) for first, n in areas])
        self.accessed = np.zeros(len(self.pages), dtype=np.bool_)

    def run(self):
        for ms in [ms for ms in self.at_ms if ms <= self.world.ms()]:
            self.at_ms.pop(ms)()
        first, n = self.hot
        self.accessed[(first <= self.pages) & (self.pages < first + n)] = True

    def find(self, addresses):
        page = (addresses // PAGE).astype(np.int64)
        index = np.minimum(np.searchsorted(self.pages, page), len(self.pages) - 1)
        return index, self.pages[index] == page

    def mappings(self):
        return Mappings(Mapping(first * PAGE, (first + n) * PAGE) for first, n in self.areas)

    def mkold(self, addresses):
        index, mapped = self.find(addresses)
        self.accessed[index[mapped]] = False

    def young(self, addresses):
        self.checked_at_ms.append(self.world.ms())
        index, mapped = self.find(addresses)
        return self.accessed[index] & mapped, np.full(len(addresses), PAGE, dtype=np.uint64)

    def is_alive(self):
        return self.alive

    def close(self):
        self.nr_closed += 1

    def exit(self):
        self.alive = False


class AwkwardProcess(Process):
    """A process that can call execve, and has pages that cannot always be checked."""

    nr_execs = 0
    void_pages = (0, 0)
    void_from_ms = 0
    nr_unchecked = 0

    def execve(self, areas):
        self.nr_execs += 1
        self.map(areas)

    def young(self, addresses):
        first, n = self.void_pages
        page = addresses // PAGE
        self.last_voids = (first <= page) & (page < first + n) & (self.world.ms() >= self.void_from_ms)
        self.nr_unchecked += int(self.last_voids.sum())
        accessed, size = super().young(addresses)
        return accessed | self.last_voids, size  # what it says of void ones must not matter

    def voids(self):
        return self.last_voids

    def take_health(self):
        health = SampleHealth(unchecked=self.nr_unchecked)
        self.nr_unchecked = 0
        return health

    def generation(self):
        return self.nr_execs


@pytest.fixture
def world():
    return World()


def monitor(world, *targets, seed=1, **attrs):
    targets = [Target(i, t) if isinstance(t, Process) else t for i, t in enumerate(targets, 1)]
    return SamplingMonitor(targets, Attrs(**attrs), get("vaddr"), world, np.random.default_rng(seed))


def take(monitor, n):
    return [next(monitor) for _ in range(n)]


def by_page(snapshot, values, first, n):
    """Return the value of each of n pages."""
    index = np.searchsorted(snapshot.start, np.arange(first, first + n, dtype=np.uint64) * PAGE, side="right") - 1
    return values[index]


def grid(world, snapshot):
    return ((snapshot.start_ns - world.start_ns) / MS, (snapshot.end_ns - world.start_ns) / MS)


def check_well_formed(snapshot, attrs):
    assert np.all(snapshot.start < snapshot.end)
    assert np.all(snapshot.end[:-1] <= snapshot.start[1:])
    assert np.all(snapshot.nr_accesses <= snapshot.nr_samples)
    assert snapshot.nr_samples <= attrs.max_nr_samples
    assert len(snapshot) <= attrs.max_nr_regions


class TestFindings:
    def test_hot_is_found_hot_and_cold_cold(self, world):
        process = Process(world)
        m = monitor(world, process)
        snapshots = take(m, 100)
        for s in snapshots:
            check_well_formed(s, m.attrs)
        hot = np.array([by_page(s, s.nr_accesses, *process.hot) for s in snapshots[30:]])
        below = np.array([by_page(s, s.nr_accesses, MMAP[0], 200) for s in snapshots[30:]])
        above = np.array([by_page(s, s.nr_accesses, MMAP[0] + 300, 700) for s in snapshots[30:]])
        assert hot.mean() >= 18
        assert max(below.mean(), above.mean()) <= 0.5
        assert (hot >= 10).mean() >= 0.98

    def test_ages_tell_since_when(self, world):
        process = Process(world)
        m = monitor(world, process)
        take(m, 60)
        process.hot = (MMAP[0] + 700, 100)
        s = take(m, 40)[-1]
        for now_hot_or_cold in (MMAP[0] + 220, MMAP[0] + 720):
            # 40, but for a mean with neighbours that they merged with now and then
            assert 10 <= np.median(by_page(s, s.age, now_hot_or_cold, 60)) <= 60
        assert np.median(by_page(s, s.age, MMAP[0] + 400, 200)) > 60

    def test_same_seed_same_snapshots(self):
        runs = []
        for seed in (5, 5, 6):
            world = World()
            runs.append(take(monitor(world, Process(world), seed=seed), 20))
        a, b, c = ([(s.start.tolist(), s.nr_accesses.tolist(), s.age.tolist()) for s in run] for run in runs)
        assert a == b
        assert a != c

    def test_a_snapshot_does_not_change_afterwards(self, world):
        m = monitor(world, Process(world))
        s = take(m, 5)[-1]
        arrays = [s.start, s.end, s.nr_accesses, s.age, s.unknown]
        copies = [a.copy() for a in arrays]
        take(m, 5)
        assert all(np.array_equal(a, b) for a, b in zip(arrays, copies, strict=True))

    def test_user_regions_are_monitored_and_no_others(self, world):
        first, n = MMAP[0] + 150, 100
        own = Regions.from_ranges([(first * PAGE, (first + n) * PAGE)])
        m = monitor(world, Target(1, Process(world), own), update_us=100_000)
        for s in take(m, 60):
            assert (int(s.start[0]), int(s.end[-1])) == own.ranges()[0]
            assert np.array_equal(s.end[:-1], s.start[1:])
        assert by_page(s, s.nr_accesses, first + 60, 40).mean() >= 18
        assert by_page(s, s.nr_accesses, first, 40).mean() <= 0.5

    def test_a_process_without_gaps_is_monitored_all_the_same(self, world):
        m = monitor(world, Process(world, areas=(MMAP,)))
        s = take(m, 50)[-1]
        assert (int(s.start[0]), int(s.end[-1])) == (MMAP[0] * PAGE, sum(MMAP) * PAGE)
        assert by_page(s, s.nr_accesses, MMAP[0] + 210, 80).mean() >= 18

    def test_new_mappings_are_seen_at_the_update_interval(self, world):
        process = Process(world)
        m = monitor(world, process)
        process.at_ms[350] = lambda: process.map(((HEAP[0], 300), MMAP, STACK))
        ends = [int(s.end[s.end <= MMAP[0] * PAGE][-1]) // PAGE for s in take(m, 12)]
        assert ends == [sum(HEAP)] * 10 + [HEAP[0] + 300] * 2


class TestSchedule:
    def test_on_time(self, world):
        process = Process(world)
        snapshots = take(monitor(world, process), 3)
        assert [grid(world, s) for s in snapshots] == [(0, 100), (100, 200), (200, 300)]
        assert [s.nr_samples for s in snapshots] == [20] * 3
        assert {s.health for s in snapshots} == {SampleHealth()}
        assert process.checked_at_ms == [5 * k for k in range(1, 61)]

    def test_a_late_sample_does_not_shift_those_after_it(self, world):
        process = Process(world)
        world.oversleep_ms = {20: 2, 40: 3}  # only the second is more than half an interval late
        first, second = take(monitor(world, process), 2)
        assert process.checked_at_ms[:9] == [5, 10, 15, 22, 25, 30, 35, 43, 50]
        assert first.nr_samples == 19
        assert first.health == SampleHealth(late_samples=1, missed_samples=1)  # of the next too little was left
        assert second.health == SampleHealth()

    def test_samples_whose_time_has_passed_are_left_out(self, world):
        process = Process(world)
        world.oversleep_ms = {20: 12}
        first, second = take(monitor(world, process), 2)
        assert process.checked_at_ms[:6] == [5, 10, 15, 32, 35, 40]
        assert first.nr_samples == 18
        assert first.health == SampleHealth(late_samples=1, missed_samples=2)
        assert grid(world, second) == (100, 200)
        assert second.nr_samples == 20

    def test_an_interval_ends_on_the_grid_though_its_last_samples_are_missed(self, world):
        world.oversleep_ms = {90: 27}
        first, second = take(monitor(world, Process(world)), 2)
        assert grid(world, first) == (0, 100)
        assert (first.nr_samples, first.health.missed_samples) == (18, 2)
        assert grid(world, second) == (100, 200)
        assert (second.nr_samples, second.health.missed_samples) == (17, 3)

    def test_an_interval_without_samples_has_no_snapshot(self, world):
        world.oversleep_ms = {50: 363}
        first, second = take(monitor(world, Process(world)), 2)
        assert grid(world, first) == (0, 100)
        assert (first.nr_samples, first.health.missed_samples) == (10, 10)
        assert grid(world, second) == (400, 500)
        assert (second.nr_samples, second.health.missed_samples) == (17, 3)

    def test_the_last_sample_of_an_interval_may_be_its_first(self, world):
        world.oversleep_ms = {90: 107}
        first, second, third = take(monitor(world, Process(world)), 3)
        assert [grid(world, s) for s in (first, second, third)] == [(0, 100), (100, 200), (200, 300)]
        assert [s.nr_samples for s in (first, second, third)] == [18, 1, 20]

    def test_clearing_that_takes_long_leaves_the_next_sample_its_time(self, world):
        process = Process(world)
        mkold = process.mkold

        def slowly(addresses):
            mkold(addresses)
            if world.ms() == 50:
                world.work(12)

        process.mkold = slowly
        s = next(monitor(world, process))
        assert process.checked_at_ms[8:12] == [45, 50, 65, 70]
        assert s.health == SampleHealth(missed_samples=2)

    def test_however_long_clearing_takes_a_sample_sees_half_of_its_interval(self, world):
        process = Process(world)
        mkold, cleared_at_ms = process.mkold, []

        def slowly(addresses):
            mkold(addresses)
            world.work(1 + len(cleared_at_ms) * 7 % 8)
            cleared_at_ms.append(world.ms())

        process.mkold = slowly
        snapshots = take(monitor(world, process), 10)
        assert all(s.nr_samples + s.health.missed_samples == 20 for s in snapshots)
        assert min(s.nr_samples for s in snapshots) > 5
        windows_ms = np.array(process.checked_at_ms) - np.array(cleared_at_ms)[: len(process.checked_at_ms)]
        assert windows_ms.min() >= 2.5
        assert windows_ms.max() < 7.5

    def test_counts_out_of_fewer_samples_are_no_change(self, world):
        process = Process(world)
        m = monitor(world, process)
        take(m, 60)
        world.oversleep_ms = {6005: 42}
        s = take(m, 1)[0]
        assert s.nr_samples == 12
        assert by_page(s, s.nr_accesses, *process.hot).mean() >= 11
        assert np.median(by_page(s, s.age, *process.hot)) > 40
        s = take(m, 1)[0]
        assert s.nr_samples == 20
        assert np.median(by_page(s, s.age, *process.hot)) > 40

    def test_time_that_the_receiver_takes_is_time_that_is_sampled(self, world):
        process = Process(world)
        m = monitor(world, process)
        for _ in range(2):
            next(m)
            world.work(3)
        next(m)
        assert process.checked_at_ms == [5 * k for k in range(1, 61)]

    def test_a_receiver_that_takes_too_long_loses_samples(self, world):
        process = Process(world)
        m = monitor(world, process)
        next(m)
        world.work(33)
        second = next(m)
        assert process.checked_at_ms[20:23] == [133, 140, 145]
        assert second.health == SampleHealth(late_samples=1, missed_samples=6)
        assert second.nr_samples == 14

    def test_an_update_that_takes_long(self, world):
        process = Process(world)
        mappings = process.mappings

        def slowly():
            world.work(70)
            return mappings()

        m = monitor(world, process, update_us=50_000)
        process.mappings = slowly
        world.start_ns += 70 * MS  # init has looked once
        snapshots = take(m, 20)
        assert all(s.nr_samples + s.health.missed_samples == 20 for s in snapshots)
        assert all(s.nr_samples > 0 for s in snapshots)
        assert all(a % 100 == 0 and b == a + 100 for a, b in (grid(world, s) for s in snapshots))
        assert all(ms % 5 == 0 for ms in process.checked_at_ms)
        for s in snapshots:
            start, end = grid(world, s)
            assert s.nr_samples == sum(start < ms <= end for ms in process.checked_at_ms)

    def test_intervals_are_whole_samples(self, world):
        snapshots = take(monitor(world, Process(world), sample_us=3_000, aggr_us=10_000, update_us=10_000), 3)
        assert [grid(world, s) for s in snapshots] == [(0, 9), (9, 18), (18, 27)]
        assert {s.nr_samples for s in snapshots} == {3}


class TestTuning:
    def test_intervals_follow_each_other_without_gap_or_overlap(self, world):
        # The second sleeps over the end at which intervals are tuned.
        world.oversleep_ms = {90: 27, 295: 31, 400: 663}
        snapshots = take(monitor(world, Process(world, hot=(0, 0)), intervals_goal=IntervalsGoal()), 20)
        times = [grid(world, s) for s in snapshots]
        assert times[0][0] == 0
        assert all(before[1] <= after[0] for before, after in pairwise(times))
        assert [(before, after) for before, after in pairwise(times) if before[1] != after[0]] == [
            ((300, 500), (900, 1100))
        ]
        # Those of 310 to 330 ms, and of 410 to 500.
        assert snapshots[3].health.missed_samples == 13
        for s in snapshots:
            sample_ns = (s.end_ns - s.start_ns) / (s.nr_samples + s.health.missed_samples)
            assert 5 * MS <= sample_ns <= 10_000 * MS
            assert s.nr_samples + s.health.missed_samples == 20
        assert times[-1][1] - times[-1][0] > 1_000

    def test_each_third_interval_may_change_them(self, world):
        m = monitor(world, Process(world, hot=(0, 0)), intervals_goal=IntervalsGoal(max_sample_us=40_000))
        lengths = [end - start for start, end in (grid(world, s) for s in take(m, 15))]
        assert lengths == [100] * 3 + [200] * 3 + [400] * 3 + [800] * 6
        assert m.attrs == Attrs(sample_us=40_000, aggr_us=800_000, intervals_goal=IntervalsGoal(max_sample_us=40_000))

    def test_where_more_is_hot_they_stay_short(self, world):
        m = monitor(world, Process(world, hot=MMAP), intervals_goal=IntervalsGoal())
        take(m, 30)
        assert m.attrs.sample_us == 5_000
        m = monitor(world, Process(world, hot=MMAP), sample_us=50_000, aggr_us=10**6, intervals_goal=IntervalsGoal())
        take(m, 30)
        assert m.attrs.sample_us == 5_000
        assert m.attrs.aggr_us == 100_000

    def test_updates_come_when_they_are_due(self, world):
        process = Process(world, hot=(0, 0))
        updated = []
        mappings = process.mappings
        process.mappings = lambda: updated.append(world.ms()) or mappings()
        take(monitor(world, process, intervals_goal=IntervalsGoal(max_sample_us=40_000)), 30)
        assert len(updated) > 10
        assert all(0 < after - before <= 1_080 for before, after in pairwise(updated))

    def test_ages_stay_in_the_intervals_of_the_beginning(self, world):
        goal = IntervalsGoal(access_share=0.01, max_sample_us=33_000)
        snapshots = take(monitor(world, Process(world, hot=(0, 0)), intervals_goal=goal), 30)
        for s in snapshots:
            assert set(s.age.tolist()) == {int(grid(world, s)[1] / 100)}

    @pytest.mark.parametrize("sample_us", [5_000, 320_000])
    def test_a_sweep_is_met_at_the_goal(self, sample_us):
        # Every page is touched each 2 s: of the samples of each, 80 ms apart, 4 % find it accessed.
        clock = SimulatedWorkload([Area("a", size=32 << 20, patterns=[Sweep(length=32 << 20, period_us=2_000_000)])])
        attrs = Attrs(sample_us=sample_us, aggr_us=20 * sample_us, intervals_goal=IntervalsGoal())
        m = SamplingMonitor([Target(1, clock.space)], attrs, get("vaddr"), clock, np.random.default_rng(1))
        tuned = []
        for s in m:
            tuned.append(m.attrs.sample_us)
            if s.end_ns > 150_000 * MS:
                break
        settled = np.array(tuned[len(tuned) // 2 :])
        assert 55_000 <= np.median(settled) <= 115_000


class TestTargets:
    def test_each_has_its_own_findings(self, world):
        a = Process(world)
        b = Process(world, hot=(MMAP[0] + 700, 100))
        m = monitor(world, a, b)
        snapshots = take(m, 120)
        assert [s.target_id for s in snapshots] == [1, 2] * 60
        for s, process, other in ((snapshots[-2], a, b), (snapshots[-1], b, a)):
            assert by_page(s, s.nr_accesses, *process.hot).mean() >= 18
            assert by_page(s, s.nr_accesses, *other.hot).mean() <= 0.5
        assert all(len(x) + len(y) <= 1000 for x, y in zip(snapshots[::2], snapshots[1::2], strict=True))

    def test_one_that_exits_is_dropped_with_what_was_seen_of_it(self, world):
        a, b = Process(world), Process(world)
        a.at_ms[238] = a.exit
        b.at_ms[452] = b.exit
        m = monitor(world, a, b)
        snapshots = [(s.target_id, *grid(world, s), s.nr_samples) for s in m]
        assert snapshots == [
            (1, 0, 100, 20),
            (2, 0, 100, 20),
            (1, 100, 200, 20),
            (2, 100, 200, 20),
            (1, 200, 235, 7),
            (2, 200, 300, 20),
            (2, 300, 400, 20),
            (2, 400, 450, 10),
        ]
        assert (a.nr_closed, b.nr_closed) == (1, 1)
        assert a.checked_at_ms[-1] == 235

    def test_one_that_is_gone_from_the_start_has_no_snapshot(self, world):
        process = Process(world)
        process.exit()
        assert list(monitor(world, process)) == []
        assert process.nr_closed == 1

    def test_no_targets_at_all(self, world):
        assert list(monitor(world)) == []

    def test_execve_begins_anew(self, world):
        process = AwkwardProcess(world)
        elsewhere = (0x500000, 300)
        m = monitor(world, process)
        process.at_ms[3050] = lambda: process.execve((HEAP, elsewhere, STACK))
        snapshots = take(m, 32)
        before, during, after = snapshots[29:]
        assert by_page(before, before.nr_accesses, *process.hot).mean() >= 18
        for s in (during, after):
            covered = np.concatenate([np.arange(a, b, PAGE) for a, b in zip(s.start, s.end, strict=True)]) // PAGE
            assert np.array_equal(covered, process.pages)
            assert s.nr_accesses.max() == 0
            assert not s.unknown.any()
        assert during.age.max() <= 1
        assert during.nr_samples == 20


class TestVoids:
    HALF = (MMAP[0] + 200, 50)

    def test_pages_that_can_never_be_checked_are_unknown(self, world):
        process = AwkwardProcess(world)
        process.void_pages = self.HALF
        own = Regions.from_ranges([((MMAP[0] + i) * PAGE, (MMAP[0] + i + 50) * PAGE) for i in range(0, 400, 50)])
        m = monitor(world, Target(1, process, own))
        for s in take(m, 20):
            assert by_page(s, s.unknown, *self.HALF).all()
            assert by_page(s, s.nr_accesses, *self.HALF).max() == 0
            rest = ~s.unknown
            assert np.count_nonzero(rest) >= 7
            assert s.health.unchecked >= 20
        assert by_page(s, s.nr_accesses, MMAP[0] + 250, 50).mean() >= 18
        assert not by_page(s, s.unknown, MMAP[0], 200).any()

    def test_the_last_known_value_is_kept_however_many_samples(self, world):
        process = AwkwardProcess(world)
        process.void_pages, process.void_from_ms = self.HALF, 3000
        own = Regions.from_ranges([(self.HALF[0] * PAGE, sum(self.HALF) * PAGE)])
        m = monitor(world, Target(1, process, own))
        take(m, 30)
        world.oversleep_ms = {3005: 42}
        few, many = take(m, 2)
        assert (few.nr_samples, many.nr_samples) == (12, 20)
        for s in (few, many):
            assert s.unknown.all()
            assert np.all(s.nr_accesses == s.nr_samples)

    def test_partly_void_regions_are_scaled_up(self, world):
        process = AwkwardProcess(world)
        # of one page, so that the region is void half of the time
        process.void_pages = (MMAP[0] + 210, 1)
        own = Regions.from_ranges([((MMAP[0] + 210) * PAGE, (MMAP[0] + 212) * PAGE)])
        m = monitor(world, Target(1, process, own))
        for s in take(m, 10):
            assert s.health.unchecked > 0
            assert s.nr_accesses.tolist() == [20]
            assert s.unknown.tolist() == [False]


class TestEnd:
    def test_stop_ends_at_the_next_sample(self, world):
        process = Process(world)
        m = monitor(world, process)
        process.at_ms[142] = m.stop
        snapshots = list(m)
        assert [grid(world, s) for s in snapshots] == [(0, 100), (100, 145)]
        assert [s.nr_samples for s in snapshots] == [20, 9]
        assert snapshots[-1].health == SampleHealth()
        assert process.nr_closed == 1

    def test_the_duration_cuts_the_last_interval_short(self, world):
        m = monitor(world, Process(world))
        m.duration_ns = 138 * MS
        snapshots = list(m)
        assert [grid(world, s) for s in snapshots] == [(0, 100), (100, 135)]
        assert [s.nr_samples for s in snapshots] == [20, 7]
        assert world.ms() == 138

    def test_whole_intervals_of_a_duration_are_whole(self, world):
        m = monitor(world, Process(world))
        m.duration_ns = 200 * MS
        assert [(*grid(world, s), s.nr_samples) for s in m] == [(0, 100, 20), (100, 200, 20)]

    def test_a_duration_holds_whatever_the_intervals_are_tuned_to(self, world):
        m = monitor(world, Process(world, hot=(0, 0)), intervals_goal=IntervalsGoal())
        m.duration_ns = 1_400 * MS
        assert [grid(world, s)[1] for s in m] == [100, 200, 300, 500, 700, 900, 1_300, 1_400]

    def test_stop_before_the_start(self, world):
        process = Process(world)
        m = monitor(world, process)
        m.stop()
        assert [s.nr_samples for s in m] == [1]

    def test_what_is_seldom_accessed_is_not_rounded_away(self, world):
        process = Process(world, hot=(MMAP[0], 50))  # so that counts may differ by 2 where regions merge
        seldom = (MMAP[0] + 100, 800)
        first, n = seldom

        def touch():
            """Of each ten pages another one each 5 ms, so that each page is accessed in 2 of 20 samples."""
            turn = round(world.ms() / 5) % 10
            process.accessed |= (first <= process.pages) & (process.pages < first + n) & (process.pages % 10 == turn)
            process.at_ms[world.ms() + 5] = touch

        process.at_ms[2] = touch
        snapshots = take(monitor(world, process, min_nr_regions=50), 60)[20:]
        means = [by_page(s, s.nr_accesses, *seldom).mean() for s in snapshots]
        assert np.mean(means) == pytest.approx(2, abs=0.2)

    def test_a_sample_whose_sleep_was_interrupted_is_none(self, world):
        process = Process(world)
        m = monitor(world, process)
        take(m, 2)

        def interrupted(deadline_ns):
            m.stop()  # as a signal handler would, and the sleep ends early

        world.sleep_until_ns = interrupted
        assert list(m) == []
        assert process.nr_closed == 1

    def test_what_was_sampled_before_an_interrupted_sleep_is_kept(self, world):
        process = Process(world)
        m = monitor(world, process)
        take(m, 2)
        sleep = world.sleep_until_ns

        def interrupted_later(deadline_ns):
            if world.ms() >= 250:
                m.stop()
            else:
                sleep(deadline_ns)

        world.sleep_until_ns = interrupted_later
        assert [(s.nr_samples, (s.end_ns - world.start_ns) / MS) for s in m] == [(10, 250)]

    def test_a_target_that_is_added_counts_from_then_on(self, world):
        first, second = Process(world), Process(world)
        m = monitor(world, first)
        take(m, 2)
        m.add(Target(7, second))
        a, b = take(m, 2)
        assert (a.target_id, b.target_id) == (m.targets[0].target_id, 7)
        assert by_page(b, b.nr_accesses, *second.hot).mean() > 2  # the first regions are coarse
        assert not b.unknown.any()

    def test_targets_are_looked_for_at_the_start_and_at_each_update(self, world):
        m = monitor(world, Process(world), update_us=250_000)
        looked_at_ms = []

        def look():
            looked_at_ms.append(world.ms())
            m.add(Target(10 + len(looked_at_ms), Process(world)))

        m.look_for_targets = look
        ids = [s.target_id for s in take(m, 2 + 2 + 3 + 3 + 3)]
        assert looked_at_ms == [0, 250, 500]
        # The second was taken in in the midst of an interval, the third at the end of one.
        assert ids == [1, 11, 1, 11, 1, 11, 12, 1, 11, 12, 1, 11, 12]

    def test_leaving_the_context_lets_go_of_all(self, world):
        a, b = Process(world), Process(world)
        with monitor(world, a, b) as m:
            next(m)
        assert (a.nr_closed, b.nr_closed) == (1, 1)
        assert list(m) == []
        m.close()
        assert (a.nr_closed, b.nr_closed) == (1, 1)

    def test_a_context_that_was_never_used_lets_go_too(self, world):
        process = Process(world)
        with monitor(world, process):
            pass
        assert process.nr_closed == 1

    def test_an_error_lets_go_too(self, world):
        process = Process(world)

        def fail():
            raise OSError("no more")

        process.at_ms[42] = fail
        with pytest.raises(OSError, match="no more"):
            list(monitor(world, process))
        assert process.nr_closed == 1

    def test_iteration_can_go_on(self, world):
        m = monitor(world, Process(world))
        seen = []
        for s in m:
            seen.append(grid(world, s))
            break
        assert [*seen, grid(world, next(m))] == [(0, 100), (100, 200)]


class WorldOfRounds(World, MonotonicClock):
    """A world whose virtual time is taken for this machine's, so that address spaces may sleep by themselves."""


class SelfSamplingProcess(AwkwardProcess):
    """A process whose samples are taken without the monitor; ``left`` tells of each at which stage to leave it."""

    def __init__(self, world, left, **areas):
        super().__init__(world, **areas)
        self.left = iter(left)
        self.nr_taken = 0

    @classmethod
    def rounds(cls, targets, rng, schedule):
        world, now, last, nr_samples, nr_late = targets[0][0].world, schedule.now, schedule.now, 0, 0
        tick = now
        while now < schedule.end:
            tick = max(now, cls.tick(world, schedule, in_ns=(schedule.sample_ns - 1) // 2)) + 1
            due_ns = schedule.start_ns + tick * schedule.sample_ns
            if due_ns > schedule.until_ns:
                break
            so_far = nr_samples, nr_late, last, tick, now
            left = [next(process.left, Stage.BETWEEN) for process, _ in targets]
            addresses = [np.empty(0, dtype=np.uint64)] * len(targets)
            for i, (process, regions) in enumerate(targets):
                addresses[i] = rng.integers(regions.start, regions.end, dtype=np.uint64)
                if left[i] == Stage.PICKED:
                    return Rounds(Stage.PICKED, i, addresses, *so_far)
                process.mkold(addresses[i])
            before = [process.nr_execs for process, _ in targets]
            if left[0] == Stage.PREPARED:
                return Rounds(Stage.PREPARED, 0, addresses, *so_far)
            world.sleep_until_ns(due_ns)
            is_late = world.now_ns() - due_ns > schedule.sample_ns // 2
            for i, (process, regions) in enumerate(targets):
                if left[i] == Stage.PREPARED or not process.alive or process.nr_execs != before[i]:
                    return Rounds(Stage.PREPARED, i, addresses, *so_far)
                accessed, page_sizes = process.young(addresses[i])
                regions.count(accessed, process.voids(), (addresses[i], page_sizes))
                process.nr_taken += 1
            nr_samples, nr_late, last = nr_samples + 1, nr_late + is_late, tick
            now = max(tick, cls.tick(world, schedule))
        return Rounds(Stage.BETWEEN, 0, (), nr_samples, nr_late, last, tick, now)

    @staticmethod
    def tick(world, schedule, in_ns=0):
        return (world.now_ns() + in_ns - schedule.start_ns) // schedule.sample_ns


LEFT = st.lists(st.sampled_from([*[Stage.BETWEEN] * 4, Stage.PICKED, Stage.PREPARED]), max_size=200)


class TestRounds:
    """Samples that address spaces take by themselves: nothing in what comes out tells who took them."""

    def run(self, world, process, other=None, **attrs):
        process.void_pages, process.void_from_ms = (MMAP[0] + 210, 40), 150
        process.at_ms = {
            330: lambda: setattr(process, "hot", (MMAP[0] + 600, 50)),
            512: lambda: process.map((HEAP, MMAP, (0x750000, 30), STACK)),
            777: lambda: process.execve((HEAP, (0x600000, 500), STACK)),
            1120: process.exit,
        }
        world.oversleep_ms = {35: 3, 60: 12, 195: 1, 395: 60, 640: 30}
        if other:
            other.hot, other.void_pages, other.void_from_ms = (MMAP[0] + 400, 30), (MMAP[0] + 390, 20), 700
            other.at_ms = {641: lambda: other.execve((HEAP, (0x600000, 300), STACK)), 1333: other.exit}
        m = monitor(world, *filter(None, (process, other)), update_us=250_000, **attrs)
        return [[v.tolist() if isinstance(v, np.ndarray) else v for v in astuple(snapshot)] for snapshot in m]

    @given(LEFT)
    def test_they_are_those_that_the_monitor_would_take(self, left):
        expected = self.run(world := World(), AwkwardProcess(world))
        process = SelfSamplingProcess(WorldOfRounds(), left)
        assert self.run(process.world, process) == expected
        assert len(expected) == 12
        assert process.nr_taken > 50

    def test_they_are_tuned(self):
        goal = {"intervals_goal": IntervalsGoal()}
        expected = self.run(world := World(), AwkwardProcess(world), **goal)
        process = SelfSamplingProcess(WorldOfRounds(), ())
        assert self.run(process.world, process, **goal) == expected
        assert process.nr_taken > 50

    def test_the_last_interval_is_cut_short(self):
        process = SelfSamplingProcess(WorldOfRounds(), ())
        m = monitor(process.world, process)
        m.duration_ns = 257 * MS
        assert [grid(process.world, s) for s in m] == [(0, 100), (100, 200), (200, 255)]

    def test_stop_is_heard_soon(self):
        """However long the aggregation interval is."""
        process = SelfSamplingProcess(WorldOfRounds(), ())
        m = monitor(process.world, process, aggr_us=10_000_000)
        process.at_ms = {1000: m.stop}
        (s,) = m
        assert 1000 <= grid(process.world, s)[1] <= 1105
        assert process.nr_taken > 150

    @given(LEFT, LEFT)
    def test_those_of_several_targets_too(self, left, others_left):
        world = World()
        expected = self.run(world, AwkwardProcess(world), AwkwardProcess(world))
        world = WorldOfRounds()
        process, other = SelfSamplingProcess(world, left), SelfSamplingProcess(world, others_left)
        assert self.run(world, process, other) == expected
        assert len(expected) == 12 + 14
        assert min(process.nr_taken, other.nr_taken) > 20

    def test_targets_are_sampled_by_the_monitor_where_one_cannot_do_it(self):
        world = WorldOfRounds()
        process = SelfSamplingProcess(world, ())
        take(monitor(world, process, AwkwardProcess(world)), 4)
        assert process.nr_taken == 0

    def test_not_in_virtual_time(self):
        process = SelfSamplingProcess(World(), ())
        take(monitor(process.world, process), 2)
        assert process.nr_taken == 0


class TestNumberOfRegions:
    def test_merging_gets_bolder_until_there_are_few_enough(self, world):
        """More regions than allowed, no two neighbours alike: a tenth of the highest count would merge none."""
        process = Process(world)
        accessed = (process.pages - MMAP[0]) % 2 == 0
        process.run = lambda: process.accessed.__setitem__(accessed, True)
        own = Regions.from_ranges([((MMAP[0] + i) * PAGE, (MMAP[0] + i + 1) * PAGE) for i in range(200)])
        m = monitor(world, Target(1, process, own), max_nr_regions=20)
        s = next(m)
        check_well_formed(s, m.attrs)
        assert (int(s.start[0]), int(s.end[-1])) == (own.ranges()[0][0], own.ranges()[-1][1])
        assert 0 < s.nr_accesses.min() <= s.nr_accesses.max() < 20

    def test_splits_in_three_only_after_a_round_in_vain(self, world, monkeypatch):
        rounds = []
        split = Regions.split

        def watched(regions, nr_pieces, rng, min_region_size):
            rounds.append((len(regions), nr_pieces))
            split(regions, nr_pieces, rng, min_region_size)

        monkeypatch.setattr(Regions, "split", watched)
        ops = ApartOperations(10, 10, 10, 40, 10, 10, 19, 19, 20, 20, 30, 31, 31)
        m = SamplingMonitor(
            [Target(1, None)], Attrs(max_nr_regions=60, update_us=100_000), ops, world, np.random.default_rng(1)
        )
        assert [len(s) for s in m] == ops.numbers
        # more than a half: not at all; not after 40, for those are not the same 10; a third is too many already
        assert rounds == [(10, 2), (10, 3), (10, 3), (10, 2), (10, 3), (19, 2), (19, 3), (20, 2), (20, 2), (30, 2)]


class ApartOperations:
    """In each aggregation interval a given number of regions, none of which touches another."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)
        self.left = list(numbers)

    def init(self, target, attrs):
        self.update(target)

    def update(self, target):
        n = self.left.pop(0) if self.left else 0
        target.regions = Regions.from_ranges([(2 * i * 10 * PAGE, (2 * i + 1) * 10 * PAGE) for i in range(n)])

    def prepare_access_checks(self, target, rng):
        pass

    def check_accesses(self, target):
        target.regions.count(np.ones(len(target.regions), dtype=np.bool_))

    def reset_aggregated(self, target):
        pass

    def target_valid(self, target):
        return len(target.regions) > 0

    def cleanup(self, target):
        pass
