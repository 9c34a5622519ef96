"""Ranges of addresses, as two arrays: ``[start, end)``, uint64[n] each."""

import numpy as np
from numpy.typing import NDArray

Addresses = NDArray[np.uint64]


def union(start: Addresses, end: Addresses) -> tuple[Addresses, Addresses]:
    """Return the union of ranges ``[start, end)`` (uint64[n], in any order), sorted, with neighbours joined."""
    if not len(start):
        return start, end
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    reach = np.maximum.accumulate(end)
    first = np.concatenate([[True], start[1:] > reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    return start[first], reach[last]
