"""Many snapshots as one struct of arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from vadamon.snapshot import SampleHealth, Snapshot

_HEALTH = [field.name for field in fields(SampleHealth)]
_MISSED = _HEALTH.index("missed_samples")
_health_row = attrgetter(*_HEALTH)  # astuple() copies each number, which takes longer than all else here


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotBatch:
    """The n snapshots of one batch of a recording, in file order, with their m regions in all.

    Per snapshot: ``target_id`` (uint64[n]), ``start_ns`` and ``end_ns`` (int64[n], CLOCK_MONOTONIC), ``nr_samples``
    (uint32[n]), ``health`` (uint64[n, 6], in the order of the fields of `SampleHealth`) and ``resident`` (uint64[n],
    bytes, 0 where it is not known). Snapshot i has the regions ``offsets[i]`` to ``offsets[i + 1]`` (int64[n + 1]) of
    ``start`` and ``end`` (uint64[m]), ``nr_accesses`` and ``age`` (uint32[m]) and ``unknown`` (bool[m]). Iterating, or
    an index, yields a `Snapshot`.
    """

    target_id: NDArray[np.uint64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    nr_samples: NDArray[np.uint32]
    health: NDArray[np.uint64]
    resident: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    nr_accesses: NDArray[np.uint32]
    age: NDArray[np.uint32]
    unknown: NDArray[np.bool_]

    @classmethod
    def of(cls, snapshots: Sequence[Snapshot]) -> "SnapshotBatch":
        """Gather snapshots, at least one."""
        return cls(
            target_id=np.array([s.target_id for s in snapshots], np.uint64),
            start_ns=np.array([s.start_ns for s in snapshots], np.int64),
            end_ns=np.array([s.end_ns for s in snapshots], np.int64),
            nr_samples=np.array([s.nr_samples for s in snapshots], np.uint32),
            health=np.array([_health_row(s.health) for s in snapshots], np.uint64),
            resident=np.array([s.resident for s in snapshots], np.uint64),
            offsets=_offsets(np.array([len(s) for s in snapshots], np.int64)),
            start=np.concatenate([s.start for s in snapshots]).astype(np.uint64, copy=False),
            end=np.concatenate([s.end for s in snapshots]).astype(np.uint64, copy=False),
            nr_accesses=np.concatenate([s.nr_accesses for s in snapshots]).astype(np.uint32, copy=False),
            age=np.concatenate([s.age for s in snapshots]).astype(np.uint32, copy=False),
            unknown=np.concatenate([s.unknown for s in snapshots]).astype(np.bool_, copy=False),
        )

    @classmethod
    def joined(cls, batches: Sequence["SnapshotBatch"]) -> "SnapshotBatch":
        """Return the snapshots of all ``batches``, at least one, one after the other."""
        if len(batches) == 1:
            return batches[0]
        columns = {
            field.name: np.concatenate([getattr(batch, field.name) for batch in batches]) for field in fields(cls)
        }
        columns["offsets"] = _offsets(np.concatenate([np.diff(batch.offsets) for batch in batches]))
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.target_id)

    def __getitem__(self, index: int) -> Snapshot:
        i = range(len(self))[index]
        regions = slice(self.offsets[i], self.offsets[i + 1])
        return Snapshot(
            target_id=int(self.target_id[i]),
            start_ns=int(self.start_ns[i]),
            end_ns=int(self.end_ns[i]),
            start=self.start[regions],
            end=self.end[regions],
            nr_accesses=self.nr_accesses[regions],
            age=self.age[regions],
            nr_samples=int(self.nr_samples[i]),
            unknown=self.unknown[regions],
            health=SampleHealth(*self.health[i].tolist()),
            resident=int(self.resident[i]),
        )

    def __iter__(self) -> Iterator[Snapshot]:
        return (self[i] for i in range(len(self)))

    @property
    def sample_ns(self) -> NDArray[np.int64]:
        """The sample interval that each snapshot was made with, in ns (int64[n]); 0 where there is no telling.

        It is the same for all snapshots of a recording unless its attributes have an ``intervals_goal``.
        """
        nr_ticks = self.nr_samples + self.health[:, _MISSED].astype(np.int64)
        return (self.end_ns - self.start_ns) // np.maximum(nr_ticks, 1) * (nr_ticks > 0)

    def by_target(self) -> Iterator[tuple[int, "SnapshotBatch"]]:
        """Yield each target id and the snapshots of that target."""
        for target_id in np.unique(self.target_id).tolist():
            yield target_id, self.chosen(self.target_id == target_id)

    def between(self, first: int, last: int) -> "SnapshotBatch":
        """Return the snapshots from number ``first`` on, without ``last``; nothing is copied."""
        regions = slice(self.offsets[first], self.offsets[last])
        return SnapshotBatch(
            self.target_id[first:last],
            self.start_ns[first:last],
            self.end_ns[first:last],
            self.nr_samples[first:last],
            self.health[first:last],
            self.resident[first:last],
            self.offsets[first : last + 1] - self.offsets[first],
            self.start[regions],
            self.end[regions],
            self.nr_accesses[regions],
            self.age[regions],
            self.unknown[regions],
        )

    def chosen(self, which: NDArray[np.bool_]) -> "SnapshotBatch":
        """Return the snapshots that ``which`` (bool[n]) is set for."""
        if which.all():
            return self
        sizes = np.diff(self.offsets)
        regions = np.repeat(which, sizes)
        return SnapshotBatch(
            self.target_id[which],
            self.start_ns[which],
            self.end_ns[which],
            self.nr_samples[which],
            self.health[which],
            self.resident[which],
            _offsets(sizes[which]),
            self.start[regions],
            self.end[regions],
            self.nr_accesses[regions],
            self.age[regions],
            self.unknown[regions],
        )


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
