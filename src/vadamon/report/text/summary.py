"""Say in plain words what the memory of a process looks like."""

from rich.console import Console
from rich.text import Text

from vadamon.report.sentences import size_lines, trust_lines
from vadamon.report.summary import Summary
from vadamon.report.text.chart import MARKS, STYLES, parts_bar
from vadamon.report.text.heading import print_heading
from vadamon.report.text.table import print_table
from vadamon.report.usage import CLASSES
from vadamon.report.wording import describe_idle, describe_snapshots, wall_time
from vadamon.units import format_duration, format_size


def print_summary(console: Console, summary: Summary) -> None:
    """Print the summary of one target, on about one screen."""
    table = summary.mappings
    print_heading(
        console,
        table.target,
        f"{wall_time(table.start_wall_ns)}, {format_duration(table.end_ns - summary.start_ns)}",
        describe_snapshots(summary.working_set.nr_snapshots, table.attrs),
    )
    for word, line in size_lines(summary):
        console.print(Text(f"{word:<12} {line}"))
    if table.sizes.any():
        console.print(parts_bar(list(summary.sizes().values()), console.width), no_wrap=True)
        console.print(_legend(summary))
    if summary.coldest:
        console.print("\nMost of what is not used", style="bold")
        print_table(console, COLDEST_TITLES, coldest_rows(summary), name_column=0)
    console.print("\nHow far to trust it", style="bold")
    for line in trust_lines(summary):
        console.print(line)
    console.print()


COLDEST_TITLES = ("mapping", "size", "cold", "untouched", "idle for")


def coldest_rows(summary: Summary) -> list[tuple[str, ...]]:
    """Return what stands below `COLDEST_TITLES`: the mappings with the most cold and untouched memory."""
    return [
        (
            group.name,
            format_size(group.size),
            *(format_size(size) if size else "-" for size in group.sizes[2:4].tolist()),
            describe_idle(summary.mappings.idle_ns(group.last_access_ns)),
        )
        for group in summary.coldest
    ]


def _legend(summary: Summary) -> Text:
    legend = Text()
    for name, size, mark, style in zip(CLASSES, summary.sizes().values(), MARKS, STYLES, strict=True):
        if size:
            legend.append(mark, style).append(f" {name} {format_size(size)}   ")
    return legend
