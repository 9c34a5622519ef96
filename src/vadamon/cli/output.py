"""Where a report goes, and in which format."""

import importlib
import io
import json
import logging
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import click

from vadamon.errors import VadamonError

FORMATS = ["text", "json", "png", "svg", "html"]
_SUFFIXES = {"": "text", ".txt": "text", ".json": "json", ".png": "png", ".svg": "svg", ".html": "html", ".htm": "html"}
_PICTURES = ("png", "svg")


class Output:
    """Where one report goes: a terminal, a pipe, or a file that is none of the recordings.

    Raises click.UsageError where the format cannot be told or needs a file.
    """

    def __init__(self, name: str, form: str | None, path: Path | None, *recordings: Path) -> None:
        self._name, self._path, self._recordings = name, path, recordings
        if path is not None and path.exists() and any(r.exists() and path.samefile(r) for r in recordings):
            raise VadamonError(f"{path} is the recording itself: give -o another name")
        if form is None:
            suffix = path.suffix.lower() if path else ""
            if suffix not in _SUFFIXES:
                raise click.UsageError(f"no format is known by {suffix!r}: give --format, one of {', '.join(FORMATS)}")
            form = _SUFFIXES[suffix]
        if path is None and form in (*_PICTURES, "html"):
            raise click.UsageError(f"{form} needs a file: give -o {name}.{form}")
        self.form = form

    @cached_property
    def width(self) -> int:
        """How many columns text has."""
        from vadamon.report.text.console import make_console

        return make_console(io.StringIO() if self._path else sys.stdout).width

    def write(self, models: Sequence[Any]) -> None:
        """Draw the report of each target."""
        from vadamon.recording.reader import Recording
        from vadamon.report.coarse import coarse_note

        note = next(filter(None, (coarse_note(Recording(path)) for path in self._recordings)), "")
        try:
            if self._path is None:
                self._write_text(models, note, sys.stdout)
            elif self.form in _PICTURES:
                self._write_pictures(models, note, self._path)
            else:
                with self._path.open("w", encoding="utf-8") as out:
                    self._write_text(models, note, out)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise VadamonError(f"cannot write {self._path or 'to standard output'}: {error.strerror}") from error

    def _write_text(self, models: Sequence[Any], note: str, out: TextIO) -> None:
        if self.form == "json":
            json.dump([model.to_dict() | ({"note": note} if note else {}) for model in models], out)
            out.write("\n")
        elif self.form == "html":
            from vadamon.report.html.page import make_page

            draw = self._drawing("html", "draw")
            out.write(make_page(self._name, [draw(model) for model in models], note))
        else:
            from vadamon.report.text.console import make_console

            console, draw = make_console(out), self._drawing("text", f"print_{self._name}")
            for model in models:
                if note:
                    console.print(note, style="bold", highlight=False)
                draw(console, model)
        out.flush()

    def _write_pictures(self, models: Sequence[Any], note: str, path: Path) -> None:
        """Write a picture of each target; of several, each has its number in its name."""
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it would tell where it keeps its caches
        from vadamon.report.image.figure import save

        draw = self._drawing("image", "draw")
        paths = [path]
        if len(models) > 1:
            paths = [path.with_stem(f"{path.stem}-{number}") for number in range(1, len(models) + 1)]
            click.echo(f"vadamon: a picture of each process: {paths[0]} to {paths[-1]}", err=True)
        for model, numbered in zip(models, paths, strict=True):
            save(draw, model, numbered, self.form, note)

    def _drawing(self, medium: str, name: str) -> Any:
        return getattr(importlib.import_module(f"vadamon.report.{medium}.{self._name}"), name)
