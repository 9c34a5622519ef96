"""Scanning of processes that run on this machine."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

from vadamon.address_space import procfs
from vadamon.address_space.clear_refs import DEFAULT_CLEAR_BUDGET
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.monitors.scanning import (
    DEFAULT_BUDGET,
    DEFAULT_MAX_REGIONS,
    DEFAULT_NR_SCANS,
    ScannedTarget,
    ScanningMonitor,
    choose_sample_us,
)
from vadamon.snapshot import Snapshot

_CLEARING = 0.25
"""Part of the budget for clear_refs."""
DEFAULT_ATTRS = Attrs(max_nr_regions=DEFAULT_MAX_REGIONS)


class ProcessScanner(ScanningMonitor):
    """A `ScanningMonitor` of processes; ``target_id`` of a snapshot is the pid.

    With a ``budget`` (a share of one core) the sample interval is chosen so that scanning stays within it, and the
    aggregation interval is ten of them: see `attrs`. Without, both are those of the attributes that are given.

    ``follow_children`` and ``clear_budget`` are as for `ProcessMonitor`. Raises VadamonError where one of ``pids``
    cannot be watched, saying why and what would help.
    """

    def __init__(
        self,
        pids: Sequence[int],
        attrs: Attrs = DEFAULT_ATTRS,
        *,
        budget: float | None = DEFAULT_BUDGET,
        follow_children: bool = False,
        clear_budget: float = DEFAULT_CLEAR_BUDGET,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or MonotonicClock()
        self._clear_budget = clear_budget if budget is None else min(clear_budget, budget * _CLEARING)
        self._follow_children = follow_children
        self._next_look_ns = 0
        self._seen = set(pids)
        with contextlib.ExitStack() as opened:
            targets = []
            for pid in dict.fromkeys(pids):
                targets.append(self._open(pid))
                opened.callback(targets[-1].address_space.close)
            if budget is not None:
                sample_us = choose_sample_us(targets, budget * (1 - _CLEARING), clock, time.thread_time_ns)
                aggr_us = DEFAULT_NR_SCANS * sample_us
                attrs = replace(attrs, sample_us=sample_us, aggr_us=aggr_us, update_us=max(attrs.update_us, sample_us))
            super().__init__(targets, attrs, clock, budget=budget)
            opened.pop_all()  # the monitor closes them from now on

    def __next__(self) -> Snapshot:
        if self._follow_children and (now_ns := self._clock.now_ns()) >= self._next_look_ns:
            self._next_look_ns = now_ns + self.attrs.update_us * 1000
            self._take_in_children()
        return super().__next__()

    def _take_in_children(self) -> None:
        for target in list(self.targets):
            for child in procfs.children(target.target_id):
                if child in self._seen:
                    continue
                self._seen.add(child)
                with contextlib.suppress(VadamonError):  # it has ended already
                    self.add(self._open(child))

    def _open(self, pid: int) -> ScannedTarget:
        return ScannedTarget(pid, PageTableAddressSpace(pid, self._clear_budget))


def scan(
    pid: int | Sequence[int],
    attrs: Attrs = DEFAULT_ATTRS,
    *,
    budget: float | None = DEFAULT_BUDGET,
    follow_children: bool = False,
    clear_budget: float = DEFAULT_CLEAR_BUDGET,
) -> ProcessScanner:
    """Watch every page of one process or several, at an interval that stays within ``budget``.

    >>> with vadamon.scan(pid) as snapshots:     # doctest: +SKIP
    ...     for snapshot in snapshots:
    ...         print(snapshot.nr_accesses, "of", snapshot.nr_samples)
    """
    pids = [pid] if isinstance(pid, int) else pid
    return ProcessScanner(pids, attrs, budget=budget, follow_children=follow_children, clear_budget=clear_budget)
