"""The whole monitor process: processor time, memory, and what it costs the target."""

import functools
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import vadamon
from vadamon.workload import Area, Random, Stream, Sweep, Workload

MIB = 1 << 20
VADAMON = Path(sys.executable).with_name("vadamon")
SECONDS = 12
SETTLING_S = 3
# Short turns, and many: from one to the next the machine stays as fast as it is.
TURNS = 400
TURN_S = 0.1
TURNED = f"{TURNS} turns of stopping the monitor and letting it go on, {TURN_S} s each; median and its standard error"
NR_REGIONS = (100, 1000)


def record(
    pid: int, path: Path, nr_regions: int | None = None, seconds: float | None = None
) -> "subprocess.Popen[str]":
    options = (
        []
        if nr_regions is None
        else ["--min-regions", str(nr_regions * 2 // 3), "--max-regions", str(nr_regions * 4 // 3)]
    )
    options += [] if seconds is None else ["--duration", f"{seconds}s"]
    return subprocess.Popen([VADAMON, "record", "-o", path, *options, str(pid)], stderr=subprocess.PIPE, text=True)


def sweep_area(kind: str = "private") -> Area:
    return Area("a", kind=kind, size=256 * MIB, patterns=[Sweep(offset=64 * MIB, length=32 * MIB)])


def cost(path: Path, kind: str, nr_regions: int | None) -> tuple[float, float, float, str]:
    """Return the share of a core while it runs, the seconds to start and end, resident MiB, and mean regions."""
    with Workload([sweep_area(kind)]) as workload:
        time.sleep(0.5)
        recorder = record(workload.pid, path, nr_regions, SECONDS)
        time.sleep(SETTLING_S)
        begin, begin_cpu = time.monotonic_ns(), processor_ns(recorder.pid)
        time.sleep(SECONDS - SETTLING_S - 1)
        share = (processor_ns(recorder.pid) - begin_cpu) / (time.monotonic_ns() - begin)
        resident = peak_resident_mib(recorder.pid)
        _, status, usage = os.wait4(recorder.pid, 0)
    recorder.returncode = os.waitstatus_to_exitcode(status)
    assert recorder.returncode == 0, recorder.stderr.read()
    start = usage.ru_utime + usage.ru_stime - share * SECONDS
    mean = statistics.mean(len(s) for s in list(vadamon.open(path))[20:])
    return share, start, resident, f"{mean:.0f}"


def print_costs(path: Path) -> None:
    print(f"`vadamon record` for {SECONDS} s of 256 MiB, 32 MiB of it touched each millisecond; 5 ms/100 ms/1 s.\n")
    print("| memory | regions | processor | to start and end | resident |")
    print("| --- | --- | --- | --- | --- |")
    for kind in ("private", "huge", "shared", "file"):
        for nr_regions in (None, *NR_REGIONS) if kind == "private" else (None,):
            share, start, resident, mean = cost(path, kind, nr_regions)
            print(f"| {kind} | {mean} | {100 * share:.1f} % | {start:.2f} s | {resident:.0f} MiB |", flush=True)


def processor_ns(pid: int) -> int:
    return int((Path("/proc") / str(pid) / "schedstat").read_text().split()[0])


def peak_resident_mib(pid: int) -> float:
    """Return the most that a process had in memory so far; its ``ru_maxrss`` would be ours where we had more."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    return int(status.partition("\nVmHWM:")[2].split()[0]) / 1024


def in_turns(speed: Callable[[], float], pid: int, nr_turns: int, pause_s: float) -> list[float]:
    """Return the slow-down in each turn of stopping a monitor and letting it go on.

    A machine that others use is now faster, now slower: two times that are compared must lie close together.
    """
    slow_downs = []
    try:
        for turn in range(nr_turns):
            speeds = {}
            for number in (signal.SIGSTOP, signal.SIGCONT)[:: 1 - 2 * (turn % 2)]:
                os.kill(pid, number)
                time.sleep(pause_s)
                speeds[number] = speed()
            slow_downs.append(speeds[signal.SIGSTOP] / speeds[signal.SIGCONT] - 1)
    finally:
        os.kill(pid, signal.SIGCONT)
    return slow_downs


def with_error(values: list[float]) -> str:
    """Return the median of shares, and the standard error of it."""
    median = statistics.median(values)
    if len(values) == 1:
        return f"{100 * median:+.2f} %"
    deviation = 1.4826 * statistics.median(abs(value - median) for value in values)
    return f"{100 * median:+.2f} % ± {100 * 1.2533 * deviation / len(values) ** 0.5:.2f}"


def slow_down(area: Area, start: "Callable[[int], subprocess.Popen[str]]") -> str:
    """Return by how much monitoring, which ``start`` starts for a pid, slows a target down."""
    with Workload([area]) as workload:
        os.sched_setaffinity(workload.pid, {1})
        os.sched_setaffinity(0, {0})
        time.sleep(1)

        def speed() -> float:
            """Operations by the target's own processor time: others on this machine must not count."""
            begin, begin_cpu = time.monotonic_ns(), processor_ns(workload.pid)
            time.sleep(TURN_S)
            end, end_cpu = time.monotonic_ns(), processor_ns(workload.pid)
            return workload.log.operations(begin, end) / (end_cpu - begin_cpu)

        recorder = start(workload.pid)
        time.sleep(SETTLING_S)
        slow_downs = in_turns(speed, recorder.pid, TURNS, TURN_S / 3)
        recorder.terminate()
        recorder.communicate()
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    return with_error(slow_downs)


def print_slow_downs(path: Path) -> None:
    print(f"Slow-down of a target that never pauses, on a core of its own: {TURNED}.\n")
    print("| target | regions | slow-down |")
    print("| --- | --- | --- |")
    for name, pattern in (("streaming", Stream(length=256 * MIB)), ("random access", Random(length=256 * MIB))):
        for nr_regions in NR_REGIONS:
            area = Area("a", size=256 * MIB, patterns=[pattern])
            found = slow_down(area, functools.partial(record, path=path, nr_regions=nr_regions))
            print(f"| {name} | {nr_regions} | {found} |", flush=True)


def print_start_up() -> None:
    def run(*arguments: str) -> float:
        begin = time.perf_counter()
        subprocess.run([VADAMON, *arguments], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begin

    print("| command | best of 10 |")
    print("| --- | --- |")
    print(f"| `vadamon --help` | {1000 * min(run('--help') for _ in range(10)):.0f} ms |")


def main() -> None:
    """Print all tables."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.vadamon"
        print_costs(path)
        print()
        print_slow_downs(path)
    print()
    print_start_up()
