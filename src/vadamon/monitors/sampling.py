"""The DAMON loop over monitoring operations (``kdamond_fn`` of ``mm/damon/core.c``)."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.clock import Clock
from vadamon.operations.base import MonitoringOperations, Target
from vadamon.regions import Regions, scale_counts
from vadamon.snapshot import SampleHealth, Snapshot


class SamplingMonitor:
    """Monitors targets by sampling one address a region, and yields their snapshots.

    An iterator of `Snapshot`: one for each live target at the end of each aggregation interval, in the order of the
    targets. It ends when no target is left, or after `stop`; a target that ends, or `stop`, makes a last snapshot of
    the interval under way, if that holds a sample. Use it as a context manager, or call `close`, so that the targets
    are let go of. ``targets`` are those that are still monitored.

    Sample k is due k sample intervals after the start, however late the ones before it were. A sample checked more
    than half an interval late counts as late; a sample whose time has passed when it could be begun is left out, and
    counts as missed. Aggregation and update intervals are rounded down to whole sample intervals, and end on the same
    grid; snapshots have the times of that grid. An aggregation interval without any sample has no snapshot.

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
        self._clock = clock
        self._rng = rng
        self._begun = False
        self._stopping = False

        # A tick is a time at which a sample is due: tick 0 is the start, tick k is k sample intervals later.
        self._start_ns = 0
        self._sample_ns = attrs.sample_us * 1000
        self._aggr_ticks = attrs.max_nr_samples
        self._update_ticks = attrs.update_us // attrs.sample_us

        # The aggregation interval under way: its first tick, and its samples so far.
        self._aggr_start = 0
        self._nr_samples = 0
        self._nr_late = 0
        # The one before.
        self._last_nr_samples = 0
        self._last_nr_regions = 0

        self._snapshots = self._run()

    def __iter__(self) -> Iterator[Snapshot]:
        return self

    def __next__(self) -> Snapshot:
        return next(self._snapshots)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """End after the sample under way, without it where the clock's sleep ends early.

        To be called from anywhere, a signal handler too.
        """
        self._stopping = True

    def add(self, target: Target) -> None:
        """Take in one more target; to be called between two snapshots.

        Samples of the interval under way that it has missed count as void.
        """
        if self._begun:
            # The sample under way has been prepared for the others already.
            self._operations.init(target, self.attrs)
            self._operations.prepare_access_checks(target, self._rng)
        self.targets.append(target)

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
        for target in self.targets:
            operations.init(target, self.attrs)
        self._begun = True
        self._start_ns = clock.now_ns()
        now = checked = 0
        next_update = self._update_ticks
        snapshots: list[Snapshot] = []
        while self.targets:
            for target in self.targets:
                operations.prepare_access_checks(target, rng)
            tick = self._next_tick(now)
            # Only now, so that the time it takes whoever gets them does not shorten the time that is sampled.
            yield from snapshots

            due_ns = self._start_ns + tick * self._sample_ns
            clock.sleep_until_ns(due_ns)
            woken_ns = clock.now_ns()
            is_late = woken_ns - due_ns > self._sample_ns // 2
            snapshots = self._drop_ended(checked)
            if not self.targets:
                break
            if self._stopping and woken_ns < due_ns:
                # The sleep was interrupted: this sample has seen less than its time, and is none.
                snapshots += self._aggregate(self.targets, checked) if self._nr_samples else []
                break
            for target in self.targets:
                operations.check_accesses(target)
            self._count_sample(tick, is_late)
            checked = tick

            now = self._ticks_passed(tick)
            if self._stopping:
                snapshots += self._aggregate(self.targets, tick)
                break
            snapshots += self._end_aggregation(now)
            if now >= next_update:
                for target in self.targets:
                    operations.update(target)
                now = self._ticks_passed(now)
                next_update = now - now % self._update_ticks + self._update_ticks
                snapshots += self._end_aggregation(now)  # the update may have taken its time
        yield from snapshots

    def _next_tick(self, now: int) -> int:
        """Return the tick of the next sample, when tick ``now`` has passed."""
        return self._ticks_passed(now) + 1

    def _ticks_passed(self, at_least: int) -> int:
        """Return the last tick whose time has come."""
        return max(at_least, (self._clock.now_ns() - self._start_ns) // self._sample_ns)

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

    def _end_aggregation(self, now: int) -> list[Snapshot]:
        """End the aggregation interval, if its end has come: return its snapshots, and begin the next."""
        if now < self._aggr_start + self._aggr_ticks or not self._nr_samples:
            return []
        snapshots = self._aggregate(self.targets, now)
        for target in self.targets:
            target.regions.reset_aggregated()
            self._operations.reset_aggregated(target)
        self._split()
        self._last_nr_samples = self._nr_samples
        self._nr_samples = 0
        self._nr_late = 0
        return snapshots

    def _aggregate(self, targets: Sequence[Target], now: int) -> list[Snapshot]:
        """Sum up the samples of the aggregation interval, up to tick ``now``, and merge; return the snapshots."""
        nr_samples = self._nr_samples
        for target in targets:
            regions = target.regions
            if self._last_nr_samples not in (0, nr_samples):
                regions.last_nr_accesses = scale_counts(regions.last_nr_accesses, self._last_nr_samples, nr_samples)
            regions.fill_voids(nr_samples)
        threshold = max(int(target.regions.nr_accesses.max(initial=0)) for target in targets) // 10
        for target in targets:
            target.regions.update_ages(threshold)
        unmerged = [(target.regions.start, target.regions.end, target.regions.nr_accesses) for target in targets]
        self._merge(targets, threshold)
        for target, before in zip(targets, unmerged, strict=True):
            target.regions.nr_accesses = _mean_nr_accesses(target.regions, *before)
        end = min(now, self._aggr_start + self._aggr_ticks)
        return [self._snapshot(target, end) for target in targets]

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
