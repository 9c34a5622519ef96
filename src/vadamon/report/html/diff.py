"""What changed between two recordings."""

from vadamon.report.captions import describe_diff
from vadamon.report.diff import Diff
from vadamon.report.html.figure import name_axis, new_figure, plain_text, size_axis
from vadamon.report.html.page import Section, Table
from vadamon.report.palette import BEFORE, COLDER, HOTTER
from vadamon.report.text.diff import MAPPING_TITLES, RANGE_TITLES, mapping_rows, range_rows
from vadamon.units import format_size

_MOST_BARS = 24


def draw(diff: Diff) -> Section:
    """Return what changed in one target."""
    changes = diff.mappings[:_MOST_BARS]
    before, after = [c.before_heat for c in changes], [c.after_heat for c in changes]
    figure = new_figure(
        140 + 36 * max(3, len(changes)),
        "Heat: bytes found accessed, mean over time",
        margin={"l": 220, "r": 30, "t": 80, "b": 40},
        barmode="group",
        showlegend=False,
    )
    colours = [HOTTER if new > old else COLDER for old, new in zip(before, after, strict=True)]
    for name, heats, colour in (("before", before, BEFORE), ("after", after, colours)):
        figure.add_bar(
            y=list(range(len(changes))),
            x=heats,
            name=name,
            orientation="h",
            marker={"color": colour},
            customdata=[[plain_text(c.name), format_size(round(heat))] for c, heat in zip(changes, heats, strict=True)],
            hovertemplate=f"%{{customdata[0]}}<br>{name}: %{{customdata[1]}}<extra></extra>",
        )
    figure.update_yaxes(name_axis([c.name for c in changes]))
    figure.update_xaxes(size_axis(max([*before, *after], default=1.0)))
    return Section(
        diff.after,
        describe_diff(diff),
        [figure],
        [
            "Grey: before. Purple: after, and hotter. Blue: after, and not hotter. In use: hot and warm; not in use: "
            "cold and untouched."
        ],
        [
            Table("Mappings that changed most, before → after", MAPPING_TITLES, mapping_rows(diff)),
            Table("Ranges that changed by a quarter of all samples or more", RANGE_TITLES, range_rows(diff), 3),
        ],
    )
