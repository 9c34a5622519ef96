"""Text as it stands in a terminal: its width, its marks, its colours."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vadamon import Mapping, Recording
from vadamon.report.heatmap import heatmaps
from vadamon.report.mappings import mappings_tables
from vadamon.report.regions import regions_tables
from vadamon.report.text.console import make_console
from vadamon.report.text.heatmap import grid_width, print_heatmap
from vadamon.report.text.mappings import print_mappings
from vadamon.report.text.regions import print_regions

Record = Callable[..., Recording]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")


def drawn(recording: Recording, file: io.StringIO | None = None) -> str:
    file = file or io.StringIO()
    console = make_console(file)
    for heatmap in heatmaps(recording, nr_columns=grid_width(console.width)):
        print_heatmap(console, heatmap)
    for mappings in mappings_tables(recording):
        print_mappings(console, mappings)
    for regions in regions_tables(recording):
        print_regions(console, regions)
    return file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 132, 250])
def test_never_wider_than_the_terminal(service: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert max(map(len, drawn(Recording(service)).splitlines())) <= width


def test_names_that_are_too_long_are_cut(recorded: Record) -> None:
    long = [Mapping(0, 4096, name=f"/{'x' * 300}.so")]
    text = drawn(recorded([(0, 4096, 20)], mappings=long))
    assert max(map(len, text.splitlines())) <= 80
    assert "x…" in text


def test_heatmap_says_what_it_shows(service: Path) -> None:
    text = drawn(Recording(service))
    for word in ("[heap]", "[stack]", "libpython3.11.so.1.0", "anonymous 256 MiB", "41.2 TiB unmapped", "memfd:cache"):
        assert word in text
    assert "accessed in n of 20 samples:  · 0  : 1-2  - 3-5  = 6-7  + 8-10  * 11-12  % 13-15" in text
    assert "? unknown (no valid sample)" in text
    (first,) = re.findall(r"^7f1000000000 (\S+) anonymous", text, re.MULTILINE)
    assert set(first) == {"@"}


@pytest.mark.parametrize(
    ("accesses", "mark"), [(0, "·"), (1, ":"), (2, ":"), (3, "-"), (5, "-"), (10, "+"), (20, "@"), (-1, "?")]
)
def test_marks_are_those_of_the_legend(recorded: Record, accesses: int, mark: str) -> None:
    text = drawn(recorded([(0, 4096, accesses)]))
    assert re.search(rf"^ *0 {re.escape(mark)}+$", text, re.MULTILINE)


def test_unknown_regions_are_marked(recorded: Record) -> None:
    text = drawn(recorded([(0, 4096, -1), (4096, 8192, 7)], mappings=[Mapping(0, 8192)]))
    assert re.search(r"^ *0 +1000 +4 KiB +\? ", text, re.MULTILINE)
    assert re.search(r"^ *1000 +2000 +4 KiB +7 of 20 ", text, re.MULTILINE)


def test_colours_only_where_they_are_wanted(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*[34]8;")
    assert colour.search(drawn(Recording(service), Terminal()))
    assert "\x1b" not in drawn(Recording(service))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(drawn(Recording(service), Terminal()))


def test_width_of_a_pipe_is_80(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    assert make_console(io.StringIO()).width == 80
