"""Read a recording."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.ipc as ipc

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.mappings import Mappings
from vadamon.recording import encoding
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import SCHEMA, MappingsChange
from vadamon.recording.framing import SEAL_KEY, FrameError, MessageStream, read_messages
from vadamon.recording.header import Header, Target
from vadamon.recording.writer import FORMAT_VERSION
from vadamon.snapshot import Snapshot

_T = TypeVar("_T")
_LONGEST_HEADER = 1 << 20  # bytes within which a recording has to show that it is one


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as a recording does. Raises VadamonError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return SEAL_KEY in file.read(_LONGEST_HEADER)
    except OSError as error:
        raise VadamonError(f"cannot read {path}: {error.strerror}") from error


def open(path: str | os.PathLike[str]) -> "Recording":
    """Open a recording. Raises VadamonError where it is none, or one of a newer format."""
    return Recording(path)


class Recording:
    """The snapshots of one run, read lazily, one batch at a time.

    Iterating yields each `Snapshot`, in file order, as often as one likes. Of a file that is cut off or damaged all
    that comes before that place is read; a VadamonWarning says so. Nothing is shown that was not written.

    Raises VadamonError where the file cannot be read, is no recording, or was written in a newer format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._warned = False
        self.header = self._parse_header(self._read_schema_message())

    @property
    def attrs(self) -> Attrs:
        """The attributes of the run."""
        return self.header.attrs

    @cached_property
    def targets(self) -> dict[int, Target]:
        """All targets of the run, those that joined later too, by target id."""
        joined = self._decode(encoding.decode_targets, encoding.TARGET_COLUMNS)
        return {target.target_id: target for target in (*self.header.targets, *chain.from_iterable(joined))}

    def target(self, target_id: int) -> Target:
        """Return the target of that id; its pid is 0 where nothing was written about it."""
        return self.targets.get(target_id, Target(target_id, pid=0))

    @cached_property
    def mappings(self) -> dict[int, Mappings]:
        """The last mappings that each target was seen to have, by target id; a target that ended keeps its last."""
        return {change.target_id: change.mappings for change in self.mappings_history() if len(change.mappings)}

    def mappings_history(self) -> Iterator[MappingsChange]:
        """Yield the mappings of all targets as they changed, in file order."""
        return chain.from_iterable(self._decode(encoding.decode_mappings, encoding.MAPPINGS_COLUMNS))

    def batches(self) -> Iterator[SnapshotBatch]:
        """Yield the snapshots by batches, as struct of arrays: the fast way through a long recording."""
        return self._decode(encoding.decode_snapshots, encoding.SNAPSHOT_COLUMNS)

    def __iter__(self) -> Iterator[Snapshot]:
        return chain.from_iterable(self.batches())

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the wall-clock time (UTC, nanoseconds since 1970) of a time in this recording."""
        return monotonic_ns - self.header.start_ns + self.header.start_wall_ns

    def __repr__(self) -> str:
        return f"<Recording {str(self.path)!r}>"

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise VadamonError(f"cannot read {self.path}: {error.strerror}") from error

    def _read_schema_message(self) -> bytes:
        with self._open() as file:
            beginning = file.read(_LONGEST_HEADER)
            if SEAL_KEY not in beginning:
                raise VadamonError(f"{self.path} is not a vadamon recording")
            file.seek(0)
            try:
                return next(read_messages(file, os.fstat(file.fileno()).st_size))
            except FrameError as error:
                raise VadamonError(f"{self.path} cannot be read: its head {error}") from error

    def _parse_header(self, message: bytes) -> Header:
        try:
            schema = ipc.read_schema(pa.py_buffer(message))
            version = int(schema.metadata[b"vadamon.version"])
            if version > FORMAT_VERSION:
                raise VadamonError(
                    f"{self.path} was written in format {version}, and this vadamon reads up to {FORMAT_VERSION}: "
                    "install a newer vadamon"
                )
            header = Header.from_json(schema.metadata[b"vadamon.header"])
            if not schema.equals(SCHEMA):
                raise ValueError("columns are not those of this format")
            return header
        except (pa.ArrowException, ValueError, TypeError, KeyError) as error:
            raise VadamonError(f"{self.path} cannot be read: its head makes no sense ({error})") from error

    def _decode(self, decode: Callable[[pa.RecordBatch], _T], columns: Sequence[str]) -> Iterator[_T]:
        """Yield what ``decode`` makes of each batch, of which only ``columns`` are unpacked, as far as all is whole."""
        options = ipc.IpcReadOptions(included_fields=[SCHEMA.get_field_index(c) for c in columns], use_threads=False)
        with self._open() as file:
            messages = read_messages(file, os.fstat(file.fileno()).st_size)
            try:
                for batch in ipc.open_stream(MessageStream(messages), options=options):
                    batch.validate(full=True)
                    yield decode(batch)
            except FrameError as error:
                self._warn(str(error))
            except (pa.ArrowException, ValueError):
                self._warn("holds a batch that makes no sense")
            except OSError as error:
                raise VadamonError(f"cannot read {self.path}: {error.strerror}") from error

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            text = f"{self.path} {what}; all that is whole before that is used"
            warnings.warn(text, VadamonWarning, stacklevel=2)
