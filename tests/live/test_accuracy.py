"""What a person relies on: hot memory is found hot, cold memory cold, of whatever kind it is."""

import pytest

from tests.live.conftest import AREA, HOT, MIB, often, overlap, score
from vadamon import Attrs
from vadamon.workload import Area

SETTLED_NS = 3_000_000_000


def hot_area(kind, move_every_s=None):
    """Return an area, an eighth of it touched all the time."""
    sweep = often(offset=AREA // 4, length=HOT, move_every_s=move_every_s)
    return Area("area", kind=kind, size=AREA, patterns=[sweep])


def settled(snapshots):
    return [s for s in snapshots if s.start_ns >= snapshots[0].start_ns + SETTLED_NS]


def is_told_apart(result, kind):
    # What only clear_refs clears has one or two valid samples an interval: where the process did not run in them, it
    # did not touch anything.
    recall = 0.95 if kind in ("shared", "mlocked") else 0.98
    return result.hot_mean >= 18 and result.cold_mean <= 0.5 and result.precision >= 0.98 and result.recall >= recall


@pytest.mark.parametrize("kind", ["private", "huge", "shared", "file", "mlocked"])
def test_hot_and_cold_memory_are_told_apart(run, kind):
    results = []
    for _ in range(2):  # once more where the machine was too busy for the workload to keep its pace
        snapshots, workload = run(hot_area(kind), 8)
        area = workload.areas["area"]
        hot = (area.start + AREA // 4, area.start + AREA // 4 + HOT)
        results.append(score(settled(snapshots), (area.start, area.end), lambda _, hot=hot: hot))
        if is_told_apart(results[-1], kind):
            return
    pytest.fail(f"{results}")


@pytest.mark.parametrize("size", [MIB // 2, 2 * MIB])
def test_small_hot_sets_of_shared_memory_are_found(run, size):
    # So small that it stays in the TLB, where clear_refs alone leaves it, and it would look cold.
    area = Area("area", kind="shared", size=16 * size, patterns=[often(offset=4 * size, length=size)])
    results = []
    for _ in range(2):  # once more, as above
        snapshots, workload = run(area, 7)
        start, end = workload.areas["area"].start, workload.areas["area"].end
        hot = (start + 4 * size, start + 5 * size)
        results.append(score(settled(snapshots), (start, end), lambda _, hot=hot: hot))
        if results[-1].hot_mean >= 18 and results[-1].recall >= 0.95:
            return
    pytest.fail(f"{results}")


def test_a_hot_range_that_moves_is_found_within_two_seconds(run):
    snapshots, workload = run(hot_area("private", move_every_s=5), 15)
    area = workload.areas["area"]
    places = [i for i in workload.log.intervals() if i.pattern is not None]

    def hot_at(snapshot):
        for place in places:
            if place.first_ns + 2_000_000_000 <= snapshot.start_ns and snapshot.end_ns <= place.last_ns:
                return place.start, place.end
        return None

    assert len({place.start for place in places}) >= 3
    result = score(settled(snapshots), (area.start, area.end), hot_at)
    assert result.hot_mean >= 18
    assert result.cold_mean <= 0.5
    assert result.precision >= 0.98
    assert result.recall >= 0.98


def test_unknown_memory_is_said_to_be_unknown(run):
    # Without a budget for clearing, nothing can be known of memory that two processes map.
    from vadamon.backends import BACKENDS, Options
    from vadamon.workload import Workload

    with Workload([hot_area("shared")]) as workload:
        area = workload.areas["area"]
        with BACKENDS["page-table"].open([workload.pid], Attrs(), Options(clear_budget=0)) as monitor:
            for _, snapshot in zip(range(10), monitor, strict=False):
                inside = overlap(snapshot, area.start, area.end) == snapshot.end - snapshot.start
                assert snapshot.unknown[inside].all()
                assert not snapshot.nr_accesses[inside].any()
                assert snapshot.health.uncleared > 0
