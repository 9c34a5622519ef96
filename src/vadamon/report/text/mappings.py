"""Draw the table of mappings."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from vadamon.report.mappings import CLASSES, HOT_SHARE, UNKNOWN, UNMONITORED, MappingsTable
from vadamon.report.names import label, with_size
from vadamon.report.text.heading import describe_intervals, print_heading
from vadamon.report.text.table import print_table
from vadamon.units import format_duration, format_size

_ALWAYS_SHOWN = 4


def print_mappings(console: Console, table: MappingsTable) -> None:
    """Draw the mappings of one target; neighbours of the same name are one line."""
    span = format_duration(table.end_ns - table.from_ns)
    print_heading(console, table.target, f"{len(table.mappings)} mappings, over the last {span} of the recording")
    console.print(f"{describe_intervals(table.attrs)}\n")
    shown = [*range(_ALWAYS_SHOWN), *(c for c in (UNKNOWN, UNMONITORED) if table.sizes[:, c].any())]
    rows = [
        (name, *_sizes(sizes, shown), _idle(table, last_access_ns)) for name, sizes, last_access_ns in _groups(table)
    ]
    rows.append(("total", *_sizes(table.sizes.sum(axis=0), shown), ""))
    print_table(console, ("mapping", "size", *(CLASSES[c] for c in shown), "idle for"), rows, name_column=0)
    _print_legend(console, table, shown)


def _groups(table: MappingsTable) -> list[tuple[str, NDArray[np.int64], int]]:
    """Return name, bytes of each class and last access of neighbouring mappings of the same name."""
    groups = []
    labels = [label(mapping) for mapping in table.mappings]
    for name, members in groupby(range(len(labels)), key=lambda i: labels[i]):
        index = list(members)
        sizes = table.sizes[index].sum(axis=0)
        groups.append((with_size(name, int(sizes.sum())), sizes, int(table.last_access_ns[index].max())))
    return groups


def _sizes(sizes: NDArray[np.int64], shown: list[int]) -> list[str]:
    return [format_size(int(sizes.sum())), *(format_size(int(sizes[c])) if sizes[c] else "-" for c in shown)]


def _idle(table: MappingsTable, last_access_ns: int) -> str:
    if last_access_ns < 0:
        return "all along"
    idle_ns = table.end_ns - last_access_ns
    # Within one interval nothing can be said to be idle.
    return "-" if idle_ns <= table.attrs.aggr_us * 1000 else format_duration(idle_ns)


def _print_legend(console: Console, table: MappingsTable, shown: list[int]) -> None:
    recent = format_duration(table.cold_after_ns)
    meanings = {
        "hot": f"accessed in the last {recent}, and in {HOT_SHARE:.0%} of all samples or more",
        "warm": f"accessed in the last {recent}, in fewer samples",
        "cold": f"accessed, but not in the last {recent}",
        "untouched": "found accessed by no sample",
        "unknown": "no sample was valid: neither hot nor cold can be said",
        "unmonitored": "in no region",
        "idle for": "time since any of it was last found accessed; - is in use",
    }
    console.print()
    for name in (*(CLASSES[c] for c in shown), "idle for"):
        console.print(f"{name:<11}  {meanings[name]}")
    console.print("Sizes are of mapped addresses, resident or not.\n")
