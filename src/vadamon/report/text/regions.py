"""Draw the table of regions."""

from rich.console import Console
from rich.text import Text

from vadamon.report.regions import RegionsTable
from vadamon.report.text.heading import print_heading
from vadamon.report.text.table import print_table
from vadamon.report.wording import describe_intervals, wall_time
from vadamon.units import format_duration, format_size

TITLES = ("start", "end", "size", "accessed", "age", "mapping")


def print_regions(console: Console, table: RegionsTable) -> None:
    """Draw the regions of one target."""
    s = table.snapshot
    print_heading(
        console,
        table.target,
        f"last snapshot, {wall_time(table.end_wall_ns)}",
        f"{table.described()}, {describe_intervals(table.attrs)}",
    )
    print_table(console, TITLES, rows(table), name_column=5)
    console.print(
        Text(
            f"\naccessed: in n of {s.nr_samples} samples of the last {format_duration(s.end_ns - s.start_ns)}; "
            "? is unknown: no sample was valid\n"
            "age: for how long the region has been accessed about as often as now\n"
        )
    )


def rows(table: RegionsTable) -> list[tuple[str, ...]]:
    """Return what stands below `TITLES`."""
    s = table.snapshot
    aggr_ns = table.attrs.aggr_us * 1000
    columns = [column[table.shown].tolist() for column in (s.start, s.end, s.nr_accesses, s.unknown, s.age)]
    return [
        (
            f"{start:x}",
            f"{end:x}",
            format_size(end - start),
            "?" if unknown else f"{accesses} of {s.nr_samples}",
            format_duration(age * aggr_ns),
            name or table.unnamed,
        )
        for start, end, accesses, unknown, age, name in zip(*columns, table.names, strict=True)
    ]
