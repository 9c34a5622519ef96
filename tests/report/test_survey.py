from collections.abc import Callable

from vadamon import Mapping, Mappings, Recording
from vadamon.report.survey import MappedRanges, survey

Record = Callable[..., Recording]


def test_survey_unites_all_regions(recorded: Record) -> None:
    recording = recorded([(0, 5, 1), (5, 9, 1), (20, 30, 1)], [(2, 12, 1)], [])
    covered = survey(recording)[1]
    assert (covered.start.tolist(), covered.end.tolist()) == ([0, 20], [12, 30])
    assert (covered.start_ns, covered.end_ns, covered.nr_snapshots) == (0, 3_000_000_000, 3)


def test_what_was_unmapped_keeps_its_name() -> None:
    mapped = MappedRanges()
    mapped.add(Mappings([Mapping(0, 10, name="a"), Mapping(20, 30, name="b"), Mapping(40, 50, name="c")]))
    mapped.add(Mappings([Mapping(25, 35, name="d")]))
    assert [(m.start, m.name) for m in mapped.latest] == [(0, "a"), (25, "d"), (40, "c")]
    assert list(zip(mapped.start.tolist(), mapped.end.tolist(), strict=True)) == [(0, 10), (20, 35), (40, 50)]
