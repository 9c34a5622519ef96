"""The page-table address space: accessed bits of a live process, on kernels as they are shipped."""

import mmap
import os
import select
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vadamon import ranges
from vadamon.address_space import procfs
from vadamon.address_space.base import Rounds, Scan, Schedule, Stage
from vadamon.address_space.clear_refs import DEFAULT_CLEAR_BUDGET, ClearRefsBudget, ClearRefsFile
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.regions import Regions
from vadamon.snapshot import SampleHealth

if TYPE_CHECKING:
    from vadamon._native.page_table import RoundTarget, ScanResult

DEFAULT_FLUSH_BUDGET = 0.01
_EXTRA_CHECKS = 15
_NO_RANGES = (np.empty(0, dtype=np.uint64),) * 2


class PageTableAddressSpace:
    """Read by an eBPF walk of the page table, cleared by ``process_madvise(MADV_COLD)``.

    - *young* only reads, inside a known VMA, with the mmap lock held for reading (`_native/page_table`).
    - *mkold* looks first, and clears only pages that are young, always the whole folio, so that no huge page is ever
      split. What MADV_COLD takes from reclaim's view of a page is given back after the check.
    - Pages that MADV_COLD leaves alone (mapped by several processes, mlocked, partly mapped large folios) are cleared
      by ``clear_refs``, as often as ``clear_budget`` (a share of one core) allows; in between their samples are void.
    - Each page that is cleared is flushed from the TLB, for which the target is interrupted. Where that would take more
      than ``flush_budget`` of its time, only every second sample is used, or every third, ... in turns.

    Raises VadamonError where the process cannot be watched this way, saying why and what would help.
    """

    def __init__(
        self, pid: int, clear_budget: float = DEFAULT_CLEAR_BUDGET, flush_budget: float = DEFAULT_FLUSH_BUDGET
    ) -> None:
        if not 0 < flush_budget <= 1:
            raise ValueError(f"the budget for flushes is a share of the target's time, above 0, not {flush_budget}")
        try:
            from vadamon._native import page_table as native
        except ImportError as error:
            raise VadamonError(
                "vadamon was built without the page-table backend: install clang and libbpf-dev, then install it again"
            ) from error
        self.pid = pid
        self._native = native
        self._pidfd, self._tid = procfs.open_target(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)
        self._budget = ClearRefsBudget(clear_budget)
        self._maps = procfs.MapsFile()
        self._clear_refs: ClearRefsFile | None = None
        self._alive = True
        self._generation = 0
        self._extra_checks = 0
        self._resize(0)
        self._health = np.zeros(5, dtype=np.int64)
        self._uncleared: ranges.Ranges | None = None  # by the last scan; None where nothing is known of any page
        try:
            self._page_table = native.PageTable(pid, self._tid, flush_budget)
        except VadamonError:
            os.close(self._pidfd)
            raise
        self._identity = self._page_table.identity

    def mappings(self) -> Mappings:
        """Return the mappings as they are now; none once the process has ended."""
        return self._maps.read(self._tid) if self._alive else Mappings()

    def mkold(self, addresses: NDArray[np.uint64]) -> None:
        """Clear the accessed bits of the pages at ``addresses`` (uint64[n], sorted)."""
        if len(addresses) != len(self._voids):
            self._resize(len(addresses))
        self._extra_checks = 0
        result = self._page_table.mkold(addresses, self._voids)
        if result != self._native.OK:
            self._voids.fill(self._native.UNCHECKED)
            self._look_again()
            return
        files, others, young = self._page_table.refs
        if files or others:
            self._clear_by_refs(files, others, young)

    def _clear_by_refs(self, files: int, others: int, young: int) -> None:
        now_ns = time.monotonic_ns()
        if not self._budget.is_due(now_ns):
            return
        if young:
            share = (files + others) / self._page_table.present
            if not self._clear_all(now_ns, share, files=bool(files), others=bool(others)):
                return
            self._extra_checks = _EXTRA_CHECKS
        self._voids[self._voids == self._native.NEEDS_CLEAR_REFS] = 0

    def _clear_all(self, now_ns: int, share: float, *, files: bool, others: bool) -> bool:
        """Use clear_refs, which ``share`` of what is looked at needs; tell whether that could be done."""
        try:
            if self._clear_refs is None:
                self._clear_refs = ClearRefsFile(self._tid)
            cost_ns = self._clear_refs.clear(files=files, others=others)
        except OSError:
            return False
        self._budget.spend(cost_ns, now_ns, share)
        return True

    @classmethod
    def rounds(
        cls, targets: Sequence[tuple["PageTableAddressSpace", Regions]], rng: np.random.Generator, schedule: Schedule
    ) -> Rounds:
        """Take samples of all targets, and count them, until the schedule ends or one needs the caller."""
        from vadamon._native import page_table as native

        if not all(0 < len(regions) <= native.MAX_ROUND_REGIONS for _, regions in targets):
            return Rounds.none(schedule)
        laid_out = [space._lay_out(regions) for space, regions in targets]
        stage, *found, nr_void = native.take_rounds(laid_out, rng.bit_generator, schedule)
        for (space, _), nr in zip(targets, nr_void, strict=True):
            space._health += nr
        nr_done, *rest = found
        return Rounds(Stage(stage), nr_done, [target[3] for target in laid_out], *rest)

    def _lay_out(self, regions: Regions) -> "RoundTarget":
        n = len(regions)
        if n != len(self._voids):
            self._resize(n)
        self._extra_checks = 0
        addresses = np.empty(n, dtype=np.uint64)
        return (
            *(self._page_table, regions, self._budget.due_ns()),
            *(addresses, self._voids, self._accessed, self._page_size),
        )

    def scan(self, start: NDArray[np.uint64], end: NDArray[np.uint64], *, clear: bool = True) -> Scan:
        """Look at every page of the ranges ``[start, end)`` (uint64[n], sorted).

        Whole page tables are read at once; memory that is not young costs no more than that. Young pages are cleared as
        by `mkold`, neighbours together. What reclaim knew of a page it gets back once the page is young no longer, or
        when this is closed: giving it back at each scan would cost more than the scan.

        Raises VadamonError where the kernel is not one on which this can be done.
        """
        result, found = self._page_table.scan(start, end, clear)
        if result != self._native.OK or not len(start):
            self._look_again()
        if found is None or not found.complete or not len(start):
            self._uncleared = None
            now_ns = time.monotonic_ns()
            nothing = np.empty(0, dtype=np.uint64)
            return Scan(*_NO_RANGES, nothing, *_NO_RANGES, 0, now_ns, now_ns, complete=False)
        voids = self._uncleared
        end_ns = found.end_ns
        if clear:
            left = found.uncleared
            if len(found.refs) and not self._clear_scanned(found):
                left = np.concatenate((left, found.refs)) if len(left) else found.refs
            self._uncleared = ranges.union(left[:, 0], left[:, 1])
            end_ns = time.monotonic_ns()
        run_start, run_end, page_size = found.young.T.copy()
        if voids is not None and len(voids[0]):
            run_start, run_end, source = ranges.subtract(run_start, run_end, voids)
            page_size = page_size[source]
            self._health[self._native.UNCLEARED] += ranges.total_size(voids) // mmap.PAGESIZE
        return Scan(
            *(run_start, run_end, page_size, *(voids or _NO_RANGES)),
            *(found.resident, found.begin_ns, end_ns),
            complete=voids is not None,
        )

    def _clear_scanned(self, found: "ScanResult") -> bool:
        """Clear what only clear_refs clears, if that may be paid for now."""
        now_ns = time.monotonic_ns()
        if not self._budget.is_due(now_ns):
            return False
        share = ranges.total_size((found.refs[:, 0], found.refs[:, 1])) / ranges.total_size(
            (found.young[:, 0], found.young[:, 1])
        )
        return self._clear_all(now_ns, share, files=found.refs_file, others=found.refs_anon)

    def nr_extra_checks(self) -> int:
        """Return how many more addresses a region are worth checking: some, where clear_refs cleared in this round."""
        return self._extra_checks

    def young_extra(self, addresses: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return ``(accessed: bool[n], void: bool[n])`` for addresses that no `mkold` prepared."""
        result = self._page_table.young(addresses, self._voids, self._accessed, self._page_size, unprepared=True)
        if result != self._native.OK:
            self._voids.fill(self._native.UNCHECKED)
            self._look_again()
        return self._accessed.view(np.bool_), self._voids.astype(np.bool_)

    def young(self, addresses: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        """Return ``(accessed: bool[n], page_size: uint64[n] in bytes)``; the arrays are reused by the next call."""
        if len(addresses) != len(self._voids):
            self._resize(len(addresses))
        result = self._page_table.young(addresses, self._voids, self._accessed, self._page_size)
        if result != self._native.OK:
            self._voids.fill(self._native.UNCHECKED)
            self._accessed.fill(0)
            self._look_again()
        if self._voids.any():
            self._health += np.bincount(self._voids, minlength=5)
        return self._accessed.view(np.bool_), self._page_size

    def voids(self) -> NDArray[np.bool_]:
        """Return bool[n]: where the last `young` tells nothing."""
        return self._voids.astype(np.bool_)

    def take_health(self) -> SampleHealth:
        """Return what went wrong since the last call."""
        _, refs, uncleared, unchecked, paced = self._health.tolist()
        self._health.fill(0)
        return SampleHealth(uncleared=refs + uncleared, unchecked=unchecked, failed_reads=unchecked, paced=paced)

    def resident(self) -> int:
        """Return how many bytes are in memory now; 0 once the process has ended."""
        return procfs.resident(self.pid)

    def generation(self) -> int:
        """Return how often the process has begun a new address space (``execve``) since it is watched."""
        return self._generation

    def is_alive(self) -> bool:
        """Tell whether the process has an address space still."""
        return self._alive

    def close(self) -> None:
        """Let go of the process. Nothing is left behind in it."""
        self._alive = False
        self._page_table.close()
        if self._clear_refs is not None:
            self._clear_refs.close()
            self._clear_refs = None
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def __enter__(self) -> "PageTableAddressSpace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _resize(self, n: int) -> None:
        self._voids = np.zeros(n, dtype=np.uint8)
        self._accessed = np.zeros(n, dtype=np.uint8)
        self._page_size = np.zeros(n, dtype=np.uint64)

    def _look_again(self) -> None:
        """Find the address space again: the thread has ended, or the process has, or it called ``execve``."""
        if self._poll.poll(0):
            self._alive = False
            return
        for tid in procfs.threads(self.pid):
            if self._page_table.attach(tid) == self._native.OK:
                break
        else:
            return  # between an exit and its end, or an execve: seen at the next sample
        if tid != self._tid and self._clear_refs is not None:
            self._clear_refs.close()
            self._clear_refs = None
        self._tid = tid
        if self._page_table.identity != self._identity:
            self._identity = self._page_table.identity
            self._generation += 1
