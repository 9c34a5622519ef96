from fractions import Fraction

import pytest

from vadamon import VadamonError
from vadamon.simulation.config import parse_config
from vadamon.simulation.run import shipped_workloads
from vadamon.simulation.workload import Phase, Region, Touch

GOOD = """\
repeat = 2

[[regions]]
name = "heap"
size = "1MiB"

[[regions]]
name = "stack"
size = "6000B"
start = 0x7f0000400000

[[phases]]
name = "all"
duration = "1.5s"
touches = [
    { region = "heap", pattern = "sequential", rate = "10 sweeps/s" },
    { region = "heap", pattern = "strided", stride = "8KiB", offset = "512KiB", rate = "1 sweeps/s", access = "write" },
    { region = "stack", pattern = "random", rate = "2MiB/s" },
]

[[phases]]
duration = "100ms"

[[phases.touches]]
region = "heap"
offset = "4KiB"
size = "64KiB"
pattern = "zipf"
exponent = 2
shuffled = true
rate = "5e3 accesses/s"
"""
HEAP, STACK = 0x7F0000000000, 0x7F0000400000


def test_everything() -> None:
    workload = parse_config(GOOD, "some/where.toml")
    assert (workload.name, workload.repeat, workload.duration_ns) == ("where", 2, 3_200_000_000)
    assert workload.regions == (Region("heap", 1 << 20, HEAP), Region("stack", 6000, STACK))
    assert workload.regions[1].end == STACK + 8192
    half = 1 << 19
    assert workload.phases == (
        Phase(
            "all",
            1_500_000_000,
            (
                Touch(start=HEAP, size=1 << 20, pattern="sequential", rate=Fraction(10 << 14)),
                Touch(start=HEAP + half, size=half, pattern="strided", rate=Fraction(64), write=True, stride=8192),
                Touch(start=STACK, size=6000, pattern="random", rate=Fraction(1 << 15)),
            ),
        ),
        Phase(
            "",
            100_000_000,
            (
                Touch(
                    start=HEAP + 4096,
                    size=1 << 16,
                    pattern="zipf",
                    rate=Fraction(5000),
                    exponent=2.0,
                    shuffled=True,
                ),
            ),
        ),
    )


def test_regions_without_a_start_do_not_meet_any_other() -> None:
    text = "".join(f'[[regions]]\nname = "{k}"\nsize = "3MiB"\n' for k in range(4)) + '[[phases]]\nduration = "1s"\n'
    regions = parse_config(text, "x").regions
    assert [region.start - HEAP for region in regions] == [k * (6 << 20) for k in range(4)]


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("repeat = 2", "repeat = ", 1, "no TOML: "),
        ('"5e3 accesses/s"\n', '"5e3 acc', 31, "no TOML: "),
        ("repeat = 2", "repeat = 0", 1, "repeat is 0: expected is a number of times, at least 1"),
        ("repeat = 2", "again = 2", 1, "again is not known here: expected is one of repeat, regions, phases"),
        ("[[phases]]", "[phases]", 21, "no TOML: "),
        ('name = "stack"', 'name = "heap"', 8, "there are two regions 'heap': name them differently"),
        ('name = "stack"', "", 7, "name is missing: expected is a text"),
        ('size = "6000B"', "size = 6000", 9, 'size is 6000: expected is a size with its unit, such as "4KiB"'),
        ('size = "6000B"', 'size = "0B"', 9, "size is '0B': expected is more than nothing"),
        ('size = "6000B"', 'size = "1PiB"', 9, "region 'stack' must end below 0x800000000000"),
        ("start = 0x7f0000400000", "start = 5", 10, "start is 5: expected is an address such as 0x7f0000000000"),
        ("start = 0x7f0000400000", "start = 0x7f0000001000", 10, "regions 'heap' and 'stack' overlap"),
        ('duration = "1.5s"', "duration = 2", 14, 'duration is 2: expected is a time above 0 with its unit, such as'),
        ('duration = "1.5s"', 'duration = "0s"', 14, "duration is '0s': expected is a time above 0"),
        ('"stack", pattern', '"stuck", pattern', 18, "region is 'stuck': expected is one of heap, stack"),
        ('"2MiB/s"', '"2 sweeps/s"', 18, 'rate is \'2 sweeps/s\': expected is a rate such as "2GiB/s"'),
        ('"10 sweeps/s"', '"10"', 16, 'rate is \'10\': expected is a rate such as "1000 sweeps/s"'),
        ('"10 sweeps/s"', '"0 sweeps/s"', 16, "rate is '0 sweeps/s'"),
        ('rate = "10 sweeps/s"', "stride = 5", 16, 'rate is missing: expected is a rate such as "1000 sweeps/s"'),
        ('rate = "10 sweeps/s"', 'rate = "1B/s", stride = "5B"', 16, "stride is not known here: expected is one of"),
        ('stride = "8KiB", ', "", 17, "stride is missing: expected is a size"),
        ('access = "write"', 'access = "both"', 17, "access is 'both': expected is one of read, write"),
        ('offset = "512KiB"', 'offset = "1MiB"', 17, "region 'heap' ends at 1048576 bytes"),
        ('size = "64KiB"', 'size = "1MiB"', 27, "region 'heap' ends at 1048576 bytes"),
        ('pattern = "zipf"', 'pattern = "zip"', 28, "pattern is 'zip': expected is one of sequential, strided, random"),
        ("exponent = 2", "exponent = -1", 29, "exponent is -1: expected is a number above 0"),
        ("shuffled = true", "shuffled = 1", 30, "shuffled is 1: expected is true or false"),
    ],
)  # fmt: skip
def test_errors_name_file_line_and_what_is_expected(old: str, new: str, line: int, expected: str) -> None:
    assert GOOD.count(old) >= 1
    with pytest.raises(VadamonError) as caught:
        parse_config(GOOD.replace(old, new, 1), "dir/bad.toml")
    message = str(caught.value)
    assert message.startswith(f"dir/bad.toml:{line}: {expected}")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x:1: expected is a table [[regions]]"),
        ("regions = 5", "x:1: expected is a table [[regions]]"),
        ('[[regions]]\nname = "a"\nsize = "1B"', "x:1: expected is a table [[phases]]"),
        (
            '[[regions]]\nname = "a"\nsize = "1B"\n[[phases]]\nduration = "1s"\n\ntouches = [5]',
            "x:7: expected is a table [[phases.touches]]",
        ),
    ],
)
def test_tables_that_are_missing(text: str, message: str) -> None:
    with pytest.raises(VadamonError) as caught:
        parse_config(text, "x")
    assert str(caught.value) == message


def test_workloads_that_are_shipped() -> None:
    assert {"stairs", "zigzag", "zipf", "hot-spot", "fast-phases", "sparse"} <= set(shipped_workloads())
