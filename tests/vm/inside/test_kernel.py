"""The kernel's own DAMON: what it finds, whom it leaves alone, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vadamon
from tests.live.conftest import AREA, HOT, MIB, often, score
from vadamon import Attrs, VadamonError
from vadamon.monitors import damon_trace, kernel
from vadamon.monitors.damon_sysfs import ROOT
from vadamon.monitors.kernel import KernelMonitor
from vadamon.workload import Area, Workload

VADAMON = Path(sys.executable).with_name("vadamon")
INSTANCES = Path("/sys/kernel/tracing/instances")


def kdamonds():
    """Return what there is of the kernel's DAMON: the number configured, kernel threads, trace instances."""
    threads = [p for p in Path("/proc").iterdir() if p.name.isdigit() and name_of(p).startswith("kdamond")]
    return (ROOT / "nr_kdamonds").read_text().strip(), len(threads), [p.name for p in INSTANCES.iterdir()]


def name_of(process):
    try:
        return (process / "comm").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


NOTHING = ("0", 0, [])


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    assert kdamonds() == NOTHING
    yield
    assert kdamonds() == NOTHING


@pytest.fixture
def hot_workload():
    with Workload([Area("area", size=AREA, patterns=[often(offset=AREA // 4, length=HOT)])]) as workload:
        yield workload


@pytest.fixture
def workload():
    with Workload([Area("a", size=4 * MIB, patterns=[often(length=MIB)])]) as workload:
        yield workload


def take(monitor, seconds):
    snapshots = []
    for snapshot in monitor:
        snapshots.append(snapshot)
        if snapshot.end_ns - snapshots[0].start_ns >= seconds * 1e9:
            break
    return snapshots


@pytest.mark.parametrize("has_tracefs", [True, False])
def test_hot_and_cold_memory_are_told_apart(hot_workload, monkeypatch, has_tracefs):
    if not has_tracefs:
        monkeypatch.setattr(kernel, "tracefs", lambda: None)
    area = hot_workload.areas["area"]
    with KernelMonitor([hot_workload.pid], Attrs()) as monitor:
        assert monitor.thread_id > 0
        begun_ns = time.monotonic_ns()
        snapshots = take(monitor, 8)
        assert monitor.targets[0].mappings.start.tolist().count(area.start) == 1
    assert snapshots[0].start_ns - begun_ns < 1e9
    settled = [s for s in snapshots if s.start_ns >= snapshots[0].start_ns + 5e9]
    assert len(settled) >= (20 if has_tracefs else 3)
    hot = (area.start + AREA // 4, area.start + AREA // 4 + HOT)
    result = score(settled, (area.start, area.end), lambda _: hot)
    assert result.recall >= 0.95
    assert result.precision >= 0.95
    assert result.hot_mean >= 17
    assert result.cold_mean <= 0.5
    for snapshot in snapshots:
        assert (snapshot.start[1:] >= snapshot.end[:-1]).all()
        assert snapshot.nr_samples == 20
        assert snapshot.nr_accesses.max() <= 20
    assert settled[-1].age.max() > 20
    assert snapshots[1].start_ns == snapshots[0].end_ns


def test_the_attributes_are_the_kernels(hot_workload):
    attrs = Attrs(sample_us=10_000, aggr_us=200_000, update_us=2_000_000, min_nr_regions=50, max_nr_regions=300)
    with KernelMonitor([hot_workload.pid], attrs) as monitor:
        given = ROOT / "0/contexts/0/monitoring_attrs"
        read = [int((given / name).read_text()) for name in ("intervals/sample_us", "intervals/aggr_us")]
        read += [
            int((given / name).read_text()) for name in ("intervals/update_us", "nr_regions/min", "nr_regions/max")
        ]
        assert read == [10_000, 200_000, 2_000_000, 50, 300]
        snapshots = take(monitor, 3)
    assert all(40 <= len(s) <= 300 for s in snapshots[2:])
    assert snapshots[-1].nr_samples == 20


def test_several_processes_and_one_that_ends(workload):
    with Workload([Area("b", size=16 * MIB)]) as other:
        with KernelMonitor([workload.pid, other.pid], Attrs()) as monitor:
            before = take(monitor, 1)
            other.close()
            after = take(monitor, 3)
        assert {s.target_id for s in before} == {workload.pid, other.pid}
        assert {s.target_id for s in after[len(after) // 2 :]} == {workload.pid}


def test_it_ends_with_its_target(workload):
    with KernelMonitor([workload.pid], Attrs()) as monitor:
        next(monitor)
        workload.close()
        assert len(list(monitor)) < 50
        assert not monitor.targets


def test_a_recording_is_made(tmp_path):
    path = tmp_path / "x.vadamon"
    with Workload([Area("a", size=64 * MIB, patterns=[often(length=16 * MIB)])]) as workload:
        options = ["-o", path, "--backend", "kernel", "--duration", "4s", "--aggr", "200ms"]
        subprocess.run([VADAMON, "record", *options, str(workload.pid)], check=True)
        area = workload.areas["a"]
    recording = vadamon.open(path)
    assert recording.header.backend == "kernel"
    snapshots = list(recording)
    assert len(snapshots) >= 10
    last = snapshots[-1]
    hot = last.nr_accesses >= 20
    found = np.clip(last.end[hot], area.start, area.end) - np.clip(last.start[hot], area.start, area.end)
    assert 0.8 * 16 * MIB <= int(found.sum()) <= 1.2 * 16 * MIB


def test_the_doctor_lists_it():
    said = subprocess.run([VADAMON, "doctor"], stdout=subprocess.PIPE, text=True, check=False).stdout
    assert "kernel: works: " in said


class TestSomebodyElses:
    """What is there and not ours stays as it is, and one line says who is in the way."""

    @pytest.fixture
    def configured(self):
        (ROOT / "nr_kdamonds").write_text("1")
        (ROOT / "0/contexts/nr_contexts").write_text("1")
        context = ROOT / "0/contexts/0"
        (context / "operations").write_text("paddr")
        (context / "targets/nr_targets").write_text("1")
        (context / "targets/0/regions/nr_regions").write_text("1")
        (context / "targets/0/regions/0/start").write_text("0")
        (context / "targets/0/regions/0/end").write_text(str(64 * MIB))
        yield
        if (ROOT / "0/state").read_text().strip() == "on":
            (ROOT / "0/state").write_text("off")
        (ROOT / "nr_kdamonds").write_text("0")

    @pytest.mark.parametrize("runs", [False, True])
    def test_is_left_alone(self, configured, runs):
        if runs:
            (ROOT / "0/state").write_text("on")
        before = [(p, p.read_text()) for p in sorted(ROOT.rglob("*")) if p.is_file() and p.stat().st_mode & 0o400]
        state = r"runs \(thread \d+\)" if runs else "is configured but off"
        with pytest.raises(VadamonError, match=f"somebody else's: kdamond 0 {state} and watches paddr; take another"):
            KernelMonitor([os.getpid()], Attrs())
        assert [
            (p, p.read_text()) for p in sorted(ROOT.rglob("*")) if p.is_file() and p.stat().st_mode & 0o400
        ] == before

    def test_that_took_the_place_of_ours_is_left_alone(self, workload, request):
        with KernelMonitor([workload.pid], Attrs()) as monitor:
            workload.close()
            list(monitor)  # ours ends by itself
            request.getfixturevalue("configured")
        assert (ROOT / "nr_kdamonds").read_text().strip() == "1"

    def test_another_vadamon_is_named(self, workload):
        with KernelMonitor([workload.pid], Attrs()):
            with pytest.raises(VadamonError, match="another vadamon uses the kernel's DAMON"):
                KernelMonitor([os.getpid()], Attrs())
            assert kdamonds() == ("1", 1, ["vadamon"])


RUN = "import vadamon, sys\nfor _ in vadamon.monitor(int(sys.argv[1]), backend='kernel'): print('seen', flush=True)"


class TestHoweverItEnds:
    """Whatever ends a vadamon, nothing stays; after kill -9, the next one clears up."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_by_a_signal(self, workload, tmp_path, number):
        command = [VADAMON, "record", "--backend", "kernel", "-o", tmp_path / "x", str(workload.pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
            wait_for(lambda: kdamonds() == ("1", 1, ["vadamon"]))
            time.sleep(1)
            process.send_signal(number)
            assert process.wait() == 0
        assert list(vadamon.open(tmp_path / "x"))

    def test_by_kill_9(self, workload):
        command = [sys.executable, "-c", RUN, str(workload.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"seen\n"
            process.kill()
        assert kdamonds() == ("1", 1, ["vadamon"])
        with KernelMonitor([workload.pid], Attrs()) as monitor:
            assert len(next(monitor)) >= 3
            assert kdamonds() == ("1", 1, ["vadamon"])

    def test_by_an_error_on_the_way(self, workload, monkeypatch):
        def fail(folder):
            raise RuntimeError

        monkeypatch.setattr(kernel, "Trace", fail)
        with pytest.raises(RuntimeError):
            KernelMonitor([workload.pid], Attrs())
        assert damon_trace.tracefs() is not None


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)
