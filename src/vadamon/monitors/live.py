"""Monitoring of processes that run on this machine."""

import contextlib
from collections.abc import Sequence

import numpy as np

from vadamon import operations
from vadamon.address_space import procfs
from vadamon.address_space.page_table import DEFAULT_CLEAR_BUDGET, PageTableAddressSpace
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.snapshot import Snapshot


class ProcessMonitor(SamplingMonitor):
    """A `SamplingMonitor` of processes; ``target_id`` of a snapshot is the pid.

    With ``follow_children`` it takes in their descendants too, those of now and, at each update interval, those that
    have come since. Use it as a context manager, or call `close`.

    ``clear_budget`` is the share of one core that may be spent on clearing the accessed bits of memory that several
    processes map (see `PageTableAddressSpace`).

    Raises VadamonError where one of ``pids`` cannot be watched, saying why and what would help.
    """

    def __init__(
        self,
        pids: Sequence[int],
        attrs: Attrs | None = None,
        *,
        follow_children: bool = False,
        clear_budget: float = DEFAULT_CLEAR_BUDGET,
        clock: Clock | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        attrs = attrs or Attrs()
        self._clear_budget = clear_budget
        self._pids = list(dict.fromkeys(pids))
        self._follow_children = follow_children
        self._next_look_ns = 0
        self._seen = set(self._pids)
        with contextlib.ExitStack() as opened:
            targets = []
            for pid in self._pids:
                space = opened.enter_context(PageTableAddressSpace(pid, clear_budget))
                targets.append(Target(pid, space))
            super().__init__(
                targets, attrs, operations.get("vaddr"), clock or MonotonicClock(), rng or np.random.default_rng()
            )
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
                    self.add(Target(child, PageTableAddressSpace(child, self._clear_budget)))


def monitor(
    pid: int | Sequence[int],
    attrs: Attrs | None = None,
    *,
    follow_children: bool = False,
    clear_budget: float = DEFAULT_CLEAR_BUDGET,
) -> ProcessMonitor:
    """Watch one process or several.

    >>> with vadamon.monitor(pid) as snapshots:     # doctest: +SKIP
    ...     for snapshot in snapshots:
    ...         print(snapshot.nr_accesses, "of", snapshot.nr_samples)
    """
    pids = [pid] if isinstance(pid, int) else pid
    return ProcessMonitor(pids, attrs, follow_children=follow_children, clear_budget=clear_budget)
