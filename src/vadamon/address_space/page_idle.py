"""The idle page bitmap as an address space: accessed bits by frame numbers, cleared in all page tables at once."""

import contextlib
import os
import select
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from vadamon._native import page_idle as native
from vadamon.address_space import procfs
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.snapshot import SampleHealth

BITMAP = Path("/sys/kernel/mm/page_idle/bitmap")
KPAGEFLAGS = Path("/proc/kpageflags")


class PageIdleAddressSpace:
    """Read and cleared through ``/sys/kernel/mm/page_idle/bitmap`` (``mm/page_idle.c``).

    - *mkold* looks up the frames behind the addresses (``/proc/PID/pagemap``) and marks them idle, of a large folio its
      head. The kernel clears their accessed bits in the page tables of all processes, and keeps for reclaim what they
      said. A page that does not take the mark, as one that is so new that it is on no LRU list yet, is void.
    - *young* looks up the frames again: where another one is behind an address (migration, swap, copy on write), that
      is no evidence, and the sample is void. The others are young whose mark is gone.

    Nothing is flushed from the TLB, as the kernel's own DAMON does not: a page that stays in it looks idle however busy
    it is. No huge page is split, and the target is not interrupted.

    Raises VadamonError where the process cannot be watched this way, saying why and what would help.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._generation = 0
        self._maps = procfs.MapsFile()
        self._health = np.zeros(3, dtype=np.int64)
        self._resize(0)
        with contextlib.ExitStack() as opened:
            pidfd, tid = procfs.open_target(pid)
            opened.callback(os.close, pidfd)
            self._poll = select.poll()
            self._poll.register(pidfd, select.POLLIN)
            files = [_open(BITMAP, os.O_RDWR), _open(KPAGEFLAGS, os.O_RDONLY)]
            for file in files:
                opened.callback(os.close, file)
            self._pages = native.PageIdle(bitmap=files[0], kpageflags=files[1])
            self._pagemap = _open_pagemap(tid)
            opened.callback(self._close_pagemap)
            _check_right_to_frames()
            self._opened = opened.pop_all()

    def mappings(self) -> Mappings:
        """Return the mappings as they are now; none once the process has ended."""
        threads = procfs.threads(self.pid)
        return self._maps.read(threads[0]) if threads else Mappings()

    def mkold(self, addresses: NDArray[np.uint64]) -> None:
        """Clear the accessed bits of the pages at ``addresses`` (uint64[n], sorted)."""
        if len(addresses) != len(self._voids):
            self._resize(len(addresses))
        if not self._pages.mkold(self._pagemap, addresses, self._voids):
            self._look_again()

    def young(self, addresses: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Return ``(accessed: bool[n], page_size: uint64[n] in bytes)`` for the addresses of the last `mkold`.

        The arrays are reused by the next call.
        """
        if not self._pages.young(self._pagemap, addresses, self._voids, self._accessed, self._page_size):
            self._look_again()
        if self._voids.any():
            self._health += np.bincount(self._voids, minlength=3)
        return self._accessed.view(np.bool_), self._page_size

    def voids(self) -> NDArray[np.bool_]:
        """Return bool[n]: where the last `young` tells nothing."""
        return self._voids.astype(np.bool_)

    def take_health(self) -> SampleHealth:
        """Return what went wrong since the last call."""
        uncleared, unchecked = self._health[[native.UNCLEARED, native.UNCHECKED]].tolist()
        self._health.fill(0)
        return SampleHealth(uncleared=uncleared, unchecked=unchecked)

    def resident(self) -> int:
        """Return how many bytes are in memory now; 0 once the process has ended."""
        return procfs.resident(self.pid)

    def generation(self) -> int:
        """Return how often the process has begun a new address space (``execve``) since it is watched."""
        return self._generation

    def is_alive(self) -> bool:
        """Tell whether the process still runs."""
        return not self._poll.poll(0)

    def close(self) -> None:
        """Let go of the process. Nothing is left behind in it."""
        self._opened.close()

    def __enter__(self) -> "PageIdleAddressSpace":
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _resize(self, n: int) -> None:
        self._voids = np.zeros(n, dtype=np.uint8)
        self._accessed = np.zeros(n, dtype=np.uint8)
        self._page_size = np.zeros(n, dtype=np.uint64)

    def _look_again(self) -> None:
        """Find the new address space: the one behind the pagemap is gone, by the end of the process or by execve."""
        if not self.is_alive():
            return
        for tid in procfs.threads(self.pid)[:1]:
            with contextlib.suppress(VadamonError):  # it ends just now
                pagemap = _open_pagemap(tid)
                self._close_pagemap()
                self._pagemap = pagemap
                self._generation += 1

    def _close_pagemap(self) -> None:
        os.close(self._pagemap)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise VadamonError(f"this kernel has no {path}: it needs CONFIG_IDLE_PAGE_TRACKING") from error
    except OSError as error:
        raise VadamonError(
            f"no right to use {path}: run as root, or with CAP_SYS_ADMIN and CAP_DAC_OVERRIDE"
        ) from error


def _open_pagemap(tid: int) -> int:
    try:
        return os.open(f"/proc/{tid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise VadamonError(
            f"process {tid} ({procfs.name(tid)}): {error.filename}: {error.strerror}: "
            "run as its owner, as root, or with CAP_SYS_PTRACE"
        ) from error


def _check_right_to_frames() -> None:
    """The kernel shows 0 for each frame to whoever lacks CAP_SYS_ADMIN: ask for one of a page that is surely there."""
    page = np.ones(1, dtype=np.uint64)
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        pagemap.seek(page.ctypes.data // 4096 * 8)
        entry = int.from_bytes(pagemap.read(8), "little")
    if not entry & ((1 << 55) - 1):
        raise VadamonError("no right to see frame numbers: run as root, or with CAP_SYS_ADMIN")
