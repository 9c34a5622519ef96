"""A picture of working sets: over time, their distribution, and by mapping."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vadamon.report.captions import describe_wss
from vadamon.report.image.figure import new_figure, size_axis, time_axis
from vadamon.report.palette import AREAS, HATCH, HATCH_COLOUR, line_colour
from vadamon.report.wording import cut, describe_threshold
from vadamon.report.wss import WorkingSet, biggest

_HEIGHT = 7.6


def draw(wss: WorkingSet, note: str = "") -> Figure:
    """Draw the working sets of one target."""
    figure = new_figure(wss.target, describe_wss(wss), note, _HEIGHT, body=0.3)
    figure.subplots_adjust(left=0.085, right=0.985, bottom=0.07, wspace=0.1, hspace=0.38)
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1.2))
    over_time = figure.add_subplot(grid[0, 0])
    spread = figure.add_subplot(grid[0, 1], sharey=over_time)
    by_mapping = figure.add_subplot(grid[1, 0])
    _draw_over_time(over_time, wss)
    _draw_spread(spread, wss)
    _draw_by_mapping(by_mapping, wss)
    for axes in (over_time, spread, by_mapping):
        axes.set_ylim(bottom=0)
        size_axis(axes.yaxis)
    for axes in (over_time, by_mapping):
        time_axis(axes, wss.timeline.start_ns - wss.origin_ns, wss.timeline.end_ns - wss.origin_ns)
    return figure


def _draw_over_time(axes: Axes, wss: WorkingSet) -> None:
    edges = _edges(wss)
    for k, values in enumerate(wss.over_time):
        name = describe_threshold(wss.thresholds[k], wss.attrs.max_nr_samples)
        axes.stairs(values, edges, color=line_colour(k, len(wss.over_time)), linewidth=1.4, label=name, baseline=None)
    if np.nanmax(wss.unknown) > 0:
        axes.stairs(
            np.nan_to_num(wss.unknown), edges, fill=True, facecolor="none", edgecolor=HATCH_COLOUR, hatch=HATCH,
            linewidth=0, label="unknown",
        )  # fmt: skip
    axes.set_title("Over time: memory accessed in so many samples of a snapshot", loc="left", size=10, pad=22)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.98), ncols=6, frameon=False)


def _draw_spread(axes: Axes, wss: WorkingSet) -> None:
    percents = np.arange(101)
    for k, sizes in enumerate(wss.percentiles(percents.tolist())):
        axes.plot(percents, sizes, color=line_colour(k, len(wss.over_time)), linewidth=1.4, drawstyle="steps-post")
    axes.set_title("In how many of the snapshots", loc="left", size=10, pad=22)
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of the snapshots that have less")
    axes.tick_params("y", labelleft=False)


def _draw_by_mapping(axes: Axes, wss: WorkingSet) -> None:
    names, values = biggest(wss, len(AREAS))
    least = describe_threshold(wss.thresholds[0], wss.attrs.max_nr_samples)
    axes.set_title(f"By mapping: accessed in {least} samples", loc="left", size=10)
    if not names:
        axes.text(0.5, 0.5, "Nothing was found accessed.", transform=axes.transAxes, ha="center")
        return
    axes.stackplot(
        np.repeat(_edges(wss), 2)[1:-1],
        np.repeat(np.nan_to_num(values[0]), 2, axis=1),
        labels=[cut(name, 34) for name in names],
        colors=AREAS,
    )
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.03, 1), frameon=False)


def _edges(wss: WorkingSet) -> NDArray[np.float64]:
    timeline = wss.timeline
    times = np.linspace(timeline.start_ns, timeline.end_ns, timeline.nr_columns + 1) - wss.origin_ns
    edges: NDArray[np.float64] = times / 1e9
    return edges
