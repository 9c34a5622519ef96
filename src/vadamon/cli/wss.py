"""``vadamon wss``: the working set of a process, measured now."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from vadamon.cli.options import Duration

if TYPE_CHECKING:
    from rich.console import Console

    from vadamon.monitors.working_set import WorkingSet


@click.command()
@click.option("--window", "windows", type=Duration("s"), multiple=True, default=("1s",), show_default=True,
              metavar="TIME", help="How long to look; given more than once, all begin together.")  # fmt: skip
@click.option("--watch", is_flag=True, help="Measure again and again, until the process ends or Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, one line a window: for scripts.")
@click.argument("pid", type=int)
def wss(windows: tuple[int, ...], watch: bool, as_json: bool, pid: int) -> None:
    """Tell how much memory a process touches within a time: in all, and by mapping.

    Every page is looked at, once at the start and once at the end of each window.
    """
    if min(windows) <= 0:
        raise click.UsageError("--window must be longer than 0")
    from vadamon.monitors.working_set import WorkingSetMeter
    from vadamon.report.text.console import make_console

    console = make_console(sys.stdout)
    with WorkingSetMeter(pid) as meter:
        while True:
            for found in meter.measure(windows):
                if as_json:
                    click.echo(json.dumps(_as_dict(pid, found)))
                else:
                    _print(console, pid, found)
                sys.stdout.flush()
            if not watch:
                return


def _as_dict(pid: int, found: "WorkingSet") -> dict[str, Any]:
    return {
        "pid": pid,
        "window_ns": found.end_ns - found.start_ns,
        "slack_ns": found.slack_ns,
        "touched": found.size,
        "unknown": found.unknown_size,
        "resident": found.resident,
        "mappings": [
            {
                "start": mapping.start,
                "end": mapping.end,
                "name": mapping.name,
                "touched": touched,
                "unknown": unknown,
            }
            for mapping, touched, unknown in zip(
                found.mappings, found.touched.tolist(), found.unknown.tolist(), strict=True
            )
        ],
    }


def _print(console: "Console", pid: int, found: "WorkingSet") -> None:
    from vadamon.report.text.table import print_table
    from vadamon.units import format_duration, format_size

    window_ns = found.end_ns - found.start_ns
    slack = f" (of some pages up to {format_duration(found.slack_ns)} more)" if found.slack_ns * 50 > window_ns else ""
    console.print(
        f"process {pid} touched {format_size(found.size)} of {format_size(found.resident)} resident within "
        f"{format_duration(window_ns)}{slack}",
        soft_wrap=True,
    )
    if found.unknown_size:
        console.print(f"not known of {format_size(found.unknown_size)}: their accessed bits cannot be cleared")
    rows = [
        (format_size(touched), f"{100 * touched / size:.0f} %", format_size(size), name)
        for name, size, touched in _by_name(found)
        if touched
    ]
    if rows:
        print_table(console, ("touched", "share", "size", "mapping"), rows, name_column=3)


def _by_name(found: "WorkingSet") -> list[tuple[str, int, int]]:
    """Return ``(name, size, touched)``, the most touched first; the mappings of one file are one."""
    from vadamon.report.names import ANONYMOUS, label, with_size

    sums: dict[object, list[int]] = {}
    names: dict[object, str] = {}
    for mapping, touched in zip(found.mappings, found.touched.tolist(), strict=True):
        name, size = label(mapping), mapping.end - mapping.start
        key = mapping.start if name == ANONYMOUS else name
        names[key] = with_size(name, size)
        of_name = sums.setdefault(key, [0, 0])
        of_name[0] += size
        of_name[1] += touched
    return sorted(((names[key], size, touched) for key, (size, touched) in sums.items()), key=lambda row: -row[2])
