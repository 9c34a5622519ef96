"""A summary in plain words."""

from vadamon.report.captions import describe_summary
from vadamon.report.html.figure import class_bars
from vadamon.report.html.page import Section, Table
from vadamon.report.mappings import MappingsGroup
from vadamon.report.sentences import size_lines, trust_lines
from vadamon.report.summary import Summary
from vadamon.report.text.summary import COLDEST_TITLES, coldest_rows
from vadamon.report.usage import CLASSES
from vadamon.report.wording import class_meanings


def draw(summary: Summary) -> Section:
    """Return the summary of one target."""
    table = summary.mappings
    sizes = table.sizes.sum(axis=0)
    meanings = class_meanings(table.cold_after_ns)
    return Section(
        table.target,
        describe_summary(summary),
        [class_bars([MappingsGroup("all mappings", sizes, table.end_ns)], table, 190)],
        [f"{CLASSES[c]}: {meanings[c]}" for c in range(len(CLASSES)) if sizes[c]],
        [
            Table("Most of what is not used", COLDEST_TITLES, coldest_rows(summary)),
            Table("How far to trust it", ("",), [(line,) for line in trust_lines(summary)]),
        ],
        words=Table("In words", ("", ""), size_lines(summary), left_column=1),
    )
