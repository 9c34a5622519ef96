"""Where the rows of a heatmap are drawn."""

import numpy as np
import pytest

from vadamon import Mapping
from vadamon.report.heatmap import heatmaps
from vadamon.report.layout import lay_out, sample_ticks

MIB = 1 << 20


@pytest.fixture
def layout_of(recorded):
    def lay(*mappings, nr_rows=32):
        regions = [(m.start, m.end, 1) for m in mappings]
        (heatmap,) = heatmaps(recorded(regions, mappings=mappings), nr_rows=nr_rows)
        return heatmap, lay_out(heatmap, 40)

    return lay


def test_every_row_is_drawn_once_from_top_to_bottom(layout_of):
    heatmap, layout = layout_of(Mapping(0, MIB, name="/a"), Mapping(64 * MIB, 128 * MIB, name="/b"))
    assert layout.row[layout.row >= 0].tolist() == list(range(len(heatmap.row_band)))
    assert layout.edges[0] == 0
    assert layout.edges[-1] == pytest.approx(1)
    assert (np.diff(layout.edges) > 0).all()
    ((middle, size),) = layout.gaps(heatmap)
    assert size == 63 * MIB
    assert layout.band_top[0] < middle < layout.band_top[1]


def test_bands_have_a_mark_and_others_only_where_there_is_room(layout_of):
    _, layout = layout_of(Mapping(0, 4096, name="/a"), Mapping(4096, MIB, name="/b"))
    tops = layout.edges[layout.marked()]
    assert set(layout.band_top) <= set(tops)
    assert (np.diff(tops)[1:] >= 0.08).all()
    assert len(tops) > 8
    _, alone = layout_of(*[Mapping(i * MIB, (i + 1) * MIB, name=f"/{i}") for i in range(20)], nr_rows=20)
    assert alone.edges[alone.marked()].tolist() == alone.band_top.tolist()


@pytest.mark.parametrize(
    ("nr_samples", "least", "ticks"), [(20, 0, [0, 4, 8, 12, 16, 20]), (20, 1, [1, 4, 8, 12, 16, 20]), (2, 1, [1, 2])]
)
def test_ticks_of_samples(nr_samples, least, ticks):
    assert sample_ticks(nr_samples, least) == ticks
