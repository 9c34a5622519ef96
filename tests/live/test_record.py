"""`vadamon record` and its neighbours, as a person runs them."""

import os
import pwd
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import vadamon
from tests.live.conftest import often
from vadamon.attrs import IntervalsGoal
from vadamon.workload import Area, Sweep, Workload

MIB = 1 << 20
VADAMON = Path(sys.executable).with_name("vadamon")
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def call(*arguments, env=None, prefix=()):
    return subprocess.run(
        [*prefix, VADAMON, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, env=env
    )


def start(*arguments, **kwargs):
    return subprocess.Popen([VADAMON, *map(str, arguments)], stderr=subprocess.PIPE, text=True, **kwargs)


def read(path):
    return list(vadamon.open(path))


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.vadamon"


@pytest.fixture
def workload():
    with Workload([Area("a", size=16 * MIB, patterns=[often(length=4 * MIB)])]) as workload:
        yield workload


def test_a_process_is_recorded_and_reported(path, workload):
    done = call("record", "-o", path, "--duration", "2", workload.pid)
    assert done.returncode == 0
    assert "vadamon report heatmap" in done.stderr
    recording = vadamon.open(path)
    assert 10 <= len(list(recording)) <= 20
    assert recording.attrs == vadamon.Attrs()
    assert all(16 * MIB < snapshot.resident < 1024 * MIB for snapshot in recording)
    assert path.stat().st_mode & 0o777 == 0o600
    for report in ("heatmap", "regions", "mappings"):
        shown = call("report", report, path)
        assert shown.returncode == 0
        assert shown.stderr == ""
        assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "accessed in n of 20 samples" in call("report", "heatmap", path).stdout


def test_intervals_and_bounds_are_as_asked(path, workload):
    options = ("--sample", "10ms", "--aggr", "50ms", "--update", "2s", "--min-regions", "5", "--max-regions", "50")
    assert call("record", "-o", path, "--duration", "500ms", *options, workload.pid).returncode == 0
    assert vadamon.open(path).attrs == vadamon.Attrs(10_000, 50_000, 2_000_000, 5, 50)
    assert all(s.nr_samples <= 5 for s in read(path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_recording_with_all_in_it(path, workload, number):
    recorder = start("record", "-o", path, workload.pid)
    wait_for(path.exists)
    time.sleep(1.5)
    recorder.send_signal(number)
    assert recorder.wait(10) == 0
    recorder.stderr.close()
    snapshots = read(path)
    assert (snapshots[-1].end_ns - snapshots[0].start_ns) / 1e9 == pytest.approx(1.5, abs=0.4)


def test_ctrl_c_does_not_wait_for_a_long_interval(path, workload):
    recorder = start("record", "-o", path, "--sample", "1h", "--aggr", "2h", "--update", "3h", workload.pid)
    wait_for(path.exists)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(10) == 0
    recorder.stderr.close()
    assert read(path) == []


def test_after_kill_9_all_but_the_last_second_is_in_the_file(path, workload):
    recorder = start("record", "-o", path, workload.pid)
    wait_for(path.exists)
    time.sleep(3.2)
    recorder.kill()
    recorder.wait()
    recorder.stderr.close()
    with pytest.warns(vadamon.VadamonWarning):
        snapshots = read(path)
    assert 20 <= len(snapshots) <= 34


def test_a_full_disk_keeps_what_was_recorded(tiny_disk, workload):
    path = tiny_disk / "x.vadamon"
    filler = tiny_disk / "filler"
    recorder = start("record", "-o", path, "--min-regions", "200", workload.pid)
    wait_for(path.exists)
    time.sleep(1.5)
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    assert recorder.wait(60) == 1
    message = recorder.stderr.read()
    recorder.stderr.close()
    assert re.fullmatch(rf"vadamon: backend .*\nvadamon: cannot write {path}: No space left on device; .*\n", message)
    with pytest.warns(vadamon.VadamonWarning):
        assert len(read(path)) >= 5


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["record"], 2, "give the pids to watch, or -- and a command to start"),
        (["record", "x"], 2, "'x' is not a valid integer"),
        (["record", "--sample", "5", "1"], 2, "'5' is not a time with its unit"),
        (["record", "--sample", "1s", "1"], 2, "must not be shorter than the sample interval"),
        (["record", "--min-regions", "2", "1"], 2, "min_nr_regions must be at least 3"),
        (["record", "--max-regions", "5", "1"], 2, "max_nr_regions"),
        (["record", "--clear-budget", "5", "1"], 2, "'5' is not a share such as 5%"),
        (["record", "--backend", "tea-leaves", "1"], 2, "'tea-leaves' is not one of 'auto', 'page-table'"),
        (["record", "999999999"], 1, "no process 999999999"),
        (["record", "2"], 1, "is a kernel thread"),
        (["record", "-o", "/nonexistent/x", "2"], 1, "cannot write /nonexistent/x: No such file or directory"),
        (["record", "--", "/nonexistent/program"], 1, "cannot start /nonexistent/program: No such file or directory"),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["report", "heatmap", "/nonexistent"], 1, "/nonexistent"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, arguments, status, message):
    if arguments[0] == "record" and "-o" not in arguments:
        arguments = ["record", "-o", tmp_path / "x", *arguments[1:]]
    done = call(*arguments)
    assert done.returncode == status
    assert done.stdout == ""
    assert re.fullmatch(rf"vadamon: .*{re.escape(message)}.*\n", done.stderr)
    assert not (tmp_path / "x").exists()


def test_a_zombie_is_named(path, zombie):
    done = call("record", "-o", path, zombie)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is a zombie" in done.stderr


def test_without_rights_a_backend_that_was_asked_for_says_what_would_help(path, workload):
    done = call("record", "-o", path, "--backend", "page-table", workload.pid, prefix=WITHOUT_RIGHTS)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "run as root, or with CAP_" in done.stderr
    assert not path.exists()


def test_the_backend_is_said_and_recorded(path, workload):
    done = call("record", "-o", path, "--duration", "300ms", workload.pid)
    assert re.match("vadamon: backend page-table shows hot and cold memory down to single pages\n", done.stderr)
    assert vadamon.open(path).header.backend == "page-table"


def test_the_backend_can_be_chosen(path, workload):
    done = call("record", "-o", path, "--duration", "300ms", "--backend", "referenced", workload.pid)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert vadamon.open(path).header.backend == "referenced"
    assert len(read(path)) == 1


def test_the_doctor_finds_the_page_table_backend_well():
    done = call("doctor")
    assert done.returncode == 0
    assert re.search("^page-table: works: ", done.stdout, re.MULTILINE)


class TestCommand:
    """`vadamon record -- COMMAND`."""

    @pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -SEGV $$", 139), ("exit 0", 0)])
    def test_its_exit_status_is_passed_on(self, path, script, status):
        assert call("record", "-o", path, "--", "sh", "-c", f"sleep 0.6; {script}").returncode == status
        assert len(read(path)) >= 3

    def test_that_ends_at_once(self, path):
        done = call("record", "-o", path, "--", "sh", "-c", "exit 5")
        assert done.returncode == 5
        # Either that it ended before it could be watched, or the backend and what was seen.
        assert "ended before" in done.stderr or "backend" in done.stderr
        assert "Traceback" not in done.stderr

    def test_signals_are_passed_on(self, path):
        script = "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
        with start("record", "-o", path, "--", "sh", "-c", script, stdout=subprocess.PIPE) as recorder:
            assert recorder.stdout.readline() == "ready\n"
            wait_for(path.exists)
            recorder.send_signal(signal.SIGTERM)
            assert recorder.stdout.read() == "got it\n"
            assert recorder.wait(10) == 9
        assert read(path)

    def test_after_the_duration_the_command_runs_on(self, path):
        done = call("record", "-o", path, "--duration", "300ms", "--", "sh", "-c", "sleep 1; echo done; exit 3")
        assert (done.returncode, done.stdout) == (3, "done\n")
        assert 2 <= len(read(path)) <= 3

    def test_it_runs_as_the_user_who_called_sudo(self, path):
        nobody = pwd.getpwnam("nobody")
        env = dict(os.environ, SUDO_UID=str(nobody.pw_uid), SUDO_GID=str(nobody.pw_gid), SUDO_USER="nobody", KEPT="yes")
        script = "id -u; id -g; echo $HOME $USER $KEPT ${SUDO_UID-none}; sleep 0.5"
        done = call("record", "-o", path, "--", "sh", "-c", script, env=env)
        assert done.returncode == 0
        assert done.stdout.splitlines() == [str(nobody.pw_uid), str(nobody.pw_gid), f"{nobody.pw_dir} nobody yes none"]
        assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (nobody.pw_uid, 0o600)

    def test_it_is_not_started_where_it_could_not_be_watched(self, path, tmp_path):
        done = call(
            "record", "-o", path, "--backend", "page-table", "--", "touch", tmp_path / "started", prefix=WITHOUT_RIGHTS
        )
        assert done.returncode == 1
        assert not (tmp_path / "started").exists()


@pytest.mark.parametrize("prefix", [(), WITHOUT_RIGHTS], ids=["live", "simulated"])
def test_the_demo_finds_what_it_has_hidden(tmp_path, prefix):
    done = call("demo", "--duration", "8", "-o", tmp_path / "demo.vadamon", prefix=prefix)
    assert done.returncode == 0, done.stderr
    assert ("Simulating" in done.stdout) == bool(prefix)
    found = {
        m[1]: (float(m[2]), int(m[3]))
        for m in re.finditer(r"(\w+) .*found in +([\d.]+), +(\d+) % of it hot", done.stdout)
    }
    assert found["hot"][0] >= 80  # a busy machine keeps the workload from its pace
    assert 10 <= found["warm"][0] <= 30
    assert found["cold"][0] <= 10
    assert found["moving"][0] >= 80
    assert found["cold"][1] <= 10  # a region may reach over the edge for a while
    assert len(read(tmp_path / "demo.vadamon")) >= 75


def test_auto_tunes_the_intervals_and_reports_say_so(path):
    # All of it once a second: of samples 5 ms apart, each would find 0.5 % of it accessed at most.
    with Workload([Area("a", size=64 * MIB, patterns=[Sweep(length=64 * MIB, period_us=1_000_000)])]) as workload:
        done = call("record", "--auto", "--duration", "6s", "-o", path, workload.pid)
    assert done.returncode == 0, done.stderr
    assert "the intervals were tuned: at last a sample each " in done.stderr
    recording = vadamon.open(path)
    assert recording.attrs == vadamon.Attrs(intervals_goal=IntervalsGoal())
    sample_ns = np.concatenate([batch.sample_ns for batch in recording.batches()])
    assert sample_ns[:3].tolist() == [5_000_000] * 3
    assert sample_ns.max() >= 15_000_000
    snapshots = list(recording)
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(snapshots))
    assert snapshots[-1].end_ns - snapshots[0].start_ns <= 6_000_000_000
    summary = call("report", "summary", path)
    assert "summed up every 100 ms at first, then tuned" in summary.stdout
    assert "sample interval tuned " in summary.stdout


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--scan",), "follows from --budget"),
        (("--sample", "1ms"), "5000 us to 10000000 us"),
        (("--backend", "referenced"), "cannot tune its intervals"),
    ],
)
def test_where_nothing_can_be_tuned_auto_is_refused(path, workload, options, why):
    done = call("record", "--auto", *options, "--duration", "1", "-o", path, workload.pid)
    assert done.returncode in (1, 2)
    assert why in done.stderr
    assert not path.exists()


def test_a_duration_without_a_sample_is_refused(path, workload):
    done = call(
        "record", "--sample", "2s", "--aggr", "4s", "--update", "4s", "--duration", "1", "-o", path, workload.pid
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("vadamon: nothing can be seen within 1 s, ")
