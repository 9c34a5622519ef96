import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vadamon import Mapping, Recording
from vadamon.report.mappings import CLASSES, MappingsTable, mappings_tables

Record = Callable[..., Recording]
PAGE = 4096
MIB = 1 << 20


def one(recording: Recording) -> MappingsTable:
    (table,) = mappings_tables(recording)
    return table


def sizes(table: MappingsTable, index: int = 0) -> dict[str, int]:
    return {name: size for name, size in zip(CLASSES, table.sizes[index].tolist(), strict=True) if size}


def pages(*accesses: int) -> list[tuple[int, int, int]]:
    return [(i * PAGE, (i + 1) * PAGE, n) for i, n in enumerate(accesses)]


def test_every_class(recorded: Record) -> None:
    early, late = pages(20, 10, 9, 20, 0, -1), pages(20, 10, 9, 0, 0, -1)
    table = one(recorded(*[early] * 5, *[late] * 5, mappings=[Mapping(0, 7 * PAGE)]))
    assert sizes(table) == {
        "hot": 2 * PAGE,
        "warm": PAGE,
        "cold": PAGE,
        "untouched": PAGE,
        "unknown": PAGE,
        "unmonitored": PAGE,
    }
    assert table.cold_after_ns == 2_500_000_000


def test_unknown_snapshots_do_not_count(recorded: Record) -> None:
    table = one(recorded(*[pages(12, 0)] * 3, *[pages(-1, -1)] * 5, pages(12, 0), mappings=[Mapping(0, 2 * PAGE)]))
    assert sizes(table) == {"hot": PAGE, "untouched": PAGE}


def test_idle_since(recorded: Record) -> None:
    mappings = [Mapping(0, PAGE, name="/a"), Mapping(PAGE, 3 * PAGE, name="/b"), Mapping(3 * PAGE, 4 * PAGE, name="/c")]
    table = one(recorded(*[pages(1, 5, 0, 0)] * 3, *[pages(1, 0, 0, 0)] * 7, mappings=mappings))
    assert table.last_access_ns.tolist() == [10_000_000_000, 3_000_000_000, -1]
    assert [m["idle_ns"] for m in table.to_dict()["mappings"]] == [0, 7_000_000_000, None]


def test_coarse_regions_of_the_beginning_are_left_out(recorded: Record) -> None:
    coarse, fine = [(0, 8 * PAGE, 4)], [(0, PAGE, 20), (PAGE, 8 * PAGE, 0)]
    table = one(recorded(*[coarse] * 20, *[fine] * 60, mappings=[Mapping(0, 8 * PAGE)]))
    assert sizes(table) == {"hot": PAGE, "untouched": 7 * PAGE}
    assert table.from_ns == 20_000_000_000


def test_small_mapping_beside_a_huge_one_keeps_its_pages(recorded: Record) -> None:
    huge = 1 << 45
    mappings = [Mapping(0, 8 * PAGE, name="/small"), Mapping(8 * PAGE, 8 * PAGE + huge)]
    regions = [(0, 3 * PAGE, 20), (3 * PAGE, 8 * PAGE, 0), (8 * PAGE, 8 * PAGE + huge, 0)]
    table = one(recorded(*[regions] * 4, mappings=mappings))
    assert sizes(table, 0) == {"hot": 3 * PAGE, "untouched": 5 * PAGE}
    assert sizes(table, 1) == {"untouched": huge}


def test_part_of_a_slice_is_weighed_by_bytes(recorded: Record) -> None:
    regions = [(0, PAGE // 4, 20), (PAGE // 4, PAGE, 0)]
    table = one(recorded(*[regions] * 4, mappings=[Mapping(0, PAGE)]))
    assert sizes(table) == {"warm": PAGE}


def test_recording_without_mappings(recorded: Record) -> None:
    assert len(one(recorded(pages(1))).sizes) == 0


def test_service(service: Path) -> None:
    table = one(Recording(service))
    by_name = {m.name: sizes(table, i) for i, m in enumerate(table.mappings)}
    # See conftest: 32 MiB always, a sixteenth now and then, a moving 16 MiB that passed four places.
    expected = {"hot": 32 * MIB, "warm": 48 * MIB, "cold": 32 * MIB, "untouched": 144 * MIB}
    assert by_name[""] == pytest.approx(expected, rel=0.01)
    assert by_name["[stack]"] == {"hot": 3 * PAGE, "untouched": 30 * PAGE}
    assert (table.sizes.sum(axis=1) == table.mappings.end - table.mappings.start).all()
    data = json.loads(json.dumps(table.to_dict()))
    assert np.sum([m["hot"] for m in data["mappings"]]) == table.sizes[:, 0].sum()
