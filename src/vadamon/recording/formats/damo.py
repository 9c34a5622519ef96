"""damo's json_compressed: JSON in a zlib stream, one entry a target, numbers as strings."""

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError
from vadamon.recording.formats.imported import infer_attrs, write_imported
from vadamon.recording.reader import Recording
from vadamon.snapshot import Snapshot

_MAGIC = b"\x78"


def export(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write ``recording`` as a record that damo reads, in constant memory. Times are those of CLOCK_MONOTONIC."""
    compress = zlib.compressobj()
    try:
        with Path(path).open("wb") as out:
            for text in _records(recording):
                out.write(compress.compress(text.encode()))
            out.write(compress.flush())
    except OSError as error:
        raise VadamonError(f"cannot write {path}: {error.strerror}") from error


def _records(recording: Recording) -> Iterator[str]:
    attrs = recording.attrs
    intervals = {
        "sample_us": str(attrs.sample_us),
        "aggr_us": str(attrs.aggr_us),
        "ops_update_us": str(attrs.update_us),
    }
    yield "["
    for number, target_id in enumerate(recording.targets):
        head = {
            "kdamond_idx": "0",
            "context_idx": "0",
            "scheme_idx": None,
            "intervals": intervals,
            "target_id": str(target_id),
        }
        yield ("," if number else "") + json.dumps(head)[:-1] + ', "snapshots": ['
        separator = ""
        for snapshot in recording.of(target_id):
            yield separator + json.dumps(_snapshot(snapshot))
            separator = ","
        yield "]}"
    yield "]"


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    columns = (snapshot.start, snapshot.end, snapshot.nr_accesses, snapshot.age)
    return {
        "start_time": str(snapshot.start_ns),
        "end_time": str(snapshot.end_ns),
        "sample_interval_us": None,  # written in ns, and read as µs
        "regions": [
            {
                "start": str(start),
                "end": str(end),
                "nr_accesses": {"samples": nr_accesses, "percent": None},
                "age": {"usec": None, "aggr_intervals": age},
            }
            for start, end, nr_accesses, age in zip(*(column.tolist() for column in columns), strict=True)
        ],
    }


def is_damo(beginning: bytes) -> bool:
    """Tell whether a file that begins like this may be such a record."""
    return beginning[:1] == _MAGIC


def import_(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Make a recording of a record of damo.

    Raises VadamonError where the source is none, or cannot be read.
    """
    try:
        records = json.loads(zlib.decompress(Path(source).read_bytes()))
        if not isinstance(records, list):
            raise ValueError("it is no list of targets")
        snapshots = [_parse(int(record["target_id"]), raw) for record in records for raw in record["snapshots"]]
        attrs = _attrs(records) or infer_attrs(snapshots)
    except OSError as error:
        raise VadamonError(f"cannot read {source}: {error.strerror}") from error
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise VadamonError(f"{source} is not a record of damo (json_compressed): {error}") from error
    snapshots.sort(key=lambda snapshot: snapshot.end_ns)
    write_imported(snapshots, attrs, path, str(source))


def _number(value: Any) -> int:
    return int(str(value).replace(",", ""))


def _attrs(records: list[dict[str, Any]]) -> Attrs | None:
    intervals = records[0].get("intervals") if records else None
    if not intervals:
        return None
    sample_us, aggr_us, update_us = (_number(intervals[name]) for name in ("sample_us", "aggr_us", "ops_update_us"))
    return Attrs(sample_us, aggr_us, update_us)


def _parse(target_id: int, raw: dict[str, Any]) -> Snapshot:
    regions = raw["regions"]
    return Snapshot(
        target_id=target_id,
        start_ns=_number(raw["start_time"]),
        end_ns=_number(raw["end_time"]),
        start=np.array([_number(region["start"]) for region in regions], dtype=np.uint64),
        end=np.array([_number(region["end"]) for region in regions], dtype=np.uint64),
        nr_accesses=np.array([_number(region["nr_accesses"]["samples"]) for region in regions], dtype=np.uint32),
        age=np.array([_number(region["age"]["aggr_intervals"] or 0) for region in regions], dtype=np.uint32),
        nr_samples=0,  # not in the format: see `write_imported`
        unknown=np.zeros(len(regions), dtype=np.bool_),
    )
