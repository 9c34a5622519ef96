"""Charts of characters: areas over time, and bars of parts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.style import Style
from rich.text import Text

from vadamon.report.wording import cut
from vadamon.units import format_duration, format_size

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_NICE_NS = [step * 10**power for power in range(6, 16) for step in (1, 2, 5)]

# Hot, warm, cold, untouched, unknown, unmonitored: heavier marks for what is used more, so that they read without
# colour; colours that read on dark and on light.
MARKS = "█▓▒·?-"
STYLES = [
    Style(color="#d0304a"),
    Style(color="#e08a1e"),
    Style(color="#3f7fd0"),
    Style(dim=True),
    Style.null(),
    Style.null(),
]


def area(values: NDArray[np.float64], top: float, height: int) -> list[str]:
    """Return ``height`` lines, from the top down, of an area under ``values`` (float64[n]); NaN is a gap.

    What is greater than 0 shows at least an eighth of a line.
    """
    known = np.nan_to_num(values)
    eighths = np.clip(np.rint(known / max(top, 1) * height * 8), (known > 0).astype(float), height * 8).astype(np.int64)
    return [
        "".join(_EIGHTHS[level] for level in np.clip(eighths - 8 * line, 0, 8).tolist())
        for line in range(height - 1, -1, -1)
    ]


def stretched(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return ``width`` values of n that are no more than that, each repeated about equally often."""
    stretched: NDArray[np.float64] = values[np.arange(width) * len(values) // width]
    return stretched


def time_axis(start_ns: int, end_ns: int, width: int) -> str:
    """Return marks at round times, in at most ``width`` characters that stand for start to end."""
    duration_ns = max(1, end_ns - start_ns)
    step_ns = next((ns for ns in _NICE_NS if ns * width >= duration_ns * 10), _NICE_NS[-1])
    axis = ""
    for time_ns in range(-(-start_ns // step_ns) * step_ns, end_ns, step_ns):
        at = (time_ns - start_ns) * width // duration_ns
        mark = f"|{format_duration(time_ns)}"
        if at + len(mark) <= width:
            axis = axis.ljust(at) + mark
    return axis


def parts_bar(sizes: Sequence[int], width: int) -> Text:
    """Return a bar as wide as ``width`` of the sizes of each class; each that is not 0 has one character at least."""
    total = max(1, sum(sizes))
    lengths = [max(1, size * width // total) if size else 0 for size in sizes]
    lengths[lengths.index(max(lengths))] += width - sum(lengths)
    bar = Text()
    for mark, style, length in zip(MARKS, STYLES, lengths, strict=True):
        bar.append(mark * length, style)
    return bar


def size_axis(top: float, height: int, width: int) -> list[str]:
    """Return what stands at the side of each line of an area: the size at its top, at the first and the middle line."""
    marks = {0: top, height // 2: top * (height - height // 2) / height}
    return [
        cut(format_size(round(marks[line])), width).rjust(width) if line in marks else " " * width
        for line in range(height)
    ]
