"""The page-table address space, page by page."""

import mmap
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.live.conftest import IS_EMULATED, MIB, frames, often
from vadamon.address_space.page_table import PageTableAddressSpace
from vadamon.workload import Area, Workload

NR_HUGE_PAGES = Path("/proc/sys/vm/nr_hugepages")
FOLIOS_64K = Path("/sys/kernel/mm/transparent_hugepage/hugepages-64kB")
FOLIOS_2M = Path("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB")
NR_LOOKS = 10 if IS_EMULATED else 30


def unpaced(pid):
    """An address space that uses every sample, whatever that costs the target."""
    return PageTableAddressSpace(pid, flush_budget=1)


def look(space, addresses):
    """One round; returns (accessed, page sizes, voids) as copies."""
    space.mkold(addresses)
    time.sleep(0.01)
    accessed, sizes = space.young(addresses)
    return accessed.copy(), sizes.copy(), space.voids()


def every(start, end, step):
    return np.arange(start, end, step, dtype=np.uint64)


@pytest.mark.parametrize(("kind", "size", "page_size"), [("private", 4096, 4096), ("huge", 2 * MIB, 2 * MIB)])
def test_just_the_pages_that_are_touched_are_young(kind, size, page_size):
    area = Area("a", kind=kind, size=32 * MIB, patterns=[often(offset=8 * MIB, length=8 * MIB)])
    with Workload([area]) as workload, unpaced(workload.pid) as space:
        start = workload.areas["a"].start
        addresses = every(start + 123, start + 32 * MIB, size)
        offset = addresses - start
        hot = (offset >= 8 * MIB) & (offset < 16 * MIB)
        seen = np.zeros(len(addresses), dtype=np.bool_)
        for _ in range(5):  # on a busy machine the workload may sleep through a round
            accessed, sizes, voids = look(space, addresses)
            seen |= accessed
            assert (sizes == page_size).all()
        assert (seen == hot)[~voids].all()
        assert voids.mean() < 0.02  # the newest pages, which are not on the LRU yet


def own_memory(size, huge=False):
    """Memory of this very process, written to once; returns (area, address, bytes as an array)."""
    area = mmap.mmap(-1, size + 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_HUGEPAGE if huge else mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(area, dtype=np.uint8)
    skipped = -array.ctypes.data % (2 * MIB)
    array = array[skipped : skipped + size]
    array[::4096] = 1
    return array


@pytest.mark.parametrize("huge", [False, True])
def test_young_is_what_was_touched_since_mkold_and_nothing_else(huge):
    step = 2 * MIB if huge else 4096
    array = own_memory(512 * step if not huge else 16 * step, huge)
    addresses = every(array.ctypes.data, array.ctypes.data + len(array), step)
    rng = np.random.default_rng(1)
    with unpaced(os.getpid()) as space:
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


def test_pages_that_a_child_has_come_to_map_stay_shared():
    """What was taken from reclaim's view of them cannot be given back: reading them would give us copies of our own."""
    array = own_memory(512 * 4096)
    addresses = every(array.ctypes.data, array.ctypes.data + len(array), 4096)
    with unpaced(os.getpid()) as space:
        array[::4096] += 1
        space.mkold(addresses)
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        try:
            space.young(addresses)
            ours, its = (frames(pid, array.ctypes.data, len(array)) for pid in (os.getpid(), child))
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert (ours == its).all()


def test_memory_that_is_only_read_is_the_zero_page_and_not_accessed():
    area = mmap.mmap(-1, MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    area.madvise(mmap.MADV_NOHUGEPAGE)
    array = np.frombuffer(area, dtype=np.uint8)
    addresses = every(array.ctypes.data, array.ctypes.data + MIB, 4096)
    with unpaced(os.getpid()) as space:
        space.mkold(addresses)
        assert not array.any()
        accessed, _ = space.young(addresses)
        assert not accessed.any()
        assert not space.voids().any()


@pytest.fixture
def reserved_huge_pages():
    before = NR_HUGE_PAGES.read_text()
    NR_HUGE_PAGES.write_text("8")
    try:
        yield
    finally:
        NR_HUGE_PAGES.write_text(before)


def test_hugetlb_pages_cannot_be_cleared_and_are_void(reserved_huge_pages):
    area = Area("a", kind="hugetlb", size=8 * MIB, patterns=[often(length=8 * MIB)])
    with Workload([area]) as workload, unpaced(workload.pid) as space:
        addresses = every(workload.areas["a"].start, workload.areas["a"].end, MIB)
        accessed, sizes, voids = look(space, addresses)
        assert voids.all()
        assert not accessed.any()
        assert (sizes == 2 * MIB).all()
        assert space.take_health().uncleared == 8
        assert space.take_health().uncleared == 0


@pytest.fixture
def folios_of_64k():
    files = {FOLIOS_64K / "enabled": "always", FOLIOS_2M / "enabled": "never"}
    if not all(file.exists() for file in files):
        pytest.skip("this kernel has no large folios of anonymous memory")
    before = {file: file.read_text().partition("[")[2].partition("]")[0] for file in files}
    for file, value in files.items():
        file.write_text(value)
    try:
        yield
    finally:
        for file, value in before.items():
            file.write_text(value)


def test_large_folios_are_not_split(folios_of_64k, start_target):
    def nr_splits():
        return int((FOLIOS_64K / "stats" / "split").read_text())

    target = start_target("large_folios")
    before = nr_splits()
    start = int(target.stdout.readline())
    with unpaced(target.pid) as space:
        addresses = every(start, start + 16 * MIB, 4096)
        offset = addresses - start
        seen = np.zeros(len(addresses), dtype=np.bool_)
        for _ in range(5):
            accessed, _, voids = look(space, addresses)
            seen |= accessed
        # The newest pages may not be on the LRU yet: those cannot be cleared.
        assert voids.mean() < 0.05
        assert (seen == (offset < 4 * MIB))[~voids].all()
    assert nr_splits() == before


def test_two_spaces_in_two_threads_do_not_mix():
    sweeps = [often(length=4 * MIB), often(offset=4 * MIB, length=4 * MIB)]
    failures = []

    def watch(workload, hot_first):
        with unpaced(workload.pid) as space:
            start = workload.areas["a"].start
            addresses = every(start, start + 8 * MIB, 4096)
            for _ in range(NR_LOOKS):
                accessed, _, voids = look(space, addresses)
                expected = (addresses - start < 4 * MIB) == hot_first
                # A few: the workload may have slept through a window on a busy machine.
                if (accessed != expected)[~voids].mean() > 0.01:
                    failures.append(hot_first)

    workloads = [Workload([Area("a", size=8 * MIB, patterns=[sweep])]) for sweep in sweeps]
    with workloads[0], workloads[1]:
        threads = [threading.Thread(target=watch, args=(w, i == 0)) for i, w in enumerate(workloads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(failures) <= NR_LOOKS / 10


def test_no_addresses_are_no_error():
    with unpaced(os.getpid()) as space:
        accessed, sizes, voids = look(space, np.empty(0, dtype=np.uint64))
        assert len(accessed) == len(sizes) == len(voids) == 0


def test_addresses_that_were_not_prepared_are_answered():
    with Workload([Area("a", size=2 * MIB)]) as workload, unpaced(workload.pid) as space:
        addresses = every(workload.areas["a"].start, workload.areas["a"].end, 4096)
        _, _, voids = look(space, addresses)
        accessed, sizes = space.young(addresses[::2].copy())
        assert not accessed[~voids[::2]].any()
        assert len(sizes) == 256


def test_more_addresses_than_fit_in_one_run():
    size = 24 * MIB
    with Workload([Area("a", size=size, patterns=[often(length=size)])]) as workload:
        start = workload.areas["a"].start
        with unpaced(workload.pid) as space:
            rounds = [look(space, every(start, start + size, 4096)) for _ in range(3)]
            assert max(accessed[~voids].mean() for accessed, _, voids in rounds) > 0.99
            assert rounds[-1][2].mean() < 0.01


def test_where_clearing_would_cost_the_target_too_much_samples_are_used_in_turns():
    size = 8 * MIB if IS_EMULATED else 32 * MIB
    with Workload([Area("a", size=size, patterns=[often(length=size)])]) as workload:
        addresses = every(workload.areas["a"].start, workload.areas["a"].end, 4096)
        with PageTableAddressSpace(workload.pid, flush_budget=0.01) as space:
            voids = [look(space, addresses)[2] for _ in range(40)][20:]
            assert space.take_health().paced > 0.5 * 20 * len(addresses)
        assert 0.5 < np.mean(voids) < 0.95
        assert np.all(voids, axis=0).mean() < 0.02  # those that are not on the LRU yet


def test_a_closed_space_says_so():
    space = PageTableAddressSpace(os.getpid())
    space.close()
    space.close()
    assert not space.is_alive()
    assert len(space.mappings()) == 0
    with pytest.raises(ValueError, match="closed"):
        space.mkold(np.zeros(1, dtype=np.uint64))
