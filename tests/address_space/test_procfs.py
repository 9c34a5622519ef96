"""What is read of /proc, on processes of our own."""

import mmap
import os
import subprocess
import sys
import time

import pytest

from vadamon import VadamonError
from vadamon.address_space import procfs


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"]) as process:
        while not procfs.command_line(process.pid):  # set a moment after Popen knows of the execve
            time.sleep(0.001)
        yield process
        process.kill()


def test_threads_begin_with_the_main_thread(start_target):
    assert procfs.threads(os.getpid())[0] == os.getpid()
    target = start_target("main_thread_ended")
    threads = procfs.threads(target.pid)
    assert threads
    assert target.pid not in threads
    assert procfs.resident(target.pid) > 1 << 20


def test_a_process_that_is_gone_has_nothing(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert procfs.threads(sleeper.pid) == []
    assert procfs.command_line(sleeper.pid) == []
    assert procfs.name(sleeper.pid) == "?"
    assert procfs.resident(sleeper.pid) == 0
    assert list(procfs.children(sleeper.pid)) == []
    assert len(procfs.MapsFile().read(sleeper.pid)) == 0


def test_resident_memory_is_what_was_touched():
    with mmap.mmap(-1, 64 << 20) as memory:
        before = procfs.resident(os.getpid())
        memory.write(bytes(64 << 20))
        # The kernel counts in lots of a few dozen pages a processor.
        assert abs(procfs.resident(os.getpid()) - before - (64 << 20)) < 8 << 20


def test_command_line_and_name(sleeper):
    assert procfs.command_line(sleeper.pid) == ["sleep", "60"]
    assert procfs.name(sleeper.pid) == "sleep"
    assert procfs.parent(sleeper.pid) == os.getpid()


def test_children_and_theirs_are_found():
    code = """
import subprocess, sys
child = subprocess.Popen(["sleep", "60"])
print(child.pid, flush=True)
sys.stdin.read()
child.kill()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        grandchild = int(parent.stdout.readline())
        found = list(procfs.children(os.getpid()))
        by_search = procfs._children_by_search(parent.pid)
        parent.stdin.close()
    assert parent.pid in found
    assert grandchild in found
    assert by_search == [grandchild]


@pytest.mark.parametrize(
    ("pid", "message"),
    [(999999999, "no process 999999999"), (2, r"process 2 \(kthreadd\) is a kernel thread")],
)
def test_what_is_no_target_is_named(pid, message):
    with pytest.raises(VadamonError, match=message):
        procfs.check_target(pid)


def test_a_zombie_is_no_target(zombie):
    with pytest.raises(VadamonError, match="is a zombie"):
        procfs.check_target(zombie)


def test_mappings_are_parsed_again_only_when_they_changed(start_target):
    target = start_target("many_mappings")
    maps = procfs.MapsFile()
    first = maps.read(target.pid)
    assert "[stack]" in first.name
    assert len(first) >= 10_000
    assert maps.read(target.pid) is first
