"""Real workloads, against what the kernel says of them."""

import itertools
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vadamon.errors import VadamonError
from vadamon.workload import Area, Log, Random, Stream, Sweep, Workload, spec_to_json

MIB = 1 << 20
HOT = Sweep(offset=2 * MIB, length=MIB, period_us=1_000)


def smaps(pid: int, start: int) -> dict[str, int]:
    """Return the fields of the mapping that starts at ``start``, in bytes."""
    text = Path(f"/proc/{pid}/smaps").read_text()
    entry = re.search(rf"^{start:x}-[^\n]*\n((?:[A-Z].*\n)+)", text, re.MULTILINE)
    assert entry, "no such mapping"
    return {name: int(kib) << 10 for name, kib in re.findall(r"^(\w+): +(\d+) kB$", entry[1], re.MULTILINE)}


def clear_accessed(pid: int) -> None:
    # 1 clears the accessed bits, but leaves the TLB as it is, in which our few hot pages would stay; 4 flushes it.
    for what in "14":
        Path(f"/proc/{pid}/clear_refs").write_text(what)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def wait_for(workload: Workload, nr_records: int) -> None:
    deadline = time.monotonic() + 30
    while len(workload.log.records()) < nr_records:
        assert time.monotonic() < deadline, "the workload does not go on"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("private", lambda m: m["Private_Dirty"] == m["Anonymous"] == m["Size"] and m["AnonHugePages"] == 0),
        ("huge", lambda m: m["AnonHugePages"] == m["Size"]),
        ("shared", lambda m: m["Shared_Clean"] + m["Shared_Dirty"] == m["Size"]),
        ("file", lambda m: m["Private_Clean"] == m["Size"]),
    ],
)
def test_areas_are_populated_with_pages_of_their_kind(kind, says):
    with Workload([Area("a", kind, size=8 * MIB), Area("cold", size=MIB)]) as workload:
        area = workload.areas["a"]
        mapping = smaps(workload.pid, area.start)
        assert mapping["Size"] == mapping["Rss"] == area.end - area.start == 8 * MIB
        assert says(mapping), mapping
        assert "numpy" not in Path(f"/proc/{workload.pid}/maps").read_text()


def test_mlocked_area():
    size = 8 * 4096  # below every usual limit of locked memory
    with Workload([Area("a", "mlocked", size=size)]) as workload:
        mapping = smaps(workload.pid, workload.areas["a"].start)
        assert mapping["Locked"] == mapping["Rss"] == size


def test_hugetlb_area_where_pages_are_reserved_and_the_remedy_where_not():
    free = int(re.search(r"^HugePages_Free: +(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)[1])
    areas = [Area("a", "hugetlb", size=2 * MIB, patterns=(Sweep(length=2 * MIB),))]
    if not free:
        with pytest.raises(VadamonError, match=r"area 'a': no 2097152 bytes .* with sysctl vm.nr_hugepages"):
            Workload(areas)
        return
    with Workload(areas) as workload:
        assert smaps(workload.pid, workload.areas["a"].start)["Private_Hugetlb"] == 2 * MIB


def test_pages_that_the_kernel_saw_accessed_are_those_of_the_log():
    areas = [Area("cold1", size=4 * MIB), Area("a", size=8 * MIB, patterns=(HOT,)), Area("cold2", size=4 * MIB)]
    with Workload(areas) as workload:
        hot_start = workload.areas["a"].start + HOT.offset
        cleared_ns = time.monotonic_ns()
        clear_accessed(workload.pid)
        wait_for(workload, len(workload.log.records()) + 5)
        referenced = {name: smaps(workload.pid, area.start)["Referenced"] for name, area in workload.areas.items()}
        assert workload.log.touched(cleared_ns, time.monotonic_ns()) == [(hot_start, hot_start + HOT.length)]
        assert referenced == {"cold1": 0, "a": HOT.length, "cold2": 0}


def test_sweeps_keep_their_period_and_sleep_in_between():
    with Workload([Area("a", size=8 * MIB, patterns=(HOT,))]) as workload:
        wait_for(workload, 500)
        status = Path(f"/proc/{workload.pid}/status").read_text()
    nr_sleeps = int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])
    _, sweeps = workload.log.intervals()
    start = workload.areas["a"].start + HOT.offset
    assert (sweeps.start, sweeps.end) == (start, start + HOT.length)
    # A busy machine makes sweeps late or leaves some out; more often than asked they must not come.
    nr_periods = (sweeps.last_ns - sweeps.first_ns) / (HOT.period_us * 1_000)
    assert nr_periods / 5 <= sweeps.count <= nr_periods + 2
    assert nr_sleeps >= 500 / 5


def test_moves_are_logged():
    moving = Sweep(offset=MIB, length=2 * MIB, period_us=2_000, move_every_s=0.05)
    with Workload([Area("a", size=8 * MIB, patterns=(moving,))]) as workload:
        wait_for(workload, 120)
    start = workload.areas["a"].start
    moves = [i for i in workload.log.intervals() if i.pattern is not None]
    assert [(i.start - start) // MIB for i in moves[:5]] == [1, 3, 5, 1, 3]
    assert all(i.end - i.start == moving.length for i in moves)
    assert all(before.last_ns <= after.first_ns for before, after in itertools.pairwise(moves))
    middle = moves[1]
    assert workload.log.touched(middle.first_ns, middle.last_ns) == [(middle.start, middle.end)]


def test_busy_patterns_count_accesses_and_let_sweeps_come_in():
    patterns = (Stream(length=4 * MIB), Random(offset=4 * MIB, length=4 * MIB), Sweep(length=MIB, period_us=10_000))
    with Workload([Area("a", size=8 * MIB, patterns=patterns)]) as workload:
        wait_for(workload, 2_000)
        first = workload.log.operations()
        wait_for(workload, 4_000)
        assert workload.log.operations() > first > 0
    found = {i.pattern: (i.start - workload.areas["a"].start, i.count) for i in workload.log.intervals() if i.pattern}
    assert {pattern: start for pattern, (start, _) in found.items()} == {p: p.offset for p in patterns}
    assert all(count > 5 for _, count in found.values())


def test_the_sibling_goes_on_touching_where_it_is_asked_to():
    siblings = Sweep(offset=MIB, length=MIB, period_us=1_000)
    with Workload([Area("p", size=MIB), Area("s", "shared", size=2 * MIB, sibling_patterns=(siblings,))]) as workload:
        wait_for(workload, 20)
        area = workload.areas["s"]
        assert {i.pattern for i in workload.log.intervals()} == {None}
        assert smaps(workload.log.sibling, area.start)["Rss"] == 2 * MIB
        clear_accessed(workload.pid)
        clear_accessed(workload.log.sibling)
        wait_for(workload, len(workload.log.records()) + 5)
        assert smaps(workload.log.sibling, area.start)["Referenced"] == MIB
        with pytest.raises(AssertionError, match="no such mapping"):
            smaps(workload.log.sibling, workload.areas["p"].start)
        assert smaps(workload.pid, workload.areas["p"].start)["Private_Dirty"] == MIB


def test_nothing_is_left_after_close():
    nr_open = open_files()
    with Workload(
        [Area("s", "shared", size=MIB, patterns=(Sweep(length=MIB),)), Area("f", "file", size=MIB)]
    ) as workload:
        wait_for(workload, 10)
    workload.close()
    assert not Path(f"/proc/{workload.pid}").exists()
    sibling = Path(f"/proc/{workload.log.sibling}/status")
    assert not sibling.exists() or "zombie" in sibling.read_text()
    assert open_files() == nr_open
    assert not list(Path("/var/tmp").glob("vadamon-f-*"))
    assert len(workload.log.records()) >= 10


def test_the_log_outlives_a_killed_workload():
    with Workload([Area("a", size=MIB, patterns=(Sweep(length=MIB),))]) as workload:
        wait_for(workload, 10)
        os.kill(workload.pid, signal.SIGKILL)
        os.waitid(os.P_PID, workload.pid, os.WEXITED | os.WNOWAIT)
        area = workload.areas["a"]
        assert workload.log.touched(0, time.monotonic_ns()) == [(area.start, area.end)]


def test_the_workload_and_its_sibling_die_with_the_parent():
    program = """if True:
        from vadamon.workload import Area, Workload
        workload = Workload([Area("s", "shared", size=1 << 20)])
        print(workload.pid, workload.log.sibling, flush=True)
        input()
    """
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        pidfds = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    for pidfd in pidfds:
        assert select.select([pidfd], [], [], 30)[0], "a process is left"
        os.close(pidfd)


def test_what_cannot_be_had_is_one_line_and_leaves_nothing():
    nr_open = open_files()
    with pytest.raises(VadamonError, match=r"area 'a': no \d+ bytes of private memory to be had .*: make it smaller"):
        Workload([Area("a", size=1 << 46)])
    assert open_files() == nr_open


def run_by_hand(*args: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "vadamon.workload", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_by_hand(tmp_path):
    path = str(tmp_path / "log")
    with run_by_hand(path, spec_to_json([Area("a", size=MIB, patterns=(Sweep(length=MIB),))])) as process:
        assert process.stdout.readline() == "ready\n"
        log = Log.open(path)
        assert log.pid == process.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    area = log.areas["a"]
    assert log.touched(0, time.monotonic_ns()) == [(area.start, area.end)]
    log.close()


@pytest.mark.parametrize("args", [(), ("/nowhere/log", '[{"name": "a", "size": 4096}]'), ("/dev/null", "[3]")])
def test_by_hand_failures_are_one_line(args):
    with run_by_hand(*args) as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert out == "" and len(err.splitlines()) == 1 and "Traceback" not in err
