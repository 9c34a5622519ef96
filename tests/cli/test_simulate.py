"""``vadamon simulate`` and ``vadamon accuracy``, as processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VADAMON = [sys.executable, "-c", "from vadamon.cli import main; main()"]
CONFIG = """
[[regions]]
name = "heap"
size = "8MiB"

[[phases]]
duration = "2s"
touches = [{ region = "heap", size = "4MiB", pattern = "zipf", shuffled = true, rate = "1e6 accesses/s" }]
"""


def run(*arguments: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*VADAMON, *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


@pytest.fixture
def simulated(tmp_path: Path) -> tuple[Path, Path]:
    """A recording and its truth."""
    (tmp_path / "c.toml").write_text(CONFIG)
    done = run("simulate", tmp_path / "c.toml", "-o", tmp_path / "r", "--truth", tmp_path / "t")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("vadamon: 2.0 s, 20 snapshots of 100 ms, ")
    return tmp_path / "r", tmp_path / "t"


def test_same_seed_makes_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    files = []
    for k in range(2):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / "c.toml").write_text(CONFIG)
        options = ("-o", folder / "r", "--truth", folder / "t", "--seed", "7")
        assert run("simulate", folder / "c.toml", *options, PYTHONHASHSEED=str(k)).returncode == 0
        files.append(((folder / "r").read_bytes(), (folder / "t").read_bytes()))
    assert files[0] == files[1]


@pytest.mark.parametrize("report", ["summary", "heatmap", "wss", "regions", "mappings"])
def test_reports_work_on_it(simulated: tuple[Path, Path], report: str) -> None:
    kind = [] if report == "summary" else [report]
    done = run("report", *kind, simulated[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert "heap" in done.stdout


@pytest.mark.parametrize("form", ["damo", "perf-script", "csv", "parquet"])
def test_it_can_be_exported(simulated: tuple[Path, Path], tmp_path: Path, form: str) -> None:
    done = run("export", simulated[0], "-o", tmp_path / "out", "--format", form)
    assert (done.returncode, (tmp_path / "out").stat().st_size > 100) == (0, True), done.stderr


def test_accuracy(simulated: tuple[Path, Path]) -> None:
    text = run("accuracy", *simulated)
    assert (text.returncode, text.stderr) == (0, "")
    assert text.stdout.startswith("20 intervals; hot: accessed in 10 of 20 samples or more\n")
    data = json.loads(run("accuracy", *simulated, "--format", "json").stdout)
    assert f"{100 * data['recall']:.1f} %" in text.stdout
    assert data["nr_intervals"] == 20
    fewer = json.loads(run("accuracy", *simulated, "--format", "json", "--threshold", "1", "--skip", "1s").stdout)
    assert (fewer["nr_intervals"], fewer["threshold"]) == (10, 1)
    assert fewer["hot_bytes"] > data["hot_bytes"]


def test_trace_from_a_pipe(tmp_path: Path) -> None:
    text = "".join(f"I  {0x400000 + k % 4096:08x},3\n" for k in range(50_000))
    done = run("simulate", "-", "--instruction", "10us", "-o", tmp_path / "r", stdin=text)
    assert done.returncode == 0
    assert done.stderr.startswith("vadamon: 0.5 s, 5 snapshots of ")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["simulate", "none"], 1, "vadamon: cannot read none: No such file or directory"),
        (["simulate", "stairs", "--sample", "1s"], 2, "aggregation interval"),
        (["simulate", "stairs", "--instruction", "0s"], 2, "--instruction must be at least 1ns"),
        (["simulate", "stairs", "--maps", "none"], 1, "vadamon: cannot read none: No such file or directory"),
        (["accuracy", "r", "t", "--threshold", "21"], 2, "the threshold must be 1 to 20 samples, not 21"),
        (["accuracy", "t", "r"], 1, "vadamon: t is not a vadamon recording"),
        (
            ["accuracy", "r", "r"],
            1,
            "vadamon: r does not tell of every page: give what --truth has written",
        ),
    ],
)
def test_errors_are_one_line(
    simulated: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(simulated[0].parent)
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
