"""A simulated machine: its memory, and the processes that share it."""

from typing import TYPE_CHECKING

import numpy as np

from vadamon.address_space.simulated.lru import Frames
from vadamon.address_space.simulated.physical_memory import PhysicalMemory
from vadamon.address_space.simulated.reclaim import choose_victims
from vadamon.clock import Clock

if TYPE_CHECKING:
    from vadamon.address_space.simulated.process import SimulatedProcess


class Machine:
    """Physical memory, swap without bounds, and a clock for all that happens in it.

    ``processes`` are those that run, or whose memory somebody still uses.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.memory = PhysicalMemory()
        self.processes: list[SimulatedProcess] = []

    def reclaim(self, nr_pages: int) -> Frames:
        """Evict at least ``nr_pages`` pages of 4 KiB to swap, if there are so many on the lists of pages.

        Returns the frames (uint32[n]) in the order they were evicted, of huge pages the first; see
        `vadamon.address_space.simulated.reclaim.choose_victims`.
        """
        victims = choose_victims(self.memory, [process.tables for process in self.processes], nr_pages)
        self.swap_out(victims)
        return victims

    def swap_out(self, frames: Frames) -> None:
        """Evict pages, wherever they are mapped, to swap."""
        evicted = np.zeros(len(self.memory.flags), dtype=np.bool_)
        evicted[frames] = True
        for process in self.processes:
            process.tables.swap_out(evicted)
        self.memory.free(frames)

    def split_huge_page(self, head: int) -> None:
        """Make 512 pages of a huge page, wherever it is mapped."""
        for process in self.processes:
            for pmd in process.tables.find_huge(head).tolist():
                process.tables.split(pmd)
        self.memory.split(head)
