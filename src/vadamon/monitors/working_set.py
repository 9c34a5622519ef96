"""The working set of a process: the memory it touches within a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadamon import ranges
from vadamon.address_space.base import Scan
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.units import format_duration


@dataclass(frozen=True, slots=True, eq=False)
class WorkingSet:
    """What was touched, in whole pages, between ``start_ns`` and ``end_ns`` (CLOCK_MONOTONIC).

    Clearing all pages before, and looking at them after, takes its time too: for some of them the window was up to
    ``slack_ns`` longer. ``touched`` and ``unknown`` (int64[n], bytes) are of each of ``mappings``; unknown are pages
    that could not be cleared.
    """

    start_ns: int
    end_ns: int
    slack_ns: int
    resident: int
    """Bytes that are mapped to pages, at the end."""
    mappings: Mappings
    touched: NDArray[np.int64]
    unknown: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Bytes that were touched, in all mappings together."""
        return int(self.touched.sum())

    @property
    def unknown_size(self) -> int:
        """Bytes of which nothing is known, in all mappings together."""
        return int(self.unknown.sum())


class WorkingSetMeter:
    """Measures the working set of one process, as often as `measure` is called.

    Use it as a context manager, or call `close`. Raises VadamonError where the process cannot be watched.
    """

    def __init__(self, pid: int, clock: Clock | None = None) -> None:
        self.pid = pid
        self._clock = clock or MonotonicClock()
        # However dear it is to clear: it is done once in a window.
        self._space = PageTableAddressSpace(pid, clear_budget=1.0)

    def measure(self, windows_ns: Sequence[int]) -> Iterator[WorkingSet]:
        """Yield the working sets of windows that all begin now, each as its window ends, the shortest first.

        Every accessed bit is cleared once, and every page is looked at as often as there are windows. Raises
        VadamonError where the process ends before.
        """
        _, cleared = self._scan(clear=True)
        for window_ns in sorted(windows_ns):
            self._clock.sleep_until_ns(cleared.end_ns + window_ns)
            mappings, scan = self._scan(clear=False)
            if not self._space.is_alive():
                raise VadamonError(
                    f"process {self.pid} ended within {format_duration(window_ns)}: take a shorter --window"
                )
            if not scan.complete:
                raise VadamonError(
                    f"process {self.pid} could not be looked at, or began a new program within "
                    f"{format_duration(window_ns)}: try again"
                )
            yield _working_set(cleared, scan, mappings)

    def _scan(self, *, clear: bool) -> tuple[Mappings, Scan]:
        mappings = self._space.mappings()
        return mappings, self._space.scan(*ranges.union(mappings.start, mappings.end), clear=clear)

    def close(self) -> None:
        """Let go of the process."""
        self._space.close()

    def __enter__(self) -> "WorkingSetMeter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def working_set(pid: int, window_ns: int = 1_000_000_000) -> WorkingSet:
    """Measure what a process touches within ``window_ns`` from now on.

    >>> vadamon.working_set(pid).size     # doctest: +SKIP
    """
    with WorkingSetMeter(pid) as meter:
        return next(meter.measure([window_ns]))


def _working_set(cleared: Scan, scan: Scan, mappings: Mappings) -> WorkingSet:
    return WorkingSet(
        start_ns=cleared.end_ns,
        end_ns=scan.begin_ns,
        slack_ns=cleared.end_ns - cleared.begin_ns + scan.end_ns - scan.begin_ns,
        resident=scan.resident,
        mappings=mappings,
        touched=ranges.sizes_within((scan.start, scan.end), mappings.start, mappings.end),
        unknown=ranges.sizes_within((scan.void_start, scan.void_end), mappings.start, mappings.end),
    )
