"""What docs/permissions.md says that backends need, on kernels that have what these need."""

from pathlib import Path

import pytest

import vadamon
from tests.live.conftest import MIB, as_nobody
from tests.live.test_permissions import OTHERS, PAGE_TABLE, call, hot_bytes, touching
from vadamon.address_space.page_idle import BITMAP
from vadamon.monitors.damon_sysfs import ROOT

PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
RIGHTS = {"page-idle": ("sys_admin", "dac_override"), "kernel": ("dac_override",)}
FILES = {"page-idle": BITMAP, "kernel": ROOT}


def record(path, pid, backend, *capabilities, seconds=6):
    options = ("-o", path, "--backend", backend, "--duration", seconds)
    return call("record", *options, pid, prefix=as_nobody(*capabilities))


@pytest.mark.parametrize("backend", RIGHTS)
class TestLeastPrivilege:
    @pytest.fixture(autouse=True)
    def has_backend(self, backend):
        if not FILES[backend].exists():
            pytest.skip(f"this kernel has no {FILES[backend]}")

    def test_for_ones_own_processes(self, public_folder, backend):
        path = public_folder / "x.vadamon"
        with touching(as_nobody()) as pid:
            done = record(path, pid, backend, *RIGHTS[backend])
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) == pytest.approx(8 * MIB, rel=0.25)

    def test_each_of_them_is_needed(self, public_folder, backend):
        with touching(as_nobody()) as pid:
            for missing in RIGHTS[backend]:
                done = record(public_folder / "x", pid, backend, *(n for n in RIGHTS[backend] if n != missing))
                assert (done.returncode, done.stderr.count("\n")) == (1, 1), missing
                assert "run as root, or with CAP_" in done.stderr

    def test_for_processes_of_others(self, public_folder, backend):
        path = public_folder / "x.vadamon"
        with touching() as pid:
            done = record(path, pid, backend, *RIGHTS[backend])
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            done = record(path, pid, backend, *RIGHTS[backend], *OTHERS)
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) == pytest.approx(8 * MIB, rel=0.25)


class TestYama:
    """Where a process may be traced by its ancestors only (ptrace_scope 1, as Ubuntu has it)."""

    @pytest.fixture(autouse=True)
    def restricted(self):
        if not PTRACE_SCOPE.exists():
            pytest.skip("this kernel has no Yama")
        before = PTRACE_SCOPE.read_text()
        PTRACE_SCOPE.write_text("1")
        yield
        PTRACE_SCOPE.write_text(before)

    def test_a_process_that_one_has_not_started_needs_one_right_more(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching(as_nobody()) as pid:
            done = record(path, pid, "page-table", *PAGE_TABLE)
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert "CAP_SYS_PTRACE" in done.stderr
            # Emulated, flushes take long, and few samples are used: it takes regions longer to settle.
            done = record(path, pid, "page-table", *PAGE_TABLE, *OTHERS, seconds=15)
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) == pytest.approx(8 * MIB, rel=0.25)

    def test_a_command_needs_none(self, public_folder):
        path = public_folder / "x.vadamon"
        done = call("record", "-o", path, "--", "sleep", "1", prefix=as_nobody(*PAGE_TABLE))
        assert done.returncode == 0
        assert vadamon.open(path).header.backend == "page-table"

    def test_nor_does_the_coarse_mode(self, public_folder):
        path = public_folder / "x.vadamon"
        with touching(as_nobody()) as pid:
            done = record(path, pid, "referenced")
        assert done.returncode == 0, done.stderr
        assert hot_bytes(path) > 0
