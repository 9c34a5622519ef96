"""Views: parts of a heatmap, and filters of regions."""

import pytest

from vadamon import Mapping, VadamonError
from vadamon.report.heatmap import heatmaps
from vadamon.report.regions import RegionsFilter, regions_tables
from vadamon.report.view import View

KIB = 1024
HEAP = Mapping(0, 64 * KIB, name="[heap]")
LIB = Mapping(1 << 20, (1 << 20) + 64 * KIB, name="/lib/x.so")
REGIONS = [(0, 32 * KIB, 2), (32 * KIB, 48 * KIB, 20), (48 * KIB, 64 * KIB, 0), (LIB.start, LIB.end, 1)]
SECOND = 1_000_000_000


@pytest.fixture
def recording(recorded):
    return recorded(*[REGIONS] * 4, mappings=[HEAP, LIB])


def drawn(heatmap):
    return int(heatmap.row_start[0]), int(heatmap.row_end[-1])


def test_addresses(recording):
    (heatmap,) = heatmaps(recording, view=View(addresses=(32 * KIB, 48 * KIB)))
    assert drawn(heatmap) == (32 * KIB, 48 * KIB)
    assert (heatmap.accesses == 1).all()


def test_mappings_by_name_and_by_pattern(recording):
    for name in ("x.so", "x.*"):
        (heatmap,) = heatmaps(recording, view=View(mapping=name))
        assert drawn(heatmap) == (LIB.start, LIB.end)
    with pytest.raises(VadamonError, match=r"no mapping 'y' was monitored; the biggest are: "):
        heatmaps(recording, view=View(mapping="y"))


def test_times(recording):
    (heatmap,) = heatmaps(recording, view=View(time_ns=(SECOND, 3 * SECOND)))
    assert heatmap.end_ns - heatmap.start_ns == 2 * SECOND
    with pytest.raises(VadamonError, match="no snapshot in that time range"):
        heatmaps(recording, view=View(time_ns=(60 * SECOND, 70 * SECOND)))


def test_zoom_finds_the_hottest(recording):
    (heatmap,) = heatmaps(recording, view=View().zoomed(recording))
    assert drawn(heatmap) == (32 * KIB, 48 * KIB)


def test_zoom_finds_a_small_hot_spot_beside_much_warm_memory(recorded):
    mib = 1024 * KIB
    maps = [Mapping(0, 8 * mib, name="[heap]"), Mapping(64 * mib, 65 * mib, name="/lib/x.so")]
    recording = recorded([(0, 8 * mib, 1), (64 * mib, 65 * mib, 20)], mappings=maps)
    (heatmap,) = heatmaps(recording, view=View().zoomed(recording))
    assert drawn(heatmap) == (64 * mib, 65 * mib)
    (heatmap,) = heatmaps(recording, view=View(mapping="[heap]").zoomed(recording))
    assert drawn(heatmap) == (0, 8 * mib)


def shown(recording, sort="address", **bounds):
    (table,) = regions_tables(recording, sort, RegionsFilter(**bounds))
    return [int(region["start"]) for region in table.to_dict()["regions"]]


def test_regions_are_filtered(recording):
    assert shown(recording, access=(0.5, None)) == [32 * KIB]
    assert shown(recording, access=(None, 0.05)) == [48 * KIB, LIB.start]
    assert shown(recording, size=(40 * KIB, None)) == [LIB.start]
    assert shown(recording, age_ns=(10 * SECOND, None)) == []


def test_regions_are_sorted(recording):
    assert shown(recording, "heat") == [32 * KIB, 0, LIB.start, 48 * KIB]
    assert shown(recording, "size")[:2] == [LIB.start, 0]
