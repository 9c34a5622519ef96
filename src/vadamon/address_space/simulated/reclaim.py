"""Reclaim: which pages go when memory is short."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.lru import Frames
from vadamon.address_space.simulated.page_table import ANY_ACCESSED, PageTable, frame_numbers
from vadamon.address_space.simulated.physical_memory import (
    PG_ACTIVE,
    PG_IDLE,
    PG_LRU,
    PG_REFERENCED,
    PG_YOUNG,
    PhysicalMemory,
)

_BATCH = 1024
"""How many pages of a list are scanned at a time."""


def choose_victims(memory: PhysicalMemory, tables: Sequence[PageTable], nr_pages: int) -> Frames:
    """Choose at least ``nr_pages`` pages of 4 KiB to evict, if there are so many; return them in order.

    Second chance over two lists. The inactive list is scanned from its oldest page on: a page that was referenced
    becomes the newest of the active list, others are victims. While the inactive list is the shorter one, the oldest
    pages of the active list are scanned too: a page that was referenced becomes its newest, others become the newest
    of the inactive list.

    A page was referenced if its accessed bit is set in any page table, or if it has PG_YOUNG or PG_REFERENCED.
    Scanning it clears them all; PG_IDLE too, where an accessed bit was set (``folio_referenced``). The victims are on
    no list any more.

    There is no reverse map: one pass over all page tables finds the accessed bits, and another clears them.
    """
    scan = _Scan(memory, tables)
    victims = [np.empty(0, dtype=np.uint32)]
    while nr_pages > 0 and len(memory.active) + len(memory.inactive):
        if len(memory.inactive) < len(memory.active):
            scan.shrink_active()
        victims.append(scan.shrink_inactive(nr_pages))
        nr_pages -= int(memory.sizes(victims[-1]).sum())
    scan.finish()
    return np.concatenate(victims)


class _Scan:
    def __init__(self, memory: PhysicalMemory, tables: Sequence[PageTable]) -> None:
        self._memory = memory
        self._tables = tables
        nr_frames = len(memory.flags)
        self._accessed: NDArray[np.bool_] = np.zeros(nr_frames, dtype=np.bool_)
        for table in tables:
            for leaves in table.blocks():
                entries = table.entries[leaves]
                self._accessed[frame_numbers(entries[entries & ANY_ACCESSED != 0])] = True
        self._referenced = self._accessed | (memory.flags & (PG_YOUNG | PG_REFERENCED) != 0)
        self._scanned: NDArray[np.bool_] = np.zeros(nr_frames, dtype=np.bool_)

    def shrink_active(self) -> None:
        memory = self._memory
        batch = memory.active.frames[:_BATCH]
        memory.active.drop(len(batch))
        kept, rest = self._second_chance(batch)
        memory.active.push(kept)
        memory.inactive.push(rest)
        memory.flags[rest] &= ~PG_ACTIVE

    def shrink_inactive(self, nr_pages: int) -> Frames:
        memory = self._memory
        batch = memory.inactive.frames[:_BATCH]
        is_victim = ~self._referenced[batch] & (memory.flags[batch] & PG_LRU != 0)
        nr_victims = np.cumsum(np.where(is_victim, memory.sizes(batch), 0))
        batch = batch[: int(np.searchsorted(nr_victims, nr_pages)) + 1]  # no further than it must
        memory.inactive.drop(len(batch))
        activated, victims = self._second_chance(batch)
        memory.active.push(activated)
        memory.flags[activated] |= PG_ACTIVE
        return victims

    def finish(self) -> None:
        """Clear what tells that the pages that were scanned were referenced."""
        for table in self._tables:
            for leaves in table.blocks():
                scanned = leaves[self._scanned[frame_numbers(table.entries[leaves])]]
                table.entries[scanned] &= ~ANY_ACCESSED
        self._memory.flags[self._scanned] &= ~(PG_YOUNG | PG_REFERENCED)
        self._memory.flags[self._scanned & self._accessed] &= ~PG_IDLE

    def _second_chance(self, batch: Frames) -> tuple[Frames, Frames]:
        """Return the pages of a list that were referenced since their last scan, and those that were not."""
        batch = batch[self._memory.flags[batch] & PG_LRU != 0]  # entries of pages that were freed are left over
        referenced = self._referenced[batch]
        self._referenced[batch] = False
        self._scanned[batch] = True
        return batch[referenced], batch[~referenced]
