"""Recordings: their size, and reports of them as whole processes, beside damo's."""

import sys
from pathlib import Path

import numpy as np

from vadamon import Attrs, Header, Mapping, Mappings, RecordingWriter, Target
from vadamon.recording.batch import SnapshotBatch

MIB = 1 << 20
BIN = Path(sys.executable).parent
AREAS = ((0x55D0_C000_0000, 64 * MIB), (0x7F10_0000_0000, 4096 * MIB), (0x7FFD_3F00_0000, 2 * MIB))
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
                    offsets=np.arange(n + 1) * nr_regions,
                    start=start.ravel().astype(np.uint64),
                    end=end.ravel().astype(np.uint64),
                    nr_accesses=nr_accesses.ravel().astype(np.uint32),
                    age=age.ravel().astype(np.uint32),
                    unknown=np.zeros(n * nr_regions, np.bool_),
                )
            )
