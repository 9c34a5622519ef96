"""Draw the table of regions."""

from rich.console import Console
from rich.text import Text

from vadamon.report.regions import RegionsTable
from vadamon.report.text.heading import describe_intervals, print_heading, wall_time
from vadamon.report.text.table import print_table
from vadamon.units import format_duration, format_size


def print_regions(console: Console, table: RegionsTable) -> None:
    """Draw the regions of one target."""
    s = table.snapshot
    print_heading(console, table.target, f"last snapshot, {wall_time(table.end_wall_ns)}")
    console.print(f"{len(s)} regions, {describe_intervals(table.attrs)}\n")
    aggr_ns = table.attrs.aggr_us * 1000
    rows = [
        (
            f"{start:x}",
            f"{end:x}",
            format_size(end - start),
            "?" if unknown else f"{accesses} of {s.nr_samples}",
            format_duration(age * aggr_ns),
            name or "(not mapped)",
        )
        for start, end, accesses, unknown, age, name in zip(
            s.start.tolist(),
            s.end.tolist(),
            s.nr_accesses.tolist(),
            s.unknown.tolist(),
            s.age.tolist(),
            table.names,
            strict=True,
        )
    ]
    print_table(console, ("start", "end", "size", "accessed", "age", "mapping"), rows, name_column=5)
    console.print(
        Text(
            f"\naccessed: in n of {s.nr_samples} samples of the last {format_duration(s.end_ns - s.start_ns)}; "
            "? is unknown: no sample was valid\n"
            "age: for how long the region has been accessed about as often as now\n"
        )
    )
