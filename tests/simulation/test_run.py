"""Simulated programs from file to recording."""

from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from vadamon import Attrs, Recording, VadamonError
from vadamon.accuracy.measure import Accuracy, accuracy
from vadamon.accuracy.truth import read_truth
from vadamon.simulation.run import open_source, shipped_workloads, simulate

MIB = 1 << 20
HALF_HOT = """
[[regions]]
name = "heap"
size = "8MiB"

[[phases]]
duration = "{duration}"
touches = [{{ region = "heap", offset = "4MiB", size = "4MiB", pattern = "{pattern}", rate = "{rate}" }}]
"""


def run(
    source: Path | str, folder: Path, seed: int = 0, attrs: Attrs | None = None, form: str = "auto"
) -> tuple[Path, Path]:
    recording, truth = folder / "recording", folder / "truth"
    with ExitStack() as stack:
        simulate(open_source(Path(source), stack, form), recording, attrs, truth=truth, seed=seed)
    return recording, truth


def half_hot(folder: Path, duration: str = "3s", pattern: str = "random", rate: str = "8MiB/s") -> Path:
    path = folder / "half.toml"
    path.write_text(HALF_HOT.format(duration=duration, pattern=pattern, rate=rate))
    return path


def measured(recording: Path, truth: Path) -> Accuracy:
    opened = Recording(recording)
    return accuracy(opened, read_truth(truth), opened.attrs)


def test_recording_and_truth_tell_of_the_same_times(tmp_path: Path) -> None:
    recording, truth = run(half_hot(tmp_path), tmp_path)
    snapshots, intervals = list(Recording(recording)), list(read_truth(truth))
    assert len(snapshots) == 30
    assert [(s.start_ns, s.end_ns, s.nr_samples) for s in snapshots] == [
        (t.start_ns, t.end_ns, t.nr_samples) for t in intervals
    ]
    # A page gets 0.64 accesses in a sample interval, and so is accessed in 20 (1 - exp(-0.64)) of 20 samples.
    for interval in intervals:
        sizes = interval.end - interval.start
        assert int(sizes.sum()) == pytest.approx(4 * MIB, rel=0.01)
        assert np.average(interval.nr_accesses, weights=sizes) == pytest.approx(20 * -np.expm1(-0.64), rel=0.03)


def test_sampling_finds_what_is_hot(tmp_path: Path) -> None:
    result = measured(*run(half_hot(tmp_path, pattern="sequential", rate="1GiB/s"), tmp_path))
    assert result.f1 > 0.9
    assert result.hot_bytes == 4 * MIB


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    config = half_hot(tmp_path, "1s")
    files = []
    for k, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(k)
        folder.mkdir()
        files.append([path.read_bytes() for path in run(config, folder, seed)])
    assert files[0] == files[1]
    assert files[0][0] != files[2][0]
    assert files[0][1] != files[2][1]


def test_program_that_ends_within_an_interval(tmp_path: Path) -> None:
    recording, truth = run(half_hot(tmp_path, "250ms"), tmp_path)
    times = [(0, 100), (100, 200), (200, 250)]
    assert [(s.start_ns // 10**6, s.end_ns // 10**6) for s in Recording(recording)] == times
    assert [(t.start_ns // 10**6, t.end_ns // 10**6) for t in read_truth(truth)] == times
    with pytest.raises(VadamonError, match="half ends before the first sample of 5000 us"):
        run(half_hot(tmp_path, "4ms"), tmp_path)


def test_mappings_are_those_of_the_program(tmp_path: Path) -> None:
    recording = Recording(run(half_hot(tmp_path), tmp_path)[0])
    assert [(m.end - m.start, m.name) for m in recording.mappings[1]] == [(8 * MIB, "heap")]


def test_trace_is_a_program_too(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    lines = (f"I  {0x400000 + 64 * (k % 64):08x},3\n L {0x10000000 + 4096 * (k % 512):08x},8\n" for k in range(100_000))
    path.write_text("".join(lines))
    recording, truth = run(path, tmp_path, attrs=Attrs(1, 20, 100))
    intervals = list(read_truth(truth))
    assert intervals[-1].end_ns == 99_000
    assert {int((t.end - t.start).sum()) for t in intervals[:-1]} == {513 * 4096}
    assert measured(recording, truth).nr_intervals == 5


@pytest.mark.parametrize("name", shipped_workloads())
def test_shipped_workloads_can_be_read(name: str) -> None:
    with ExitStack() as stack:
        assert open_source(Path(name), stack).name == name


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x", b"hello\n", "x is neither a workload nor a memory trace"),
        ("x", b"", "x is neither a workload nor a memory trace"),
        ("x.toml", b"\xff\xfe", "x.toml is no text: expected is UTF-8"),
        ("x", b"[[regions]]\nname = 5", "x:2: name is 5: expected is a text"),
        ("x", b"a, 4096\n\nphase\nlong\n", "x:4: expected is the milliseconds"),
    ],
)
def test_what_is_no_program_is_one_line(tmp_path: Path, name: str, text: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(VadamonError) as caught, ExitStack() as stack:
        open_source(tmp_path / name, stack)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(VadamonError, match=r"cannot read .*none: No such file"), ExitStack() as stack:
        open_source(tmp_path / "none", stack)
