"""``vadamon export``: a recording in the formats of other tools."""

from pathlib import Path

import click


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="Write to this file."
)
@click.option(
    "--format", "form", type=click.Choice(["damo", "perf-script", "parquet", "csv"]), required=True, help="How."
)
def export(file: Path, output: Path, form: str) -> None:
    """Write a recording for damo, as perf script, or as a table with one row a region."""
    from vadamon.errors import VadamonError
    from vadamon.recording.formats import damo, perf_script, tables
    from vadamon.recording.reader import Recording

    if output.exists() and file.exists() and output.samefile(file):
        raise VadamonError(f"{output} is the recording itself: give -o another name")
    write = {
        "damo": damo.export,
        "perf-script": perf_script.export,
        "parquet": tables.export_parquet,
        "csv": tables.export_csv,
    }[form]
    write(Recording(file), output)
