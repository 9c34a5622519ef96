"""What live tests share: a process of known heat, and how well a run has found it."""

import ctypes
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.vm.guest import MARK
from vadamon import Attrs, Snapshot
from vadamon.backends import BACKENDS, BEST, Options
from vadamon.workload import Area, Sweep, Workload

MIB = 1 << 20
PAGE = 4096
ACTIVE, IDLE = 6, 25
"""Bits of /proc/kpageflags."""
IS_EMULATED = MARK in Path("/proc/cmdline").read_text().split()
"""Runs in a guest of tests/vm, where what flushes a TLB takes a hundred times as long as on hardware."""
SWEEP_US = 2_500 if IS_EMULATED else 1_000
"""How often what is hot is touched: in each sample interval, and no oftener than that where touching is emulated."""
AREA, HOT = (64 * MIB, 8 * MIB) if IS_EMULATED else (256 * MIB, 32 * MIB)
"""Bytes of an area, and of what is hot in it; there this takes minutes otherwise."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/live/" in str(item.path):
            item.add_marker(pytest.mark.live)


def often(**kwargs: Any) -> Sweep:
    """Return a sweep of memory that is to be found hot by samples."""
    return Sweep(period_us=SWEEP_US, **kwargs)


def between_scans(**kwargs: Any) -> Sweep:
    """Return a sweep of memory that is touched more than once between two scans."""
    return Sweep(period_us=10_000, **kwargs)


def overlap(snapshot: Snapshot, start: int, end: int) -> np.ndarray:
    """Return for each region how many bytes of ``[start, end)`` lie in it."""
    low = np.maximum(snapshot.start, np.uint64(start)).astype(np.float64)
    high = np.minimum(snapshot.end, np.uint64(end)).astype(np.float64)
    return np.clip(high - low, 0, None)


@dataclass
class Score:
    """How the bytes of one area were seen, weighted by size and time."""

    hot_mean: float
    """Mean nr_accesses out of 20 of the bytes that are hot."""
    cold_mean: float
    precision: float
    """Of the bytes found hot (nr_accesses >= 10 of 20), the share that is."""
    recall: float


def score(
    snapshots: list[Snapshot], area: tuple[int, int], hot_at: Callable[[Snapshot], tuple[int, int] | None]
) -> Score:
    hot_sum = hot_size = cold_sum = cold_size = hits = found = 0.0
    for snapshot in snapshots:
        hot = hot_at(snapshot)
        if hot is None:
            continue
        in_hot = overlap(snapshot, *hot)
        in_cold = overlap(snapshot, *area) - in_hot
        nr_accesses = 20 * snapshot.nr_accesses / snapshot.nr_samples
        hot_sum += (in_hot * nr_accesses).sum()
        cold_sum += (in_cold * nr_accesses).sum()
        hot_size += in_hot.sum()
        cold_size += in_cold.sum()
        hits += in_hot[nr_accesses >= 10].sum()
        found += (in_hot + in_cold)[nr_accesses >= 10].sum()
    return Score(hot_sum / hot_size, cold_sum / cold_size, hits / found, hits / hot_size)


BACKEND = BACKENDS[os.environ.get("VADAMON_BACKEND", BEST.name)]


def watch(pid: int, seconds: float, attrs: Attrs | None = None) -> list[Snapshot]:
    snapshots = []
    options = Options(flush_budget=1 if IS_EMULATED else None)
    with BACKEND.open([pid], attrs or BACKEND.default_attrs, options) as monitor:
        for snapshot in monitor:
            snapshots.append(snapshot)
            if snapshot.end_ns - snapshots[0].start_ns >= seconds * 1e9:
                break
    return snapshots


@pytest.fixture
def run():
    """Run a workload of one area and watch it: ``run(area, seconds)`` gives the snapshots, and the ended workload."""

    def run(area: Area, seconds: float) -> tuple[list[Snapshot], Workload]:
        with Workload([area]) as workload:
            return watch(workload.pid, seconds), workload

    return run


NOBODY = 65534
LRU_GEN = Path("/sys/kernel/mm/lru_gen/enabled")


def as_nobody(*capabilities: str) -> tuple[str, ...]:
    """Return what to put in front of a command, so that it runs as nobody, with these capabilities and no others.

    Where Python or this project lie in a folder that only root may enter (pyenv below /root), they are put in its place
    in a mount namespace of the command's own: so nobody needs no capability to reach them. /tmp is as it is.
    """
    rights = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    drop = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", f"--bounding-set={rights}"]
    drop += [f"--inh-caps={rights}", *([f"--ambient-caps={rights}"] if capabilities else [])]
    needed = {Path(path).resolve() for path in (sys.base_prefix, sys.prefix, Path(__file__).parents[2])}
    hidden = {path: closed for path in needed if (closed := _closed_folder(path))}
    setpriv = shutil.which("setpriv")  # by its path: busybox has one of its own, which knows less
    script = ["hold=$(mktemp -d)", "mount -t tmpfs tmpfs $hold"]
    for i, path in enumerate(hidden):
        script += [f"mkdir $hold/{i}", f"mount --bind {shlex.quote(str(path))} $hold/{i}"]
    script += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}" for folder in set(hidden.values())]
    for i, path in enumerate(hidden):
        script += [f"mkdir -p {shlex.quote(str(path))}", f"mount --bind $hold/{i} {shlex.quote(str(path))}"]
    script += ["umount -l $hold", "rmdir $hold", f'exec {setpriv} {shlex.join(drop)} "$@"']
    return ("unshare", "--mount", "sh", "-ec", "; ".join(script), "sh")


def _closed_folder(path: Path) -> Path | None:
    """Return the topmost folder on the way to ``path`` that others may not enter."""
    return next((folder for folder in reversed([path, *path.parents]) if not folder.stat().st_mode & 1), None)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """Give a folder that every user can write to; those of pytest itself are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o777)
        yield path


def huge_bytes(pid):
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("AnonHugePages:")[1].split()[0]) << 10


def frames(pid, start, size):
    """Return the numbers of the page frames behind a range of a process."""
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
        pagemap.seek(start // PAGE * 8)
        entries = np.frombuffer(pagemap.read(size // PAGE * 8), dtype=np.uint64)
    return entries & np.uint64((1 << 55) - 1)


def page_flags(pid, start, size):
    flags = os.open("/proc/kpageflags", os.O_RDONLY)
    try:
        numbers = frames(pid, start, size).tolist()
        return np.array([int.from_bytes(os.pread(flags, 8, frame * 8), "little") for frame in numbers])
    finally:
        os.close(flags)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def make_active(pid, start, size):
    """Mark pages accessed for reclaim, twice: they go to the active list."""
    if LRU_GEN.exists() and int(LRU_GEN.read_text(), 16) & 1:
        pytest.skip("with the multi-generation LRU, /proc/kpageflags does not tell what is active")
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(2):
        for first in range(start, start + size, 1024 * PAGE):
            remote = (_Iovec * 1024)(*[_Iovec(first + i * PAGE, 1) for i in range(1024)])
            buffer = ctypes.create_string_buffer(1024)
            local = _Iovec(ctypes.addressof(buffer), 1024)
            assert libc.process_vm_readv(pid, ctypes.byref(local), 1, remote, 1024, 0) == 1024
