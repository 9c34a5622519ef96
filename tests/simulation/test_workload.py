from fractions import Fraction

import numpy as np
import pytest

from vadamon.simulation.memory import Memory
from vadamon.simulation.workload import Phase, Region, Touch, Workload, place


class Log(Memory):
    def __init__(self) -> None:
        self.mapped: list[tuple[int, int, str]] = []
        self.touched: list[int] = []

    def map(self, start: int, end: int, name: str = "", permissions: str = "rw-p") -> None:
        self.mapped.append((start, end, name))

    def touch(self, start: int, end: int, step: int, write: bool = False) -> None:
        self.touched.append(start)


def workload(repeat: int = 1) -> Workload:
    a, b = (Touch(start=start, size=64, pattern="sequential", rate=Fraction(1000)) for start in (0x1000, 0x3000))
    regions = (Region("a", 4096, 0x1000), Region("b", 5000, 0x3000))
    return Workload(
        "x", regions, (Phase("", 2_000_000, (a,)), Phase("", 3_000_000, (b,)), Phase("", 1_000_000)), repeat
    )


def run(program: Workload, until: list[int]) -> tuple[list[list[int]], list[bool], Log]:
    memory = Log()
    program.begin(memory, np.random.default_rng(1))
    every, alive = [], []
    for time_ns in until:
        alive.append(program.run(time_ns, memory))
        every.append(memory.touched)
        memory.touched = []
    return every, alive, memory


def test_phases_follow_each_other_and_begin_anew() -> None:
    every, alive, memory = run(workload(2), [k * 1_000_000 for k in range(1, 14)])
    assert memory.mapped == [(0x1000, 0x2000, "a"), (0x3000, 0x5000, "b")]
    assert every == [[0x1000]] * 2 + [[0x3000]] * 3 + [[]] + [[0x1000]] * 2 + [[0x3000]] * 3 + [[], []]
    assert alive == [True] * 12 + [False]


def test_one_interval_may_hold_many_phases() -> None:
    every, alive, _ = run(workload(2), [7_000_000, 100_000_000])
    assert every == [[0x1000, 0x3000, 0x1000], [0x1000, 0x3000]]
    assert alive == [True, False]


def test_it_begins_from_the_beginning_each_time() -> None:
    program = workload()
    assert run(program, [6_000_000])[0] == run(program, [6_000_000])[0]


def test_regions_that_overlap_are_named() -> None:
    with pytest.raises(ValueError, match="regions 'a' and 'b' overlap"):
        place([("b", 4096, 0x2000), ("a", 4097, 0x1000)])
    assert [region.start for region in place([("b", 4096, 0x2000), ("a", 4096, 0x1000)])] == [0x2000, 0x1000]
