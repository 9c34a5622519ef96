"""Workloads from configuration files of masim, the memory access simulator (https://github.com/sjp38/masim).

Paragraphs are parted by empty lines; lines that begin with ``#`` do not count. The first paragraph has one region
a line: its name, its size in bytes, and perhaps a file to load, which does not matter here. Each other one is a
phase: its name, its milliseconds, and what it accesses, one a line: region, 1 for random or 0 for sequential, stride
in bytes, weight, and perhaps ``ro``, ``wo`` or ``rw``.

masim accesses memory as fast as the machine can. Here it has a rate, which the weights share out.
"""

from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from vadamon.errors import VadamonError
from vadamon.simulation.workload import Phase, Region, Touch, Workload, place

RATE = 100_000_000
"""Accesses a second."""

_Line = tuple[int, str]


def parse_masim(text: str, name: str) -> Workload:
    """Return the workload that a configuration of masim describes; ``name`` is that of its file.

    Raises VadamonError, with file, line and what is expected, where it describes none.
    """
    paragraphs = _paragraphs(text)
    if len(paragraphs) < 2:
        _fail(name, (max(1, len(text.splitlines())), ""), "a paragraph of regions, an empty line, and a phase")
    regions: dict[str, Region] = {}
    wanted: list[tuple[str, int, int | None]] = []
    for line in paragraphs[0]:
        region, size = _region(line, name)
        if region in regions:
            _fail(name, line, f"another name: there is a region {region!r} already")
        wanted.append((region, size, None))
        regions = {placed.name: placed for placed in place(wanted)}
    phases = tuple(_phase(paragraph, regions, name) for paragraph in paragraphs[1:])
    return Workload(Path(name).stem, tuple(regions.values()), phases)


def looks_like_masim(text: str) -> bool:
    """Tell whether the first line that counts could be a region."""
    first = next((line for paragraph in _paragraphs(text) for _, line in paragraph), "")
    fields = _fields(first)
    return len(fields) in (2, 3) and fields[1].isdecimal()


def _paragraphs(text: str) -> list[list[_Line]]:
    paragraphs: list[list[_Line]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if line.strip():
            paragraphs[-1].append((number, line.strip()))
        elif paragraphs[-1]:
            paragraphs.append([])
    return paragraphs if paragraphs[-1] else paragraphs[:-1]


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split(",")]


def _region(line: _Line, file: str) -> tuple[str, int]:
    fields = _fields(line[1])
    if len(fields) not in (2, 3) or not fields[1].isdecimal() or not 0 < int(fields[1]) < 1 << 46:
        _fail(file, line, "a region as NAME, BYTES")
    return fields[0], int(fields[1])


def _phase(paragraph: list[_Line], regions: dict[str, Region], file: str) -> Phase:
    if len(paragraph) < 2 or not paragraph[1][1].isdecimal() or not int(paragraph[1][1]):
        _fail(file, paragraph[min(1, len(paragraph) - 1)], "the milliseconds of the phase on its second line")
    patterns = [(line, _pattern(line, regions, file)) for line in paragraph[2:]]
    total = sum(int(fields[3]) for _, fields in patterns)
    if patterns and not total:
        _fail(file, patterns[0][0], "weights that are not all 0")
    touches = []
    for _, (region, random, stride, weight, *mode) in patterns:
        if int(weight):
            touch = Touch(
                start=regions[region].start,
                size=regions[region].size,
                pattern="random" if int(random) else "strided",
                rate=Fraction(RATE * int(weight), total),
                write=mode[:1] in (["wo"], ["rw"]),
                stride=max(1, int(stride)),
            )
            touches.append(touch)
    return Phase(paragraph[0][1], int(paragraph[1][1]) * 1_000_000, tuple(touches))


def _pattern(line: _Line, regions: dict[str, Region], file: str) -> list[str]:
    fields = _fields(line[1])
    if len(fields) not in (4, 5) or not all(field.isdecimal() for field in fields[1:4]):
        _fail(file, line, "a pattern as REGION, RANDOM, STRIDE, WEIGHT")
    if fields[0] not in regions:
        _fail(file, line, f"one of the regions {', '.join(regions)} instead of {fields[0]!r}")
    if fields[4:] and fields[4] not in ("ro", "wo", "rw"):
        _fail(file, line, f"ro, wo or rw instead of {fields[4]!r}")
    return fields


def _fail(file: str, line: _Line, expected: str) -> NoReturn:
    raise VadamonError(f"{file}:{line[0]}: expected is {expected}")
