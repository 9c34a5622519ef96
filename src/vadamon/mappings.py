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
        self.start: NDArray[np.uint64] = np.array([m.start for m in kept], dtype=np.uint64)
        self.end: NDArray[np.uint64] = np.array([m.end for m in kept], dtype=np.uint64)
        self.offset: NDArray[np.uint64] = np.array([m.offset for m in kept], dtype=np.uint64)
        self.inode: NDArray[np.uint64] = np.array([m.inode for m in kept], dtype=np.uint64)
        self.permissions = [m.permissions for m in kept]
        self.name = [m.name for m in kept]
        if bool(np.any(self.start >= self.end)):
            raise ValueError("a mapping is empty")
        if bool(np.any(self.end[:-1] > self.start[1:])):
            raise ValueError("mappings overlap or are not sorted")

    @classmethod
    def from_maps(cls, text: bytes) -> "Mappings":
        """Parse the text of /proc/PID/maps."""
        return cls(
            Mapping(
                int(start, 16),
                int(end, 16),
                perms.decode(),
                int(offset, 16),
                int(inode),
                os.fsdecode(name),
            )
            for start, end, perms, offset, inode, name in _MAPS_LINE.findall(text)
        )

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
        return (
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
