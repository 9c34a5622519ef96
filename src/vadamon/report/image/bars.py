"""Bars of how much memory is in each class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from vadamon.report.image.figure import class_style, name_bars, size_axis
from vadamon.report.mappings import MappingsGroup, MappingsTable
from vadamon.report.usage import CLASSES
from vadamon.report.wording import describe_idle
from vadamon.units import format_size


def class_bars(axes: Axes, groups: Sequence[MappingsGroup], table: MappingsTable) -> None:
    """Draw a bar from the top down for each group, parted by class, with its size and how long it was idle."""
    sizes = np.array([group.sizes for group in groups], np.int64).reshape(-1, len(CLASSES))
    ends = np.zeros(len(groups))
    for c in range(len(CLASSES)):
        axes.barh(np.arange(len(groups)), sizes[:, c], left=ends, height=0.7, **class_style(c))
        ends += sizes[:, c]
    for place, group in enumerate(groups):
        idle = describe_idle(table.idle_ns(group.last_access_ns))
        text = format_size(group.size) + ("" if idle == "-" else f"   idle {idle}")
        axes.annotate(text, (group.size, place), (4, 0), textcoords="offset points", va="center")
    name_bars(axes, [group.name for group in groups])
    axes.set_xlim(0, max(1.0, float(ends.max(initial=1))) * 1.2)
    size_axis(axes.xaxis)
