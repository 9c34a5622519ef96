"""Where text goes: a terminal, a pipe or a file."""

from typing import TextIO

from rich.console import Console

_NARROWEST = 60


def make_console(file: TextIO) -> Console:
    """Return a console for ``file``.

    On a terminal it has the terminal's width, and colours unless NO_COLOR is set; elsewhere there are no colours, and
    80 columns unless COLUMNS is set. It is never narrower than reports can be drawn.
    """
    console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if console.width < _NARROWEST:
        console.width = _NARROWEST
    return console
