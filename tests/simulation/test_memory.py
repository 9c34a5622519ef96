"""The truth that is kept of what a program does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vadamon import Attrs
from vadamon.accuracy.truth import TrueAccesses
from vadamon.address_space.simulated import Machine, SimulatedAddressSpace
from vadamon.clock import VirtualClock
from vadamon.simulation.memory import PAGE_SIZE, Memory, TruthKeeper

NR_PAGES = 40
START = 0x7F0000000000
TOUCH = st.tuples(st.integers(0, NR_PAGES - 1), st.integers(1, 9), st.sampled_from([64, 4096, 8192, 12_288]))
SAMPLES = st.lists(st.lists(TOUCH, max_size=4), max_size=9)


def touched_pages(first: int, nr_pages: int, step: int) -> set[int]:
    stop = min(NR_PAGES, first + nr_pages)
    return {address // PAGE_SIZE for address in range(first * PAGE_SIZE, stop * PAGE_SIZE, step)}


@given(SAMPLES, st.booleans())
def test_truth_is_in_how_many_samples_each_page_was_touched(
    samples: list[list[tuple[int, int, int]]], by_address: bool
) -> None:
    kept: list[TrueAccesses] = []
    attrs = Attrs(sample_us=10, aggr_us=40)  # four samples
    keeper = TruthKeeper(3, attrs, kept.append)
    space = SimulatedAddressSpace(Machine(VirtualClock()))
    memory = Memory(space, keeper)
    memory.map(START, START + NR_PAGES * PAGE_SIZE)
    for k, touches in enumerate(samples):
        for first, nr_pages, step in touches:
            if by_address:
                pages = np.array(sorted(touched_pages(first, nr_pages, step)), np.uint64)
                memory.touch_addresses(np.uint64(START) + pages * np.uint64(PAGE_SIZE))
            else:
                end = START + min(NR_PAGES, first + nr_pages) * PAGE_SIZE
                memory.touch(START + first * PAGE_SIZE, end, step)
        keeper.end_sample((k + 1) * 10_000)
    keeper.end()

    assert len(kept) == -(-len(samples) // 4)
    for k, interval in enumerate(kept):
        mine = samples[4 * k : 4 * k + 4]
        assert (interval.target_id, interval.nr_samples) == (3, len(mine))
        assert (interval.start_ns, interval.end_ns) == (k * 40_000, k * 40_000 + len(mine) * 10_000)
        expected = np.zeros(NR_PAGES, int)
        for touches in mine:
            expected[list(set().union(*(touched_pages(*touch) for touch in touches)))] += 1
        found = np.zeros(NR_PAGES, int)
        for start, end, count in zip(interval.start.tolist(), interval.end.tolist(), interval.nr_accesses, strict=True):
            found[(start - START) // PAGE_SIZE : (end - START) // PAGE_SIZE] = count
        assert found.tolist() == expected.tolist()
