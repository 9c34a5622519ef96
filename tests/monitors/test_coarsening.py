"""Fewer regions: the least different neighbours first."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vadamon.monitors.coarsening import coarsen

PAGE = 4096
region = st.tuples(
    st.integers(1, 40), st.integers(0, 10), st.integers(0, 300), st.booleans(), st.sampled_from([0, 0, 0, 1])
)
regions = st.lists(region, min_size=1, max_size=30)


def arrays(regions):
    """Lay out (size, nr_accesses, age, unknown, gap before) one after the other."""
    size, nr_accesses, age, unknown, gap = (np.array(column) for column in zip(*regions, strict=True))
    end = np.cumsum(size + gap).astype(np.uint64)
    start = end - size.astype(np.uint64)
    return start * PAGE, end * PAGE, nr_accesses.astype(np.uint32), age.astype(np.uint32), unknown.astype(np.bool_)


def by_search(start, end, nr_accesses, age, unknown, nr_samples, nr_most):
    """The same, by looking at all pairs before each merge."""
    groups = [
        (float(e - s), c / nr_samples, np.log2(1.0 + a) / 32)
        for s, e, c, a in zip(start, end, nr_accesses, age, strict=True)
    ]
    first = list(range(len(start)))
    while len(groups) > nr_most:
        costs = []
        for i, ((s, x, y), (t, u, v)) in enumerate(pairwise(groups)):
            k = first[i + 1]
            if end[k - 1] == start[k] and unknown[k - 1] == unknown[k]:
                costs.append((s * t / (s + t) * ((x - u) ** 2 + (y - v) ** 2), first[i], i))
        if not costs:
            break
        (least, _, i), *others = sorted(costs)
        # Of pairs that differ alike, how the last bit is rounded decides.
        assume(not others or others[0][0] - least > 1e-9 * others[0][0] + 1e-12)
        (s, x, y), (t, u, v) = groups[i], groups[i + 1]
        groups[i : i + 2] = [(s + t, (x * s + u * t) / (s + t), (y * s + v * t) / (s + t))]
        del first[i + 1]
    return first


@given(regions, st.integers(1, 30))
@example([(1, 0, age, age == 9, 0) for age in (0, 9, 1, 0, 1, 0, 0, 1, 0, 9, 0, 1, 2, 0, 9, 0)], 14)
def test_the_least_different_are_merged_first(regions, nr_most):
    whole = arrays(regions)
    first, *_ = coarsen(*whole, 10, nr_most)
    assert first.tolist() == by_search(*whole, 10, nr_most)


@given(regions, st.integers(1, 30))
def test_means_and_error_are_weighted_by_size(regions, nr_most):
    start, end, nr_accesses, age, unknown = arrays(regions)
    first, merged_accesses, merged_age, error = coarsen(start, end, nr_accesses, age, unknown, 10, nr_most)
    size = (end - start).astype(float)
    off = 0.0
    for group, (low, high) in enumerate(zip(first, [*first[1:], len(start)], strict=True)):
        part = slice(low, high)
        assert abs(np.average(nr_accesses[part], weights=size[part]) - merged_accesses[group]) <= 0.5 + 1e-9
        assert abs(np.average(age[part], weights=size[part]) - merged_age[group]) <= 0.5 + 1e-9
        assert len(set(unknown[part])) == 1
        assert (end[low : high - 1] == start[low + 1 : high]).all()
        off += (size[part] * abs(nr_accesses[part] - float(merged_accesses[group]))).sum()
    assert abs(error - off / size.sum()) < 1e-9


def test_equal_neighbours_merge_without_loss():
    start, end, nr_accesses, age, unknown = arrays([(3, 5, 2, False, 0), (9, 5, 2, False, 0), (4, 0, 7, False, 0)])
    first, merged_accesses, merged_age, error = coarsen(start, end, nr_accesses, age, unknown, 10, 2)
    assert (first.tolist(), merged_accesses.tolist(), merged_age.tolist(), error) == ([0, 2], [5, 0], [2, 7], 0.0)
