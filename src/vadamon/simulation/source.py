"""What a program that is simulated is made of."""

from typing import Protocol

import numpy as np

from vadamon.simulation.memory import Memory


class Source(Protocol):
    """Where the accesses of a simulated program come from: a `Workload` or a `Trace`."""

    @property
    def name(self) -> str:
        """What to call it."""

    def begin(self, memory: Memory, rng: np.random.Generator) -> None:
        """Map what is mapped from the beginning; ``rng`` is the only source of randomness."""

    def run(self, until_ns: int, memory: Memory) -> bool:
        """Do all accesses up to ``until_ns``, from the last such time on; False where it ends before that.

        Time begins at 0.
        """
