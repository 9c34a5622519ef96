"""One list of pages, the oldest first."""

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint32]
"""Numbers of physical pages; of a huge page, that of its head."""


class PageList:
    """A first-in first-out list of pages that takes and gives them many at a time.

    A page that is freed is not searched for: its entry stays until `keep` or the reader of the list drops it.
    """

    def __init__(self) -> None:
        self._entries: Frames = np.empty(0, dtype=np.uint32)
        self._first = 0
        self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._first

    @property
    def frames(self) -> Frames:
        """All entries, the oldest first, as a view."""
        return self._entries[self._first : self._stop]

    def reserve(self, nr_entries: int) -> None:
        """Make room for that many more."""
        if self._stop + nr_entries > len(self._entries):
            # A quarter to spare, so that many small additions are not copied each time.
            entries = np.empty((len(self) + nr_entries) * 5 // 4, dtype=np.uint32)
            entries[: len(self)] = self.frames
            self._entries, self._first, self._stop = entries, 0, len(self)

    def push(self, frames: Frames) -> None:
        """Add pages as the newest."""
        self.reserve(len(frames))
        self._entries[self._stop : self._stop + len(frames)] = frames
        self._stop += len(frames)

    def drop(self, nr_entries: int) -> None:
        """Remove the oldest entries."""
        self._first += nr_entries

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Remove all entries but those of ``mask`` (bool[len])."""
        kept = self.frames[mask]
        self._first, self._stop = 0, len(kept)
        self._entries[: len(kept)] = kept

    def insert_after(self, frame: int, frames: Frames) -> None:
        """Add pages right behind one that is in the list."""
        position = self._first + int(np.flatnonzero(self.frames == frame)[0]) + 1
        newer = self._entries[position : self._stop].copy()
        self._stop = position
        self.push(np.concatenate([frames, newer]))
