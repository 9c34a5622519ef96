"""Plain tables that are never wider than the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

_BETWEEN = "  "


def print_table(console: Console, titles: Sequence[str], rows: Sequence[Sequence[str]], name_column: int) -> None:
    """Print rows below their titles, numbers to the right.

    The column of names is to the left, and is cut where all would not fit in the width of ``console``.
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    others = sum(widths) - widths[name_column] + len(_BETWEEN) * (len(widths) - 1)
    widths[name_column] = max(1, min(widths[name_column], console.width - others))
    for style, row in (("bold", titles), *(("", row) for row in rows)):
        cells = [
            _cut(cell, width).ljust(width) if i == name_column else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        console.print(Text(_BETWEEN.join(cells).rstrip(), style), no_wrap=True, crop=True)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
