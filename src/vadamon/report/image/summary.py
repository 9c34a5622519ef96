"""A picture of a summary: what there is to say, and bars."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vadamon.report.captions import describe_summary
from vadamon.report.image.bars import class_bars
from vadamon.report.image.figure import class_handles, head_height, new_figure
from vadamon.report.mappings import MappingsGroup
from vadamon.report.sentences import size_lines, trust_lines
from vadamon.report.summary import Summary

_LINE = 0.19  # inches
_BAR = 0.38


def draw(summary: Summary, note: str = "") -> Figure:
    """Draw the summary of one target."""
    table = summary.mappings
    trust = zip(["trust", *[""] * 9], trust_lines(summary), strict=False)
    said = [*size_lines(summary), ("", ""), *trust]
    nr_cold, text = len(summary.coldest), _LINE * len(said)
    top = head_height(note) - 0.1  # in inches, as all the rest
    below = top + 0.2 + text
    height = below + 1.35 + (0.75 + _BAR * nr_cold) * bool(nr_cold)
    figure = new_figure(table.target, describe_summary(summary), note, height)
    for i, (word, line) in enumerate(said):
        y = 1 - (top + _LINE * i) / height
        figure.text(0.012, y, word, va="top", weight="bold")
        figure.text(0.1, y, line, va="top")

    def bars(begin: float, nr_bars: int) -> Axes:
        return figure.add_axes((0.2, 1 - (begin + _BAR * nr_bars) / height, 0.78, _BAR * nr_bars / height))

    sizes = table.sizes.sum(axis=0)
    if sizes.any():
        every = bars(below + 0.4, 1)
        class_bars(every, [MappingsGroup("all mappings", sizes, table.end_ns)], table)
        every.legend(handles=class_handles(sizes), loc="lower left", bbox_to_anchor=(0, 0.95), ncols=6, frameon=False)
    if nr_cold:
        cold = bars(below + 1.55, nr_cold)
        class_bars(cold, summary.coldest, table)
        cold.set_title("Most of what is not used", loc="left", size=10)
    return figure
