from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadamon import Attrs
from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.address_space.simulated.physical_memory import PG_ACTIVE, PG_IDLE, PG_REFERENCED, PG_YOUNG
from vadamon.clock import VirtualClock
from vadamon.monitors.sampling import SamplingMonitor
from vadamon.operations import get
from vadamon.operations.base import Target

PAGE = 4096
HUGE = 2 << 20
BASE = 1 << 40
MS = 1_000_000


@pytest.fixture
def machine():
    return Machine(VirtualClock())


@pytest.fixture
def space(machine):
    space = SimulatedAddressSpace(machine)
    space.mmap(BASE, 16 * HUGE)
    return space


def at(*pages):
    return np.array([BASE + page * PAGE for page in pages], dtype=np.uint64)


def swapped(space, nr_pages):
    return np.flatnonzero(space.pages(at(*range(nr_pages))).swapped).tolist()


def forget_accesses(space, nr_pages):
    """Populate pages that nobody has accessed."""
    space.munmap(BASE, nr_pages * PAGE)
    space.mmap(BASE, nr_pages * PAGE, populate=True)


class TestSecondChance:
    def test_oldest_pages_go_first(self, machine, space):
        forget_accesses(space, 10)
        frames = space.pages(at(0, 1, 2)).frame
        assert machine.reclaim(3).tolist() == frames.tolist()
        assert swapped(space, 10) == [0, 1, 2]
        assert not machine.memory.mapcount[frames].any()

    def test_referenced_pages_are_activated_and_go_last(self, machine, space):
        forget_accesses(space, 10)
        space.touch_addresses(at(0, 3))
        machine.reclaim(4)
        assert swapped(space, 10) == [1, 2, 4, 5]
        state = space.pages(at(0, 3))
        assert (state.flags & PG_ACTIVE != 0).all()
        assert not state.accessed.any()
        machine.reclaim(4)
        assert swapped(space, 10) == [1, 2, 4, 5, 6, 7, 8, 9]
        machine.reclaim(1)
        assert swapped(space, 10) == [0, 1, 2, 4, 5, 6, 7, 8, 9]

    def test_an_active_page_that_is_referenced_again_stays_active(self, machine, space):
        space.touch(BASE, BASE + 4 * PAGE)
        assert len(machine.reclaim(1)) == 1
        space.touch_addresses(at(1))
        machine.reclaim(2)
        assert swapped(space, 4) == [0, 2, 3]
        assert space.pages(at(1)).flags[0] & PG_ACTIVE

    @pytest.mark.parametrize("how", ["cpu", "guest", "child", "mkold", "child that ended"])
    def test_every_kind_of_reference_counts_once(self, machine, space, how):
        forget_accesses(space, 4)
        child = space.fork()
        (child if "child" in how else space).touch_addresses(at(1), secondary=how == "guest")
        if how == "mkold":
            space.mkold(at(1))
        if how == "child that ended":
            child.exit()
        machine.reclaim(3)
        assert swapped(space, 4) == [0, 2, 3]
        assert not space.pages(at(1)).flags[0] & (PG_YOUNG | PG_REFERENCED)
        machine.reclaim(1)
        assert swapped(space, 4) == [0, 1, 2, 3]

    def test_evicts_a_huge_page_whole(self, machine, space):
        forget_accesses(space, 1)
        space.touch(BASE + HUGE, BASE + HUGE + PAGE)
        space.collapse(BASE + HUGE)
        space.touch(BASE + 2 * HUGE, BASE + 2 * HUGE + PAGE)
        head = space.pages(at(512)).frame[0]
        machine.reclaim(1)
        assert head in machine.reclaim(1)  # it was referenced before it was collapsed, and that is long ago
        assert swapped(space, 1025)[:513] == [0, *range(512, 1024)]

    def test_pages_off_the_lists_stay(self, machine, space):
        forget_accesses(space, 3)
        frame = space.pages(at(0)).frame
        machine.memory.isolate(frame)
        assert len(machine.reclaim(100)) == 2
        machine.memory.putback(frame)
        machine.memory.putback(frame)
        assert machine.reclaim(100).tolist() == frame.tolist()

    def test_frames_are_used_again(self, machine, space):
        for _ in range(20):
            space.touch(BASE, BASE + HUGE)
            space.collapse(BASE)
            space.touch(BASE + HUGE, BASE + 2 * HUGE)
            machine.reclaim(10_000)
        assert len(machine.memory.flags) < 10 * 512

    def test_what_reclaim_finds_accessed_is_young(self, machine, space):
        """Even where another process made the access, or its accessed bit is gone."""
        forget_accesses(space, 4)
        child = space.fork()
        space.mkold(at(0, 1, 2, 3))
        child.touch_addresses(at(1))
        space.touch_addresses(at(2))
        assert space.young(at(0, 1, 2, 3))[0].tolist() == [False, False, True, False]
        machine.reclaim(2)
        assert swapped(space, 4) == [0, 3]
        assert not space.pages(at(2)).accessed[0]
        assert space.young(at(0, 1, 2, 3))[0].tolist() == [False, True, True, False]
        space.mkold(at(1, 2))
        assert not space.young(at(1, 2))[0].any()

    def test_reclaim_does_not_take_what_mkold_took_for_an_access(self, machine, space):
        space.touch(BASE, BASE + PAGE)
        space.mkold(at(0))
        space.touch(BASE + PAGE, BASE + 2 * PAGE)
        forget = SimulatedAddressSpace(machine)
        forget.mmap(BASE, PAGE, populate=True)
        machine.reclaim(1)
        assert space.pages(at(0)).present[0]
        assert space.pages(at(0)).flags[0] & PG_IDLE
        assert not space.young(at(0))[0][0]


class Lists:
    """Second chance, one page after the other."""

    def __init__(self, pages):
        self.inactive, self.active, self.referenced = deque(pages), deque(), set()

    def reclaim(self, nr_pages):
        evicted = []
        while len(evicted) < nr_pages and (self.inactive or self.active):
            if len(self.inactive) < len(self.active):
                for _ in range(len(self.active)):
                    page = self.active.popleft()
                    (self.active if page in self.referenced else self.inactive).append(page)
                    self.referenced.discard(page)
            for _ in range(len(self.inactive)):
                page = self.inactive.popleft()
                if page in self.referenced:
                    self.active.append(page)
                else:
                    evicted.append(page)
                self.referenced.discard(page)
                if len(evicted) == nr_pages:
                    break
        return evicted


@given(
    rounds=st.lists(st.tuples(st.lists(st.integers(0, 29), max_size=10), st.integers(1, 6)), min_size=1, max_size=10)
)
def test_order_is_that_of_second_chance(rounds):
    machine = Machine(VirtualClock())
    space = SimulatedAddressSpace(machine)
    space.mmap(BASE, 30 * PAGE, populate=True)
    page_of = dict(zip(space.pages(at(*range(30))).frame.tolist(), range(30), strict=True))
    lists = Lists(range(30))
    for touched, nr_pages in rounds:
        touched = [p for p in touched if p in {*lists.inactive, *lists.active}]
        space.touch_addresses(at(*touched))
        lists.referenced.update(touched)
        assert [page_of[frame] for frame in machine.reclaim(nr_pages).tolist()] == lists.reclaim(nr_pages)


NR_PAGES = 1536
pages = st.one_of(st.integers(0, 20), st.integers(500, 530), st.integers(0, NR_PAGES - 1))
lists_of_pages = st.lists(pages, min_size=1, max_size=12)
steps = st.one_of(
    st.tuples(st.just("touch"), pages, st.integers(1, 600), st.booleans(), st.booleans()),
    st.tuples(st.just("touch_addresses"), lists_of_pages, st.booleans(), st.booleans()),
    st.tuples(st.just("reclaim"), st.integers(1, 700)),
    st.tuples(st.sampled_from(["fork", "exit"])),
    st.tuples(st.sampled_from(["collapse", "split", "swap_out", "swap_in", "remap", "move"]), pages),
)
monitoring = st.tuples(st.integers(0, 3), lists_of_pages)


class World:
    """A machine with up to three processes, to which the same can be done as to another one."""

    def __init__(self):
        self.machine = Machine(VirtualClock())
        self.spaces = [SimulatedAddressSpace(self.machine)]
        self.spaces[0].mmap(BASE, NR_PAGES * PAGE)

    def do(self, n, kind, *args):
        space = self.spaces[n % len(self.spaces)]
        page = BASE + args[0] * PAGE if args and isinstance(args[0], int) else 0
        slot = page - page % HUGE
        match kind:
            case "touch":
                end = min(page + args[1] * PAGE, BASE + NR_PAGES * PAGE)
                space.touch(page, end, write=args[2], secondary=args[3])
            case "touch_addresses":
                space.touch_addresses(at(*args[0]), write=args[1], secondary=args[2])
            case "reclaim":
                return self.machine.reclaim(args[0]).tolist()
            case "fork" if len(self.spaces) < 3:
                self.spaces.append(space.fork())
            case "exit" if len(self.spaces) > 1:
                self.spaces.remove(space)
                space.exit()
            case "collapse":
                space.touch(slot, slot + 1)
                space.collapse(slot)
            case "split":
                space.split(page)
            case "swap_out" | "swap_in":
                getattr(space, kind)(page, PAGE)
            case "remap":
                space.munmap(page, PAGE)
                space.mmap(page, PAGE, populate=True)
            case "move":
                space.mremap(page, PAGE, PAGE, BASE + 2 * NR_PAGES * PAGE)
                space.mremap(BASE + 2 * NR_PAGES * PAGE, PAGE, PAGE, page)
        return None

    def monitor(self, n, pages):
        space = self.spaces[n % len(self.spaces)]
        space.young(np.sort(at(*pages)))
        space.mkold(np.sort(at(*pages)))


@settings(max_examples=150, deadline=None)
@given(history=st.lists(st.tuples(st.integers(0, 2), steps, st.lists(monitoring, max_size=3)), min_size=5, max_size=40))
def test_monitoring_does_not_change_what_is_evicted(history):
    alone, monitored = World(), World()
    for n, step, sampled in [*history, (0, ("reclaim", 100_000), [])]:
        for target, addresses in sampled:
            monitored.monitor(target, addresses)
        assert alone.do(n, *step) == monitored.do(n, *step)
    for one, other in zip(alone.spaces, monitored.spaces, strict=True):
        assert one.pages(at(*range(NR_PAGES))).swapped.tolist() == other.pages(at(*range(NR_PAGES))).swapped.tolist()


class Workload(VirtualClock):
    """Virtual time in which a process touches random pages, and memory is short."""

    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.machine = Machine(self)
        self.space = SimulatedAddressSpace(self.machine)
        self.space.mmap(BASE, 4 * HUGE)
        self.evicted = []

    def sleep_until_ns(self, deadline_ns):
        while self.now_ns() + MS <= deadline_ns:
            super().sleep_until_ns(self.now_ns() + MS)
            start = BASE + int(self.rng.integers(2000)) * PAGE
            self.space.touch(start, start + 40 * PAGE, write=bool(self.rng.integers(2)))
            if self.now_ns() % (7 * MS) == 0:
                self.evicted.append(self.machine.reclaim(int(self.rng.integers(1, 150))).tolist())


@pytest.mark.parametrize("seed", range(3))
def test_the_sampling_monitor_does_not_change_what_is_evicted(seed):
    alone, monitored = Workload(seed), Workload(seed)
    with SamplingMonitor(
        [Target(1, monitored.space)], Attrs(), get("vaddr"), monitored, np.random.default_rng(9)
    ) as monitor:
        snapshots = [next(monitor) for _ in range(20)]
    assert sum(int(s.nr_accesses.sum()) for s in snapshots) > 0
    alone.sleep_until_ns(monitored.now_ns())
    assert sum(map(len, monitored.evicted)) > 10_000
    assert alone.evicted == monitored.evicted
