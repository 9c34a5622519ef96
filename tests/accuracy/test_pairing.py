import numpy as np
import pytest

from vadamon import Snapshot
from vadamon.accuracy.pairing import pairs
from vadamon.accuracy.truth import TrueAccesses

NOTHING = np.empty(0, np.uint64)


def true(
    times: tuple[int, int], runs: list[tuple[int, int, int]], unknown: tuple[int, int] | None = None, target_id: int = 1
) -> TrueAccesses:
    start, end, counts = (np.array([run[i] for run in runs], np.uint64) for i in range(3))
    gaps = (
        (NOTHING, NOTHING) if unknown is None else (np.array(unknown[:1], np.uint64), np.array(unknown[1:], np.uint64))
    )
    return TrueAccesses(target_id, *times, 10, start, end, counts.astype(np.uint32), gaps)


def snapshot(start_ns: int, end_ns: int, target_id: int = 1) -> Snapshot:
    none = np.empty(0, np.uint32)
    return Snapshot(target_id, start_ns, end_ns, NOTHING, NOTHING, none, none, 20, none.astype(bool))


def times(found: list[tuple[Snapshot, TrueAccesses]]) -> list[tuple[int, int, int]]:
    return [(s.start_ns, t.start_ns, t.end_ns) for s, t in found]


def test_short_intervals_of_the_truth_are_added_up() -> None:
    truth = [
        true((0, 100), [(0, 30, 10)]),
        true((100, 200), [(10, 20, 5), (40, 50, 1)], unknown=(60, 70)),
        true((200, 300), []),
        true((300, 400), [(0, 99, 9)], unknown=(65, 80)),
    ]
    found = list(pairs([snapshot(10, 310)], truth))
    assert times(found) == [(10, 0, 300)]
    both = found[0][1]
    runs = list(zip(both.start.tolist(), both.end.tolist(), both.nr_accesses.tolist(), strict=True))
    assert runs == [(0, 10, 10), (10, 20, 15), (20, 30, 10), (40, 50, 1)]
    assert (both.nr_samples, both.unknown[0].tolist(), both.unknown[1].tolist()) == (30, [60], [70])


def test_long_intervals_of_the_truth_hold_many_snapshots() -> None:
    truth = [true((k * 1000, (k + 1) * 1000), []) for k in range(2)]
    found = pairs([snapshot(k * 400, (k + 1) * 400) for k in range(6)], truth)
    # The fifth has the first middle of the truth behind it, and the second before it.
    assert [(s, t) for s, t, _ in times(list(found))] == [(0, 0), (400, 0), (800, 1000), (1200, 1000), (1600, 1000)]


@pytest.mark.parametrize("shift", [0, 1, 30, 49])
def test_intervals_that_are_cut_elsewhere(shift: int) -> None:
    truth = [true((k * 100, (k + 1) * 100), []) for k in range(5)]
    found = list(pairs([snapshot(k * 100 + shift, (k + 1) * 100 + shift) for k in range(7)], truth))
    assert [(s - shift, t) for s, t, _ in times(found)] == [(k * 100, k * 100) for k in range(5)]


def test_truth_of_an_ended_target_does_not_have_the_rest_read_ahead() -> None:
    read = []

    def truth():
        for k in range(100):
            read.append(k)
            yield true((k * 100, (k + 1) * 100), [], target_id=2)

    for _ in pairs([snapshot(0, 100, target_id=1), snapshot(0, 100, target_id=2)], truth()):
        assert len(read) <= 3
