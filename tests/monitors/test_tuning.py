import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon.attrs import IntervalsGoal
from vadamon.monitors.tuning import IntervalsTuner, next_sample_us
from vadamon.snapshot import Snapshot

GOAL = IntervalsGoal()
goals = st.builds(
    lambda share, low, factor: IntervalsGoal(share, 3, low, low * factor),
    st.floats(0.001, 1),
    st.integers(1, 1_000_000),
    st.integers(1, 10_000),
)
shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("share", "then"),
    # As the kernel's arithmetic has it, for 4 % and 100 ms.
    [(0.0, 200_000), (0.01, 175_000), (0.02, 150_000), (0.04, 100_000), (0.06, 75_000), (0.08, 50_000), (1.0, 50_000)],
)
def test_what_the_kernel_would_do(share, then):
    assert next_sample_us(100_000, share, GOAL) == pytest.approx(then, abs=1)


@given(st.integers(1, 100_000_000), shares, goals)
def test_a_step_stays_within_its_bounds(sample_us, share, goal):
    sample_us = min(max(sample_us, goal.min_sample_us), goal.max_sample_us)
    then = next_sample_us(sample_us, share, goal)
    assert goal.min_sample_us <= then <= goal.max_sample_us
    assert sample_us // 2 <= then <= sample_us * 2
    if share < goal.access_share:
        assert then >= sample_us
    if share > goal.access_share:
        assert then <= sample_us


@given(st.integers(5_000, 10_000_000), shares, shares)
def test_less_to_see_never_means_shorter_intervals(sample_us, share, other):
    less, more = sorted((share, other))
    assert next_sample_us(sample_us, less, GOAL) >= next_sample_us(sample_us, more, GOAL)


@given(st.floats(0.002, 0.5), st.integers(5_000, 10_000_000))
def test_it_settles_at_the_goal_where_what_is_seen_grows_with_the_interval(share_at_100_ms, sample_us):
    for _ in range(200):
        sample_us = next_sample_us(sample_us, min(1.0, share_at_100_ms * sample_us / 100_000), GOAL)
    assert share_at_100_ms * sample_us / 100_000 == pytest.approx(GOAL.access_share, rel=0.05)


def snapshot(*regions, nr_samples=20):
    """Make a snapshot of regions of ``(size, nr_accesses, unknown)``."""
    size, nr_accesses, unknown = np.array(regions, dtype=np.uint64).reshape(-1, 3).T
    end = np.cumsum(size)
    counts = nr_accesses.astype(np.uint32)
    return Snapshot(1, 0, 1, end - size, end, counts, counts, nr_samples, unknown.astype(np.bool_))


def test_every_byte_of_all_the_intervals_counts():
    tuner = IntervalsTuner(IntervalsGoal(access_share=0.5))
    assert tuner.next_sample_us(100_000, [snapshot((1000, 0, 0))]) == 100_000
    assert tuner.next_sample_us(100_000, [snapshot((1000, 0, 0))]) == 100_000
    # 20,000 + 10,000 accesses of 20,000 + 20,000 + 20,000 observable ones
    last = [snapshot((500, 20, 0)), snapshot((250, 20, 0), (250, 20, 0))]
    assert tuner.next_sample_us(100_000, last) == 133_333
    # and what has been counted is not counted again
    for _ in range(2):
        tuner.next_sample_us(100_000, [snapshot((1000, 10, 0))])
    assert tuner.next_sample_us(100_000, [snapshot((1000, 10, 0))]) == 100_000


def test_of_unknown_memory_nothing_follows():
    tuner = IntervalsTuner(IntervalsGoal(access_share=0.5, nr_aggrs=1))
    assert tuner.next_sample_us(100_000, [snapshot((1000, 10, 0), (5000, 0, 1))]) == 100_000
    assert tuner.next_sample_us(100_000, [snapshot((1000, 0, 1))]) == 100_000
    assert tuner.next_sample_us(100_000, []) == 100_000
