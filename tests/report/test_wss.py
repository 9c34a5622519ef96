"""Working-set sizes, worked out by hand."""

import numpy as np
import pytest

from vadamon import Mapping
from vadamon.report.wss import working_sets

KIB = 1024
HEAP = Mapping(0, 64 * KIB, name="[heap]")
STACK = Mapping(1 << 20, (1 << 20) + 64 * KIB, name="[stack]")


def test_sizes_count_regions_that_reach_the_threshold(recorded):
    recording = recorded(
        [(0, 16 * KIB, 20), (16 * KIB, 48 * KIB, 5), (48 * KIB, 64 * KIB, 0)],
        [(0, 16 * KIB, 0), (16 * KIB, 48 * KIB, 4), (48 * KIB, 64 * KIB, 1)],
        mappings=[HEAP],
    )
    (found,) = working_sets(recording, thresholds=(0.0, 0.25, 1.0))
    assert found.sizes.tolist() == [[48 * KIB, 48 * KIB], [0, 48 * KIB], [0, 16 * KIB]]
    assert found.mean.tolist() == [48 * KIB, 24 * KIB, 8 * KIB]
    assert found.nr_snapshots == 2


def test_unknown_regions_are_in_none(recorded):
    (found,) = working_sets(recorded([(0, 16 * KIB, -1), (16 * KIB, 32 * KIB, 20)]), thresholds=(0.0,))
    assert found.sizes.tolist() == [[16 * KIB]]
    assert np.nanmax(found.unknown) == 16 * KIB


def test_mappings_share_the_total(recorded):
    regions = [(0, 32 * KIB, 20), (STACK.start, STACK.start + 8 * KIB, 20), (STACK.start + 8 * KIB, STACK.end, 0)]
    (found,) = working_sets(recorded(regions, regions, mappings=[HEAP, STACK]), thresholds=(0.5,))
    assert dict(zip(found.names, found.mapping_means()[0].tolist(), strict=True)) == {
        "[heap]": 32 * KIB,
        "[stack]": 8 * KIB,
    }
    assert found.mean.tolist() == [40 * KIB]


def test_percentiles_are_counted_as_damo_does(recorded):
    snapshots = [[(0, (k + 1) * KIB, 20)] for k in range(10)]
    (found,) = working_sets(recorded(*snapshots), thresholds=(0.0,))
    assert found.percentiles((0, 50, 75, 100)).tolist() == [[KIB, 6 * KIB, 8 * KIB, 10 * KIB]]


def test_a_long_interval_counts_for_as_many_as_it_is_long(recorded):
    (found,) = working_sets(recorded([(0, KIB, 20)], [(0, 9 * KIB, 20)], lengths=(1, 9)), thresholds=(0.0,))
    assert found.nr_snapshots == 2
    assert found.percentiles((0, 10, 50, 100)).tolist() == [[KIB, 9 * KIB, 9 * KIB, 9 * KIB]]
    assert found.mean.tolist() == pytest.approx([8.2 * KIB])
    assert found.over_time[0].tolist() == [KIB] + [9 * KIB] * 9


@pytest.mark.parametrize("nr_columns", [1, 3, 10])
def test_means_over_time_agree_with_the_mean(recorded, nr_columns):
    snapshots = [[(0, (k % 4 + 1) * KIB, 20)] for k in range(12)]
    (found,) = working_sets(recorded(*snapshots), nr_columns, thresholds=(0.0,))
    assert found.over_time.shape[1] <= nr_columns
    assert found.peak_over_time.max() == 4 * KIB
