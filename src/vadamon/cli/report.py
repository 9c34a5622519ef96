"""``vadamon report``: show what was hot and cold in a recording."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from vadamon.errors import VadamonError

if TYPE_CHECKING:
    from rich.console import Console


@click.group()
def report() -> None:
    """Show what was hot and cold in a recording."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option("-o", "--output", type=click.Path(path_type=Path), metavar="OUT", help="Write to this file."),
        click.option(
            "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How."
        ),
        click.argument("file", type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


@report.command()
@_options
def heatmap(file: Path, form: str, output: Path | None) -> None:
    """Draw accesses by time and address."""
    from vadamon.recording.reader import Recording
    from vadamon.report.heatmap import heatmaps
    from vadamon.report.text.console import make_console
    from vadamon.report.text.heatmap import grid_width, print_heatmap

    width = make_console(io.StringIO() if output else sys.stdout).width
    _show(file, heatmaps(Recording(file), nr_columns=grid_width(width)), print_heatmap, form, output)


@report.command()
@_options
def regions(file: Path, form: str, output: Path | None) -> None:
    """List the regions of the last snapshot."""
    from vadamon.recording.reader import Recording
    from vadamon.report.regions import regions_tables
    from vadamon.report.text.regions import print_regions

    _show(file, regions_tables(Recording(file)), print_regions, form, output)


@report.command()
@_options
def mappings(file: Path, form: str, output: Path | None) -> None:
    """List how much of each mapping was hot, warm, cold."""
    from vadamon.recording.reader import Recording
    from vadamon.report.mappings import mappings_tables
    from vadamon.report.text.mappings import print_mappings

    _show(file, mappings_tables(Recording(file)), print_mappings, form, output)


def _show(
    recording: Path,
    models: Sequence[Any],
    draw: Callable[["Console", Any], None],
    form: str,
    output: Path | None,
) -> None:
    from vadamon.recording.reader import Recording
    from vadamon.report.coarse import coarse_note

    note = coarse_note(Recording(recording))
    try:
        if output is None:
            _write(models, draw, form, note, sys.stdout)
            return
        if output.exists() and output.samefile(recording):
            raise VadamonError(f"{output} is the recording itself: give -o another name")
        with output.open("w", encoding="utf-8") as out:
            _write(models, draw, form, note, out)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise VadamonError(f"cannot write {output or 'to standard output'}: {error.strerror}") from error


def _write(models: Sequence[Any], draw: Callable[["Console", Any], None], form: str, note: str, out: TextIO) -> None:
    from vadamon.report.text.console import make_console

    if form == "json":
        json.dump([model.to_dict() | ({"note": note} if note else {}) for model in models], out)
        out.write("\n")
    else:
        console = make_console(out)
        for model in models:
            if note:
                console.print(note, style="bold", highlight=False)
            draw(console, model)
    out.flush()
