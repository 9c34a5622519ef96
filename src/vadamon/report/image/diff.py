"""A picture of what changed between two recordings: heat before and after, of the mappings that changed most."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vadamon.report.captions import describe_diff
from vadamon.report.diff import Diff
from vadamon.report.image.figure import head_height, name_bars, new_figure, size_axis
from vadamon.report.palette import BEFORE, COLDER, HOTTER
from vadamon.report.wording import NO_MAPPINGS
from vadamon.units import format_size

_MOST_BARS = 10


def draw(diff: Diff, note: str = "") -> Figure:
    """Draw what changed in one target."""
    changes = diff.mappings[:_MOST_BARS]
    height = head_height(note) + 1.0 + 0.42 * max(3, len(changes))
    figure = new_figure(diff.after, describe_diff(diff), note, height)
    if not changes:
        figure.text(0.5, 0.5, NO_MAPPINGS, ha="center")
        return figure
    figure.subplots_adjust(left=0.2, right=0.97, bottom=0.6 / height)
    axes = figure.add_subplot()
    places = np.arange(len(changes))
    before = np.array([change.before_heat for change in changes])
    after = np.array([change.after_heat for change in changes])
    axes.barh(places - 0.19, before, 0.36, color=BEFORE)
    axes.barh(places + 0.19, after, 0.36, color=np.where(after > before, HOTTER, COLDER).tolist())
    for place, old, new in zip(places.tolist(), before.tolist(), after.tolist(), strict=True):
        delta = round(new - old)
        text = f"{'+' if delta > 0 else '-'}{format_size(abs(delta))}" if delta else "as before"
        axes.annotate(text, (max(old, new), place), (5, 0), textcoords="offset points", va="center")
    name_bars(axes, [change.name for change in changes])
    axes.set_xlim(0, max(1.0, float(np.concatenate([before, after]).max(initial=1))) * 1.12)
    axes.set_xlabel("heat: bytes found accessed, mean over time")
    size_axis(axes.xaxis)
    kinds = (("before", BEFORE), ("after, hotter", HOTTER), ("after, not hotter", COLDER))
    handles = [Patch(color=colour, label=label) for label, colour in kinds]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
    return figure
