"""Sampling and scanning, at the same time, of processes that run on this machine."""

import contextlib
from collections.abc import Sequence

import numpy as np

from vadamon.address_space.clear_refs import DEFAULT_CLEAR_BUDGET
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.attrs import Attrs
from vadamon.clock import Clock, MonotonicClock
from vadamon.monitors.compared import ComparedMonitor
from vadamon.monitors.scanning import ScannedTarget


class ProcessComparer(ComparedMonitor):
    """A `ComparedMonitor` of processes; ``target_id`` of a snapshot is the pid.

    ``clear_budget`` is as for `ProcessScanner`. Raises VadamonError where one of ``pids`` cannot be watched, saying why
    and what would help.
    """

    def __init__(
        self,
        pids: Sequence[int],
        attrs: Attrs | None = None,
        *,
        clear_budget: float = DEFAULT_CLEAR_BUDGET,
        clock: Clock | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        with contextlib.ExitStack() as opened:
            targets = []
            for pid in dict.fromkeys(pids):
                targets.append(ScannedTarget(pid, PageTableAddressSpace(pid, clear_budget)))
                opened.callback(targets[-1].address_space.close)
            super().__init__(targets, attrs or Attrs(), clock or MonotonicClock(), rng or np.random.default_rng())
            opened.pop_all()  # the monitor closes them from now on
