"""``vadamon accuracy``: compare a recording with the truth."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vadamon.cli.options import Duration

if TYPE_CHECKING:
    from vadamon.accuracy.measure import Accuracy

_PATH = click.Path(path_type=Path)


@click.command(options_metavar="[OPTIONS]")
@click.option("--threshold", type=click.IntRange(min=1), metavar="N",
              help="Hot is what is accessed in so many samples of an interval.  [default: half]")  # fmt: skip
@click.option("--skip", type=Duration(), default="0s", metavar="TIME", help="Leave out the beginning.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How.")
@click.argument("recording", type=_PATH)
@click.argument("truth", type=_PATH)
def accuracy(recording: Path, truth: Path, threshold: int | None, skip: int, form: str) -> None:
    """Tell how accurate a recording is, by bytes, where the truth is known.

    TRUTH is what `vadamon simulate --truth` has written or, of a live process, `vadamon record --truth`.
    """
    from vadamon.accuracy.measure import accuracy
    from vadamon.accuracy.scanned import open_truth
    from vadamon.recording.reader import Recording

    opened = Recording(recording)
    from_ns = opened.header.start_ns + skip if skip else None
    try:
        result = accuracy(opened, open_truth(truth, opened.attrs), opened.attrs, threshold=threshold, from_ns=from_ns)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(json.dumps(_plain(result)) if form == "json" else _in_words(result))


def _plain(result: "Accuracy") -> dict[str, object]:
    # NaN is no JSON.
    return {name: None if value != value else value for name, value in asdict(result).items()}


def _in_words(result: "Accuracy") -> str:
    from vadamon.units import format_duration, format_size

    rows = [
        ("hot memory", f"{format_size(round(result.hot_bytes))}, found {format_size(round(result.found_hot_bytes))}"),
        ("precision", _percent(result.precision)),
        ("recall", _percent(result.recall)),
        ("F1", _percent(result.f1)),
        ("working set", f"{format_size(round(result.wss_bytes))}, found {format_size(round(result.found_wss_bytes))}"),
        ("error of it", _percent(result.wss_error)),
        ("error of the access frequency", f"{_percent(result.frequency_error)} of the samples"),
    ]
    if result.unknown_bytes:
        rows.append(("unknown", format_size(round(result.unknown_bytes))))
    if result.untold_bytes:
        rows.append(("left out: truth unknown", format_size(round(result.untold_bytes))))
    if seen := [delay for delay in result.delays_ns if delay is not None]:
        longest, mean = format_duration(max(seen)), format_duration(sum(seen) // len(seen))
        rows.append(("changes are seen after", f"{mean} on average, {longest} at most"))
    if result.delays_ns:
        rows.append(("changes seen", f"{len(seen)} of {len(result.delays_ns)}"))
    width = max(len(name) for name, _ in rows)
    lines = [
        f"{result.nr_intervals} intervals; hot: accessed in {result.threshold} of {result.nr_samples} samples or more",
        "",
        *(f"{name:<{width}}  {value}" for name, value in rows),
    ]
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f} %"
