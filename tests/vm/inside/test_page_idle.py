"""The idle page bitmap as an address space, page by page; needs a kernel with CONFIG_IDLE_PAGE_TRACKING."""

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.live.conftest import MIB, huge_bytes, often
from vadamon import Attrs
from vadamon.address_space.page_idle import PageIdleAddressSpace
from vadamon.backends import BACKENDS, Options
from vadamon.workload import Area, Workload

VADAMON = Path(sys.executable).with_name("vadamon")
NR_HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")


def look(space, addresses):
    """One round; returns (accessed, page sizes, voids) as copies."""
    space.mkold(addresses)
    time.sleep(0.01)
    accessed, sizes = space.young(addresses)
    return accessed.copy(), sizes.copy(), space.voids()


def every(start, end, step):
    return np.arange(start, end, step, dtype=np.uint64)


def own_memory(size, step):
    """Memory of this very process, written to once, as an array."""
    area = mmap.mmap(-1, size + 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_HUGEPAGE if step > 4096 else mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(area, dtype=np.uint8)
    skipped = -array.ctypes.data % (2 * MIB)
    array = array[skipped : skipped + size]
    array[::4096] = 1
    return array


@pytest.mark.parametrize(
    ("kind", "step", "page_size"),
    [("private", 4096, 4096), ("huge", MIB // 2, 2 * MIB), ("shared", 4096, 4096), ("mlocked", 4096, 4096)],
)
def test_just_the_pages_that_are_touched_are_young(kind, step, page_size):
    area = Area("a", kind=kind, size=32 * MIB, patterns=[often(offset=8 * MIB, length=8 * MIB)])
    with Workload([area]) as workload, PageIdleAddressSpace(workload.pid) as space:
        before = huge_bytes(workload.pid)
        start = workload.areas["a"].start
        addresses = every(start + 123, start + 32 * MIB, step)
        offset = addresses - start
        hot = (offset >= 8 * MIB) & (offset < 16 * MIB)
        seen = np.zeros(len(addresses), dtype=np.bool_)
        for _ in range(5):
            accessed, sizes, voids = look(space, addresses)
            seen |= accessed
            assert (sizes == page_size).all()
        assert (seen == hot)[~voids].all()
        assert voids.mean() < 0.02
        assert huge_bytes(workload.pid) == before


@pytest.mark.parametrize("step", [4096, 2 * MIB])
def test_young_is_what_was_touched_since_mkold_and_nothing_else(step):
    array = own_memory(512 * step if step == 4096 else 16 * step, step)
    addresses = every(array.ctypes.data, array.ctypes.data + len(array), step)
    rng = np.random.default_rng(1)
    with PageIdleAddressSpace(os.getpid()) as space:
        look(space, addresses)
        for share in (0, 0.1, 0.5, 1, 0, 0.5, 0.01, 0):
            touched = rng.random(len(addresses)) < share
            space.mkold(addresses)
            for page in np.flatnonzero(touched):
                array[page * step + 8] += 1
            accessed, _ = space.young(addresses)
            known = ~space.voids()
            assert known.mean() > 0.9
            assert (accessed == touched)[known].all()


def test_pages_that_are_too_new_to_be_marked_are_void_and_counted():
    with PageIdleAddressSpace(os.getpid()) as space:
        array = own_memory(4096, 4096)  # in a batch of this processor's, on no LRU list yet
        addresses = every(array.ctypes.data, array.ctypes.data + 4096, 4096)
        accessed, _, voids = look(space, addresses)
        assert voids.all()
        assert not accessed.any()
        assert space.take_health().uncleared == 1
        assert space.take_health().uncleared == 0


def test_another_frame_behind_an_address_is_no_evidence():
    array = own_memory(4 * MIB, 4096)
    addresses = every(array.ctypes.data, array.ctypes.data + 4 * MIB, 4096)
    madvise = mmap.mmap.madvise
    with PageIdleAddressSpace(os.getpid()) as space:
        look(space, addresses)
        space.mkold(addresses)
        unmarkable = space.voids()
        base = array.base
        while not isinstance(base, mmap.mmap):
            base = base.obj if isinstance(base, memoryview) else base.base
        madvise(base, mmap.MADV_DONTNEED)  # all frames go
        array[: 2 * MIB : 4096] = 1  # and half of them come anew
        accessed, _ = space.young(addresses)
        assert space.voids().all()
        assert not accessed.any()
        assert space.take_health().unchecked >= 1024 - unmarkable.sum()


def test_memory_that_is_not_there_and_the_zero_page_are_not_accessed():
    area = mmap.mmap(-1, MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(area, dtype=np.uint8)
    addresses = every(array.ctypes.data, array.ctypes.data + MIB, 4096)
    with PageIdleAddressSpace(os.getpid()) as space:
        for _ in range(2):
            space.mkold(addresses)
            assert not array.any()  # maps the zero page
            accessed, _ = space.young(addresses)
            assert not accessed.any()
            assert not space.voids().any()


def test_hugetlb_pages_cannot_be_marked_and_are_void():
    before = NR_HUGE_PAGES.read_text()
    NR_HUGE_PAGES.write_text("8")
    try:
        area = Area("a", kind="hugetlb", size=8 * MIB, patterns=[often(length=8 * MIB)])
        with Workload([area]) as workload, PageIdleAddressSpace(workload.pid) as space:
            accessed, _, voids = look(space, every(workload.areas["a"].start, workload.areas["a"].end, MIB))
            assert voids.all()
            assert not accessed.any()
    finally:
        NR_HUGE_PAGES.write_text(before)


def test_marks_of_two_spaces_do_not_take_each_others_evidence():
    # Frames of both lie in the same words of the bitmap.
    array = own_memory(4 * MIB, 4096)
    pages = every(array.ctypes.data, array.ctypes.data + 4 * MIB, 4096)
    even, odd = pages[::2].copy(), pages[1::2].copy()
    with PageIdleAddressSpace(os.getpid()) as one, PageIdleAddressSpace(os.getpid()) as other:
        look(one, pages)
        one.mkold(even)
        array[: 2 * MIB : 4096] += 1
        other.mkold(odd)
        other.young(odd)
        accessed, _ = one.young(even)
        known = ~one.voids()
        assert known.mean() > 0.9
        assert (accessed == (even < pages[512]))[known].all()


def test_execve_is_a_new_address_space(start_target):
    target = start_target("execs", 1)
    space = PageIdleAddressSpace(target.pid)
    until = time.monotonic() + 30
    with space:
        while space.generation() == 0:
            assert time.monotonic() < until
            mappings = space.mappings()
            look(space, mappings.start.copy())
        assert len(space.mappings())


def test_the_end_of_the_process():
    with Workload([Area("a", size=MIB)]) as workload, PageIdleAddressSpace(workload.pid) as space:
        addresses = every(workload.areas["a"].start, workload.areas["a"].end, 4096)
        assert space.is_alive()
        space.mkold(addresses)
        workload.close()
        accessed, _ = space.young(addresses)
        assert not accessed.any()
        assert not space.is_alive()
        assert len(space.mappings()) == 0


def test_nothing_is_left_open():
    def descriptors():
        return sorted(str(f.readlink()) for f in Path("/proc/self/fd").iterdir() if f.is_symlink())

    with Workload([Area("a", size=MIB)]) as workload:
        before = descriptors()
        with BACKENDS["page-idle"].open([workload.pid], Attrs(), Options()) as monitor:
            next(monitor)
        assert descriptors() == before


def test_the_doctor_lists_it():
    said = subprocess.run([VADAMON, "doctor"], stdout=subprocess.PIPE, text=True, check=False).stdout
    assert "page-idle: works: " in said
