"""``vadamon import``: a recording of what another tool has recorded."""

from pathlib import Path

import click


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path), metavar="DAMO_FILE")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Write to this file."
)
def import_(source: Path, output: Path) -> None:
    """Make a recording of a record of damo (json_compressed), or of the text of perf script."""
    from vadamon.recording.formats import damo, perf_script

    with source.open("rb") as file:
        beginning = file.read(16)
    (damo if damo.is_damo(beginning) else perf_script).import_(source, output)
