"""Taking in the processes that those which are monitored have started."""

import contextlib
from collections.abc import Callable, Sequence

from vadamon.address_space.procfs import Newcomers
from vadamon.errors import VadamonError
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target


class DescendantFollower:
    """Adds the descendants of the targets of a monitor to it.

    ``pids`` are those that it has already; ``open_target`` raises VadamonError where a process cannot be watched.
    """

    def __init__(self, pids: Sequence[int], open_target: Callable[[int], Target]) -> None:
        self._newcomers = Newcomers(pids)
        self._open_target = open_target

    def look(self, monitor: SamplingMonitor) -> None:
        """Take in those that have come since the last look."""
        for pid in self._newcomers.of([target.target_id for target in monitor.targets]):
            with contextlib.suppress(VadamonError):  # it has ended already
                monitor.add(self._open_target(pid))
