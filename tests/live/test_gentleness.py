"""Monitoring must not change what it looks at: huge pages, and what reclaim knows."""

import ctypes
import os
import time
from pathlib import Path

import numpy as np

from tests.live.conftest import MIB, watch
from vadamon import Attrs
from vadamon.workload import Area, Sweep, Workload

LRU, ACTIVE = 5, 6
PAGE = 4096
MANY = Attrs(min_nr_regions=300)


def huge_bytes(pid):
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("AnonHugePages:")[1].split()[0]) << 10


def page_flags(pid, start, size):
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
        pagemap.seek(start // PAGE * 8)
        entries = np.frombuffer(pagemap.read(size // PAGE * 8), dtype=np.uint64)
    frames = (entries & np.uint64((1 << 55) - 1)).tolist()
    flags = os.open("/proc/kpageflags", os.O_RDONLY)
    try:
        return np.array([int.from_bytes(os.pread(flags, 8, frame * 8), "little") for frame in frames])
    finally:
        os.close(flags)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def make_active(pid, start, size):
    """Mark pages accessed for reclaim, twice: they go to the active list."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(2):
        for first in range(start, start + size, 1024 * PAGE):
            remote = (_Iovec * 1024)(*[_Iovec(first + i * PAGE, 1) for i in range(1024)])
            buffer = ctypes.create_string_buffer(1024)
            local = _Iovec(ctypes.addressof(buffer), 1024)
            assert libc.process_vm_readv(pid, ctypes.byref(local), 1, remote, 1024, 0) == 1024


def test_huge_pages_are_never_split():
    area = Area("area", kind="huge", size=128 * MIB, patterns=[Sweep(length=32 * MIB)])
    with Workload([area]) as workload:
        before = huge_bytes(workload.pid)
        assert before >= 128 * MIB
        watch(workload.pid, 6, MANY)
        assert huge_bytes(workload.pid) == before


def test_active_pages_stay_active():
    area = Area("area", size=64 * MIB, patterns=[Sweep(length=16 * MIB)])
    with Workload([area]) as workload:
        start = workload.areas["area"].start
        make_active(workload.pid, start, 64 * MIB)
        before = page_flags(workload.pid, start, 64 * MIB) >> ACTIVE & 1
        assert before.mean() > 0.9
        watch(workload.pid, 6, MANY)
        after = page_flags(workload.pid, start, 64 * MIB) >> ACTIVE & 1
        assert after[before == 1].mean() >= 0.95


def test_nothing_is_left_behind():
    def descriptors():
        return sorted(str(f.readlink()) for f in Path("/proc/self/fd").iterdir() if f.is_symlink())

    with Workload([Area("area", size=16 * MIB)]) as workload:
        watch(workload.pid, 0.2)  # loads what is kept: the program and its maps
        before = descriptors()
        watch(workload.pid, 0.2)
        assert descriptors() == before


def test_the_target_goes_on_undisturbed():
    area = Area("area", size=16 * MIB, patterns=[Sweep(length=16 * MIB)])
    with Workload([area]) as workload:
        watch(workload.pid, 2, MANY)
        time.sleep(0.2)
        now = time.monotonic_ns()
        sweeps = sum(i.count for i in workload.log.intervals() if i.pattern is not None)
        assert sweeps > 0
        assert workload.log.intervals()[-1].last_ns > now - 1_000_000_000
