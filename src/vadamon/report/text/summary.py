"""Say in plain words what the memory of a process looks like."""

from rich.console import Console
from rich.text import Text

from vadamon.report.summary import Summary
from vadamon.report.text.chart import MARKS, STYLES, parts_bar
from vadamon.report.text.heading import print_heading
from vadamon.report.text.table import print_table
from vadamon.report.usage import CLASSES
from vadamon.report.wording import describe_idle, describe_intervals, wall_time
from vadamon.units import format_duration, format_size

_LIMIT = 0.05


def print_summary(console: Console, summary: Summary) -> None:
    """Print the summary of one target, on about one screen."""
    table = summary.mappings
    print_heading(
        console,
        table.target,
        f"{wall_time(table.start_wall_ns)}, {format_duration(table.end_ns - summary.start_ns)}",
        f"{summary.working_set.nr_snapshots} snapshots, {describe_intervals(table.attrs)}",
    )
    for line in size_lines(summary):
        console.print(line)
    if table.sizes.any():
        console.print(parts_bar(list(summary.sizes().values()), console.width), no_wrap=True)
        console.print(_legend(summary))
    if summary.idle:
        console.print("\nIdle: found accessed before, and not for", style="bold")
        console.print("  ".join(f"{describe_idle(ns)} or longer: {format_size(size)}" for ns, size in summary.idle))
    if summary.coldest:
        console.print("\nMost of what is not used", style="bold")
        print_table(console, COLDEST_TITLES, coldest_rows(summary), name_column=0)
    console.print("\nHow far to trust it", style="bold")
    for line in trust_lines(summary):
        console.print(line)
    console.print()


def size_lines(summary: Summary) -> list[str]:
    """Return what is mapped, used and not used."""
    table, size = summary.mappings, summary.sizes()
    if not table.sizes.any():
        return ["The recording has no mappings: see `vadamon report regions`."]
    used, unused = size["hot"] + size["warm"], size["cold"] + size["untouched"]
    accessed = used + size["cold"]
    mapped = sum(size.values())
    recent = format_duration(table.cold_after_ns)
    half, most = (format_size(n) for n in summary.working_set.percentiles((50, 100))[0].tolist())
    lines = [
        f"mapped       {format_size(mapped)} in {len(table.mappings)} mappings; of it {format_size(accessed)} were "
        "found accessed, and so had pages",
        f"in use       {_of(used, mapped)}: {format_size(size['hot'])} hot and {format_size(size['warm'])} warm, "
        f"in the last {recent}",
        f"not in use   {_of(unused, mapped)}: {format_size(size['cold'])} cold, and {format_size(size['untouched'])} "
        "never found accessed",
        f"working set  {half} at half of the time, {most} at most, in {format_duration(table.attrs.aggr_us * 1000)}",
    ]
    if unseen := size["unknown"] + size["unmonitored"]:
        lines.append(f"not known    {_of(unseen, mapped)}: no valid sample, or in no region")
    return lines


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


def trust_lines(summary: Summary) -> list[str]:
    """Return how many samples there were, and how many of them were not as they should be."""
    health = summary.health
    counts = health.counts
    missed = counts.late_samples + counts.missed_samples
    void = counts.unchecked + counts.uncleared
    due, checks = health.nr_samples + counts.missed_samples, max(1, health.nr_checks + void)
    regions = f"{health.fewest_regions} to {health.most_regions} regions"
    reasons = [
        reason
        for reason, share in (
            ("samples came late, so that counts are of longer times than they say", missed / max(1, due)),
            ("many pages could not be checked, so that counts are of few samples", void / checks),
            ("of much memory nothing is known", health.unknown),
        )
        if share > _LIMIT
    ]
    return [
        f"{health.nr_samples} samples of {regions}" + (f", backend {summary.backend}" if summary.backend else ""),
        f"{counts.late_samples} samples late, {counts.missed_samples} left out ({missed / max(1, due):.1%})",
        f"{counts.unchecked} pages not checked, {counts.uncleared} not cleared, {counts.failed_reads} reads failed "
        f"({void / checks:.1%} of all checks void)",
        f"{health.unknown:.1%} of the monitored memory unknown, on average",
        "With care: " + "; ".join(reasons) if reasons else "Nothing speaks against it.",
    ]


def _of(size: int, mapped: int) -> str:
    return f"{format_size(size)} ({size / mapped:.0%})"


def _legend(summary: Summary) -> Text:
    legend = Text()
    for name, size, mark, style in zip(CLASSES, summary.sizes().values(), MARKS, STYLES, strict=True):
        if size:
            legend.append(mark, style).append(f" {name} {format_size(size)}   ")
    return legend
