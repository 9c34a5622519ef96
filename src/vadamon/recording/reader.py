"""Read a recording."""

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from heapq import merge
from itertools import chain
from operator import is_
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import (
    MAPPINGS,
    SNAPSHOTS,
    TARGET,
    Entry,
    MappingsChange,
    decode_index,
    decode_mappings,
    decode_snapshots,
    decode_target,
    decompress,
    rows_of,
    summary,
)
from vadamon.recording.framing import Frame, FrameError, read_frames
from vadamon.recording.header import Target
from vadamon.recording.layout import FORMAT_VERSION, read_header, version_of
from vadamon.snapshot import Snapshot

_T = TypeVar("_T")


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as a recording does. Raises VadamonError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return version_of(file) is not None
    except OSError as error:
        raise VadamonError(f"cannot read {path}: {error.strerror}") from error


def open(path: str | os.PathLike[str]) -> "Recording":
    """Open a recording. Raises VadamonError where it is none, or one of another format."""
    return Recording(path)


@dataclass(frozen=True, slots=True)
class _Selection:
    """Snapshots that are in part between two times, of some targets; None is no bound."""

    start_ns: int | None = None
    end_ns: int | None = None
    target_ids: frozenset[int] | None = None

    def has_target(self, target_id: int) -> bool:
        return self.target_ids is None or target_id in self.target_ids

    def overlaps(self, entry: Entry) -> bool:
        return (
            self.has_target(entry.target_id)
            and (self.start_ns is None or entry.end_ns > self.start_ns)
            and (self.end_ns is None or entry.start_ns < self.end_ns)
        )

    def contains(self, entry: Entry) -> bool:
        return (self.start_ns is None or entry.start_ns >= self.start_ns) and (
            self.end_ns is None or entry.end_ns <= self.end_ns
        )

    def cut(self, batch: SnapshotBatch) -> SnapshotBatch:
        """Return the snapshots of ``batch`` that are in these times."""
        chosen = np.ones(len(batch), np.bool_)
        if self.start_ns is not None:
            chosen &= batch.end_ns > self.start_ns
        if self.end_ns is not None:
            chosen &= batch.start_ns < self.end_ns
        return batch.chosen(chosen)


class Recording:
    """The snapshots of one run, read lazily, one batch at a time.

    Iterating yields each `Snapshot`, as often as one likes: in file order, and of several targets by their ends within
    a batch. `between` and `of` give a part of it; what lies in other batches is neither read nor decompressed. Of a
    file that is cut off or damaged every batch that is whole is read; a VadamonWarning says so. Nothing is shown that
    was not written.

    Raises VadamonError where the file cannot be read, is no recording, or was written in another format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._selection = _Selection()
        self._warned: list[str] = []
        with self._open() as file:
            self._check_version(version_of(file))
            try:
                self.header, self._batches_at = read_header(file, os.fstat(file.fileno()).st_size)
            except (ValueError, TypeError, KeyError) as error:
                raise VadamonError(f"{self.path} cannot be read: its head is damaged, or makes no sense") from error

    @property
    def attrs(self) -> Attrs:
        """The attributes of the run."""
        return self.header.attrs

    def between(self, start_ns: int | None = None, end_ns: int | None = None) -> "Recording":
        """Return this recording with only the snapshots that overlap ``[start_ns, end_ns)``, CLOCK_MONOTONIC.

        None is no bound. Mappings that were in force then are those that changed before ``end_ns``.
        """
        return self._selected(replace(self._selection, start_ns=start_ns, end_ns=end_ns))

    def of(self, *target_ids: int) -> "Recording":
        """Return this recording with only these targets."""
        return self._selected(replace(self._selection, target_ids=frozenset(target_ids)))

    @cached_property
    def targets(self) -> dict[int, Target]:
        """All targets of the run, those that joined later too, by target id."""
        joined = chain.from_iterable(self._decoded(TARGET, self._is_of_target, decode_target))
        every = {target.target_id: target for target in (*self.header.targets, *joined)}
        return {target_id: target for target_id, target in every.items() if self._selection.has_target(target_id)}

    def target(self, target_id: int) -> Target:
        """Return the target of that id; its pid is 0 where nothing was written about it."""
        return self.targets.get(target_id, Target(target_id, pid=0))

    @cached_property
    def mappings(self) -> dict[int, Mappings]:
        """The last mappings that each target was seen to have, by target id; a target that ended keeps its last."""
        return {change.target_id: change.mappings for change in self.mappings_history() if len(change.mappings)}

    def mappings_history(self) -> Iterator[MappingsChange]:
        """Yield the mappings of all targets as they changed, in file order."""
        end_ns = self._selection.end_ns
        for change in chain.from_iterable(self._decoded(MAPPINGS, self._is_of_target, decode_mappings)):
            if end_ns is None or change.time_ns < end_ns:
                yield change

    def summaries(self) -> Iterator[Entry]:
        """Yield what each batch that `batches` would yield covers, by its index alone wherever that can be."""
        for frame, index in self._indexes():
            for entry in filter(self._has_snapshots, index):
                if self._selection.contains(entry):
                    yield entry
                else:
                    for batch in self._snapshot_batches(frame, index, partial(is_, entry)):
                        yield summary(batch)

    def batches(self) -> Iterator[SnapshotBatch]:
        """Yield the snapshots by batches, each of one target, as struct of arrays: the fast way through them."""
        for frame, index in self._indexes():
            yield from self._snapshot_batches(frame, index, self._has_snapshots)

    def __iter__(self) -> Iterator[Snapshot]:
        for frame, index in self._indexes():
            batches = self._snapshot_batches(frame, index, self._has_snapshots)
            yield from merge(*batches, key=lambda snapshot: snapshot.end_ns)

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the wall-clock time (UTC, nanoseconds since 1970) of a time in this recording."""
        return monotonic_ns - self.header.start_ns + self.header.start_wall_ns

    def __repr__(self) -> str:
        return f"<Recording {str(self.path)!r}>"

    def _selected(self, selection: _Selection) -> "Recording":
        part = Recording.__new__(Recording)
        part.path, part.header, part._warned = self.path, self.header, self._warned
        part._batches_at = self._batches_at
        part._selection = selection
        return part

    def _is_of_target(self, entry: Entry) -> bool:
        return self._selection.has_target(entry.target_id)

    def _has_snapshots(self, entry: Entry) -> bool:
        return entry.kind == SNAPSHOTS and self._selection.overlaps(entry)

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise VadamonError(f"cannot read {self.path}: {error.strerror}") from error

    def _check_version(self, version: int | None) -> None:
        if version is None:
            raise VadamonError(f"{self.path} is not a vadamon recording")
        if version != FORMAT_VERSION:
            age = "a newer" if version > FORMAT_VERSION else "an older"
            raise VadamonError(
                f"{self.path} was written in format {version}, and this vadamon reads format {FORMAT_VERSION}: "
                f"install {age} vadamon"
            )

    def _indexes(self) -> Iterator[tuple[Frame, list[Entry]]]:
        """Yield the batches, not read yet, with their indexes."""
        with self._open() as file:
            try:
                for frame in read_frames(file, self._batches_at, os.fstat(file.fileno()).st_size, self._warn):
                    try:
                        yield frame, decode_index(frame.index)
                    except (ValueError, TypeError):
                        self._warn("holds a batch that makes no sense")
            except OSError as error:
                raise VadamonError(f"cannot read {self.path}: {error.strerror}") from error

    def _decoded(
        self, kind: str, wanted: Callable[[Entry], bool], decode: Callable[[Entry, bytes], _T]
    ) -> Iterator[list[_T]]:
        """Yield what ``decode`` makes of the wanted rows of each batch."""
        for frame, index in self._indexes():
            yield self._rows(frame, index, lambda entry: entry.kind == kind and wanted(entry), decode)

    def _snapshot_batches(
        self, frame: Frame, index: list[Entry], wanted: Callable[[Entry], bool]
    ) -> list[SnapshotBatch]:
        def decode(entry: Entry, data: bytes) -> SnapshotBatch:
            batch = decode_snapshots(entry, data)
            return batch if self._selection.contains(entry) else self._selection.cut(batch)

        return [batch for batch in self._rows(frame, index, wanted, decode) if len(batch)]

    def _rows(
        self,
        frame: Frame,
        index: list[Entry],
        wanted: Callable[[Entry], bool],
        decode: Callable[[Entry, bytes], _T],
    ) -> list[_T]:
        if not any(map(wanted, index)):
            return []
        try:
            rows = rows_of(index, frame.body())
            return [decode(entry, decompress(entry, data)) for entry, data in rows if wanted(entry)]
        except FrameError as error:
            self._warn(str(error))
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            self._warn("holds a batch that makes no sense")
        return []

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned.append(what)
            warnings.warn(f"{self.path} {what}; all that is whole is used", VadamonWarning, stacklevel=2)
