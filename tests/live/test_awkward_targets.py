"""Processes that do what monitors do not like."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import vadamon
from tests.live.conftest import MIB, overlap, watch
from vadamon import Attrs, VadamonError
from vadamon.mappings import Mappings
from vadamon.monitors.live import ProcessMonitor
from vadamon.monitors.live_scanning import ProcessScanner

FAST = Attrs(update_us=200_000)


def spans_of(pid):
    """Return the three spans that regions may lie in."""
    from vadamon.operations.vaddr import three_regions

    return three_regions(Mappings.from_maps(Path(f"/proc/{pid}/maps").read_bytes()).ranges())


def lies_in(snapshot, spans):
    return sum(overlap(snapshot, *span).sum() for span in spans) == float((snapshot.end - snapshot.start).sum())


@pytest.mark.parametrize("name", ["remap", "forks", "many_mappings"])
def test_busy_targets_are_watched_as_others(start_target, name):
    target = start_target(name)
    snapshots = watch(target.pid, 2)
    assert len(snapshots) >= 5  # of 20, on a machine that may be busy
    assert sum(s.nr_samples for s in snapshots) >= 50  # of 400
    assert all((s.nr_accesses <= s.nr_samples).all() for s in snapshots)
    low, high = spans_of(target.pid)[0][0], spans_of(target.pid)[-1][1]
    assert all(s.start[0] >= low - MIB and s.end[-1] <= high + MIB for s in snapshots)
    assert any(s.nr_accesses.any() for s in snapshots)
    assert target.poll() is None


def test_after_execve_no_region_of_the_old_address_space_is_left(start_target):
    target = start_target("execs", 600)
    with vadamon.monitor(target.pid, FAST) as monitor:
        next(monitor)
        old = spans_of(target.pid)
        target.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + 5
        while Path(f"/proc/{target.pid}/comm").read_text() != "sleep\n":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.05)
        new = spans_of(target.pid)
        assert new != old
        # The execve was found by the sample under way at the latest; one snapshot may have been made before.
        snapshots = [next(monitor) for _ in range(6)][2:]
        assert all(lies_in(s, new) for s in snapshots)


def test_an_exit_ends_the_run(start_target):
    target = start_target("exits", 0.7, 3)
    snapshots = watch(target.pid, 30)
    assert 3 <= len(snapshots) <= 10
    assert all(s.nr_samples > 0 for s in snapshots)
    assert target.wait(5) == 3


def test_kill_9_of_the_target_ends_the_run(start_target):
    target = start_target("remap")
    with vadamon.monitor(target.pid) as monitor:
        next(monitor)
        target.kill()
        assert len(list(monitor)) <= 2


def test_threads_that_outlive_the_main_thread_are_watched(start_target):
    target = start_target("main_thread_ended")
    snapshots = watch(target.pid, 4)
    # It touches 16 MiB of shared anonymous memory all the time, and nothing else of that size.
    found = [
        int((s.end - s.start)[(2 * s.nr_accesses > s.nr_samples) & ~s.unknown].sum()) / MIB for s in snapshots[-10:]
    ]
    assert any(size == pytest.approx(16, rel=0.1) for size in found), found


@pytest.mark.parametrize("watch_with", [ProcessMonitor, partial(ProcessScanner, budget=None)])
def test_children_are_followed(start_target, watch_with):
    target = start_target("forks")
    with watch_with([target.pid], FAST, follow_children=True) as monitor:
        seen = {next(monitor).target_id for _ in range(60)}
    assert target.pid in seen
    assert len(seen) > 3


def test_several_targets_at_once(start_target):
    pids = [start_target("remap").pid, start_target("many_mappings").pid]
    with vadamon.monitor(pids) as monitor:
        snapshots = [next(monitor) for _ in range(6)]
    assert [s.target_id for s in snapshots] == pids * 3


def test_a_zombie_cannot_be_watched(zombie):
    with pytest.raises(VadamonError, match=f"process {zombie} .* is a zombie"):
        vadamon.monitor(zombie)


def test_a_kernel_thread_cannot_be_watched():
    with pytest.raises(VadamonError, match="kernel thread"):
        vadamon.monitor(2)


def test_a_pid_that_does_not_exist():
    with pytest.raises(VadamonError, match="no process 999999999"):
        vadamon.monitor(999999999)


def test_opening_one_of_two_targets_in_vain_lets_go_of_the_other(start_target):
    target = start_target("remap")
    watch(target.pid, 0.1)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(VadamonError):
        vadamon.monitor([target.pid, 999999999])
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_sampling_addresses_of_unmapped_memory_count_as_not_accessed(start_target):
    from vadamon.address_space.page_table import PageTableAddressSpace

    target = start_target("exits", 60, 0)
    with PageTableAddressSpace(target.pid) as space:
        last = space.mappings().end[-1]
        addresses = np.array([0, 4096, int(last) + MIB, 0x7FFF_FFFF_F000], dtype=np.uint64)
        space.mkold(addresses)
        accessed, sizes = space.young(addresses)
        assert not accessed.any()
        assert not space.voids().any()
        assert sizes.tolist() == [4096] * 4
