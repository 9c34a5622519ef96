"""Options that several commands share: sizes, times and shares, with their units."""

from typing import Any

import click


class Duration(click.ParamType[int]):
    """A time with its unit, as nanoseconds."""

    name = "time"

    def __init__(self, default_unit: str | None = None) -> None:
        self._default_unit = default_unit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse ``5ms``."""
        from vadamon.units import parse_duration

        if isinstance(value, int):
            return value
        try:
            return parse_duration(value, self._default_unit)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Share(click.ParamType[float]):
    """A percentage, as a share of one."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse ``5%``."""
        if isinstance(value, float):
            return value
        try:
            share = float(value.removesuffix("%")) / 100
        except ValueError:
            share = -1.0
        if not value.endswith("%") or not 0 <= share <= 1:
            self.fail(f"{value!r} is not a share such as 5%, from 0% to 100%", param, ctx)
        return share


class Addresses(click.ParamType[tuple[int, int]]):
    """A range of addresses, ``START-END`` in hexadecimal as in /proc/PID/maps."""

    name = "addresses"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Parse ``7f1000000000-7f1010000000``."""
        first, _, last = str(value).partition("-")
        try:
            start, end = int(first, 16), int(last, 16)
        except ValueError:
            start = end = 0
        if not 0 <= start < end <= 1 << 64:
            self.fail(f"{value!r} is not START-END in hexadecimal, such as 7f1000000000-7f1010000000", param, ctx)
        return start, end


class Between(click.ParamType[tuple[Any, Any]]):
    """``FROM..TO``, of which one may be left out; what is left out is None."""

    def __init__(self, of: click.ParamType[Any]) -> None:
        self._of = of
        self.name = f"{of.name} range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, Any]:
        """Parse ``10s..20s``, ``10s..`` or ``..20s``."""
        first, dots, last = str(value).partition("..")
        if not dots or not (first or last):
            self.fail(f"{value!r} is not FROM..TO, FROM.. or ..TO", param, ctx)
        low, high = (self._of.convert(text, param, ctx) if text else None for text in (first, last))
        if low is not None and high is not None and low > high:
            self.fail(f"{value!r} ends before it begins", param, ctx)
        return low, high


class Size(click.ParamType[int]):
    """A size with its unit, as bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse ``2MiB``."""
        from vadamon.units import parse_size

        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
