"""The awkward targets of the live tests are as awkward as they should be."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.005)
    return False


def status_field(task: str, field: str) -> str:
    lines = Path(f"/proc/{task}/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{field}:"))


def test_remap_changes_its_mappings_all_the_time(start_target):
    pid = start_target("remap").pid
    maps = Path(f"/proc/{pid}/maps")
    before = maps.read_text()
    assert eventually(lambda: maps.read_text() != before)


@pytest.mark.parametrize(("delay", "signals"), [(0.1, ()), (600, (signal.SIGUSR1,))])
def test_execs_gets_a_new_address_space_under_the_same_pid(start_target, delay, signals):
    target = start_target("execs", delay)
    exe = Path(f"/proc/{target.pid}/exe")
    assert "python" in str(exe.readlink())
    for number in signals:
        target.send_signal(number)
    assert eventually(lambda: "python" not in str(exe.readlink()))
    assert target.poll() is None


def test_forks_has_ever_new_children(start_target):
    pid = start_target("forks").pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    seen: set[str] = set()
    assert eventually(lambda: len(seen.update(children.read_text().split()) or seen) > 20)


def test_exits_ends_by_itself_with_its_status(start_target):
    assert start_target("exits", 0.2, 7).wait(30) == 7


def test_many_mappings_has_ten_thousand(start_target):
    pid = start_target("many_mappings").pid
    assert len(Path(f"/proc/{pid}/maps").read_text().splitlines()) > 10_000


def test_main_thread_ended_goes_on_in_another_thread(start_target):
    target = start_target("main_thread_ended")
    assert "zombie" in status_field(str(target.pid), "State")
    (other,) = {int(tid.name) for tid in Path(f"/proc/{target.pid}/task").iterdir()} - {target.pid}
    assert "zombie" not in status_field(f"{target.pid}/task/{other}", "State")
    assert target.poll() is None


def test_zombie_has_ended_and_is_still_there(zombie):
    assert "zombie" in status_field(str(zombie), "State")
