import numpy as np

from vadamon.accuracy.changes import ChangeTracker

Hot = tuple[int, int]


def delays(truth: list[Hot], found: list[Hot], from_ns: int | None = None) -> list[int | None]:
    """Follow one hot range an interval of 100; an empty one is (0, 0)."""
    tracker = ChangeTracker(from_ns)
    for k, (hot, found_hot) in enumerate(zip(truth, found, strict=True)):
        tracker.add(100 * k, 100 * (k + 1), *(ranges(*pair) for pair in (hot, found_hot)))
    tracker.end()
    return tracker.delays_ns


def ranges(start: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    pairs = [(start, end)] if start < end else []
    return np.array([s for s, _ in pairs], np.uint64), np.array([e for _, e in pairs], np.uint64)


A, B, C, NOTHING = (0, 10), (20, 30), (40, 50), (0, 0)


def test_beginning_is_a_change_from_nothing() -> None:
    assert delays([A] * 3, [A] * 3) == [100]
    assert delays([A] * 3, [NOTHING, A, A]) == [200]
    assert delays([NOTHING] * 3, [NOTHING] * 3) == []


def test_change_is_seen_when_the_new_is_found_and_the_old_no_longer() -> None:
    assert delays([A] * 3 + [B] * 4, [A] * 4 + [B] * 3) == [100, 200]
    assert delays([A] * 3 + [B] * 4, [A] * 3 + [(0, 30)] * 2 + [B] * 2) == [100, 300]
    assert delays([A] * 3 + [NOTHING] * 4, [A] * 6 + [NOTHING]) == [100, 400]


def test_half_of_it_is_enough() -> None:
    assert delays([A] * 2 + [B] * 2, [A] * 2 + [(5, 25)] * 2) == [100, 100]
    assert delays([A] * 2 + [B] * 2, [A] * 2 + [(5, 24)] * 2) == [100, None]


def test_change_that_is_not_seen_in_time_is_none() -> None:
    assert delays([A] * 2 + [B] * 2 + [C] * 2, [A] * 5 + [C]) == [100, None, 200]


def test_changes_that_follow_each_other_are_one() -> None:
    # In the interval in which a phase ends both are hot.
    assert delays([A, A, (0, 30), B, B], [A, A, (0, 30), B, B]) == [100, 200]


def test_what_changes_all_the_time_never_settles() -> None:
    assert delays([A, B, C, A, B, C], [A, B, C, A, B, C]) == []


def test_small_changes_are_none() -> None:
    assert delays([(0, 100), (0, 90), (0, 110)], [NOTHING] * 3) == [None]


def test_changes_before_a_time_are_left_out() -> None:
    assert delays([A] * 3 + [B] * 2, [A] * 3 + [B] * 2, from_ns=100) == [100]
