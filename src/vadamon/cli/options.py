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
