"""Scanning every page: what a scan costs, the whole monitor, the target, and working sets."""

import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import vadamon
from benchmarks.monitor import VADAMON, peak_resident_mib, processor_ns, with_error
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.monitors.working_set import WorkingSetMeter
from vadamon.ranges import union
from vadamon.workload import Area, Random, Stream, Sweep, Workload

MIB, GIB = 1 << 20, 1 << 30
NR_SCANS = 21
SIZES_GIB = (1, 2, 4, 8, 12)
MADV_COLD = 20
INTERVAL_MS = 100
SETTLING_S, MEASURED_S = 5, 60
SPARE_GIB = 4  # to leave to others, of what is free
SPARSE = """
import mmap, sys, time

def area(size):
    found = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)  # MAP_NORESERVE
    found.madvise(mmap.MADV_NOHUGEPAGE)
    return found

nr_sparse, size = map(int, sys.argv[1:])
sparse = area(1 << 40)
for i in range(0, 1 << 40, (1 << 40) // nr_sparse):
    sparse[i] = 1
if size:
    dense = area(size)
    dense.madvise(23)  # MADV_POPULATE_WRITE
print("ready", flush=True)
while True:
    time.sleep(0.001)
    if size:
        dense[4 << 20:36 << 20:4096]
"""
"""A process with so many pages spread over 1 TiB and, beside them, so many bytes, of which 32 MiB are read."""


def scan_costs(pid: int) -> tuple[float, float, float]:
    """Return GiB resident, and the median processor time of a look and of a look that clears, in ms."""
    looks, clears = [], []
    with PageTableAddressSpace(pid) as space:
        mappings = space.mappings()
        ranges = union(mappings.start, mappings.end)
        space.scan(*ranges)
        for _ in range(NR_SCANS):
            time.sleep(0.1)
            for clear, costs in ((False, looks), (True, clears)):
                begin = time.thread_time_ns()
                scan = space.scan(*ranges, clear=clear)
                costs.append((time.thread_time_ns() - begin) / 1e6)
    return scan.resident / GIB, statistics.median(looks), statistics.median(clears)


def sparse_costs(nr_sparse: int, size: int) -> tuple[float, float, float]:
    """Return what `scan_costs` returns of a process that runs `SPARSE`."""
    command = [sys.executable, "-c", SPARSE, str(nr_sparse), str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        try:
            return scan_costs(process.pid)
        finally:
            process.kill()


def print_scans() -> None:
    print(f"One scan, 32 MiB touched each millisecond; processor time of the monitor, median of {NR_SCANS}.\n")
    print("| memory | resident | to look | to look and clear |")
    print("| --- | --- | --- | --- |")
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - SPARE_GIB * GIB
    points = []
    for gib in SIZES_GIB:
        if gib * GIB <= free:
            row = sparse_costs(128, gib * GIB)
            print_scan("private, and 128 pages spread over 1 TiB", *row)
            points.append(row)
    area = Area("a", kind="huge", size=2 * GIB, patterns=[Sweep(offset=4 * MIB, length=32 * MIB)])
    with Workload([area]) as workload:
        time.sleep(0.5)
        print_scan("huge", *scan_costs(workload.pid))
    for nr_pages in (1, 1 << 14):
        print_scan(f"idle: {nr_pages} pages spread over 1 TiB", *sparse_costs(nr_pages, 0))
    resident, looks, clears = np.array(points).T
    for what, costs in (("look", looks), ("look and clear", clears)):
        slope, start = np.polyfit(resident, costs, 1)
        off = np.abs(np.polyval((slope, start), resident) - costs).max()
        print(
            f"\nThe line through private memory, to {what}: {start:.2f} ms + {slope:.2f} ms a GiB; off by {off:.2f} ms."
        )


def print_scan(name: str, resident: float, look: float, clear: float) -> None:
    print(f"| {name} | {resident:.2f} GiB | {look:.2f} ms | {clear:.2f} ms |", flush=True)


def record(pid: int, path: Path, options: tuple[str, ...]) -> "subprocess.Popen[str]":
    command = [VADAMON, "record", "--scan", "-o", path, *options, str(pid)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def print_monitor(path: Path) -> None:
    print("`vadamon record --scan` of 2 GiB, 32 MiB of it touched each millisecond; share of a core while it runs.\n")
    print("| options | memory | processor | resident |")
    print("| --- | --- | --- | --- |")
    for kind in ("private", "huge"):
        for options in (("--sample", "100ms"), ("--budget", "1%")):
            area = Area("a", kind=kind, size=2 * GIB, patterns=[Sweep(offset=4 * MIB, length=32 * MIB)])
            with Workload([area]) as workload:
                time.sleep(0.5)
                recorder = record(workload.pid, path, options)
                time.sleep(5)
                begin, begin_cpu = time.monotonic_ns(), processor_ns(recorder.pid)
                time.sleep(10)
                share = (processor_ns(recorder.pid) - begin_cpu) / (time.monotonic_ns() - begin)
                resident = peak_resident_mib(recorder.pid)
                recorder.terminate()
                recorder.wait()
            print(f"| {' '.join(options)} | {kind} | {100 * share:.1f} % | {resident:.0f} MiB |", flush=True)


def slow_down(area: Area, path: Path) -> str:
    """Return by how much scans slow a target down: by its speed in the half of an interval that begins with a scan.

    What a scan costs its target, it costs it at once: the interrupts, and the accessed bits that are to be set again.
    Others on this machine make it faster and slower by more than that, but mostly not from one half to the next.
    """
    with Workload([area]) as workload:
        os.sched_setaffinity(workload.pid, {1})
        os.sched_setaffinity(0, {0})
        time.sleep(1)
        recorder = record(workload.pid, path, ("--sample", f"{INTERVAL_MS}ms"))
        time.sleep(SETTLING_S + MEASURED_S)
        recorder.terminate()
        recorder.communicate()
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
        records = workload.log.records()
    snapshots = [s for s in vadamon.open(path) if not s.health.late_samples + s.health.missed_samples][SETTLING_S:]
    return with_error([slow for snapshot in snapshots for slow in slow_downs(records, snapshot)])


def slow_downs(records: "np.ndarray", snapshot: vadamon.Snapshot) -> list[float]:
    """Return the slow-down in each interval between two scans of a snapshot."""
    first, last = np.searchsorted(records["end_ns"], (snapshot.start_ns, snapshot.end_ns))
    mine = records[first:last][records["operations"][first:last] > 0]
    ns = (mine["end_ns"] - mine["begin_ns"]).astype(np.float64)
    mine, ns = mine[ns < 10 * np.median(ns)], ns[ns < 10 * np.median(ns)]  # others had its core in between
    half = (mine["begin_ns"].astype(np.int64) - snapshot.start_ns) // (INTERVAL_MS * 500_000)
    nr_halves = 2 * snapshot.nr_samples
    inside = (half >= 0) & (half < nr_halves)
    total_ns = np.bincount(half[inside], weights=ns[inside], minlength=nr_halves)
    operations = np.bincount(half[inside], weights=mine["operations"][inside].astype(np.float64), minlength=nr_halves)
    with_scan, without = (total_ns / operations).reshape(-1, 2).T
    return ((with_scan / without - 1) / 2).tolist()


def ns_to_set_again() -> float:
    """Return what the next access to a page takes longer where its accessed bit was cleared: median, of own pages."""
    area = mmap.mmap(-1, 32 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    pages = np.frombuffer(area, dtype=np.uint8)[::4096]
    pages += 1
    costs: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(200):
        clears = bool(turn % 2)
        pages.sum()
        if clears:
            area.madvise(MADV_COLD)
        begin = time.perf_counter_ns()
        pages.sum()
        costs[clears].append((time.perf_counter_ns() - begin) / len(pages))
    return statistics.median(costs[True]) - statistics.median(costs[False])


def print_slow_downs(path: Path) -> None:
    print(
        f"Slow-down of a target of 2 GiB that never pauses, on a core of its own, scanned each {INTERVAL_MS} ms for "
        f"{MEASURED_S} s: median and its standard error.\n"
    )
    ns = ns_to_set_again()
    print(
        f"To set an accessed bit again takes this processor {ns:.0f} ns: of {32 * MIB // 4096} pages, which all are "
        f"cleared by each scan, {ns * (32 * MIB // 4096) / INTERVAL_MS / 1e4:.1f} % of the time.\n"
    )
    print("| target | slow-down |")
    print("| --- | --- |")
    for name, pattern in (
        ("streaming through 32 MiB", Stream(length=32 * MIB)),
        ("random access to 32 MiB", Random(length=32 * MIB)),
        ("random access to 256 MiB", Random(length=256 * MIB)),
    ):
        print(f"| {name} | {slow_down(Area('a', size=2 * GIB, patterns=[pattern]), path)} |", flush=True)


def print_working_sets() -> None:
    print("Working sets of known size, measured in a window of 1 s, beside as much memory that is idle.\n")
    print("| touched | found | off by |")
    print("| --- | --- | --- |")
    for size in (MIB, 16 * MIB, 256 * MIB, GIB, 4 * GIB):
        area = Area("a", size=2 * size, patterns=[Sweep(offset=size // 2, length=size, period_us=200_000)])
        with Workload([area]) as workload, WorkingSetMeter(workload.pid) as meter:
            found = next(meter.measure([1_000_000_000]))
            touched = int(found.touched[found.mappings.start.tolist().index(workload.areas["a"].start)])
        off = 100 * (touched / size - 1)
        print(f"| {size // MIB} MiB | {touched / MIB:.2f} MiB | {off:+.2f} % |", flush=True)


def main() -> None:
    """Print all tables."""
    print_scans()
    print()
    with tempfile.TemporaryDirectory() as folder:
        print_monitor(Path(folder) / "x.vadamon")
        print()
        print_slow_downs(Path(folder) / "x.vadamon")
    print()
    print_working_sets()
