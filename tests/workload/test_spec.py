import pytest

from vadamon.workload import Area, Random, Stream, Sweep, Workload, spec_to_json
from vadamon.workload.spec import number_patterns, spec_from_json

MIB = 1 << 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Area("a", "papyrus", size=MIB), "area 'a': kind must be one of private, huge, .*, not 'papyrus'"),
        (lambda: Area("a", size=5000), "area 'a': size must be a multiple of 4096 and at least 4096, not 5000"),
        (lambda: Area("a", size=0), "area 'a': size .* not 0"),
        (lambda: Area("a", "huge", size=MIB), "area 'a': size must be a multiple of 2097152 .* not 1048576"),
        (
            lambda: Area("a", size=MIB, patterns=(Stream(length=2 * MIB),)),
            "a stream ends at 2097152, the area at 1048576",
        ),
        (lambda: Area("a", size=MIB, sibling_patterns=(Sweep(length=MIB),)), "only a shared area has sibling_patterns"),
        (lambda: Area("a", size=MIB, patterns=(Sweep(length=MIB, move_every_s=1),)), "no room to move a sweep"),
        (lambda: Sweep(length=1), "length must be a multiple of 4096 and at least 4096, not 1"),
        (lambda: Sweep(length=MIB, offset=-4096), "offset must be a multiple of 4096 and at least 0, not -4096"),
        (lambda: Sweep(length=MIB, stride=64), "stride must be a multiple of 4096 and at least 4096, not 64"),
        (lambda: Sweep(length=MIB, period_us=0), "period_us must be .* at least 1, not 0"),
        (lambda: Sweep(length=MIB, move_every_s=0), "move_every_s must be at least 0.001, not 0"),
        (lambda: Stream(length=7), "length must be"),
        (lambda: Random(length=MIB, offset=7), "offset must be"),
        (lambda: Workload([]), "needs at least one area"),
        (lambda: Workload([Area("a", size=MIB), Area("a", size=MIB)]), "two areas are named 'a'"),
    ],
)
def test_what_cannot_be_is_one_line(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "3",
        '"areas"',
        "[]",
        "[3]",
        '[{"name": "a"}]',
        '[{"name": "a", "size": "big"}]',
        '[{"name": "a", "size": 4096, "patterns": [{"kind": "walk", "length": 4096}]}]',
        '[{"name": "a", "size": 4096, "patterns": [{"kind": "stream", "speed": 1}]}]',
    ],
)
def test_json_that_describes_no_workload(text):
    with pytest.raises(ValueError, match=r".") as raised:
        spec_from_json(text)
    assert "\n" not in str(raised.value)


def test_json_gives_back_what_it_was_given():
    areas = [
        Area("a", size=4 * MIB, patterns=(Sweep(offset=MIB, length=MIB, period_us=20_000, stride=8192),)),
        Area("b", "shared", size=4 * MIB, patterns=(Random(length=MIB),), sibling_patterns=(Stream(length=MIB),)),
        Area("c", "huge", size=4 * MIB, patterns=(Sweep(length=MIB, move_every_s=0.5),)),
    ]
    assert spec_from_json(spec_to_json(areas)) == areas


def test_patterns_are_numbered_area_by_area_the_siblings_last():
    mine, other, siblings = Stream(length=MIB), Random(length=MIB), Sweep(length=MIB)
    b = Area("b", "shared", size=MIB, patterns=(mine,), sibling_patterns=(siblings,))
    c = Area("c", size=MIB, patterns=(other,))
    assert number_patterns([b, c]) == [(b, mine, False), (b, siblings, True), (c, other, False)]


@pytest.mark.parametrize(("period_us", "expected"), [(1_000, 20), (5_000, 20), (20_000, 5), (200_000, 0.5)])
def test_expected_nr_accesses(period_us, expected):
    assert Sweep(length=4096, period_us=period_us).expected_nr_accesses(5_000, 20) == expected


def test_a_moving_sweep_has_as_many_windows_as_fit_behind_its_offset():
    assert Sweep(offset=MIB, length=2 * MIB, move_every_s=1).nr_windows(8 * MIB) == 3
    assert Sweep(offset=MIB, length=2 * MIB).nr_windows(8 * MIB) == 1
