"""Tests in this folder run in a guest only: they use what may belong to somebody else on any other machine."""

from pathlib import Path

import pytest

from tests.vm.guest import MARK

IS_GUEST = MARK in Path("/proc/cmdline").read_text().split()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "tests/vm/inside/" in str(item.path) and not IS_GUEST:
        pytest.skip("runs in a guest only: see tests/vm/test_guests.py")
