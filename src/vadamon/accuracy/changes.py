"""When the hot memory changes, and how long it takes until a monitor has seen it."""

import numpy as np

from vadamon.ranges import Ranges, sizes_within, total_size, without

_NOTHING: Ranges = (np.empty(0, np.uint64), np.empty(0, np.uint64))


class ChangeTracker:
    """Follows the hot memory of one target from interval to interval.

    It changes where more than a quarter of the bytes that are hot before or after are so only on one side. Changes in
    intervals that follow each other are one: it lasts from the first of them on, and one that is still going on at the
    end is left out. The beginning is a change too, from nothing. A change is seen at the end of the first snapshot in
    which at least half of the bytes that became hot are found hot, and at most half of those that ceased to be.

    ``delays_ns`` holds, for each change from ``from_ns`` on, how long after its begin it was seen; None where it was
    not seen before the next change or the end.
    """

    def __init__(self, from_ns: int | None = None) -> None:
        self.delays_ns: list[int | None] = []
        self._from_ns = from_ns
        self._hot = _NOTHING
        self._before = _NOTHING
        self._begin_ns: int | None = None
        self._seen_ns: int | None = None
        self._is_changing = False

    def add(self, start_ns: int, end_ns: int, hot: Ranges, found_hot: Ranges) -> None:
        """Take in one interval: what was hot, and what its snapshot found hot."""
        changed = _is_change(self._hot, hot)
        if changed and self._is_changing:
            self._seen_ns = None
        elif changed:
            self._settle()
            self._begin_ns, self._before = start_ns, self._hot
        self._is_changing = changed
        self._hot = hot
        if self._begin_ns is not None and self._seen_ns is None and _is_seen(self._before, hot, found_hot):
            self._seen_ns = end_ns

    def end(self) -> None:
        """Take it that there are no more intervals."""
        if not self._is_changing:
            self._settle()

    def _settle(self) -> None:
        if self._begin_ns is not None and (self._from_ns is None or self._begin_ns >= self._from_ns):
            self.delays_ns.append(None if self._seen_ns is None else self._seen_ns - self._begin_ns)
        self._begin_ns = self._seen_ns = None


def _is_change(before: Ranges, after: Ranges) -> bool:
    common = _common_size(before, after)
    either = total_size(before) + total_size(after) - common
    return 4 * (either - common) > either


def _is_seen(before: Ranges, after: Ranges, found: Ranges) -> bool:
    became, ceased = without(after, before), without(before, after)
    found_of_became, found_of_ceased = _common_size(became, found), _common_size(ceased, found)
    return 2 * found_of_became >= total_size(became) and 2 * found_of_ceased <= total_size(ceased)


def _common_size(one: Ranges, other: Ranges) -> int:
    return int(sizes_within(one, *other).sum())
