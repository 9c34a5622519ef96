"""What a person calls a mapping."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vadamon.mappings import Mapping, Mappings
from vadamon.units import format_size

ANONYMOUS = "anonymous"
UNMAPPED, UNRECORDED = "(not mapped)", "(no mappings recorded)"
_DELETED = " (deleted)"


def label(mapping: Mapping) -> str:
    """Return the short name of a mapping: ``[heap]``, ``libc.so.6``, ``memfd:cache``, or ``anonymous``.

    Mappings of one file have the same label. Characters that would disturb a terminal are shown as ``?``.
    """
    name = mapping.name.removesuffix(_DELETED)
    if not name:
        return ANONYMOUS
    if name == "/dev/zero":
        return "shared anonymous"
    short = name if name.startswith("[") else PurePosixPath(name).name or name
    return "".join(c if c.isprintable() else "?" for c in short)


def with_size(name: str, size: int) -> str:
    """Return a label as it stands alone: an anonymous mapping is told from others by its size."""
    return f"{name} {format_size(size)}" if name.endswith(ANONYMOUS) else name


def summed_up(labels: Sequence[str], sizes: Sequence[int]) -> str:
    """Return one name for several labels: that with the most bytes, and how many others there are: ``libc.so.6 +3``."""
    total: dict[str, int] = {}
    for name, size in zip(labels, sizes, strict=True):
        total[name] = total.get(name, 0) + size
    biggest = max(total, key=lambda name: total[name])
    others = f" +{len(total) - 1}" if len(total) > 1 else ""
    return with_size(biggest, total[biggest]) + others


def names_of_ranges(mappings: Mappings, start: NDArray[np.uint64], end: NDArray[np.uint64]) -> list[str]:
    """Return for each range ``[start, end)`` (uint64[n]) what is mapped there; nothing mapped is an empty string."""
    labels = [label(mapping) for mapping in mappings]
    sizes = (mappings.end - mappings.start).tolist()
    first = np.searchsorted(mappings.end, start, side="right").tolist()
    last = np.searchsorted(mappings.start, end, side="left").tolist()
    names = []
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        if a + 1 == b:
            names.append(with_size(labels[a], sizes[a]))
        elif a < b:
            shared = np.minimum(mappings.end[a:b], end[i]) - np.maximum(mappings.start[a:b], start[i])
            biggest = a + int(shared.argmax())
            others = len({*labels[a:b]}) - 1
            names.append(with_size(labels[biggest], sizes[biggest]) + (f" +{others}" if others else ""))
        else:
            names.append("")
    return names
