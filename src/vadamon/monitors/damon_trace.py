"""The kernel's tracepoint ``damon:damon_aggregated``: one event a region, at the end of each aggregation interval."""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

_TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_EVENT = Path("events/damon/damon_aggregated/enable")
_LINE = re.compile(
    rb"-(\d+) +\[\d+\] \S+ +(\d+)\.(\d+): damon_aggregated: "
    rb"target_id=(\d+) nr_regions=(\d+) (\d+)-(\d+): (\d+) (\d+)$",
    re.MULTILINE,
)
_THREAD, _SECONDS, _MICROSECONDS, _TARGET, _NR_REGIONS, _START, _END, _NR_ACCESSES, _AGE = range(9)
_READ_SIZE = 1 << 20


def tracefs() -> Path | None:
    """Return where tracefs is mounted, if the tracepoint is there and may be used."""
    return next((folder for folder in _TRACEFS if os.access(folder / _EVENT, os.W_OK)), None)


@dataclass(frozen=True, slots=True, eq=False)
class Aggregation:
    """All regions of one target at the end of one aggregation interval.

    ``time_ns`` is CLOCK_MONOTONIC, ``target`` the place of the target in the list that the kdamond was given; ``start``
    and ``end`` are uint64[n], ``nr_accesses`` and ``age`` uint32[n].
    """

    time_ns: int
    target: int
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    nr_accesses: NDArray[np.uint32]
    age: NDArray[np.uint32]


class EventParser:
    """Puts aggregations together from the text of trace_pipe, in pieces as they come.

    Events of other threads than ``thread_id`` are left out, and so are aggregations of which an event was lost.
    """

    def __init__(self, thread_id: int) -> None:
        self._thread_id = thread_id
        self._text = b""
        self._events = np.empty((0, 9), dtype=np.uint64)

    def feed(self, text: bytes) -> list[Aggregation]:
        """Take in more text; return the aggregations that are complete."""
        lines, newline, self._text = (self._text + text).rpartition(b"\n")
        fields = _LINE.findall(lines + newline)
        if not fields:
            return []
        events = np.array(fields).astype(np.uint64)
        self._events = np.concatenate((self._events, events[events[:, _THREAD] == self._thread_id]))
        return self._take()

    def _take(self) -> list[Aggregation]:
        events, found, first = self._events, [], 0
        before, after = events[:-1], events[1:]
        breaks = (before[:, _TARGET] != after[:, _TARGET]) | (before[:, _NR_REGIONS] != after[:, _NR_REGIONS])
        breaks |= before[:, _END] > after[:, _START]
        ends = [*(np.flatnonzero(breaks) + 1).tolist(), len(events)]
        for end in ends:
            # Events in sequence are of one aggregation, or of several: as of a single region each time.
            nr = int(events[first, _NR_REGIONS]) if first < end else 0
            while nr and first + nr <= end:
                found.append(_aggregation(events[first : first + nr]))
                first += nr
            if end < len(events):
                first = end
        self._events = events[first:]
        return found


def _aggregation(events: NDArray[np.uint64]) -> Aggregation:
    return Aggregation(
        time_ns=int(events[-1, _SECONDS]) * 1_000_000_000 + int(events[-1, _MICROSECONDS]) * 1000,
        target=int(events[0, _TARGET]),
        start=events[:, _START].copy(),
        end=events[:, _END].copy(),
        nr_accesses=events[:, _NR_ACCESSES].astype(np.uint32),
        age=events[:, _AGE].astype(np.uint32),
    )


class Trace:
    """A trace instance of our own, in which nothing but the tracepoint is enabled; removed by `close`.

    Only whoever holds the kernel's DAMON (`damon_sysfs.Kdamond`) may make one: what is there by its name was left by a
    vadamon that was killed.
    """

    def __init__(self, folder: Path) -> None:
        self._instance = folder / "instances/vadamon"
        self._remove()
        self._instance.mkdir()
        self._pipe = -1
        try:
            (self._instance / "trace_clock").write_text("mono")
            (self._instance / "buffer_size_kb").write_text("4096")
            self._pipe = os.open(self._instance / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            (self._instance / _EVENT).write_text("1")
        except BaseException:
            self.close()
            raise

    def read(self) -> bytes:
        """Return what has been traced since the last call."""
        text = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._pipe, _READ_SIZE):
                text += piece
        return text

    def close(self) -> None:
        """Remove the instance."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        self._remove()

    def _remove(self) -> None:
        if self._instance.exists():
            (self._instance / _EVENT).write_text("0")
            self._instance.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
