"""The text of ``perf script`` for the tracepoint ``damon:damon_aggregated``: one line a region."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np

from vadamon.errors import VadamonError
from vadamon.recording.formats.imported import infer_attrs, write_imported
from vadamon.recording.reader import Recording
from vadamon.snapshot import Snapshot

_LINE = re.compile(
    rb"^\s*.*?\s(\d+)\.(\d+):\s+damon:damon_aggregated:\s+target_id=(\d+)\s+nr_regions=(\d+)\s+"
    rb"(\d+)-(\d+):\s+(\d+)(?:\s+(\d+))?\s*$"
)


def export(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write ``recording`` as perf prints what the kernel's DAMON traces, in constant memory.

    The times are those of CLOCK_MONOTONIC, to a microsecond; only ends of snapshots are in the format.
    """
    try:
        with Path(path).open("w", encoding="ascii") as out:
            for snapshot in recording:
                out.writelines(_lines(snapshot))
    except OSError as error:
        raise VadamonError(f"cannot write {path}: {error.strerror}") from error


def _lines(snapshot: Snapshot) -> Iterator[str]:
    seconds, microseconds = divmod(snapshot.end_ns // 1000, 1_000_000)
    head = (
        f"kdamond.0 0 [000] {seconds}.{microseconds:06}: damon:damon_aggregated: "
        f"target_id={snapshot.target_id} nr_regions={len(snapshot)} "
    )
    columns = (snapshot.start, snapshot.end, snapshot.nr_accesses, snapshot.age)
    for start, end, nr_accesses, age in zip(*(column.tolist() for column in columns), strict=True):
        yield f"{head}{start}-{end}: {nr_accesses} {age}\n"


def import_(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make a recording of the text of ``perf script``; other events in it are passed over.

    Raises VadamonError where it cannot be read, or has no such event.
    """
    try:
        with Path(source).open("rb") as file:
            snapshots = list(_snapshots(file))
    except OSError as error:
        raise VadamonError(f"cannot read {source}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise VadamonError(f"{source} makes no sense: {error}") from error
    if not snapshots:
        raise VadamonError(f"{source} has no line with damon:damon_aggregated, as `perf script` prints them")
    snapshots = _with_starts(snapshots)
    write_imported(snapshots, infer_attrs(snapshots), path, str(source))


def _ns(seconds: bytes, fraction: bytes) -> int:
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, b"0")[:9])


def _snapshots(lines: Iterable[bytes]) -> Iterator[Snapshot]:
    matches = (match.groups() for line in lines if (match := _LINE.match(line)))
    rows = (
        (_ns(seconds, fraction), int(target_id), int(start), int(end), int(nr_accesses), int(age or 0))
        for seconds, fraction, target_id, _, start, end, nr_accesses, age in matches
    )
    for (end_ns, target_id), group in groupby(rows, key=lambda row: row[:2]):
        _, _, start, end, nr_accesses, age = zip(*group, strict=True)
        yield Snapshot(
            target_id=target_id,
            start_ns=end_ns,
            end_ns=end_ns,
            start=np.array(start, dtype=np.uint64),
            end=np.array(end, dtype=np.uint64),
            nr_accesses=np.array(nr_accesses, dtype=np.uint32),
            age=np.array(age, dtype=np.uint32),
            nr_samples=0,
            unknown=np.zeros(len(start), dtype=np.bool_),
        )


def _with_starts(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Let each snapshot begin where the one before it, of the same target, ended; the first as long as the second."""
    last_end: dict[int, int] = {}
    found: list[Snapshot] = []
    for snapshot in snapshots:
        found.append(replace(snapshot, start_ns=last_end.get(snapshot.target_id, snapshot.end_ns)))
        last_end[snapshot.target_id] = snapshot.end_ns
    lengths = [s.end_ns - s.start_ns for s in found if s.end_ns > s.start_ns]
    length = int(np.median(lengths)) if lengths else 100_000_000
    return [replace(s, start_ns=s.end_ns - length) if s.start_ns == s.end_ns else s for s in found]
