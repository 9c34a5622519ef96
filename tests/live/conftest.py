"""What live tests share: a process of known heat, and how well a run has found it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import vadamon
from vadamon import Attrs, Snapshot
from vadamon.workload import Area, Workload

MIB = 1 << 20


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/live/" in str(item.path):
            item.add_marker(pytest.mark.live)


def overlap(snapshot: Snapshot, start: int, end: int) -> np.ndarray:
    """Return for each region how many bytes of ``[start, end)`` lie in it."""
    low = np.maximum(snapshot.start, np.uint64(start)).astype(np.float64)
    high = np.minimum(snapshot.end, np.uint64(end)).astype(np.float64)
    return np.clip(high - low, 0, None)


@dataclass
class Score:
    """How the bytes of one area were seen, weighted by size and time."""

    hot_mean: float
    """Mean nr_accesses out of 20 of the bytes that are hot."""
    cold_mean: float
    precision: float
    """Of the bytes found hot (nr_accesses >= 10 of 20), the share that is."""
    recall: float


def score(
    snapshots: list[Snapshot], area: tuple[int, int], hot_at: Callable[[Snapshot], tuple[int, int] | None]
) -> Score:
    hot_sum = hot_size = cold_sum = cold_size = hits = found = 0.0
    for snapshot in snapshots:
        hot = hot_at(snapshot)
        if hot is None:
            continue
        in_hot = overlap(snapshot, *hot)
        in_cold = overlap(snapshot, *area) - in_hot
        nr_accesses = 20 * snapshot.nr_accesses / snapshot.nr_samples
        hot_sum += (in_hot * nr_accesses).sum()
        cold_sum += (in_cold * nr_accesses).sum()
        hot_size += in_hot.sum()
        cold_size += in_cold.sum()
        hits += in_hot[nr_accesses >= 10].sum()
        found += (in_hot + in_cold)[nr_accesses >= 10].sum()
    return Score(hot_sum / hot_size, cold_sum / cold_size, hits / found, hits / hot_size)


def watch(pid: int, seconds: float, attrs: Attrs | None = None) -> list[Snapshot]:
    snapshots = []
    with vadamon.monitor(pid, attrs) as monitor:
        for snapshot in monitor:
            snapshots.append(snapshot)
            if snapshot.end_ns - snapshots[0].start_ns >= seconds * 1e9:
                break
    return snapshots


@pytest.fixture
def run():
    """Run a workload of one area and watch it: ``run(area, seconds)`` gives the snapshots, and the ended workload."""

    def run(area: Area, seconds: float) -> tuple[list[Snapshot], Workload]:
        with Workload([area]) as workload:
            return watch(workload.pid, seconds), workload

    return run
