"""Messages of an Arrow IPC stream, each sealed with a checksum over all of its bytes.

A message is a prefix of 8 bytes, metadata, and a body. Arrow has a place for a caller's own metadata in each message,
but nothing that tells whether the bytes are still those that were written. So each message carries a seal, of fixed
length: the CRC-32 of the whole message, taken with the seal blank, and the length of the body. With that no byte is
handed to Arrow before it is known to be whole, and nothing larger than the file is ever asked for.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

SEAL_KEY = b"vadamon.seal"
# The first byte keeps it apart from any text in the metadata: JSON escapes control characters.
BLANK_SEAL = b"\x02crc32=00000000 body=0000000000000000"
_SEAL = re.compile(rb"\x02crc32=([0-9a-f]{8}) body=([0-9a-f]{16})")
_PREFIX = struct.Struct("<II")
_CONTINUATION = 0xFFFFFFFF
END_MARK = _PREFIX.pack(_CONTINUATION, 0)


class FrameError(Exception):
    """The bytes at this place are no whole message."""


def seal(message: bytes) -> bytes:
    """Return ``message``, which carries `BLANK_SEAL`, with its seal filled in."""
    body = len(message) - _PREFIX.size - _PREFIX.unpack_from(message)[1]
    at = message.index(BLANK_SEAL)
    return b"".join(
        (
            message[:at],
            b"\x02crc32=%08x body=%016x" % (zlib.crc32(message), body),
            message[at + len(BLANK_SEAL) :],
        )
    )


def read_messages(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the messages of ``file``, ``size`` bytes long, from its position to the end mark.

    Raises FrameError where the file is cut off or damaged.
    """
    while (at := file.tell()) < size:
        prefix = _read(file, _PREFIX.size, size)
        if prefix == END_MARK and at + len(END_MARK) == size:
            return
        continuation, metadata_size = _PREFIX.unpack(prefix)
        if continuation != _CONTINUATION:
            raise FrameError(f"is damaged at byte {at}")
        metadata = _read(file, metadata_size, size)
        found = _SEAL.search(metadata)
        if found is None:
            raise FrameError(f"is damaged at byte {at}")
        body = _read(file, int(found[2], 16), size)
        blank = metadata[: found.start()] + BLANK_SEAL + metadata[found.end() :]
        crc = zlib.crc32(body, zlib.crc32(blank, zlib.crc32(prefix)))
        if crc != int(found[1], 16):
            raise FrameError(f"is damaged at byte {at}")
        yield prefix + metadata + body
    raise FrameError("has no end mark: its recorder was killed or is still running")


class MessageStream(io.RawIOBase):
    """Messages end to end as one file, for Arrow's own reader of streams."""

    def __init__(self, messages: Iterator[bytes]) -> None:
        self._messages = messages
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes, of one message; raises as its iterator does."""
        if not self._rest:
            self._rest = memoryview(next(self._messages, b""))
        end = size if size >= 0 else len(self._rest)
        part, self._rest = self._rest[:end], self._rest[end:]
        return bytes(part)


def _read(file: BinaryIO, length: int, size: int) -> bytes:
    at = file.tell()
    data = file.read(length) if at + length <= size else b""
    if len(data) != length:
        raise FrameError(f"is cut off or damaged at byte {at}")
    return data
