"""Write a recording."""

import contextlib
import errno
import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.ipc as ipc

from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.recording.encoding import SCHEMA, Event, MappingsChange, encode
from vadamon.recording.framing import BLANK_SEAL, SEAL_KEY, seal
from vadamon.recording.header import Header, Target
from vadamon.snapshot import Snapshot

FORMAT_VERSION = 1
_LONGEST_UNWRITTEN_NS = 1_000_000_000
_MOST_UNWRITTEN = 65_536  # regions and mappings, so that memory is bounded with many targets too


class RecordingWriter:
    """Append snapshots and mappings to a recording: an Arrow IPC stream, one row an event.

    Events are gathered and written as one batch, with one ``write``, as soon as they span a second of snapshots or the
    oldest has waited for a second (of ``clock``): whoever kills the writer loses no more than that. Use it as a context
    manager, or call `close`: only then the file has its end mark.

    A file that is at ``path`` already is kept with ``.old`` behind its name, as perf does, once the new one has been
    begun. The new one can be read by its owner only (mode 0600): who we are or, under sudo, who called it.

    Raises VadamonError where the path cannot be written, and from any method where writing fails: the file then ends
    with its last whole batch, and can be read.
    """

    def __init__(self, path: str | os.PathLike[str], header: Header, clock: Clock | None = None) -> None:
        self.path = Path(path)
        self._clock = clock or MonotonicClock()
        self._events: list[Event] = []
        self._nr_unwritten = 0
        self._oldest_start_ns: int | None = None
        self._oldest_written_ns = 0
        self._mappings: dict[int, Mappings] = {}
        self._buffer = io.BytesIO()
        self._stream = ipc.new_stream(
            self._buffer,
            SCHEMA.with_metadata(
                {
                    b"vadamon.format": b"vadamon recording",
                    b"vadamon.version": b"%d" % FORMAT_VERSION,
                    b"vadamon.header": header.to_json().encode(),
                    SEAL_KEY: BLANK_SEAL,
                }
            ),
            # Threads would only cost memory: a batch is small.
            options=ipc.IpcWriteOptions(compression=pa.Codec("zstd", 3), use_threads=False),
        )
        begin = seal(_schema_message(self._stream, self._buffer))
        self._file = _create(self.path, begin)
        self._size = len(begin)

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """Append a snapshot."""
        if self._oldest_start_ns is None:
            self._oldest_start_ns = snapshot.start_ns
        self._append(snapshot, len(snapshot))
        span_ns = snapshot.end_ns - self._oldest_start_ns
        waited_ns = self._clock.now_ns() - self._oldest_written_ns
        if max(span_ns, waited_ns) >= _LONGEST_UNWRITTEN_NS or self._nr_unwritten >= _MOST_UNWRITTEN:
            self.flush()

    def write_mappings(self, target_id: int, time_ns: int, mappings: Mappings) -> None:
        """Append the mappings of a target as they are at ``time_ns``, unless they are what they were."""
        if self._mappings.get(target_id) == mappings:
            return
        self._mappings[target_id] = mappings
        self._append(MappingsChange(target_id, time_ns, mappings), len(mappings))
        if self._nr_unwritten >= _MOST_UNWRITTEN:
            self.flush()

    def write_target(self, target: Target) -> None:
        """Append a target that joined after the recording began."""
        self._append(target, 1)

    def flush(self) -> None:
        """Write what was gathered, as one batch."""
        if not self._events:
            return
        self._stream.write_batch(encode(self._events), custom_metadata={SEAL_KEY: BLANK_SEAL})
        self._events.clear()
        self._nr_unwritten = 0
        self._oldest_start_ns = None
        self._write(seal(_take(self._buffer)))

    def close(self) -> None:
        """Write the rest and the end mark."""
        if self._file.closed:
            return
        self.flush()
        self._stream.close()
        self._write(_take(self._buffer))
        try:
            self._file.close()
        except OSError as error:
            self._fail(error)

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, event: Event, weight: int) -> None:
        if self._file.closed:
            raise VadamonError(f"recording {self.path} is closed")
        if not self._events:
            self._oldest_written_ns = self._clock.now_ns()
        self._events.append(event)
        self._nr_unwritten += weight

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._file, data)
        except OSError as error:
            self._fail(error)
        self._size += len(data)

    def _fail(self, error: OSError) -> NoReturn:
        """Cut off what was written in part, and say what happened."""
        with contextlib.suppress(OSError):
            self._file.truncate(self._size)
        with contextlib.suppress(OSError):
            self._file.close()
        reason = error.strerror or str(error)
        raise VadamonError(f"cannot write {self.path}: {reason}; what was recorded up to then is kept in it") from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise VadamonError where no recording could be made at ``path``; leaves what is there as it is."""
    path = Path(os.path.realpath(path))
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.exists() or path.is_file():
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise VadamonError(f"cannot write {path}: {error.strerror}") from error


def _schema_message(stream: ipc.RecordBatchStreamWriter, buffer: io.BytesIO) -> bytes:
    """Return the message with the schema; pyarrow writes it only together with a batch, so let go of an empty one."""
    stream.write_batch(encode([]), custom_metadata={SEAL_KEY: BLANK_SEAL})
    data = _take(buffer)
    return data[: 8 + int.from_bytes(data[4:8], "little")]


def _take(buffer: io.BytesIO) -> bytes:
    data = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return data


def _write_all(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _create(path: Path, begin: bytes) -> BinaryIO:
    """Open ``path`` for a recording that starts with ``begin``."""
    try:
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file() and not path.is_dir():
            file = path.open("wb", buffering=0)  # a pipe or a device
            _write_all(file, begin)
            return file
        return _replace(path, begin)
    except OSError as error:
        raise VadamonError(f"cannot write {path}: {error.strerror}") from error


def _replace(path: Path, begin: bytes) -> BinaryIO:
    """As `_create`; what is there is moved away only after ``begin`` has been written."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    descriptor, new = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    file = os.fdopen(descriptor, "wb", buffering=0)
    try:
        if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdigit() and os.environ.get("SUDO_GID", "").isdigit():
            # Whoever called sudo is to read it, too.
            os.fchown(descriptor, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
        _write_all(file, begin)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.old"))
        Path(new).replace(path)
    except BaseException:
        file.close()
        Path(new).unlink(missing_ok=True)
        raise
    return file
