"""Address spaces without what is not mapped: ranges, and positions with the gaps folded away."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadamon.ranges import Array as Addresses


def contains(start: Addresses, end: Addresses, addresses: Addresses) -> NDArray[np.bool_]:
    """Tell for each address (uint64[n]) whether it lies in one of the sorted, disjoint ranges ``[start, end)``."""
    if not len(start):
        return np.zeros(len(addresses), np.bool_)
    index = np.searchsorted(start, addresses, side="right") - 1
    found: NDArray[np.bool_] = (index >= 0) & (addresses < end[index])
    return found


def expand(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ``(index, value)`` for each value of each range ``[first[index], last[index])``."""
    counts = np.maximum(last - first, 0)
    index = np.repeat(np.arange(len(first)), counts)
    begin = np.cumsum(counts) - counts
    return index, np.arange(len(index)) + (first - begin)[index]


@dataclass(frozen=True, slots=True, eq=False)
class FoldedSpace:
    """Sorted, disjoint ranges ``[start, end)`` (uint64[n]) laid end to end: positions count their bytes."""

    start: Addresses
    end: Addresses

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each range begins, and where the last ends: int64[n + 1]."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum((self.end - self.start).astype(np.int64))])

    def fold(self, addresses: Addresses) -> NDArray[np.int64]:
        """Return the position of each address; those in a gap have the position at which the gap was folded."""
        index = np.searchsorted(self.start, addresses, side="right")
        # One empty range in front takes what lies before the first.
        start = np.concatenate([np.zeros(1, np.uint64), self.start])[index]
        size = np.concatenate([np.zeros(1, np.uint64), self.end - self.start])[index]
        before = np.concatenate([np.zeros(1, np.int64), self.offsets[:-1]])[index]
        positions: NDArray[np.int64] = before + np.minimum(addresses - start, size).astype(np.int64)
        return positions

    def unfold(self, positions: NDArray[np.int64]) -> Addresses:
        """Return the address of each position (int64[n], at least 0 and less than all bytes)."""
        index = np.searchsorted(self.offsets, positions, side="right") - 1
        addresses: Addresses = self.start[index] + (positions - self.offsets[index]).astype(np.uint64)
        return addresses
