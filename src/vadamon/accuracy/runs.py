"""Runs: half-open ranges of one kind, as two sorted arrays of starts and ends."""

import numpy as np
from numpy.typing import NDArray

Runs = tuple[NDArray[np.uint64], NDArray[np.uint64]]
"""Starts and ends, uint64[n] each."""


def union(start: NDArray[np.uint64], end: NDArray[np.uint64]) -> Runs:
    """Return what any of the ranges (uint64[n] each, in any order, may overlap) covers, as runs with gaps between."""
    if len(start) <= 1:
        return start, end
    order = np.argsort(start)
    start, end = start[order], np.maximum.accumulate(end[order])
    begins = np.append(True, start[1:] > end[:-1])
    return start[begins], end[np.append(begins[1:], True)]


def overlaps(start: NDArray[np.uint64], end: NDArray[np.uint64]) -> tuple[*Runs, NDArray[np.uint32]]:
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


def segments(*edges: NDArray[np.uint64]) -> Runs:
    """Cut the span of all ``edges`` at each of them; return the starts and ends of the pieces."""
    cuts = np.unique(np.concatenate(edges))
    return cuts[:-1], cuts[1:]


def run_of(runs: Runs, points: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return for each of ``points`` which of the sorted ``runs`` it is in, and whether it is in one at all."""
    start, end = runs
    index = np.searchsorted(end, points, side="right")
    inside = index < len(start)
    index[~inside] = 0
    if len(start):
        inside &= start[index] <= points
    return index, inside


def size(runs: Runs) -> int:
    """Return how many bytes the runs cover."""
    return int((runs[1] - runs[0]).sum())


def common_size(one: Runs, other: Runs) -> int:
    """Return how many bytes are in both."""
    start, end = segments(*one, *other)
    both = run_of(one, start)[1] & run_of(other, start)[1]
    return size((start[both], end[both]))


def difference(one: Runs, other: Runs) -> Runs:
    """Return what is in ``one`` and not in ``other``; runs may touch."""
    start, end = segments(*one, *other)
    only = run_of(one, start)[1] & ~run_of(other, start)[1]
    return start[only], end[only]
