"""The physical pages of a simulated machine, as struct of arrays."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.lru import Frames, PageList
from vadamon.errors import VadamonError

PG_IDLE = np.uint8(1)
"""Nobody is known to have accessed the page since `mkold`, or since it came."""
PG_YOUNG = np.uint8(2)
"""`mkold` took an accessed bit away that reclaim has not seen."""
PG_REFERENCED = np.uint8(4)
"""A mapping of the page that had been accessed is gone, and reclaim has not seen that."""
PG_LRU = np.uint8(8)
"""The page is on the inactive list, or with `PG_ACTIVE` on the active one."""
PG_ACTIVE = np.uint8(16)
PG_ONLINE = np.uint8(32)
PG_HEAD = np.uint8(64)
"""The first of the 512 frames of a huge page. It has the flags and the count of mappings of the whole."""

PAGES_PER_HUGE_PAGE = 512
MAX_NR_FRAMES = 1 << 27

_Scalar = TypeVar("_Scalar", np.uint8, np.uint32)

_NEW = PG_IDLE | PG_LRU | PG_ONLINE


class PhysicalMemory:
    """Flags and number of mappings of each physical page, and the lists that reclaim goes by.

    ``flags`` (uint8, ``PG_*``; 0 where the frame is free) and ``mapcount`` (uint32) have one element a frame. They are
    replaced when memory grows, so do not keep them. Frame 0 is never used: entries of a page table that are empty
    or swapped out lead there, to a page that is on no list.

    A new page is idle: nobody has accessed it. The kernel leaves PG_idle clear there, so that its DAMON takes a page
    as accessed that came after mkold, whoever brought it.
    """

    def __init__(self) -> None:
        self.flags: NDArray[np.uint8] = np.zeros(1, dtype=np.uint8)
        self.mapcount: NDArray[np.uint32] = np.zeros(1, dtype=np.uint32)
        self.active = PageList()
        self.inactive = PageList()
        self._nr_frames = 1
        self._free: Frames = np.empty(0, dtype=np.uint32)
        self._free_huge: Frames = np.empty(0, dtype=np.uint32)
        # Freed, but perhaps still in a list: not to be used again before the lists are rid of them.
        self._freed: list[Frames] = []
        self._freed_huge: list[Frames] = []
        self._nr_freed = 0

    def reserve(self, nr_pages: int) -> None:
        """Make room for that many new pages, so that it is not made, and all copied, bit by bit."""
        stop = self._nr_frames + nr_pages
        if stop > MAX_NR_FRAMES:
            raise VadamonError(
                f"the simulated machine has no more than {MAX_NR_FRAMES >> 18} GiB of memory: touch less of it"
            )
        if stop > len(self.flags):
            self.flags = _enlarged(self.flags, stop)
            self.mapcount = _enlarged(self.mapcount, stop)
        self.inactive.reserve(nr_pages)

    def allocate(self, nr_pages: int) -> Frames:
        """Return that many new pages, each mapped once, on the inactive list as its newest."""
        self._recycle_if_worth_it()
        nr_free = min(nr_pages, len(self._free))
        frames = np.concatenate([self._free[:nr_free], self._grow(nr_pages - nr_free)])
        self._free = self._free[nr_free:]
        self._begin(frames, _NEW)
        return frames

    def allocate_huge(self, nr_pages: int) -> Frames:
        """Return the heads of that many new huge pages of 2 MiB, as `allocate` does."""
        self._recycle_if_worth_it()
        nr_free = min(nr_pages, len(self._free_huge))
        new = self._grow((nr_pages - nr_free) * PAGES_PER_HUGE_PAGE)[::PAGES_PER_HUGE_PAGE]
        frames = np.concatenate([self._free_huge[:nr_free], new])
        self._free_huge = self._free_huge[nr_free:]
        self._begin(frames, _NEW | PG_HEAD)
        return frames

    def unmap(self, frames: Frames, accessed: NDArray[np.bool_]) -> None:
        """Take one mapping away from each page (no page twice); a page without mappings is freed.

        ``accessed`` (bool[n]) tells whether that mapping had been accessed; reclaim will know.
        """
        left = self.mapcount[frames] - np.uint32(1)
        self.mapcount[frames] = left
        self.flags[frames[accessed]] |= PG_REFERENCED
        self.free(frames[left == 0])

    def free(self, frames: Frames) -> None:
        """Free pages, however often they are mapped."""
        is_huge = self.flags[frames] & PG_HEAD != 0
        self._freed.append(frames[~is_huge])
        self._freed_huge.append(frames[is_huge])
        self._nr_freed += len(frames)
        self.flags[frames] = 0
        self.mapcount[frames] = 0

    def sizes(self, frames: Frames) -> NDArray[np.intp]:
        """Return how many pages of 4 KiB each page has: 512 for a huge page."""
        return np.where(self.flags[frames] & PG_HEAD, PAGES_PER_HUGE_PAGE, 1)

    def split(self, head: int) -> None:
        """Make 512 pages of a huge page. They are mapped and flagged as it was, and next to it in its list."""
        tails = np.arange(head + 1, head + PAGES_PER_HUGE_PAGE, dtype=np.uint32)
        self.flags[head] &= ~PG_HEAD
        self.flags[tails] = self.flags[head]
        self.mapcount[tails] = self.mapcount[head]
        if self.flags[head] & PG_LRU:
            (self.active if self.flags[head] & PG_ACTIVE else self.inactive).insert_after(head, tails)

    def isolate(self, frames: Frames) -> None:
        """Take pages off their list: they cannot be reclaimed, nor monitored."""
        self.flags[frames] &= ~PG_LRU
        self._remove_from_lists()

    def putback(self, frames: Frames) -> None:
        """Put isolated pages back on the list they were on, as its newest."""
        frames = frames[self.flags[frames] & PG_LRU == 0]
        self.flags[frames] |= PG_LRU
        is_active = self.flags[frames] & PG_ACTIVE != 0
        self.active.push(frames[is_active])
        self.inactive.push(frames[~is_active])

    def set_online(self, frames: Frames, online: bool) -> None:
        """Put the memory that pages lie in online or offline; pages that are offline cannot be monitored."""
        if online:
            self.flags[frames] |= PG_ONLINE
        else:
            self.flags[frames] &= ~PG_ONLINE

    def _begin(self, frames: Frames, flags: np.uint8) -> None:
        self.flags[frames] = flags
        self.mapcount[frames] = 1
        self.inactive.push(frames)

    def _grow(self, nr_frames: int) -> Frames:
        self.reserve(nr_frames)
        first, self._nr_frames = self._nr_frames, self._nr_frames + nr_frames
        return np.arange(first, self._nr_frames, dtype=np.uint32)

    def _recycle_if_worth_it(self) -> None:
        # It goes through both lists, so only when there is a good part of them to be gained.
        if self._nr_freed and 4 * self._nr_freed >= len(self.active) + len(self.inactive):
            self._remove_from_lists()

    def _remove_from_lists(self) -> None:
        """Remove what is no longer on a list; frames that were freed can then be used again."""
        for pages in (self.active, self.inactive):
            pages.keep(self.flags[pages.frames] & PG_LRU != 0)
        self._free = np.concatenate([self._free, *self._freed])
        self._free_huge = np.concatenate([self._free_huge, *self._freed_huge])
        self._freed, self._freed_huge, self._nr_freed = [], [], 0


def _enlarged(array: NDArray[_Scalar], size: int) -> NDArray[_Scalar]:
    larger = np.zeros(size * 5 // 4, dtype=array.dtype)
    larger[: len(array)] = array
    return larger
