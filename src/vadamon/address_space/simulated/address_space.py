"""A simulated process as a monitor sees it."""

from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.locking import Steps, Walker, run
from vadamon.address_space.simulated.lru import Frames
from vadamon.address_space.simulated.page_table import (
    ACCESSED,
    HUGE,
    HUGE_PAGE_SIZE,
    PAGE_SIZE,
    PRESENT,
    SECONDARY_ACCESSED,
    SWAPPED,
    Indices,
    frame_numbers,
    page_numbers,
)
from vadamon.address_space.simulated.physical_memory import PG_IDLE, PG_LRU, PG_ONLINE, PG_YOUNG
from vadamon.address_space.simulated.process import SimulatedProcess
from vadamon.mappings import Mappings


class PageState(NamedTuple):
    """State of the pages that n addresses lie in."""

    present: NDArray[np.bool_]
    swapped: NDArray[np.bool_]
    accessed: NDArray[np.bool_]
    """Accessed bit of the PTE, or of the PMD."""
    secondary_accessed: NDArray[np.bool_]
    """Accessed bit of the secondary MMU."""
    size: NDArray[np.uint64]
    """4 KiB or 2 MiB, in bytes."""
    frame: Frames
    """Physical page, of a huge page the first; 0 where there is none."""
    flags: NDArray[np.uint8]
    """``PG_*`` of the physical page."""


class SimulatedAddressSpace(SimulatedProcess):
    """A simulated process with what an `AddressSpace` has; see there for shapes and types.

    `mkold` and `young` do step by step what ``damon_va_mkold`` and ``damon_va_young`` do. Both walk inside known VMAs
    with the mmap lock held for reading. A page that is not present, not online or on no LRU list is not accessed.

    An access that another process makes to a shared page is seen only once reclaim has found it.
    """

    def mappings(self) -> Mappings:
        """Return the mappings as they are now."""
        return self._vmas.mappings()

    def mkold(self, addresses: NDArray[np.uint64]) -> None:
        """Clear the accessed bits of pages in all MMUs, keep what they said in PG_YOUNG, and set PG_IDLE."""
        run(self.mkold_steps(addresses))

    def young(self, addresses: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Ask which pages were accessed since their `mkold`; since they came, where they came later."""
        return run(self.young_steps(addresses))

    def is_alive(self) -> bool:
        """Tell whether the process still runs."""
        return self._alive

    def close(self) -> None:
        """Leave the process alone; it runs on."""

    def __enter__(self) -> "SimulatedAddressSpace":
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def mkold_steps(self, addresses: NDArray[np.uint64]) -> Steps[None]:
        """Do as `mkold`, step by step: it is the kernel's own walk, so it may write."""
        if not self.get():
            return
        walker = self.walker(is_kernel=True)
        yield from walker.read_lock()
        walker.find(addresses)
        leaves = yield from self._walk(walker)
        yield self.locks.can_change_entries
        self._clear(walker, leaves)
        walker.unlock()
        yield from self.put_steps()

    def young_steps(self, addresses: NDArray[np.uint64]) -> Steps[tuple[NDArray[np.bool_], NDArray[np.uint64]]]:
        """Do as `young`, step by step: it only reads."""
        accessed = np.zeros(len(addresses), dtype=np.bool_)
        size = np.full(len(addresses), PAGE_SIZE, dtype=np.uint64)
        if self.get():
            walker = self.walker()
            yield from walker.read_lock()
            mapped = walker.find(addresses)
            leaves = yield from self._walk(walker)
            yield None
            entries = walker.read(walker.known, leaves)
            flags = self.machine.memory.flags[frame_numbers(entries)]
            is_young = (entries & ACCESSED != 0) | (flags & PG_IDLE == 0) | self.tables.test_young(leaves)
            accessed[mapped] = is_young & _can_be_monitored(flags)
            size[mapped] = _page_sizes(entries)
            walker.unlock()
            yield from self.put_steps()
        return accessed, size

    def pages(self, addresses: NDArray[np.uint64]) -> PageState:
        """Look at pages, of addresses (uint64[n], in any order); nothing changes."""
        entries = self.tables.entries[self.tables.leaves(page_numbers(addresses))]
        frames = frame_numbers(entries)
        return PageState(
            present=entries & PRESENT != 0,
            swapped=entries == SWAPPED,
            accessed=entries & ACCESSED != 0,
            secondary_accessed=entries & SECONDARY_ACCESSED != 0,
            size=_page_sizes(entries),
            frame=frames,
            flags=self.machine.memory.flags[frames],
        )

    def _walk(self, walker: Walker) -> Steps[Indices]:
        """Return where the leaf entries of the addresses are whose VMAs the walker knows."""
        yield None
        pmds = walker.read_pmds(walker.known)
        yield None
        return walker.read_leaves(walker.known, pmds)

    def _clear(self, walker: Walker, leaves: Indices) -> None:
        memory = self.machine.memory
        entries = walker.read(walker.known, leaves)
        frames = frame_numbers(entries)
        usable = _can_be_monitored(memory.flags[frames])
        walker.clear(walker.known, leaves, np.where(usable, ACCESSED, np.uint32(0)))
        was_young = (entries[usable] & ACCESSED != 0) | self.tables.clear_young(leaves[usable])
        frames = frames[usable]
        memory.flags[frames[was_young]] |= PG_YOUNG
        memory.flags[frames] |= PG_IDLE


def _can_be_monitored(flags: NDArray[np.uint8]) -> NDArray[np.bool_]:
    # Where nothing is present the flags are those of frame 0, which is on no list.
    both = PG_LRU | PG_ONLINE
    can_be: NDArray[np.bool_] = flags & both == both
    return can_be


def _page_sizes(entries: NDArray[np.uint32]) -> NDArray[np.uint64]:
    return np.where(entries & HUGE != 0, HUGE_PAGE_SIZE, PAGE_SIZE).astype(np.uint64)
