"""Messages of an Arrow IPC stream, each sealed with checksums over all of its bytes.

A message is a head, which is a prefix of 8 bytes and metadata, and a body. Arrow has a place for a caller's own
metadata in each message, but nothing that tells whether the bytes are still those that were written. So the metadata
carries a seal of fixed length: the CRC-32 of the head, taken with that very number blank; and the CRC-32 and the length
of the body. With that no byte is handed to Arrow before it is known to be whole, nothing larger than the file is ever
asked for, and a body that nobody wants need not be read.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

SEAL_KEY = b"vadamon.seal"
# The first byte keeps it apart from any text in the metadata: JSON escapes control characters.
BLANK_SEAL = b"\x02head=00000000 body=00000000 size=0000000000000000"
_BLANK_HEAD = BLANK_SEAL[:14]
_SEAL = re.compile(rb"\x02head=([0-9a-f]{8}) body=([0-9a-f]{8}) size=([0-9a-f]{16})")
_PREFIX = struct.Struct("<II")
_CONTINUATION = b"\xff\xff\xff\xff"
END_MARK = _CONTINUATION + bytes(4)
_WINDOW = 1 << 20


class FrameError(Exception):
    """The bytes at this place are no whole message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose head is whole; its body is read when it is asked for."""

    file: BinaryIO
    at: int
    head: bytes
    body_size: int
    body_crc: int

    @property
    def end(self) -> int:
        """Where the next message begins."""
        return self.at + len(self.head) + self.body_size

    def read(self) -> bytes:
        """Return the whole message. Raises FrameError where its body is damaged."""
        self.file.seek(self.at + len(self.head))
        body = self.file.read(self.body_size)
        if len(body) != self.body_size or zlib.crc32(body) != self.body_crc:
            raise FrameError(f"is damaged at byte {self.at}")
        return self.head + body


def seal(message: bytes) -> bytes:
    """Return ``message``, which carries `BLANK_SEAL`, with its seal filled in."""
    head_size = _PREFIX.size + _PREFIX.unpack_from(message)[1]
    head, body = message[:head_size], message[head_size:]
    filled = b"%s body=%08x size=%016x" % (_BLANK_HEAD, zlib.crc32(body), len(body))
    head = head.replace(BLANK_SEAL, filled, 1)
    return head.replace(_BLANK_HEAD, b"\x02head=%08x" % zlib.crc32(head), 1) + body


def first_message(file: BinaryIO, size: int) -> Message:
    """Return the message that ``file``, ``size`` bytes long, begins with. Raises FrameError where it is damaged."""
    message = _message_at(file, 0, size)
    if message is None:
        raise FrameError("is damaged at byte 0")
    return message


def read_messages(file: BinaryIO, size: int, warn: Callable[[str], None]) -> Iterator[Message]:
    """Yield the messages of ``file``, ``size`` bytes long, whose heads are whole and whose bodies may be.

    ``warn`` is told of each place that is damaged, and of a missing end mark.
    """
    at = 0
    while at < size:
        message = _message_at(file, at, size)
        if message is not None:
            yield message
            at = message.end
        elif at + len(END_MARK) == size and _read(file, at, size) == END_MARK:
            return
        else:
            warn(f"is cut off or damaged at byte {at}")
            at = next((m.at for m in _messages_behind(file, at, size)), size)
    warn("has no end mark: its recorder was killed or is still running")


def _message_at(file: BinaryIO, at: int, size: int) -> Message | None:
    file.seek(at)
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or prefix[:4] != _CONTINUATION:
        return None
    head_size = _PREFIX.size + _PREFIX.unpack(prefix)[1]
    if at + head_size > size:
        return None
    head = prefix + file.read(head_size - _PREFIX.size)
    found = _SEAL.search(head)
    if found is None:
        return None
    blank = head[: found.start()] + _BLANK_HEAD + head[found.start() + len(_BLANK_HEAD) :]
    if zlib.crc32(blank) != int(found[1], 16):
        return None
    message = Message(file, at, head, body_size=int(found[3], 16), body_crc=int(found[2], 16))
    return message if message.end <= size else None


def _messages_behind(file: BinaryIO, at: int, size: int) -> Iterator[Message]:
    """Yield every message after the damaged place ``at``."""
    window_at = at + 1
    while window_at < size:
        file.seek(window_at)
        window = file.read(_WINDOW + len(_CONTINUATION) - 1)
        found = window.find(_CONTINUATION)
        while found >= 0:
            message = _message_at(file, window_at + found, size)
            if message is not None:
                yield message
            found = window.find(_CONTINUATION, found + 1)
        window_at += _WINDOW


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size - at)
