"""Sizes and times with units, in and out."""

import re
from collections.abc import Mapping
from fractions import Fraction

_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]*)", re.IGNORECASE)

_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50, "EiB": 1 << 60}
# One letter is a power of 1024, as Linux tools take it. kB and MB are left out: people do not agree on what they mean.
_SIZE_UNITS = {name.lower(): factor for name, factor in _SIZES.items()} | {
    name[0].lower(): factor for name, factor in _SIZES.items()
}
_TIMES = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIME_UNITS = _TIMES | {"µs": 1_000, "min": 60_000_000_000, "h": 3600_000_000_000, "d": 86400_000_000_000}


def parse_size(text: str) -> int:
    """Return the bytes of a size such as ``4KiB``, ``1.5GiB``, ``512B`` or ``64M``, rounded to whole ones.

    Raises ValueError, naming the text, where it is not a number with a unit.
    """
    return _parse(text, _SIZE_UNITS, "a size with its unit, such as 4KiB, 256MiB or 1.5GiB")


def parse_duration(text: str, default_unit: str | None = None) -> int:
    """Return the nanoseconds of a time such as ``100us``, ``5ms``, ``1.5s``, ``2min`` or ``1h``, rounded to whole ones.

    ``default_unit`` is taken for a number that has none; without it such a number is refused. Raises ValueError,
    naming the text, where it is not a number with a unit.
    """
    expected = "a time with its unit, such as 100us, 5ms, 1.5s or 2min"
    return _parse(text, _TIME_UNITS, expected, default_unit)


def _parse(text: str, units: Mapping[str, int], expected: str, default_unit: str | None = None) -> int:
    match = _NUMBER_AND_UNIT.fullmatch(text.strip())
    unit = (match[2].lower() or default_unit or "") if match else ""
    if match is None or unit not in units:
        raise ValueError(f"{text!r} is not {expected}")
    return round(Fraction(match[1]) * units[unit])


def format_size(size: int) -> str:
    """Return ``size`` bytes to three digits, in the largest unit of which it is at least one: ``17.2 TiB``."""
    if size < 1024:
        return f"{size} B"
    name, factor = next((n, f) for n, f in reversed(_SIZES.items()) if size >= f)
    return f"{_three_digits(size / factor)} {name}"


def format_duration(ns: int) -> str:
    """Return ``ns`` nanoseconds to three digits, or from a minute on as ``2 min 5 s``, ``3 h 12 min``, ``6 d 4 h``."""
    seconds = round(ns / 1e9)
    if seconds >= 60:
        days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
        if days:
            return f"{days} d {hours} h"
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
    if ns < 1000:
        return f"{ns} ns" if ns else "0 s"
    name, factor = next((n, f) for n, f in reversed(_TIMES.items()) if ns >= f)
    return f"{_three_digits(ns / factor)} {name}"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text
