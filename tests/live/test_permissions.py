"""With which rights what works: as a user without any, and with a few capabilities instead of root."""

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import vadamon
from tests.live.conftest import MIB, as_nobody

VADAMON = Path(sys.executable).with_name("vadamon")
PAGE_TABLE = ("bpf", "perfmon", "sys_nice")
"""What the page-table backend needs for one's own processes (docs/permissions.md)."""
OTHERS = ("sys_ptrace",)
SHARED_OF_OTHERS = ("dac_override",)

TOUCH = """
import mmap, sys, time
kind, size, hot, seconds = getattr(mmap, sys.argv[1]), 64 << 20, 8 << 20, float(sys.argv[2])
memory = mmap.mmap(-1, size, flags=kind | mmap.MAP_ANONYMOUS)
memory[::4096] = bytes(size >> 12)
if kind == mmap.MAP_SHARED:
    import os, ctypes
    if not os.fork():
        ctypes.CDLL(None).prctl(1, 9)  # die with the parent
        memory[::4096]
        time.sleep(seconds)
        os._exit(0)
    time.sleep(0.2)
print("ready", flush=True)
end = time.monotonic() + seconds
page = bytes(hot >> 12)
while time.monotonic() < end:
    memory[16 << 20:24 << 20:4096] = page
"""


def call(*arguments, prefix=()):
    return subprocess.run(
        [*prefix, VADAMON, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, cwd="/"
    )


@contextmanager
def touching(prefix=(), kind="MAP_PRIVATE", code=TOUCH):
    """Start a process that touches 8 MiB of 64 all the time, and give its pid."""
    arguments = [*prefix, sys.executable, "-c", code, kind, "30"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd="/") as process:
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGKILL)


def hot_bytes(path):
    """Return the bytes that were found accessed, in the median of the second half of the snapshots.

    The target touches them all the time that it gets: on a busy machine less than all samples see that, in some
    snapshots none. Cold memory is in no sample.
    """
    snapshots = list(vadamon.open(path))
    sizes = [
        float(np.sum((s.end - s.start)[(s.nr_accesses > 0.3 * s.nr_samples) & ~s.unknown]))
        for s in snapshots[len(snapshots) // 2 :]
    ]
    return np.median(sizes)


class TestWithoutAnyRights:
    """As a user who has no capability."""

    def test_ones_own_process_is_recorded_at_once_in_the_coarse_mode(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching(as_nobody()) as pid:
            assert Path(f"/proc/{pid}").stat().st_uid == 65534
            done = call("record", "-o", path, "--duration", "1500ms", pid, prefix=as_nobody())
        assert done.returncode == 0
        chosen, summary = done.stderr.splitlines()
        assert re.fullmatch(
            r"vadamon: backend referenced shows .*coarse mode.*; page-table would show .* pages, but: "
            r"process \d+: no right .*: run as root, or with CAP_\w+ and CAP_\w+",
            chosen,
        )
        assert re.search(r"3 snapshots of \d+ ms, ", summary)
        assert "samples late" not in summary
        recording = vadamon.open(path)
        assert recording.header.backend == "referenced"
        assert recording.attrs.aggr_us == 500_000
        used = [s.nr_accesses / s.nr_samples * (s.end - s.start) for s in recording]
        assert all(u.max() == pytest.approx(8 * MIB, rel=0.15) for u in used)

    def test_a_command_is_recorded_too(self, public_folder):
        path = public_folder / "x.vadamon"
        done = call("record", "-o", path, "--", "sh", "-c", "sleep 1.2; exit 7", prefix=as_nobody())
        assert done.returncode == 7
        assert "backend referenced" in done.stderr
        assert len(list(vadamon.open(path))) >= 1

    def test_intervals_are_as_asked(self, public_folder):
        path = public_folder / "x.vadamon"
        done = call("record", "-o", path, "--aggr", "100ms", "--", "sleep", "1", prefix=as_nobody())
        assert done.returncode == 0
        assert vadamon.open(path).attrs == vadamon.Attrs()
        assert len(list(vadamon.open(path))) >= 5

    def test_reports_say_on_their_face_that_this_is_the_coarse_mode(self, public_folder):
        path = public_folder / "x.vadamon"
        call("record", "-o", path, "--", "sleep", "1.2", prefix=as_nobody())
        for report in ("heatmap", "regions", "mappings"):
            assert call("report", report, path).stdout.startswith("COARSE MODE (backend referenced)")

    def test_the_page_table_backend_says_what_it_lacks(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching(as_nobody()) as pid:
            done = call("record", "-o", path, "--backend", "page-table", pid, prefix=as_nobody())
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "run as root, or with CAP_" in done.stderr
        assert not path.exists()

    def test_somebody_elses_process_cannot_be_watched(self, public_folder):
        with touching() as pid:
            done = call("record", "-o", public_folder / "x", pid, prefix=as_nobody())
        assert done.returncode == 1
        assert re.fullmatch(
            rf"vadamon: process {pid} \(.*\) belongs to root: run as its owner, as root, .*\n", done.stderr
        )

    def test_nor_one_of_ones_own_that_is_not_dumpable(self, public_folder):
        code = "import ctypes; ctypes.CDLL(None).prctl(4, 0)" + TOUCH
        with touching(as_nobody(), code=code) as pid:
            done = call("record", "-o", public_folder / "x", pid, prefix=as_nobody())
        assert done.returncode == 1
        assert re.fullmatch(
            rf"vadamon: process {pid} \(.*\) is yours, but not dumpable .*: run as root, .*\n", done.stderr
        )

    def test_the_doctor_says_what_works_and_what_would_help(self):
        done = call("doctor", "--json", prefix=as_nobody())
        assert done.returncode == 0
        found = {diagnosis["backend"]: diagnosis for diagnosis in json.loads(done.stdout)}
        assert not found["page-table"]["works"]
        assert "run as root, or with CAP_" in found["page-table"]["detail"]
        assert found["referenced"]["works"]
        assert "--backend auto takes referenced" in call("doctor", prefix=as_nobody()).stdout

    def test_from_python_a_warning_says_that_it_is_coarse(self, public_folder):
        code = """
import subprocess, sys, vadamon
with subprocess.Popen(["sleep", "60"]) as process, vadamon.monitor(process.pid) as snapshots:
    print(len(next(snapshots)), snapshots.attrs.aggr_us)
    process.kill()
"""
        done = subprocess.run(
            [*as_nobody(), sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
        )
        assert re.fullmatch(r"\d+ 500000\n", done.stdout)
        assert "VadamonWarning: backend referenced shows" in done.stderr


class TestLeastPrivilege:
    """The page-table backend, with a few capabilities instead of root."""

    def record(self, path, pid, *capabilities):
        return call(
            "record", "-o", path, "--backend", "page-table", "--duration", "3", pid, prefix=as_nobody(*capabilities)
        )

    def test_for_ones_own_processes(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching(as_nobody()) as pid:
            done = self.record(path, pid, *PAGE_TABLE)
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) == pytest.approx(8 * MIB, rel=0.25)

    def test_auto_takes_it(self, public_folder):
        path = public_folder / "x.vadamon"
        done = call("record", "-o", path, "--", "sleep", "0.5", prefix=as_nobody(*PAGE_TABLE))
        assert done.stderr.startswith("vadamon: backend page-table shows hot and cold memory")
        assert vadamon.open(path).header.backend == "page-table"

    @pytest.mark.parametrize("missing", PAGE_TABLE)
    def test_each_of_them_is_needed(self, public_folder, missing):
        with touching(as_nobody()) as pid:
            done = self.record(public_folder / "x", pid, *(name for name in PAGE_TABLE if name != missing))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"CAP_{missing.upper()}" in done.stderr

    def test_for_processes_of_others(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching() as pid:
            refused = self.record(path, pid, *PAGE_TABLE)
            assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
            assert "CAP_SYS_PTRACE" in refused.stderr
            done = self.record(path, pid, *PAGE_TABLE, *OTHERS)
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) == pytest.approx(8 * MIB, rel=0.25)

    def test_for_memory_of_others_that_several_processes_map(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching(kind="MAP_SHARED") as pid:
            self.record(path, pid, *PAGE_TABLE, *OTHERS)
            assert hot_bytes(path) < MIB  # nothing is known of it, and that is what is said
            done = self.record(path, pid, *PAGE_TABLE, *OTHERS, *SHARED_OF_OTHERS)
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) == pytest.approx(8 * MIB, rel=0.25)

    def test_the_coarse_mode_for_processes_of_others(self, public_folder):
        path = public_folder / "x.vadamon"
        options = ("record", "-o", path, "--backend", "referenced", "--duration", "1")
        with touching() as pid:
            for capability in (*OTHERS, *SHARED_OF_OTHERS):
                assert call(*options, pid, prefix=as_nobody(capability)).returncode == 1
            assert call(*options, pid, prefix=as_nobody(*OTHERS, *SHARED_OF_OTHERS)).returncode == 0
        assert list(vadamon.open(path))
