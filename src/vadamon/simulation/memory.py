"""The memory of a simulated program, as the program sees it, and the truth of what it does there."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vadamon.accuracy.runs import overlaps
from vadamon.accuracy.truth import TrueAccesses
from vadamon.address_space.simulated import SimulatedAddressSpace
from vadamon.attrs import Attrs
from vadamon.ranges import Ranges, union

PAGE_SIZE = 4096


class Memory:
    """Where a program maps and accesses memory; ``truth``, where it is kept, is told of each access."""

    def __init__(self, space: SimulatedAddressSpace, truth: "TruthKeeper | None" = None) -> None:
        self._space = space
        self._truth = truth

    def map(self, start: int, end: int, name: str = "", permissions: str = "rw-p") -> None:
        """Map whole pages at ``[start, end)``, which come in when they are first accessed."""
        self._space.mmap(start, end - start, name, permissions)

    def touch(self, start: int, end: int, step: int, write: bool = False) -> None:
        """Access the addresses ``range(start, end, step)``."""
        if step < PAGE_SIZE:  # all pages of the range
            start, step = start - start % PAGE_SIZE, PAGE_SIZE
        self._space.touch(start, end, step, write)
        if self._truth is not None:
            self._truth.touch(start, end, step)

    def touch_addresses(self, addresses: NDArray[np.uint64], write: bool = False) -> None:
        """Access addresses (uint64[n], in any order, repeats allowed)."""
        self._space.touch_addresses(addresses, write)
        if self._truth is not None:
            self._truth.touch_addresses(addresses)

    def exit(self) -> None:
        """End the program."""
        self._space.exit()


class TruthKeeper:
    """Adds up what is accessed in each aggregation interval, and gives it to ``keep`` when that ends.

    It costs as much as there are runs of pages that are accessed alike, however much memory is mapped.
    """

    def __init__(self, target_id: int, attrs: Attrs, keep: Callable[[TrueAccesses], None]) -> None:
        self._target_id = target_id
        self._nr_samples = attrs.max_nr_samples
        self._keep = keep
        self._start_ns = 0
        self._end_ns = 0
        self._now: list[Ranges] = []
        self._samples: list[Ranges] = []

    def touch(self, start: int, end: int, step: int) -> None:
        """Note an access to the addresses ``range(start, end, step)``; ``start`` begins a page where step is one."""
        if step == PAGE_SIZE:
            page_end = -(-end // PAGE_SIZE) * PAGE_SIZE
            self._now.append((np.array([start], dtype=np.uint64), np.array([page_end], dtype=np.uint64)))
        else:
            self.touch_addresses(np.arange(start, end, step, dtype=np.uint64))

    def touch_addresses(self, addresses: NDArray[np.uint64]) -> None:
        """Note an access to addresses (uint64[n], in any order, repeats allowed)."""
        pages = addresses & np.uint64(-PAGE_SIZE % 2**64)
        self._now.append((pages, pages + np.uint64(PAGE_SIZE)))

    def end_sample(self, now_ns: int) -> None:
        """End a sample interval at ``now_ns``; and with the last of its samples, an aggregation interval."""
        self._samples.append(union(*_joined(self._now)))
        self._now.clear()
        self._end_ns = now_ns
        if len(self._samples) == self._nr_samples:
            self.end()

    def end(self) -> None:
        """End the aggregation interval; what was noted after its last sample is of no use."""
        self._now.clear()
        if not self._samples:
            return
        start, end, count = overlaps(*_joined(self._samples))
        self._keep(TrueAccesses(self._target_id, self._start_ns, self._end_ns, len(self._samples), start, end, count))
        self._samples.clear()
        self._start_ns = self._end_ns


def _joined(ranges: list[Ranges]) -> Ranges:
    if len(ranges) == 1:
        return ranges[0]
    nothing = np.empty(0, dtype=np.uint64)
    return np.concatenate([nothing, *(start for start, _ in ranges)]), np.concatenate(
        [nothing, *(end for _, end in ranges)]
    )
