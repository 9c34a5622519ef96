"""Monitoring without privileges, of one's own processes: the coarse mode, of whole mappings."""

import contextlib
import time
import warnings
from collections.abc import Generator, Sequence

import numpy as np

from vadamon.address_space.clear_refs import DEFAULT_CLEAR_BUDGET
from vadamon.address_space.procfs import Newcomers
from vadamon.address_space.referenced import ReferencedBytes, ReferencedProcess
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.mappings import Mappings
from vadamon.monitors.base import SnapshotIterator
from vadamon.regions import Regions
from vadamon.snapshot import Snapshot
from vadamon.units import format_duration

_LOOK_EVERY_NS = 100_000_000
"""How often to see, within a window, whether there still is anything to wait for."""


class ReferencedTarget:
    """One process, its mappings, and the window under way. Times are of the monitor's clock."""

    def __init__(self, process: ReferencedProcess, clock: Clock) -> None:
        self.target_id = process.pid
        self.process = process
        self.mappings = Mappings()
        self.regions = Regions([], [])
        self.start_ns = self.end_ns = 0
        """The window: from the middle of the time that clearing took to the middle of the time that reading took."""
        self.clear_cost_ns = self.read_cost_ns = 0
        """Processor time."""
        self._clock = clock

    def begin_window(self) -> None:
        """Clear all accessed bits."""
        begun_ns, used_ns = self._clock.now_ns(), time.thread_time_ns()
        self.process.clear()
        self.start_ns = (begun_ns + self._clock.now_ns()) // 2
        self.clear_cost_ns = time.thread_time_ns() - used_ns

    def end_window(self, nr_samples: int) -> bool:
        """Count what was accessed, and tell whether that could be done."""
        begun_ns, used_ns = self._clock.now_ns(), time.thread_time_ns()
        referenced = self.process.read()
        self.end_ns = (begun_ns + self._clock.now_ns()) // 2
        if referenced is not None:
            self._count(referenced, nr_samples)
        self.read_cost_ns = time.thread_time_ns() - used_ns
        return referenced is not None

    def cost_ns(self) -> int:
        """Return the processor time that a window takes; before the first was read, reading counts as clearing does."""
        return self.clear_cost_ns + (self.read_cost_ns or self.clear_cost_ns)

    def _count(self, referenced: ReferencedBytes, nr_samples: int) -> None:
        regions, self.mappings = self.regions, referenced.mappings
        start, end = self.mappings.start, self.mappings.end
        # A mapping goes on as the first that it overlaps: it may have grown at either end.
        source = np.searchsorted(regions.end, start, side="right")
        overlaps = np.append(regions.start, np.iinfo(np.uint64).max)[source] < end
        regions.reset_aggregated()
        regions.rebuild(start, end, np.where(overlaps, source, -1))
        share = referenced.size / (end - start)
        counts = np.maximum(np.rint(share * nr_samples), referenced.size > 0)
        regions.nr_accesses = np.where(referenced.unknown, 0, np.minimum(counts, nr_samples)).astype(np.uint32)
        regions.unknown = referenced.unknown


class ReferencedMonitor(SnapshotIterator):
    """Monitors whole mappings of processes, by how many of their bytes are used in each aggregation interval.

    An iterator of `Snapshot`, as other monitors are; ``target_id`` is the pid. Regions are the mappings. Of a region
    ``nr_accesses`` of ``nr_samples`` is the **share of its bytes** that was accessed, rounded, and at least 1 where any
    was: not how often. Of ``attrs`` only the aggregation interval counts, and the sample interval in that
    ``nr_samples`` is how many fit into it.

    Each snapshot has the window that was achieved: clearing and reading take their time, and each counts at its middle.
    What they cost grows with the resident size of the processes. Where it would be more than ``budget``, a share of
    one core, windows are longer than was asked for, which a VadamonWarning says once.

    With ``follow_children`` the monitor takes in descendants too, at the start of each window. After `stop`, a last
    window that is at least half as long as others makes a snapshot. One in which a process ends makes none of it: its
    memory is gone before it can be read.

    Raises VadamonError where one of ``pids`` cannot be watched, saying why and what would help.
    """

    def __init__(
        self,
        pids: Sequence[int],
        attrs: Attrs,
        *,
        follow_children: bool = False,
        budget: float = DEFAULT_CLEAR_BUDGET,
        clock: Clock | None = None,
    ) -> None:
        if not 0 < budget <= 1:
            raise VadamonError(f"the coarse mode needs a budget for clearing above 0% of a core, not {100 * budget:g}%")
        if attrs.intervals_goal is not None:
            raise VadamonError("the coarse mode cannot tune its intervals: they follow from its budget for clearing")
        self.attrs = attrs
        self.targets: list[ReferencedTarget] = []
        self._follow_children = follow_children
        self._newcomers = Newcomers(pids)
        self._budget = budget
        self._clock = clock or MonotonicClock()
        self._stopping = False
        self._has_warned = False
        self._snapshots = self._run()
        try:
            for pid in dict.fromkeys(pids):
                self._take_in(pid)
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End the window under way within a tenth of a second, or at once where the clock's sleep ends early."""
        self._stopping = True

    def close(self) -> None:
        """Let go of all targets; there are no more snapshots."""
        self._snapshots.close()
        while self.targets:
            self.targets.pop().process.close()

    def _take_in(self, pid: int) -> None:
        self.targets.append(ReferencedTarget(ReferencedProcess(pid), self._clock))

    def _run(self) -> Generator[Snapshot]:
        while self.targets and not self._stopping:
            if self._follow_children:
                for child in self._newcomers.of([target.target_id for target in self.targets]):
                    with contextlib.suppress(VadamonError):  # it has ended already, or is somebody else's
                        self._take_in(child)
            for target in self.targets:
                target.begin_window()
            first = self.targets[0]
            window_ns = self._window_ns()
            # Read so much before the end that the middle of reading is the end.
            self._sleep_until(first.start_ns + window_ns - first.read_cost_ns // 2)
            if self._stopping and self._clock.now_ns() - first.start_ns < window_ns // 2:
                return
            yield from self._end_window()

    def _window_ns(self) -> int:
        """Return how long a window is to be: as asked for, or as long as the budget needs."""
        asked_ns = self.attrs.aggr_us * 1000
        cost_ns = sum(target.cost_ns() for target in self.targets)
        window_ns = max(asked_ns, int(cost_ns / self._budget))
        if window_ns > asked_ns and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"clearing and reading take {format_duration(cost_ns)}: so that this is no more than "
                f"{100 * self._budget:g}% of a core, intervals are {format_duration(window_ns)} and not "
                f"{format_duration(asked_ns)} (they get longer as processes get bigger)",
                VadamonWarning,
                stacklevel=2,
            )
        return window_ns

    def _sleep_until(self, due_ns: int) -> None:
        while not self._stopping and (now_ns := self._clock.now_ns()) < due_ns:
            self._clock.sleep_until_ns(min(due_ns, now_ns + _LOOK_EVERY_NS))
            if not any(target.process.is_alive() for target in self.targets):
                return

    def _end_window(self) -> list[Snapshot]:
        """Read all targets, let go of those that have ended, and return the snapshots of the others."""
        nr_samples = self.attrs.max_nr_samples
        seen = [target for target in list(self.targets) if self._read(target, nr_samples)]
        threshold = max((int(target.regions.nr_accesses.max(initial=0)) for target in seen), default=0) // 10
        return [_snapshot(target, nr_samples, threshold) for target in seen]

    def _read(self, target: ReferencedTarget, nr_samples: int) -> bool:
        try:
            if target.end_window(nr_samples):
                return True
        except VadamonError as error:
            # It has executed a program that may not be looked at; others go on.
            warnings.warn(str(error), VadamonWarning, stacklevel=2)
        else:
            if target.process.is_alive():
                return False
        self.targets.remove(target)
        target.process.close()
        return False


def _snapshot(target: ReferencedTarget, nr_samples: int, threshold: int) -> Snapshot:
    regions = target.regions
    regions.update_ages(threshold)
    return Snapshot(
        target_id=target.target_id,
        start_ns=target.start_ns,
        end_ns=target.end_ns,
        start=regions.start,
        end=regions.end,
        nr_accesses=regions.nr_accesses,
        age=regions.age,
        nr_samples=nr_samples,
        unknown=regions.unknown,
        resident=target.process.resident(),
    )
