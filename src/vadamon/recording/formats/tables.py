"""Tables with one row a region, for data-frame tools and databases: Parquet and CSV."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import MappingsChange
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording

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
    """Write one row a region: target, times, addresses, accesses, and the name of the mapping most of it lies in.

    The mappings are those of that time; a name is empty for memory that has none, and null where nothing is mapped.
    """
    import pyarrow.parquet as pq

    _write(recording, path, lambda file: pq.ParquetWriter(file, SCHEMA, compression="zstd"))


def export_csv(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write the same as `export_parquet`, as text."""
    from pyarrow import csv

    _write(recording, path, lambda file: csv.CSVWriter(file, SCHEMA))


def _write(
    recording: Recording,
    path: str | os.PathLike[str],
    open_writer: Callable[[BinaryIO], Any],
) -> None:
    try:
        with Path(path).open("wb") as file, open_writer(file) as writer:
            for batch in _batches(recording):
                writer.write_table(pa.Table.from_batches([batch]))
    except OSError as error:
        raise VadamonError(f"cannot write {path}: {error.strerror or error}") from error


def _batches(recording: Recording) -> Iterator[pa.RecordBatch]:
    histories: dict[int, _History] = {}
    for batch in recording.batches():
        target_id = int(batch.target_id[0])
        if target_id not in histories:
            histories[target_id] = _History(recording.of(target_id).mappings_history())
        for mappings, snapshots in histories[target_id].parts(batch):
            yield _rows(recording, recording.target(target_id), mappings, snapshots)


class _History:
    """The mappings of a target as time goes on."""

    def __init__(self, changes: Iterator[MappingsChange]) -> None:
        self._changes = changes
        first = next(changes, None)
        self._mappings = first.mappings if first else Mappings()
        self._next = next(changes, None)

    def parts(self, batch: SnapshotBatch) -> Iterator[tuple[Mappings, SnapshotBatch]]:
        """Yield the snapshots that have the same mappings, with these; batches have to come in the order of time."""
        begin = 0
        while self._next is not None:
            end = begin + int(np.searchsorted(batch.end_ns[begin:], self._next.time_ns))
            if end > begin:
                yield self._mappings, batch.between(begin, end)
            begin = end
            if begin == len(batch):
                return
            self._mappings, self._next = self._next.mappings, next(self._changes, None)
        yield self._mappings, batch.between(begin, len(batch))


def _rows(recording: Recording, target: Target, mappings: Mappings, batch: SnapshotBatch) -> pa.RecordBatch:
    sizes = np.diff(batch.offsets)
    wall = recording.wall_ns(0)
    n = len(batch.start)
    # File names may be any bytes, and text may not. The last one is for regions in no mapping.
    names = np.array([*(os.fsencode(name).decode(errors="replace") for name in mappings.name), None], dtype=object)
    return pa.record_batch(
        [
            pa.array(np.full(n, target.target_id, dtype=np.uint64)),
            pa.array(np.full(n, target.pid, dtype=np.int64)),
            pa.array(np.repeat(batch.start_ns + wall, sizes)).cast(SCHEMA.field("start_time").type),
            pa.array(np.repeat(batch.end_ns + wall, sizes)).cast(SCHEMA.field("end_time").type),
            pa.array(batch.start),
            pa.array(batch.end),
            pa.array(batch.nr_accesses),
            pa.array(np.repeat(batch.nr_samples, sizes)),
            pa.array(batch.age),
            pa.array(batch.unknown),
            pa.array(names[_mapping_of(batch, mappings)], pa.string()),
        ],
        schema=SCHEMA,
    )


def _mapping_of(batch: SnapshotBatch, mappings: Mappings) -> NDArray[np.intp]:
    """Return for each region the index of the mapping that most of it lies in, -1 for none.

    A region can reach over many mappings: looked at are those at its start, its middle and its end.
    """
    best = np.full(len(batch.start), -1, dtype=np.intp)
    if not len(mappings):
        return best
    most = np.zeros(len(best), dtype=np.float64)
    for point in (batch.start, batch.start + (batch.end - batch.start) // np.uint64(2), batch.end - np.uint64(1)):
        at = np.minimum(np.searchsorted(mappings.end, point, side="right"), len(mappings) - 1)
        low = np.maximum(batch.start, mappings.start[at]).astype(np.float64)
        high = np.minimum(batch.end, mappings.end[at]).astype(np.float64)
        better = high - low > most
        best[better], most[better] = at[better], (high - low)[better]
    return best
