"""Events of a recording as rows of an Arrow record batch, and back.

One row an event. A snapshot has ``regions``, the mappings of a target have ``mappings``, a target that joined later
has ``target``; the other two are null. Regions are kept as the gap to the region before (the first: to 0) and the size:
both repeat from snapshot to snapshot where addresses would not, which is what the compression lives on.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vadamon.mappings import Mapping, Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.snapshot import SampleHealth, Snapshot

_HEALTH = [field.name for field in fields(SampleHealth)]
_REGION = pa.struct(
    [
        ("gap", pa.uint64()),
        ("size", pa.uint64()),
        ("nr_accesses", pa.uint32()),
        ("age", pa.uint32()),
        ("unknown", pa.bool_()),
    ]
)
# Names are file names, which may be any bytes.
_MAPPING = pa.struct(
    [
        ("start", pa.uint64()),
        ("end", pa.uint64()),
        ("permissions", pa.utf8()),
        ("offset", pa.uint64()),
        ("inode", pa.uint64()),
        ("name", pa.binary()),
    ]
)
_TARGET = pa.struct([("pid", pa.int64()), ("command", pa.binary())])
SCHEMA = pa.schema(
    {
        "target_id": pa.uint64(),
        "start_ns": pa.int64(),
        "end_ns": pa.int64(),
        "nr_samples": pa.uint32(),
        **{name: pa.uint64() for name in _HEALTH},
        "regions": pa.list_(_REGION),
        "mappings": pa.list_(_MAPPING),
        "target": _TARGET,
    }
)
SNAPSHOT_COLUMNS = ["target_id", "start_ns", "end_ns", "nr_samples", *_HEALTH, "regions"]
MAPPINGS_COLUMNS = ["target_id", "start_ns", "mappings"]
TARGET_COLUMNS = ["target_id", "target"]


@dataclass(frozen=True, slots=True)
class MappingsChange:
    """The mappings of a target as they were from ``time_ns`` (CLOCK_MONOTONIC) on."""

    target_id: int
    time_ns: int
    mappings: Mappings


Event = Snapshot | MappingsChange | Target


def encode(events: Sequence[Event]) -> pa.RecordBatch:
    """Return ``events`` as a record batch of `SCHEMA`.

    Raises ValueError where a snapshot's regions are empty, overlap or are not sorted.
    """
    snapshots = [event for event in events if isinstance(event, Snapshot)]
    every_mappings = [event.mappings for event in events if isinstance(event, MappingsChange)]
    columns = [
        pa.array([event.target_id for event in events], pa.uint64()),
        pa.array([_time_ns(event, "start_ns") for event in events], pa.int64()),
        pa.array([_time_ns(event, "end_ns") for event in events], pa.int64()),
        pa.array([event.nr_samples if isinstance(event, Snapshot) else 0 for event in events], pa.uint32()),
        *(pa.array([_health(event, name) for event in events], pa.uint64()) for name in _HEALTH),
        _lists([len(e) if isinstance(e, Snapshot) else None for e in events], _encode_regions(snapshots)),
        _lists(
            [len(e.mappings) if isinstance(e, MappingsChange) else None for e in events],
            _encode_mappings(every_mappings),
        ),
        pa.array(
            [{"pid": e.pid, "command": os.fsencode(e.command)} if isinstance(e, Target) else None for e in events],
            _TARGET,
        ),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def decode_snapshots(batch: pa.RecordBatch) -> SnapshotBatch:
    """Return the snapshots of a record batch that has at least `SNAPSHOT_COLUMNS`.

    Raises ValueError where what is there cannot be the regions of snapshots.
    """
    chosen = _is_valid(batch.column("regions"))
    offsets, regions = _rows(batch.column("regions"), chosen)
    gap, size, nr_accesses, age, unknown = (_numpy(column) for column in regions.flatten())
    end = np.cumsum(gap + size)
    # Each snapshot counts from 0: take off what all before it came to. Unsigned arithmetic is exact modulo 2**64.
    before = np.concatenate([np.zeros(1, np.uint64), end])[offsets[:-1]]
    end -= np.repeat(before, np.diff(offsets))
    start = end - size
    _check_ranges(start, end, offsets)
    health = [_numpy(batch.column(name))[chosen] for name in _HEALTH]
    target_id, start_ns, end_ns, nr_samples = (_numpy(batch.column(name))[chosen] for name in SNAPSHOT_COLUMNS[:4])
    return SnapshotBatch(
        target_id,
        start_ns,
        end_ns,
        nr_samples,
        np.stack(health, axis=1),
        offsets,
        start,
        end,
        nr_accesses,
        age,
        unknown,
    )


def decode_mappings(batch: pa.RecordBatch) -> list[MappingsChange]:
    """Return the changes of mappings in a record batch that has at least `MAPPINGS_COLUMNS`.

    Raises ValueError where what is there cannot be mappings.
    """
    chosen = _is_valid(batch.column("mappings"))
    if not chosen.any():
        return []
    offsets, mappings = _rows(batch.column("mappings"), chosen)
    start, end, permissions, offset, inode, name = (column.to_pylist() for column in mappings.flatten())
    every = [
        Mapping(s, e, p, o, i, os.fsdecode(n))
        for s, e, p, o, i, n in zip(start, end, permissions, offset, inode, name, strict=True)
    ]
    return [
        MappingsChange(target_id, time_ns, Mappings(every[first:last]))
        for target_id, time_ns, first, last in zip(
            _numpy(batch.column("target_id"))[chosen].tolist(),
            _numpy(batch.column("start_ns"))[chosen].tolist(),
            offsets[:-1].tolist(),
            offsets[1:].tolist(),
            strict=True,
        )
    ]


def decode_targets(batch: pa.RecordBatch) -> list[Target]:
    """Return the targets that joined, of a record batch that has at least `TARGET_COLUMNS`."""
    return [
        Target(target_id, target["pid"], os.fsdecode(target["command"]))
        for target_id, target in zip(
            _numpy(batch.column("target_id")).tolist(), batch.column("target").to_pylist(), strict=True
        )
        if target
    ]


def _time_ns(event: Event, name: str) -> int:
    if isinstance(event, MappingsChange):
        return event.time_ns
    return int(getattr(event, name, 0))


def _health(event: Event, name: str) -> int:
    return int(getattr(event.health, name)) if isinstance(event, Snapshot) else 0


def _encode_regions(snapshots: Sequence[Snapshot]) -> pa.StructArray:
    def joined(name: str, dtype: type[np.generic]) -> NDArray[Any]:
        return np.concatenate([getattr(s, name) for s in snapshots] or [np.empty(0)]).astype(dtype, copy=False)

    offsets = np.cumsum([0, *(len(s) for s in snapshots)])
    start, end = joined("start", np.uint64), joined("end", np.uint64)
    _check_ranges(start, end, offsets)
    gap = start.copy()
    gap[1:] -= end[:-1]
    first = offsets[:-1][np.diff(offsets) > 0]
    gap[first] = start[first]
    return pa.StructArray.from_arrays(
        [
            pa.array(gap),
            pa.array(end - start),
            pa.array(joined("nr_accesses", np.uint32)),
            pa.array(joined("age", np.uint32)),
            pa.array(joined("unknown", np.bool_)),
        ],
        fields=list(_REGION),
    )


def _encode_mappings(every: Sequence[Mappings]) -> pa.StructArray:
    def numbers(attribute: str) -> Any:
        return pa.array(np.concatenate([getattr(m, attribute) for m in every] or [np.empty(0, np.uint64)]))

    permissions = [permission for m in every for permission in m.permissions]
    names = [os.fsencode(name) for m in every for name in m.name]
    return pa.StructArray.from_arrays(
        [
            numbers("start"),
            numbers("end"),
            pa.array(permissions, pa.utf8()),
            numbers("offset"),
            numbers("inode"),
            pa.array(names, pa.binary()),
        ],
        fields=list(_MAPPING),
    )


def _lists(lengths: Sequence[int | None], values: pa.StructArray) -> Any:
    """Cut ``values`` into lists of ``lengths``; null where the length is None."""
    ends = list(accumulate(length or 0 for length in lengths))
    # A null offset makes a null list. `mask` would do the same, but loads pyarrow.compute: 10 MiB of memory.
    starts = [None if length is None else end - length for length, end in zip(lengths, ends, strict=True)]
    return pa.ListArray.from_arrays(pa.array([*starts, len(values)], pa.int32()), values)


def _is_valid(column: Any) -> NDArray[np.bool_]:
    """As the method of arrays, which loads pyarrow.compute."""
    bits = column.buffers()[0]
    if bits is None:
        return np.ones(len(column), np.bool_)
    first = column.offset
    return np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")[first : first + len(column)].astype(np.bool_)


def _rows(lists: Any, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Any]:
    """Return ``offsets`` and the values of the chosen lists; the others have to be null, and so without values."""
    values = lists.flatten()
    every = _numpy(lists.offsets).astype(np.int64)
    lengths = np.diff(every)[chosen]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    if offsets[-1] != len(values) or values.null_count:
        raise ValueError("lists do not fit their values")
    return offsets, values


def _numpy(column: Any) -> NDArray[Any]:
    if column.null_count:
        raise ValueError("a value is missing")
    # Booleans are bits in Arrow, so those cannot be looked at in place.
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _check_ranges(start: NDArray[np.uint64], end: NDArray[np.uint64], offsets: NDArray[np.int64]) -> None:
    in_order = end[:-1] <= start[1:]
    borders = offsets[1:-1]
    in_order[borders[(borders > 0) & (borders < len(start))] - 1] = True
    if bool(np.any(start >= end)) or not bool(in_order.all()):
        raise ValueError("regions of a snapshot are empty, overlap or are not sorted")
