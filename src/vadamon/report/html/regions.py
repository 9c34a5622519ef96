"""Regions: where they are, how often they were accessed, how old they are, and the table."""

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from vadamon.report.captions import describe_regions
from vadamon.report.html.figure import new_figure, plain_text
from vadamon.report.html.page import Section, Table
from vadamon.report.layout import sample_ticks
from vadamon.report.palette import HEAT, UNKNOWN_PLAIN
from vadamon.report.regions import Places, RegionsTable, places
from vadamon.report.text.regions import TITLES, rows
from vadamon.report.wording import cut
from vadamon.units import format_duration

_HEIGHT = 800
_LINE = 1 / 46


def draw(table: RegionsTable) -> Section:
    """Return the regions of one target."""
    placed, texts = places(table), rows(table)
    figure = new_figure(
        _HEIGHT, hovermode="y", margin={"l": 320, "r": 120, "t": 40, "b": 60}, bargap=0, barmode="overlay"
    )
    unknown = table.snapshot.unknown[table.shown]
    by_age = _add_ages(figure, table)
    known_colours = [colour for colour, is_unknown in zip(by_age, unknown, strict=True) if not is_unknown]
    _add_bars(figure, table, placed, texts, ~unknown, "known", known_colours)
    if unknown.any():
        _add_bars(figure, table, placed, texts, unknown, "unknown", UNKNOWN_PLAIN)
    named = [
        (top, f"{plain_text(cut(name or table.unnamed, 28))}  {start:x}") for name, start, top in placed.marked(_LINE)
    ]
    figure.update_yaxes(range=[1, 0], tickvals=[at for at, _ in named], ticktext=[text for _, text in named])
    figure.update_xaxes(
        title={"text": f"accessed in n of {table.snapshot.nr_samples} samples"},
        range=[0, table.longest],
        tickvals=sample_ticks(table.longest, 0),
    )
    return Section(
        table.target,
        describe_regions(table),
        [figure],
        [
            "A bar is as thick as the square root of its region's size. Age: for how long the region has been accessed "
            "about as often as now. ? is unknown: no sample was valid."
        ],
        [Table("Regions", TITLES, texts, left_column=5)],
    )


def _add_ages(figure: go.Figure, table: RegionsTable) -> list[str]:
    """Add a legend of ages; return the colour of each region that is shown.

    Bars have colours by name: Plotly cannot take a bar's number for a colour when it shows hover.
    """
    aggr_s = table.attrs.aggr_us / 1e6
    ages = np.log10(np.maximum(table.snapshot.age[table.shown], 1) * aggr_s)
    least = float(np.log10(aggr_s))
    most = max(float(ages.max(initial=least)), least + 1)
    ticks = np.arange(np.ceil(least - 1e-9), most + 1e-9).tolist()
    scale = [list(step) for step in HEAT]
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={
            "color": [least],
            "colorscale": scale,
            "cmin": least,
            "cmax": most,
            "showscale": True,
            "colorbar": {
                "title": {"text": "age"},
                "tickvals": ticks,
                "ticktext": [format_duration(round(10**tick * 1e9)) for tick in ticks],
            },
        },
    )
    colours: list[str] = sample_colorscale(scale, ((ages - least) / (most - least)).tolist())
    return colours


def _add_bars(
    figure: go.Figure,
    table: RegionsTable,
    placed: Places,
    texts: list[tuple[str, ...]],
    chosen: np.ndarray,
    name: str,
    colour: list[str] | str,
) -> None:
    s, index = table.snapshot, table.shown
    lengths = np.where(s.unknown[index], table.longest, np.maximum(s.nr_accesses[index], 0.06))
    figure.add_bar(
        x=lengths[chosen].tolist(),
        y=((placed.edges[:-1] + placed.edges[1:]) / 2)[chosen].tolist(),
        width=np.diff(placed.edges)[chosen].tolist(),
        orientation="h",
        name=name,
        marker={"color": colour},
        customdata=[[plain_text(cell) for cell in texts[i]] for i in np.flatnonzero(chosen).tolist()],
        hovertemplate="%{customdata[0]}-%{customdata[1]}, %{customdata[2]}<br>%{customdata[5]}<br>"
        "accessed in %{customdata[3]} samples, age %{customdata[4]}<extra></extra>",
        showlegend=bool(s.unknown[index].any()),
    )
