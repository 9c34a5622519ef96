"""The command line as a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VADAMON = [sys.executable, "-c", "from vadamon.cli import main; main()"]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VADAMON, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vadamon.cli import main\nsys.argv = ['vadamon', '--help']\n"
        "try: main()\nexcept SystemExit as e: assert not e.code\n"
        "print(sorted({'numpy', 'pyarrow', 'rich', 'vadamon.cli.report'} & set(sys.modules)))"
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


def test_diff_of_a_recording_with_itself(service: Path) -> None:
    done = run("report", "diff", service, service)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_report_that_is_none(service: Path) -> None:
    done = run("report", "frobnicate", service)
    assert done.returncode == 2
    assert "neither a file nor one of the reports" in done.stderr
