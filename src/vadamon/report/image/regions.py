"""A picture of regions: where they are, how often they were accessed, and how old they are."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from vadamon.report.captions import describe_regions
from vadamon.report.image.figure import GRID, QUIET, head_sides, new_figure
from vadamon.report.layout import sample_ticks
from vadamon.report.palette import HATCH, HATCH_COLOUR, HEAT, UNKNOWN
from vadamon.report.regions import Places, RegionsTable, places
from vadamon.report.wording import cut
from vadamon.units import format_duration

_HEIGHT = 8.0
_LINE = 1 / 42
_AGE_WIDTH = 0.03
_NAME_LENGTH = 24
_MOST_EDGES = 100


def draw(table: RegionsTable, note: str = "") -> Figure:
    """Draw the regions of one target: from the top down, accesses to the right, dark what has long been so."""
    figure = new_figure(table.target, describe_regions(table), note, _HEIGHT)
    figure.subplots_adjust(left=0.115, right=0.69, bottom=0.1)
    axes = figure.add_subplot()
    placed = places(table)
    colours = _draw_bars(axes, table, placed)
    axes.set_xticks(sample_ticks(table.longest, 0))
    axes.set_xlim(-_AGE_WIDTH * table.longest, table.longest)
    axes.set_xlabel(f"accessed in n of {table.snapshot.nr_samples} samples")
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_ylim(1, 0)
    _name_runs(axes, table, placed)
    bar = figure.colorbar(colours, cax=figure.add_axes((0.905, 0.3, 0.014, 0.5)), label="age: accessed alike for")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: format_duration(round(seconds * 1e9))))
    bar.ax.yaxis.set_minor_formatter("")
    bar.outline.set_visible(False)
    foot = (
        "At the left edge, and as the colour of bars: age. A bar is as thick as the square root of its region's size. "
        "White with lines: unknown, no valid sample."
    )
    figure.text(0.012, 0.008, foot, color=QUIET, size=8, va="bottom")
    return figure


def _draw_bars(axes: Axes, table: RegionsTable, placed: Places) -> ScalarMappable:
    s, index = table.snapshot, table.shown
    aggr_s = table.attrs.aggr_us / 1e6
    ages = np.maximum(s.age[index], 1) * aggr_s
    colours = ScalarMappable(
        LogNorm(aggr_s, max(float(ages.max(initial=0)), 10 * aggr_s)),
        LinearSegmentedColormap.from_list("age", list(HEAT)),
    )
    unknown = s.unknown[index]
    edge = 0.3 * (len(index) <= _MOST_EDGES)
    tops, heights = placed.edges[:-1], np.diff(placed.edges)
    by_age = colours.to_rgba(ages)
    # Beside the bars, so that the age of what had no access can be seen too.
    left, width = -_AGE_WIDTH * table.longest, 0.7 * _AGE_WIDTH * table.longest
    axes.barh(tops, width, heights, left=left, align="edge", color=by_age, linewidth=0)
    axes.barh(
        tops[~unknown],
        s.nr_accesses[index][~unknown],
        heights[~unknown],
        align="edge",
        color=by_age[~unknown],
        edgecolor="white",
        linewidth=edge,
    )
    axes.barh(
        tops[unknown],
        table.longest,
        heights[unknown],
        align="edge",
        facecolor=UNKNOWN,
        edgecolor=HATCH_COLOUR,
        hatch=HATCH,
        linewidth=edge,
    )
    return colours


def _name_runs(axes: Axes, table: RegionsTable, placed: Places) -> None:
    """Write address and name where there is room for them."""
    for *_, top in placed.runs:
        axes.axhline(top, color="#bbbbbb", linewidth=0.5)
    named = placed.marked(_LINE)
    starts = [f"{start:x}" for _, start, _ in named]
    axes.set_yticks([top for *_, top in named], labels=starts, va="top", family="monospace", size=8)
    axes.tick_params("y", length=0)
    head_sides(axes)
    for name, _, top in named:
        axes.text(1.01, top, cut(name or table.unnamed, _NAME_LENGTH), transform=axes.get_yaxis_transform(), va="top")
