"""Walks of page tables, in every interleaving with what frees page tables."""

from contextlib import suppress
from math import comb

import numpy as np
import pytest

from vadamon import VadamonError
from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.address_space.simulated.interleavings import explore
from vadamon.address_space.simulated.locking import LockingError, Walker, run
from vadamon.address_space.simulated.page_table import ACCESSED, page_numbers
from vadamon.clock import VirtualClock

PAGE = 4096
HUGE = 2 << 20
BASE = 1 << 40
ADDRESSES = np.array([BASE, BASE + 5 * PAGE], dtype=np.uint64)


class NoRules(Walker):
    """A walker that is stopped only when it meets a table that was freed."""

    def _check_may_walk(self, addresses):
        pass


def first_version(space, kind=Walker):
    """Walk as the first version of DAMON did: with nothing but the lock of the page table."""
    walker = kind(space.locks, space._vmas, space.tables)
    pmds = walker.read_pmds(ADDRESSES)
    yield None
    leaves = walker.read_leaves(ADDRESSES, pmds)
    table = int(leaves[0] >> 9)
    yield None
    yield from walker.lock_table(table)
    entries = walker.read(ADDRESSES, leaves)
    yield None
    walker.unlock_table(table)
    return entries


def without_lookup(space, kind=Walker):
    """Walk with the mmap lock held for reading, but without looking up VMAs."""
    walker = kind(space.locks, space._vmas, space.tables)
    yield from walker.read_lock()
    pmds = walker.read_pmds(ADDRESSES)
    yield None
    leaves = walker.read_leaves(ADDRESSES, pmds)
    yield None
    walker.read(ADDRESSES, leaves)
    walker.unlock()


def lookup_too_early(space, kind=Walker):
    """Walk in VMAs that were looked up before the mmap lock was given back and taken again."""
    walker = kind(space.locks, space._vmas, space.tables)
    yield from walker.read_lock()
    walker.find(ADDRESSES)
    known = walker.known
    walker.unlock()
    yield from walker.read_lock()
    pmds = walker.read_pmds(known)
    yield None
    leaves = walker.read_leaves(known, pmds)
    yield None
    walker.read(known, leaves)
    walker.unlock()


def with_interrupts_off(space, kind=Walker):
    """Walk without any lock, but with interrupts off."""
    walker = kind(space.locks, space._vmas, space.tables)
    walker.disable_interrupts()
    pmds = walker.read_pmds(ADDRESSES)
    yield None
    leaves = walker.read_leaves(ADDRESSES, pmds)
    yield None
    walker.read(ADDRESSES, leaves)
    walker.enable_interrupts()


def with_write_lock(space, kind=Walker):
    """Walk with the mmap lock held for writing, whatever the VMAs."""
    walker = kind(space.locks, space._vmas, space.tables)
    yield from walker.write_lock()
    pmds = walker.read_pmds(ADDRESSES)
    yield None
    leaves = walker.read_leaves(ADDRESSES, pmds)
    yield None
    walker.read(ADDRESSES, leaves)
    walker.unlock()


def write_interrupts_off(space):
    """Clear accessed bits without any lock, but with interrupts off."""
    walker = space.walker()
    walker.disable_interrupts()
    leaves = walker.read_leaves(ADDRESSES, walker.read_pmds(ADDRESSES))
    yield None
    walker.clear(ADDRESSES, leaves, ACCESSED)


def ours(space):
    """Take a sample; nobody touches anything, so nothing may look accessed."""
    yield from space.mkold_steps(ADDRESSES)
    accessed, _ = yield from space.young_steps(ADDRESSES)
    assert not accessed.any()


def ours_young(space):
    accessed, size = yield from space.young_steps(ADDRESSES)
    assert not accessed.any()
    assert set(size.tolist()) <= {PAGE, HUGE}


def ours_mkold(space):
    yield from space.mkold_steps(ADDRESSES)


def munmap(space):
    yield from space.munmap_steps(BASE, HUGE)


def munmap_part(space):
    yield from space.munmap_steps(BASE + 2 * PAGE, HUGE - 2 * PAGE)


def khugepaged(space):
    if space.get():
        # Where it is unmapped by then there is nothing to collapse.
        with suppress(VadamonError):
            yield from space.collapse_steps(BASE)
        yield from space.put_steps()


def exit_(space):
    yield from space.exit_steps()


def program(*threads, kind=None, prepare=lambda space: None):
    """Return a program of threads that work on one fresh address space, and a list with the one it made last."""
    made = []

    def start():
        space = SimulatedAddressSpace(Machine(VirtualClock()))
        space.mmap(BASE, HUGE)
        space.touch_addresses(ADDRESSES)
        space.mkold(ADDRESSES)
        prepare(space)
        made[:] = [space]
        first, *others = threads
        walk = first(space) if kind is None else first(space, kind)
        return {"walk": walk, **{thread.__name__: thread(space) for thread in others}}

    return start, made


def free_tables_at_once(space):
    """Be of an architecture on which interrupts do not hold up the freeing of tables."""
    space.locks.freeing_waits_for_interrupts = False


class TestOurs:
    @pytest.mark.parametrize(
        "threads",
        [
            [ours, munmap],
            [ours, munmap_part],
            [ours, khugepaged],
            [ours, exit_],
            [ours, exit_, khugepaged],
            [ours_young, munmap, khugepaged],
            [ours_mkold, munmap, khugepaged],
            [ours_mkold, ours_young, exit_],
        ],
        ids=lambda threads: ", ".join(t.__name__ for t in threads),
    )
    def test_passes_every_interleaving(self, threads):
        start, made = program(*threads)

        def all_is_given_back():
            (space,) = made
            assert (space.locks.readers, space.locks.writer) == (0, False)
            assert space.locks.users == (exit_ not in threads)
            assert (space in space.machine.processes) == (exit_ not in threads)

        assert explore(start, all_is_given_back) > 10

    def test_young_tells_of_a_touch_since_mkold_in_every_interleaving(self):
        seen = set()

        def monitor(space):
            yield from space.mkold_steps(ADDRESSES)
            space.events.append("old")
            yield None
            space.accessed, _ = yield from space.young_steps(ADDRESSES)

        def process(space):
            yield None
            space.events.append("touch")
            space.touch_addresses(ADDRESSES[:1])

        start, made = program(monitor, process, prepare=lambda space: setattr(space, "events", []))

        def check():
            (space,) = made
            seen.add((*space.events, bool(space.accessed[0])))
            assert not space.accessed[1]

        explore(start, check)
        # What is touched after young has looked is not seen.
        assert seen == {("touch", "old", False), ("old", "touch", True), ("old", "touch", False)}


class TestRules:
    @pytest.mark.parametrize("other", [munmap, khugepaged, exit_])
    def test_the_first_versions_walk_is_refused(self, other):
        with pytest.raises(LockingError, match="without the mmap lock") as caught:
            explore(program(first_version, other)[0])
        assert "in the interleaving walk" in caught.value.__notes__[0]

    @pytest.mark.parametrize(
        ("walk", "others", "what"),
        [
            (without_lookup, [munmap], "outside VMAs that were looked up"),
            (lookup_too_early, [munmap], "outside VMAs that were looked up"),
            (write_interrupts_off, [munmap], "written that the walker found itself"),
        ],
    )
    def test_walks_against_the_rules_are_refused(self, walk, others, what):
        with pytest.raises(LockingError, match=what):
            explore(program(walk, *others)[0])

    def test_interrupts_off_do_not_help_everywhere(self):
        with pytest.raises(LockingError, match="without the mmap lock"):
            explore(program(with_interrupts_off, munmap, prepare=free_tables_at_once)[0])

    @pytest.mark.parametrize("other", [munmap, munmap_part, khugepaged])
    @pytest.mark.parametrize("walk", [with_write_lock, with_interrupts_off])
    def test_other_walks_by_the_rules_pass_every_interleaving(self, walk, other):
        assert explore(program(walk, other)[0]) > 1

    def test_vmas_are_looked_up_with_the_lock(self):
        space = SimulatedAddressSpace(Machine(VirtualClock()))
        with pytest.raises(LockingError, match="looked up without the mmap lock"):
            space.walker().find(ADDRESSES)

    def test_an_address_space_without_users_is_gone(self):
        space = SimulatedAddressSpace(Machine(VirtualClock()))
        space.exit()
        with pytest.raises(LockingError, match="no users"):
            run(space.walker().read_lock())


class TestDamage:
    """What the rules are for: walks against them do meet tables that were freed."""

    @pytest.mark.parametrize(
        ("walk", "other"),
        [
            (first_version, munmap),
            (first_version, khugepaged),
            (first_version, exit_),
            (without_lookup, munmap),
            (lookup_too_early, munmap),
        ],
    )
    def test_some_interleaving_uses_a_freed_table(self, walk, other):
        with pytest.raises(LockingError, match="a page table is used that was freed"):
            explore(program(walk, other, kind=NoRules)[0])

    def test_without_waiting_for_interrupts_tables_are_freed_under_the_walker(self):
        with pytest.raises(LockingError, match="a page table is used that was freed"):
            explore(program(with_interrupts_off, munmap, kind=NoRules, prepare=free_tables_at_once)[0])

    @pytest.mark.parametrize("walk", [first_version, without_lookup, lookup_too_early])
    def test_no_table_is_freed_that_a_mapping_needs(self, walk):
        assert explore(program(walk, munmap_part, kind=NoRules)[0]) > 1

    def test_a_freed_table_is_not_written_either(self):
        space = SimulatedAddressSpace(Machine(VirtualClock()))
        space.mmap(BASE, HUGE, populate=True)
        leaves = space.tables.leaves(page_numbers(ADDRESSES))
        space.munmap(BASE, HUGE)
        walker = NoRules(space.locks, space._vmas, space.tables, is_kernel=True)
        with pytest.raises(LockingError, match="freed"):
            walker.clear(ADDRESSES, leaves, ACCESSED)


class TestExplore:
    @pytest.mark.parametrize(("n", "m"), [(0, 0), (1, 3), (4, 4)])
    def test_runs_every_interleaving_once(self, n, m):
        seen = []

        def thread(name, nr_yields, trace):
            for _ in range(nr_yields):
                trace.append(name)
                yield None
            trace.append(name)

        def start():
            seen.append([])
            return {"a": thread("a", n, seen[-1]), "b": thread("b", m, seen[-1])}

        assert explore(start) == len({tuple(trace) for trace in seen}) == comb(n + m + 2, n + 1)

    def test_finds_a_deadlock(self):
        def thread(space, first, second):
            walker = space.walker()
            yield from walker.lock_table(first)
            yield from walker.lock_table(second)
            walker.unlock_table(second)
            walker.unlock_table(first)

        def start():
            space = SimulatedAddressSpace(Machine(VirtualClock()))
            return {"a": thread(space, 1, 2), "b": thread(space, 2, 1)}

        with pytest.raises(LockingError, match="a and b wait for each other"):
            explore(start)

    def test_a_call_that_would_wait_for_ever_is_refused(self):
        space = SimulatedAddressSpace(Machine(VirtualClock()))
        run(space.walker().read_lock())
        with pytest.raises(LockingError, match="waits for a lock"):
            space.mmap(BASE, HUGE)
