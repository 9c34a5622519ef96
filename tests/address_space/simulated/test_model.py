"""Any sequence of what can happen to memory, against a model in plain Python."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vadamon import VadamonError
from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.address_space.simulated.physical_memory import PG_IDLE, PG_LRU, PG_ONLINE, PG_YOUNG
from vadamon.clock import VirtualClock

PAGE = 4096
HUGE = 512
BASE = (1 << 40) // PAGE
NR_PAGES = 4 * HUGE
ALL = (BASE + np.arange(NR_PAGES, dtype=np.uint64)) * np.uint64(PAGE)
MAX_PROCESSES = 3

edges = st.sampled_from([0, 1, 5, 9, 510, 511, 512, 513, 700, 1023, 1024, 1025, 1030, 1536, NR_PAGES - 1, NR_PAGES])
ranges = st.tuples(edges, edges).filter(lambda r: r[0] != r[1]).map(sorted)
some_pages = st.lists(st.one_of(edges, st.integers(0, NR_PAGES)).map(lambda p: min(p, NR_PAGES - 1)), max_size=8)
slots = st.integers(0, NR_PAGES // HUGE - 1).map(lambda slot: slot * HUGE)
mostly = st.sampled_from([True, True, True, True, False])
process_numbers = st.integers(0, MAX_PROCESSES - 1)


class Page:
    """A physical page."""

    def __init__(self):
        self.young = False
        self.on_lru = True
        self.online = True

    def copy(self):
        page = Page()
        page.__dict__.update(self.__dict__)
        return page

    @property
    def can_be_monitored(self):
        return self.on_lru and self.online


class Leaf:
    """One process's mapping of a page, and which of its MMUs have accessed it since its mkold."""

    def __init__(self, page, huge=False, cpu=False, guest=False):
        self.page, self.huge, self.cpu, self.guest = page, huge, cpu, guest


class Process:
    """Permissions, leaves (one object for all 512 pages of a huge page) and swapped pages, by number of the page."""

    def __init__(self, space):
        self.space = space
        self.permissions = {}
        self.leaves = {}
        self.swapped = set()

    def mapped(self, start, end):
        return all(p in self.permissions for p in range(start, end))

    def bring_in(self, p):
        self.swapped.discard(p)
        return self.leaves.setdefault(p, Leaf(Page()))

    def forget(self, p):
        self.permissions.pop(p, None)
        self.leaves.pop(p, None)
        self.swapped.discard(p)


def address(page):
    return (BASE + page) * PAGE


class SimulatedMemory(RuleBasedStateMachine):
    @initialize(
        end=st.sampled_from([1024, 1030, 1536, NR_PAGES]),
        shared=mostly.map(lambda private: not private),
        touched=st.permutations(range(0, NR_PAGES, HUGE)).flatmap(lambda p: st.integers(0, 4).map(lambda n: p[:n])),
        huge=st.sets(slots),
        forked=st.booleans(),
    )
    def begin(self, end, shared, touched, huge, forked):
        self.machine = Machine(VirtualClock())
        self.processes = [Process(SimulatedAddressSpace(self.machine))]
        self.mmap(0, (0, end), False, shared)
        for slot in touched:
            self.touch(0, (slot, slot + 3), 0, PAGE, False, False, True)
        for slot in huge & set(touched):
            self.collapse(0, slot)
        if forked:
            self.fork(0)

    def process(self, number):
        return self.processes[number % len(self.processes)]

    def nr_mappings(self):
        return Counter(leaf.page for process in self.processes for leaf in set(process.leaves.values()))

    def split_page(self, page):
        pieces = [page.copy() for _ in range(HUGE)]
        for process in self.processes:
            for p, leaf in list(process.leaves.items()):
                if leaf.page is page:
                    process.leaves[p] = Leaf(pieces[p % HUGE], cpu=leaf.cpu, guest=leaf.guest)

    def split_edges(self, process, start, end):
        for edge in (start, end):
            if edge % HUGE and edge in process.leaves and process.leaves[edge].huge:
                self.split_page(process.leaves[edge].page)

    def evict(self, pages):
        for process in self.processes:
            for p, leaf in list(process.leaves.items()):
                if leaf.page in pages:
                    del process.leaves[p]
                    process.swapped.add(p)

    @rule(n=process_numbers, where=ranges, populate=st.booleans(), shared=st.booleans())
    def mmap(self, n, where, populate, shared):
        process, (start, end) = self.process(n), where
        permissions = "rw-s" if shared else "rw-p"

        def mmap():
            process.space.mmap(address(start), (end - start) * PAGE, permissions=permissions, populate=populate)

        if any(p in process.permissions for p in range(start, end)):
            with pytest.raises(VadamonError, match="munmap that first"):
                mmap()
            return
        mmap()
        for p in range(start, end):
            process.permissions[p] = permissions
            if populate:
                process.bring_in(p)

    @rule(n=process_numbers, where=ranges)
    def munmap(self, n, where):
        process, (start, end) = self.process(n), where
        process.space.munmap(address(start), (end - start) * PAGE)
        self.split_edges(process, start, end)
        for p in range(start, end):
            process.forget(p)

    @rule(n=process_numbers, where=ranges, permissions=st.sampled_from(["rw-p", "r--p", "---p"]))
    def mprotect(self, n, where, permissions):
        process, (start, end) = self.process(n), where
        if process.mapped(start, end):
            process.space.mprotect(address(start), (end - start) * PAGE, permissions)
            process.permissions.update(dict.fromkeys(range(start, end), permissions))

    @rule(n=process_numbers, where=ranges, to=edges, growth=st.sampled_from([-1, 0, 1]))
    def mremap(self, n, where, to, growth):
        process, (start, end) = self.process(n), where
        to_end = to + end - start + growth
        new = range(to, to_end) if to != start else range(end, to_end)
        is_one = any(m.start <= address(start) and address(end) <= m.end for m in process.space.mappings())
        if not is_one or to_end <= to or to_end > NR_PAGES or any(p in process.permissions for p in new):
            return
        process.space.mremap(
            address(start), (end - start) * PAGE, (to_end - to) * PAGE, None if to == start else address(to)
        )
        permissions = process.permissions[start]
        kept_end = min(end, start + to_end - to)
        if kept_end < end:
            self.split_edges(process, kept_end, end)
            for p in range(kept_end, end):
                process.forget(p)
        if to != start:
            self.split_edges(process, start, kept_end)
            huge = {
                process.leaves[p].page for p in range(start, kept_end) if p in process.leaves and (to - start) % HUGE
            }
            for page in huge:
                if any(leaf.page is page and leaf.huge for leaf in process.leaves.values()):
                    self.split_page(page)
        leaves = {p: process.leaves[p] for p in range(start, kept_end) if p in process.leaves}
        swapped = process.swapped & set(range(start, kept_end))
        for p in range(start, kept_end):
            process.forget(p)
        process.leaves.update({p + to - start: leaf for p, leaf in leaves.items()})
        process.swapped |= {p + to - start for p in swapped}
        process.permissions.update(dict.fromkeys(range(to, to_end), permissions))

    @precondition(lambda self: len(self.processes) < MAX_PROCESSES)
    @rule(n=process_numbers)
    def fork(self, n):
        parent = self.process(n)
        child = Process(parent.space.fork())
        child.permissions = dict(parent.permissions)
        child.swapped = set(parent.swapped)
        copies = {leaf: Leaf(leaf.page, leaf.huge) for leaf in parent.leaves.values()}
        child.leaves = {p: copies[leaf] for p, leaf in parent.leaves.items()}
        self.processes.append(child)

    @precondition(lambda self: len(self.processes) > 1)
    @rule(n=process_numbers)
    def exit(self, n):
        process = self.process(n)
        process.space.exit()
        self.processes.remove(process)
        assert not process.space.is_alive()
        assert not len(process.space.mappings())
        assert not process.space.young(ALL)[0].any()

    def touch_in_model(self, process, pages, write, guest):
        nr_mappings = self.nr_mappings()
        for p in pages:
            leaf = process.bring_in(p)
            if write and "p" in process.permissions[p] and nr_mappings[leaf.page] > 1:
                nr_mappings[leaf.page] -= 1
                own = Leaf(Page(), leaf.huge)
                for q in [q for q, other in process.leaves.items() if other is leaf]:
                    process.leaves[q] = own
                leaf = own
            if guest:
                leaf.guest = True
            else:
                leaf.cpu = True

    def can_touch(self, process, page, write):
        return ("w" if write else "r") in process.permissions.get(page, "")

    def touch_both(self, process, touch, pages, write, guest):
        if all(self.can_touch(process, p, write) for p in pages):
            touch()
            self.touch_in_model(process, pages, write, guest)
        else:
            with pytest.raises(VadamonError, match="before it is touched"):
                touch()

    @rule(
        n=process_numbers,
        where=ranges,
        offset=st.sampled_from([0, 1, 4095]),
        step=st.sampled_from([100, PAGE, PAGE + 1, 2 * PAGE, 7 * PAGE, 512 * PAGE, 600 * PAGE]),
        write=st.booleans(),
        guest=st.booleans(),
        careful=mostly,
    )
    def touch(self, n, where, offset, step, write, guest, careful):
        process, (start, end) = self.process(n), where
        if careful:
            start = next((p for p in range(start, end) if self.can_touch(process, p, write)), start)
            end = next((p for p in range(start + 1, end) if not self.can_touch(process, p, write)), end)
        accessed = range(address(start) + offset, address(end), step)
        self.touch_both(
            process,
            lambda: process.space.touch(address(start) + offset, address(end), step, write=write, secondary=guest),
            sorted({a // PAGE - BASE for a in accessed}),
            write,
            guest,
        )

    @rule(n=process_numbers, pages=some_pages, write=st.booleans(), guest=st.booleans(), careful=mostly)
    def touch_addresses(self, n, pages, write, guest, careful):
        process = self.process(n)
        if careful:
            pages = [p for p in pages if self.can_touch(process, p, write)]
        addresses = ALL[pages] + np.uint64(17)
        self.touch_both(
            process,
            lambda: process.space.touch_addresses(addresses, write=write, secondary=guest),
            sorted(set(pages)),
            write,
            guest,
        )

    @rule(n=process_numbers, start=slots)
    def collapse(self, n, start):
        process = self.process(n)
        slot = range(start, start + HUGE)
        one = [m for m in process.space.mappings() if m.start <= address(start) and address(start + HUGE) <= m.end]
        if start in process.leaves and process.leaves[start].huge:
            process.space.collapse(address(start))
        elif one and "p" in one[0].permissions and any(p in process.leaves for p in slot):
            process.space.collapse(address(start))
            process.leaves.update(dict.fromkeys(slot, Leaf(Page(), huge=True)))
            process.swapped -= set(slot)
        else:
            with pytest.raises(VadamonError, match="before the collapse"):
                process.space.collapse(address(start))

    @rule(n=process_numbers, page=edges)
    def split(self, n, page):
        process = self.process(n)
        process.space.split(address(page))
        if page in process.leaves and process.leaves[page].huge:
            self.split_page(process.leaves[page].page)

    @rule(n=process_numbers, where=ranges)
    def swap_out(self, n, where):
        process, (start, end) = self.process(n), where
        process.space.swap_out(address(start), (end - start) * PAGE)
        self.split_edges(process, start, end)
        self.evict({process.leaves[p].page for p in range(start, end) if p in process.leaves})

    @rule(n=process_numbers, where=ranges)
    def swap_in(self, n, where):
        process, (start, end) = self.process(n), where
        process.space.swap_in(address(start), (end - start) * PAGE)
        for p in process.swapped & set(range(start, end)):
            process.bring_in(p)

    @rule()
    def reclaim_all(self):
        pages = {leaf.page for process in self.processes for leaf in process.leaves.values()}
        self.machine.reclaim(10**9)
        self.evict({page for page in pages if page.on_lru})

    @rule(n=process_numbers, page=edges, what=st.sampled_from(["isolate", "putback", "online", "offline"]))
    def change_page(self, n, page, what):
        process = self.process(n)
        if page not in process.leaves:
            return
        frame = process.space.pages(np.array([address(page)], dtype=np.uint64)).frame
        model = process.leaves[page].page
        if what in ("isolate", "putback"):
            getattr(self.machine.memory, what)(frame)
            model.on_lru = what == "putback"
        else:
            self.machine.memory.set_online(frame, what == "online")
            model.online = what == "online"

    @rule(n=process_numbers, pages=some_pages)
    def mkold(self, n, pages):
        process = self.process(n)
        process.space.mkold(np.sort(ALL[pages]))
        leaves = {process.leaves[p] for p in pages if p in process.leaves and p in process.permissions}
        for leaf in leaves:
            if leaf.page.can_be_monitored:
                leaf.page.young |= leaf.cpu or leaf.guest
                leaf.cpu = leaf.guest = False

    @rule(n=process_numbers)
    def mkold_all(self, n):
        self.mkold(n, list(range(NR_PAGES)))

    @invariant()
    def young_tells_what_was_touched(self):
        """Through any MMU since its mkold, and only if it is still the same page."""
        for process in self.processes:
            accessed, size = process.space.young(ALL)
            leaves = [process.leaves.get(p) for p in range(NR_PAGES)]
            assert accessed.tolist() == [
                leaf is not None and leaf.page.can_be_monitored and (leaf.cpu or leaf.guest) for leaf in leaves
            ]
            assert size.tolist() == [PAGE * (HUGE if leaf is not None and leaf.huge else 1) for leaf in leaves]

    @invariant()
    def pg_young_tells_what_mkold_took(self):
        for process in self.processes:
            flags = process.space.pages(ALL).flags
            leaves = [process.leaves.get(p) for p in range(NR_PAGES)]
            assert (flags & PG_YOUNG != 0).tolist() == [leaf is not None and leaf.page.young for leaf in leaves]

    @invariant()
    def the_state_of_pages_is_right(self):
        frames = {}
        for process in self.processes:
            pages = process.space.pages(ALL)
            leaves = [process.leaves.get(p) for p in range(NR_PAGES)]
            assert pages.present.tolist() == [leaf is not None for leaf in leaves]
            assert pages.accessed.tolist() == [leaf is not None and leaf.cpu for leaf in leaves]
            assert pages.secondary_accessed.tolist() == [leaf is not None and leaf.guest for leaf in leaves]
            assert pages.swapped.tolist() == [p in process.swapped for p in range(NR_PAGES)]
            for frame, leaf in zip(pages.frame.tolist(), leaves, strict=True):
                assert frames.setdefault(frame, leaf and leaf.page) is (leaf and leaf.page)
        frames.pop(0, None)
        assert len(set(map(id, frames.values()))) == len(frames)
        memory = self.machine.memory
        nr_mappings = self.nr_mappings()
        for frame, page in frames.items():
            assert memory.mapcount[frame] == nr_mappings[page]
            assert bool(memory.flags[frame] & PG_LRU) == page.on_lru
            assert bool(memory.flags[frame] & PG_ONLINE) == page.online
            assert memory.flags[frame] & PG_IDLE

    @invariant()
    def each_page_is_on_one_list(self):
        memory = self.machine.memory
        listed = np.concatenate([memory.active.frames, memory.inactive.frames])
        listed = listed[memory.flags[listed] & PG_LRU != 0]
        pages = {leaf.page for process in self.processes for leaf in process.leaves.values()}
        assert len(listed) == len(set(listed.tolist())) == sum(page.on_lru for page in pages)

    @invariant()
    def mappings_are_right(self):
        for process in self.processes:
            mapped = {
                p: m.permissions
                for m in process.space.mappings()
                for p in range(m.start // PAGE - BASE, m.end // PAGE - BASE)
            }
            assert mapped == process.permissions


TestSimulatedMemory = SimulatedMemory.TestCase
TestSimulatedMemory.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
