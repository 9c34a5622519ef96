"""Tables with one row a region, for data-frame tools and databases: Parquet and CSV."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import MappingsChange
from vadamon.recording.formats.output import new_file
from vadamon.recording.reader import Recording

_ANONYMOUS = "anonymous"
_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("target_id", pa.uint64()),
    pa.field("pid", pa.int64()),
    pa.field("start_time", pa.timestamp("ns", "UTC")),
    pa.field("end_time", pa.timestamp("ns", "UTC")),
    pa.field("start", pa.uint64()),
    pa.field("end", pa.uint64()),
    pa.field("nr_accesses", pa.uint32()),
    pa.field("nr_samples", pa.uint32()),
    pa.field("age", pa.uint32()),
    pa.field("unknown", pa.bool_()),
    pa.field("mapping", pa.string()),
]
SCHEMA = pa.schema(_FIELDS)


def export_parquet(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write one row a region: target, times, addresses, accesses, and the mapping that most of it lies in.

    The mapping is the file or name that /proc/PID/maps had for it at that time, ``anonymous`` where it had none, and
    null where nothing was mapped.
    """
    import pyarrow.parquet as pq

    _write(recording, path, lambda file: pq.ParquetWriter(file, SCHEMA, compression="zstd"))


def export_csv(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write the same as `export_parquet`, as text."""
    from pyarrow import csv

    _write(recording, path, lambda file: csv.CSVWriter(file, SCHEMA))


def _write(recording: Recording, path: str | os.PathLike[str], open_writer: Callable[[BinaryIO], Any]) -> None:
    history = _MappingsHistory(recording)
    with new_file(path) as file, open_writer(file) as writer:
        for batch in recording.batches():
            writer.write_batch(_rows(recording, batch, history))


def _rows(recording: Recording, batch: SnapshotBatch, history: "_MappingsHistory") -> pa.RecordBatch:
    sizes = np.diff(batch.offsets)
    wall = recording.wall_ns(0)
    pid = recording.target(int(batch.target_id[0])).pid
    return pa.record_batch(
        [
            pa.array(np.repeat(batch.target_id, sizes)),
            pa.array(np.full(len(batch.start), pid, np.int64)),
            pa.array(np.repeat(batch.start_ns + wall, sizes)).cast(SCHEMA.field("start_time").type),
            pa.array(np.repeat(batch.end_ns + wall, sizes)).cast(SCHEMA.field("end_time").type),
            pa.array(batch.start),
            pa.array(batch.end),
            pa.array(batch.nr_accesses),
            pa.array(np.repeat(batch.nr_samples, sizes)),
            pa.array(batch.age),
            pa.array(batch.unknown),
            _mapping_names(batch, history),
        ],
        schema=SCHEMA,
    )


def _mapping_names(batch: SnapshotBatch, history: "_MappingsHistory") -> pa.Array:
    """Return the name of the mapping of each region, by the mappings that were in force at the end of its snapshot."""
    changes = history.until(int(batch.target_id[0]), int(batch.end_ns[0]), int(batch.end_ns.max()))
    in_force = np.searchsorted([change.time_ns for change in changes], batch.end_ns, side="right")
    # The changes of times, and so of the regions, in which other mappings are in force.
    cuts = np.flatnonzero(np.diff(in_force, prepend=-1, append=-1)).tolist()
    parts = []
    for first, last in pairwise(cuts):
        mappings = changes[in_force[first] - 1].mappings if in_force[first] else Mappings()
        regions = slice(batch.offsets[first], batch.offsets[last])
        index = _largest_overlap(mappings, batch.start[regions], batch.end[regions])
        names = pa.array([_text(name) for name in mappings.name], pa.string())
        parts.append(pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), names).dictionary_decode())
    return pa.concat_arrays(parts)


class _MappingsHistory:
    """The mappings of all targets, as far as they are asked for, so that a long recording needs no more memory."""

    def __init__(self, recording: Recording) -> None:
        self._coming = recording.mappings_history()
        self._changes: dict[int, list[MappingsChange]] = {}

    def until(self, target_id: int, start_ns: int, end_ns: int) -> list[MappingsChange]:
        """Return the changes that matter from ``start_ns`` to ``end_ns``: later calls must not ask for earlier ones."""
        changes = self._changes.setdefault(target_id, [])
        while not changes or changes[-1].time_ns <= end_ns:
            change = next(self._coming, None)
            if change is None:
                break
            self._changes.setdefault(change.target_id, []).append(change)
        nr_past = sum(change.time_ns <= start_ns for change in changes)
        del changes[: max(0, nr_past - 1)]
        return changes


def _largest_overlap(mappings: Mappings, start: NDArray[np.uint64], end: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return for each region the index of the mapping that most of it lies in, the lowest of equals; -1 for none."""
    first = np.searchsorted(mappings.end, start, side="right")
    counts = np.maximum(np.searchsorted(mappings.start, end, side="left") - first, 0)
    best = np.full(len(start), -1, np.int32)
    touched = np.flatnonzero(counts)
    if not len(touched):
        return best
    begin = (np.cumsum(counts) - counts)[touched]
    region = np.repeat(np.arange(len(start)), counts)
    mapping = np.arange(len(region)) - np.repeat(begin - first[touched], counts[touched])
    overlap = np.minimum(end[region], mappings.end[mapping]) - np.maximum(start[region], mappings.start[mapping])
    largest = np.flatnonzero(overlap == np.repeat(np.maximum.reduceat(overlap, begin), counts[touched]))[::-1]
    best[region[largest]] = mapping[largest]
    return best


def _text(name: str) -> str:
    """Return the name of a mapping; file names may be any bytes, and tables have text only."""
    return os.fsencode(name).decode(errors="replace") or _ANONYMOUS
