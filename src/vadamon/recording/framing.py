"""Frames: the pieces of a recording, each of which is known to be whole before anything is made of it.

A frame is a head of 20 bytes, an index, and a body. The head has checksums of both and their lengths, so that nothing
larger than the file is ever asked for, and a body that nobody wants need not be read. It begins with a mark by which
the frames behind a damaged one are found.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MARK = b"\x89VDM"
# The mark, the CRC-32 of the rest of the head and of the index, the length of the index, that of the body, its CRC-32.
_HEAD = struct.Struct("<4sIIII")
_SUMMED = 8  # where what the first checksum is of begins
_WINDOW = 1 << 20


class FrameError(Exception):
    """The bytes at this place are no whole frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose index is whole; its body is read when it is asked for."""

    file: BinaryIO
    at: int
    index: bytes
    body_size: int
    body_crc: int

    @property
    def body_at(self) -> int:
        """Where the body begins."""
        return self.at + _HEAD.size + len(self.index)

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.body_at + self.body_size

    def body(self) -> bytes:
        """Return the body. Raises FrameError where it is damaged."""
        self.file.seek(self.body_at)
        body = self.file.read(self.body_size)
        if len(body) != self.body_size or zlib.crc32(body) != self.body_crc:
            raise FrameError(f"is damaged at byte {self.at}")
        return body


def to_frame(index: bytes, body: bytes = b"") -> bytes:
    """Return a frame of ``index`` and ``body``."""
    head = _HEAD.pack(_MARK, 0, len(index), len(body), zlib.crc32(body))
    crc = zlib.crc32(head[_SUMMED:] + index)
    return b"".join((_MARK, crc.to_bytes(4, "little"), head[_SUMMED:], index, body))


END_MARK = to_frame(b"")


def frame_at(file: BinaryIO, at: int, size: int) -> Frame | None:
    """Return the frame at byte ``at`` of ``file``, ``size`` bytes long; None where its index is not whole."""
    file.seek(at)
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, crc, index_size, body_size, body_crc = _HEAD.unpack(head)
    if mark != _MARK or at + _HEAD.size + index_size + body_size > size:
        return None
    index = file.read(index_size)
    if zlib.crc32(head[_SUMMED:] + index) != crc:
        return None
    return Frame(file, at, index, body_size, body_crc)


def read_frames(file: BinaryIO, at: int, size: int, warn: Callable[[str], None]) -> Iterator[Frame]:
    """Yield the frames from byte ``at`` of ``file``, ``size`` bytes long, but for the end mark.

    Their indexes are whole, and their bodies may be. ``warn`` is told of each place that is damaged, and of a missing
    end mark.
    """
    while at < size:
        frame = frame_at(file, at, size)
        if frame is None:
            warn(f"is cut off or damaged at byte {at}")
            at = next((frame.at for frame in _frames_behind(file, at, size)), size)
        elif frame.index:
            yield frame
            at = frame.end
        elif frame.end == size:
            return
        else:
            at = frame.end
    warn("has no end mark: its recorder was killed or is still running")


def _frames_behind(file: BinaryIO, at: int, size: int) -> Iterator[Frame]:
    """Yield every frame after the damaged place ``at``."""
    window_at = at + 1
    while window_at < size:
        file.seek(window_at)
        window = file.read(_WINDOW + len(_MARK) - 1)
        found = window.find(_MARK)
        while found >= 0:
            frame = frame_at(file, window_at + found, size)
            if frame is not None:
                yield frame
            found = window.find(_MARK, found + 1)
        window_at += _WINDOW
