"""Draw the table of mappings."""

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from vadamon.report.mappings import MappingsTable
from vadamon.report.text.heading import print_heading
from vadamon.report.text.table import print_table
from vadamon.report.usage import CLASSES, UNKNOWN, UNMONITORED
from vadamon.report.wording import NO_MAPPINGS, class_meanings, counted, describe_idle, describe_intervals
from vadamon.units import format_duration, format_size

_ALWAYS_SHOWN = 4


def print_mappings(console: Console, table: MappingsTable) -> None:
    """Draw the mappings of one target; neighbours of the same name are one line."""
    span = format_duration(table.end_ns - table.from_ns)
    print_heading(
        console,
        table.target,
        f"{counted(len(table.mappings), 'mapping')}, over the last {span} of the recording",
        describe_intervals(table.attrs),
    )
    if not len(table.mappings):
        console.print(f"{NO_MAPPINGS}\n")
        return
    shown = shown_classes(table)
    print_table(console, titles(shown), rows(table, shown), name_column=0)
    _print_legend(console, table, shown)


def shown_classes(table: MappingsTable) -> list[int]:
    """Return the classes worth a column: those that say that something was not seen only where it was not."""
    return [*range(_ALWAYS_SHOWN), *(c for c in (UNKNOWN, UNMONITORED) if table.sizes[:, c].any())]


def titles(shown: list[int]) -> tuple[str, ...]:
    """Return the titles of the columns."""
    return ("mapping", "size", *(CLASSES[c] for c in shown), "idle for")


def rows(table: MappingsTable, shown: list[int]) -> list[tuple[str, ...]]:
    """Return what stands below `titles`, and a line with the totals."""
    lines = [
        (group.name, *_sizes(group.sizes, shown), describe_idle(table.idle_ns(group.last_access_ns)))
        for group in table.groups()
    ]
    return [*lines, ("total", *_sizes(table.sizes.sum(axis=0), shown), "")]


def _sizes(sizes: NDArray[np.int64], shown: list[int]) -> list[str]:
    return [format_size(int(sizes.sum())), *(format_size(int(sizes[c])) if sizes[c] else "-" for c in shown)]


def _print_legend(console: Console, table: MappingsTable, shown: list[int]) -> None:
    meanings = class_meanings(table.cold_after_ns)
    console.print()
    for c in shown:
        console.print(f"{CLASSES[c]:<11}  {meanings[c]}")
    console.print("idle for     time since any of it was last found accessed; - is in use")
    console.print("Sizes are of mapped addresses, resident or not.\n")
