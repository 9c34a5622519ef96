"""Workloads from TOML files."""

import re
import tomllib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from vadamon.errors import VadamonError
from vadamon.simulation import toml_lines
from vadamon.simulation.memory import PAGE_SIZE
from vadamon.simulation.patterns import CACHE_LINE
from vadamon.simulation.workload import Phase, Region, Touch, Workload, place
from vadamon.units import parse_duration, parse_size

PATTERNS = ("sequential", "strided", "random", "zipf")
_LAST_ADDRESS = 1 << 47
_REQUIRED = object()
_RATE = re.compile(r"(\d+(?:\.\d+)?(?:e\d+)?) *(accesses|sweeps)/s")
_RATE_EXPECTED = 'a rate such as "1000 sweeps/s", "2GiB/s" or "5e6 accesses/s"'


def parse_config(text: str, name: str) -> Workload:
    """Return the workload that a TOML document describes; ``name`` is that of its file.

    Raises VadamonError, with file, line and what is expected, where it describes none.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        line = int(where[2] or len(text.splitlines())) if where else 1
        what = where[1] if where else str(error)
        raise VadamonError(f"{name}:{line}: no TOML: {what[:1].lower()}{what[1:]}") from error
    top = _Table(document, (), name, toml_lines.key_lines(text))
    repeat = top.take("repeat", _whole("a number of times, at least 1", 1), 1)
    regions = _regions(top)
    phases = tuple(_phase(table, regions) for table in top.tables("phases"))
    top.done()
    return Workload(Path(name).stem, tuple(regions.values()), phases, repeat)


class _Table:
    """A table of the document, from which keys are taken; those left over are not known."""

    def __init__(self, values: dict[str, Any], path: toml_lines.Path, file: str, lines: dict[toml_lines.Path, int]):
        self._values = values
        self._path = path
        self._file = file
        self._lines = lines
        self._known: list[str] = []

    def take(self, key: str, parse: Callable[[Any], Any], default: Any = _REQUIRED) -> Any:
        """Return what ``parse`` makes of the value of a key; its ValueError tells what is expected."""
        self._known.append(key)
        if key not in self._values:
            if default is not _REQUIRED:
                return default
            found = "missing"
        else:
            found = f"{self._values[key]!r}"
        try:
            return parse(self._values.get(key))
        except ValueError as error:
            self.fail(key, f"{key} is {found}: expected is {error}")

    def tables(self, key: str, least: int = 1) -> "list[_Table]":
        """Return the tables of an array, of which there must be ``least``."""
        self._known.append(key)
        values = self._values.get(key, [])
        if not isinstance(values, list) or len(values) < least or not all(isinstance(v, dict) for v in values):
            header = ".".join([*(part for part in self._path if isinstance(part, str)), key])
            self.fail(key, f"expected is a table [[{header}]]")
        return [_Table(value, (*self._path, key, i), self._file, self._lines) for i, value in enumerate(values)]

    def has(self, key: str) -> bool:
        return key in self._values

    def done(self) -> None:
        """Complain about a key that nobody has taken."""
        for key in self._values:
            if key not in self._known:
                self.fail(key, f"{key} is not known here: expected is one of {', '.join(self._known)}")

    def fail(self, key: str | None, what: str) -> NoReturn:
        path = self._path if key is None else (*self._path, key)
        while path and path not in self._lines:
            path = path[:-1]
        raise VadamonError(f"{self._file}:{self._lines.get(path, 1)}: {what}")


def _regions(top: _Table) -> dict[str, Region]:
    tables = top.tables("regions")
    wanted: list[tuple[str, int, int | None]] = []
    for table in tables:
        name = table.take("name", _text)
        if name in (other for other, _, _ in wanted):
            table.fail("name", f"there are two regions {name!r}: name them differently")
        size, start = table.take("size", _size), table.take("start", _address, None)
        if (start or 0) + size > _LAST_ADDRESS:
            table.fail("size", f"region {name!r} must end below {_LAST_ADDRESS:#x}")
        wanted.append((name, size, start))
        table.done()
        try:
            placed = place(wanted)
        except ValueError as error:
            table.fail("start", str(error))
    return {region.name: region for region in placed}


def _phase(table: _Table, regions: dict[str, Region]) -> Phase:
    name = table.take("name", _text, "")
    duration_ns = table.take("duration", _duration)
    touches = tuple(_touch(touch, regions) for touch in table.tables("touches", least=0))
    table.done()
    return Phase(name, duration_ns, touches)


def _touch(table: _Table, regions: dict[str, Region]) -> Touch:
    region = regions[table.take("region", _one_of(tuple(regions)))]
    offset = table.take("offset", _offset, 0)
    size = table.take("size", _size, region.size - offset)
    if size <= 0 or offset + size > region.size:
        table.fail("size" if table.has("size") else "offset", f"region {region.name!r} ends at {region.size} bytes")
    pattern = table.take("pattern", _one_of(PATTERNS))
    stride = table.take("stride", _size) if pattern == "strided" else CACHE_LINE
    sweep = -(-size // stride) if pattern in ("sequential", "strided") else None
    touch = Touch(
        start=region.start + offset,
        size=size,
        pattern=pattern,
        rate=table.take("rate", lambda value: _rate(value, sweep)),
        write=table.take("access", _one_of(("read", "write")), "read") == "write",
        stride=stride,
        exponent=table.take("exponent", _exponent, 1.0) if pattern == "zipf" else 1.0,
        shuffled=table.take("shuffled", _flag, False) if pattern == "zipf" else False,
    )
    table.done()
    return touch


# What parses a value, and says in its ValueError what is expected of it.


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _whole(expected: str, least: int, unit: int = 1) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least or value % unit:
            raise ValueError(expected)
        return value

    return parse


def _one_of(choices: tuple[str, ...]) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return parse


def _size(value: Any) -> int:
    size = _offset(value)
    if not size:
        raise ValueError("more than nothing")
    return size


def _offset(value: Any) -> int:
    expected = 'a size with its unit, such as "4KiB" or "1.5GiB"'
    if not isinstance(value, str):
        raise ValueError(expected)
    try:
        return parse_size(value)
    except ValueError:
        raise ValueError(expected) from None


def _duration(value: Any) -> int:
    expected = 'a time above 0 with its unit, such as "500ms" or "10s"'
    if not isinstance(value, str):
        raise ValueError(expected)
    try:
        duration_ns = parse_duration(value)
    except ValueError:
        raise ValueError(expected) from None
    if not duration_ns:
        raise ValueError(expected)
    return duration_ns


def _exponent(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 10:
        raise ValueError("a number above 0 and up to 10")
    return float(value)


_address = _whole(
    f"an address such as 0x7f0000000000, a multiple of {PAGE_SIZE} below {_LAST_ADDRESS:#x}", PAGE_SIZE, PAGE_SIZE
)


def _rate(value: Any, nr_per_sweep: int | None) -> Fraction:
    """Return accesses a second; ``nr_per_sweep`` is None for patterns that do not sweep."""
    expected = _RATE_EXPECTED if nr_per_sweep else _RATE_EXPECTED.replace('"1000 sweeps/s", ', "")
    rate = None
    if isinstance(value, str) and (match := _RATE.fullmatch(value.strip())):
        if match[2] == "accesses":
            rate = Fraction(match[1])
        elif nr_per_sweep:
            rate = Fraction(match[1]) * nr_per_sweep
    elif isinstance(value, str) and value.strip().endswith("/s"):
        try:
            rate = Fraction(parse_size(value.strip()[:-2]), CACHE_LINE)
        except ValueError:
            rate = None
    if not rate:
        raise ValueError(expected)
    return rate
