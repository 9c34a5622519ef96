"""What all tests share: where live tests may run, and that they do run where they must."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

StartTarget = Callable[..., "subprocess.Popen[bytes]"]

REQUIRE_LIVE = os.environ.get("VADAMON_REQUIRE_LIVE") == "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("live") and os.geteuid() != 0 and not REQUIRE_LIVE:
        pytest.skip("live test: needs root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if REQUIRE_LIVE and item.get_closest_marker("live") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a live test was skipped where it must run"
    return report


@pytest.fixture
def start_target() -> Iterator[StartTarget]:
    """Start tests/targets/NAME.py with arguments, wait until it is ready, and end it after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *args: object) -> subprocess.Popen[bytes]:
        script = Path(__file__).parent / "targets" / f"{name}.py"
        target = subprocess.Popen([sys.executable, script, *map(str, args)], stdout=subprocess.PIPE)
        started.append(target)
        assert target.stdout is not None
        assert target.stdout.readline() == b"ready\n", f"{name} did not start"
        return target

    yield start
    for target in started:
        target.kill()
        target.wait()
        assert target.stdout is not None
        target.stdout.close()


@pytest.fixture
def zombie() -> Iterator[int]:
    """Give the pid of a process that has ended and was not waited for."""
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        yield process.pid
