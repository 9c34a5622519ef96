"""Scanning every page: what a scan costs, the whole monitor, the target, and working sets."""

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.monitor import TURNED, VADAMON, peak_resident_mib, processor_ns, slow_down
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.monitors.working_set import WorkingSetMeter
from vadamon.ranges import union
from vadamon.workload import Area, Random, Stream, Sweep, Workload

MIB, GIB = 1 << 20, 1 << 30
NR_SCANS = 21
SIZES_GIB = (1, 2, 4, 8, 12)
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
    with PageTableAddressSpace(pid, clear_budget=0) as space:
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


def print_slow_downs(path: Path) -> None:
    print(f"Slow-down of a target of 2 GiB that never pauses, on a core of its own, scanned each 100 ms: {TURNED}.\n")
    print("| target | slow-down |")
    print("| --- | --- |")
    start = functools.partial(record, path=path, options=("--sample", "100ms"))
    for name, pattern in (
        ("streaming through 32 MiB", Stream(length=32 * MIB)),
        ("random access to 32 MiB", Random(length=32 * MIB)),
        ("random access to 256 MiB", Random(length=256 * MIB)),
    ):
        print(f"| {name} | {slow_down(Area('a', size=2 * GIB, patterns=[pattern]), start)} |", flush=True)


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
