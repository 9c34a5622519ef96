"""The workload of `vadamon demo`: memory whose heat is known, and what a recording found of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vadamon import operations
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.monitors.live import ProcessMonitor
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.recording import header
from vadamon.recording.reader import Recording
from vadamon.recording.recorder import Progress, record
from vadamon.recording.writer import RecordingWriter
from vadamon.workload import Area, Interval, Sweep, Workload
from vadamon.workload.simulated import SimulatedWorkload

_MIB = 1 << 20
_SETTLING_NS = 2_000_000_000
"""How long the regions may take to settle, at the start and after each move."""
_HOT = 0.5
"""From this share of the samples on, memory counts as hot."""


def areas(move_every_s: float) -> list[Area]:
    """Return 224 MiB: hot, warm, cold, and with a hot window that moves on."""
    return [
        Area("hot", size=32 * _MIB, patterns=[Sweep(length=32 * _MIB, period_us=1_000)]),
        Area("warm", size=64 * _MIB, patterns=[Sweep(length=64 * _MIB, period_us=20_000)]),
        Area("cold", size=64 * _MIB),
        Area(
            "moving",
            size=64 * _MIB,
            patterns=[Sweep(length=16 * _MIB, period_us=1_000, move_every_s=move_every_s)],
        ),
    ]


_EXPECTED = {"hot": 100.0, "warm": 25.0, "moving": 100.0, "cold": 0.0}
"""Accesses per 100 samples: a sweep each 20 ms is seen by every fourth sample of 5 ms."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one known range, by bytes and time, once the regions had settled."""

    name: str
    size: int
    expected: float
    """Accesses per 100 samples that the workload makes."""
    found: float
    """Accesses per 100 samples, on average; NaN where nothing was known of the range."""
    hot_share: float
    """Share of its bytes that was found hot."""


def run(path: str, duration_s: float, move_every_s: float, report: Callable[[Progress], None]) -> list[Finding]:
    """Start the workload, record it in a file, and compare the recording with what the workload has logged."""
    with Workload(areas(move_every_s)) as workload:
        with ProcessMonitor([workload.pid]) as monitor:
            _record(path, monitor, "page-table", MonotonicClock(), duration_s, report)
        intervals = [interval for interval in workload.log.intervals() if interval.pattern is not None]
        cold = workload.areas["cold"]
        intervals.append(Interval("cold", None, cold.start, cold.end, 0, intervals[0].last_ns, 0))
    return _find_all(path, intervals)


def simulate(path: str, duration_s: float, move_every_s: float, report: Callable[[Progress], None]) -> list[Finding]:
    """Do as `run`, with a process, its page tables and its time simulated: that needs no rights."""
    clock = SimulatedWorkload(areas(move_every_s))
    target = Target(1, clock.space)
    rng = np.random.default_rng()
    with SamplingMonitor([target], Attrs(), operations.get("vaddr"), clock, rng) as monitor:
        _record(path, monitor, "simulated", clock, duration_s, report)
    return _find_all(path, clock.intervals())


def _record(
    path: str,
    monitor: SamplingMonitor,
    backend: str,
    clock: Clock,
    duration_s: float,
    report: Callable[[Progress], None],
) -> None:
    described = [header.Target(target.target_id, target.target_id, "the demo's workload") for target in monitor.targets]
    command_line = f"vadamon demo -o {path}"
    head = header.Header.here(monitor.attrs, described, backend=backend, command_line=command_line, clock=clock)
    with RecordingWriter(path, head) as writer:
        record(monitor, writer, duration_ns=int(duration_s * 1e9), report=report)


def _find_all(path: str, intervals: list[Interval]) -> list[Finding]:
    return [
        _find(path, name, [interval for interval in intervals if interval.area == name], expected)
        for name, expected in _EXPECTED.items()
    ]


def _find(path: str, name: str, ranges: list[Interval], expected: float) -> Finding:
    found, hot, total = 0.0, 0.0, 0.0
    recording = Recording(path)
    start_ns = recording.header.start_ns
    for snapshot in recording:
        for known in ranges:
            settled_ns = max(known.first_ns, start_ns) + _SETTLING_NS
            if not settled_ns <= snapshot.start_ns <= snapshot.end_ns <= known.last_ns:
                continue
            low = np.maximum(snapshot.start, np.uint64(known.start)).astype(np.float64)
            high = np.minimum(snapshot.end, np.uint64(known.end)).astype(np.float64)
            overlap = np.where(snapshot.unknown, 0, np.clip(high - low, 0, None))
            rate = snapshot.nr_accesses / snapshot.nr_samples
            total += overlap.sum()
            found += (overlap * rate).sum()
            hot += overlap[rate >= _HOT].sum()
    size = ranges[0].end - ranges[0].start
    nothing = float("nan")
    return Finding(name, size, expected, 100 * found / total if total else nothing, hot / total if total else nothing)
