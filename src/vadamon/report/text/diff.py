"""Draw what changed between two recordings."""

from rich.console import Console
from rich.text import Text

from vadamon.report.diff import Diff, MappingChange, RangeChange
from vadamon.report.text.heading import print_heading
from vadamon.report.text.table import print_table
from vadamon.report.usage import COLD, HOT, UNTOUCHED, WARM
from vadamon.report.wording import cut, describe_share, describe_target, wall_time
from vadamon.units import format_duration, format_size

MAPPING_TITLES = ("mapping", "size", "in use", "not in use", "accessed, mean", "change")
RANGE_TITLES = ("address", "size", "accessed", "mapping, offset")
_MOST_ROWS = 12


def print_diff(console: Console, diff: Diff) -> None:
    """Draw what changed in one target."""
    print_heading(
        console,
        diff.after,
        f"before: {wall_time(diff.before_wall_ns)}, {format_duration(diff.before_ns)}"
        + (f", {describe_target(diff.before)}" if diff.before != diff.after else ""),
        f"after:  {wall_time(diff.after_wall_ns)}, {format_duration(diff.after_ns)}",
    )
    rows = mapping_rows(diff)
    console.print("Mappings that changed most, before → after", style="bold")
    print_table(console, MAPPING_TITLES, rows[:_MOST_ROWS], name_column=0)
    _print_rest(console, len(rows), "mappings")
    changes = range_rows(diff)
    title = "Ranges that got hotter (+) or colder (-) by a quarter of all samples or more"
    console.print(
        Text(f"\n{title if changes else 'No range got hotter or colder by a quarter of all samples.'}", "bold")
    )
    if changes:
        print_table(console, RANGE_TITLES, changes[:_MOST_ROWS], name_column=3)
        _print_rest(console, len(changes), "ranges")
    console.print(
        "\nin use: hot and warm; not in use: cold and untouched\n"
        "accessed, mean: mean over time of the bytes found accessed\n"
        f"accessed: in n of {diff.attrs.max_nr_samples} samples, mean over time; addresses are those of after\n"
    )


def mapping_rows(diff: Diff) -> list[tuple[str, ...]]:
    """Return a row for each mapping of which anything changed."""
    return [_mapping_row(change) for change in diff.mappings if _is_different(change)]


def range_rows(diff: Diff) -> list[tuple[str, ...]]:
    """Return a row for each range that got hotter or colder."""
    return [_range_row(change, diff.attrs.max_nr_samples) for change in diff.ranges]


def _is_different(change: MappingChange) -> bool:
    page = 4096
    return abs(change.after_heat - change.before_heat) >= page or change.before_size != change.after_size


def _mapping_row(change: MappingChange) -> tuple[str, ...]:
    before, after = change.before_sizes, change.after_sizes
    delta = round(change.after_heat - change.before_heat)
    return (
        change.name,
        _both(change.before_size, change.after_size),
        _both(before[HOT] + before[WARM], after[HOT] + after[WARM]),
        _both(before[COLD] + before[UNTOUCHED], after[COLD] + after[UNTOUCHED]),
        _both(round(change.before_heat), round(change.after_heat)),
        f"{'+' if delta > 0 else '-' if delta < 0 else ''}{format_size(abs(delta))}",
    )


def _range_row(change: RangeChange, nr_samples: int) -> tuple[str, ...]:
    sign = "+" if change.after > change.before else "-"
    return (
        f"{change.start:x}",
        format_size(change.size),
        f"{sign} {change.before * nr_samples:.1f} → {describe_share(change.after, nr_samples)}",
        cut(f"{change.name} +{format_size(change.offset)}", 60),
    )


def _both(before: int, after: int) -> str:
    one, other = format_size(before), format_size(after)
    return one if one == other else f"{one} → {other}"


def _print_rest(console: Console, nr_rows: int, what: str) -> None:
    if nr_rows > _MOST_ROWS:
        console.print(f"and {nr_rows - _MOST_ROWS} more {what}: all are in --format json")
