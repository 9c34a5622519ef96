"""Go through a recording, or through a span of its time, target by target."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vadamon.errors import VadamonError
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.reader import Recording


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time in nanoseconds of CLOCK_MONOTONIC: snapshots whose middle is in ``[start_ns, end_ns)``."""

    start_ns: int
    end_ns: int


class Counter(Protocol):
    """What sums up the snapshots of one target."""

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots."""


def parts(recording: Recording, span: Span | None = None) -> Iterator[tuple[int, SnapshotBatch]]:
    """Yield target ids and snapshots of that target, in file order."""
    near = recording if span is None else recording.between(span.start_ns, span.end_ns)
    for batch in near.batches():
        target_id = int(batch.target_id[0])
        if span is None:
            yield target_id, batch
        else:
            middle = (batch.start_ns + batch.end_ns) // 2
            inside = np.flatnonzero((middle >= span.start_ns) & (middle < span.end_ns))
            if len(inside):
                yield target_id, batch.between(int(inside[0]), int(inside[-1]) + 1)


def count(recording: Recording, counters: Mapping[int, Sequence[Counter]], span: Span | None = None) -> None:
    """Let the counters of each target see all its snapshots, in one pass.

    Raises VadamonError where those of a target are damaged, all of them.
    """
    unseen = set(counters)
    for target_id, part in parts(recording, span):
        unseen.discard(target_id)
        for counter in counters[target_id]:
            counter.add(part)
    if unseen:
        raise VadamonError(f"{recording.path} is damaged: no snapshot of target {min(unseen)} in it can be read")


@dataclass(frozen=True, slots=True)
class Timeline:
    """A span of time in equal columns."""

    start_ns: int
    end_ns: int
    nr_columns: int

    @classmethod
    def of(cls, start_ns: int, end_ns: int, most: int, shortest_ns: int) -> "Timeline":
        """Return at most ``most`` columns, none shorter than ``shortest_ns``."""
        return cls(start_ns, end_ns, max(1, min(most, (end_ns - start_ns) // shortest_ns)))

    @property
    def column_ns(self) -> float:
        """How long a column is, in nanoseconds."""
        return max(1.0, (self.end_ns - self.start_ns) / self.nr_columns)

    def columns(self, batch: SnapshotBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first column of each snapshot, and the one after its last.

        A snapshot belongs to the columns it fills by more than half, or else to that of its middle, so that one that
        is late by a little does not show in two.
        """
        start = (batch.start_ns - self.start_ns) / self.column_ns
        end = (batch.end_ns - self.start_ns) / self.column_ns
        first, last = np.rint(start).astype(np.int64), np.rint(end).astype(np.int64)
        middle = np.clip(((start + end) / 2).astype(np.int64), 0, self.nr_columns - 1)
        short = last <= first
        return (
            np.where(short, middle, np.maximum(first, 0)),
            np.where(short, middle + 1, np.minimum(last, self.nr_columns)),
        )
