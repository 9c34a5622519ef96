"""What all tests share: where live tests may run, and that they do run where they must."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

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
def resident_size() -> Callable[..., list[int]]:
    """Run code in a Python of its own; return the resident bytes at each of its calls of ``measure()``."""

    def run(code: str, *arguments: str) -> list[int]:
        prelude = """
def measure():
    pages = int(open("/proc/self/statm").read().split()[1])
    print(pages * 4096)
"""
        done = subprocess.run(
            [sys.executable, "-c", prelude + code, *arguments], stdout=subprocess.PIPE, text=True, check=True
        )
        return [int(line) for line in done.stdout.split()]

    return run
