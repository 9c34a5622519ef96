"""Fewer regions, at the least loss of detail."""

import numpy as np
from numpy.typing import NDArray

from vadamon._native import coarsening as _native

_AGE_WEIGHT = 1 / 32
"""An age sixteen times as high differs as much as an eighth of all samples do."""


def coarsen(
    start: NDArray[np.uint64],
    end: NDArray[np.uint64],
    nr_accesses: NDArray[np.uint32],
    age: NDArray[np.uint32],
    unknown: NDArray[np.bool_],
    nr_samples: int,
    max_nr_regions: int,
) -> tuple[NDArray[np.intp], NDArray[np.uint32], NDArray[np.uint32], float]:
    """Merge neighbouring regions (n each, sorted), the least different first, until there are ``max_nr_regions``.

    How different two are is what merging them adds to the squared error, weighted by size (Ward's criterion), of
    ``nr_accesses`` as a share of ``nr_samples`` and, with less weight, of the logarithm of ``age``. Regions with a gap
    between them, or of which just one is unknown, are never merged: more than ``max_nr_regions`` may be left.

    Returns ``(first: intp[m], nr_accesses, age: uint32[m], error)``: the first region of each group, the means of the
    groups weighted by size, and by how much ``nr_accesses`` is off for that, on average over all bytes.
    """
    size = (end - start).astype(np.float64)
    mean = np.column_stack((nr_accesses / nr_samples, _AGE_WEIGHT * np.log2(1.0 + age)))
    mergeable = np.append((end[:-1] == start[1:]) & (unknown[:-1] == unknown[1:]), False)
    first = _native.first_of_groups(size.copy(), mean, mergeable.view(np.uint8), max_nr_regions)
    merged_accesses = _means(nr_accesses, size, first)
    group = np.zeros(len(start), dtype=np.intp)
    group[first[1:]] = 1
    off = np.abs(merged_accesses[np.cumsum(group)] - nr_accesses.astype(np.float64))
    return first, merged_accesses, _means(age, size, first), float(np.average(off, weights=size))


def _means(values: NDArray[np.uint32], size: NDArray[np.float64], first: NDArray[np.intp]) -> NDArray[np.uint32]:
    return np.rint(np.add.reduceat(values * size, first) / np.add.reduceat(size, first)).astype(np.uint32)
