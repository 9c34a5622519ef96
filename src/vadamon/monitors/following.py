"""Taking in the processes that those which are monitored have started."""

import contextlib
from collections.abc import Callable, Sequence

from vadamon.address_space.procfs import Newcomers
from vadamon.clock import Clock
from vadamon.errors import VadamonError
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations.base import Target


class DescendantFollower:
    """Adds the descendants of the targets of a monitor to it, as soon as they are looked for.

    ``pids`` are those that it has already; ``open_target`` raises VadamonError where a process cannot be watched.
    """

    def __init__(self, pids: Sequence[int], open_target: Callable[[int], Target], clock: Clock) -> None:
        self._newcomers = Newcomers(pids)
        self._open_target = open_target
        self._clock = clock
        self._next_look_ns = 0

    def look(self, monitor: SamplingMonitor) -> None:
        """Look for new descendants, unless there was a look within the last update interval."""
        now_ns = self._clock.now_ns()
        if now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + monitor.attrs.update_us * 1000
        for pid in self._newcomers.of([target.target_id for target in monitor.targets]):
            with contextlib.suppress(VadamonError):  # it has ended already
                monitor.add(self._open_target(pid))
