"""What all tests share: where live tests may run, and that they do run where they must."""

import os

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
