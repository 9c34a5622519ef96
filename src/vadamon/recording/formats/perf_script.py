"""The text of ``perf script`` for the tracepoint ``damon:damon_aggregated``: one line a region."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vadamon.errors import VadamonError
from vadamon.recording.formats.imported import write_imported
from vadamon.recording.formats.output import new_file, target_ids
from vadamon.recording.reader import Recording
from vadamon.snapshot import Snapshot

_LINE = re.compile(
    rb"^.*?\s(\d+)\.(\d+):\s+damon:damon_aggregated:\s+target_id=(\d+)\s+nr_regions=(\d+)\s+"
    rb"(\d+)-(\d+):\s+(-?\d+)(?:\s+(-?\d+))?\s*$"
)
_DEFAULT_LENGTH_NS = 100_000_000


def export(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write ``recording`` as perf prints what the kernel's DAMON traces, in constant memory.

    The times are those of CLOCK_MONOTONIC, in nanoseconds as with ``perf script --ns``. The format has the ends of
    snapshots only, and none of a snapshot that has no regions. Raises VadamonError where there is no snapshot, or
    ``path`` cannot be written.
    """
    nr_snapshots = dict.fromkeys(target_ids(recording), 0)
    for entry in recording.summaries():
        nr_snapshots[entry.target_id] += entry.nr_snapshots
    with new_file(path) as out:
        for snapshot in recording:
            out.write(_lines(snapshot))
            if nr_snapshots[snapshot.target_id] == 1:
                # So readers learn how long it was; damo does the same, and passes over such a region.
                end_ns = 2 * snapshot.end_ns - snapshot.start_ns
                out.write(f"{_head(end_ns, snapshot.target_id, 1)}0-0: -1 -1\n".encode())


def _lines(snapshot: Snapshot) -> bytes:
    line = f"{_head(snapshot.end_ns, snapshot.target_id, len(snapshot))}%d-%d: %d %d\n"
    columns = np.stack([snapshot.start, snapshot.end, snapshot.nr_accesses, snapshot.age], axis=1)
    return (line * len(snapshot) % tuple(columns.ravel().tolist())).encode()


def _head(end_ns: int, target_id: int, nr_regions: int) -> str:
    seconds, ns = divmod(end_ns, 1_000_000_000)
    return f"kdamond.0 0 [000] {seconds}.{ns:09}: damon:damon_aggregated: {target_id=} {nr_regions=} "


def import_(source: str | os.PathLike[str], path: str | os.PathLike[str], sample_us: int | None = None) -> None:
    """Make a recording of the text of ``perf script``, in constant memory; other events in it are passed over.

    ``sample_us`` is the sample interval, which the format does not say. Raises VadamonError where it cannot be read,
    or has no such event.
    """
    try:
        with Path(source).open("rb") as file:
            snapshots = _with_starts(_snapshots(file))
            write_imported(snapshots, path, source, lambda: None, sample_us)
    except OSError as error:
        raise VadamonError(f"cannot read {source}: {error.strerror}") from error
    except (ValueError, OverflowError) as error:
        raise VadamonError(f"{source} makes no sense: {error}") from error


@dataclass
class _Group:
    """The lines of one snapshot, as far as they have come."""

    target_id: int
    nr_regions: int
    end_ns: int
    rows: list[tuple[int, int, int, int]] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        start, end, nr_accesses, age = zip(*self.rows, strict=True) if self.rows else ((), (), (), ())
        return Snapshot(
            target_id=self.target_id,
            start_ns=self.end_ns,
            end_ns=self.end_ns,
            start=np.array(start, np.uint64),
            end=np.array(end, np.uint64),
            nr_accesses=np.array(nr_accesses, np.uint32),
            age=np.array(age, np.uint32),
            nr_samples=0,  # see `write_imported`
            unknown=np.zeros(len(self.rows), np.bool_),
        )


def _snapshots(lines: Iterable[bytes]) -> Iterator[Snapshot]:
    """Yield snapshots that end when the first of their lines was traced, and begin then as well.

    Lines of a snapshot are traced one after the other, each at a time of its own; where some were lost, the next
    snapshot shows by starting over.
    """
    group: _Group | None = None
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        seconds, fraction, *numbers = match.groups()
        target_id, nr_regions, start, end, nr_accesses, age = (int(number or 0) for number in numbers)
        end_ns = int(seconds) * 1_000_000_000 + int(fraction.ljust(9, b"0")[:9])
        if nr_accesses < 0:  # see `export`
            yield _Group(target_id, 0, end_ns).snapshot()
            continue
        if group is not None and (
            (target_id, nr_regions) != (group.target_id, group.nr_regions) or start < group.rows[-1][1]
        ):
            yield group.snapshot()
            group = None
        group = group or _Group(target_id, nr_regions, end_ns)
        group.rows.append((start, end, nr_accesses, age))
        if len(group.rows) == nr_regions:
            yield group.snapshot()
            group = None
    if group is not None:
        yield group.snapshot()


def _with_starts(snapshots: Iterator[Snapshot]) -> Iterator[Snapshot]:
    """Let each snapshot begin where the one before it, of the same target, ended; the first is as long as the next."""
    first: dict[int, Snapshot] = {}
    last_end_ns: dict[int, int] = {}
    for snapshot in snapshots:
        target_id = snapshot.target_id
        if target_id not in last_end_ns:
            first[target_id] = snapshot
        else:
            snapshot = replace(snapshot, start_ns=last_end_ns[target_id])
            if target_id in first:
                yield _as_long_as(first.pop(target_id), snapshot.end_ns - snapshot.start_ns)
            if len(snapshot):
                yield snapshot
        last_end_ns[target_id] = snapshot.end_ns
    for snapshot in first.values():
        yield _as_long_as(snapshot, _DEFAULT_LENGTH_NS)


def _as_long_as(snapshot: Snapshot, length_ns: int) -> Snapshot:
    return replace(snapshot, start_ns=snapshot.end_ns - length_ns)
