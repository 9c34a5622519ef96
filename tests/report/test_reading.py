"""Reports of recordings of which nothing is whole but the indexes."""

from collections.abc import Callable

import pytest

from vadamon import Recording, VadamonError
from vadamon.errors import VadamonWarning
from vadamon.report.heatmap import heatmaps
from vadamon.report.mappings import mappings_tables
from vadamon.report.regions import regions_tables
from vadamon.report.summary import summaries
from vadamon.report.wss import working_sets


@pytest.mark.parametrize("report", [heatmaps, working_sets, summaries, mappings_tables, regions_tables])
def test_snapshots_that_are_all_damaged_are_one_line(
    recorded: Callable[..., Recording], report: Callable[[Recording], object]
) -> None:
    recording = recorded([(0, 4096, 3)])
    data = bytearray(recording.path.read_bytes())
    data[-21] ^= 1  # the last byte before the end mark
    recording.path.write_bytes(data)
    with pytest.warns(VadamonWarning, match="is damaged"), pytest.raises(VadamonError) as raised:
        report(Recording(recording.path))
    assert "\n" not in str(raised.value)
