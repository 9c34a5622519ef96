"""Mappings: a bar for each, and the table."""

from vadamon.report.captions import describe_mappings
from vadamon.report.html.figure import class_bars
from vadamon.report.html.page import Section, Table
from vadamon.report.mappings import MappingsTable, biggest
from vadamon.report.text.mappings import rows, shown_classes, titles
from vadamon.report.usage import CLASSES
from vadamon.report.wording import NO_MAPPINGS, class_meanings

_MOST_BARS = 40


def draw(table: MappingsTable) -> Section:
    """Return the mappings of one target."""
    groups = biggest(table.groups(), _MOST_BARS)
    shown, meanings = shown_classes(table), class_meanings(table.cold_after_ns)
    return Section(
        table.target,
        describe_mappings(table),
        [class_bars(groups, table, 140 + 24 * max(3, len(groups)), "Mapped addresses, resident or not")]
        if groups
        else [],
        [f"{CLASSES[c]}: {meanings[c]}" for c in shown] if groups else [NO_MAPPINGS],
        [Table("All mappings, by address", titles(shown), rows(table, shown))] if groups else [],
    )
