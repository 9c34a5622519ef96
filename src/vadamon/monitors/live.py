"""Sampling of processes that run on this machine."""

import contextlib
from collections.abc import Callable, Sequence

import numpy as np

from vadamon import operations
from vadamon.address_space.base import AddressSpace
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.monitors.following import DescendantFollower
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target


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
        def open_target(pid: int) -> Target:
            return Target(pid, open_space(pid))

        self._follower = DescendantFollower(pids, open_target) if follow_children else None
        with contextlib.ExitStack() as opened:
            targets = []
            for pid in dict.fromkeys(pids):
                targets.append(open_target(pid))
                opened.callback(targets[-1].address_space.close)
            super().__init__(
                targets,
                attrs or Attrs(),
                operations.get("vaddr"),
                clock or MonotonicClock(),
                rng or np.random.default_rng(),
            )
            opened.pop_all()  # the monitor closes them from now on

    def look_for_targets(self) -> None:
        """Take in the descendants that have come, where they are to be followed."""
        if self._follower is not None:
            self._follower.look(self)
