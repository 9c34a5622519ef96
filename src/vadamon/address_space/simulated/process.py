"""What a simulated process asks of its kernel, and what the kernel does to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import numpy as np

from vadamon.address_space.simulated.locking import Locks, Steps, Walker, run
from vadamon.address_space.simulated.machine import Machine
from vadamon.address_space.simulated.mmu import Mmu
from vadamon.address_space.simulated.page_table import (
    ADDRESS_LIMIT,
    ANY_ACCESSED,
    HUGE,
    HUGE_PAGE_SIZE,
    PAGE_SIZE,
    PRESENT,
    SWAPPED,
    Indices,
    frame_numbers,
    leaf_entries,
    table_numbers,
)
from vadamon.address_space.simulated.physical_memory import PG_REFERENCED, PG_YOUNG
from vadamon.address_space.simulated.vmas import Vmas
from vadamon.errors import VadamonError
from vadamon.mappings import Mapping

_NOT_ACCESSED = np.uint32(0)


class SimulatedProcess(Mmu):
    """A process of a simulated machine.

    Memory is private unless its permissions say ``s``. Two processes share the pages that were there when one of them
    forked, private ones until they are written. Memory has no contents: only where it is counts.

    Sizes are bytes; starts of ranges are multiples of 4 KiB, and sizes are rounded up to that. VadamonError is raised
    where a real process would get an error.

    Calls that change mappings take the mmap lock. Those that are called ``..._steps`` too can be taken step by step,
    between those of others: see `vadamon.address_space.simulated.locking`.
    """

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.locks = Locks()
        self._alive = True
        machine.processes.append(self)

    def mmap(self, start: int, size: int, name: str = "", permissions: str = "rw-p", populate: bool = False) -> None:
        """Map memory where nothing is mapped; ``populate`` brings all its pages in, without accessing them."""
        end = self._end(start, size)
        with self._write_locked():
            self._check_unmapped(start, end)
            self._vmas.insert(Mapping(start, end, permissions=permissions, name=name))
        if populate:
            self.machine.memory.reserve((end - start) // PAGE_SIZE)
            self._mark(start // PAGE_SIZE, end // PAGE_SIZE, 1, _NOT_ACCESSED)

    def munmap(self, start: int, size: int) -> None:
        """Unmap a range; parts of it may not be mapped."""
        run(self.munmap_steps(start, size))

    def munmap_steps(self, start: int, size: int) -> Steps[None]:
        """Do as `munmap`; page tables are freed with the mmap lock held for reading (``__do_munmap``)."""
        end = self._end(start, size)
        walker = self.walker(is_kernel=True)
        yield from walker.write_lock()
        self._split_edges(start, end)
        self._vmas.cut(start, end)
        yield None
        walker.downgrade()
        yield self.locks.can_change_entries
        self._zap(start, end)
        yield None
        tables = self._unlink_tables(start, end)
        yield self.locks.can_free
        self.tables.free(tables)
        walker.unlock()

    def mprotect(self, start: int, size: int, permissions: str) -> None:
        """Change the permissions of a range that is mapped."""
        end = self._end(start, size)
        with self._write_locked():
            self._check_mapped(start, end)
            for vma in self._vmas.cut(start, end):
                self._vmas.insert(replace(vma, permissions=permissions))

    def mremap(self, start: int, old_size: int, new_size: int, new_start: int | None = None) -> None:
        """Change the size of a mapping, or of part of one; move it with its pages where ``new_start`` is given."""
        new_start = start if new_start is None else new_start
        old_end, new_end = self._end(start, old_size), self._end(new_start, new_size)
        self._check_mapped(start, old_end)
        if len(self._vmas.overlapping(start, old_end)) > 1:
            raise VadamonError(f"[{start:#x}, {old_end:#x}) is more than one mapping: mremap them one by one")
        if new_start != start:
            self._check_unmapped(new_start, new_end)
        elif new_end > old_end:
            self._check_unmapped(old_end, new_end)
        kept_end = min(old_end, start + new_end - new_start)
        if kept_end < old_end:
            self.munmap(kept_end, old_end - kept_end)
        with self._write_locked():
            if new_start != start:
                self._split_edges(start, kept_end)
            (vma,) = self._vmas.cut(start, kept_end)
            self._vmas.insert(replace(vma, start=new_start, end=new_end))
            if new_start != start:
                self._move_pages(start, kept_end, new_start)
                self.tables.free(self._unlink_tables(start, kept_end))

    def fork(self) -> Self:
        """Return a child. It has the same pages; its page table says that it has accessed none of them."""
        self._check_alive()
        child = type(self)(self.machine)
        with self._write_locked():
            child._vmas = Vmas(self._vmas.mappings())
            child.tables = self.tables.copy()
            for leaves in child.tables.blocks():
                child.tables.entries[leaves] &= ~ANY_ACCESSED
                self.machine.memory.mapcount[frame_numbers(child.tables.entries[leaves])] += np.uint32(1)
        return child

    def exit(self) -> None:
        """End the process."""
        run(self.exit_steps())

    def exit_steps(self) -> Steps[None]:
        """Do as `exit`; the address space is freed by the last that uses it."""
        if self._alive:
            self._alive = False
            yield None
            yield from self.put_steps()

    def get(self) -> bool:
        """Keep the address space from being freed until `put_steps`; False if it was (``mmget_not_zero``)."""
        if self.locks.users:
            self.locks.users += 1
            return True
        return False

    def put_steps(self) -> Steps[None]:
        """Use the address space no longer; the last to do so frees it (``mmput``)."""
        self.locks.users -= 1
        if not self.locks.users:
            yield from self._exit_mmap()

    def walker(self, is_kernel: bool = False) -> Walker:
        """Return a new thread that can walk the page tables."""
        return Walker(self.locks, self._vmas, self.tables, is_kernel)

    def swap_out(self, start: int, size: int) -> None:
        """Evict the pages that are there in a range to swap, for all processes that share them."""
        end = self._end(start, size)
        self._split_edges(start, end)
        runs = self.tables.runs(start // PAGE_SIZE, end // PAGE_SIZE)
        entries = [self.tables.entries[run.start : run.stop] for run in runs]
        for present in [e[e & PRESENT != 0] for e in entries]:
            self.machine.swap_out(frame_numbers(present))

    def swap_in(self, start: int, size: int) -> None:
        """Bring in what a range has in swap, without accessing it."""
        end = self._end(start, size)
        for run_ in self.tables.runs(start // PAGE_SIZE, end // PAGE_SIZE):
            entries = self.tables.entries[run_.start : run_.stop]
            swapped = np.flatnonzero(entries == SWAPPED)
            entries[swapped] = leaf_entries(self.machine.memory.allocate(len(swapped)))

    def collapse(self, start: int) -> None:
        """Make a huge page of the 2 MiB at ``start``, of which some page must be there."""
        run(self.collapse_steps(start))

    def collapse_steps(self, start: int) -> Steps[None]:
        """Do as `collapse`: the pages are copied, and their table is freed, as khugepaged does it."""
        if start % HUGE_PAGE_SIZE:
            raise VadamonError(f"{start:#x} is not a multiple of 2 MiB: a huge page begins at one that is")
        walker = self.walker(is_kernel=True)
        yield from walker.write_lock()
        try:
            pmd = self._pmd(start)
            if not self._is_huge(pmd):
                self._check_collapsible(start, pmd)
                yield self.locks.can_change_entries
                tables = table_numbers(self.tables.entries[pmd : pmd + 1])
                self.tables.entries[pmd] = 0
                yield self.locks.can_free
                self.tables.entries[pmd] = self._copy_to_huge_page(int(tables[0]))
                self.tables.free(tables)
        finally:
            walker.unlock()

    def split(self, start: int) -> None:
        """Make 512 pages of the huge page that ``start`` lies in, if it does, for all processes that share it."""
        with self._write_locked():
            pmd = self._pmd(start)
            if self._is_huge(pmd):
                self.machine.split_huge_page(int(frame_numbers(self.tables.entries[pmd])))

    def _pmd(self, address: int) -> int:
        return int(self.tables.pmd_indices(np.array([address // PAGE_SIZE]))[0])

    def _is_huge(self, pmd: int) -> bool:
        return bool(self.tables.entries[pmd] & HUGE)

    def _check_collapsible(self, start: int, pmd: int) -> None:
        end = start + HUGE_PAGE_SIZE
        vmas = self._vmas.overlapping(start, end)
        if len(vmas) != 1 or vmas[0].start > start or vmas[0].end < end or "p" not in vmas[0].permissions:
            raise VadamonError(f"[{start:#x}, {end:#x}) is not within one private mapping: map it before the collapse")
        table = int(table_numbers(self.tables.entries[pmd : pmd + 1])[0])
        if not (self.tables.table(table) & PRESENT).any():
            raise VadamonError(f"[{start:#x}, {end:#x}) has no page: touch it before the collapse")

    def _copy_to_huge_page(self, table: int) -> np.uint32:
        """Let a new huge page take the place of the pages of a PTE table; return its entry."""
        memory = self.machine.memory
        entries = self.tables.table(table)
        entries = entries[entries & PRESENT != 0]
        frames = frame_numbers(entries)
        accessed = entries & ANY_ACCESSED != 0
        head = memory.allocate_huge(1)
        if accessed.any() or (memory.flags[frames] & (PG_YOUNG | PG_REFERENCED)).any():
            memory.flags[head] |= PG_REFERENCED
        memory.unmap(frames, accessed)
        entry: np.uint32 = leaf_entries(head)[0] | HUGE
        return entry

    def _zap(self, start: int, end: int) -> None:
        """Take all pages away from a range, in which no huge page begins or ends outside."""
        for run_ in self.tables.runs(start // PAGE_SIZE, end // PAGE_SIZE):
            entries = self.tables.entries[run_.start : run_.stop]
            present = entries[entries & PRESENT != 0]
            self.machine.memory.unmap(frame_numbers(present), present & ANY_ACCESSED != 0)
            entries[:] = 0

    def _unlink_tables(self, start: int, end: int) -> Indices:
        """Take the page tables out that no mapping needs any more, now that nothing is mapped in a range."""
        low, high = self._vmas.gap(start, end)
        return self.tables.unlink(start // PAGE_SIZE, end // PAGE_SIZE, low // PAGE_SIZE, high // PAGE_SIZE)

    def _exit_mmap(self) -> Steps[None]:
        walker = self.walker(is_kernel=True)
        spans = self._vmas.mappings().ranges()
        yield from walker.read_lock()
        for start, end in spans:
            self._zap(start, end)
        walker.unlock()
        yield from walker.write_lock()
        self._vmas.cut(0, ADDRESS_LIMIT)
        tables = [self._unlink_tables(start, end) for start, end in spans]
        yield self.locks.can_free
        for unlinked in tables:
            self.tables.free(unlinked)
        walker.unlock()
        self.machine.processes.remove(self)

    def _split_edges(self, start: int, end: int) -> None:
        """Split huge pages that lie only partly in a range."""
        for edge in (start, end):
            pmd = self._pmd(edge) if edge % HUGE_PAGE_SIZE else 0
            if self._is_huge(pmd):
                self.machine.split_huge_page(int(frame_numbers(self.tables.entries[pmd])))

    def _move_pages(self, start: int, end: int, new_start: int) -> None:
        """Move the entries of a range as they are; a huge page stays one where it lands on a multiple of 2 MiB."""
        tables = self.tables
        distance = (new_start - start) // PAGE_SIZE
        first, stop = start // PAGE_SIZE, end // PAGE_SIZE
        if distance % 512:
            for huge in [run for run in tables.runs(first, stop) if run.huge]:
                for pmd in range(huge.start, huge.stop):
                    self.machine.split_huge_page(int(frame_numbers(tables.entries[pmd])))
        for run_ in list(tables.runs(first, stop)):
            step = 512 if run_.huge else 1
            pages = run_.page + distance + np.arange(0, (run_.stop - run_.start) * step, step)
            if run_.huge:
                tables.ensure_pmds(pages >> 9)
                new = tables.pmd_indices(pages)
            else:
                tables.ensure(np.unique(pages >> 9))
                new = tables.leaves(pages)
            old = tables.entries[run_.start : run_.stop]
            tables.entries[new] = old
            old[:] = 0

    @contextmanager
    def _write_locked(self) -> Iterator[None]:
        walker = self.walker(is_kernel=True)
        run(walker.write_lock())
        try:
            yield
        finally:
            walker.unlock()

    def _end(self, start: int, size: int) -> int:
        """Return the end of a range, after checking it."""
        self._check_alive()
        if start % PAGE_SIZE:
            raise VadamonError(f"{start:#x} is not a multiple of 4 KiB: a page begins at one that is")
        end = start + -(-size // PAGE_SIZE) * PAGE_SIZE
        if not 0 <= start < end <= ADDRESS_LIMIT:
            raise VadamonError(f"[{start:#x}, {end:#x}) is no range of user addresses: stay below {ADDRESS_LIMIT:#x}")
        return end

    def _check_alive(self) -> None:
        if not self._alive:
            raise VadamonError("the simulated process has ended: start another one")

    def _check_mapped(self, start: int, end: int) -> None:
        mapped = sum(min(end, vma.end) - max(start, vma.start) for vma in self._vmas.overlapping(start, end))
        if mapped < end - start:
            raise VadamonError(f"[{start:#x}, {end:#x}) is not mapped all through: mmap it first")

    def _check_unmapped(self, start: int, end: int) -> None:
        for vma in self._vmas.overlapping(start, end):
            raise VadamonError(
                f"[{start:#x}, {end:#x}) overlaps the mapping [{vma.start:#x}, {vma.end:#x}): munmap that first"
            )
