"""The mappings (VMAs) of one simulated process."""

from bisect import bisect_left, bisect_right
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vadamon.address_space.simulated.page_table import ADDRESS_LIMIT
from vadamon.mappings import Mapping, Mappings


class Vmas:
    """Mappings sorted by address, made, cut and looked up."""

    def __init__(self, mappings: Mappings | None = None) -> None:
        self._vmas = list(mappings or ())
        self._mappings: Mappings | None = None
        self._edges: dict[str, NDArray[np.uint64]] = {}

    def __len__(self) -> int:
        return len(self._vmas)

    def mappings(self) -> Mappings:
        """Return them as plain data; the same object until they change."""
        if self._mappings is None:
            self._mappings = Mappings(self._vmas)
        return self._mappings

    def overlapping(self, start: int, end: int) -> list[Mapping]:
        """Return those that reach into ``[start, end)``."""
        return self._vmas[self._slice(start, end)]

    def gap(self, start: int, end: int) -> tuple[int, int]:
        """Return the gap that ``[start, end)``, in which nothing is mapped, lies in."""
        where = self._slice(start, end)
        low = self._vmas[where.start - 1].end if where.start else 0
        high = self._vmas[where.stop].start if where.stop < len(self._vmas) else ADDRESS_LIMIT
        return low, high

    def insert(self, mapping: Mapping) -> None:
        """Add a mapping where nothing is mapped; private ones that are alike become one with their neighbours."""
        i = j = bisect_left(self._vmas, mapping.start, key=lambda m: m.start)
        if i > 0 and _can_merge(self._vmas[i - 1], mapping):
            i -= 1
            mapping = replace(mapping, start=self._vmas[i].start)
        if j < len(self._vmas) and _can_merge(mapping, self._vmas[j]):
            mapping = replace(mapping, end=self._vmas[j].end)
            j += 1
        self._vmas[i:j] = [mapping]
        self._changed()

    def cut(self, start: int, end: int) -> list[Mapping]:
        """Remove ``[start, end)``; return what was mapped there."""
        where = self._slice(start, end)
        cut, kept = [], []
        for vma in self._vmas[where]:
            cut.append(replace(vma, start=max(start, vma.start), end=min(end, vma.end)))
            if vma.start < start:
                kept.append(replace(vma, end=start))
            if end < vma.end:
                kept.append(replace(vma, start=end))
        self._vmas[where] = kept
        self._changed()
        return cut

    def contain(self, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which addresses (uint64[n]) are mapped."""
        return self._inside("", addresses)

    def forbid(self, permission: str, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Tell which addresses are in mappings that lack a permission, ``r``, ``w`` or ``p``."""
        return self._inside(permission, addresses)

    def _inside(self, lacking: str, addresses: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if lacking not in self._edges:
            vmas = [(m.start, m.end) for m in self._vmas if not lacking or lacking not in m.permissions]
            self._edges[lacking] = np.array(vmas, dtype=np.uint64).reshape(-1)
        edges = self._edges[lacking]
        if not len(edges):
            return np.zeros(len(addresses), dtype=np.bool_)
        inside: NDArray[np.bool_] = np.searchsorted(edges, addresses, side="right") & 1 != 0
        return inside

    def _slice(self, start: int, end: int) -> slice:
        return slice(
            bisect_right(self._vmas, start, key=lambda m: m.end),
            bisect_left(self._vmas, end, key=lambda m: m.start),
        )

    def _changed(self) -> None:
        self._mappings = None
        self._edges = {}


def _can_merge(left: Mapping, right: Mapping) -> bool:
    return (
        "p" in left.permissions and left.end == right.start and left == replace(right, start=left.start, end=left.end)
    )
