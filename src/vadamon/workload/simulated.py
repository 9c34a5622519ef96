"""A workload in a simulated process and in virtual time."""

import time

from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.clock import VirtualClock
from vadamon.workload.log import Interval
from vadamon.workload.spec import Area, Sweep

MIB = 1 << 20


class SimulatedWorkload(VirtualClock):
    """Time in which a simulated process sweeps its areas, as a `Workload` does in real time."""

    def __init__(self, areas: list[Area]) -> None:
        super().__init__(wall_ns=time.time_ns())
        self.space = SimulatedAddressSpace(Machine(self))
        self._areas = areas
        self._starts: list[int] = []
        self._sweeps: list[tuple[int, int, Sweep]] = []  # when it is due, start of its area, what
        self._map()

    def _map(self) -> None:
        for start, name in ((0x5600_0000_0000, "[heap]"), (0x7FFF_0000_0000, "[stack]")):
            self.space.mmap(start, MIB, name=name, populate=True)
        start = 0x7F00_0000_0000
        for area in self._areas:
            self.space.mmap(start, area.size, populate=True)
            self._starts.append(start)
            self._sweeps += [(0, start, pattern) for pattern in area.patterns if isinstance(pattern, Sweep)]
            start += area.size + 2 * MIB

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Let time pass, and the sweeps that are due in it happen, in their order."""
        while (next_sweep := min(self._sweeps, key=lambda sweep: sweep[0]))[0] <= deadline_ns:
            due_ns, start, sweep = next_sweep
            super().sleep_until_ns(due_ns)
            begin = start + self._window(sweep, due_ns) * sweep.length
            self.space.touch(begin, begin + sweep.length)
            self._sweeps.remove(next_sweep)
            self._sweeps.append((due_ns + sweep.period_us * 1000, start, sweep))
        super().sleep_until_ns(deadline_ns)

    def _window(self, sweep: Sweep, at_ns: int) -> int:
        if sweep.move_every_s is None:
            return 0
        nr_windows = next(area for area in self._areas if sweep in area.patterns).size // sweep.length
        return int(at_ns / 1e9 / sweep.move_every_s) % nr_windows

    def intervals(self) -> list[Interval]:
        """Return what was touched up to now; an area without sweeps counts as one that was not."""
        known = []
        for area, start in zip(self._areas, self._starts, strict=True):
            sweep = area.patterns[0] if area.patterns else None
            if not isinstance(sweep, Sweep):
                known.append(Interval(area.name, None, start, start + area.size, 0, self.now_ns(), 0))
                continue
            move_ns = self.now_ns() if sweep.move_every_s is None else int(sweep.move_every_s * 1e9)
            for begin_ns in range(0, self.now_ns(), move_ns):
                begin = start + self._window(sweep, begin_ns) * sweep.length
                end_ns = min(begin_ns + move_ns, self.now_ns())
                known.append(Interval(area.name, sweep, begin, begin + sweep.length, begin_ns, end_ns, 0))
        return known
