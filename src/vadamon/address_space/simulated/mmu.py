"""The accesses of a simulated process to its memory, and the page faults they take."""

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.machine import Machine
from vadamon.address_space.simulated.page_table import (
    ACCESSED,
    ADDRESS_LIMIT,
    ANY_ACCESSED,
    HUGE,
    PAGE_SIZE,
    PRESENT,
    SECONDARY_ACCESSED,
    Indices,
    Pages,
    PageTable,
    frame_numbers,
    leaf_entries,
    page_numbers,
)
from vadamon.address_space.simulated.vmas import Vmas
from vadamon.errors import VadamonError

_CHUNK = 1 << 18
"""How many addresses are made at a time where a step is not whole pages."""
_LONGEST_STRIDE = 512
"""In pages; one that is longer leaves page tables out."""


class Mmu:
    """Memory of a process as its CPU, and its KVM guest, access it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.tables = PageTable()
        self._vmas = Vmas()

    def touch(self, start: int, end: int, step: int = PAGE_SIZE, write: bool = False, secondary: bool = False) -> None:
        """Access the addresses ``range(start, end, step)``; pages that are not there are brought in.

        A write gives the process a page of its own where it shares one. ``secondary`` accesses are those of a KVM
        guest: they set the accessed bit of the secondary MMU, not that of the process's page table.

        Raises VadamonError where an address is not mapped, or not for that kind of access; nothing is touched then.
        """
        if step < 1:
            raise VadamonError(f"a step of {step} bytes: use one of 1 or more")
        if start >= end:
            return
        stride = max(1, step // PAGE_SIZE)
        if (step > PAGE_SIZE and step % PAGE_SIZE) or stride > _LONGEST_STRIDE:
            for first in range(start, end, step * _CHUNK):
                addresses = np.arange(first, min(end, first + step * _CHUNK), step, dtype=np.uint64)
                self.touch_addresses(addresses, write, secondary)
            return
        last = end - 1 - (end - 1 - start) % step
        bit = SECONDARY_ACCESSED if secondary else ACCESSED
        pieces = self._pieces(start // PAGE_SIZE, last // PAGE_SIZE + 1, stride, write)
        for first_page, stop_page, is_private in pieces:
            self._mark(first_page, stop_page, stride, bit, own=write and is_private)

    def touch_addresses(self, addresses: NDArray[np.uint64], write: bool = False, secondary: bool = False) -> None:
        """Access addresses (uint64[n], in any order, repeats allowed), as `touch` does.

        Pages that are not there are brought in by order of address.
        """
        if not len(addresses):
            return
        if int(addresses.max()) >= ADDRESS_LIMIT:
            raise _not_mapped(int(addresses.max()))
        forbidden = self._vmas.forbid("w" if write else "r", addresses)
        if forbidden.any():
            raise _forbidden(int(addresses[forbidden][0]), write)
        pages = page_numbers(addresses)
        leaves = self.tables.leaves(pages)
        is_absent = self.tables.entries[leaves] & PRESENT == 0
        if is_absent.any():
            self._fault_in(np.unique(pages[is_absent]))
            leaves = self.tables.leaves(pages)
        if write:
            self._copy_on_write(np.unique(leaves[self._is_shared(leaves) & ~self._vmas.forbid("p", addresses)]))
        self.tables.entries[leaves] |= SECONDARY_ACCESSED if secondary else ACCESSED

    def _mark(self, first: int, stop: int, stride: int, bits: np.uint32, own: bool = False) -> None:
        """Bring in every ``stride``-th of the mapped pages ``[first, stop)``, and set bits of their entries.

        The last of them is touched. ``own`` pages must not be shared.
        """
        self.tables.ensure(np.arange(first >> 9, ((stop - 1) >> 9) + 1))
        for run in self.tables.runs(first, stop):
            offset = 0 if run.huge else -(run.page - first) % stride
            where = slice(run.start + offset, run.stop, 1 if run.huge else stride)
            entries = self.tables.entries[where]
            if not np.bitwise_and.reduce(entries) & PRESENT:
                absent = np.flatnonzero(entries & PRESENT == 0)
                entries[absent] = leaf_entries(self.machine.memory.allocate(len(absent)))
            if own:
                leaves = np.arange(where.start, where.stop, where.step)
                self._copy_on_write(leaves[self._is_shared(leaves)])
            entries |= bits

    def _pieces(self, first: int, stop: int, stride: int, write: bool) -> list[tuple[int, int, bool]]:
        """Cut every ``stride``-th of the pages ``[first, stop)`` by mappings.

        Returns for each its first page, the end of its last page, and whether it is private.
        """
        pieces = []
        expected = first
        for vma in self._vmas.overlapping(first * PAGE_SIZE, stop * PAGE_SIZE):
            nr_pages = -(-(min(stop, vma.end // PAGE_SIZE) - expected) // stride)
            if nr_pages <= 0:
                continue
            if expected * PAGE_SIZE < vma.start:
                break
            if ("w" if write else "r") not in vma.permissions:
                raise _forbidden(expected * PAGE_SIZE, write)
            last = expected + (nr_pages - 1) * stride
            pieces.append((expected, last + 1, "p" in vma.permissions))
            expected = last + stride
        if expected < stop:
            raise _not_mapped(expected * PAGE_SIZE)
        return pieces

    def _fault_in(self, pages: Pages) -> None:
        """Bring pages (sorted, none twice, none there) in."""
        addresses = pages.astype(np.uint64) * np.uint64(PAGE_SIZE)
        mapped = self._vmas.contain(addresses)
        if not mapped.all():
            raise _not_mapped(int(addresses[~mapped][0]))
        self.tables.ensure(np.unique(pages >> 9))
        frames = self.machine.memory.allocate(len(pages))
        self.tables.entries[self.tables.leaves(pages)] = leaf_entries(frames)

    def _is_shared(self, leaves: Indices) -> NDArray[np.bool_]:
        return self.machine.memory.mapcount[frame_numbers(self.tables.entries[leaves])] > 1

    def _copy_on_write(self, leaves: Indices) -> None:
        """Give the process pages of its own instead of shared ones."""
        if not len(leaves):
            return
        memory = self.machine.memory
        entries = self.tables.entries[leaves]
        is_huge = entries & HUGE != 0
        frames = np.empty(len(leaves), dtype=np.uint32)
        frames[is_huge] = memory.allocate_huge(int(np.count_nonzero(is_huge)))
        frames[~is_huge] = memory.allocate(int(np.count_nonzero(~is_huge)))
        self.tables.entries[leaves] = leaf_entries(frames) | (entries & HUGE)
        memory.unmap(frame_numbers(entries), entries & ANY_ACCESSED != 0)


def _not_mapped(address: int) -> VadamonError:
    return VadamonError(f"{address:#x} is not mapped: mmap it before it is touched")


def _forbidden(address: int, write: bool) -> VadamonError:
    kind = "writable" if write else "readable"
    return VadamonError(f"{address:#x} is not {kind}: mprotect it before it is touched")
