"""Monitoring must not change what it looks at: huge pages, and what reclaim knows."""

import time
from pathlib import Path

from tests.live.conftest import ACTIVE, MIB, huge_bytes, make_active, often, page_flags, watch
from vadamon import Attrs
from vadamon.workload import Area, Workload

MANY = Attrs(min_nr_regions=300)


def test_huge_pages_are_never_split():
    area = Area("area", kind="huge", size=128 * MIB, patterns=[often(length=32 * MIB)])
    with Workload([area]) as workload:
        before = huge_bytes(workload.pid)
        assert before >= 128 * MIB
        watch(workload.pid, 6, MANY)
        assert huge_bytes(workload.pid) == before


def test_active_pages_stay_active():
    area = Area("area", size=64 * MIB, patterns=[often(length=16 * MIB)])
    with Workload([area]) as workload:
        start = workload.areas["area"].start
        make_active(workload.pid, start, 64 * MIB)
        before = page_flags(workload.pid, start, 64 * MIB) >> ACTIVE & 1
        assert before.mean() > 0.9
        watch(workload.pid, 6, MANY)
        after = page_flags(workload.pid, start, 64 * MIB) >> ACTIVE & 1
        assert after[before == 1].mean() >= 0.95


def test_nothing_is_left_behind():
    def descriptors():
        return sorted(str(f.readlink()) for f in Path("/proc/self/fd").iterdir() if f.is_symlink())

    with Workload([Area("area", size=16 * MIB)]) as workload:
        watch(workload.pid, 0.2)  # loads what is kept: the program and its maps
        before = descriptors()
        watch(workload.pid, 0.2)
        assert descriptors() == before


def test_the_target_goes_on_undisturbed():
    area = Area("area", size=16 * MIB, patterns=[often(length=16 * MIB)])
    with Workload([area]) as workload:
        watch(workload.pid, 2, MANY)
        time.sleep(0.2)
        now = time.monotonic_ns()
        sweeps = sum(i.count for i in workload.log.intervals() if i.pattern is not None)
        assert sweeps > 0
        assert workload.log.intervals()[-1].last_ns > now - 1_000_000_000
