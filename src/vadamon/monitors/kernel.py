"""The kernel's own DAMON, where there is one: it samples, merges and splits; we take its snapshots."""

import contextlib
import os
import select
from collections.abc import Generator, Sequence

import numpy as np

from vadamon.address_space import procfs
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.monitors.base import SnapshotIterator
from vadamon.monitors.damon_sysfs import MIN_REGION_SIZE, Kdamond
from vadamon.monitors.damon_trace import Aggregation, EventParser, Trace, tracefs
from vadamon.snapshot import Snapshot

_LONGEST_WAIT_NS = 100_000_000


class KernelTarget:
    """One process that the kernel's DAMON watches."""

    def __init__(self, pid: int) -> None:
        self.target_id = pid
        self._pidfd, _ = procfs.open_target(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)
        self._maps = procfs.MapsFile()
        self.mappings = Mappings()
        self.end_ns = 0
        """Of the last aggregation."""

    def update(self) -> None:
        """Look at the mappings anew."""
        for tid in procfs.threads(self.target_id)[:1]:
            self.mappings = self._maps.read(tid)

    def is_alive(self) -> bool:
        """Tell whether the process still runs."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Let go of the process."""
        os.close(self._pidfd)


class KernelMonitor(SnapshotIterator):
    """Monitors processes with a kdamond of our own, and yields a snapshot of each aggregation, as other monitors do.

    The regions and their counters are the kernel's, as its tracepoint damon:damon_aggregated tells them; where tracefs
    cannot be used, they are asked for through sysfs, which takes some time, so that not every aggregation is seen. An
    interval that `stop` or the end of a process cuts short has no snapshot. The kernel does not tell how late its
    samples were: the intervals are longer than asked for where it was.

    The kdamond, and a trace instance, are there until `close`. A process that is killed leaves them to the next
    `KernelMonitor`, which removes them.

    Raises VadamonError where the kernel's DAMON cannot be had, saying why (see `Kdamond`), or cannot watch one of
    ``pids``.
    """

    def __init__(
        self, pids: Sequence[int], attrs: Attrs, *, follow_children: bool = False, clock: Clock | None = None
    ) -> None:
        if attrs.min_region_size != MIN_REGION_SIZE:
            raise VadamonError(f"the kernel's DAMON has a min_region_size of {MIN_REGION_SIZE}, and no other")
        if attrs.intervals_goal is not None:
            raise VadamonError("the kernel backend keeps to the intervals that are given: to tune them take page-table")
        if follow_children:
            raise VadamonError("the kernel backend cannot take in descendants: give their pids, or take page-table")
        self.attrs = attrs
        self._clock = clock or MonotonicClock()
        self._stopping = False
        pids = list(dict.fromkeys(pids))
        folder = tracefs()
        if folder is None and len(pids) > 1:
            raise VadamonError(
                "without tracefs the kernel's DAMON tells the regions of one process only: "
                "mount -t tracefs tracefs /sys/kernel/tracing"
            )
        with contextlib.ExitStack() as opened:
            self._all_targets = [opened.enter_context(contextlib.closing(KernelTarget(pid))) for pid in pids]
            self._kdamond = opened.enter_context(contextlib.closing(Kdamond(pids, attrs, tells_regions=folder is None)))
            self._trace = None if folder is None else opened.enter_context(Trace(folder))
            self._opened = opened.pop_all()
        self.targets = list(self._all_targets)
        self._start_ns = self._clock.now_ns()
        self._parser = EventParser(self._kdamond.thread_id)
        self._snapshots = self._run()

    @property
    def thread_id(self) -> int:
        """The kernel thread that monitors."""
        return self._kdamond.thread_id

    def stop(self) -> None:
        """End within a tenth of a second, or at once where the clock's sleep ends early."""
        self._stopping = True

    def close(self) -> None:
        """Take away the kdamond and the trace instance; there are no more snapshots."""
        self._snapshots.close()
        self.targets.clear()
        self._opened.close()

    def _run(self) -> Generator[Snapshot]:
        next_update_ns = self._start_ns
        wait_ns = min(self.attrs.aggr_us * 1000, _LONGEST_WAIT_NS)
        while self.targets and not self._stopping:
            if (now_ns := self._clock.now_ns()) >= next_update_ns:
                next_update_ns = now_ns + self.attrs.update_us * 1000
                for target in self.targets:
                    target.update()
            self._clock.sleep_until_ns(now_ns + wait_ns)
            is_running = self._kdamond.is_running  # before the last of it is read
            for aggregation in self._aggregations():
                target = self._all_targets[aggregation.target]
                if target in self.targets:
                    yield self._snapshot(target, aggregation)
            self.targets = [target for target in self.targets if target.is_alive()]
            if not is_running:
                return

    def _aggregations(self) -> list[Aggregation]:
        if self._trace is not None:
            return self._parser.feed(self._trace.read())
        regions = np.array(self._kdamond.regions(), dtype=np.uint64).reshape(-1, 4)
        if not len(regions):
            return []
        start, end, nr_accesses, age = regions.T.copy()
        counts = nr_accesses.astype(np.uint32), age.astype(np.uint32)
        return [Aggregation(self._clock.now_ns(), 0, start, end, *counts)]

    def _snapshot(self, target: KernelTarget, aggregation: Aggregation) -> Snapshot:
        start_ns, target.end_ns = target.end_ns or self._start_ns, aggregation.time_ns
        return Snapshot(
            target_id=target.target_id,
            start_ns=min(start_ns, aggregation.time_ns),
            end_ns=aggregation.time_ns,
            start=aggregation.start,
            end=aggregation.end,
            nr_accesses=aggregation.nr_accesses,
            age=aggregation.age,
            nr_samples=self.attrs.max_nr_samples,
            unknown=np.zeros(len(aggregation.start), dtype=np.bool_),
            resident=procfs.resident(target.target_id),
        )
