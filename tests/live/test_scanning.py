"""Every page, against what the workload has logged."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vadamon
from tests.live.conftest import MIB, between_scans, often, overlap
from vadamon import Attrs
from vadamon.workload import Area, Workload

VADAMON = Path(sys.executable).with_name("vadamon")
EVERY_100_MS = Attrs(sample_us=100_000, aggr_us=1_000_000, max_nr_regions=100_000)


def scan(pid, nr_snapshots):
    with vadamon.scan(pid, EVERY_100_MS, budget=None) as snapshots:
        return [snapshot for _, snapshot in zip(range(nr_snapshots), snapshots, strict=False)]


@pytest.mark.parametrize("kind", ["private", "huge", "shared", "file"])
def test_pages_are_told_apart_exactly(kind):
    sweeps = [between_scans(offset=16 * MIB, length=8 * MIB), between_scans(offset=32 * MIB, length=2 * MIB)]
    with Workload([Area("a", kind=kind, size=64 * MIB, patterns=sweeps)]) as workload:
        start = workload.areas["a"].start
        snapshots = scan(workload.pid, 3)[1:]
    for snapshot in snapshots:
        area = overlap(snapshot, start, start + 64 * MIB)
        hot = overlap(snapshot, start + 16 * MIB, start + 24 * MIB) + overlap(
            snapshot, start + 32 * MIB, start + 34 * MIB
        )
        found = snapshot.nr_accesses >= snapshot.nr_samples // 2
        known = ~snapshot.unknown
        assert area[known].sum() >= 0.95 * 64 * MIB
        true_positives = hot[found & known].sum()
        assert true_positives == hot[known].sum()
        assert true_positives == area[found & known].sum()


def test_huge_pages_are_not_split_and_the_target_goes_on():
    with Workload([Area("a", kind="huge", size=64 * MIB, patterns=[between_scans(length=16 * MIB)])]) as workload:
        rollup = Path(f"/proc/{workload.pid}/smaps_rollup")

        def huge_kib():
            return int(rollup.read_text().split("AnonHugePages:")[1].split()[0])

        before = huge_kib()
        scan(workload.pid, 3)
        assert huge_kib() == before


def test_record_scan(tmp_path):
    path = tmp_path / "x.vadamon"
    with Workload([Area("a", size=64 * MIB, patterns=[between_scans(offset=4 * MIB, length=4096)])]) as workload:
        address = workload.areas["a"].start + 4 * MIB
        done = subprocess.run(
            [VADAMON, "record", "--scan", "--sample", "50ms", "--duration", "2s", "-o", path, str(workload.pid)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "every page is looked at each 50 ms, a snapshot each 500 ms" in done.stderr
    last = list(vadamon.open(path))[-1]
    # One page of 16,384, which sampling would hardly ever meet.
    at = int(np.searchsorted(last.start, address, side="right")) - 1
    assert (int(last.start[at]), int(last.end[at])) == (address, address + 4096)
    assert last.nr_accesses[at] >= 9


def test_record_with_the_truth(tmp_path):
    sampled_path, truth_path = tmp_path / "sampled", tmp_path / "truth"
    options = ("--sample", "50ms", "--aggr", "500ms", "--duration", "5s", "--truth", truth_path, "-o", sampled_path)
    with Workload([Area("a", size=64 * MIB, patterns=[between_scans(offset=16 * MIB, length=16 * MIB)])]) as workload:
        start = workload.areas["a"].start
        done = subprocess.run(
            [VADAMON, "record", *options, str(workload.pid)], capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    sampled, truth = vadamon.open(sampled_path), vadamon.open(truth_path)
    assert (sampled.header.backend, truth.header.backend) == ("page-table", "scan")
    assert sampled.mappings == truth.mappings
    pairs = list(zip(sampled, truth, strict=True))
    assert len(pairs) == 10
    shares = []
    for sample, every in pairs:
        assert (sample.start_ns, sample.end_ns, sample.nr_samples) == (every.start_ns, every.end_ns, every.nr_samples)
        assert every.nr_samples >= 5
        hot = 2 * every.nr_accesses >= every.nr_samples
        in_hot, in_area = (overlap(every, start + low * MIB, start + high * MIB) for low, high in ((16, 32), (0, 64)))
        assert in_hot[hot].sum() == 16 * MIB
        assert in_area[hot].sum() == 16 * MIB
        found = 2 * sample.nr_accesses >= sample.nr_samples
        shares.append(overlap(sample, start + 16 * MIB, start + 32 * MIB)[found].sum() / (16 * MIB))
    assert np.mean(shares[5:]) >= 0.6
    command = [VADAMON, "accuracy", "--format", "json", "--skip", "2500ms", sampled_path, truth_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["nr_intervals"] == 5
    assert found["hot_bytes"] == pytest.approx(16 * MIB, rel=0.01)
    assert found["recall"] >= 0.6
    assert found["precision"] >= 0.6


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--truth", "x", "--scan"), "does not go with"),
        (("--truth", "x", "--auto"), "does not go with"),
        (("--truth", "x", "-o", "x"), "another name"),
        (("--truth", "x", "--sample", "1ms", "--aggr", "1s"), "at most 255 scans"),
        (("--scan", "-o", "x", "--sample", "1ms", "--aggr", "1s"), "at most 255 scans"),
    ],
)
def test_scans_that_cannot_be(tmp_path, options, why):
    with Workload([Area("a", size=MIB)]) as workload:
        done = subprocess.run(
            [VADAMON, "record", *options, "--duration", "1s", str(workload.pid)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
        )
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.fixture
def refusing(tmp_path):
    """Give the environment of a kernel that refuses the eBPF programs that scan."""
    if not shutil.which("clang"):
        pytest.skip("there is no clang in a guest")
    library = tmp_path / "refuse_scans.so"
    source = Path(__file__).with_name("refuse_scans.c")
    subprocess.run(["clang", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


def test_a_kernel_that_refuses_to_scan_still_samples(refusing, tmp_path):
    with Workload([Area("a", size=64 * MIB, patterns=[often(offset=16 * MIB, length=16 * MIB)])]) as workload:
        path = tmp_path / "x.vadamon"

        def record(*options):
            command = [VADAMON, "record", *options, "--duration", "2s", "-o", path, str(workload.pid)]
            return subprocess.run(command, env=refusing, capture_output=True, text=True, check=False)

        refused = record("--scan")
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert "every page cannot be scanned on this kernel: it refuses the eBPF program for that" in refused.stderr
        assert not path.exists()
        asked = subprocess.run([VADAMON, "wss", str(workload.pid)], env=refusing, capture_output=True, text=True)
        assert (asked.returncode, asked.stderr.count("\n")) == (1, 1)

        done = record("--backend", "page-table")
        assert done.returncode == 0, done.stderr
        start = workload.areas["a"].start
        snapshot = list(vadamon.open(path))[-1]
        hot = snapshot.nr_accesses >= 15
        found = overlap(snapshot, start + 16 * MIB, start + 32 * MIB)[hot].sum()
        assert found > 8 * MIB
