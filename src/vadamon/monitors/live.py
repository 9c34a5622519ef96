"""Sampling of processes that run on this machine."""

import contextlib
from collections.abc import Callable, Sequence

import numpy as np

from vadamon import operations
from vadamon.address_space.base import AddressSpace
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.address_space.procfs import Newcomers
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target
from vadamon.snapshot import Snapshot


class ProcessMonitor(SamplingMonitor):
    """A `SamplingMonitor` of processes; ``target_id`` of a snapshot is the pid.

    ``open_space`` opens the address space of a process, by its pid: how accessed bits are read and cleared. With
    ``follow_children`` the monitor takes in descendants too, those of now and, at each update interval, those that have
    come since. Use it as a context manager, or call `close`.

    Raises VadamonError where one of ``pids`` cannot be watched, saying why and what would help.
    """

    def __init__(
        self,
        pids: Sequence[int],
        attrs: Attrs | None = None,
        *,
        open_space: Callable[[int], AddressSpace] = PageTableAddressSpace,
        follow_children: bool = False,
        clock: Clock | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._open_space = open_space
        self._follow_children = follow_children
        self._next_look_ns = 0
        self._newcomers = Newcomers(pids)
        with contextlib.ExitStack() as opened:
            targets = []
            for pid in dict.fromkeys(pids):
                space = open_space(pid)
                opened.callback(space.close)
                targets.append(Target(pid, space))
            super().__init__(
                targets,
                attrs or Attrs(),
                operations.get("vaddr"),
                clock or MonotonicClock(),
                rng or np.random.default_rng(),
            )
            opened.pop_all()  # the monitor closes them from now on

    def __next__(self) -> Snapshot:
        if self._follow_children and (now_ns := self._clock.now_ns()) >= self._next_look_ns:
            self._next_look_ns = now_ns + self.attrs.update_us * 1000
            for child in self._newcomers.of([target.target_id for target in self.targets]):
                with contextlib.suppress(VadamonError):  # it has ended already
                    self.add(Target(child, self._open_space(child)))
        return super().__next__()
