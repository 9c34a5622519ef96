"""The page table of one simulated process, all its tables in one array."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.lru import Frames

PAGE_SIZE = 1 << 12
HUGE_PAGE_SIZE = 1 << 21
ADDRESS_LIMIT = 1 << 47
"""End of the user addresses of four levels of tables."""

# An entry is the number of a frame or of a table, and these bits.
PRESENT = np.uint32(1)
ACCESSED = np.uint32(2)
SECONDARY_ACCESSED = np.uint32(4)
"""Accessed bit of the same page in the page table of a secondary MMU (a KVM guest), kept beside that of the CPU."""
HUGE = np.uint32(8)
"""A PMD entry that is a leaf: a page of 2 MiB."""
SWAPPED = np.uint32(16)
"""The page is in swap; not together with any other bit."""
NUMBER_SHIFT = np.uint32(5)

ANY_ACCESSED = ACCESSED | SECONDARY_ACCESSED

# Levels of tables.
FREE, PTE, PMD = np.uint8(0), np.uint8(1), np.uint8(2)

_ENTRIES = 512
_PAGES_PER_GIB = 1 << 18
_BLOCK = 1024

Pages = NDArray[np.intp]
"""Numbers of virtual pages: address / 4 KiB."""
Indices = NDArray[np.intp]
"""Positions in `PageTable.entries`."""


class Run(NamedTuple):
    """Leaf entries of neighbouring pages that lie side by side in `PageTable.entries`."""

    page: int
    """The first page, of the range asked for, that they map."""
    start: int
    stop: int
    huge: bool
    """Whether each entry maps 2 MiB."""


class PageTable:
    """Tables of 512 entries, as on x86-64: PMD tables for a GiB each, and PTE tables for 2 MiB each.

    ``entries`` is uint32[512 * number of tables]; table ``n`` is ``entries[512 * n : 512 * (n + 1)]``. It is replaced
    when tables are added, so do not keep it. ``level`` (uint8, one element a table) tells what each is. The two
    levels above are folded into ``root``: for each GiB of addresses its PMD table, or 0.

    Table 0 stays empty. Entries that are zero lead there, so looking up an address needs no test on the way.
    """

    def __init__(self) -> None:
        self.root: Indices = np.zeros(ADDRESS_LIMIT >> 30, dtype=np.intp)
        self.entries: NDArray[np.uint32] = np.zeros(_ENTRIES, dtype=np.uint32)
        self.level: NDArray[np.uint8] = np.full(1, PTE)
        self._nr_tables = 1
        self._free: Indices = np.empty(0, dtype=np.intp)

    def pmd_indices(self, pages: Pages) -> Indices:
        """Return where the PMD entries of pages are."""
        pmds: Indices = (self.root[pages >> 18] << 9) | ((pages >> 9) & 511)
        return pmds

    def leaf_indices(self, pages: Pages, pmds: Indices) -> Indices:
        """Return where the entries are that map pages, or would map them; ``pmds`` as from `pmd_indices`."""
        entries = self.entries[pmds]
        leaves = (table_numbers(entries) << 9) | (pages & 511)
        is_huge = entries & HUGE != 0
        return np.where(is_huge, pmds, leaves) if is_huge.any() else leaves

    def leaves(self, pages: Pages) -> Indices:
        """Return where the entries are that map pages, or would map them."""
        return self.leaf_indices(pages, self.pmd_indices(pages))

    def test_young(self, leaves: Indices) -> NDArray[np.bool_]:
        """Tell whether secondary MMUs have accessed pages (``mmu_notifier_test_young``)."""
        young: NDArray[np.bool_] = self.entries[leaves] & SECONDARY_ACCESSED != 0
        return young

    def clear_young(self, leaves: Indices) -> NDArray[np.bool_]:
        """Do as `test_young`, and clear their accessed bits (``mmu_notifier_clear_young``)."""
        young = self.test_young(leaves)
        self.entries[leaves] &= ~SECONDARY_ACCESSED
        return young

    def ensure_pmds(self, slots: Indices) -> None:
        """Add the PMD tables that are missing for ``slots``, numbers of 2 MiB of addresses (sorted)."""
        gib = np.unique(slots >> 9)
        missing = gib[self.root[gib] == 0]
        self.root[missing] = self._allocate(len(missing), PMD)

    def ensure(self, slots: Indices) -> None:
        """Add the tables that are missing for ``slots``, numbers of 2 MiB of addresses (sorted, none twice)."""
        self.ensure_pmds(slots)
        pmds = self.pmd_indices(slots << 9)
        missing = pmds[self.entries[pmds] == 0]
        if len(missing):
            tables = self._allocate(len(missing), PTE)
            self.entries[missing] = _pointers(tables)

    def runs(self, first: int, stop: int) -> Iterator[Run]:
        """Yield the leaf entries of the pages ``[first, stop)``, as far as there are tables for them.

        At most one GiB at a time, in order of address. A huge page that is only partly in the range is there whole.
        """
        while first < stop:
            end = min(stop, (first | (_PAGES_PER_GIB - 1)) + 1)
            if table := int(self.root[first >> 18]):
                yield from self._runs_of_table(table, first, end)
            first = end

    def _runs_of_table(self, table: int, first: int, stop: int) -> Iterator[Run]:
        slot = first >> 9
        low = (table << 9) | (slot & 511)
        entries = self.entries[low : low + ((stop - 1) >> 9) - slot + 1]
        tables = table_numbers(entries)
        # What neighbours that belong together have in common.
        kind = np.where(entries == 0, -1, np.where(entries & HUGE, -2, tables - np.arange(len(entries)) + _ENTRIES))
        cuts = [0, *(np.flatnonzero(kind[1:] != kind[:-1]) + 1).tolist(), len(entries)]
        for i, j in pairwise(cuts):
            begin, end = max(first, (slot + i) << 9), min(stop, (slot + j) << 9)
            if kind[i] == -2:
                yield Run(begin, low + i, low + j, True)
            elif kind[i] != -1:
                start = (int(tables[i]) << 9) | (begin & 511)
                yield Run(begin, start, start + end - begin, False)

    def blocks(self) -> Iterator[Indices]:
        """Yield where the leaf entries of present pages are, so many tables at a time that it needs little memory."""
        for table in range(1, self._nr_tables, _BLOCK):
            level = self.level[table : min(table + _BLOCK, self._nr_tables)]
            entries = self.entries[table << 9 : (table + len(level)) << 9].reshape(-1, _ENTRIES)
            is_leaf = (entries & PRESENT != 0) & ((level == PTE)[:, None] | (entries & HUGE != 0))
            yield np.flatnonzero(is_leaf) + (table << 9)

    def find_huge(self, head: int) -> Indices:
        """Return where the PMD entries are that map a huge page."""
        pmds = (np.flatnonzero(self.level == PMD)[:, None] << 9) + np.arange(_ENTRIES)
        entries = self.entries[pmds]
        found: Indices = pmds[(entries & HUGE != 0) & (frame_numbers(entries) == head)]
        return found

    def split(self, pmd: int) -> None:
        """Map the pages of a huge page one by one; each as accessed as the whole was."""
        table = self._allocate(1, PTE)
        entry = self.entries[pmd]
        frames = np.arange(_ENTRIES, dtype=np.uint32) + (entry >> NUMBER_SHIFT)
        self.table(int(table[0]))[:] = leaf_entries(frames) | (entry & ANY_ACCESSED)
        self.entries[pmd] = _pointers(table)[0]

    def swap_out(self, evicted: NDArray[np.bool_]) -> None:
        """Replace the entries of all ``evicted`` pages, of bool[number of frames]."""
        huge: list[Indices] = []
        for leaves in self.blocks():
            gone = leaves[evicted[frame_numbers(self.entries[leaves])]]
            huge.append(gone[self.entries[gone] & HUGE != 0])
            self.entries[gone] = SWAPPED
        if huge:
            pmds = np.concatenate(huge)
            tables = self._allocate(len(pmds), PTE)
            self.entries.reshape(-1, _ENTRIES)[tables] = SWAPPED
            self.entries[pmds] = _pointers(tables)

    def table(self, number: int) -> NDArray[np.uint32]:
        """Return the entries of one table, as a view."""
        return self.entries[number << 9 : (number + 1) << 9]

    def unlink(self, first: int, stop: int, low: int, high: int) -> Indices:
        """Take out the tables that map pages of ``[first, stop)``, and none outside ``[low, high)``; return them.

        They are still there, for those that have found them, until `free`.
        """
        slots = np.arange(max(-(-low // 512), first >> 9), min(high >> 9, -(-stop // 512)))
        pmds = self.pmd_indices(slots << 9)
        pmds = pmds[self.entries[pmds] != 0]
        tables = table_numbers(self.entries[pmds])
        self.entries[pmds] = 0
        gib = np.arange(max(-(-low // _PAGES_PER_GIB), first >> 18), min(high >> 18, -(-stop // _PAGES_PER_GIB)))
        gib = gib[self.root[gib] != 0]
        upper = self.root[gib]
        self.root[gib] = 0
        return np.concatenate([tables, upper])

    def free(self, tables: Indices) -> None:
        """Free tables; they will be used again."""
        self.level[tables] = FREE
        self.entries.reshape(-1, _ENTRIES)[tables] = 0
        self._free = np.concatenate([self._free, tables])

    def is_freed(self, indices: Indices) -> bool:
        """Tell whether any of the entries at ``indices`` is in a table that was freed."""
        return bool((self.level[indices >> 9] == FREE).any())

    def copy(self) -> "PageTable":
        """Return a copy."""
        other = PageTable()
        other.root = self.root.copy()
        other.entries = self.entries[: self._nr_tables << 9].copy()
        other.level = self.level[: self._nr_tables].copy()
        other._nr_tables = self._nr_tables
        other._free = self._free.copy()
        return other

    def _allocate(self, nr_tables: int, level: np.uint8) -> Indices:
        nr_free = min(nr_tables, len(self._free))
        first, self._nr_tables = self._nr_tables, self._nr_tables + nr_tables - nr_free
        if self._nr_tables > len(self.level):
            capacity = self._nr_tables * 5 // 4
            entries = np.zeros(capacity << 9, dtype=np.uint32)
            entries[: first << 9] = self.entries[: first << 9]
            self.entries = entries
            self.level = np.concatenate([self.level, np.full(capacity - len(self.level), FREE)])
        tables = np.concatenate([self._free[:nr_free], np.arange(first, self._nr_tables)])
        self._free = self._free[nr_free:]
        self.level[tables] = level
        return tables


def page_numbers(addresses: NDArray[np.uint64]) -> Pages:
    """Return the numbers of the pages that addresses (uint64[n]) lie in."""
    return (addresses >> np.uint64(12)).astype(np.intp)


def leaf_entries(frames: Frames) -> NDArray[np.uint32]:
    """Return entries that map pages, not accessed."""
    return (frames << NUMBER_SHIFT) | PRESENT


def frame_numbers(entries: NDArray[np.uint32]) -> Frames:
    """Return the frames that leaf entries lead to; 0 where they are not present."""
    return entries >> NUMBER_SHIFT


def table_numbers(entries: NDArray[np.uint32]) -> Indices:
    """Return the tables that entries lead to; 0 where they are empty."""
    return (entries >> NUMBER_SHIFT).astype(np.intp)


def _pointers(tables: Indices) -> NDArray[np.uint32]:
    return leaf_entries(tables.astype(np.uint32))
