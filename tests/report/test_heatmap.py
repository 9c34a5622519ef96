import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vadamon import Mapping, Recording, VadamonError
from vadamon.report.heatmap import Heatmap, heatmaps

Record = Callable[..., Recording]


def one(recording: Recording, **sizes: int) -> Heatmap:
    (heatmap,) = heatmaps(recording, **sizes)
    return heatmap


def shares(heatmap: Heatmap) -> list[list[float | None]]:
    return [[None if np.isnan(cell) else round(float(cell), 3) for cell in row] for row in heatmap.accesses]


def test_rows_are_addresses_and_columns_are_times(recorded: Record) -> None:
    heatmap = one(recorded([(0, 40, 20), (40, 80, 0)], [(0, 40, 5), (40, 80, 10)]), nr_rows=2)
    assert shares(heatmap) == [[1, 0.25], [0, 0.5]]
    assert heatmap.row_start.tolist() == [0, 40]
    assert heatmap.row_end.tolist() == [40, 80]
    assert heatmap.column_ns == 1e9


def test_hot_spot_smaller_than_a_cell_shows(recorded: Record) -> None:
    quiet = [(0, 1 << 30, 0)]
    spot = [(0, 4097, 0), (4097, 4098, 19), (4098, 1 << 30, 0)]
    heatmap = one(recorded(quiet, quiet, spot, quiet), nr_rows=1, nr_columns=2)
    assert shares(heatmap) == [[0, 0.95]]


def test_unknown_is_not_cold(recorded: Record) -> None:
    heatmap = one(
        recorded([(0, 30, 0), (30, 40, -1)], [(0, 10, 0), (10, 40, -1)], [(0, 10, 3), (10, 40, -1)]), nr_rows=1
    )
    assert shares(heatmap) == [[0, None, 0.15]], "what most of a cell shows, unless some of it was accessed"
    assert heatmap.unknown.tolist() == [[False, True, False]]
    assert heatmap.to_dict()["accesses"] == [[0, "unknown", 0.15]]


def test_no_region_is_not_cold(recorded: Record) -> None:
    heatmap = one(recorded([(0, 10, 0)], [(0, 20, 0)]), nr_rows=2)
    assert shares(heatmap) == [[0, 0], [None, 0]]
    assert not heatmap.unknown.any()


def test_unmapped_gaps_are_folded_and_mappings_named(recorded: Record) -> None:
    tib = 1 << 40
    mappings = [
        Mapping(0, 4096, name="/bin/x"),
        Mapping(8192, 16384, name="[heap]"),
        Mapping(tib, tib + (1 << 28)),
        Mapping(2 * tib, 2 * tib + 4096, name="[stack]"),
    ]
    heatmap = one(recorded([(0, 20000, 20), (tib, 2 * tib + 4096, 0)], mappings=mappings))
    assert [band.name for band in heatmap.bands] == ["x", "[heap]", "anonymous 256 MiB", "[stack]"]
    assert [band.gap for band in heatmap.bands] == [0, 0, tib - 16384, tib - (1 << 28)]
    assert (heatmap.row_end <= 2 * tib + 4096).all()
    assert int((heatmap.row_end - heatmap.row_start).sum()) == 4096 + 8192 + (1 << 28) + 4096
    assert set(heatmap.accesses[heatmap.row_band < 2].ravel().tolist()) == {1}


def test_many_mappings_share_rows(recorded: Record) -> None:
    mappings = [Mapping(i * 8192, i * 8192 + 4096, name=f"/lib/{i}") for i in range(1000)]
    heatmap = one(recorded([(0, 8192000, 0), (8192000, 8192001, 1)], mappings=mappings), nr_rows=20)
    assert len(heatmap.accesses) <= 20
    assert heatmap.bands[0].name.startswith("0 +")


def test_late_snapshot_shows_in_one_column(recorded: Record) -> None:
    recording = recorded(*([(0, 10, 20 * (k == 4))] for k in range(10)))
    assert shares(one(recording, nr_rows=1, nr_columns=5)) == [[0, 0, 1, 0, 0]]
    assert shares(one(recording, nr_rows=1, nr_columns=3))[0].count(1) == 1


def test_targets_have_heatmaps_of_their_own(recorded: Record) -> None:
    recording = recorded([(0, 10, 20)], [(50, 60, 10)], target_ids=[1, 2])
    first, second = heatmaps(recording, nr_rows=1)
    assert (first.target.pid, shares(first)) == (4242, [[1]])
    assert (second.target.target_id, second.target.pid, shares(second)) == (2, 0, [[0.5]])


def test_recording_without_snapshots(recorded: Record) -> None:
    with pytest.raises(VadamonError, match="has no snapshot"):
        heatmaps(recorded())


def test_snapshot_without_regions(recorded: Record) -> None:
    assert one(recorded([])).accesses.shape == (0, 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    snapshots=st.lists(
        st.lists(st.tuples(st.integers(1, 9), st.integers(-1, 20)), min_size=1, max_size=6), min_size=1, max_size=6
    ),
    nr_rows=st.integers(1, 7),
    nr_columns=st.integers(1, 8),
)
def test_cell_is_the_maximum(
    recorded: Record, snapshots: list[list[tuple[int, int]]], nr_rows: int, nr_columns: int
) -> None:
    regions = []
    for sizes in snapshots:
        ends = np.cumsum([size for size, _ in sizes]).tolist()
        regions.append([(end - size, end, n) for end, (size, n) in zip(ends, sizes, strict=True)])
    heatmap = one(recorded(*regions), nr_rows=nr_rows, nr_columns=nr_columns)
    greatest = max((n for snapshot in regions for _, _, n in snapshot), default=0)
    found = np.nan_to_num(heatmap.accesses, nan=0).max()
    assert found == pytest.approx(max(greatest, 0) / 20), "no access is lost by drawing"
    if heatmap.accesses.shape[1] == len(regions):
        for row in range(len(heatmap.accesses)):
            low, high = int(heatmap.row_start[row]), int(heatmap.row_end[row])
            for column, snapshot in enumerate(regions):
                inside = [(min(e, high) - max(s, low), n) for s, e, n in snapshot if s < high and e > low]
                expected = max((n for _, n in inside), default=-1)
                balance = sum(size if n < 0 else -size for size, n in inside)
                if expected > 0 or (inside and balance <= 0):
                    assert heatmap.accesses[row, column] == pytest.approx(max(expected, 0) / 20)
                else:
                    assert np.isnan(heatmap.accesses[row, column])
                    assert heatmap.unknown[row, column] == bool(inside)


def test_plain_data(service: Path) -> None:
    data = json.loads(json.dumps(one(Recording(service), nr_rows=30, nr_columns=40).to_dict(), allow_nan=False))
    assert data["target"]["pid"] == 4242
    assert len(data["accesses"]) == len(data["rows"])
    assert {len(row) for row in data["accesses"]} == {40}
