"""A picture of how the mappings were used: a bar for each."""

from matplotlib.figure import Figure

from vadamon.report.captions import describe_mappings
from vadamon.report.image.bars import class_bars
from vadamon.report.image.figure import QUIET, class_handles, head_height, new_figure
from vadamon.report.mappings import MappingsTable, biggest
from vadamon.report.usage import CLASSES
from vadamon.report.wording import NO_MAPPINGS, class_meanings

_MOST_BARS = 24


def draw(table: MappingsTable, note: str = "") -> Figure:
    """Draw the mappings of one target, the biggest first."""
    groups = biggest(table.groups(), _MOST_BARS)
    sizes = table.sizes.sum(axis=0)
    meanings = class_meanings(table.cold_after_ns)
    lines = [f"{CLASSES[c]}: {meanings[c]}" for c in range(len(CLASSES)) if sizes[c]]
    foot = 0.65 + 0.16 * len(lines)
    height = head_height(note) + 0.1 + 0.28 * max(3, len(groups)) + foot
    figure = new_figure(table.target, describe_mappings(table), note, height)
    if not len(groups):
        figure.text(0.5, 0.5, NO_MAPPINGS, ha="center")
        return figure
    figure.subplots_adjust(left=0.2, right=0.98, bottom=foot / height)
    axes = figure.add_subplot()
    class_bars(axes, groups, table)
    axes.set_xlabel("mapped addresses, resident or not")
    axes.legend(handles=class_handles(sizes), loc="lower left", bbox_to_anchor=(0, 1), ncols=6, frameon=False)
    figure.text(0.012, 0.08 / height, "\n".join(lines), color=QUIET, size=8)
    return figure
