"""Where a report goes, and in which format."""

import importlib
import io
import json
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

import click

from vadamon.errors import VadamonError

FORMATS = ["text", "json"]
_SUFFIXES = {"": "text", ".txt": "text", ".json": "json"}


class Output:
    """Where one report goes: a terminal, a pipe, or a file that is none of the recordings.

    Raises click.UsageError where the format cannot be told.
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
        self.form = form

    @cached_property
    def width(self) -> int:
        """How many columns text has."""
        from vadamon.report.text.console import make_console

        return make_console(io.StringIO() if self._path else sys.stdout).width

    def write(self, models: Sequence[Any]) -> None:
        """Draw the report of each target."""
        try:
            if self._path is None:
                self._write_text(models, sys.stdout)
            else:
                with self._path.open("w", encoding="utf-8") as out:
                    self._write_text(models, out)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise VadamonError(f"cannot write {self._path or 'to standard output'}: {error.strerror}") from error

    def _write_text(self, models: Sequence[Any], out: TextIO) -> None:
        from vadamon.recording.reader import Recording
        from vadamon.report.coarse import coarse_note

        note = next(filter(None, (coarse_note(Recording(path)) for path in self._recordings)), "")
        if self.form == "json":
            json.dump([model.to_dict() | ({"note": note} if note else {}) for model in models], out)
            out.write("\n")
        else:
            from vadamon.report.text.console import make_console

            console = make_console(out)
            for model in models:
                if note:
                    console.print(note, style="bold", highlight=False)
                self._drawer()(console, model)
        out.flush()

    def _drawer(self) -> Any:
        module = importlib.import_module(f"vadamon.report.text.{self._name}")
        return getattr(module, f"print_{self._name}")
