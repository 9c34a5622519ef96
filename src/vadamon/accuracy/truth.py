"""The truth: what pages a program accessed, and how often, in each aggregation interval; in memory and in a file.

A truth file is an Arrow IPC stream with one row an interval. The pages are runs that are accessed alike, kept as the
gap to the run before (the first: to 0) and the size.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
from numpy.typing import NDArray

from vadamon.errors import VadamonError
from vadamon.ranges import Ranges

FORMAT_VERSION = 1
_MOST_UNWRITTEN = 65_536  # runs, so that memory is bounded
_MOST_INTERVALS = 64
_RUN = pa.struct([("gap", pa.uint64()), ("size", pa.uint64()), ("nr_accesses", pa.uint32())])
_SCHEMA = pa.schema(
    {
        "target_id": pa.uint64(),
        "start_ns": pa.int64(),
        "end_ns": pa.int64(),
        "nr_samples": pa.uint32(),
        "runs": pa.list_(_RUN),
    }
)
_METADATA = {b"vadamon.format": b"vadamon truth", b"vadamon.version": b"%d" % FORMAT_VERSION}


@dataclass(frozen=True, slots=True, eq=False)
class TrueAccesses:
    """What one target accessed in one aggregation interval.

    ``start`` and ``end`` (uint64[n], bytes, half open) are runs of pages, sorted, never overlapping. ``nr_accesses``
    (uint32[n]) tells how often they were accessed: in how many of the ``nr_samples`` sample intervals, at least once.
    It is what a monitor finds that checks every page in every sample, so it compares with the ``nr_accesses`` of a
    snapshot. Pages in no run were not accessed. Times are those of the recording.

    Of pages in the sorted ranges ``unknown`` it is not known what was accessed; those of a simulation always are.
    """

    target_id: int
    start_ns: int
    end_ns: int
    nr_samples: int
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    nr_accesses: NDArray[np.uint32]
    unknown: Ranges = field(default_factory=lambda: (np.empty(0, np.uint64), np.empty(0, np.uint64)))


class TruthWriter:
    """Append intervals to a truth file, of which all is known. Use it as a context manager, or call `close`.

    Raises VadamonError where the path cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._unwritten: list[TrueAccesses] = []
        self._nr_runs = 0
        try:
            self._file = self.path.open("wb")
        except OSError as error:
            self._fail(error)
        options = ipc.IpcWriteOptions(compression=pa.Codec("zstd", 3), use_threads=False)
        self._stream = ipc.new_stream(self._file, _SCHEMA.with_metadata(_METADATA), options=options)

    def write(self, interval: TrueAccesses) -> None:
        """Append an interval."""
        self._unwritten.append(interval)
        self._nr_runs += len(interval.start)
        if self._nr_runs >= _MOST_UNWRITTEN or len(self._unwritten) >= _MOST_INTERVALS:
            self._flush()

    def close(self) -> None:
        """Write the rest, and the end mark."""
        if self._file.closed:
            return
        self._flush()
        try:
            self._stream.close()
            self._file.close()
        except OSError as error:
            self._fail(error)

    def __enter__(self) -> "TruthWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flush(self) -> None:
        try:
            self._stream.write_batch(_encode(self._unwritten))
        except OSError as error:
            self._fail(error)
        self._unwritten.clear()
        self._nr_runs = 0

    def _fail(self, error: OSError) -> NoReturn:
        raise VadamonError(f"cannot write {self.path}: {error.strerror or error}") from error


def read_truth(path: str | os.PathLike[str]) -> Iterator[TrueAccesses]:
    """Yield the intervals of a truth file, in file order and constant memory.

    Raises VadamonError where the file cannot be read, is no truth file, or is cut off.
    """
    try:
        with Path(path).open("rb") as file, ipc.open_stream(file) as stream:
            metadata = stream.schema.metadata or {}
            if metadata.get(b"vadamon.format") != _METADATA[b"vadamon.format"]:
                raise VadamonError(f"{path} is not a truth file: give one that `vadamon simulate --truth` has written")
            if int(metadata[b"vadamon.version"]) > FORMAT_VERSION:
                raise VadamonError(f"{path} was written by a newer vadamon: install that")
            for batch in stream:
                yield from _decode(batch)
    except (OSError, pa.ArrowInvalid) as error:
        if isinstance(error, OSError) and error.strerror:
            raise VadamonError(f"cannot read {path}: {error.strerror}") from error
        raise VadamonError(f"{path} is not a truth file, or is damaged: simulate again with --truth") from error


def _encode(intervals: list[TrueAccesses]) -> pa.RecordBatch:
    lengths = [len(interval.start) for interval in intervals]
    offsets = np.cumsum([0, *lengths])
    start = np.concatenate([interval.start for interval in intervals] or [np.empty(0, np.uint64)])
    end = np.concatenate([interval.end for interval in intervals] or [np.empty(0, np.uint64)])
    nr_accesses = np.concatenate([interval.nr_accesses for interval in intervals] or [np.empty(0, np.uint32)])
    gap = start.copy()
    gap[1:] -= end[:-1]
    first = offsets[:-1][np.diff(offsets) > 0]
    gap[first] = start[first]
    runs = pa.StructArray.from_arrays([pa.array(gap), pa.array(end - start), pa.array(nr_accesses)], fields=list(_RUN))
    columns: list[Any] = [
        pa.array([getattr(interval, field.name) for interval in intervals], field.type) for field in list(_SCHEMA)[:-1]
    ]
    columns.append(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), runs))
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _decode(batch: pa.RecordBatch) -> Iterator[TrueAccesses]:
    runs: Any = batch.column("runs")
    offsets = runs.offsets.to_numpy()
    gap, size, nr_accesses = (column.to_numpy() for column in runs.values.flatten())
    numbers = [batch.column(name).to_pylist() for name in ("target_id", "start_ns", "end_ns", "nr_samples")]
    for i, (target_id, start_ns, end_ns, nr_samples) in enumerate(zip(*numbers, strict=True)):
        mine = slice(offsets[i], offsets[i + 1])
        end = np.cumsum(gap[mine] + size[mine])
        yield TrueAccesses(target_id, start_ns, end_ns, nr_samples, end - size[mine], end, nr_accesses[mine])
