"""Every page, every interval: no sampling of addresses."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vadamon._native.page_heat import MAX_SCANS, PageHeat
from vadamon.address_space.base import Scan, Scans
from vadamon.attrs import Attrs
from vadamon.clock import Clock
from vadamon.mappings import Mappings
from vadamon.monitors.coarsening import coarsen
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.ranges import union
from vadamon.snapshot import SampleHealth, Snapshot

DEFAULT_BUDGET = 0.01
"""Share of one core."""
DEFAULT_NR_SCANS = 10
"""In an aggregation interval."""
DEFAULT_MAX_REGIONS = 100_000
_INTERVALS_MS = (10, 20, 30, 50, 100, 200, 300, 500, 1_000, 2_000, 3_000, 5_000, 10_000)
_NR_TRIALS = 3
_TRIAL_NS = 100_000_000
_OVERHEAD_NS = 300_000  # beside the scan itself, for each
_MARGIN = 1.25
_NR_AVERAGED = 8


class ScannedTarget(Target):
    """A target whose every page is looked at; its address space must be one that `Scans`."""

    def __init__(self, target_id: int, address_space: Scans) -> None:
        super().__init__(target_id, address_space)
        self.heat = PageHeat()
        self.ranges: tuple[NDArray[np.uint64], NDArray[np.uint64]] = union(self.mappings.start, self.mappings.end)
        """What is mapped, as `scan` takes it."""

    def look_up_mappings(self) -> None:
        """Take over the mappings as they are now."""
        mappings: Mappings = self.address_space.mappings()
        # None at all: it has just ended, and what was seen of it is still to be told.
        if len(mappings) and mappings is not self.mappings:
            self.mappings = mappings
            self.ranges = union(mappings.start, mappings.end)
            self.heat.set_ranges(*self.ranges)

    def scan(self) -> Scan:
        """Look at every page."""
        scan: Scan = self.address_space.scan(*self.ranges)
        return scan

    def check(self) -> Scan | None:
        """Look at every page, and count what was accessed since the scan before; None where that tells nothing."""
        scan = self.scan()
        if self.voids is not None and self.voids.generation() != self.generation:
            self.generation = self.voids.generation()
            self.heat = PageHeat()
            self.mappings = Mappings()
            self.look_up_mappings()
            return None
        if not scan.complete:
            return None
        self.heat.add(scan.start, scan.end, scan.void_start, scan.void_end)
        return scan


def check_scannable(attrs: Attrs) -> None:
    """Raise ValueError where an aggregation interval would hold too many samples, or intervals are to be tuned."""
    if attrs.max_nr_samples > MAX_SCANS:
        raise ValueError(
            f"an aggregation interval holds at most {MAX_SCANS} scans, not {attrs.max_nr_samples}: "
            "make it shorter, or the sample interval longer"
        )
    if attrs.intervals_goal is not None:
        raise ValueError("the intervals of scanning are not tuned towards a goal")


class _ScanOperations:
    """Operations for the monitoring loop that look at every page; what they find is kept in the target's heat."""

    def init(self, target: Target, attrs: Attrs) -> None:
        assert isinstance(target, ScannedTarget)
        target.attrs = attrs
        target.look_up_mappings()
        target.scan()  # tells nothing, but clears

    def update(self, target: Target) -> None:
        assert isinstance(target, ScannedTarget)
        target.look_up_mappings()

    def prepare_access_checks(self, target: Target, rng: np.random.Generator) -> None:
        """Nothing to do: the scan before has cleared what it saw."""

    def check_accesses(self, target: Target) -> None:
        assert isinstance(target, ScannedTarget)
        target.check()

    def reset_aggregated(self, target: Target) -> None:
        """Nothing to do: the heat begins anew by itself."""

    def target_valid(self, target: Target) -> bool:
        return bool(target.address_space.is_alive())

    def cleanup(self, target: Target) -> None:
        target.address_space.close()


class ScanningMonitor(SamplingMonitor):
    """Looks at every page of its targets at each sample interval, and yields snapshots as `SamplingMonitor` does.

    A region is a run of neighbouring pages of equal ``nr_accesses`` and ``age``: nothing is lost. Where there are more
    of them than ``attrs.max_nr_regions`` for all targets together, the least different neighbours are merged, and
    `detail_lost` says what that cost. Regions are of mapped memory only. ``attrs.min_nr_regions`` has no meaning here.

    With a ``budget``, a share of one core, scans are left out where one takes more than its interval's share, and
    counted as missed. ``cpu_ns`` tells what processor time was spent.

    Raises ValueError where an aggregation interval would hold more than 255 samples, and for an ``intervals_goal``.
    """

    def __init__(
        self,
        targets: Sequence[ScannedTarget],
        attrs: Attrs,
        clock: Clock,
        *,
        budget: float | None = None,
        cpu_ns: Callable[[], int] = time.thread_time_ns,
    ) -> None:
        check_scannable(attrs)
        if budget is not None and not 0 < budget <= 1:
            raise ValueError(f"the budget for scanning is a share of one core, above 0 and up to 1, not {budget}")
        super().__init__(targets, attrs, _ScanOperations(), clock, np.random.default_rng(0))  # nothing here is random
        self._budget = budget
        self._cpu_ns = cpu_ns
        self._last_cpu_ns: int | None = None
        self._cost_ns = 0.0
        self.detail_lost = DetailLost()

    def _next_tick(self, now: int) -> int:
        tick = super()._next_tick(now)
        cpu_ns = self._cpu_ns()
        if self._budget is not None and self._last_cpu_ns is not None:
            cost_ns = cpu_ns - self._last_cpu_ns
            self._cost_ns += (cost_ns - self._cost_ns) / _NR_AVERAGED if self._cost_ns else cost_ns
            tick += max(1, math.ceil(self._cost_ns / (self._budget * self._sample_ns))) - 1
        self._last_cpu_ns = cpu_ns
        return tick

    def _aggregate(self, targets: Sequence[Target], now: int) -> list[Snapshot]:
        scanned = [target for target in targets if isinstance(target, ScannedTarget)]
        threshold = max(target.heat.sum_up(self._nr_samples) for target in scanned) // 10
        end = min(now, self._aggr_start + self._aggr_ticks)
        snapshots = [self._snapshot_of(target, threshold, end) for target in scanned]
        return self._bounded(snapshots)

    def _split(self) -> None:
        """Regions are what the pages say."""

    def _snapshot_of(self, target: ScannedTarget, threshold: int, end: int) -> Snapshot:
        health = SampleHealth() if target.voids is None else target.voids.take_health()
        start, stop, nr_accesses, age, unknown = target.heat.end(threshold)
        return Snapshot(
            target_id=target.target_id,
            start_ns=self._start_ns + self._aggr_start * self._sample_ns,
            end_ns=self._start_ns + end * self._sample_ns,
            start=start,
            end=stop,
            nr_accesses=nr_accesses,
            age=age,
            nr_samples=self._nr_samples,
            unknown=unknown,
            health=replace(
                health, late_samples=self._nr_late, missed_samples=end - self._aggr_start - self._nr_samples
            ),
            resident=target.resident(),
        )

    def _bounded(self, snapshots: list[Snapshot]) -> list[Snapshot]:
        """Merge regions where there are too many; each target keeps its share of them."""
        nr_runs = sum(map(len, snapshots))
        nr_most = self.attrs.max_nr_regions
        self.detail_lost.nr_snapshots += len(snapshots)
        if nr_runs <= nr_most:
            return snapshots
        return [self._coarsened(snapshot, max(1, len(snapshot) * nr_most // nr_runs)) for snapshot in snapshots]

    def _coarsened(self, snapshot: Snapshot, nr_most: int) -> Snapshot:
        first, nr_accesses, age, error = coarsen(
            *(snapshot.start, snapshot.end, snapshot.nr_accesses, snapshot.age, snapshot.unknown),
            *(snapshot.nr_samples, nr_most),
        )
        self.detail_lost.add(len(snapshot), len(first), error / snapshot.nr_samples)
        return replace(
            snapshot,
            start=snapshot.start[first],
            end=snapshot.end[np.append(first[1:], len(snapshot)) - 1],
            nr_accesses=nr_accesses,
            age=age,
            unknown=snapshot.unknown[first],
        )


class DetailLost:
    """What bounding the number of regions has cost so far."""

    def __init__(self) -> None:
        self.nr_snapshots = 0
        self.nr_merged_snapshots = 0
        self.nr_regions_before = 0
        """Largest number of regions of a snapshot, before they were merged ..."""
        self.nr_regions_after = 0
        """... and how many it had then."""
        self.largest_error = 0.0
        """By how much ``nr_accesses`` of a snapshot is off, as a share of its samples, on average over its bytes."""

    def add(self, nr_before: int, nr_after: int, error: float) -> None:
        """Count one snapshot whose regions were merged."""
        self.nr_merged_snapshots += 1
        self.largest_error = max(self.largest_error, error)
        if nr_before > self.nr_regions_before:
            self.nr_regions_before, self.nr_regions_after = nr_before, nr_after

    def __bool__(self) -> bool:
        return self.nr_merged_snapshots > 0

    def __str__(self) -> str:
        return (
            f"{self.nr_merged_snapshots} of {self.nr_snapshots} snapshots had too many regions, up to "
            f"{self.nr_regions_before} that became {self.nr_regions_after}: nr_accesses is off by up to "
            f"{100 * self.largest_error:.2g} % of the samples, on average over a snapshot"
        )


def choose_sample_us(targets: Sequence[ScannedTarget], budget: float, clock: Clock, cpu_ns: Callable[[], int]) -> int:
    """Return the shortest sample interval at which scanning ``targets`` stays within ``budget``, by trying.

    A share of one core; 10 ms to 10 s, the longest too where even that is more than the budget.
    """
    for target in targets:
        target.look_up_mappings()
    costs_ns = []
    for _ in range(_NR_TRIALS):
        begun_ns = cpu_ns()
        for target in targets:
            target.scan()
        costs_ns.append(cpu_ns() - begun_ns)
        clock.sleep_until_ns(clock.now_ns() + _TRIAL_NS)
    # The first clears everything, and clear_refs, which has a budget of its own, may be used in any: neither is usual.
    needed_ns = (min(costs_ns) * _MARGIN + _OVERHEAD_NS) / budget
    return next((ms for ms in _INTERVALS_MS if ms * 1_000_000 >= needed_ns), _INTERVALS_MS[-1]) * 1_000
