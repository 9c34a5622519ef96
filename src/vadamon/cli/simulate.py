"""``vadamon simulate``: watch a simulated program, and keep what is seen."""

import contextlib
import shlex
from pathlib import Path

import click

from vadamon.cli.options import Duration
from vadamon.cli.progress import ProgressLine, in_words

_PATH = click.Path(path_type=Path)


@click.command(options_metavar="[OPTIONS]")
@click.option("-o", "--output", type=_PATH, default="recording.vadamon", show_default=True, metavar="FILE",
              help="Where to; a file that is there is kept as FILE.old.")  # fmt: skip
@click.option("--truth", type=_PATH, metavar="FILE", help="Keep there what was accessed, for `vadamon accuracy`.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="The same seed makes the same bytes.")  # fmt: skip
@click.option("--sample", type=Duration(), default="5ms", show_default=True, metavar="TIME", help="Sample interval.")
@click.option("--aggr", type=Duration(), default="100ms", show_default=True, metavar="TIME",
              help="Aggregation interval: one snapshot each.")  # fmt: skip
@click.option("--update", type=Duration(), default="1s", show_default=True, metavar="TIME",
              help="How often to look at the mappings again.")  # fmt: skip
@click.option("--min-regions", type=int, default=10, show_default=True, metavar="N", help="At least 3.")
@click.option("--max-regions", type=int, default=1000, show_default=True, metavar="N", help="Bounds the cost.")
@click.option("--format", "form", type=click.Choice(["auto", "toml", "masim", "lackey", "perf-script"]), default="auto",
              show_default=True, help="What the file is; auto tells by how it begins.")  # fmt: skip
@click.option("--maps", type=_PATH, metavar="FILE", help="Of a trace: a copy of /proc/PID/maps of the program.")
@click.option("--instruction", type=Duration(), default="1ns", show_default=True, metavar="TIME",
              help="Of a trace of lackey: how long an instruction takes.")  # fmt: skip
@click.argument("source", type=_PATH, metavar="(CONFIG|TRACE|-)")
def simulate(
    source: Path,
    output: Path,
    truth: Path | None,
    seed: int,
    sample: int,
    aggr: int,
    update: int,
    min_regions: int,
    max_regions: int,
    form: str,
    maps: Path | None,
    instruction: int,
) -> None:
    """Watch a simulated program in virtual time, and keep what is seen in a file.

    The program is a workload (TOML, or a configuration of masim, or the name of a workload that comes with vadamon), or
    a trace of the memory accesses of a real one (lackey, perf script), from a file or with - from standard input.
    """
    from vadamon.attrs import Attrs
    from vadamon.recording.writer import check_writable
    from vadamon.simulation.run import open_source, simulate
    from vadamon.simulation.traces import read_maps

    try:
        attrs = Attrs(sample // 1000, aggr // 1000, update // 1000, min_regions, max_regions)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if instruction < 1:
        raise click.UsageError("--instruction must be at least 1ns")
    check_writable(output)
    mappings = None if maps is None else read_maps(maps)
    line = ProgressLine()
    with contextlib.ExitStack() as stack, line:
        program = open_source(source, stack, form, mappings=mappings, instruction_ns=instruction)
        progress = simulate(program, output, attrs, truth=truth, seed=seed, report=line.show)
    click.echo(f"vadamon: {in_words(progress)}; see: vadamon report heatmap {shlex.quote(str(output))}", err=True)
