"""Draw a heatmap with characters: addresses go down, time goes across."""

import textwrap
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.style import Style
from rich.text import Text

from vadamon.report.bands import Band
from vadamon.report.heatmap import Heatmap
from vadamon.report.text.chart import time_axis
from vadamon.report.text.heading import print_heading
from vadamon.report.wording import describe_cells, describe_snapshots, wall_time
from vadamon.units import format_duration, format_size

# No access, then eight equal steps up to all samples. Each character is heavier than the one before, so that they read
# without colour; each colour brings its own background, so that it reads on dark and on light.
_HEAT = "·:-=+*%#@"
_STEPS = len(_HEAT) - 1
_STYLES = [
    Style(dim=True),
    *(
        Style(color=front, bgcolor=back)
        for front, back in (
            ("#ffffff", "#2c4a8c"),
            ("#ffffff", "#2f6db5"),
            ("#000000", "#3a9fb5"),
            ("#000000", "#5fb870"),
            ("#000000", "#c8c840"),
            ("#000000", "#f0a030"),
            ("#000000", "#ee6c3a"),
            ("#ffffff", "#c01830"),
        )
    ),
]
_UNKNOWN, _NOTHING = "?", " "
_ADDRESS_WIDTH = 13


def grid_width(console_width: int) -> int:
    """Return how many columns of the terminal are left for time, beside addresses and names."""
    return console_width - _ADDRESS_WIDTH - 1 - _name_width(console_width)


def print_heatmap(console: Console, heatmap: Heatmap) -> None:
    """Draw one heatmap, in at most the width of ``console``."""
    nr_columns = heatmap.accesses.shape[1]
    cell_width = max(1, grid_width(console.width) // nr_columns)
    width = cell_width * nr_columns
    _print_head(console, heatmap)
    indent = " " * _ADDRESS_WIDTH
    console.print(Text(indent + _axis(heatmap, width), style="dim"))
    levels = _levels(heatmap)
    shown = -1
    for row, band in enumerate(heatmap.row_band.tolist()):
        name = ""
        if band != shown:
            shown, name = band, heatmap.bands[band].name
            _print_gap(console, heatmap.bands[band], width)
        line = Text().append(f"{int(heatmap.row_start[row]):{_ADDRESS_WIDTH - 1}x} ", "dim")
        for level, first, last in _runs(levels[row]):
            line.append(_character(level) * ((last - first) * cell_width), _style(level))
        line.append(f" {name}" if name else "")
        line.truncate(console.width, overflow="ellipsis")
        console.print(line, no_wrap=True)
    _print_legend(console, heatmap)


def _print_head(console: Console, heatmap: Heatmap) -> None:
    duration = format_duration(heatmap.end_ns - heatmap.start_ns)
    print_heading(
        console,
        heatmap.target,
        f"{wall_time(heatmap.start_wall_ns)}, {duration}",
        describe_snapshots(heatmap.nr_snapshots, heatmap.attrs),
    )


def _print_gap(console: Console, band: Band, width: int) -> None:
    if band.gap:
        text = f" {format_size(band.gap)} unmapped ".center(width, "~")
        console.print(Text(" " * _ADDRESS_WIDTH + text, style="dim"))


def _print_legend(console: Console, heatmap: Heatmap) -> None:
    nr_samples = heatmap.attrs.max_nr_samples
    sizes = heatmap.row_sizes()
    console.print()
    legend = Text("accessed in n of ")
    legend.append(f"{nr_samples} samples:")
    for step in range(_STEPS + 1):
        legend.append("  ")
        legend.append(_character(step), _style(step))
        legend.append(f" {_counts(step, nr_samples)}")
    legend.append(f"  {_UNKNOWN} unknown (no valid sample)  blank: no region")
    console.print(legend)
    if sizes:
        # Wrapped here, as rich leaves blanks at the ends of lines.
        for line in textwrap.wrap(describe_cells(sizes, heatmap.column_ns), console.width):
            console.print(line)
    console.print()


def _counts(step: int, nr_samples: int) -> str:
    """Return which numbers of accesses a step stands for: ``0``, ``1-2``; empty ones fall together with the next."""
    if step == 0:
        return "0"
    first, last = (step - 1) * nr_samples // _STEPS + 1, step * nr_samples // _STEPS
    return f"{first}-{last}" if first < last else str(last)


def _levels(heatmap: Heatmap) -> NDArray[np.int64]:
    """Return for each cell 0 to `_STEPS`, -1 for unknown, -2 for no region."""
    share = np.nan_to_num(heatmap.accesses, nan=0)
    # float32 must not lift 5 of 20 above its step.
    levels: NDArray[np.int64] = np.ceil(share * _STEPS - 1e-4).astype(np.int64)
    levels[np.isnan(heatmap.accesses)] = -2
    levels[heatmap.unknown] = -1
    return levels


def _character(level: int) -> str:
    return _HEAT[level] if level >= 0 else _UNKNOWN if level == -1 else _NOTHING


def _style(level: int) -> Style:
    return _STYLES[level] if level >= 0 else Style.null()


def _runs(levels: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return ``(level, first, last)`` of the runs of equal levels in a row."""
    borders = np.flatnonzero(np.diff(levels, prepend=-9, append=-9)).tolist()
    return [(int(levels[a]), a, b) for a, b in pairwise(borders)]


def _axis(heatmap: Heatmap, width: int) -> str:
    return time_axis(heatmap.start_ns - heatmap.origin_ns, heatmap.end_ns - heatmap.origin_ns, width)


def _name_width(console_width: int) -> int:
    return min(32, max(16, console_width // 4))
