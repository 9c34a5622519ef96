"""How a recording is laid out: a line with the version of the format, a frame with the header, frames with batches."""

import re
from collections.abc import Sequence
from typing import BinaryIO

from vadamon.recording.encoding import Row, encode_index
from vadamon.recording.framing import frame_at, to_frame
from vadamon.recording.header import Header
from vadamon.recording.packed_json import from_packed_json, to_packed_json

FORMAT_VERSION = 2
_FIRST_LINE = re.compile(rb"vadamon recording ([1-9][0-9]{0,8})\n")
_LONGEST_FIRST_LINE = 28
# What recordings of format 1 begin with, which were streams of Arrow.
_ARROW = b"\xff\xff\xff\xff"
_LONGEST_ARROW_HEAD = 1 << 20


def beginning(header: Header) -> bytes:
    """Return what a recording begins with."""
    return b"vadamon recording %d\n" % FORMAT_VERSION + to_frame(to_packed_json(header.to_dict()))


def batch_frame(rows: Sequence[Row]) -> bytes:
    """Return the frame of a batch of ``rows``: their index, and their data end to end."""
    return to_frame(encode_index(rows), b"".join(row.data for row in rows))


def version_of(file: BinaryIO) -> int | None:
    """Return the version of the format of ``file``; None where it is no recording."""
    beginning = file.read(_LONGEST_FIRST_LINE)
    found = _FIRST_LINE.match(beginning)
    if found:
        return int(found[1])
    is_arrow = beginning.startswith(_ARROW) and b"vadamon recording" in file.read(_LONGEST_ARROW_HEAD)
    return 1 if is_arrow else None


def read_header(file: BinaryIO, size: int) -> tuple[Header, int]:
    """Return the header of ``file``, ``size`` bytes long and of this version, and where its batches begin.

    Raises ValueError, TypeError or KeyError where it is damaged.
    """
    file.seek(0)
    frame = frame_at(file, len(file.readline(_LONGEST_FIRST_LINE)), size)
    if frame is None:
        raise ValueError("is damaged")
    return Header.from_dict(from_packed_json(frame.index)), frame.end
