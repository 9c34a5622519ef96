"""A picture of a heatmap: time to the right, addresses down."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vadamon.report.captions import describe_heatmap
from vadamon.report.heatmap import Heatmap
from vadamon.report.image.figure import QUIET, head_sides, new_figure, time_axis
from vadamon.report.layout import Layout, lay_out, sample_ticks
from vadamon.report.palette import HATCH, HATCH_COLOUR, HEAT, NOT_ACCESSED, UNKNOWN
from vadamon.report.wording import cut, describe_cells
from vadamon.units import format_size

_HEIGHT = 8.4
_LINES = 40
_NAME_LENGTH = 24


def draw(heatmap: Heatmap, note: str = "") -> Figure:
    """Draw one heatmap."""
    figure = new_figure(heatmap.target, describe_heatmap(heatmap), note, _HEIGHT)
    figure.subplots_adjust(left=0.115, right=0.80, bottom=0.15)
    axes = figure.add_subplot()
    layout = lay_out(heatmap, _LINES)
    mesh = _draw_cells(axes, heatmap, layout)
    _name_bands(axes, heatmap, layout)
    _draw_legend(figure, mesh, heatmap.attrs.max_nr_samples)
    if len(heatmap.row_band):
        cells = describe_cells(heatmap.row_sizes(), heatmap.column_ns)
        figure.text(0.012, 0.008, cells, color=QUIET, size=8, va="bottom")
    return figure


def _draw_cells(axes: Axes, heatmap: Heatmap, layout: Layout) -> QuadMesh:
    start_ns, end_ns = heatmap.start_ns - heatmap.origin_ns, heatmap.end_ns - heatmap.origin_ns
    times = np.linspace(start_ns, end_ns, heatmap.accesses.shape[1] + 1) / 1e9
    accesses = np.ma.masked_invalid(layout.strips(heatmap.accesses.astype(np.float64)))
    # What had no access is no heat: it has a colour of its own, lighter than the least.
    colours = LinearSegmentedColormap.from_list("heat", list(HEAT)).with_extremes(under=NOT_ACCESSED, bad="white")
    least = 0.5 / heatmap.attrs.max_nr_samples
    mesh = axes.pcolormesh(times, layout.edges, accesses, cmap=colours, vmin=least, vmax=1, rasterized=True)
    unknown = np.nan_to_num(layout.strips(heatmap.unknown.astype(np.float64))) > 0
    if unknown.any():
        axes.pcolor(
            times,
            layout.edges,
            np.ma.masked_array(unknown, ~unknown),
            cmap=ListedColormap([UNKNOWN]),
            edgecolor=HATCH_COLOUR,
            linewidth=0,
            hatch=HATCH,
        )
    axes.set_ylim(1, 0)
    axes.spines[["left", "bottom"]].set_visible(False)
    time_axis(axes, start_ns, end_ns)
    return mesh


def _draw_legend(figure: Figure, mesh: QuadMesh, nr_samples: int) -> None:
    bar = figure.colorbar(mesh, cax=figure.add_axes((0.115, 0.072, 0.33, 0.014)), orientation="horizontal")
    counts = sample_ticks(nr_samples, 1)
    bar.set_ticks([n / nr_samples for n in counts], labels=[str(n) for n in counts])
    bar.set_label(f"accessed in n of {nr_samples} samples", labelpad=1)
    bar.outline.set_visible(False)
    handles = [
        Patch(facecolor=NOT_ACCESSED, label=f"0 of {nr_samples}"),
        Patch(facecolor=UNKNOWN, edgecolor=HATCH_COLOUR, hatch=HATCH, label="unknown: no valid sample"),
        Patch(facecolor="white", edgecolor="#dddddd", label="no region"),
    ]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.47, 0.095), ncols=3, frameon=False)


def _name_bands(axes: Axes, heatmap: Heatmap, layout: Layout) -> None:
    """Write addresses to the left, names to the right of where bands begin, and the size of gaps into them."""
    marked = layout.marked()
    starts = [f"{start:x}" for start in heatmap.row_start[layout.row[marked]].tolist()]
    axes.set_yticks(layout.edges[marked], labels=starts, va="top", family="monospace", size=8)
    axes.tick_params("y", length=0)
    head_sides(axes)
    across = axes.get_yaxis_transform()
    for top, band in zip(layout.band_top.tolist(), heatmap.bands, strict=True):
        axes.axhline(top, color="white", linewidth=0.8)
        axes.text(1.01, top, cut(band.name, _NAME_LENGTH), transform=across, va="top")
    for middle, size in layout.gaps(heatmap):
        text = f"~ ~ ~   {format_size(size)} unmapped   ~ ~ ~"
        axes.text(0.5, middle, text, transform=across, ha="center", va="center", color="#666666", size=8)
