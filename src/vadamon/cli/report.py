"""``vadamon report``: show what was hot and cold in a recording."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vadamon.cli.options import Addresses, Between, Duration, Share, Size
from vadamon.cli.output import FORMATS, Output

_FILE = click.Path(path_type=Path)
_DEFAULT = "summary"
_NO_TIME, _LAST_TIME = 0, 1 << 62


class _Reports(click.Group):
    """Reports, of which `_DEFAULT` need not be named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            if len(args) > 1 and not args[0].startswith("-") and not Path(args[0]).exists():
                ctx.fail(f"{args[0]!r} is neither a file nor one of the reports {', '.join(self.commands)}")
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Reports, subcommand_metavar="[REPORT] FILE [ARGS]...")
def report() -> None:
    """Show what was hot and cold in a recording; without the name of a report, a summary."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option(
            "-o", "--output", type=_FILE, metavar="OUT", help="Write to this file. Its suffix tells the format."
        ),
        click.option("--format", "form", type=click.Choice(FORMATS), help="How; text by default."),
    ):
        command = decorate(command)
    return command


_file = click.argument("file", type=_FILE)


@report.command()
@_options
@_file
def summary(file: Path, form: str | None, output: Path | None) -> None:
    """Say in plain words what the process's memory looks like."""
    from vadamon.recording.reader import Recording
    from vadamon.report.summary import summaries

    to = Output("summary", form, output, file)
    to.write(summaries(Recording(file)))


@report.command()
@_options
@click.option("--address-range", type=Addresses(), metavar="START-END", help="Only these addresses (hexadecimal).")
@click.option(
    "--time-range", type=Between(Duration()), metavar="FROM..TO", help="Only these times, from the beginning: 10s..1min"
)
@click.option("--mapping", metavar="NAME", help="Only mappings of this name; * and ? stand for any characters.")
@click.option("--zoom", type=click.Choice(["hottest"]), help="Only the addresses with most of the accesses.")
@_file
def heatmap(
    file: Path,
    form: str | None,
    output: Path | None,
    address_range: tuple[int, int] | None,
    time_range: tuple[int | None, int | None] | None,
    mapping: str | None,
    zoom: str | None,
) -> None:
    """Draw accesses by time and address."""
    from vadamon.recording.reader import Recording
    from vadamon.report.heatmap import heatmaps
    from vadamon.report.view import View

    to = Output("heatmap", form, output, file)
    recording = Recording(file)
    time_ns = (time_range[0] or _NO_TIME, time_range[1] or _LAST_TIME) if time_range else None
    view = View(time_ns, address_range, mapping)
    if zoom:
        view = view.zoomed(recording)
    if to.form == "text":
        from vadamon.report.text.heatmap import grid_width

        to.write(heatmaps(recording, nr_columns=grid_width(to.width), view=view))
    else:
        nr_rows, nr_columns, most_bands = _GRIDS[to.form]
        to.write(heatmaps(recording, nr_rows, nr_columns, most_bands, view))


@report.command()
@_options
@click.option(
    "--threshold",
    "thresholds",
    type=Share(),
    multiple=True,
    metavar="PERCENT",
    help="Count memory accessed in at least this share of samples; 0% is any access. May be given several times.",
)
@_file
def wss(file: Path, form: str | None, output: Path | None, thresholds: tuple[float, ...]) -> None:
    """Draw the working-set size over time, its percentiles, and its mappings."""
    from vadamon.recording.reader import Recording
    from vadamon.report.wss import DEFAULT_THRESHOLDS, working_sets

    to = Output("wss", form, output, file)
    nr_columns = 200
    if to.form == "text":
        from vadamon.report.text.wss import chart_width

        nr_columns = chart_width(to.width)
    to.write(working_sets(Recording(file), nr_columns, thresholds or DEFAULT_THRESHOLDS))


@report.command()
@_options
@click.option(
    "--sort",
    type=click.Choice(["address", "heat", "size", "age"]),
    default="address",
    show_default=True,
    help="What comes first: low addresses, or what is hottest, biggest, oldest.",
)
@click.option("--access", type=Between(Share()), metavar="FROM..TO", help="Accessed in that share of samples: 50%..")
@click.option("--age", type=Between(Duration()), metavar="FROM..TO", help="Accessed alike for so long: 10s..")
@click.option("--size", type=Between(Size()), metavar="FROM..TO", help="So big: 2MiB..")
@_file
def regions(file: Path, form: str | None, output: Path | None, sort: str, **bounds: Any) -> None:
    """List the regions of the last snapshot."""
    from vadamon.recording.reader import Recording
    from vadamon.report.regions import RegionsFilter, regions_tables

    to = Output("regions", form, output, file)
    no_bounds = (None, None)
    shown = RegionsFilter(bounds["access"] or no_bounds, bounds["age"] or no_bounds, bounds["size"] or no_bounds)
    to.write(regions_tables(Recording(file), sort, shown))


@report.command()
@_options
@_file
def mappings(file: Path, form: str | None, output: Path | None) -> None:
    """List how much of each mapping was hot, warm, cold."""
    from vadamon.recording.reader import Recording
    from vadamon.report.mappings import mappings_tables

    to = Output("mappings", form, output, file)
    to.write(mappings_tables(Recording(file)))


@report.command()
@_options
@click.argument("before", type=_FILE, metavar="A")
@click.argument("after", type=_FILE, metavar="B")
def diff(before: Path, after: Path, form: str | None, output: Path | None) -> None:
    """Show what got hotter and colder from recording A to B."""
    from vadamon.recording.reader import Recording
    from vadamon.report.diff import diffs

    to = Output("diff", form, output, before, after)
    to.write(diffs(Recording(before), Recording(after)))


# Rows, columns and most bands of a heatmap, where it need not fit a terminal.
_GRIDS = {"json": (64, 128, 42), "png": (160, 320, 14), "svg": (160, 320, 14), "html": (128, 192, 16)}
