"""Write a recording."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from vadamon.clock import Clock, MonotonicClock
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import MappingsChange, Row, encode_mappings, encode_snapshots, encode_target
from vadamon.recording.framing import END_MARK
from vadamon.recording.header import Header, Target
from vadamon.recording.large_batches import Compaction, LargeBatches
from vadamon.recording.layout import batch_frame, beginning
from vadamon.snapshot import Snapshot

_LONGEST_UNWRITTEN_NS = 1_000_000_000
_MOST_UNWRITTEN = 65_536  # regions and mappings, so that memory is bounded with many targets too


class RecordingWriter:
    """Append snapshots and mappings to a recording.

    What is given is gathered and written as one batch, with one ``write``, as soon as it spans a second of snapshots or
    the oldest has waited for a second (of ``clock``): whoever kills the writer loses no more than that. Use it as a
    context manager, or call `close`: only then the file has its end mark.

    Small batches are slow to read. So all is written once more, in large ones, to a file that has no name until it
    takes the place of the first when the recording is closed. Where the file system has no such files, or the disk is
    full, the small ones stay. With ``live`` false, for snapshots that are at hand and not to come, large batches are
    all that is written.

    A file that is at ``path`` already is kept with ``.old`` behind its name, as perf does, once the new one has been
    begun. The new one can be read by its owner only (mode 0600): who we are or, under sudo, who called it.

    Raises VadamonError where the path cannot be written, and from any method where writing fails: the file then ends
    with its last whole batch, and can be read. Raises ValueError for regions that are empty, overlap or are not sorted.
    """

    def __init__(
        self, path: str | os.PathLike[str], header: Header, clock: Clock | None = None, *, live: bool = True
    ) -> None:
        self.path = Path(path)
        self._clock = clock or MonotonicClock()
        self._snapshots: list[Snapshot] = []
        self._rows: list[Row] = []
        self._nr_unwritten = 0
        self._oldest_start_ns: int | None = None
        self._oldest_written_ns = 0
        self._mappings: dict[int, Mappings] = {}
        begin = beginning(header)
        self._file = _create(self.path, begin)
        self._size = len(begin)
        self._large = None if live else LargeBatches(self._write)
        self._compaction = self._begin_compaction(begin) if live else None

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """Append a snapshot."""
        self._make_room(len(snapshot))
        self._snapshots.append(snapshot)
        if self._oldest_start_ns is None:
            self._oldest_start_ns = snapshot.start_ns
        span_ns = snapshot.end_ns - self._oldest_start_ns
        waited_ns = self._clock.now_ns() - self._oldest_written_ns
        if max(span_ns, waited_ns) >= _LONGEST_UNWRITTEN_NS or self._nr_unwritten >= _MOST_UNWRITTEN:
            self.flush()

    def write_batch(self, batch: SnapshotBatch) -> None:
        """Append many snapshots at once: the fast way."""
        self.flush()
        self._make_room(0)
        self._add([part for _, part in batch.by_target()], [])

    def write_mappings(self, target_id: int, time_ns: int, mappings: Mappings) -> None:
        """Append the mappings of a target as they are at ``time_ns``, unless they are what they were."""
        if self._mappings.get(target_id) == mappings:
            return
        self._make_room(len(mappings))
        self._mappings[target_id] = mappings
        self._rows.append(encode_mappings(MappingsChange(target_id, time_ns, mappings)))
        if self._nr_unwritten >= _MOST_UNWRITTEN:
            self.flush()

    def write_target(self, target: Target) -> None:
        """Append a target that joined after the recording began."""
        self._make_room(1)
        self._rows.append(encode_target(target))

    def flush(self) -> None:
        """Write what was gathered, as one batch."""
        snapshots, rows = self._snapshots, self._rows
        self._snapshots, self._rows = [], []
        self._nr_unwritten = 0
        self._oldest_start_ns = None
        batches = [part for _, part in SnapshotBatch.of(snapshots).by_target()] if snapshots else []
        if batches or rows:
            self._add(batches, rows)

    def close(self) -> None:
        """Write the rest and the end mark."""
        if self._file.closed:
            return
        self.flush()
        if self._large is not None:
            self._large.flush()
        self._write(END_MARK)
        self._try_compaction(lambda compaction: compaction.replace(self._file))
        self._drop_compaction()
        try:
            self._file.close()
        except OSError as error:
            self._fail(error)

    def __enter__(self) -> "RecordingWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_room(self, weight: int) -> None:
        """Prepare for an event of so many regions or mappings."""
        if self._file.closed:
            raise VadamonError(f"recording {self.path} is closed")
        if not self._snapshots and not self._rows:
            self._oldest_written_ns = self._clock.now_ns()
        self._nr_unwritten += weight

    def _add(self, batches: Sequence[SnapshotBatch], rows: Sequence[Row]) -> None:
        if self._large is not None:
            self._large.add(batches, rows)
            return
        self._write(batch_frame([*rows, *(encode_snapshots(batch, hurried=True) for batch in batches)]))
        self._try_compaction(lambda compaction: compaction.add(batches, rows))

    def _write(self, data: bytes) -> None:
        try:
            _write_all(self._file, data)
        except OSError as error:
            self._truncate()
            if self._compaction is None:
                self._fail(error)
            # Perhaps its space is what is missing here.
            self._drop_compaction()
            self._write(data)
        else:
            self._size += len(data)

    def _begin_compaction(self, begin: bytes) -> Compaction | None:
        path = Path(os.path.realpath(self.path))
        if not path.is_file():
            return None  # a pipe or a device
        try:
            return Compaction(path, begin)
        except OSError:
            return None

    def _try_compaction(self, step: Callable[[Compaction], None]) -> None:
        """Take a step; where that fails, the recording just stays in small batches."""
        if self._compaction is not None:
            try:
                step(self._compaction)
            except OSError:
                self._drop_compaction()

    def _drop_compaction(self) -> None:
        if self._compaction is not None:
            self._compaction.close()
            self._compaction = None

    def _truncate(self) -> None:
        """Cut off what was written in part."""
        with contextlib.suppress(OSError):
            self._file.truncate(self._size)
            self._file.seek(self._size)

    def _fail(self, error: OSError) -> NoReturn:
        self._drop_compaction()
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
