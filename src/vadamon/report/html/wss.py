"""Working sets to look around in."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from vadamon.report.captions import describe_wss
from vadamon.report.html.figure import new_figure, plain_text, size_axis, time_axis, time_unit, without_nan
from vadamon.report.html.page import Section, Table
from vadamon.report.palette import AREAS, HATCH_COLOUR, line_colour
from vadamon.report.text.wss import mapping_rows, percentile_rows, percentile_titles
from vadamon.report.wording import describe_threshold
from vadamon.report.wss import WorkingSet, biggest
from vadamon.units import format_size


def draw(wss: WorkingSet) -> Section:
    """Return the working sets of one target."""
    names = [describe_threshold(threshold, wss.attrs.max_nr_samples) for threshold in wss.thresholds]
    return Section(
        wss.target,
        describe_wss(wss),
        [_over_time(wss, names), _spread(wss, names), *([_by_mapping(wss, names[0])] if wss.names else [])],
        ["p50: half of the time it is less. Unknown regions, of no valid sample, are in no working set."],
        [
            Table("Percentiles over snapshots", percentile_titles(wss), percentile_rows(wss)),
            Table("By mapping, mean over time", ("mapping", *names), mapping_rows(wss)),
        ],
    )


def _over_time(wss: WorkingSet, names: list[str]) -> go.Figure:
    unit, times = _times(wss)
    title = "Over time: memory accessed in so many samples of a snapshot"
    figure = new_figure(340, title, hovermode="x unified")
    for k, (name, values) in enumerate(zip(names, wss.over_time, strict=True)):
        _add_line(figure, times, without_nan(values), name, {"shape": "hvh", "color": line_colour(k, len(names))})
    if np.nanmax(wss.unknown) > 0:
        line = {"shape": "hvh", "color": HATCH_COLOUR, "dash": "dot"}
        _add_line(figure, times, without_nan(wss.unknown), "unknown", line)
    figure.update_xaxes(time_axis(unit))
    figure.update_yaxes(size_axis(float(max(np.nanmax(wss.over_time), np.nanmax(wss.unknown)))))
    return figure


def _spread(wss: WorkingSet, names: list[str]) -> go.Figure:
    figure = new_figure(320, "In how many of the snapshots", hovermode="x unified")
    percents = list(range(101))
    for k, (name, sizes) in enumerate(zip(names, wss.percentiles(percents).tolist(), strict=True)):
        _add_line(figure, percents, sizes, name, {"shape": "hv", "color": line_colour(k, len(names))})
    figure.update_xaxes(title={"text": "percent of the snapshots that have less"}, gridcolor="#e0e0e0")
    figure.update_yaxes(size_axis(float(wss.sizes.max(initial=0))))
    return figure


def _by_mapping(wss: WorkingSet, least: str) -> go.Figure:
    unit, times = _times(wss)
    legend = {"x": 1.01, "y": 1, "traceorder": "reversed"}
    title = f"By mapping: accessed in {least} samples"
    figure = new_figure(380, title, margin={"l": 110, "r": 230, "t": 70, "b": 50}, legend=legend)
    names, values = biggest(wss, len(AREAS))
    known = np.nan_to_num(values[0])
    for k, (name, sizes) in enumerate(zip(names, known.tolist(), strict=True)):
        _add_line(figure, times, sizes, name, {"shape": "hvh", "width": 0}, stackgroup="all", fillcolor=AREAS[k])
    figure.update_xaxes(time_axis(unit))
    figure.update_yaxes(size_axis(float(known.sum(axis=0).max(initial=0))))
    return figure


def _add_line(
    figure: go.Figure,
    x: Sequence[float],
    sizes: Sequence[float | None],
    name: str,
    line: Mapping[str, object],
    **style: str,
) -> None:
    figure.add_scatter(
        x=x,
        y=sizes,
        name=plain_text(name),
        mode="lines",
        line=line,
        customdata=[format_size(round(size or 0)) for size in sizes],
        hovertemplate="%{customdata}",
        **style,
    )


def _times(wss: WorkingSet) -> tuple[str, list[float]]:
    timeline = wss.timeline
    unit, unit_ns = time_unit(timeline.end_ns - wss.origin_ns)
    middle = timeline.start_ns - wss.origin_ns + (np.arange(timeline.nr_columns) + 0.5) * timeline.column_ns
    return unit, (middle / unit_ns).tolist()
