"""The summary, worked out by hand."""

from dataclasses import replace

import pytest

from vadamon import Mapping, SampleHealth
from vadamon.report.sentences import caveat, size_lines, trust_lines
from vadamon.report.summary import summaries

SECOND = 1_000_000_000
KIB = 1024
BIG = Mapping(0, 64 * KIB, name="/big")
SMALL = Mapping(1 << 20, (1 << 20) + 16 * KIB, name="/small")


def snapshots(nr):
    hot_then_cold = [(0, 16 * KIB, 20), (16 * KIB, 64 * KIB, 0), (SMALL.start, SMALL.end, 20)]
    cold = [(0, 16 * KIB, 0), (16 * KIB, 64 * KIB, 0), (SMALL.start, SMALL.end, 20)]
    return [hot_then_cold] * (nr // 4) + [cold] * (nr - nr // 4)


def test_what_is_in_use_and_what_is_not(recorded):
    (found,) = summaries(recorded(*snapshots(16), mappings=[BIG, SMALL]))
    sizes = found.sizes()
    assert sizes["hot"] == 16 * KIB
    assert sizes["cold"] == 16 * KIB
    assert sizes["untouched"] == 48 * KIB
    assert sizes["warm"] == sizes["unknown"] == 0
    assert found.coldest[0].name == "big"


def test_idle_tells_since_when(recorded):
    (found,) = summaries(recorded(*snapshots(16), mappings=[BIG, SMALL]))
    idle = dict(found.idle)
    assert idle[1_000_000_000] == 16 * KIB
    assert idle[10_000_000_000] == 16 * KIB
    assert 60_000_000_000 not in idle or idle[60_000_000_000] == 0


def test_resident_is_told_as_far_as_it_is_known(recorded):
    every = [(0, 16 * KIB, 20)]
    (found,) = summaries(recorded(every, every, every, every, resident=(8192, 12288, 4096, 0), mappings=[BIG]))
    assert found.resident == (4096, 12288)
    assert ("resident", "4 KiB at the end, 12 KiB at most") in size_lines(found)
    assert found.to_dict()["resident"] == {"end": 4096, "most": 12288}
    (found,) = summaries(recorded(every, mappings=[BIG]))
    assert found.resident is None
    assert "resident" not in dict(size_lines(found))


def test_health_says_how_far_to_trust_it(recorded):
    (found,) = summaries(recorded([(0, 16 * KIB, -1), (16 * KIB, 32 * KIB, 20)], mappings=[BIG]))
    assert found.health.unknown == 0.5
    assert found.health.nr_samples == 20
    assert (found.health.fewest_regions, found.health.most_regions) == (2, 2)
    assert found.health.sample_intervals == []


@pytest.mark.parametrize(
    ("late", "missed", "is_doubted"), [(0, 0, False), (1, 1, False), (3, 0, True), (0, 3, True), (1, 2, True)]
)
def test_what_speaks_against_it(recorded, late, missed, is_doubted):
    (found,) = summaries(recorded([(0, 16 * KIB, 20)], [(0, 16 * KIB, 20)]))
    assert found.health.nr_samples == 40
    counts = SampleHealth(late_samples=late, missed_samples=missed)
    found = replace(found, health=replace(found.health, counts=counts))
    assert ("came late or were left out" in caveat(found)) == is_doubted
    assert trust_lines(found)[-1] == (caveat(found) or "Nothing speaks against it.")


def test_it_tells_what_intervals_were_tuned_to(recorded):
    every = [(0, 16 * KIB, 20)]
    (found,) = summaries(recorded(every, every, every, every, lengths=(1, 1, 2, 1)))
    assert found.health.sample_intervals == [(0, 50_000_000), (2 * SECOND, 100_000_000), (4 * SECOND, 50_000_000)]
    assert "sample interval tuned 2 times: 50 ms to 100 ms, at last 50 ms" in trust_lines(found)
