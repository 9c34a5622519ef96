"""Ranges of addresses that overlap, counted; and values of sorted ranges, looked up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.ranges import Array, Ranges


def overlaps(start: Array, end: Array) -> tuple[Array, Array, NDArray[np.uint32]]:
    """Return ``(start, end, count)``: how many of the ranges (uint64[n] each, in any order) cover each run.

    Runs that no range covers are left out; runs that touch have different counts.
    """
    edge = np.concatenate((start, end))
    step = np.ones(len(edge), dtype=np.int64)
    step[len(start) :] = -1
    order = np.argsort(edge)
    edge, count = edge[order], np.cumsum(step[order])
    # Of equal edges the last one has seen all of them.
    last = np.append(edge[1:] != edge[:-1], True)[: len(edge)]
    edge, count = edge[last], count[last]
    changes = np.append(True, count[1:] != count[:-1])[: len(edge)]
    edge, count = edge[changes], count[changes]
    covered = np.flatnonzero(count[:-1])
    return edge[covered], edge[covered + 1], count[covered].astype(np.uint32)


def values_at(points: Array, ranges: Ranges, values: NDArray[Any]) -> NDArray[Any]:
    """Return for each of the points the value of the sorted range it is in, 0 where it is in none."""
    start, end = ranges
    index = np.searchsorted(end, points, side="right")
    inside = index < len(start)
    inside[inside] = start[index[inside]] <= points[inside]
    at = np.zeros(len(points), values.dtype)
    at[inside] = values[index[inside]]
    return at
