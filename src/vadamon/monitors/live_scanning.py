"""Scanning of processes that run on this machine."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

from vadamon.address_space.clear_refs import DEFAULT_CLEAR_BUDGET
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.monitors.following import DescendantFollower
from vadamon.monitors.scanning import (
    DEFAULT_BUDGET,
    DEFAULT_MAX_REGIONS,
    DEFAULT_NR_SCANS,
    ScannedTarget,
    ScanningMonitor,
    choose_sample_us,
)

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
        if budget is not None:
            clear_budget = min(clear_budget, budget * _CLEARING)

        def open_target(pid: int) -> ScannedTarget:
            return ScannedTarget(pid, PageTableAddressSpace(pid, clear_budget))

        clock = clock or MonotonicClock()
        self._follower = DescendantFollower(pids, open_target) if follow_children else None
        with contextlib.ExitStack() as opened:
            targets = []
            for pid in dict.fromkeys(pids):
                targets.append(open_target(pid))
                opened.callback(targets[-1].address_space.close)
            if budget is not None:
                sample_us = choose_sample_us(targets, budget * (1 - _CLEARING), clock, time.thread_time_ns)
                aggr_us = DEFAULT_NR_SCANS * sample_us
                attrs = replace(attrs, sample_us=sample_us, aggr_us=aggr_us, update_us=max(attrs.update_us, sample_us))
            super().__init__(targets, attrs, clock, budget=budget)
            opened.pop_all()  # the monitor closes them from now on

    def look_for_targets(self) -> None:
        """Take in the descendants that have come, where they are to be followed."""
        if self._follower is not None:
            self._follower.look(self)


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
