"""What all figures of pages have in common."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from vadamon.report.mappings import MappingsGroup, MappingsTable
from vadamon.report.palette import CLASS_COLOURS, HATCH_COLOUR
from vadamon.report.usage import CLASSES, UNKNOWN, UNMONITORED
from vadamon.report.wording import cut, describe_idle
from vadamon.units import format_size

_GRID = "#e0e0e0"
_NAME_LENGTH = 28
_TIME_UNITS = (("s", 1e9, 600e9), ("min", 60e9, 36_000e9), ("h", 3600e9, float("inf")))


def new_figure(height: int, title: str = "", **layout: Any) -> go.Figure:
    """Return an empty figure, ``height`` pixels high."""
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "title": {"text": title, "x": 0, "xref": "paper", "font": {"size": 15}},
            "margin": {"l": 110, "r": 30, "t": 70, "b": 50},
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "hoverlabel": {"align": "left"},
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
            **layout,
        }
    )


def time_unit(duration_ns: int) -> tuple[str, float]:
    """Return the unit in which to tell times of so long a recording, and its nanoseconds."""
    return next((name, ns) for name, ns, limit in _TIME_UNITS if duration_ns < limit)


def time_axis(unit: str) -> dict[str, Any]:
    """Return an axis of times in ``unit``."""
    return {"title": {"text": f"time since the recording began ({unit})"}, "gridcolor": _GRID, "zeroline": False}


def head_sides(figure: go.Figure) -> None:
    """Say above ``figure`` what stands at its sides: addresses to the left, names of mappings to the right."""
    for x, word, side in ((-0.005, "address", "right"), (1.005, "mapping", "left")):
        figure.add_annotation(
            x=x,
            xref="paper",
            xanchor=side,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=6,
            text=f"<i>{word}</i>",
            showarrow=False,
        )


def size_axis(greatest: float) -> dict[str, Any]:
    """Return an axis of bytes up to ``greatest``, at multiples of a power of two."""
    step = 2.0 ** np.ceil(np.log2(max(greatest, 6) / 6))
    ticks = np.arange(0, greatest + step, step).tolist()
    return {
        "tickvals": ticks,
        "ticktext": [format_size(round(size)) for size in ticks],
        "gridcolor": _GRID,
        "rangemode": "tozero",
        "zeroline": False,
    }


def name_axis(names: Sequence[str]) -> dict[str, Any]:
    """Return an axis of names, from the top down, of bars at 0, 1 and so on."""
    places = list(range(len(names)))
    return {
        "tickvals": places,
        "ticktext": [plain_text(cut(name, _NAME_LENGTH)) for name in names],
        "autorange": "reversed",
    }


def class_bars(groups: Sequence[MappingsGroup], table: MappingsTable, height: int, title: str = "") -> go.Figure:
    """Return a bar for each group, parted by class; hover tells sizes and how long it was idle."""
    figure = new_figure(height, title, barmode="stack", margin={"l": 220, "r": 30, "t": 80, "b": 40})
    idle = [describe_idle(table.idle_ns(group.last_access_ns)) for group in groups]
    for c in range(len(CLASSES)):
        sizes = [int(group.sizes[c]) for group in groups]
        if not any(sizes):
            continue
        pattern = {"shape": {UNKNOWN: "/", UNMONITORED: "."}.get(c, ""), "fgcolor": HATCH_COLOUR}
        figure.add_bar(
            y=list(range(len(groups))),
            x=sizes,
            name=CLASSES[c],
            orientation="h",
            marker={"color": CLASS_COLOURS[c], "line": {"color": HATCH_COLOUR, "width": 0.5}, "pattern": pattern},
            customdata=[
                [plain_text(group.name), format_size(size), "in use" if text == "-" else f"idle {text}"]
                for group, size, text in zip(groups, sizes, idle, strict=True)
            ],
            hovertemplate=f"%{{customdata[0]}}, %{{customdata[2]}}<br>{CLASSES[c]}: %{{customdata[1]}}<extra></extra>",
        )
    figure.update_yaxes(name_axis([group.name for group in groups]))
    figure.update_xaxes(size_axis(float(max((group.size for group in groups), default=1))))
    return figure


def plain_text(text: str) -> str:
    """Return text that Plotly shows unchanged: it takes some tags and entities in what it is given."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def without_nan(values: Any) -> list[Any]:
    """Return an array as lists, with None for NaN."""
    return [
        without_nan(value) if isinstance(value, list) else None if value != value else value
        for value in (values if isinstance(values, list) else values.tolist())
    ]
