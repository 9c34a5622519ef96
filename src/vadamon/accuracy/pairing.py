"""Which interval of the truth each snapshot is compared with."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vadamon.accuracy.runs import values_at
from vadamon.accuracy.truth import TrueAccesses
from vadamon.ranges import union
from vadamon.snapshot import Snapshot


def pairs(snapshots: Iterable[Snapshot], truth: Iterable[TrueAccesses]) -> Iterator[tuple[Snapshot, TrueAccesses]]:
    """Match snapshots with the truth of the same target and time; both in the order of their times.

    Their intervals need be neither equally long nor cut at the same times. A snapshot gets the sum of all intervals of
    the truth whose middle lies in its time; where there is none, the one that holds its own middle. Snapshots whose
    middle no interval holds are left out.
    """
    truth = iter(truth)
    waiting: dict[int, deque[TrueAccesses]] = defaultdict(deque)
    read_to_ns = -1
    for snapshot in snapshots:
        while read_to_ns < snapshot.end_ns and (interval := next(truth, None)) is not None:
            waiting[interval.target_id].append(interval)
            read_to_ns = interval.start_ns
        mine = waiting[snapshot.target_id]
        while mine and mine[0].end_ns <= snapshot.start_ns:
            mine.popleft()
        middle_ns = _middle_ns(snapshot)
        holding = [interval for interval in mine if interval.start_ns <= middle_ns < interval.end_ns]
        inside = [interval for interval in mine if snapshot.start_ns <= _middle_ns(interval) < snapshot.end_ns]
        if holding:
            yield snapshot, _sum(inside or holding[:1])


def _middle_ns(interval: Snapshot | TrueAccesses) -> int:
    return (interval.start_ns + interval.end_ns) // 2


def _sum(intervals: Sequence[TrueAccesses]) -> TrueAccesses:
    """Return what was accessed in all of the intervals; what is unknown in one of them is unknown."""
    first, last = intervals[0], intervals[-1]
    if first is last:
        return first
    cuts = np.unique(np.concatenate([edges for part in intervals for edges in (part.start, part.end)]))
    start, end = cuts[:-1], cuts[1:]
    nr_accesses = np.zeros(len(start), np.uint32)
    for part in intervals:
        nr_accesses += values_at(start, (part.start, part.end), part.nr_accesses)
    accessed = nr_accesses > 0
    unknown = union(*(np.concatenate([part.unknown[side] for part in intervals]) for side in (0, 1)))
    return TrueAccesses(
        first.target_id,
        first.start_ns,
        last.end_ns,
        sum(part.nr_samples for part in intervals),
        start[accessed],
        end[accessed],
        nr_accesses[accessed],
        unknown,
    )
