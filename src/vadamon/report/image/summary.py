"""A picture of a summary: what there is to say, and bars."""

from matplotlib.figure import Figure

from vadamon.report.captions import describe_summary
from vadamon.report.image.bars import class_bars
from vadamon.report.image.figure import class_handles, new_figure
from vadamon.report.mappings import MappingsGroup
from vadamon.report.sentences import size_lines, trust_lines
from vadamon.report.summary import Summary

_LINE = 0.19


def draw(summary: Summary, note: str = "") -> Figure:
    """Draw the summary of one target."""
    table = summary.mappings
    trust = zip(["trust", *[""] * 9], trust_lines(summary), strict=False)
    said = [*size_lines(summary), ("", ""), *trust]
    text = _LINE * len(said)
    nr_bars = 1 + len(summary.coldest)
    height = 2.75 + text + 0.3 * nr_bars
    figure = new_figure(table.target, describe_summary(summary), note, height, body=text + 0.45)
    for i, (word, line) in enumerate(said):
        y = figure.subplotpars.top + (text + 0.3 - _LINE * i) / height
        figure.text(0.012, y, word, va="top", weight="bold")
        figure.text(0.1, y, line, va="top")
    figure.subplots_adjust(left=0.2, right=0.98, bottom=0.35 / height, hspace=1.6 / nr_bars)
    sizes = table.sizes.sum(axis=0)
    if not sizes.any():
        return figure
    grid = figure.add_gridspec(2, 1, height_ratios=(1, max(1, nr_bars - 1)))
    every = figure.add_subplot(grid[0])
    class_bars(every, [MappingsGroup("all mappings", sizes, table.end_ns)], table)
    every.legend(handles=class_handles(sizes), loc="lower left", bbox_to_anchor=(0, 0.95), ncols=6, frameon=False)
    if summary.coldest:
        cold = figure.add_subplot(grid[1])
        class_bars(cold, summary.coldest, table)
        cold.set_title("Most of what is not used", loc="left", size=10)
    return figure
