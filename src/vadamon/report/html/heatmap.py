"""A heatmap to look around in: zoom in time and address, and hover."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from vadamon.report.captions import describe_heatmap
from vadamon.report.heatmap import Heatmap
from vadamon.report.html.figure import head_sides, new_figure, plain_text, time_axis, time_unit, without_nan
from vadamon.report.html.page import Section
from vadamon.report.layout import Layout, lay_out, sample_ticks
from vadamon.report.palette import HEAT, NOT_ACCESSED, UNKNOWN_PLAIN
from vadamon.report.wording import cut, describe_cells, describe_share
from vadamon.units import format_duration, format_size

_HEIGHT = 860
_LINES = 42


def draw(heatmap: Heatmap) -> Section:
    """Return one heatmap."""
    layout = lay_out(heatmap, _LINES)
    unit, unit_ns = time_unit(heatmap.end_ns - heatmap.origin_ns)
    start_ns, end_ns = heatmap.start_ns - heatmap.origin_ns, heatmap.end_ns - heatmap.origin_ns
    times = (np.linspace(start_ns, end_ns, heatmap.accesses.shape[1] + 1) / unit_ns).tolist()
    figure = new_figure(_HEIGHT, margin={"l": 120, "r": 290, "t": 40, "b": 60})
    figure.add_trace(_accesses(heatmap, layout, times, unit))
    figure.add_trace(_unknown(heatmap, layout, times))
    for name, colour in ((f"0 of {heatmap.attrs.max_nr_samples} samples", NOT_ACCESSED), ("unknown", UNKNOWN_PLAIN)):
        marker = {"symbol": "square", "size": 13, "color": colour, "line": {"color": "#888", "width": 0.5}}
        figure.add_scatter(x=[None], y=[None], mode="markers", name=name, marker=marker)
    rows = _rows(heatmap, layout)
    marked = [row for row in rows if row["marked"]]
    figure.update_xaxes(time_axis(unit), range=[times[0], times[-1]], showgrid=False)
    figure.update_yaxes(
        range=[1, 0],
        showgrid=False,
        zeroline=False,
        tickvals=[row["at"] for row in marked],
        ticktext=[row["text"] for row in marked],
        tickfont={"family": "monospace", "size": 11},
    )
    head_sides(figure)
    _name_bands(figure, heatmap, layout)
    lines = ["Drag to zoom in, double-click to zoom out, hover to see what a cell is. White: no region."]
    if rows:
        lines.insert(0, describe_cells(heatmap.row_sizes(), heatmap.column_ns))
    return Section(heatmap.target, describe_heatmap(heatmap), [figure], lines, rows=rows)


def _accesses(heatmap: Heatmap, layout: Layout, times: list[float], unit: str) -> go.Heatmap:
    nr_samples = heatmap.attrs.max_nr_samples
    # What had no access is no heat: up to half a sample it has a colour of its own.
    least = 0.5 / nr_samples
    scale = [[0, NOT_ACCESSED], [least, NOT_ACCESSED], *([least + (1 - least) * at, colour] for at, colour in HEAT)]
    counts = sample_ticks(nr_samples, 0)
    return go.Heatmap(
        x=times,
        y=layout.edges.tolist(),
        z=without_nan(np.round(layout.strips(heatmap.accesses.astype(np.float64)), 4)),
        zmin=0,
        zmax=1,
        colorscale=scale,
        colorbar={
            "title": {"text": f"accessed in n<br>of {nr_samples} samples"},
            "tickvals": [n / nr_samples for n in counts],
            "ticktext": [str(n) for n in counts],
            "x": 1,
            "xref": "container",
            "xanchor": "right",
            "thickness": 14,
            "len": 0.5,
        },
        customdata=_cells(heatmap, layout),
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>accessed in %{customdata[2]} samples, age "
        f"%{{customdata[3]}}<br>at %{{x:.4~g}} {unit}<extra></extra>",
        hoverongaps=False,
    )


def _unknown(heatmap: Heatmap, layout: Layout, times: list[float]) -> go.Heatmap:
    return go.Heatmap(
        x=times,
        y=layout.edges.tolist(),
        z=without_nan(layout.strips(np.where(heatmap.unknown, 1.0, np.nan))),
        zmin=0,
        zmax=1,
        colorscale=[[0, UNKNOWN_PLAIN], [1, UNKNOWN_PLAIN]],
        showscale=False,
        customdata=_cells(heatmap, layout) if heatmap.unknown.any() else None,
        hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>unknown: no valid sample<extra></extra>",
        hoverongaps=False,
    )


def _cells(heatmap: Heatmap, layout: Layout) -> list[list[list[str]]]:
    """Return what hover tells of each cell: addresses, mapping, accesses and age; nothing of a gap."""
    nr_samples, aggr_ns = heatmap.attrs.max_nr_samples, heatmap.attrs.aggr_us * 1000
    accesses = np.nan_to_num(heatmap.accesses)
    # The same few values are told over and over.
    counts = {share: describe_share(share, nr_samples) for share in np.unique(accesses).tolist()}
    ages = {age: format_duration(age * aggr_ns) for age in np.unique(heatmap.age).tolist()}
    columns = (heatmap.row_start, heatmap.row_end, heatmap.row_band, accesses, heatmap.age)
    rows = []
    for start, end, band, row_accesses, row_ages in zip(*(column.tolist() for column in columns), strict=True):
        place = [f"{start:x}-{end:x}", plain_text(heatmap.bands[band].name)]
        rows.append([[*place, counts[share], ages[age]] for share, age in zip(row_accesses, row_ages, strict=True)])
    return [rows[row] if row >= 0 else [] for row in layout.row.tolist()]


def _rows(heatmap: Heatmap, layout: Layout) -> list[dict[str, Any]]:
    marked = set(layout.marked())
    return [
        {"at": top, "text": f"{int(heatmap.row_start[row]):x}", "marked": strip in marked}
        for strip, (top, row) in enumerate(zip(layout.edges[:-1].tolist(), layout.row.tolist(), strict=True))
        if row >= 0
    ]


def _name_bands(figure: go.Figure, heatmap: Heatmap, layout: Layout) -> None:
    for top, band in zip(layout.band_top.tolist(), heatmap.bands, strict=True):
        figure.add_annotation(
            x=1.005,
            xref="paper",
            xanchor="left",
            y=top,
            yanchor="top",
            yshift=3,
            text=plain_text(cut(band.name, 28)),
            showarrow=False,
        )
    for middle, size in layout.gaps(heatmap):
        figure.add_annotation(
            x=0.5,
            xref="paper",
            y=middle,
            text=f"~ ~ ~ {format_size(size)} unmapped ~ ~ ~",
            showarrow=False,
            font={"color": "#666", "size": 11},
        )
