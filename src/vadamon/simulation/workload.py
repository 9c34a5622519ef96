"""A workload: regions of memory, and phases in which they are accessed in patterns."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from vadamon.simulation.memory import PAGE_SIZE, Memory
from vadamon.simulation.patterns import CACHE_LINE, Pattern, Random, Sequential, Zipf

_FIRST_START = 0x7F00_0000_0000
_ALIGNMENT = 2 << 20


@dataclass(frozen=True, slots=True)
class Region:
    """A mapping of the workload: whole pages at ``[start, start + size)``, or at ``size`` bytes rounded up to pages."""

    name: str
    size: int
    start: int

    @property
    def end(self) -> int:
        """The end of its last page."""
        return self.start - -self.size // PAGE_SIZE * PAGE_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """What one phase does to ``[start, start + size)``: a pattern, at ``rate`` accesses a second."""

    start: int
    size: int
    pattern: str
    """``sequential``, ``strided``, ``random`` or ``zipf``."""
    rate: Fraction
    write: bool = False
    stride: int = CACHE_LINE
    exponent: float = 1.0
    shuffled: bool = False

    def make(self, rng: np.random.Generator) -> Pattern:
        """Return the pattern, ready to begin."""
        if self.pattern == "random":
            return Random(self.start, self.size, self.rate, self.write)
        if self.pattern == "zipf":
            shuffle = rng if self.shuffled else None
            return Zipf(self.start, self.size, self.rate, self.write, self.exponent, shuffle)
        return Sequential(self.start, self.size, self.rate, self.write, self.stride)


@dataclass(frozen=True, slots=True)
class Phase:
    """What is touched, all at the same time, for how long."""

    name: str
    duration_ns: int
    touches: tuple[Touch, ...] = ()


class Workload:
    """Regions, and phases one after the other, ``repeat`` times over: a `Source`."""

    def __init__(self, name: str, regions: tuple[Region, ...], phases: tuple[Phase, ...], repeat: int = 1) -> None:
        self.name = name
        self.regions = regions
        self.phases = phases
        self.repeat = repeat
        self.duration_ns = repeat * sum(phase.duration_ns for phase in phases)
        self._patterns: list[list[Pattern]] = []
        self._now_ns = 0

    def begin(self, memory: Memory, rng: np.random.Generator) -> None:
        """See `Source`."""
        self._rng = rng
        self._patterns = [[touch.make(rng) for touch in phase.touches] for phase in self.phases]
        self._now_ns = 0
        self._phase, self._phase_begin_ns = 0, 0
        for region in self.regions:
            memory.map(region.start, region.end, region.name)

    def run(self, until_ns: int, memory: Memory) -> bool:
        """See `Source`."""
        end_ns = min(until_ns, self.duration_ns)
        while self._now_ns < end_ns:
            phase = self._phase % len(self.phases)
            phase_end_ns = self._phase_begin_ns + self.phases[phase].duration_ns
            stop_ns = min(end_ns, phase_end_ns)
            for pattern in self._patterns[phase]:
                pattern.touch(memory, self._now_ns - self._phase_begin_ns, stop_ns - self._phase_begin_ns, self._rng)
            self._now_ns = stop_ns
            if stop_ns == phase_end_ns:
                self._phase += 1
                self._phase_begin_ns = phase_end_ns
        return until_ns <= self.duration_ns


def place(regions: list[tuple[str, int, int | None]]) -> tuple[Region, ...]:
    """Give those of ``(name, size, start)`` a start that have none: each on 2 MiB of its own, behind the one before.

    Raises ValueError, naming them, where two overlap.
    """
    placed = []
    free = _FIRST_START
    for name, size, start in regions:
        region = Region(name, size, free if start is None else start)
        placed.append(region)
        if start is None or region.end > _FIRST_START:
            free = max(free, -(-region.end // _ALIGNMENT) * _ALIGNMENT + _ALIGNMENT)
    in_order = sorted(placed, key=lambda region: region.start)
    for below, above in pairwise(in_order):
        if below.end > above.start:
            raise ValueError(f"regions {below.name!r} and {above.name!r} overlap: give one of them another start")
    return tuple(placed)
