"""What a workload touched: read while it runs, or after it has ended, however it ended."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vadamon.errors import VadamonError
from vadamon.workload.spec import (
    PAGE_SIZE,
    Area,
    Pattern,
    Random,
    Stream,
    Sweep,
    area_from_dict,
    area_to_dict,
    number_patterns,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# NumPy is loaded by those who read logs, not by the workload, which is to stay small.

# struct workload_record of _native/workload.h
_RECORD_FIELDS = [
    ("start", "u8"),
    ("end", "u8"),
    ("begin_ns", "u8"),
    ("end_ns", "u8"),
    ("operations", "u8"),
    ("pattern", "i8"),
]
_RECORD_SIZE = 48
_POPULATE = -1  # in place of the number of a pattern


@dataclass(frozen=True, slots=True)
class PlacedArea:
    """An area and where it is in the workload's address space: ``[start, end)``."""

    area: Area
    start: int

    @property
    def end(self) -> int:
        """The address behind the area."""
        return self.start + self.area.size


@dataclass(frozen=True, slots=True)
class Interval:
    """``[start, end)`` was touched ``count`` times, the first time from ``first_ns`` on, and until ``last_ns``.

    A moving sweep makes one interval a move. ``count`` is of sweeps or, of a busy pattern, of slices. ``pattern`` is
    None for the populating of an area. Times are CLOCK_MONOTONIC.
    """

    area: str
    pattern: Pattern | None
    start: int
    end: int
    first_ns: int
    last_ns: int
    count: int


def header(pid: int, sibling: int | None, areas: Iterable[PlacedArea]) -> bytes:
    """Return the first line of a log, in which everything but what was touched is told."""
    placed = [{"start": area.start, **area_to_dict(area.area)} for area in areas]
    return json.dumps({"pid": pid, "sibling": sibling, "areas": placed}).encode() + b"\n"


class Log:
    """The log of one workload: where its areas are, and each sweep and slice of it, in the order of their ends.

    It takes ownership of ``fd``. A record is there as soon as its sweep has ended, so the log is complete up to the
    sweep that is under way; nothing of it is lost when the workload is killed. It grows by 48 bytes a sweep: 29 MB in
    ten minutes at one sweep a millisecond.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._kept: NDArray[np.void] | None = None
        first_line = _read_line(fd)
        self._records_offset = len(first_line)
        try:
            fields: dict[str, Any] = json.loads(first_line)
            self.pid: int = fields["pid"]
            self.sibling: int | None = fields["sibling"]
            placed = [PlacedArea(area_from_dict(area), area["start"]) for area in fields["areas"]]
        except (ValueError, TypeError, KeyError):
            os.close(fd)
            raise VadamonError(
                "not the log of a workload, or of one that has not come far enough to say what it does"
            ) from None
        self.areas = {area.area.name: area for area in placed}
        numbered = enumerate(number_patterns([area.area for area in placed]))
        self._patterns: dict[int, Pattern | None] = {
            _POPULATE: None,
            **{number: pattern for number, (_, pattern, of_sibling) in numbered if not of_sibling},
        }

    @classmethod
    def open(cls, path: str) -> "Log":
        """Open the log that ``python -m vadamon.workload`` writes to ``path``."""
        return cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def close(self) -> None:
        """Keep what was logged so far, for the methods to go on, and close the file."""
        if self._kept is None:
            self._kept = self._read()
            os.close(self._fd)

    def records(self) -> "NDArray[np.void]":
        """Return what was logged so far.

        A structured array of start, end (bytes), begin_ns, end_ns, operations (all uint64) and pattern (int64): its
        number, -1 for populating.
        """
        return self._read() if self._kept is None else self._kept

    def _read(self) -> "NDArray[np.void]":
        import numpy as np

        nr_records = (os.fstat(self._fd).st_size - self._records_offset) // _RECORD_SIZE
        data = os.pread(self._fd, nr_records * _RECORD_SIZE, self._records_offset)
        return np.frombuffer(data, dtype=_RECORD_FIELDS)

    def touched(self, begin_ns: int, end_ns: int, partly: bool = False) -> list[tuple[int, int]]:
        """Return which pages the workload touched between two times, as sorted ranges with gaps between them.

        These are the pages that were touched for certain: those of the sweeps and streams that lie within the two times
        as a whole. With ``partly``, those that may have been touched: those too of the ones that are in it partly, and
        the whole range of a `Random`. The accesses of the sibling are not in it.
        """
        import numpy as np

        records = self.records()
        if partly:
            chosen = (records["end_ns"] >= begin_ns) & (records["begin_ns"] <= end_ns)
        else:
            chosen = (records["begin_ns"] >= begin_ns) & (records["end_ns"] <= end_ns)
        ranges: list[tuple[int, int]] = []
        for number, pattern in self._patterns.items():
            if isinstance(pattern, Random) and not partly:
                continue
            mine = records[chosen & (records["pattern"] == number)]
            _, firsts = np.unique(mine["start"], return_index=True)  # of one pattern, the start tells the end
            stride = pattern.stride if isinstance(pattern, Sweep) else PAGE_SIZE
            for start, end in mine[["start", "end"]][firsts].tolist():
                ranges += [(start, end)] if stride == PAGE_SIZE else _strided(start, end, stride)
        return _union(ranges)

    def intervals(self) -> list[Interval]:
        """Return what was touched when, in the order of the first times; the accesses of the sibling are not in it."""
        records = self.records()
        found = [
            self._interval(run, pattern)
            for number, pattern in self._patterns.items()
            for run in _runs(records[records["pattern"] == number], pattern)
        ]
        return sorted(found, key=lambda interval: interval.first_ns)

    def operations(self, begin_ns: int = 0, end_ns: int | None = None) -> int:
        """Return how many loads the busy patterns made, in slices that ended in ``[begin_ns, end_ns)``."""
        import numpy as np

        busy = [number for number, pattern in self._patterns.items() if isinstance(pattern, Stream | Random)]
        records = self.records()
        chosen = np.isin(records["pattern"], busy) & (records["end_ns"] >= begin_ns)
        if end_ns is not None:
            chosen &= records["end_ns"] < end_ns
        return int(records["operations"][chosen].sum())

    def _interval(self, run: "NDArray[np.void]", pattern: Pattern | None) -> Interval:
        start = int(run["start"].min())
        return Interval(
            area=next(name for name, area in self.areas.items() if area.start <= start < area.end),
            pattern=pattern,
            start=start,
            end=int(run["end"].max()),
            first_ns=int(run["begin_ns"][0]),
            last_ns=int(run["end_ns"][-1]),
            count=len(run),
        )


def _read_line(fd: int) -> bytes:
    line = b""
    while b"\n" not in line:
        more = os.pread(fd, 1 << 16, len(line))
        if not more:
            return b""
        line += more
    return line[: line.index(b"\n") + 1]


def _runs(records: "NDArray[np.void]", pattern: Pattern | None) -> "list[NDArray[np.void]]":
    """Cut the records of one pattern where it moved, or those of populating at each area."""
    import numpy as np

    if not len(records):
        return []
    if isinstance(pattern, Stream | Random):  # the slices of a stream are no moves
        return [records]
    return np.split(records, np.flatnonzero(np.diff(records["start"])) + 1)


def _strided(start: int, end: int, stride: int) -> list[tuple[int, int]]:
    return [(page, page + PAGE_SIZE) for page in range(start, end, stride)]


def _union(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    union: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union
