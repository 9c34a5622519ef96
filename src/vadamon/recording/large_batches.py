"""Gather what is recorded into batches that are fast to read."""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import Row, encode_snapshots
from vadamon.recording.framing import END_MARK
from vadamon.recording.layout import batch_frame

# Regions, and for each snapshot a few more: a batch is some megabytes while it is made or read.
_LARGE = 1 << 16
_OF_A_SNAPSHOT = 4


class LargeBatches:
    """Hand on what is added, as the frames of large batches."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._snapshots: dict[int, list[SnapshotBatch]] = {}
        self._rows: list[Row] = []
        self._weight = 0

    def add(self, batches: Sequence[SnapshotBatch], rows: Sequence[Row]) -> None:
        """Take in batches, each of one target, and rows that are no snapshots."""
        for batch in batches:
            self._snapshots.setdefault(int(batch.target_id[0]), []).append(batch)
            self._weight += len(batch.start) + _OF_A_SNAPSHOT * len(batch)
        self._rows += rows
        self._weight += sum(len(row.data) for row in rows) // 8
        if self._weight >= _LARGE:
            self.flush()

    def flush(self) -> None:
        """Hand on what was gathered."""
        snapshots, rows = self._snapshots, self._rows
        self._snapshots, self._rows, self._weight = {}, [], 0
        if snapshots or rows:
            rows += [encode_snapshots(SnapshotBatch.joined(batches)) for batches in snapshots.values()]
            self._write(batch_frame(rows))


class Compaction:
    """A recording once more, in large batches, in a file that has no name before it is whole.

    Whatever ends the writer, nothing of it is left behind. Raises OSError where the file system has no such files, and
    from any method where writing fails.
    """

    def __init__(self, path: Path, begin: bytes) -> None:
        self._path = path
        self._file: BinaryIO = os.fdopen(os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600), "wb")
        self._batches = LargeBatches(self._put)
        self._put(begin)

    def add(self, batches: Sequence[SnapshotBatch], rows: Sequence[Row]) -> None:
        """As `LargeBatches.add`."""
        self._batches.add(batches, rows)

    def replace(self, file: BinaryIO) -> None:
        """Take the place of ``file``, unless its name is another's by now."""
        self._batches.flush()
        self._put(END_MARK)
        self._file.flush()
        os.fsync(self._file.fileno())
        its = os.fstat(file.fileno())
        if not os.path.samestat(its, self._path.stat()):
            return
        os.fchown(self._file.fileno(), its.st_uid, its.st_gid)
        os.fchmod(self._file.fileno(), stat.S_IMODE(its.st_mode))
        name = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        # A directory's descriptor makes Python follow the link to the file itself.
        folder = os.open(self._path.parent, os.O_PATH)
        try:
            os.link(f"/proc/self/fd/{self._file.fileno()}", name, src_dir_fd=folder)
            name.replace(self._path)
        finally:
            os.close(folder)
            name.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; what has no name is gone."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _put(self, data: bytes) -> None:
        self._file.write(data)
