"""The command line as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vadamon import Attrs, Header, RecordingWriter, SampleHealth, Snapshot, Target

VADAMON = [sys.executable, "-c", "from vadamon.cli import main; main()"]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VADAMON, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vadamon.cli import main\nsys.argv = ['vadamon', '--help']\n"
        "try: main()\nexcept SystemExit as e: assert not e.code\n"
        "print(sorted({'numpy', 'pyarrow', 'rich', 'matplotlib', 'plotly', 'vadamon.cli.report'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "report" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("report", ["heatmap", "regions", "mappings"])
def test_reports(service: Path, tmp_path: Path, report: str) -> None:
    text = run("report", report, service)
    assert (text.returncode, text.stderr) == (0, "")
    assert text.stdout.startswith("process 4242  python3 -m service --port 8080\n")
    done = run("report", report, service, "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "out").read_text() == text.stdout
    data = json.loads(run("report", report, service, "--format", "json").stdout)
    assert [target["target"]["pid"] for target in data] == [4242]


def test_failure_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    done = run("report", "heatmap", tmp_path / "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"vadamon: {tmp_path / 'x'} is not a vadamon recording\n"


def test_damage_is_one_line(service: Path, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(service.read_bytes()[:-1])
    done = run("report", "mappings", tmp_path / "cut")
    assert done.returncode == 0
    assert done.stderr.startswith(f"vadamon: {tmp_path / 'cut'} is cut off or damaged at byte ")
    assert done.stderr.count("\n") == 1
    assert "total" in done.stdout


def test_report_that_cannot_be_written(service: Path, tmp_path: Path) -> None:
    done = run("report", "regions", service, "-o", tmp_path / "no" / "out")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No such file" in done.stderr
    before = service.read_bytes()
    done = run("report", "regions", service, "-o", service)
    assert done.stderr == f"vadamon: {service} is the recording itself: give -o another name\n"
    assert service.read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["report", "heatmap"], ["report", "heatmap", "x", "--format", "y"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("vadamon: ")
    assert done.stderr.count("\n") == 1
    assert "--help" in done.stderr


def test_reader_that_goes_away(service: Path) -> None:
    with subprocess.Popen(
        [*VADAMON, "report", "regions", str(service)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_full_output(service: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*VADAMON, "report", "regions", str(service)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "vadamon: cannot write to standard output: No space left on device\n"


def test_ctrl_c() -> None:
    code = (
        "import click, vadamon.cli as c, types, sys\n"
        "@click.command()\ndef stop(): raise KeyboardInterrupt\n"
        "sys.modules['stop'] = types.SimpleNamespace(stop=stop); c.COMMANDS['stop'] = ('stop', '')\n"
        "sys.argv = ['vadamon', 'stop']; c.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "")


def test_version() -> None:
    assert run("--version").stdout.startswith("vadamon 0.")


@pytest.mark.parametrize("report", [[], ["summary"], ["wss"], ["heatmap"], ["regions"], ["mappings"]])
def test_every_report_fits_80_columns_and_has_json(service: Path, report: list[str]) -> None:
    done = run("report", *report, service)
    assert (done.returncode, done.stderr) == (0, "")
    assert max(map(len, done.stdout.splitlines())) <= 80
    done = run("report", *(report or ["summary"]), service, "--format", "json")
    assert isinstance(json.loads(done.stdout), list)


REPORTS = ["summary", "heatmap", "wss", "regions", "mappings", "diff"]


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("html", b"<!doctype html>")])
def test_every_report_as_picture_and_page(
    service: Path, tmp_path: Path, report: str, suffix: str, begin: bytes
) -> None:
    out = tmp_path / f"x.{suffix}"
    done = run("report", report, service, *([service] if report == "diff" else []), "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert out.read_bytes().startswith(begin)


def test_format_is_told_by_the_suffix_or_by_name(service: Path, tmp_path: Path) -> None:
    assert run("report", service, "-o", tmp_path / "x", "--format", "png").returncode == 0
    assert (tmp_path / "x").read_bytes().startswith(b"\x89PNG")
    done = run("report", "wss", service, "--format", "html")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vadamon: html needs a file: give -o wss.html; see vadamon report wss --help\n"
    done = run("report", "wss", service, "-o", tmp_path / "x.gif")
    assert done.returncode == 2
    assert done.stderr.startswith("vadamon: no format is known by '.gif': give --format, one of text, json, png")


def test_a_picture_of_each_process_and_a_page_of_all(tmp_path: Path) -> None:
    targets = (Target(1, 4242, "first"), Target(2, 4243, "second"))
    with RecordingWriter(tmp_path / "two", Header(Attrs(), targets)) as writer:
        for target in targets:
            start, end, zero = np.array([0], np.uint64), np.array([4096], np.uint64), np.zeros(1, np.uint32)
            unknown = np.zeros(1, np.bool_)
            writer.write_snapshot(
                Snapshot(target.target_id, 0, 10**8, start, end, zero, zero, 20, unknown, SampleHealth())
            )
    done = run("report", "heatmap", tmp_path / "two", "-o", tmp_path / "x.svg")
    assert done.stderr == f"vadamon: a picture of each process: {tmp_path / 'x-1.svg'} to {tmp_path / 'x-2.svg'}\n"
    assert "process 4243  second" in (tmp_path / "x-2.svg").read_text()
    run("report", "heatmap", tmp_path / "two", "-o", tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert "<h1>process 4242  first</h1>" in page
    assert "<h1>process 4243  second</h1>" in page


def test_options_hold_in_every_format(service: Path, tmp_path: Path) -> None:
    heap = ("report", "heatmap", service, "--mapping", "[heap]", "--time-range", "5s..10s", "-o")
    run(*heap, tmp_path / "x.svg")
    picture = (tmp_path / "x.svg").read_text()
    assert "[heap]" in picture
    assert "[stack]" not in picture
    assert ", 5 s: 50 snapshots" in picture
    run(*heap, tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert ", 5 s: 50 snapshots" in page
    assert "[stack]" not in page
    run("report", "regions", service, "--access", "90%..", "--sort", "size", "-o", tmp_path / "x.html")
    assert "4 of 48 regions by size" in (tmp_path / "x.html").read_text()
    run("report", "wss", service, "--threshold", "95%", "-o", tmp_path / "x.svg")
    assert "19+ of 20" in (tmp_path / "x.svg").read_text()


def test_text_loads_nothing_of_pictures_and_pages(service: Path) -> None:
    code = (
        "import sys\nfrom vadamon.cli import main\nsys.argv = ['vadamon', 'report', 'heatmap', sys.argv[1]]\n"
        "try: main()\nexcept SystemExit as e: assert not e.code\n"
        "print({'matplotlib', 'plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, service], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_diff_of_a_recording_with_itself(service: Path) -> None:
    done = run("report", "diff", service, service)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_report_that_is_none(service: Path) -> None:
    done = run("report", "frobnicate", service)
    assert done.returncode == 2
    assert "neither a file nor one of the reports" in done.stderr
