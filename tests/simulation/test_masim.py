from fractions import Fraction

import pytest

from vadamon import VadamonError
from vadamon.simulation.masim import RATE, looks_like_masim, parse_masim
from vadamon.simulation.workload import Touch

GOOD = """\
#regions
# name, length, initial data file
a, 10000, none
b, 64

# phase 1
first of all
1000
a, 1, 64, 80, wo

# phase 2


second
20
b, 0, 4096, 3, ro
a, 0, 128,1
"""


def test_everything() -> None:
    workload = parse_masim(GOOD, "dir/some.cfg")
    a, b = workload.regions
    assert (workload.name, a.name, a.size, b.name, b.size) == ("some", "a", 10000, "b", 64)
    assert [(phase.name, phase.duration_ns) for phase in workload.phases] == [
        ("first of all", 1_000_000_000),
        ("second", 20_000_000),
    ]
    random, sequential, other = (touch for phase in workload.phases for touch in phase.touches)
    assert random == Touch(start=a.start, size=10000, pattern="random", rate=Fraction(RATE), write=True)
    assert sequential == Touch(start=b.start, size=64, pattern="strided", rate=Fraction(3 * RATE, 4), stride=4096)
    assert other == Touch(start=a.start, size=10000, pattern="strided", rate=Fraction(RATE, 4), stride=128)


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("b, 64", "b", 4, "a region as NAME, BYTES"),
        ("b, 64", "b, 0", 4, "a region as NAME, BYTES"),
        ("b, 64", "a, 64", 4, "another name: there is a region 'a' already"),
        ("1000\n", "soon\n", 8, "the milliseconds of the phase on its second line"),
        ("second\n", "", 15, "the milliseconds of the phase on its second line"),
        ("a, 1, 64, 80, wo", "a, 1, 64", 9, "a pattern as REGION, RANDOM, STRIDE, WEIGHT"),
        ("a, 1, 64, 80, wo", "c, 1, 64, 80, wo", 9, "one of the regions a, b instead of 'c'"),
        ("a, 1, 64, 80, wo", "a, 1, 64, 80, no", 9, "ro, wo or rw instead of 'no'"),
        ("a, 1, 64, 80, wo", "a, 1, 64, 0, wo", 9, "weights that are not all 0"),
    ],
)
def test_errors_name_file_line_and_what_is_expected(old: str, new: str, line: int, expected: str) -> None:
    with pytest.raises(VadamonError) as caught:
        parse_masim(GOOD.replace(old, new), "bad.cfg")
    assert str(caught.value) == f"bad.cfg:{line}: expected is {expected}"


def test_file_without_a_phase() -> None:
    with pytest.raises(VadamonError, match=r"^x:1: expected is a paragraph of regions, an empty line, and a phase$"):
        parse_masim("a, 5\n", "x")


def test_it_is_told_from_others() -> None:
    assert looks_like_masim(GOOD)
    assert not looks_like_masim('[[regions]]\nname = "a, 5"')
    assert not looks_like_masim("")
