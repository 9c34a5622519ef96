"""Clocks: the only source of time for the monitors."""

import time
from typing import Protocol


class Clock(Protocol):
    """What a monitor needs of time. All times are nanoseconds."""

    def now_ns(self) -> int:
        """Return the time since an arbitrary start; never goes back."""

    def wall_ns(self) -> int:
        """Return the wall-clock time, since 1970 in UTC."""

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Return at ``deadline_ns`` of `now_ns`, or at once where that has passed."""


_LONGEST_SLEEP_NS = 100_000_000


class MonotonicClock:
    """CLOCK_MONOTONIC of this machine."""

    def __init__(self) -> None:
        self._interrupted = False

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Return CLOCK_REALTIME."""
        return time.time_ns()

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Sleep without using the processor; `interrupt` ends it within a tenth of a second."""
        while not self._interrupted and (remaining := deadline_ns - time.monotonic_ns()) > 0:
            time.sleep(min(remaining, _LONGEST_SLEEP_NS) / 1e9)

    def interrupt(self) -> None:
        """End this sleep and all that follow early; to be called from a signal handler."""
        self._interrupted = True


class VirtualClock:
    """Time that passes only when somebody sleeps: for simulations and tests."""

    def __init__(self, now_ns: int = 0, wall_ns: int = 0) -> None:
        self._now_ns = now_ns
        self._wall_offset_ns = wall_ns - now_ns

    def now_ns(self) -> int:
        """Return the virtual time."""
        return self._now_ns

    def wall_ns(self) -> int:
        """Return the virtual wall-clock time."""
        return self._now_ns + self._wall_offset_ns

    def sleep_until_ns(self, deadline_ns: int) -> None:
        """Move the virtual time on to ``deadline_ns``."""
        self._now_ns = max(self._now_ns, deadline_ns)
