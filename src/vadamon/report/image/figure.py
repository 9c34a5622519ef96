"""What all pictures have in common: size, head, axes, legends, and how they are written."""

from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from vadamon.recording.header import Target
from vadamon.report.palette import CLASS_COLOURS, HATCH, HATCH_COLOUR
from vadamon.report.usage import CLASSES, UNKNOWN, UNMONITORED
from vadamon.report.wording import cut, describe_target
from vadamon.units import format_duration, format_size

QUIET = "#444444"
GRID = "#e0e0e0"
_WIDTH = 11.0
_DPI = 100
_LINE = 0.19  # inches
_HEAD = 0.9
_TITLE_LENGTH, _NOTE_LENGTH, _NAME_LENGTH = 92, 150, 24
_STYLE: Any = {
    "text.parse_math": False,  # a $ in the name of a file is just that
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "hatch.color": HATCH_COLOUR,
    "hatch.linewidth": 0.7,
}


def save(draw: Callable[[Any, str], Figure], model: Any, path: Path, form: str, note: str = "") -> None:
    """Draw ``model`` and write it as ``png`` or ``svg``. Raises OSError where ``path`` cannot be written."""
    with mpl.rc_context(_STYLE):
        small: dict[str, Any] = {"pil_kwargs": {"optimize": True}} if form == "png" else {}
        draw(model, note).savefig(path, format=form, dpi=_DPI, **small)


def head_height(note: str) -> float:
    """Return how many inches the head of a figure with that note takes."""
    return _HEAD + _LINE * len(wrap(note, _NOTE_LENGTH))


def new_figure(target: Target, caption: str, note: str, height: float, body: float = 0.0) -> Figure:
    """Return a figure of ``height`` inches with a head: the process, what the picture is of, and a note if any.

    Axes begin below the head and ``body`` more inches.
    """
    figure = Figure(figsize=(_WIDTH, height))
    title, words = cut(describe_target(target), _TITLE_LENGTH), "\n".join(wrap(note, _NOTE_LENGTH))
    figure.text(0.012, 1 - 0.12 / height, title, va="top", weight="bold", size=12)
    figure.text(0.012, 1 - 0.38 / height, caption, va="top", color=QUIET)
    figure.text(0.012, 1 - 0.57 / height, words, va="top", style="italic")
    figure.subplots_adjust(top=1 - (head_height(note) + body) / height)
    return figure


def time_axis(axes: Axes, start_ns: int, end_ns: int) -> None:
    """Let ``axes``, whose x is in seconds, tell times from ``start_ns`` to ``end_ns`` with their units."""
    steps = [1, 1.2, 1.8, 3, 6, 10] if end_ns - start_ns > 120_000_000_000 else [1, 2, 5, 10]
    axes.set_xlim(start_ns / 1e9, end_ns / 1e9)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=steps))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda s, _: format_duration(max(0, round(s * 1e9)))))
    axes.set_xlabel("time since the recording began")


def size_axis(axis: Axis) -> None:
    """Let ``axis`` tell bytes with their units, at multiples of powers of two, with lines across."""
    axis.set_major_locator(_BinaryLocator())
    axis.set_major_formatter(FuncFormatter(lambda size, _: format_size(round(size))))
    axis.grid(color=GRID, linewidth=0.6)


def class_handles(sizes: NDArray[np.int64]) -> list[Patch]:
    """Return legend entries, with their sizes, of the classes of which there is any (int64[6])."""
    return [
        Patch(label=f"{CLASSES[c]}  {format_size(size)}", **class_style(c))
        for c, size in enumerate(sizes.tolist())
        if size
    ]


def class_style(c: int) -> dict[str, Any]:
    """Return how a class is filled: what is not known is hatched."""
    hatch = {UNKNOWN: HATCH, UNMONITORED: "...."}.get(c)
    return {"facecolor": CLASS_COLOURS[c], "hatch": hatch, "edgecolor": HATCH_COLOUR, "linewidth": 0.4}


def name_bars(axes: Axes, names: Iterable[str]) -> None:
    """Let ``axes`` have a named bar at each whole y, from the top down."""
    labels = [cut(name, _NAME_LENGTH) for name in names]
    axes.set_yticks(range(len(labels)), labels=labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params("y", length=0)
    axes.spines["left"].set_visible(False)


def head_sides(axes: Axes) -> None:
    """Say above ``axes`` what stands at its sides: addresses to the left, names of mappings to the right."""
    for x, word, side in ((-0.008, "address", "right"), (1.01, "mapping", "left")):
        axes.text(x, 1.006, word, transform=axes.transAxes, ha=side, va="bottom", color=QUIET, style="italic")


class _BinaryLocator(MaxNLocator):
    """Ticks at multiples of a power of two."""

    def tick_values(self, vmin: float, vmax: float) -> Any:
        step = 2.0 ** np.ceil(np.log2(max(vmax - vmin, 6) / 6))
        return np.arange(np.floor(vmin / step), np.ceil(vmax / step) + 1) * step
