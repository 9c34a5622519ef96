"""JSON, compressed: what a recording says about itself and about its batches."""

import json
import zlib
from typing import Any

_LARGEST = 1 << 24  # bytes of JSON


def to_packed_json(value: Any) -> bytes:
    """Return ``value`` as JSON, compressed."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)


def from_packed_json(data: bytes) -> Any:
    """Undo `to_packed_json`. Raises ValueError where ``data`` is anything else, or too large."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, _LARGEST)
        if not unpacker.eof:
            raise ValueError("it is too large, or cut off")
        return json.loads(text)
    except (zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from error
