"""The mappings (VMAs) of one address space."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MAPS_LINE = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ([-r][-w][-x][ps]) ([0-9a-f]+) [0-9a-f]+:[0-9a-f]+ (\d+) *([^\n]*)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping: ``[start, end)`` in bytes, permissions as in /proc/PID/maps, file offset, inode, file or name."""

    start: int
    end: int
    permissions: str = "rw-p"
    offset: int = 0
    inode: int = 0
    name: str = ""


class Mappings:
    """The mappings of one address space, sorted by address.

    ``start``, ``end`` and ``offset`` are uint64 arrays, ``inode`` too; ``permissions`` and ``name`` are lists of str.
    ``[vsyscall]`` is left out: the kernel lists it, but it is no VMA.

    Raises ValueError where mappings are empty, overlap or are not sorted.
    """

    __slots__ = ("end", "inode", "name", "offset", "permissions", "start")

    def __init__(self, mappings: Iterable[Mapping] = ()) -> None:
        kept = [m for m in mappings if m.name != "[vsyscall]"]
        self._fill(
            [m.start for m in kept],
            [m.end for m in kept],
            [m.permissions for m in kept],
            [m.offset for m in kept],
            [m.inode for m in kept],
            [m.name for m in kept],
        )

    def _fill(
        self,
        start: list[int],
        end: list[int],
        permissions: list[str],
        offset: list[int],
        inode: list[int],
        name: list[str],
    ) -> None:
        self.start: NDArray[np.uint64] = np.array(start, dtype=np.uint64)
        self.end: NDArray[np.uint64] = np.array(end, dtype=np.uint64)
        self.offset: NDArray[np.uint64] = np.array(offset, dtype=np.uint64)
        self.inode: NDArray[np.uint64] = np.array(inode, dtype=np.uint64)
        self.permissions = permissions
        self.name = name
        if bool(np.any(self.start >= self.end)):
            raise ValueError("a mapping is empty")
        if bool(np.any(self.end[:-1] > self.start[1:])):
            raise ValueError("mappings overlap or are not sorted")

    @classmethod
    def from_maps(cls, text: bytes) -> "Mappings":
        """Parse the text of /proc/PID/maps: column by column, since there may be ten thousands of lines."""
        rows = [row for row in _MAPS_LINE.findall(text) if row[5] != b"[vsyscall]"]
        start, end, permissions, offset, inode, name = zip(*rows, strict=True) if rows else ((),) * 6
        names = {raw: os.fsdecode(raw) for raw in set(name)}
        mappings = cls.__new__(cls)
        mappings._fill(
            [int(text, 16) for text in start],
            [int(text, 16) for text in end],
            [text.decode() for text in permissions],
            [int(text, 16) for text in offset],
            [int(text) for text in inode],
            [names[raw] for raw in name],
        )
        return mappings

    def ranges(self) -> list[tuple[int, int]]:
        """Return ``[(start, end), ...]``."""
        return list(zip(self.start.tolist(), self.end.tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: int) -> Mapping:
        return Mapping(
            int(self.start[index]),
            int(self.end[index]),
            self.permissions[index],
            int(self.offset[index]),
            int(self.inode[index]),
            self.name[index],
        )

    def __iter__(self) -> Iterator[Mapping]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mappings):
            return NotImplemented
        return self is other or (
            np.array_equal(self.start, other.start)
            and np.array_equal(self.end, other.end)
            and np.array_equal(self.offset, other.offset)
            and np.array_equal(self.inode, other.inode)
            and self.permissions == other.permissions
            and self.name == other.name
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Mappings: {len(self)}, {int((self.end - self.start).sum())} bytes>"
