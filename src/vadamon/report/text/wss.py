"""Draw working sets: percentiles, over time, and by mapping."""

import numpy as np
from rich.console import Console
from rich.text import Text

from vadamon.report.text.chart import area, size_axis, stretched, time_axis
from vadamon.report.text.heading import print_heading
from vadamon.report.text.table import print_table
from vadamon.report.wording import describe_snapshots, describe_threshold, wall_time
from vadamon.report.wss import PERCENTILES, WorkingSet
from vadamon.units import format_duration, format_size

_SIDE = 10
_HEIGHT = 6
_MOST_MAPPINGS = 12


def chart_width(console_width: int) -> int:
    """Return how many columns of the terminal are left for time, beside sizes."""
    return console_width - _SIDE - 1


def print_wss(console: Console, wss: WorkingSet) -> None:
    """Draw the working sets of one target, in at most the width of ``console``."""
    timeline = wss.timeline
    print_heading(
        console,
        wss.target,
        f"{wall_time(wss.start_wall_ns)}, {format_duration(timeline.end_ns - timeline.start_ns)}",
        describe_snapshots(wss.nr_snapshots, wss.attrs),
    )
    console.print("Working set: memory found accessed in so many samples of a snapshot", style="bold")
    print_table(console, percentile_titles(wss), percentile_rows(wss), name_column=0)
    console.print("p50: half of the time it is less; p0 and p100: the least and the most.\n")
    _print_over_time(console, wss)
    _print_by_mapping(console, wss)
    if np.nanmax(wss.unknown) > 0:
        console.print(
            f"\nUnknown, so in no working set: {format_size(round(float(np.nanmean(wss.unknown))))} on average, "
            f"{format_size(round(float(np.nanmax(wss.unknown))))} at most."
        )
    console.print()


def percentile_titles(wss: WorkingSet) -> tuple[str, ...]:
    """Return the titles of the table of percentiles: a column for each threshold."""
    return ("accessed in", *(_threshold(wss, k) for k in range(len(wss.thresholds))))


def percentile_rows(wss: WorkingSet) -> list[tuple[str, ...]]:
    """Return a row of sizes for each percentile, and one for the mean."""
    rows = zip(PERCENTILES, wss.percentiles().T.tolist(), strict=True)
    return [
        *((f"p{percent}", *map(format_size, sizes)) for percent, sizes in rows),
        ("mean", *(format_size(round(mean)) for mean in wss.mean.tolist())),
    ]


def mapping_rows(wss: WorkingSet) -> list[tuple[str, ...]]:
    """Return a row of mean sizes by threshold for each mapping, the greatest first, and one for all smaller ones."""
    means = wss.mapping_means().T
    named = list(zip(wss.names, means.tolist(), strict=True))
    if len(named) > _MOST_MAPPINGS:
        rest = means[_MOST_MAPPINGS - 1 :].sum(axis=0).tolist()
        named = [*named[: _MOST_MAPPINGS - 1], (f"{len(named) - _MOST_MAPPINGS + 1} others", rest)]
    return [(name, *(format_size(round(size)) if size else "-" for size in sizes)) for name, sizes in named]


def _print_over_time(console: Console, wss: WorkingSet) -> None:
    console.print(Text(f"Over time, accessed in {_threshold(wss, 0)} samples", "bold"))
    values = wss.over_time[0]
    width = max(1, chart_width(console.width) // len(values)) * len(values)
    top = float(np.nanmax(values))
    for side, line in zip(size_axis(top, _HEIGHT, _SIDE), area(stretched(values, width), top, _HEIGHT), strict=True):
        console.print(Text(f"{side} ", "dim").append(line, "#3f7fd0"), no_wrap=True)
    origin_ns = wss.origin_ns
    axis = time_axis(wss.timeline.start_ns - origin_ns, wss.timeline.end_ns - origin_ns, width)
    console.print(Text(" " * (_SIDE + 1) + axis, "dim"), no_wrap=True)
    console.print(f"A column is the mean of {format_duration(round(wss.timeline.column_ns))}.\n")


def _print_by_mapping(console: Console, wss: WorkingSet) -> None:
    if not wss.names:
        return
    console.print("By mapping, mean over time", style="bold")
    titles = ("mapping", *(_threshold(wss, k) for k in range(len(wss.thresholds))))
    print_table(console, titles, mapping_rows(wss), name_column=0)


def _threshold(wss: WorkingSet, k: int) -> str:
    return describe_threshold(wss.thresholds[k], wss.attrs.max_nr_samples)
