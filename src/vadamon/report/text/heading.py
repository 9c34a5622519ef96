"""What stands above a report: which process, when, for how long."""

from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from vadamon.attrs import Attrs
from vadamon.recording.header import Target
from vadamon.units import format_duration


def print_heading(console: Console, target: Target, what: str) -> None:
    """Print which process this is, in bold, and a line about the report."""
    name = f"process {target.pid}" if target.pid else f"target {target.target_id}"
    line = Text(f"{name}  {target.command}", style="bold", no_wrap=True, overflow="ellipsis")
    console.print(line)
    console.print(Text(what, no_wrap=True, overflow="ellipsis"))


def describe_intervals(attrs: Attrs) -> str:
    """Return ``sampled every 5 ms, summed up every 100 ms``."""
    sample, aggr = format_duration(attrs.sample_us * 1000), format_duration(attrs.aggr_us * 1000)
    return f"sampled every {sample}, summed up every {aggr}"


def wall_time(wall_ns: int) -> str:
    """Return a wall-clock time in the time zone of whoever reads it."""
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
