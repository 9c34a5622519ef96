"""damo's json_compressed: JSON in a zlib stream, one entry a target, numbers as strings."""

import codecs
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError
from vadamon.recording.formats.imported import write_imported
from vadamon.recording.formats.json_stream import JsonStream
from vadamon.recording.formats.output import new_file, target_ids
from vadamon.recording.reader import Recording
from vadamon.snapshot import Snapshot

_PART = 1 << 18  # bytes
_REGION = (
    '{"start":"%d","end":"%d","nr_accesses":{"samples":"%d","percent":null},"age":{"usec":null,"aggr_intervals":"%d"}}'
)
# What damo has no word for, and passes over.
_OURS = "vadamon"


def export(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write ``recording`` as a record that damo reads, in constant memory. Times are those of CLOCK_MONOTONIC.

    Raises VadamonError where it has no snapshot, or ``path`` cannot be written.
    """
    every = target_ids(recording)
    compress = zlib.compressobj()
    with new_file(path) as out:
        for text in _records(recording, every):
            out.write(compress.compress(text.encode()))
        out.write(compress.flush())


def _records(recording: Recording, every: list[int]) -> Iterator[str]:
    attrs = recording.attrs
    intervals = {
        "sample_us": str(attrs.sample_us),
        "aggr_us": str(attrs.aggr_us),
        "ops_update_us": str(attrs.update_us),
    }
    for target_id in every:
        head = {
            "kdamond_idx": 0,
            "context_idx": 0,
            "scheme_idx": None,
            "intervals": intervals,
            "target_id": target_id,
        }
        yield ("[" if target_id == every[0] else ",") + json.dumps(head)[:-1] + ', "snapshots": ['
        separator = ""
        for snapshot in recording.of(target_id):
            yield separator + _snapshot(snapshot)
            separator = ","
        yield "]}"
    yield "]"


def _snapshot(snapshot: Snapshot) -> str:
    ours = json.dumps({"nr_samples": snapshot.nr_samples, "unknown": np.flatnonzero(snapshot.unknown).tolist()})
    columns = np.stack([snapshot.start, snapshot.end, snapshot.nr_accesses, snapshot.age], axis=1)
    regions = ",".join([_REGION] * len(snapshot)) % tuple(columns.ravel().tolist())
    times = f'"start_time":"{snapshot.start_ns}","end_time":"{snapshot.end_ns}"'
    return f'{{{times},"regions":[{regions}],"{_OURS}":{ours}}}'


def is_damo(beginning: bytes) -> bool:
    """Tell whether a file that begins like this may be such a record, compressed or not."""
    zlib_head = len(beginning) > 1 and beginning[0] == 0x78 and int.from_bytes(beginning[:2], "big") % 31 == 0
    return zlib_head or beginning.lstrip()[:1] == b"["


def import_(source: str | os.PathLike[str], path: str | os.PathLike[str], sample_us: int | None = None) -> None:
    """Make a recording of a record of damo, compressed or plain JSON, in constant memory.

    ``sample_us`` is the sample interval, for a record that does not say it. Raises VadamonError where the source is
    none, or cannot be read.
    """
    try:
        with Path(source).open("rb") as file:
            parser = _Parser(JsonStream(_text(file)))
            write_imported(parser.snapshots(), path, source, lambda: parser.attrs, sample_us)
    except OSError as error:
        raise VadamonError(f"cannot read {source}: {error.strerror}") from error
    except (zlib.error, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise VadamonError(f"{source} is not a whole record of damo (json_compressed): {error}") from error


def _text(file: BinaryIO) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for data in _decompressed(file):
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


def _decompressed(file: BinaryIO) -> Iterator[bytes]:
    beginning = file.read(1)
    file.seek(0)
    decompress = zlib.decompressobj()
    while data := file.read(_PART):
        if beginning != b"\x78":
            yield data
            continue
        while data:
            yield decompress.decompress(data, _PART)
            data = decompress.unconsumed_tail
    if beginning == b"\x78":
        yield decompress.flush()
        if not decompress.eof:
            raise ValueError("it is cut off")


class _Parser:
    """Snapshots as they come in the text; ``attrs`` are those of the last target begun, None if it has none."""

    def __init__(self, stream: JsonStream) -> None:
        self._stream = stream
        self.attrs: Attrs | None = None

    def snapshots(self) -> Iterator[Snapshot]:
        for _ in self._stream.items():
            target_id = None
            for key in self._stream.keys():
                if key == "snapshots":
                    if target_id is None:
                        raise ValueError("snapshots without a target_id before them")
                    for _ in self._stream.items():
                        yield _parse(target_id, self._stream.value(), self.attrs)
                    continue
                value = self._stream.value()
                if key == "target_id":
                    target_id = _number(value)
                elif key == "intervals" and value is not None:
                    self.attrs = Attrs(*(_number(value[name]) for name in ("sample_us", "aggr_us", "ops_update_us")))
        self._stream.expect("")


def _parse(target_id: int, raw: dict[str, Any], attrs: Attrs | None) -> Snapshot:
    regions = raw["regions"]
    ours = raw.get(_OURS) or {}
    unknown = np.zeros(len(regions), np.bool_)
    unknown[ours.get("unknown", [])] = True
    return Snapshot(
        target_id=target_id,
        start_ns=_number(raw["start_time"]),
        end_ns=_number(raw["end_time"]),
        start=np.array([_number(region["start"]) for region in regions], np.uint64),
        end=np.array([_number(region["end"]) for region in regions], np.uint64),
        nr_accesses=np.array([_nr_accesses(region["nr_accesses"], attrs) for region in regions], np.uint32),
        age=np.array([_age(region["age"], attrs) for region in regions], np.uint32),
        nr_samples=ours.get("nr_samples", 0),  # 0: see `write_imported`
        unknown=unknown,
    )


def _nr_accesses(raw: dict[str, Any], attrs: Attrs | None) -> int:
    if raw["samples"] is None and attrs is not None:
        return round(_number(raw["percent"]) * attrs.max_nr_samples / 100)
    return _number(raw["samples"])


def _age(raw: dict[str, Any], attrs: Attrs | None) -> int:
    if raw["aggr_intervals"] is not None:
        return _number(raw["aggr_intervals"])
    if raw["usec"] is not None and attrs is not None:
        return _number(raw["usec"]) // attrs.aggr_us
    return 0  # kernels before 5.16 have no ages


def _number(value: Any) -> int:
    """Parse ``1,234``; damo writes numbers as strings, times sometimes as ``1,234 ns``, and reads plain ones too."""
    return int(str(value).replace(",", "").removesuffix(" ns").partition(".")[0])
