"""Tests in this folder run in a guest only: they use what may belong to somebody else on any other machine."""

from pathlib import Path

from tests.live.conftest import public_folder as public_folder
from tests.vm.guest import MARK

IS_GUEST = MARK in Path("/proc/cmdline").read_text().split()
collect_ignore_glob = [] if IS_GUEST else ["test_*.py"]
