import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon import Attrs, Snapshot, VadamonError
from vadamon.accuracy.measure import accuracy
from vadamon.accuracy.truth import TrueAccesses

Runs = list[tuple[int, int, int]]


def arrays(runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start, end, counts = (np.array([run[i] for run in runs], np.uint64) for i in range(3))
    return start, end, counts.astype(np.uint32)


def true(runs: Runs, k: int = 0, target_id: int = 1, nr_samples: int = 20) -> TrueAccesses:
    return TrueAccesses(target_id, k * 100, (k + 1) * 100, nr_samples, *arrays(runs))


def found(
    runs: Runs, k: int = 0, target_id: int = 1, nr_samples: int = 20, unknown: tuple[int, ...] = (), shift: int = 0
) -> Snapshot:
    start, end, nr_accesses = arrays(runs)
    is_unknown = np.isin(np.arange(len(start)), unknown)
    times = (k * 100 + shift, (k + 1) * 100 + shift)
    return Snapshot(target_id, *times, start, end, nr_accesses, np.zeros(len(start), np.uint32), nr_samples, is_unknown)


def test_literal() -> None:
    result = accuracy([found([(0, 100, 0), (100, 200, 20), (200, 300, 4)])], [true([(120, 220, 20)])], Attrs())
    assert (result.hot_bytes, result.found_hot_bytes, result.threshold, result.nr_samples) == (100, 100, 10, 20)
    assert (result.precision, result.recall, result.f1) == (0.8, 0.8, 0.8)
    assert (result.wss_bytes, result.found_wss_bytes, result.wss_error) == (100, 200, 1.0)
    # 20 and 80 bytes of which all are found, 20 with 4 instead of 20, and 80 with 4 instead of 0: of 200
    assert result.frequency_error == pytest.approx((20 * 1.0 + 80 * 0 + 20 * 0.8 + 80 * 0.2) / 200)


def test_perfect_monitoring_is_perfect() -> None:
    runs = [(0, 10, 20), (10, 20, 3), (40, 50, 11)]
    result = accuracy([found(runs, k) for k in range(5)], [true(runs, k) for k in range(5)], Attrs())
    assert (result.precision, result.recall, result.f1) == (1, 1, 1)
    assert (result.wss_error, result.frequency_error, result.nr_intervals) == (0, 0, 5)
    assert result.delays_ns == (100,)


def test_what_cannot_be_told_is_nan() -> None:
    nothing_found = accuracy([found([(0, 9, 0)])], [true([(0, 9, 20)])], Attrs())
    assert math.isnan(nothing_found.precision)
    assert (nothing_found.recall, nothing_found.f1) == (0, 0)
    idle = accuracy([found([(0, 9, 0)])], [true([])], Attrs())
    assert math.isnan(idle.f1)
    assert math.isnan(idle.wss_error)


def test_unknown_memory_counts_as_not_found() -> None:
    result = accuracy([found([(0, 50, 20), (50, 100, 20)], unknown=(1,))], [true([(0, 100, 20)])], Attrs())
    assert (result.precision, result.recall, result.unknown_bytes, result.frequency_error) == (1, 0.5, 50, 0)


def test_threshold_is_a_share_of_the_samples_there_were() -> None:
    half = accuracy([found([(0, 10, 5)], nr_samples=10)], [true([(0, 10, 10)])], Attrs())
    assert (half.precision, half.recall) == (1, 1)
    more = accuracy([found([(0, 10, 5)], nr_samples=10)], [true([(0, 10, 10)])], Attrs(), threshold=11)
    assert (more.hot_bytes, more.found_hot_bytes) == (0, 0)
    for threshold in (0, 21):
        with pytest.raises(ValueError, match="1 to 20 samples"):
            accuracy([], [], Attrs(), threshold=threshold)


def test_snapshots_are_compared_with_the_interval_of_their_middle() -> None:
    truth = [true([(0, 10 * (k + 1), 20)], k) for k in range(4)]
    snapshots = [found([(0, 10 * (k + 1), 20)], k, shift=30) for k in range(5)]
    result = accuracy(snapshots, truth, Attrs())
    assert (result.nr_intervals, result.f1) == (4, 1)
    with pytest.raises(VadamonError, match="no snapshot lies in the time of the truth"):
        accuracy([found([(0, 10, 20)], 9)], truth, Attrs())


def test_memory_whose_truth_is_unknown_is_left_out() -> None:
    partly = replace(true([(0, 50, 20)]), unknown=arrays([(50, 80, 0), (90, 100, 0)])[:2])
    result = accuracy([found([(0, 70, 20), (70, 200, 0)])], [partly], Attrs())
    assert (result.hot_bytes, result.found_hot_bytes, result.untold_bytes) == (50, 50, 40)
    assert (result.f1, result.wss_error, result.frequency_error) == (1, 0, 0)


def test_targets_are_kept_apart() -> None:
    truth = [true([(0, 10, 20)], k, target) for k in range(3) for target in (1, 2)]
    snapshots = [found([(0, 10, 20 if target == 2 else 0)], k, target) for k in range(3) for target in (2, 1)]
    result = accuracy(snapshots, truth, Attrs())
    assert (result.nr_intervals, result.recall, result.precision) == (6, 0.5, 1)
    assert sorted(result.delays_ns, key=str) == [100, None]


def test_beginning_can_be_left_out() -> None:
    truth = [true([(0, 10, 20)], k) for k in range(4)]
    snapshots = [found([(0, 10, 20 if k else 0)], k) for k in range(4)]
    assert accuracy(snapshots, truth, Attrs()).recall == 0.75
    result = accuracy(snapshots, truth, Attrs(), from_ns=100)
    assert (result.recall, result.nr_intervals, result.delays_ns) == (1, 3, ())


BYTES = st.lists(st.integers(0, 20), min_size=12, max_size=12)


@given(BYTES, BYTES)
def test_by_bytes(accesses: list[int], found_accesses: list[int]) -> None:
    truth = true([(i, i + 1, n) for i, n in enumerate(accesses) if n])
    result = accuracy([found([(i, i + 1, n) for i, n in enumerate(found_accesses)])], [truth], Attrs())
    both = sum(a >= 10 and f >= 10 for a, f in zip(accesses, found_accesses, strict=True))
    hot, found_hot = sum(a >= 10 for a in accesses), sum(f >= 10 for f in found_accesses)
    assert result.recall == pytest.approx(both / hot if hot else math.nan, nan_ok=True)
    assert result.precision == pytest.approx(both / found_hot if found_hot else math.nan, nan_ok=True)
    compared = [abs(a - f) / 20 for a, f in zip(accesses, found_accesses, strict=True) if a or f]
    expected = sum(compared) / len(compared) if compared else math.nan
    assert result.frequency_error == pytest.approx(expected, nan_ok=True)
