"""Clearing the accessed bits of a whole process, as often as a budget of processor time allows."""

import ctypes
import functools
import mmap
import os
import time
from pathlib import Path

DEFAULT_CLEAR_BUDGET = 0.05
"""Share of one core."""
_NEVER_NS = (1 << 64) - 1


class ClearRefsBudget:
    """When the next clearing is due, so that all of them together cost no more than a share of one core.

    Which rounds are due depends only on what earlier clearings cost, never on what a round finds: else memory that is
    idle would be counted more often than memory that is busy.
    """

    FULL_SHARE = 0.1
    """Where at least this share of the samples needs it, the whole budget is spent; where fewer do, less of it."""

    def __init__(self, budget: float) -> None:
        """Take the share of one core that may be spent, e.g. 0.05; 1 is no limit."""
        if not 0 <= budget <= 1:
            raise ValueError(f"the budget for clearing is a share of one core, from 0 to 1, not {budget}")
        self._budget = budget
        self._next_ns = 0

    def due_ns(self) -> int:
        """Return from when on the next clearing may be paid for, by the monotonic clock."""
        if self._budget == 1:
            return 0
        return self._next_ns if self._budget > 0 else _NEVER_NS

    def is_due(self, now_ns: int) -> bool:
        """Tell whether a clearing may be paid for at this time of the monotonic clock."""
        return now_ns >= self.due_ns()

    def spend(self, cost_ns: int, now_ns: int, share: float) -> None:
        """Note a clearing that cost this much processor time; ``share`` of the samples needed it."""
        allowed = self._budget * min(1.0, share / self.FULL_SHARE)
        self._next_ns = now_ns + int(cost_ns / max(allowed, 1e-6))


@functools.cache
def tracks_soft_dirty() -> bool:
    """Tell whether this kernel tracks soft-dirty pages (CONFIG_MEM_SOFT_DIRTY): a page just written to is one."""
    with mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        page[0] = 1
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
            pagemap.seek(address // mmap.PAGESIZE * 8)
            return bool(int.from_bytes(pagemap.read(8), "little") >> 55 & 1)


class ClearRefsFile:
    """/proc/PID/clear_refs of one thread's process."""

    def __init__(self, tid: int) -> None:
        self._fd = os.open(f"/proc/{tid}/clear_refs", os.O_WRONLY | os.O_CLOEXEC)

    def clear(self, *, files: bool, others: bool) -> int:
        """Clear all accessed bits in mappings of files, in the others, or in both; return its processor time in ns.

        The kernel does not flush the TLB for this, and a page that stays in it would look idle however busy it is. It
        does flush when it is asked to clear soft-dirty bits: on a kernel that tracks none, that does nothing else. On
        one that does track them it would take them from whoever uses them and cost the target a fault a page, so there
        small hot sets of shared memory are seen as accessed less than they are.
        """
        begun = time.thread_time_ns()
        os.write(self._fd, b"1" if files and others else b"3" if files else b"2")
        if not tracks_soft_dirty():
            os.write(self._fd, b"4")
        return time.thread_time_ns() - begun

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
