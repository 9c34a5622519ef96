"""Whatever ends a recording, nothing of it stays in the kernel or in the target."""

import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.live.conftest import MIB, often
from vadamon.workload import Area, Workload

VADAMON = Path(sys.executable).with_name("vadamon")
SYS_BPF = 321
NEXT_ID = {"program": 11, "map": 12, "link": 31}
"""Commands of bpf(2) that go through all of a kind."""


def bpf_objects():
    """Return the kind and the id of every eBPF object that there is."""
    bpf = ctypes.CDLL(None, use_errno=True).syscall
    found = set()
    for kind, command in NEXT_ID.items():
        attr = (ctypes.c_uint32 * 32)()
        while bpf(SYS_BPF, command, attr, ctypes.sizeof(attr)) == 0:
            attr[0] = attr[1]
            found.add((kind, attr[0]))
    return found


def state(pid):
    """Return what a recording might leave: eBPF objects, limits of the target, and who traces it."""
    process = Path(f"/proc/{pid}")
    status = (process / "status").read_text()
    tracer = status.partition("TracerPid:")[2].split()[0]
    return bpf_objects(), (process / "limits").read_text(), tracer, (process / "oom_score_adj").read_text()


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("options", [(), ("--scan",)], ids=["sampling", "scanning"])
def test_after_a_signal(tmp_path, options, number):
    path = tmp_path / "x.vadamon"
    with Workload([Area("a", size=16 * MIB, patterns=[often(length=4 * MIB)])]) as workload:
        before = state(workload.pid)
        command = [VADAMON, "record", "--backend", "page-table", *options, "-o", path, str(workload.pid)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: path.exists() and path.stat().st_size > 0)
            time.sleep(2)
            assert {"program", "map", "link"} <= {kind for kind, _ in bpf_objects() - before[0]}
            process.send_signal(number)
            assert process.wait() == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        wait_for(lambda: state(workload.pid) == before)  # the kernel frees such objects a moment later
        sweeps = sum(i.count for i in workload.log.intervals())
        wait_for(lambda: sum(i.count for i in workload.log.intervals()) > sweeps)  # it runs on
