"""``vadamon demo``: the whole road on a workload that it starts itself."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vadamon.cli.options import Duration
from vadamon.errors import VadamonError

if TYPE_CHECKING:
    from vadamon.demo import Finding

_MOVE_EVERY_S = 4.0


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Keep the recording.")
@click.option("--duration", type=Duration("s"), default="12s", show_default=True, metavar="TIME", help="How long.")
def demo(output: Path | None, duration: int) -> None:
    """Watch a workload with hot, warm, cold and moving memory, and show what was found of it.

    Where processes cannot be watched, the workload and its memory are simulated.
    """
    from vadamon.cli.progress import ProgressLine
    from vadamon.demo import run, simulate
    from vadamon.recording.reader import Recording
    from vadamon.report.heatmap import heatmaps
    from vadamon.report.sentences import caveat
    from vadamon.report.summary import summaries
    from vadamon.report.text.console import make_console
    from vadamon.report.text.heatmap import grid_width, print_heatmap

    seconds = duration / 1e9
    obstacle = _obstacle()
    if obstacle is not None:
        click.echo(f"Simulating a process and its memory, since none can be watched here: {obstacle}.\n")
    click.echo(
        "A process of ours touches 32 MiB each millisecond (hot), 64 MiB each 20 ms (warm), never again touches\n"
        f"64 MiB (cold), and each {_MOVE_EVERY_S:g} s moves on by 16 MiB in another 64 MiB (moving). Watching it for "
        f"{seconds:g} s ..."
    )
    with _place(output) as path:
        with ProgressLine() as line:
            findings = (run if obstacle is None else simulate)(str(path), seconds, _MOVE_EVERY_S, line.show)
        console = make_console(sys.stdout)
        for model in heatmaps(Recording(path), nr_columns=grid_width(console.width)):
            print_heatmap(console, model)
        for doubt in filter(None, map(caveat, summaries(Recording(path)))):
            console.print(f"{doubt}.", highlight=False)
    click.echo("What was found, once the regions had settled (2 s after the start or a move):")
    for finding in findings:
        click.echo(_in_words(finding))
    if output is not None:
        click.echo(f"The recording is in {output}.")


def _obstacle() -> str | None:
    """Return why processes cannot be watched here, None where they can."""
    from vadamon.address_space.page_table import PageTableAddressSpace

    try:
        PageTableAddressSpace(os.getpid()).close()
    except VadamonError as error:
        return str(error)
    return None


@contextlib.contextmanager
def _place(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="vadamon-") as folder:
        yield Path(folder) / "demo.vadamon"


def _in_words(finding: "Finding") -> str:
    if finding.found != finding.found:
        return f"  {finding.name:<7} nothing: the recording is too short"
    return (
        f"  {finding.name:<7} {finding.size >> 20:3} MiB, accessed in {finding.expected:5.1f} of 100 samples: "
        f"found in {finding.found:5.1f}, {100 * finding.hot_share:3.0f} % of it hot"
    )
