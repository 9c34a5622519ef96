"""Side by side with the kernel's DAMON: the same workloads at the same attributes, one monitor after the other.

``make bench-vm`` runs it in a guest, as it needs a kernel with DAMON for virtual addresses.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vadamon import Attrs, Snapshot
from vadamon.accuracy.measure import Accuracy, accuracy
from vadamon.accuracy.truth import TrueAccesses
from vadamon.backends import BACKENDS, Options
from vadamon.workload import Area, Log, PlacedArea, Sweep, Workload

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ATTRS = Attrs()
SETTLING_S, SECONDS = 5, 20
TOUCHED_EACH_US = 2_500
"""Once in each sample interval, with time to spare: emulated, touching takes a hundred times as long as it does."""
# Emulated, a flush of the other processor's TLB takes a hundred times as long as it does; paced by that, the monitor
# would use one sample in sixteen.
OPTIONS = Options(flush_budget=1)


def often(**place: Any) -> Sweep:
    """Return a sweep of memory that is hot."""
    return Sweep(period_us=TOUCHED_EACH_US, **place)


def zipf() -> list[Sweep]:
    """Return sweeps of all of 1 GiB: the n-th busiest 8 MiB each 3 n ms, in places drawn at random.

    So none is accessed in just half of the samples, where chance would tell on which side of the threshold it is found.
    """
    length, nr = 8 * MIB, GIB // (8 * MIB)
    places = np.random.default_rng(1).permutation(nr).tolist()
    return [Sweep(offset=place * length, length=length, period_us=3_000 * (i + 1)) for i, place in enumerate(places)]


def spots() -> list[Sweep]:
    """Return 64 sweeps of 256 KiB each, one in every 4 MiB, somewhere in it."""
    places = np.random.default_rng(2).integers(0, 15, 64).tolist()
    return [often(offset=i * 4 * MIB + place * 256 * KIB, length=256 * KIB) for i, place in enumerate(places)]


MOVES, SPOTS = "a hot range that moves", "64 small hot spots"
NR_RUNS = {MOVES: 3, SPOTS: 6}
"""How soon a move is seen and how many spots are found is a matter of luck: one run tells little or nothing."""
WORKLOADS = {
    "one hot range": Area("a", size=256 * MIB, patterns=[often(offset=64 * MIB, length=32 * MIB)]),
    MOVES: Area("a", size=256 * MIB, patterns=[often(length=32 * MIB, move_every_s=5)]),
    "zipf over 1 GiB": Area("a", size=GIB, patterns=zipf()),
    SPOTS: Area("a", size=256 * MIB, patterns=spots()),
}


@dataclass(frozen=True)
class Watched:
    """What one backend saw of a workload, and the processor time it took."""

    snapshots: list[Snapshot]
    own_s: float
    """Of this process."""
    kernel_s: float
    """Of the kernel's thread that monitors, if there is one."""
    wall_s: float


def processor_s(thread_id: int) -> float:
    return int(Path(f"/proc/{thread_id}/schedstat").read_text().split()[0]) / 1e9


def watch(name: str, pid: int) -> Watched:
    with BACKENDS[name].open([pid], ATTRS, OPTIONS) as monitor:
        thread_id: int = getattr(monitor, "thread_id", 0)

        def spent() -> tuple[float, float, float]:
            return time.process_time(), processor_s(thread_id) if thread_id else 0.0, time.monotonic()

        snapshots = [next(monitor)]
        begun = spent()
        for snapshot in monitor:
            snapshots.append(snapshot)
            if snapshot.end_ns - snapshots[0].start_ns >= SECONDS * 10**9:
                break
        own, kernel, wall = (end - begin for end, begin in zip(spent(), begun, strict=True))
    return Watched(snapshots, own, kernel, wall)


def truth(log: Log, snapshots: list[Snapshot]) -> Iterator[TrueAccesses]:
    """Yield what was accessed in the interval of each snapshot, and in how many of its sample intervals, by the log."""
    records = log.records()
    records = records[records["pattern"] >= 0]
    end_ns = records["end_ns"].astype(np.int64)
    for snapshot in snapshots:
        first, last = np.searchsorted(end_ns, (snapshot.start_ns, snapshot.end_ns)).tolist()
        mine = records[first:last]
        window = (
            (end_ns[first:last] - snapshot.start_ns) * ATTRS.max_nr_samples // (snapshot.end_ns - snapshot.start_ns)
        )
        # One row for each range and sample interval: how many rows a range has is how often it was accessed.
        rows = np.unique(np.stack((mine["start"], mine["end"], window.astype(np.uint64)), axis=1), axis=0)
        ranges, counts = np.unique(rows[:, :2], axis=0, return_counts=True)
        start, end = ranges.T.copy()
        yield TrueAccesses(
            *(snapshot.target_id, snapshot.start_ns, snapshot.end_ns, ATTRS.max_nr_samples),
            *(start, end, counts.astype(np.uint32)),
        )


def within(snapshot: Snapshot, area: PlacedArea) -> Snapshot:
    """Return the part of a snapshot that lies in the area: of the rest the truth is not known."""
    start, end = (np.clip(edge, np.uint64(area.start), np.uint64(area.end)) for edge in (snapshot.start, snapshot.end))
    inside = start < end
    kept: dict[str, Any] = {name: getattr(snapshot, name)[inside] for name in ("nr_accesses", "age", "unknown")}
    return replace(snapshot, start=start[inside], end=end[inside], **kept)


def compare(area: Area, name: str) -> tuple[Accuracy, Watched]:
    with Workload([area]) as workload:
        time.sleep(1)
        watched = watch(name, workload.pid)
        placed = workload.areas["a"]
    snapshots = [within(snapshot, placed) for snapshot in watched.snapshots]
    from_ns = snapshots[0].start_ns + SETTLING_S * 10**9
    return accuracy(snapshots, truth(workload.log, snapshots), ATTRS, from_ns=from_ns), watched


def row(workload: str, backend: str, runs: Sequence[tuple[Accuracy, Watched]]) -> str:
    delays = [delay for found, _ in runs for delay in found.delays_ns]
    seen = [delay / 1e9 for delay in delays if delay is not None]
    moves = f"{statistics.median(seen):.1f} s ({len(seen)} of {len(delays)})" if delays else ""
    snapshots = [snapshot for _, watched in runs for snapshot in watched.snapshots]
    regions = statistics.mean(len(snapshot) for snapshot in snapshots)
    wall_s = sum(watched.wall_s for _, watched in runs)
    spent = (sum(watched.kernel_s for _, watched in runs), sum(watched.own_s for _, watched in runs))
    shares = [f"{100 * s / wall_s:.1f} %" if s else "" for s in spent]
    length_ms = statistics.mean(s.end_ns - s.start_ns for s in snapshots) / 1e6
    figures = [mean_of([getattr(found, name) for found, _ in runs]) for name in ("precision", "recall", "f1")]
    cells = [workload, backend, *figures, moves, *shares, f"{regions:.0f}", f"{length_ms:.0f} ms"]
    return f"| {' | '.join(cells)} |"


def mean_of(figures: Sequence[float]) -> str:
    """Return the mean, and where there are several from where to where they are."""
    mean = f"{statistics.mean(figures):.3f}"
    return mean if len(figures) == 1 else f"{mean} ({min(figures):.3f} to {max(figures):.3f})"


def main() -> None:
    """Print the table, of the backends that VADAMON_BACKENDS names."""
    names = os.environ.get("VADAMON_BACKENDS", "kernel page-table").split()
    print(f"Linux {os.uname().release}, {SECONDS} s, of which {SETTLING_S} do not count; 5 ms/100 ms/1 s.\n")
    head = "workload | backend | precision | recall | F1 | move seen after | kdamond | own process | regions | interval"
    print(f"| {head} |")
    print(f"|{' --- |' * 10}")
    for workload, area in WORKLOADS.items():
        runs: dict[str, list[tuple[Accuracy, Watched]]] = {name: [] for name in names}
        for _ in range(NR_RUNS.get(workload, 1)):
            for name in names:
                runs[name].append(compare(area, name))
        for name in names:
            print(row(workload, name, runs[name]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
