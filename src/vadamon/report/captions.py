"""What a picture or a page is of, in one line."""

from vadamon.report.diff import Diff
from vadamon.report.heatmap import Heatmap
from vadamon.report.mappings import MappingsTable
from vadamon.report.regions import RegionsTable
from vadamon.report.summary import Summary
from vadamon.report.wording import describe_intervals, describe_snapshots, wall_time
from vadamon.report.wss import WorkingSet
from vadamon.units import format_duration


def describe_heatmap(heatmap: Heatmap) -> str:
    """Return what a heatmap is of."""
    return (
        f"Heatmap from {wall_time(heatmap.start_wall_ns)}, {format_duration(heatmap.end_ns - heatmap.start_ns)}: "
        f"{describe_snapshots(heatmap.nr_snapshots, heatmap.attrs)}"
    )


def describe_wss(wss: WorkingSet) -> str:
    """Return what working sets are of."""
    return (
        f"Working set from {wall_time(wss.start_wall_ns)}, "
        f"{format_duration(wss.timeline.end_ns - wss.timeline.start_ns)}: "
        f"{describe_snapshots(wss.nr_snapshots, wss.attrs)}; "
        f"a step is the mean of {format_duration(round(wss.timeline.column_ns))}"
    )


def describe_regions(table: RegionsTable) -> str:
    """Return what regions these are."""
    return f"Regions at {wall_time(table.end_wall_ns)}: {table.described()}, {describe_intervals(table.attrs)}"


def describe_mappings(table: MappingsTable) -> str:
    """Return over which time mappings were used."""
    return (
        f"Mappings from {wall_time(table.start_wall_ns)}: use over {format_duration(table.end_ns - table.from_ns)}, "
        f"{describe_intervals(table.attrs)}"
    )


def describe_summary(summary: Summary) -> str:
    """Return what a summary is of."""
    table = summary.mappings
    return (
        f"Summary from {wall_time(table.start_wall_ns)}, {format_duration(table.end_ns - summary.start_ns)}: "
        f"{describe_snapshots(summary.working_set.nr_snapshots, table.attrs)}"
    )


def describe_diff(diff: Diff) -> str:
    """Return which recordings differ."""
    return (
        f"Difference: before {wall_time(diff.before_wall_ns)}, {format_duration(diff.before_ns)}; "
        f"after {wall_time(diff.after_wall_ns)}, {format_duration(diff.after_ns)}"
    )
