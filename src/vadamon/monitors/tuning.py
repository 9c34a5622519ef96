"""Sample and aggregation interval, tuned towards a share of the accesses that could be observed."""

from collections.abc import Iterable

import numpy as np

from vadamon.attrs import IntervalsGoal
from vadamon.snapshot import Snapshot

_MOST_DOWN = 0.5


def next_sample_us(sample_us: int, share: float, goal: IntervalsGoal) -> int:
    """Return the sample interval to go on with, where ``share`` of the observable accesses were observed.

    An access is a byte found accessed in a sample, and observable is every byte of a region in every sample. Longer
    intervals see more. They grow by as much as the goal was missed by, to twice their length at most, and shrink by
    half of what it was exceeded by, to half of it at most: short ones are dear
    (``damon_get_intervals_adaptation_bp`` and ``kdamond_tune_intervals`` of ``mm/damon/core.c``).
    """
    step = 1 - share / goal.access_share
    factor = 1 + step if step >= 0 else max(1 + step / 2, _MOST_DOWN)
    return int(np.clip(int(sample_us * factor), goal.min_sample_us, goal.max_sample_us))


class IntervalsTuner:
    """Sums up the accesses of as many aggregation intervals as the goal looks at.

    (The kernel looks at the last of them only. Regions of which nothing is known are left out.)
    """

    def __init__(self, goal: IntervalsGoal) -> None:
        self._goal = goal
        self._begin()

    def _begin(self) -> None:
        self._nr_aggrs = 0
        self._accesses = self._observable = 0.0

    def next_sample_us(self, sample_us: int, snapshots: Iterable[Snapshot]) -> int:
        """Take in the snapshots of one aggregation interval; return the sample interval to go on with."""
        for snapshot in snapshots:
            size = np.where(snapshot.unknown, 0, snapshot.end - snapshot.start).astype(np.float64)
            self._accesses += float(size @ snapshot.nr_accesses)
            self._observable += float(size.sum()) * snapshot.nr_samples
        self._nr_aggrs += 1
        if self._nr_aggrs < self._goal.nr_aggrs:
            return sample_us
        # Of what could not be observed at all nothing follows.
        share = self._accesses / self._observable if self._observable else self._goal.access_share
        self._begin()
        return next_sample_us(sample_us, share, self._goal)
