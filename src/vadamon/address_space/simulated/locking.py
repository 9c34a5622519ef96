"""What guards page tables, and a checker of the rules for walking them.

The rules are those that the kernel's reviewers laid down. Page tables may be walked inside a known VMA with the mmap
lock held for reading; anywhere with it held for writing; and without locks, but only to read, with interrupts off,
where freeing tables waits for that. Tables may be freed with the mmap lock held for reading, once their VMA is gone. So
neither that lock alone nor the lock of a table keeps a table alive.

What takes or waits for locks is written as *steps*: a generator, which other threads may come in between at each
``yield``. It yields None, or a condition that must hold before it goes on.
"""

from collections.abc import Callable, Generator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.page_table import Indices, PageTable, page_numbers
from vadamon.address_space.simulated.vmas import Vmas

Condition = Callable[[], bool]
_Result = TypeVar("_Result")
Steps = Generator[Condition | None, None, _Result]


class LockingError(AssertionError):
    """Page tables were walked against the rules."""


def run(steps: Steps[_Result]) -> _Result:
    """Take steps to their end with nobody in between; return their result.

    Raises LockingError where they wait for what nobody will do.
    """
    while True:
        try:
            condition = next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
        if condition is not None and not condition():
            raise LockingError("waits for a lock that is held by steps that are not at their end")


class Locks:
    """The locks of one address space, and how many use it (``mm_users``)."""

    def __init__(self) -> None:
        self.users = 1
        self.readers = 0
        self.writer = False
        self.locked_tables: set[int] = set()
        self.nr_interrupts_off = 0
        self.freeing_waits_for_interrupts = True
        """Whether tables are freed only when no walker has interrupts off; depends on the architecture."""

    def can_read(self) -> bool:
        """Tell whether the mmap lock can be taken for reading."""
        return not self.writer

    def can_write(self) -> bool:
        """Tell whether the mmap lock can be taken for writing."""
        return not self.writer and not self.readers

    def can_change_entries(self) -> bool:
        """Tell whether nobody holds the lock of a table."""
        return not self.locked_tables

    def can_free(self) -> bool:
        """Tell whether tables that are no longer linked can be freed."""
        return not (self.freeing_waits_for_interrupts and self.nr_interrupts_off)


class Walker:
    """One thread that walks page tables: what it holds, and what it may do for that.

    ``is_kernel`` says that it is the kernel's own page walk. Others only read: nothing is ever written through a page
    table that we found ourselves.

    Each access raises LockingError where it is against the rules, or meets a table that was freed.
    """

    def __init__(self, locks: Locks, vmas: Vmas, tables: PageTable, is_kernel: bool = False) -> None:
        self._locks = locks
        self._vmas = vmas
        self._tables = tables
        self._is_kernel = is_kernel
        self._holds = ""
        self._known: NDArray[np.uint64] | None = None
        self._interrupts_off = False

    def read_lock(self) -> Steps[None]:
        """Take the mmap lock for reading."""
        yield self._locks.can_read
        self._check_used()
        self._locks.readers += 1
        self._holds = "read"

    def write_lock(self) -> Steps[None]:
        """Take the mmap lock for writing."""
        yield self._locks.can_write
        self._check_used()
        self._locks.writer = True
        self._holds = "write"

    def downgrade(self) -> None:
        """Hold the mmap lock for reading instead of writing."""
        self._locks.writer = False
        self._locks.readers += 1
        self._holds = "read"

    def unlock(self) -> None:
        """Give the mmap lock back; what was known of VMAs is known no longer."""
        if self._holds == "write":
            self._locks.writer = False
        else:
            self._locks.readers -= 1
        self._holds = ""
        self._known = None

    def lock_table(self, table: int) -> Steps[None]:
        """Take the lock of one page table."""
        yield lambda: table not in self._locks.locked_tables
        self._locks.locked_tables.add(table)

    def unlock_table(self, table: int) -> None:
        """Give the lock of one page table back."""
        self._locks.locked_tables.remove(table)

    def disable_interrupts(self) -> None:
        """Switch interrupts off."""
        self._locks.nr_interrupts_off += 1
        self._interrupts_off = True

    def enable_interrupts(self) -> None:
        """Switch interrupts on again."""
        self._locks.nr_interrupts_off -= 1
        self._interrupts_off = False

    def find(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Look up the VMAs of addresses: return which have one. Those are known until `unlock`."""
        if not self._holds:
            raise LockingError("VMAs are looked up without the mmap lock")
        mapped = self._vmas.contain(addresses)
        self._known = addresses[mapped]
        return mapped

    @property
    def known(self) -> NDArray[np.uint64]:
        """Addresses in VMAs that the last `find` found."""
        return np.empty(0, dtype=np.uint64) if self._known is None else self._known

    def read_pmds(self, addresses: NDArray[np.uint64]) -> Indices:
        """Return where the PMD entries of addresses are."""
        self._check_may_walk(addresses)
        pmds = self._tables.pmd_indices(page_numbers(addresses))
        self._check_not_freed(pmds)
        return pmds

    def read_leaves(self, addresses: NDArray[np.uint64], pmds: Indices) -> Indices:
        """Read PMD entries; return where the leaf entries of addresses are."""
        self._check_may_walk(addresses)
        self._check_not_freed(pmds)
        return self._tables.leaf_indices(page_numbers(addresses), pmds)

    def read(self, addresses: NDArray[np.uint64], leaves: Indices) -> NDArray[np.uint32]:
        """Read leaf entries."""
        self._check_may_walk(addresses)
        self._check_not_freed(leaves)
        return self._tables.entries[leaves]

    def clear(self, addresses: NDArray[np.uint64], leaves: Indices, bits: NDArray[np.uint32]) -> None:
        """Clear of each leaf entry the ``bits`` (uint32[n])."""
        if not self._is_kernel:
            raise LockingError("a page table is written that the walker found itself")
        self._check_may_walk(addresses)
        self._check_not_freed(leaves)
        self._tables.entries[leaves] &= ~bits

    def _check_may_walk(self, addresses: NDArray[np.uint64]) -> None:
        if self._holds == "write" or (self._interrupts_off and self._locks.freeing_waits_for_interrupts):
            return
        if self._holds != "read":
            raise LockingError("page tables are walked without the mmap lock")
        if addresses is not self._known and not np.isin(addresses, self.known).all():
            raise LockingError("page tables are walked outside VMAs that were looked up since the mmap lock was taken")

    def _check_not_freed(self, indices: Indices) -> None:
        if self._tables.is_freed(indices):
            raise LockingError("a page table is used that was freed")

    def _check_used(self) -> None:
        if not self._locks.users and not self._is_kernel:
            raise LockingError("the mmap lock is taken of an address space that has no users")
