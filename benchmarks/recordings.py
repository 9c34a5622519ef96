"""Recordings: their size, and reports of them as whole processes, beside damo's."""

import os
import subprocess
import sys
import tempfile
import time
from operator import itemgetter
from pathlib import Path

import numpy as np

import vadamon
from benchmarks.monitor import record
from vadamon import Attrs, Header, Mapping, Mappings, RecordingWriter, Target
from vadamon.demo import areas
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.formats import damo
from vadamon.workload import Workload

MIB = 1 << 20
BIN = Path(sys.executable).parent
AREAS = ((0x55D0_C000_0000, 64 * MIB), (0x7F10_0000_0000, 4096 * MIB), (0x7FFD_3F00_0000, 2 * MIB))
SECONDS = 30
NR_REGIONS = (15, 50, 300, 1000)
MADE = "made.vadamon"
SECOND_NS = 1_000_000_000
AGGR_NS = 100_000_000
AT_ONCE = 1 << 16  # regions
WEEK = 6_000_000  # snapshots of 100 ms


def regions(rng: np.random.Generator, nr_snapshots: int, nr_regions: int) -> tuple[np.ndarray, ...]:
    """Return start, end, accesses and age of what DAMON might see: [snapshots, regions].

    Borders lie in slots; a third of them is drawn anew in each snapshot, and stays till the next time. A tenth of the
    slots is hot, a tenth warm, with accesses that change now and then; the ages count since they did.
    """
    shares = [nr_regions // 5, nr_regions - nr_regions // 5 - nr_regions // 10, nr_regions // 10]
    low = np.concatenate([start + np.arange(n) * (size // n) for (start, size), n in zip(AREAS, shares, strict=True)])
    slot = np.repeat([size // n for (_, size), n in zip(AREAS, shares, strict=True)], shares)
    is_first = np.isin(low, [start for start, _ in AREAS])
    shape = (nr_snapshots, nr_regions)

    def since(changed: np.ndarray) -> np.ndarray:
        """Return the row of the last change, for each cell."""
        changed[0] = True
        return np.maximum.accumulate(np.where(changed, np.arange(nr_snapshots)[:, None], 0), axis=0)

    column = np.arange(nr_regions)
    shift = rng.integers(0, slot // 4096, shape) * 4096
    start = low + np.where(is_first, 0, shift[since(rng.random(shape, np.float32) < 0.33), column])
    end = np.concatenate([start[:, 1:], np.zeros((nr_snapshots, 1), np.int64)], axis=1)
    last = np.append(is_first[1:], True)
    end[:, last] = [begin + size for begin, size in AREAS]
    kind = np.random.default_rng(1).choice(3, nr_regions, p=[0.8, 0.1, 0.1])
    drawn = np.choose(kind, [np.zeros(shape, np.uint32), rng.integers(1, 6, shape), rng.integers(17, 21, shape)])
    row = since(rng.random(shape, np.float32) < np.array([0.002, 0.3, 0.3])[kind])
    return start, end, drawn[row, column], np.arange(nr_snapshots)[:, None] - row


def make(path: Path, nr_snapshots: int, nr_regions: int) -> None:
    """Make a recording of one target."""
    rng = np.random.default_rng(2)
    header = Header(Attrs(), (Target(1, 4242, "made"),), "made", start_wall_ns=10**18)
    at_once = AT_ONCE // nr_regions
    with RecordingWriter(path, header, live=False) as writer:
        writer.write_mappings(1, 0, Mappings(Mapping(start, start + size) for start, size in AREAS))
        for first in range(0, nr_snapshots, at_once):
            n = min(at_once, nr_snapshots - first)
            start, end, nr_accesses, age = regions(rng, n, nr_regions)
            end_ns = (first + 1 + np.arange(n)) * AGGR_NS
            writer.write_batch(
                SnapshotBatch(
                    target_id=np.ones(n, np.uint64),
                    start_ns=end_ns - AGGR_NS,
                    end_ns=end_ns,
                    nr_samples=np.full(n, 20, np.uint32),
                    health=np.zeros((n, 6), np.uint64),
                    resident=np.full(n, 1 << 30, np.uint64),
                    offsets=np.arange(n + 1) * nr_regions,
                    start=start.ravel().astype(np.uint64),
                    end=end.ravel().astype(np.uint64),
                    nr_accesses=nr_accesses.ravel().astype(np.uint32),
                    age=age.ravel().astype(np.uint32),
                    unknown=np.zeros(n * nr_regions, np.bool_),
                )
            )


def print_sizes(folder: Path) -> None:
    print(f"The same snapshots in bytes: the demo's workload for {SECONDS} s, and one that was made.\n")
    print("| recording | regions | snapshots | damo's json_compressed | vadamon | share |")
    print("| --- | --- | --- | --- | --- | --- |")
    for nr_regions in NR_REGIONS:
        path = folder / f"{nr_regions}.vadamon"
        with Workload(areas(move_every_s=4)) as workload:
            recorder = record(workload.pid, path, nr_regions, SECONDS)
            assert recorder.wait() == 0, recorder.stderr.read()
        print_size("recorded", path)
    print_size("made", folder / MADE)
    print()


def print_size(name: str, path: Path) -> None:
    recording = vadamon.open(path)
    nr_snapshots = sum(entry.nr_snapshots for entry in recording.summaries())
    mean = sum(len(batch.start) for batch in recording.batches()) / nr_snapshots
    damos = path.with_suffix(".damo")
    damo.export(recording, damos)
    ours, theirs = path.stat().st_size, damos.stat().st_size
    print(f"| {name} | {mean:.0f} | {nr_snapshots} | {theirs:,} | {ours:,} | {ours / theirs:.1%} |", flush=True)


def print_reports(path: Path) -> None:
    print("Reports on the one that was made: processor time of the whole process.\n")
    print("| report | damo | vadamon (best of 3) | ratio | resident |")
    print("| --- | --- | --- | --- | --- |")
    for report in ("heatmap", "wss"):
        _, theirs, _ = run(BIN / "damo", "report", report, "--input", path.with_suffix(".damo"))
        _, ours, resident = min((run(BIN / "vadamon", "report", report, path) for _ in range(3)), key=itemgetter(1))
        print(f"| {report} | {theirs:.1f} s | {ours:.2f} s | 1/{theirs / ours:.0f} | {resident:.0f} MiB |", flush=True)
    print()


def print_lazy(path: Path) -> None:
    """Print what it takes to open a recording, and to take a minute of it."""
    begin = time.perf_counter()
    recording = vadamon.open(path)
    opened = time.perf_counter()
    nr_snapshots = len(list(recording.between(100 * SECOND_NS, 160 * SECOND_NS)))
    taken = time.perf_counter()
    print(
        f"To open it takes {1e3 * (opened - begin):.1f} ms, and a minute out of its middle ({nr_snapshots} snapshots) "
        f"{1e3 * (taken - opened):.0f} ms.\n"
    )


def print_week(path: Path) -> None:
    make(path, WEEK, 50)
    print(f"A week: {WEEK:,} snapshots of 50 regions, {path.stat().st_size >> 20} MiB.\n")
    print("| report | time | processor | resident |")
    print("| --- | --- | --- | --- |")
    for report in ("heatmap", "wss", "summary"):
        seconds, processor, resident = run(BIN / "vadamon", "report", report, path)
        print(f"| {report} | {seconds:.1f} s | {processor:.1f} s | {resident:.0f} MiB |", flush=True)


def run(*command: str | Path) -> tuple[float, float, float]:
    """Return how many seconds a command takes, by the clock and of processor time, and the most MiB resident."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / MADE, 3600, 1000)
        print_sizes(folder)
        print_reports(folder / MADE)
        print_lazy(folder / MADE)
        print_week(folder / "week.vadamon")
