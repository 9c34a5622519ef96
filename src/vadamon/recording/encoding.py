"""What a recording holds, as the rows of its batches, and back.

A row is the snapshots of one target within a batch, the mappings of a target, or a target that joined later. Its data
is compressed by itself, and what it is stands in the index of its batch: so a reader takes the rows that it wants.

Snapshots are told by what changed since the one before, see `vadamon._native.snapshot_deltas`. Mostly most of the
borders stay, counts change a little, and ages grow by one: all of that is zeros, which cost next to nothing once they
are compressed.
"""

import json
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon._native.snapshot_deltas import from_deltas, pack, to_deltas, unpack
from vadamon.mappings import Mapping, Mappings
from vadamon.ranges import union
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.recording.packed_json import from_packed_json, to_packed_json
from vadamon.snapshot import SampleHealth

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SNAPSHOTS, MAPPINGS, TARGET = "snapshots", "mappings", "target"
_LARGEST_ROW = 1 << 26  # bytes that a row may ask for: tens of millions of regions
_LEVEL = 6  # of compression; the next that is smaller by more than a hundredth takes ten times as long
_LEVEL_OF_LITTLE = 19
_LITTLE = 1 << 14  # bytes that even this takes but 3 ms for
_NR_HEALTH = len(fields(SampleHealth))
_NR_NUMBERS = 5 + _NR_HEALTH  # of a snapshot
# Numbers of snapshots and regions, how far addresses are shifted, and the lengths of the five streams behind this.
_HEAD = struct.Struct("<8I")
# The number of mappings, how far addresses and offsets are shifted, and the length of the JSON behind this.
_MAPPINGS_HEAD = struct.Struct("<III")


@dataclass(frozen=True, slots=True)
class MappingsChange:
    """The mappings of a target as they were from ``time_ns`` (CLOCK_MONOTONIC) on."""

    target_id: int
    time_ns: int
    mappings: Mappings


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index of a batch says about a row: its kind, its target, and the bytes of its data.

    These are ``size`` before compression, and ``length`` after. Of snapshots it says also from when (the first start)
    to when (the last end) they are, how many, and where they have regions: the union, as ``[start, end]`` addresses.
    """

    kind: str
    target_id: int
    size: int = 0
    length: int = 0
    start_ns: int = 0
    end_ns: int = 0
    nr_snapshots: int = 0
    ranges: Sequence[Sequence[int]] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is written: what its index says, and its compressed data."""

    entry: Entry
    data: bytes


def encode_index(rows: Sequence[Row]) -> bytes:
    """Return the index of a batch of ``rows``."""
    entries = [asdict(row.entry) for row in rows]
    for entry in entries:
        if entry["kind"] != SNAPSHOTS:
            for key in ("start_ns", "end_ns", "nr_snapshots", "ranges"):
                del entry[key]
    return to_packed_json(entries)


def decode_index(text: bytes) -> list[Entry]:
    """Undo `encode_index`. Raises ValueError or TypeError where ``text`` cannot be an index."""
    return [_checked(Entry(**entry)) for entry in from_packed_json(text)]


def encode_snapshots(batch: SnapshotBatch, *, hurried: bool = False) -> Row:
    """Return the snapshots of one target, at least one; ``hurried`` ones are a little larger.

    Raises ValueError where the regions of a snapshot are empty, overlap or are not sorted.
    """
    _check_ranges(batch)
    shift = _common_zero_bits(batch.start, batch.end)
    streams = (
        pack(_differences(_numbers(batch)).ravel(order="F")),
        *to_deltas(
            batch.offsets, batch.start, batch.end, batch.nr_accesses, batch.age, batch.unknown.view(np.uint8), shift
        ),
    )
    head = _HEAD.pack(len(batch), len(batch.start), shift, *map(len, streams))
    return _row(summary(batch), b"".join((head, *streams)), hurried)


def summary(batch: SnapshotBatch) -> Entry:
    """Return what the index says about the snapshots of one target, at least one; their size is left open."""
    # Regions mostly touch each other: only the ends of runs matter.
    first = np.concatenate([[True], batch.start[1:] != batch.end[:-1]])[: len(batch.start)]
    last = np.concatenate([first[1:], [True]])[: len(batch.start)]
    ranges = union(batch.start[first], batch.end[last])
    return Entry(
        SNAPSHOTS,
        int(batch.target_id[0]),
        start_ns=int(batch.start_ns.min()),
        end_ns=int(batch.end_ns.max()),
        nr_snapshots=len(batch),
        ranges=np.stack(ranges, axis=1).tolist(),
    )


def decode_snapshots(entry: Entry, data: bytes) -> SnapshotBatch:
    """Undo `encode_snapshots`. Raises ValueError where ``data`` cannot be the snapshots of regions."""
    if len(data) < _HEAD.size:
        raise ValueError("a row of snapshots is too short")
    n, m, shift, *lengths = _HEAD.unpack_from(data)
    if n != entry.nr_snapshots:
        raise ValueError("a row of snapshots does not hold what its index says")
    ends = np.cumsum([_HEAD.size, *lengths]).tolist()
    # Each region takes a byte or more in two of the streams.
    if ends[-1] != len(data) or m > lengths[-1] or shift > 63:
        raise ValueError("a row of snapshots does not hold what it says")
    packed, codes, borders, accesses, ages = (memoryview(data)[a:b] for a, b in pairwise(ends))
    numbers = _sums(unpack(packed, n * _NR_NUMBERS).reshape(n, _NR_NUMBERS, order="F"))
    gaps, lengths_ns, nr_samples, nr_regions, resident, *health = numbers.T
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(nr_regions.astype(np.int64))])
    if int(nr_regions.max(initial=0)) > m or offsets[-1] != m:
        raise ValueError("a row of snapshots does not hold what it says")
    # Each starts a gap after the one before has ended.
    end_ns = np.cumsum(gaps + lengths_ns)
    batch = SnapshotBatch(
        target_id=np.full(n, entry.target_id, np.uint64),
        start_ns=(end_ns - lengths_ns).view(np.int64),
        end_ns=end_ns.view(np.int64),
        nr_samples=nr_samples.astype(np.uint32),
        health=np.stack(health, axis=1),
        resident=resident.copy(),
        offsets=offsets,
        **_empty_regions(m),
    )
    from_deltas(
        offsets,
        codes,
        borders,
        accesses,
        ages,
        shift,
        batch.start,
        batch.end,
        batch.nr_accesses,
        batch.age,
        batch.unknown.view(np.uint8),
    )
    return batch


def encode_mappings(change: MappingsChange) -> Row:
    """Return the mappings of a target."""
    mappings = change.mappings
    # File names may be any bytes: JSON in ASCII keeps what stands for those that are no text.
    texts = {"time_ns": change.time_ns, "permissions": list(mappings.permissions), "names": list(mappings.name)}
    text = json.dumps(texts, separators=(",", ":")).encode()
    before = np.concatenate([np.zeros(1, np.uint64), mappings.end])[: len(mappings)]
    shift = _common_zero_bits(mappings.start, mappings.end, mappings.offset)
    shifted = np.stack([mappings.start - before, mappings.end - mappings.start, mappings.offset]) >> np.uint64(shift)
    numbers = pack(_differences(np.stack([*shifted, mappings.inode], axis=1)).ravel(order="F"))
    head = _MAPPINGS_HEAD.pack(len(mappings), shift, len(text))
    return _row(Entry(MAPPINGS, change.target_id), b"".join((head, text, numbers)))


def decode_mappings(entry: Entry, data: bytes) -> MappingsChange:
    """Undo `encode_mappings`. Raises ValueError, TypeError or KeyError where ``data`` cannot be mappings."""
    if len(data) < _MAPPINGS_HEAD.size:
        raise ValueError("a row of mappings is too short")
    n, shift, length = _MAPPINGS_HEAD.unpack_from(data)
    if shift > 63:
        raise ValueError("a row of mappings does not hold what it says")
    begin = _MAPPINGS_HEAD.size + length
    texts = json.loads(data[_MAPPINGS_HEAD.size : begin])
    numbers = _sums(unpack(memoryview(data)[begin:], n * 4).reshape(n, 4, order="F"))
    gaps, sizes, offsets = numbers.T[:3] << np.uint64(shift)
    ends = np.cumsum(gaps + sizes)
    starts = (ends - sizes).tolist()
    permissions, names = map(str, texts["permissions"]), map(str, texts["names"])
    rows = zip(starts, ends.tolist(), permissions, offsets.tolist(), numbers.T[3].tolist(), names, strict=True)
    mappings = Mappings(Mapping(*fields) for fields in rows)
    return MappingsChange(entry.target_id, int(texts["time_ns"]), mappings)


def encode_target(target: Target) -> Row:
    """Return a target that joined."""
    data = json.dumps({"pid": target.pid, "command": target.command}).encode()
    return _row(Entry(TARGET, target.target_id), data)


def decode_target(entry: Entry, data: bytes) -> Target:
    """Undo `encode_target`. Raises ValueError, TypeError or KeyError where ``data`` cannot be a target."""
    fields = json.loads(data)
    return Target(entry.target_id, int(fields["pid"]), str(fields["command"]))


def rows_of(index: Sequence[Entry], body: bytes) -> Iterator[tuple[Entry, memoryview]]:
    """Yield the entries of ``index``, each with its data. Raises ValueError where ``body`` is not what they say."""
    ends = list(accumulate((entry.length for entry in index), initial=0))
    if ends[-1] != len(body):
        raise ValueError("a batch does not hold what its index says")
    return ((entry, memoryview(body)[a:b]) for entry, (a, b) in zip(index, pairwise(ends), strict=True))


def decompress(entry: Entry, data: memoryview) -> bytes:
    """Return the data of a row as it was before compression. Raises ValueError where that cannot be."""
    if entry.size > _LARGEST_ROW:
        raise ValueError("a row is too large")
    unpacker = zstd.ZstdDecompressor()
    try:
        whole = unpacker.decompress(data, max_length=entry.size)
    except zstd.ZstdError as error:
        raise ValueError(str(error)) from error
    if len(whole) != entry.size or not unpacker.eof:
        raise ValueError("a row is of another size than its index says")
    return whole


def _checked(entry: Entry) -> Entry:
    numbers = chain((entry.target_id, entry.size, entry.length, entry.nr_snapshots), *entry.ranges)
    times = (entry.start_ns, entry.end_ns)
    if not all(type(n) is int and 0 <= n < 1 << 64 for n in numbers) or not all(
        type(n) is int and -(1 << 63) <= n < 1 << 63 for n in times
    ):
        raise ValueError("an index does not hold numbers")
    if not all(len(ends) == 2 for ends in entry.ranges):
        raise ValueError("an index does not hold ranges")
    return entry


def _row(entry: Entry, data: bytes, hurried: bool = False) -> Row:
    if len(data) > _LARGEST_ROW:
        raise ValueError("these are more regions or mappings than a recording can hold at once")
    compressed = zstd.compress(data, _LEVEL if hurried or len(data) >= _LITTLE else _LEVEL_OF_LITTLE)
    return Row(replace(entry, size=len(data), length=len(compressed)), compressed)


def _numbers(batch: SnapshotBatch) -> NDArray[np.uint64]:
    """Return what is said of each snapshot besides its regions: uint64[n, 11], to be told by its differences."""
    start_ns, end_ns = batch.start_ns.view(np.uint64), batch.end_ns.view(np.uint64)
    before = np.concatenate([np.zeros(1, np.uint64), end_ns[:-1]])
    nr_regions = np.diff(batch.offsets).astype(np.uint64)
    columns = [start_ns - before, end_ns - start_ns, batch.nr_samples, nr_regions, batch.resident]
    return np.concatenate([np.stack(columns, axis=1), batch.health], axis=1)


def _differences(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return each row's difference to the one before, small for small ones of either sign; exact modulo 2**64."""
    steps = np.diff(numbers, axis=0, prepend=np.uint64(0)).view(np.int64)
    return ((steps << 1) ^ (steps >> 63)).view(np.uint64)


def _sums(differences: NDArray[np.uint64]) -> NDArray[np.uint64]:
    one = np.uint64(1)
    steps = (differences >> one) ^ (np.uint64(0) - (differences & one))
    return np.cumsum(steps, axis=0, dtype=np.uint64)


def _common_zero_bits(*every: NDArray[np.uint64]) -> int:
    """Return how many of the lowest bits are zero in all values: 12 of addresses of pages."""
    bits = 0
    for values in every:
        bits |= int(np.bitwise_or.reduce(values))
    return (bits & -bits).bit_length() - 1 if bits else 0


def _empty_regions(m: int) -> dict[str, NDArray[Any]]:
    """Return arrays for ``m`` regions.

    They are one allocation: NumPy asks for huge pages for large ones, without which much of the time goes into faults.
    """
    kinds = {"start": np.uint64, "end": np.uint64, "nr_accesses": np.uint32, "age": np.uint32, "unknown": np.bool_}
    sizes = [m * np.dtype(kind).itemsize for kind in kinds.values()]
    ends = np.cumsum([0, *sizes]).tolist()
    block = np.empty(ends[-1], np.uint8)
    return {name: block[a:b].view(kind) for (name, kind), (a, b) in zip(kinds.items(), pairwise(ends), strict=True)}


def _check_ranges(batch: SnapshotBatch) -> None:
    in_order = batch.end[:-1] <= batch.start[1:]
    borders = batch.offsets[1:-1]
    in_order[borders[(borders > 0) & (borders < len(batch.start))] - 1] = True
    if bool(np.any(batch.start >= batch.end)) or not bool(in_order.all()):
        raise ValueError("regions of a snapshot are empty, overlap or are not sorted")
