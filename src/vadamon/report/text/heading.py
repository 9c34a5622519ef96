"""What stands above a report: which process, when, for how long."""

from rich.console import Console
from rich.text import Text

from vadamon.recording.header import Target
from vadamon.report.wording import cut, describe_target


def print_heading(console: Console, target: Target, *lines: str) -> None:
    """Print which process this is, in bold, and lines about the report, each cut to the width of ``console``."""
    console.print(Text(cut(describe_target(target), console.width), style="bold"))
    for line in lines:
        console.print(Text(cut(line, console.width)))
    console.print()
