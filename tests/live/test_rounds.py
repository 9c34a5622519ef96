"""Samples that the page-table address space takes by itself."""

import contextlib
import os
import signal
import threading
import time

import numpy as np
import pytest

from tests.live.conftest import MIB, often
from vadamon import Regions
from vadamon.address_space.base import Rounds, Schedule, Stage
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.workload import Area, Sweep, Workload

PAGE = 4096
MS = 1_000_000


def pieces(start, size, nr):
    """``nr`` regions of ``size`` bytes, one after the other."""
    return Regions.from_ranges([(start + i * size, start + (i + 1) * size) for i in range(nr)])


def nr_valid(regions):
    """Of all regions but the last, whose newest pages may not be on the LRU yet: those cannot be cleared."""
    return regions.nr_valid[:-1]


def rounds(space, regions, rng, when):
    """Take samples of one address space."""
    return space.rounds([(space, regions)], rng, when)


def schedule(nr, sample_ms=5, begin_ns=None):
    """``nr`` samples from now on."""
    return Schedule(begin_ns or time.monotonic_ns(), sample_ms * MS, 0, nr, time.monotonic_ns() + 60_000 * MS)


@pytest.mark.parametrize("kind", ["private", "huge"])
def test_hot_pages_are_counted_and_cold_ones_are_not(kind):
    area = Area("a", kind=kind, size=32 * MIB, patterns=[often(offset=8 * MIB, length=8 * MIB)])
    with Workload([area]) as workload, PageTableAddressSpace(workload.pid, flush_budget=1) as space:
        regions = pieces(workload.areas["a"].start, MIB, 32)
        done = rounds(space, regions, np.random.default_rng(1), schedule(100))
    assert done.stage == Stage.BETWEEN
    assert done.now >= 100 >= done.last
    assert 50 <= done.nr_samples <= done.last  # some may be missed on a busy machine
    hot = np.arange(32) // 8 == 1
    assert regions.nr_accesses[~hot].max() == 0
    assert regions.nr_accesses[hot].min() > 0.6 * done.nr_samples
    assert nr_valid(regions).min() > 0.9 * done.nr_samples
    assert space.take_health().failed_reads == 0


def test_sample_after_sample_is_due_on_the_grid():
    begin_ns = time.monotonic_ns()
    with PageTableAddressSpace(os.getpid()) as space:
        late = Schedule(begin_ns - 1000 * MS, 5 * MS, 0, 220, begin_ns + 60_000 * MS)
        done = rounds(space, pieces(0x10000, PAGE, 3), np.random.default_rng(1), late)
    # what has passed before the beginning is missed
    assert 1 <= done.nr_samples <= 20
    assert time.monotonic_ns() >= begin_ns + 100 * MS


def test_none_is_under_way_after_the_time_that_is_set():
    begin_ns = time.monotonic_ns()
    with PageTableAddressSpace(os.getpid()) as space:
        regions = pieces(0x10000, PAGE, 3)
        until = Schedule(begin_ns, 20 * MS, 0, 1000, begin_ns + 50 * MS)
        done = rounds(space, regions, np.random.default_rng(1), until)
    assert (done.stage, done.nr_samples <= 2, done.last <= 2) == (Stage.BETWEEN, True, True)
    assert regions.nr_valid.tolist() == [done.nr_samples] * 3


def test_a_signal_leaves_a_sample_prepared():
    rng = np.random.default_rng(1)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with PageTableAddressSpace(os.getpid()) as space:
            regions = pieces(0x10000, PAGE, 3)
            main = threading.main_thread().ident
            threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1)).start()
            begin = time.monotonic()
            done = rounds(space, regions, rng, schedule(3, sample_ms=30_000))
            assert time.monotonic() - begin < 20
            assert (done.stage, done.nr_samples, done.due) == (Stage.PREPARED, 0, 1)
            assert (regions.start <= done.addresses[0]).all() and (done.addresses[0] < regions.end).all()
            assert regions.nr_valid.tolist() == [0] * 3
            assert not space.young(done.addresses[0])[0].any()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_clear_refs_has_to_clear_is_left_to_the_caller_when_that_may_be_paid_for():
    area = Area("a", kind="shared", size=8 * MIB, patterns=[Sweep(length=8 * MIB, period_us=1000)])
    with Workload([area]) as workload:
        regions = pieces(workload.areas["a"].start, MIB, 8)
        rng = np.random.default_rng(1)
        time.sleep(0.1)
        with PageTableAddressSpace(workload.pid, clear_budget=1) as space:
            done = rounds(space, regions, rng, schedule(20))
            assert (done.stage, done.nr_samples) == (Stage.PICKED, 0)
            space.mkold(done.addresses[0])
            time.sleep(0.05)
            accessed, _ = space.young(done.addresses[0])
            assert not space.voids().any()
            assert accessed.any()
        with PageTableAddressSpace(workload.pid, clear_budget=0) as space:
            done = rounds(space, regions, rng, schedule(20))
            assert done.stage == Stage.BETWEEN
            assert done.nr_samples > 0
            assert regions.nr_valid.tolist() == [0] * 8
            assert space.take_health().uncleared == 8 * done.nr_samples


def test_shared_memory_that_is_idle_needs_no_clearing():
    area = Area("a", kind="shared", size=8 * MIB)
    with Workload([area]) as workload, PageTableAddressSpace(workload.pid, clear_budget=1) as space:
        regions = pieces(workload.areas["a"].start, MIB, 8)
        rng = np.random.default_rng(1)
        space.mkold(regions.start)
        if (left := rounds(space, regions, rng, schedule(1))).stage == Stage.PICKED:
            space.mkold(left.addresses[0])  # still young from when it was made
        done = rounds(space, regions, rng, schedule(20))
    assert done.stage == Stage.BETWEEN
    assert regions.nr_valid.tolist() == [done.nr_samples + left.nr_samples] * 8
    assert not regions.nr_accesses.any()


def test_a_process_that_has_ended_is_left_to_the_caller():
    with Workload([Area("a", size=MIB)]) as workload:
        space = PageTableAddressSpace(workload.pid)
        regions = pieces(workload.areas["a"].start, MIB, 1)
    with space:
        done = rounds(space, regions, np.random.default_rng(1), schedule(20))
        assert (done.stage, done.nr_samples) == (Stage.PICKED, 0)
        space.mkold(done.addresses[0])
        assert not space.is_alive()


def test_several_processes_are_sampled_together():
    area = Area("a", size=32 * MIB, patterns=[often(offset=8 * MIB, length=8 * MIB)])
    with contextlib.ExitStack() as stack:
        workloads = [stack.enter_context(Workload([area])) for _ in range(2)]
        spaces = [stack.enter_context(PageTableAddressSpace(w.pid, flush_budget=1)) for w in workloads]
        targets = [
            (space, pieces(workload.areas["a"].start, MIB, 32))
            for space, workload in zip(spaces, workloads, strict=True)
        ]
        rng = np.random.default_rng(1)
        done = PageTableAddressSpace.rounds(targets, rng, schedule(60))
        assert done.stage == Stage.BETWEEN
        hot = np.arange(32) // 8 == 1
        for _, regions in targets:
            assert nr_valid(regions).min() > 0.9 * done.nr_samples
            assert regions.nr_accesses[~hot].max() == 0
            assert regions.nr_accesses[hot].min() > 0.6 * done.nr_samples

        workloads[1].close()
        before = [regions.nr_valid.copy() for _, regions in targets]
        left = PageTableAddressSpace.rounds(targets, rng, schedule(20))
        assert (left.stage, left.nr_done, left.nr_samples) == (Stage.PICKED, 1, 0)
        assert all((regions.nr_valid == valid).all() for (_, regions), valid in zip(targets, before, strict=True))
        assert len(left.addresses[1]) == 32


def test_one_of_several_that_ends_within_a_sample_is_left_to_the_caller():
    area = Area("a", size=MIB)
    with contextlib.ExitStack() as stack:
        lasting, ending = (stack.enter_context(Workload([area])) for _ in range(2))
        watched = (lasting, ending, lasting)
        spaces = [stack.enter_context(PageTableAddressSpace(w.pid)) for w in watched]
        targets = [(space, pieces(w.areas["a"].start, MIB, 1)) for space, w in zip(spaces, watched, strict=True)]
        threading.Timer(0.3, ending.close).start()
        left = PageTableAddressSpace.rounds(targets, np.random.default_rng(1), schedule(1, sample_ms=1500))
        assert (left.stage, left.nr_done, left.nr_samples, left.due) == (Stage.PREPARED, 1, 0, 1)
        assert [regions.nr_valid.tolist() for _, regions in targets] == [[1], [0], [0]]
        spaces[1].young(left.addresses[1])
        assert not spaces[1].is_alive()
        assert not spaces[2].young(left.addresses[2])[0].any()
        assert not spaces[2].voids().any()


@pytest.mark.parametrize("nr_regions", [0, 4097])
def test_none_are_taken_of_no_regions_and_of_too_many(nr_regions):
    with PageTableAddressSpace(os.getpid()) as space:
        when = schedule(20)
        done = rounds(space, pieces(0x10000, PAGE, nr_regions), np.random.default_rng(1), when)
    assert done == Rounds.none(when)


def test_more_hot_regions_than_one_call_of_the_kernel_clears():
    area = Area("a", size=16 * MIB, patterns=[often(length=16 * MIB)])
    with Workload([area]) as workload, PageTableAddressSpace(workload.pid, flush_budget=1) as space:
        regions = pieces(workload.areas["a"].start, PAGE, 4096)
        done = rounds(space, regions, np.random.default_rng(1), schedule(20, sample_ms=20))
    assert done.nr_samples >= 3  # emulated, a round of so many takes longer than a sample interval
    seen = regions.nr_accesses[regions.nr_valid > 0] / regions.nr_valid[regions.nr_valid > 0]
    assert seen.mean() > 0.6
    assert (regions.nr_valid > 0).mean() > 0.9
