"""The events of the kernel's tracepoint, put together again."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vadamon.monitors.damon_trace import EventParser

LOST = b"CPU:1 [LOST 57 EVENTS]\n"


def event(target, nr_regions, start, end, nr_accesses=0, age=0, thread=99, us=0):
    return (
        f"       kdamond.0-{thread}    [001] .....    12.{us:06}: damon_aggregated: target_id={target} "
        f"nr_regions={nr_regions} {start}-{end}: {nr_accesses} {age}\n"
    ).encode()


def aggregation(target, nr_regions, us=0):
    """Return the events of one aggregation: regions of 4096 bytes with a gap behind the first."""
    places = [4096 * (i + (i > 0)) for i in range(1, nr_regions + 1)]
    return [event(target, nr_regions, p, p + 4096, i % 21, i, us=us) for i, p in enumerate(places)]


def test_an_aggregation_is_read_as_it_was_traced():
    text = event(0, 2, 4096, 8192, 20, 7) + event(0, 2, 8192, 2**47 - 4096, 0, 123456, us=34)
    (found,) = EventParser(99).feed(text)
    assert (found.target, found.time_ns) == (0, 12_000_034_000)
    assert found.start.tolist() == [4096, 8192]
    assert found.end.tolist() == [8192, 2**47 - 4096]
    assert found.nr_accesses.tolist() == [20, 0]
    assert found.age.tolist() == [7, 123456]
    assert [a.dtype for a in (found.start, found.end, found.nr_accesses, found.age)] == [np.uint64] * 2 + [
        np.uint32
    ] * 2


def test_other_threads_and_other_lines_are_left_out():
    mine = aggregation(0, 2)
    text = (
        event(0, 1, 0, 4096, thread=98).join(mine) + LOST + b"   sh-12 [000] ..... 12.000001: sys_enter: nr_regions=1\n"
    )
    assert [len(a.start) for a in EventParser(99).feed(text)] == [2]


def test_aggregations_of_a_single_region_are_told_apart_wherever_it_moves():
    text = b"".join(event(0, 1, start, start + 4096) for start in (4096, 4096, 8192, 65536, 0))
    assert [a.start.tolist() for a in EventParser(99).feed(text)] == [[4096], [4096], [8192], [65536], [0]]


def test_what_is_not_whole_yet_waits():
    parser = EventParser(99)
    first, second, third = aggregation(0, 3)
    assert parser.feed(first + second[:40]) == []
    assert parser.feed(second[40:]) == []
    assert len(parser.feed(third)) == 1
    assert parser.feed(b"") == []


def test_an_aggregation_that_lost_an_event_is_left_out_and_no_other():
    events = aggregation(0, 3, us=1) + aggregation(0, 3, us=2) + aggregation(0, 3, us=3)
    for lost in range(3, 6):
        text = b"".join(events[:lost]) + LOST + b"".join(events[lost + 1 :])
        assert [a.time_ns for a in EventParser(99).feed(text)] == [12_000_001_000, 12_000_003_000]


@given(
    sizes=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), max_size=12),
    cuts=st.lists(st.integers(0, 5000), max_size=8),
)
def test_however_the_text_comes_it_gives_the_same_aggregations(sizes, cuts):
    text = b"".join(b"".join(aggregation(target, n, us=i)) for i, (target, n) in enumerate(sizes))
    parser, found, at = EventParser(99), [], 0
    for cut in [*sorted(cuts), len(text)]:
        found += parser.feed(text[at:cut])
        at = max(at, cut)
    assert [(a.target, len(a.start), a.time_ns % 10**9 // 1000) for a in found] == [
        (target, n, i) for i, (target, n) in enumerate(sizes)
    ]
