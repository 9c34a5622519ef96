import pytest

from vadamon import Attrs
from vadamon.attrs import IntervalsGoal


def test_defaults_are_damons():
    attrs = Attrs()
    assert (attrs.sample_us, attrs.aggr_us, attrs.update_us) == (5_000, 100_000, 1_000_000)
    assert (attrs.min_nr_regions, attrs.max_nr_regions, attrs.min_region_size) == (10, 1_000, 4_096)
    assert attrs.max_nr_samples == 20


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"sample_us": 0}, "sample interval"),
        ({"sample_us": 200_000}, "aggregation interval"),
        ({"update_us": 1_000}, "update interval"),
        ({"aggr_us": 10**12}, "24 hours"),
        ({"min_nr_regions": 2}, "min_nr_regions"),
        ({"max_nr_regions": 9}, "max_nr_regions"),
        ({"min_region_size": 0}, "min_region_size"),
        ({"min_region_size": 3}, "power of two"),
    ],
)
def test_a_broken_bound_is_named(changed, named):
    with pytest.raises(ValueError, match=named):
        Attrs(**changed)


def test_part_of_a_sample_is_none():
    assert Attrs(sample_us=3_000, aggr_us=10_000, update_us=10_000).max_nr_samples == 3


def test_a_goal_is_the_kernels_by_default():
    goal = IntervalsGoal()
    assert (goal.access_share, goal.nr_aggrs) == (0.04, 3)
    assert (goal.min_sample_us, goal.max_sample_us) == (5_000, 10_000_000)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"access_share": 0}, "access_share"),
        ({"access_share": 1.1}, "access_share"),
        ({"nr_aggrs": 0}, "nr_aggrs"),
        ({"min_sample_us": 0}, "min_sample_us"),
        ({"min_sample_us": 11_000_000}, "max_sample_us"),
    ],
)
def test_a_broken_bound_of_a_goal_is_named(changed, named):
    with pytest.raises(ValueError, match=named):
        IntervalsGoal(**changed)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"sample_us": 4_000}, "5000 us to 10000000 us"),
        ({"sample_us": 11_000_000, "aggr_us": 12_000_000, "update_us": 12_000_000}, "5000 us to 10000000 us"),
        ({"aggr_us": 100_000_000}, "24 hours"),
    ],
)
def test_intervals_that_cannot_be_tuned_are_refused(changed, named):
    with pytest.raises(ValueError, match=named):
        Attrs(**changed, intervals_goal=IntervalsGoal())


def test_another_sample_interval_keeps_the_number_of_samples():
    attrs = Attrs(sample_us=6_000, aggr_us=100_000).with_sample_us(2_000_000)
    assert (attrs.sample_us, attrs.aggr_us, attrs.update_us) == (2_000_000, 32_000_000, 2_000_000)
    assert attrs.max_nr_samples == 16
