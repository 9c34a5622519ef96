"""All ways to find the hot memory of a process, side by side.

The kernel's own DAMON is among them where it can be had: in the guest of ``make bench-vm``. There VADAMON_MIB and
VADAMON_ROUNDS make it shorter, and so does VADAMON_SWEEP_US: what fits in no TLB takes very long to emulate, so the hot
memory is touched once in that time, and only a small part of it is read without pause.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import vadamon
from benchmarks.monitor import VADAMON, in_turns, processor_ns, with_error
from vadamon import Attrs, VadamonError
from vadamon.backends import BACKENDS, Options
from vadamon.monitors.damon_sysfs import ROOT
from vadamon.ranges import sizes_within, union
from vadamon.workload import Area, Pattern, Random, Sweep, Workload

MIB = 1 << 20
HOT = 32 * MIB
BUSY = MIB // 4
SIZE = int(os.environ.get("VADAMON_MIB", "2048")) * MIB
OFFSET = SIZE // 4
ROUNDS = int(os.environ.get("VADAMON_ROUNDS", "4"))
SWEEP_US = int(os.environ.get("VADAMON_SWEEP_US", "0"))
TURNS, TURN_S, PAUSE_S = 8, 0.5, 0.1  # in each round
SETTLING_S = 4.0  # regions are coarse at first
MEASURED_S = 5.0
ALONE_S = 2.5
# Of the time, or what is found cannot be told from what the process did not do.
RAN = 0.9 if len(os.sched_getaffinity(0)) > 1 else 0.5
CLEAR_REFS = r"""
import re, sys, time
pid, start, interval = sys.argv[1], sys.argv[2], float(sys.argv[3])
while True:
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("1")
    begin_ns = time.monotonic_ns()
    time.sleep(interval)
    end_ns = time.monotonic_ns()
    with open(f"/proc/{pid}/smaps") as file:
        smaps = file.read()
    mapping = smaps[smaps.index(f"\n{start}-"):]
    kib = int(re.search(r"Referenced: +(\d+) kB", mapping)[1])
    print(begin_ns, end_ns, kib << 10, flush=True)
"""
"""The way of wss.pl and its like. It tells how much of a mapping was referenced, and not where."""


Counts = Callable[[int, int], bool]
"""Whether the time between two counts."""
Accuracies = tuple[list[float], list[float], list[float]]
"""Precision, recall and error of the working set of each interval, by bytes of the area."""


@dataclass(frozen=True)
class Place:
    """Where the hot memory is: the addresses of the area, and of what is touched all the time."""

    start: int
    end: int
    hot_start: int
    hot_end: int


@dataclass
class Way:
    """One way, how it is started, and what it came to in each round."""

    name: str
    command: Callable[[int, Place, Path], list[str]]
    read: Callable[[Path, Place, Counts], Accuracies]
    is_kernels: bool = False
    processor: list[float] = field(default_factory=list)
    slow_down: list[float] = field(default_factory=list)
    precision: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    wss_error: list[float] = field(default_factory=list)


def recorded(*options: str) -> Callable[[int, Place, Path], list[str]]:
    return lambda pid, place, path: [str(VADAMON), "record", "-o", str(path), *options, str(pid)]


def cleared(interval_s: float) -> Callable[[int, Place, Path], list[str]]:
    return lambda pid, place, path: [sys.executable, "-c", CLEAR_REFS, str(pid), f"{place.start:x}", str(interval_s)]


def read_recording(path: Path, place: Place, counts: Counts) -> Accuracies:
    precisions, recalls, errors = [], [], []
    for snapshot in vadamon.open(path):
        if not counts(snapshot.start_ns, snapshot.end_ns):
            continue
        hot = 2 * snapshot.nr_accesses.astype(np.int64) >= snapshot.nr_samples
        found_hot = union(snapshot.start[hot], snapshot.end[hot])
        accessed = snapshot.nr_accesses > 0
        touched = union(snapshot.start[accessed], snapshot.end[accessed])
        nr_found, hits = (
            bytes_in(found_hot, place.start, place.end),
            bytes_in(found_hot, place.hot_start, place.hot_end),
        )
        precisions.append(hits / nr_found if nr_found else 0.0)
        recalls.append(hits / HOT)
        errors.append(abs(bytes_in(touched, place.start, place.end) / HOT - 1))
    return precisions, recalls, errors


def bytes_in(ranges: tuple[np.ndarray, np.ndarray], start: int, end: int) -> int:
    return int(sizes_within(ranges, np.array([start], np.uint64), np.array([end], np.uint64))[0])


def read_referenced(path: Path, place: Place, counts: Counts) -> Accuracies:
    lines = [tuple(map(int, line.split())) for line in path.read_text().splitlines()]
    return [], [], [abs(size / HOT - 1) for begin_ns, end_ns, size in lines if counts(begin_ns, end_ns)]


def ways() -> list[Way]:
    def regions(n: int) -> tuple[str, ...]:
        # They are split while there are no more than half of the maximum.
        return "--min-regions", str(n // 2), "--max-regions", str(n * 2)

    def kernels(n: int) -> Way:
        command = recorded("--backend", "kernel", *regions(n))
        return Way(f"the kernel's DAMON, {n} regions", command, read_recording, is_kernels=True)

    return [
        *([kernels(100), kernels(1000)] if has_kernels_damon() else []),
        Way("sampling, 100 regions", recorded(*regions(100)), read_recording),
        Way("sampling, 1000 regions", recorded(*regions(1000)), read_recording),
        Way("scanning each 100 ms", recorded("--scan", "--sample", "100ms"), read_recording),
        Way("scanning each second", recorded("--scan", "--sample", "1s", "--aggr", "1s"), read_recording),
        Way("clear_refs each 100 ms", cleared(0.1), read_referenced),
        Way("clear_refs each second", cleared(1.0), read_referenced),
    ]


def has_kernels_damon() -> bool:
    """Tell whether nobody else uses it, by trying."""
    try:
        BACKENDS["kernel"].open([os.getpid()], Attrs(), Options()).close()
    except VadamonError:
        return False
    return True


class Target:
    """A workload on a core of its own, and how fast it runs."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        area = workload.areas["a"]
        self.place = Place(area.start, area.end, area.start + OFFSET, area.start + OFFSET + HOT)

    def speed(self, seconds: float) -> float:
        """Return operations by the target's own processor time: others on this machine must not count."""
        begin, begin_cpu = time.monotonic_ns(), processor_ns(self.workload.pid)
        time.sleep(seconds)
        end, end_cpu = time.monotonic_ns(), processor_ns(self.workload.pid)
        return self.workload.log.operations(begin, end) / (end_cpu - begin_cpu)


def spent_ns(way: Way, pid: int) -> int:
    """Return the processor time that a way has taken, that of the kernel's thread included."""
    thread = int((ROOT / "0/pid").read_text()) if way.is_kernels else -1
    return processor_ns(pid) + (processor_ns(thread) if thread > 0 else 0)


def measure(way: Way, target: Target, path: Path) -> float:
    """Run one way once, and return how fast the target was."""
    with path.with_suffix(".out").open("w") as out:
        process = subprocess.Popen(
            way.command(target.workload.pid, target.place, path), stdout=out, stderr=subprocess.DEVNULL
        )
        time.sleep(SETTLING_S)
        begin, begin_cpu = time.monotonic_ns(), spent_ns(way, process.pid)
        speed = target.speed(MEASURED_S)
        way.processor.append((spent_ns(way, process.pid) - begin_cpu) / (time.monotonic_ns() - begin))
        end = time.monotonic_ns()
        if not way.is_kernels:  # a thread of the kernel cannot be stopped
            way.slow_down += in_turns(lambda: target.speed(TURN_S), process.pid, TURNS, PAUSE_S)
        process.terminate()
        process.wait()
    source = path if way.read is read_recording else path.with_suffix(".out")
    accuracy = way.precision, way.recall, way.wss_error

    def pace(begin_ns: int, end_ns: int) -> float:
        return target.workload.log.operations(begin_ns, end_ns) / (end_ns - begin_ns)

    usual = pace(begin, end)

    def counts(begin_ns: int, end_ns: int) -> bool:
        return begin <= begin_ns and end_ns <= end and pace(begin_ns, end_ns) >= RAN * usual

    for kept, found in zip(accuracy, way.read(source, target.place, counts), strict=True):
        kept += found
    return speed


def prefer(pid: int) -> None:
    """Let a process run before all others: what it does must not depend on what they do."""
    os.setpriority(os.PRIO_PROCESS, pid, -20)
    with contextlib.suppress(FileNotFoundError):  # where sessions are scheduled as groups, priorities are within one
        (Path("/proc") / str(pid) / "autogroup").write_text("-20")


def hot_patterns() -> list[Pattern]:
    if not SWEEP_US:
        return [Random(offset=OFFSET, length=HOT)]
    return [Sweep(offset=OFFSET, length=HOT, period_us=SWEEP_US), Random(offset=OFFSET, length=BUSY)]


def compare(every: Sequence[Way], rounds: int) -> None:
    """Run all ways in turns; the target is alone between them."""
    area = Area("a", size=SIZE, patterns=hot_patterns())
    with tempfile.TemporaryDirectory() as folder, Workload([area]) as workload:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(workload.pid, cores[-1:])
        if len(cores) > 1:
            prefer(workload.pid)
        os.sched_setaffinity(0, cores[:1])
        try:
            target = Target(workload)
            time.sleep(1)
            before = target.speed(ALONE_S)
            for turn in range(rounds):
                # Another order in each round, so that none always comes after the same other.
                for way in (*every[turn % len(every) :], *every[: turn % len(every)]):
                    watched = measure(way, target, Path(folder) / "x.vadamon")
                    time.sleep(0.5)
                    after = target.speed(ALONE_S)
                    if way.is_kernels:
                        way.slow_down.append((before + after) / 2 / watched - 1)
                    before = after
        finally:
            os.sched_setaffinity(0, cores)


def with_spread(values: list[float], digits: int) -> str:
    """Return the median of shares, and from where to where they were."""
    if not values:
        return "-"
    low, middle, high = (100 * value for value in (min(values), statistics.median(values), max(values)))
    spread = f" ({low:.{digits}f} to {high:.{digits}f})" if len(values) > 1 else ""
    return f"{middle:.{digits}f} %{spread}"


def print_table(every: Sequence[Way]) -> None:
    print("| way | processor | slow-down | precision | recall | working set off by |")
    print("| --- | --- | --- | --- | --- | --- |")
    for way in every:
        cells = [
            with_spread(way.processor, 1),
            with_error(way.slow_down),
            *(f"{100 * statistics.mean(values):.1f} %" if values else "-" for values in (way.precision, way.recall)),
            f"{100 * statistics.mean(way.wss_error):.1f} %" if way.wss_error else "-",
        ]
        print(f"| {way.name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    how = "read at random without pause"
    if SWEEP_US:
        how = f"touched each {SWEEP_US} us, {BUSY >> 10} KiB of these {how}"
    core = "on a core of its own" if len(os.sched_getaffinity(0)) > 1 else "and all on one core"
    print(
        f"A process of {SIZE // MIB} MiB, {HOT // MIB} MiB of it {how}, {core}. "
        f"{ROUNDS} rounds: the median, and from where to where; of the slow-down, its standard error, from "
        f"{TURNS} turns a round of stopping the monitor and letting it go on.\n"
    )
    every = ways()
    compare(every, ROUNDS)
    print_table(every)
