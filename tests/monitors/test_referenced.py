"""The coarse mode, on processes of our own: it needs no privileges."""

import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vadamon import Attrs, VadamonError, VadamonWarning
from vadamon.attrs import IntervalsGoal
from vadamon.clock import MonotonicClock
from vadamon.monitors.referenced import ReferencedMonitor
from vadamon.workload import Area, Sweep, Workload

MIB = 1 << 20
FAST = Attrs(sample_us=2_000, aggr_us=200_000)


def monitor(*pids, attrs=FAST, budget=1.0, **options):
    return ReferencedMonitor(pids, attrs, budget=budget, **options)


def take(monitor, n):
    return [snapshot for _, snapshot in zip(range(n), monitor, strict=False)]


def region_of(snapshot, area):
    """Return the index of the region that holds an area."""
    index = int(np.searchsorted(snapshot.start, area.start, side="right")) - 1
    assert snapshot.start[index] <= area.start < snapshot.end[index]
    return index


def share_of(snapshot, area):
    """Return the bytes that were used in the region that holds an area."""
    index = region_of(snapshot, area)
    return snapshot.nr_accesses[index] / snapshot.nr_samples * float(snapshot.end[index] - snapshot.start[index])


def test_regions_are_the_mappings_and_count_the_share_that_is_used():
    touched = Area("touched", size=64 * MIB, patterns=[Sweep(length=16 * MIB)])
    with Workload([touched]) as workload, monitor(workload.pid) as watch:
        snapshots = take(watch, 4)
        mappings = watch.targets[0].mappings
        area = workload.areas["touched"]
    for snapshot in snapshots:
        assert snapshot.target_id == workload.pid
        assert snapshot.nr_samples == FAST.max_nr_samples == 100
        assert (snapshot.nr_accesses <= 100).all()
        assert share_of(snapshot, area) == pytest.approx(16 * MIB, rel=0.1)
    assert snapshots[-1].start.tolist() == mappings.start.tolist()
    assert snapshots[-1].end.tolist() == mappings.end.tolist()
    assert "[stack]" in mappings.name


def test_windows_do_not_overlap_and_are_as_long_as_asked_or_longer():
    with Workload([Area("a", size=32 * MIB)]) as workload, monitor(workload.pid) as watch:
        snapshots = take(watch, 5)
    for snapshot in snapshots:
        assert snapshot.end_ns - snapshot.start_ns > FAST.aggr_us * 1000 * 0.95
    for before, after in pairwise(snapshots):
        assert before.end_ns <= after.start_ns
        assert before.nr_accesses is not after.nr_accesses


def test_ages_grow_while_nothing_changes_and_begin_anew_when_it_does():
    with Workload([Area("a", size=32 * MIB, patterns=[Sweep(length=32 * MIB)])]) as workload:
        area = workload.areas["a"]
        with monitor(workload.pid) as watch:
            ages = [int(s.age[region_of(s, area)]) for s in take(watch, 3)]
            assert ages == [0, 1, 2]
            os.kill(workload.pid, signal.SIGSTOP)
            take(watch, 1)
            stopped = take(watch, 2)
            os.kill(workload.pid, signal.SIGCONT)
    assert all(share_of(s, area) < MIB for s in stopped)
    assert [int(s.age[region_of(s, area)]) for s in stopped] in ([0, 1], [1, 2])


def test_a_window_is_as_long_as_the_budget_needs_which_is_said_once():
    attrs = Attrs(sample_us=1_000, aggr_us=1_000)
    with Workload([Area("a", size=64 * MIB)]) as workload, monitor(workload.pid, attrs=attrs, budget=0.05) as watch:
        with pytest.warns(VadamonWarning, match="no more than 5% of a core, intervals are .* not 1 ms") as warned:
            snapshots = take(watch, 4)
        target = watch.targets[0]
        assert len(warned) == 1
        assert snapshots[-1].end_ns - snapshots[-1].start_ns > 10 * target.cost_ns()


def test_without_a_budget_there_is_no_coarse_mode():
    with pytest.raises(VadamonError, match="above 0%"):
        monitor(os.getpid(), budget=0)


def test_an_exit_ends_the_run(start_target):
    target = start_target("exits", 0.7, 3)
    assert 1 <= len(take(monitor(target.pid), 100)) <= 4
    assert target.wait(5) == 3


def test_stop_ends_it_at_once_with_what_was_seen():
    clock = MonotonicClock()
    with monitor(os.getpid(), attrs=Attrs(aggr_us=60_000_000), clock=clock) as watch:

        def stop():
            watch.stop()
            clock.interrupt()

        threading.Timer(0.3, stop).start()
        begun = time.monotonic()
        assert list(watch) == []  # of a window so short nothing can be said
        assert time.monotonic() - begun < 30


def test_stop_keeps_a_window_of_which_half_has_passed():
    clock = MonotonicClock()
    with monitor(os.getpid(), attrs=Attrs(aggr_us=1_000_000), clock=clock) as watch:

        def stop():
            watch.stop()
            clock.interrupt()

        threading.Timer(0.8, stop).start()
        snapshots = list(watch)
    assert len(snapshots) == 1
    assert snapshots[0].end_ns - snapshots[0].start_ns > 500_000_000


def test_stop_between_snapshots_ends_it(start_target):
    with monitor(os.getpid()) as watch:
        assert len(take(watch, 2)) == 2
        watch.stop()
        assert list(watch) == []


def test_several_targets_have_a_snapshot_each(start_target):
    pids = [start_target("remap").pid, start_target("many_mappings").pid]
    with monitor(*pids) as watch:
        snapshots = take(watch, 4)
    assert [s.target_id for s in snapshots] == pids * 2
    assert len(snapshots[1]) >= 10_000


def test_children_are_taken_in(start_target):
    target = start_target("forks")
    with monitor(target.pid, attrs=Attrs(sample_us=1_000, aggr_us=20_000), follow_children=True) as watch:
        deadline = time.monotonic() + 20
        seen = set()
        while len(seen) < 3 and time.monotonic() < deadline:
            seen.add(next(watch).target_id)
    assert target.pid in seen
    assert len(seen) >= 3


def test_threads_that_outlive_the_main_thread_are_watched(start_target):
    target = start_target("main_thread_ended")
    with monitor(target.pid) as watch:
        last = take(watch, 3)[-1]
    # It touches 16 MiB of shared anonymous memory all the time.
    sizes = (last.end - last.start)[last.nr_accesses == last.nr_samples]
    assert 16 * MIB in sizes.tolist()


def test_after_execve_regions_are_those_of_the_new_address_space(start_target):
    target = start_target("execs", 600)
    with monitor(target.pid) as watch:
        take(watch, 1)
        target.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while Path(f"/proc/{target.pid}/comm").read_text() != "sleep\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        last = take(watch, 2)[-1]
        names = watch.targets[0].mappings.name
    assert any(name.endswith("/sleep") for name in names)
    assert len(last) == len(names)


def test_opening_one_of_two_targets_in_vain_lets_go_of_the_other():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(VadamonError, match="no process 999999999"):
        monitor(os.getpid(), 999999999)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_nothing_is_left_open():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with monitor(os.getpid()) as watch:
        next(watch)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_intervals_are_not_tuned():
    with pytest.raises(VadamonError, match="cannot tune"):
        monitor(os.getpid(), attrs=Attrs(intervals_goal=IntervalsGoal()))
