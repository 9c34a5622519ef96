"""What all tests share: where live tests may run, and that they do run where they must."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vadamon import Attrs, Header, Mapping, Mappings, RecordingWriter, SampleHealth, Snapshot, Target

StartTarget = Callable[..., "subprocess.Popen[bytes]"]

REQUIRE_LIVE = os.environ.get("VADAMON_REQUIRE_LIVE") == "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("live") and os.geteuid() != 0 and not REQUIRE_LIVE:
        pytest.skip("live test: needs root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if REQUIRE_LIVE and report.skipped and any(map(item.get_closest_marker, ("live", "browser"))):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: a test was skipped where it must run"
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


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with 64 KiB of room; needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


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


SERVICE_MAPPINGS = (
    (0x55D0C0000000, 0x55D0C0300000, "r-xp", "/usr/bin/python3.11"),
    (0x55D0C0300000, 0x55D0C0380000, "rw-p", "/usr/bin/python3.11"),
    (0x55D0C1A00000, 0x55D0C2200000, "rw-p", "[heap]"),
    (0x7F1000000000, 0x7F1010000000, "rw-p", ""),
    (0x7F1013400000, 0x7F1013600000, "r-xp", "/usr/lib/libpython3.11.so.1.0"),
    (0x7F1013600000, 0x7F1013680000, "rw-p", "/usr/lib/libpython3.11.so.1.0"),
    (0x7F1013700000, 0x7F1013880000, "r-xp", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
    (0x7F1013900000, 0x7F1013910000, "r--p", "/usr/lib/x86_64-linux-gnu/libm.so.6"),
    (0x7F1014000000, 0x7F1018000000, "rw-s", "/memfd:cache (deleted)"),
    (0x7FFD3F000000, 0x7FFD3F021000, "rw-p", "[stack]"),
    (0x7FFD3F0FE000, 0x7FFD3F100000, "r-xp", "[vdso]"),
)
MIB = 1 << 20
ANONYMOUS, HEAP, CACHE = 0x7F1000000000, 0x55D0C1A00000, 0x7F1014000000


def service_ranges(second: float) -> list[tuple[int, int, int]]:
    """Return ``(start, end, accesses of 20)`` of what the made-up service touches at that time."""
    moving = ANONYMOUS + 96 * MIB + int(second // 5) % 4 * 32 * MIB
    touched = [
        (0x55D0C0080000, 0x55D0C0180000, 13),
        (HEAP, HEAP + 2 * MIB, 20),
        (HEAP + 2 * MIB, HEAP + 4 * MIB, 3),
        (ANONYMOUS, ANONYMOUS + 32 * MIB, 19),
        (ANONYMOUS + 32 * MIB, ANONYMOUS + 48 * MIB, 2),
        (moving, moving + 16 * MIB, 20),
        (0x7F1013480000, 0x7F1013500000, 9),
        (0x7F1013700000, 0x7F1013780000, 5),
        (0x7FFD3F01E000, 0x7FFD3F021000, 20),
    ]
    return touched + [(CACHE + 8 * MIB, CACHE + 24 * MIB, 16)] * (second < 8)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a recording of 30 s of a made-up service, with regions as DAMON would cut them, and return its path."""
    path = tmp_path_factory.mktemp("service") / "service.vadamon"
    record_service(path, nr_snapshots=300)
    return path


def record_service(path: Path, nr_snapshots: int) -> None:
    rng = np.random.default_rng(1)
    header = Header(Attrs(), (Target(1, 4242, "python3 -m service --port 8080"),), "page-table", start_wall_ns=10**18)
    three = [(0x55D0C0000000, 0x55D0C2200000), (ANONYMOUS, 0x7F1018000000), (0x7FFD3F000000, 0x7FFD3F100000)]
    with RecordingWriter(path, header) as writer:
        writer.write_mappings(1, 0, Mappings(Mapping(s, e, p, 0, 0, name) for s, e, p, name in SERVICE_MAPPINGS))
        for k in range(nr_snapshots):
            touched = service_ranges(k / 10)
            cuts = {border for s, e, _ in touched for border in (s, e)} | {border for pair in three for border in pair}
            for low, high in three:
                cuts.update((rng.integers(low // 4096, high // 4096, 10) * 4096).tolist())
            borders = np.array(sorted(cuts), np.uint64)
            start, end = borders[:-1], borders[1:]
            kept = np.array([any(low <= s < high for low, high in three) for s in start.tolist()])
            start, end = start[kept], end[kept]
            accesses = np.zeros(len(start), np.uint32)
            for s, e, n in touched:
                accesses[(start >= s) & (end <= e)] = n
            unknown = (start >= CACHE) & (end <= CACHE + 64 * MIB) & (10 <= k % 100 < 20)
            age = np.minimum(k, np.where(accesses, 20, 300)).astype(np.uint32)
            writer.write_snapshot(
                Snapshot(1, k * 10**8, (k + 1) * 10**8, start, end, accesses, age, 20, unknown, SampleHealth())
            )
