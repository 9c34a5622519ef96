import json
from collections.abc import Callable

import pytest

from vadamon import Mapping, Recording, VadamonError
from vadamon.report.regions import places, regions_tables

Record = Callable[..., Recording]


def test_last_snapshot_of_each_target(recorded: Record) -> None:
    recording = recorded(
        [(0, 10, 1)],
        [(0, 5, 2), (5, 10, -1)],
        [(7, 9, 3)],
        mappings=[Mapping(0, 10, name="/lib/x")],
        target_ids=[1, 1, 2],
    )
    first, second = (json.loads(json.dumps(table.to_dict())) for table in regions_tables(recording))
    assert first["end_ns"] == 2_000_000_000
    assert first["regions"] == [
        {"start": 0, "end": 5, "nr_accesses": 2, "age": 1, "unknown": False, "name": "x"},
        {"start": 5, "end": 10, "nr_accesses": 0, "age": 1, "unknown": True, "name": "x"},
    ]
    assert [r["name"] for r in second["regions"]] == [""]


def test_recording_without_snapshots(recorded: Record) -> None:
    with pytest.raises(VadamonError, match="has no snapshot"):
        regions_tables(recorded())


def test_of_names_too_near_to_each_other_the_bigger_one_is_written(recorded: Record) -> None:
    mib = 1 << 20
    maps = [Mapping(0, 1, name="/small"), Mapping(1, 4 * mib, name="/big"), Mapping(4 * mib, 5 * mib, name="/next")]
    (table,) = regions_tables(recorded([(m.start, m.end, 1) for m in maps], mappings=maps))
    placed = places(table)
    assert [name for name, *_ in placed.runs] == ["small", "big", "next"]
    assert [name for name, *_ in placed.marked(0.1)] == ["big", "next"]
    assert placed.edges[-1] == pytest.approx(1)
    assert (placed.edges[2] - placed.edges[1]) / (placed.edges[3] - placed.edges[2]) == pytest.approx(2, abs=0.01)
