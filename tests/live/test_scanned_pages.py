"""Scans of live processes, page by page, against what the workload has logged of itself."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vadamon
from tests.live.conftest import ACTIVE, IDLE, MIB, PAGE, between_scans, frames, huge_bytes, make_active, page_flags
from vadamon import Attrs, VadamonError
from vadamon.address_space.base import Scans
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.monitors.working_set import WorkingSetMeter
from vadamon.ranges import subtract, total_size, union
from vadamon.workload import Area, Random, Sweep, Workload

VADAMON = Path(sys.executable).with_name("vadamon")


def scan(space, clear=True):
    mappings = space.mappings()
    return space.scan(*union(mappings.start, mappings.end), clear=clear)


def within(start, end, area):
    """Return the ranges as far as they lie in an area."""
    low, high = np.maximum(start, np.uint64(area.start)), np.minimum(end, np.uint64(area.end))
    kept = low < high
    return low[kept], high[kept]


def in_whole_pages(pairs, size):
    """Return ranges widened to pages of that size, as two arrays."""
    array = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    size = np.uint64(size)
    return union(array[:, 0] // size * size, (array[:, 1] + size - np.uint64(1)) // size * size)


def without(ranges, *others):
    for other in others:
        ranges = subtract(*ranges, other)[:2]
    return ranges


def nr_reclaim_scans():
    """Return how many pages reclaim has looked at so far: it clears accessed bits."""
    fields = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
    return int(fields["pgscan_anon"]) + int(fields["pgscan_file"])


def cleared_by_the_kernels_damon(pid, start, end):
    """Return how many bytes of the range are marked idle, as DAMON does when it clears an accessed bit."""
    return int((page_flags(pid, start, end - start) >> IDLE & 1).sum()) * PAGE


class Tally:
    """Bytes of one area: how those that scans found compare to those that were touched for certain, or perhaps."""

    def __init__(self, workload, area, page_size):
        self.workload, self.area, self.page_size = workload, area, page_size
        self.found = self.certain = self.missed = self.wrong = self.at_the_edge = self.void = 0
        self.scans = []

    def add(self, before, scan):
        """Add a scan that has just been made, and the one before it."""
        young = within(scan.start, scan.end, self.area)
        void = within(scan.void_start, scan.void_end, self.area)
        # What was touched while a scan was looking and clearing may belong to the interval before or after it.
        certain = in_whole_pages(self.workload.log.touched(before.end_ns, scan.begin_ns), self.page_size)
        self.found += total_size(young)
        self.void += total_size(void)
        self.certain += total_size(certain)
        for start, end in zip(*without(certain, young, void), strict=True):
            others = cleared_by_the_kernels_damon(self.workload.pid, int(start), int(end))
            self.missed += max(0, int(end - start) - others * (self.page_size // PAGE))
        self.scans.append((young, certain, before.begin_ns, scan.end_ns))

    def finish(self):
        """Count what should not have been found: once all that was under way is in the log, which tells ends only."""
        while self.workload.log.records()["begin_ns"].max() < self.scans[-1][-1]:
            time.sleep(0.05)
        for young, certain, begin_ns, end_ns in self.scans:
            touched = self.workload.log.touched(begin_ns, end_ns, partly=True)
            possible = in_whole_pages(touched, self.page_size)
            self.wrong += total_size(without(young, possible))
            self.at_the_edge += total_size(without(possible, certain))


def tally(area, page_size, **kwargs):
    """Scan a workload of one area again and again; anew where the machine was short of memory meanwhile."""
    for _ in range(5):
        before = nr_reclaim_scans()
        found = tally_once(area, page_size, **kwargs)
        if nr_reclaim_scans() == before:
            break
    return found


def tally_once(area, page_size, nr_scans=20, interval_s=0.05, **kwargs):
    with Workload([area]) as workload, PageTableAddressSpace(workload.pid, **kwargs) as space:
        time.sleep(0.3)
        before = scan(space)
        assert not before.complete  # nothing came before it
        found = Tally(workload, workload.areas[area.name], page_size)
        for _ in range(nr_scans):
            time.sleep(interval_s)
            now = scan(space)
            assert now.complete
            found.add(before, now)
            before = now
        found.finish()
    return found


MOVING = (between_scans(offset=8 * MIB, length=8 * MIB, move_every_s=0.2), Sweep(length=2 * MIB, period_us=70_000))


@pytest.mark.parametrize(
    ("kind", "page_size"), [("private", PAGE), ("huge", 2 * MIB), ("shared", PAGE), ("file", PAGE)]
)
def test_the_pages_touched_in_each_interval_are_found_exactly(kind, page_size):
    area = Area("a", kind=kind, size=64 * MIB, patterns=MOVING)
    # Without a bound on clearing: with one, pages of shared memory are void in most intervals.
    found = tally(area, page_size, clear_budget=1)
    assert found.certain > 20 * 4 * MIB
    assert (found.wrong, found.missed) == (0, 0)
    assert found.void <= 0.02 * found.found


def test_single_pages_here_and_there_are_found_exactly():
    area = Area("a", size=64 * MIB, patterns=[Sweep(length=64 * MIB, stride=7 * PAGE, period_us=20_000)])
    found = tally(area, PAGE, nr_scans=10)
    assert found.certain > 5 * 8 * MIB
    assert (found.wrong, found.missed) == (0, 0)


FORKS = f"""
import ctypes, mmap, os, sys, time
memory = mmap.mmap(-1, {8 * MIB}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.madvise(mmap.MADV_NOHUGEPAGE)
memory[::4096] = bytes({8 * MIB} >> 12)
print(ctypes.addressof(ctypes.c_char.from_buffer(memory)), flush=True)
for line in sys.stdin:
    if line == "touch\\n":
        memory[::4096]
    elif child := os.fork():
        print(child, flush=True)
    else:
        ctypes.CDLL(None).prctl(1, 9)  # die with the parent
        time.sleep(60)
    print("done", flush=True)
"""


def test_pages_that_a_child_maps_too_are_not_taken_for_accessed_and_stay_shared():
    """What a scan knows of a page from the one before holds no longer after fork; what it owes it, it cannot give."""
    command = [sys.executable, "-c", FORKS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def do(what):
            print(what, file=process.stdin, flush=True)
            return iter(process.stdout.readline, "done\n")

        start = int(process.stdout.readline())
        area = Range(start, start + 8 * MIB)
        try:
            # The first clearing by clear_refs is free, so to say; there is no other.
            with PageTableAddressSpace(process.pid, clear_budget=1e-9) as space:
                for _ in range(3):
                    list(do("touch"))
                    found = scan(space)
                assert total_size(within(found.start, found.end, area)) > 7 * MIB
                (child,) = map(int, do("fork"))
                scan(space)
                list(do("touch"))
                scan(space)  # finds them accessed, and cannot clear them
                for _ in range(3):
                    found = scan(space)
                    assert total_size(within(found.start, found.end, area)) == 0
                    assert total_size(within(found.void_start, found.void_end, area)) > 7 * MIB
                assert (frames(process.pid, start, 8 * MIB) == frames(child, start, 8 * MIB)).all()
        finally:
            process.kill()


def test_what_cannot_be_cleared_in_time_is_void_and_not_guessed():
    area = Area("a", kind="shared", size=32 * MIB, patterns=[between_scans(length=8 * MIB)])
    found = tally(area, PAGE, nr_scans=30, interval_s=0.02, clear_budget=0.01)
    assert (found.wrong, found.missed) == (0, 0)
    assert found.void > 10 * 8 * MIB


def test_a_look_without_clearing_goes_on_with_the_same_interval():
    with Workload([Area("a", size=16 * MIB, patterns=[between_scans(length=4 * MIB)])]) as workload:
        area = workload.areas["a"]
        with PageTableAddressSpace(workload.pid) as space:
            assert isinstance(space, Scans)
            scan(space)
            time.sleep(0.05)
            looks = [scan(space, clear=False) for _ in range(3)]
            sizes = [total_size(within(s.start, s.end, area)) for s in looks]
            assert sizes == [4 * MIB] * 3
            assert looks[0].resident >= 16 * MIB


def test_huge_pages_are_found_as_such_and_never_split():
    area = Area("a", kind="huge", size=128 * MIB, patterns=[between_scans(offset=6 * MIB, length=32 * MIB)])
    with Workload([area]) as workload:
        before = huge_bytes(workload.pid)
        assert before >= 128 * MIB
        with PageTableAddressSpace(workload.pid) as space:
            for _ in range(50):
                time.sleep(0.02)
                found = scan(space)
        inside = (found.start >= workload.areas["a"].start) & (found.end <= workload.areas["a"].end)
        assert set(found.page_size[inside].tolist()) == {2 * MIB}
        assert huge_bytes(workload.pid) == before


def test_large_folios_are_not_split(start_target):
    folder = Path("/sys/kernel/mm/transparent_hugepage")
    files = {folder / "hugepages-64kB/enabled": "always", folder / "hugepages-2048kB/enabled": "never"}
    if not all(file.exists() for file in files):
        pytest.skip("this kernel has no large folios of anonymous memory")
    before = {file: file.read_text().partition("[")[2].partition("]")[0] for file in files}
    splits = folder / "hugepages-64kB/stats/split"
    try:
        for file, value in files.items():
            file.write_text(value)
        target = start_target("large_folios")
        nr_splits = int(splits.read_text())
        start = int(target.stdout.readline())
        seen = []
        with PageTableAddressSpace(target.pid) as space:
            for _ in range(6):
                found = scan(space)
                seen.append(
                    [
                        (low - start, high - start)
                        for low, high in zip(found.start.tolist(), found.end.tolist(), strict=True)
                        if start <= low < start + 16 * MIB
                    ]
                )
                time.sleep(0.05)
        assert int(splits.read_text()) == nr_splits
        assert [(0, 4 * MIB)] in seen[1:]  # touched by that test's target again and again
    finally:
        for file, value in before.items():
            file.write_text(value)


def test_reclaim_gets_back_what_it_knew():
    area = Area("a", size=64 * MIB, patterns=[between_scans(length=16 * MIB)])
    with Workload([area]) as workload:
        start = workload.areas["a"].start
        make_active(workload.pid, start, 64 * MIB)
        before = page_flags(workload.pid, start, 64 * MIB) >> ACTIVE & 1
        assert before.mean() > 0.9
        with PageTableAddressSpace(workload.pid) as space:
            for _ in range(10):
                scan(space)
                time.sleep(0.05)
        after = page_flags(workload.pid, start, 64 * MIB) >> ACTIVE & 1
        assert after[before == 1].mean() >= 0.95


def test_memory_that_is_mapped_but_not_there_costs_nothing():
    """1 TiB of address space beside the same memory: the cost follows what is resident."""
    code = (
        "import mmap, sys\nm = mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)\n"
        "for i in range(64): m[i << 34] = 1\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        with PageTableAddressSpace(process.pid) as space:
            mappings = space.mappings()
            first = int((mappings.end - mappings.start).argmax())
            base, end = int(mappings.start[first]), int(mappings.end[first])
            found = scan(space)
            assert not found.complete
            found = scan(space, clear=False)
            assert found.complete
            assert found.resident < 64 * MIB + (64 << 21)
            assert total_size(within(found.start, found.end, Range(base, end))) == 0
        process.stdin.close()


class Range:
    def __init__(self, start, end):
        self.start, self.end = start, end


@pytest.mark.parametrize("size", [MIB, 16 * MIB, 256 * MIB])
@pytest.mark.parametrize("kind", ["private", "shared"])
def test_the_working_set_is_what_the_workload_touches(kind, size):
    # A workload does not touch every page in so short a time by chance: a sweep takes far less than a window.
    area = Area("a", kind=kind, size=2 * size, patterns=[Sweep(offset=size // 2, length=size, period_us=50_000)])
    with Workload([area]) as workload, WorkingSetMeter(workload.pid) as meter:
        time.sleep(0.3)
        short, long = meter.measure([1_000_000_000, 600_000_000])
        assert 600_000_000 <= short.end_ns - short.start_ns < long.end_ns - long.start_ns
        for found in (short, long):
            which = found.mappings.start.tolist().index(workload.areas["a"].start)
            assert found.touched[which] == pytest.approx(size, rel=0.01)
            assert found.size - found.touched[which] < MIB  # the rest of the process sleeps
            assert found.unknown[which] == 0
            assert found.resident >= 2 * size


def test_a_process_that_ends_within_the_window_is_told():
    with Workload([Area("a", size=4 * MIB)]) as workload, WorkingSetMeter(workload.pid) as meter:
        measuring = meter.measure([100_000_000, 200_000_000])
        next(measuring)
        workload.close()
        with pytest.raises(VadamonError, match=f"process {workload.pid} ended within 200 ms"):
            next(measuring)


def test_scanned_snapshots_are_exact():
    area = Area("a", size=64 * MIB, patterns=[between_scans(offset=8 * MIB, length=16 * MIB)])
    with Workload([area]) as workload:
        start = workload.areas["a"].start
        attrs = Attrs(sample_us=50_000, aggr_us=500_000, max_nr_regions=10_000)
        with vadamon.scan(workload.pid, attrs, budget=None) as monitor:
            found = [next(monitor) for _ in range(3)]
        log = workload.log
    for k, snapshot in enumerate(found):
        inside = (snapshot.start < start + 64 * MIB) & (snapshot.end > start)
        hot = [
            (low - start, high - start)
            for low, high, count in zip(
                snapshot.start[inside].tolist(),
                snapshot.end[inside].tolist(),
                snapshot.nr_accesses[inside].tolist(),
                strict=True,
            )
            if count >= 9
        ]
        if not log.touched(snapshot.start_ns, snapshot.end_ns):
            continue
        assert union(*in_whole_pages(hot, PAGE))[0].tolist() == [8 * MIB]
        assert total_size(in_whole_pages(hot, PAGE)) == 16 * MIB
        cold = inside & (snapshot.nr_accesses == 0)
        assert int((snapshot.end - snapshot.start)[cold].sum()) >= 48 * MIB
        assert snapshot.age[cold].max() == k + 1


def call(*arguments):
    return subprocess.run([VADAMON, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line(tmp_path):
    path = tmp_path / "x.vadamon"
    area = Area("a", size=16 * MIB, patterns=[between_scans(length=4 * MIB)])
    with Workload([area]) as workload:
        options = ("--sample", "20ms", "--duration", "1s", "--min-regions", "3", "--max-regions", "5")
        done = call("record", "--scan", "-o", path, *options, workload.pid)
        assert done.returncode == 0, done.stderr
        assert "nr_accesses is off by" in done.stderr
        done = call("record", "--scan", "--aggr", "1s", "-o", path, workload.pid)
        assert (done.returncode, "--aggr needs --sample" in done.stderr) == (2, True)
        done = call("wss", "--window", "200ms", workload.pid)
        assert done.returncode == 0, done.stderr
        assert f"process {workload.pid} touched 4.0" in done.stdout or "touched 4 MiB" in done.stdout
        found = [
            json.loads(line) for line in call("wss", "--json", "--window", "200ms", workload.pid).stdout.splitlines()
        ]
        assert len(found) == 1
        assert found[0]["touched"] == pytest.approx(4 * MIB, abs=MIB // 2)
        assert found[0]["window_ns"] >= 200_000_000
    done = call("wss", workload.pid)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"no process {workload.pid}" in done.stderr


def test_targets_that_remap_fork_and_exec_are_scanned(start_target):
    for name in ("remap", "forks"):
        target = start_target(name)
        with vadamon.scan(target.pid, Attrs(20_000, 200_000), budget=None) as monitor:
            for _ in range(4):
                snapshot = next(monitor)
                assert (snapshot.start[1:] >= snapshot.end[:-1]).all()
                assert snapshot.nr_samples > 0


def test_random_accesses_are_never_counted_on_other_memory():
    area = Area("a", size=32 * MIB, patterns=[Random(length=8 * MIB)])
    found = tally(area, PAGE, nr_scans=5)
    assert found.wrong == 0
    assert found.found >= 5 * 7 * MIB
