import pytest

from vadamon import Attrs


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
