"""The DAMON loop over monitoring operations (``kdamond_fn`` of ``mm/damon/core.c``)."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.base import Schedule, Stage
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.monitors.base import SnapshotIterator
from vadamon.monitors.tuning import IntervalsTuner
from vadamon.operations.base import MonitoringOperations, TakesRounds, Target
from vadamon.regions import Regions, scale_counts
from vadamon.snapshot import SampleHealth, Snapshot

_NEVER_NS = 1 << 63
_LONGEST_ROUNDS_NS = 100_000_000


class SamplingMonitor(SnapshotIterator):
    """Monitors targets by sampling one address a region, and yields their snapshots.

    An iterator of `Snapshot`: one for each live target at the end of each aggregation interval, in the order of the
    targets. It ends when no target is left, or after `stop`; a target that ends, or `stop`, makes a last snapshot of
    the interval under way, if that holds a sample. Use it as a context manager, or call `close`, so that the targets
    are let go of. ``targets`` are those that are still monitored.

    Sample k is due k sample intervals after the start, however late the ones before it were. A sample checked more
    than half an interval late counts as late; one of whose time less than half is left when it could be begun is left
    out, and counts as missed. So each sees at least half of its interval, however long clearing and checking take.
    Aggregation and update intervals are rounded down to whole sample intervals, and end on the same grid; snapshots
    have the times of that grid. An aggregation interval without any sample has no snapshot.

    With an ``intervals_goal`` the sample and the aggregation interval are tuned at the ends of aggregation intervals.
    ``attrs`` are those that hold now; ages stay in aggregation intervals of those to begin with, so that they can be
    compared. ``duration_ns``, which may be set before the first snapshot is taken, is for how long to monitor; the last
    interval may be cut short.

    ``clock`` and ``rng`` are the only sources of time and of randomness.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        attrs: Attrs,
        operations: MonitoringOperations,
        clock: Clock,
        rng: np.random.Generator,
    ) -> None:
        self.targets = list(targets)
        self.attrs = attrs
        self._operations = operations
        self._rounds = operations if isinstance(operations, TakesRounds) and isinstance(clock, MonotonicClock) else None
        self._clock = clock
        self._rng = rng
        self.duration_ns: int | None = None
        self._begun = False
        self._is_prepared = False  # the sample under way, for all targets
        self._nr_checked = 0  # targets of which it has been checked
        self._stopping = False

        # A tick is a time at which a sample is due: tick 0 is the start, tick k is k sample intervals later. (When the
        # sample interval is tuned, tick 0 becomes what the start would have been with the new one.)
        self._start_ns = 0
        self._sample_ns = attrs.sample_us * 1000
        self._aggr_ticks = attrs.max_nr_samples
        self._update_ticks = attrs.update_us // attrs.sample_us
        self._now = 0  # the last tick whose time has come
        self._due = 0  # the tick of the sample under way
        self._checked = 0  # and of the last one
        self._next_update = self._update_ticks
        self._end_ns = _NEVER_NS

        self._first_attrs = attrs
        self._tuner = None if attrs.intervals_goal is None else IntervalsTuner(attrs.intervals_goal)
        self._age_unit_ns = self._aggr_ticks * self._sample_ns
        self._untold_age_ns = 0  # what has passed beyond whole units

        # The aggregation interval under way: its first tick, and its samples so far.
        self._aggr_start = 0
        self._nr_samples = 0
        self._nr_late = 0
        # The one before.
        self._last_nr_samples = 0
        self._last_nr_regions = 0

        self._snapshots = self._run()

    def stop(self) -> None:
        """End after the sample under way, without it where the clock's sleep ends early.

        To be called from anywhere, a signal handler too.
        """
        self._stopping = True

    def add(self, target: Target) -> None:
        """Take in one more target; to be called between two snapshots, or from `look_for_targets`.

        Samples of the interval under way that it has missed count as void.
        """
        if self._begun:
            self._operations.init(target, self.attrs)
        if self._is_prepared:
            self._operations.prepare_access_checks(target, self._rng)
        self.targets.append(target)

    def look_for_targets(self) -> None:
        """Take in further targets, where a subclass knows of any: called at the start, and at each update interval."""

    def close(self) -> None:
        """Let go of all targets; there are no more snapshots."""
        self._snapshots.close()
        self._let_go()  # a generator that was never begun has nothing to end

    def _let_go(self) -> None:
        while self.targets:
            self._operations.cleanup(self.targets.pop())

    def _run(self) -> Generator[Snapshot]:
        try:
            yield from self._monitor()
        finally:
            self._let_go()

    def _monitor(self) -> Iterator[Snapshot]:
        operations, clock, rng = self._operations, self._clock, self._rng
        self.look_for_targets()
        for target in self.targets:
            operations.init(target, self.attrs)
        self._begun = True
        self._start_ns = clock.now_ns()
        if self.duration_ns is not None:
            self._end_ns = self._start_ns + self.duration_ns
        snapshots: list[Snapshot] = []
        while self.targets:
            if not snapshots and self._take_rounds():
                snapshots = self._end_intervals()
                continue
            if not self._is_prepared:
                for target in self.targets:
                    operations.prepare_access_checks(target, rng)
                self._is_prepared = True
                self._due = self._next_tick(self._now)
            tick = self._due
            # Only now, so that the time it takes whoever gets them does not shorten the time that is sampled.
            yield from snapshots

            due_ns = self._start_ns + tick * self._sample_ns
            clock.sleep_until_ns(min(due_ns, self._end_ns))
            woken_ns = clock.now_ns()
            if woken_ns >= self._end_ns:
                self._stopping = True
            is_late = woken_ns - due_ns > self._sample_ns // 2
            unchecked, self._nr_checked = self.targets[self._nr_checked :], 0
            snapshots = self._drop_ended(self._checked)
            if not self.targets:
                break
            if self._stopping and woken_ns < due_ns:
                # The sleep was cut short: this sample has seen less than its time, and is none.
                snapshots += self._aggregate(self.targets, self._checked) if self._nr_samples else []
                break
            for target in unchecked:
                if target in self.targets:
                    operations.check_accesses(target)
            self._is_prepared = False
            self._count_sample(tick, is_late)
            self._checked = tick

            self._now = self._ticks_passed(tick)
            if self._stopping:
                snapshots += self._aggregate(self.targets, tick)
                break
            snapshots += self._end_intervals()
        yield from snapshots

    def _take_rounds(self) -> bool:
        """Take samples in one call of the operations, where they can; tell whether an interval ends now.

        Only within an aggregation interval that has begun. A sample may be left under way, to be gone on with.
        """
        if self._rounds is None or not self._nr_samples or self._stopping:
            return False
        end = min(self._aggr_start + self._aggr_ticks, self._next_update)
        # As long as it does not come back nobody can be heard who calls `stop`.
        until_ns = min(self._clock.now_ns() + _LONGEST_ROUNDS_NS, self._end_ns - 1)
        schedule = Schedule(self._start_ns, self._sample_ns, self._now, end, until_ns)
        done = self._rounds.rounds(self.targets, self._rng, schedule)
        self._nr_samples += done.nr_samples
        self._nr_late += done.nr_late
        if done.nr_samples:
            self._checked = done.last
        self._now = done.now
        self._is_prepared = done.stage != Stage.BETWEEN
        self._nr_checked = done.nr_done if done.stage == Stage.PREPARED else 0
        self._due = done.due if done.stage == Stage.PREPARED else self._next_tick(self._now)
        return self._now >= end

    def _end_intervals(self) -> list[Snapshot]:
        """End the aggregation and the update interval, where their ends have come; return the snapshots."""
        snapshots = self._end_aggregation()
        if self._now >= self._next_update:
            for target in self.targets:
                self._operations.update(target)
            self.look_for_targets()
            self._now = self._ticks_passed(self._now)
            self._next_update = self._now - self._now % self._update_ticks + self._update_ticks
            snapshots += self._end_aggregation()  # the update may have taken its time
        return snapshots

    def _next_tick(self, now: int) -> int:
        """Return the tick of the next sample, when tick ``now`` has passed: one of which half at least is left."""
        return self._ticks_passed(now, in_ns=(self._sample_ns - 1) // 2) + 1

    def _ticks_passed(self, at_least: int, in_ns: int = 0) -> int:
        """Return the last tick whose time has come, or will have come by then."""
        return max(at_least, (self._clock.now_ns() + in_ns - self._start_ns) // self._sample_ns)

    def _count_sample(self, tick: int, is_late: bool) -> None:
        if not self._nr_samples:
            self._aggr_start = (tick - 1) // self._aggr_ticks * self._aggr_ticks
        self._nr_samples += 1
        self._nr_late += is_late

    def _drop_ended(self, tick: int) -> list[Snapshot]:
        """Let go of targets that are no longer valid; return their last snapshots, up to ``tick``."""
        ended = [target for target in self.targets if not self._operations.target_valid(target)]
        snapshots = self._aggregate(ended, tick) if ended and self._nr_samples else []
        for target in ended:
            self.targets.remove(target)
            self._operations.cleanup(target)
        return snapshots

    def _end_aggregation(self) -> list[Snapshot]:
        """End the aggregation interval, if its end has come: return its snapshots, and begin the next."""
        end = self._aggr_start + self._aggr_ticks
        if self._now < end or not self._nr_samples:
            return []
        snapshots = self._aggregate(self.targets, self._now)
        self._untold_age_ns = self._passed_age_ns() % self._age_unit_ns
        if self._tuner is not None:
            sample_us = self._tuner.next_sample_us(self.attrs.sample_us, snapshots)
            if sample_us != self.attrs.sample_us:
                self._tune(sample_us, end)
        for target in self.targets:
            target.regions.reset_aggregated()
            self._operations.reset_aggregated(target)
        self._split()
        self._last_nr_samples = self._nr_samples
        self._nr_samples = 0
        self._nr_late = 0
        return snapshots

    def _tune(self, sample_us: int, tick: int) -> None:
        """Go on from ``tick`` with a new sample interval; the next update stays when it was to be."""
        until_update_ns = (self._next_update - tick) * self._sample_ns
        self.attrs = self._first_attrs.with_sample_us(sample_us)
        self._start_ns += tick * (self._sample_ns - sample_us * 1000)
        self._sample_ns = sample_us * 1000
        self._update_ticks = self.attrs.update_us // sample_us
        self._next_update = tick + max(1, until_update_ns // self._sample_ns)
        self._now = self._ticks_passed(tick)

    def _aggregate(self, targets: Sequence[Target], now: int) -> list[Snapshot]:
        """Sum up the samples of the aggregation interval, up to tick ``now``, and merge; return the snapshots."""
        nr_samples = self._nr_samples
        for target in targets:
            regions = target.regions
            if self._last_nr_samples not in (0, nr_samples):
                regions.last_nr_accesses = scale_counts(regions.last_nr_accesses, self._last_nr_samples, nr_samples)
            regions.fill_voids(nr_samples)
        threshold = max(int(target.regions.nr_accesses.max(initial=0)) for target in targets) // 10
        nr_intervals = self._passed_age_ns() // self._age_unit_ns
        for target in targets:
            target.regions.update_ages(threshold, nr_intervals)
        unmerged = [(target.regions.start, target.regions.end, target.regions.nr_accesses) for target in targets]
        self._merge(targets, threshold)
        for target, before in zip(targets, unmerged, strict=True):
            target.regions.nr_accesses = _mean_nr_accesses(target.regions, *before)
        end = min(now, self._aggr_start + self._aggr_ticks)
        return [self._snapshot(target, end) for target in targets]

    def _passed_age_ns(self) -> int:
        """Return by how much memory has become older in this aggregation interval."""
        return self._untold_age_ns + self._aggr_ticks * self._sample_ns

    def _merge(self, targets: Sequence[Target], threshold: int) -> None:
        """Merge, ever more boldly while there are too many regions (``kdamond_merge_regions``)."""
        attrs = self.attrs
        size_limit = max(attrs.min_region_size, sum(t.regions.size() for t in targets) // attrs.min_nr_regions)
        while True:
            for target in targets:
                target.regions.merge(threshold, size_limit)
            nr_regions = sum(len(target.regions) for target in targets)
            if nr_regions <= attrs.max_nr_regions or threshold >= self._aggr_ticks:
                return
            threshold = max(1, 2 * threshold)

    def _split(self) -> None:
        """Split, unless there are many regions already; in three where the last round was in vain.

        ``kdamond_split_regions``, which keeps the last number of regions of all monitors in one place, and forgets it
        where it does not split.
        """
        attrs = self.attrs
        nr_regions = sum(len(target.regions) for target in self.targets)
        if nr_regions <= attrs.max_nr_regions // 2:
            in_vain = nr_regions == self._last_nr_regions and nr_regions < attrs.max_nr_regions // 3
            for target in self.targets:
                target.regions.split(3 if in_vain else 2, self._rng, attrs.min_region_size)
        self._last_nr_regions = nr_regions

    def _snapshot(self, target: Target, end: int) -> Snapshot:
        regions = target.regions
        health = SampleHealth() if target.voids is None else target.voids.take_health()
        return Snapshot(
            target_id=target.target_id,
            start_ns=self._start_ns + self._aggr_start * self._sample_ns,
            end_ns=self._start_ns + end * self._sample_ns,
            start=regions.start.copy(),
            end=regions.end.copy(),
            nr_accesses=regions.nr_accesses.copy(),
            age=regions.age.copy(),
            nr_samples=self._nr_samples,
            unknown=regions.unknown.copy(),
            health=replace(
                health,
                late_samples=self._nr_late,
                missed_samples=end - self._aggr_start - self._nr_samples,
            ),
            resident=target.resident(),
        )


def _mean_nr_accesses(
    merged: Regions, start: NDArray[np.uint64], end: NDArray[np.uint64], nr_accesses: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Return ``nr_accesses`` of merged regions, from those of the regions (uint64[n], uint64[n], uint32[n]) before.

    Which regions merge is for the kernel's fold to say. But it rounds its means down at each step: of memory that is
    accessed in 2 of 20 samples, and so in none to five of a region's, it leaves nothing. Here each mean is rounded
    once, to the nearest.
    """
    if not len(merged):
        return merged.nr_accesses
    size = (end - start).astype(np.float64)
    first = np.searchsorted(start, merged.start)
    mean = np.add.reduceat(size * nr_accesses, first) / np.add.reduceat(size, first)
    return np.rint(mean).astype(np.uint32)
