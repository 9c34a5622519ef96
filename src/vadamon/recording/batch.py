"""Many snapshots as one struct of arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadamon.snapshot import SampleHealth, Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotBatch:
    """The n snapshots of one batch of a recording, in file order, with their m regions in all.

    Per snapshot: ``target_id`` (uint64[n]), ``start_ns`` and ``end_ns`` (int64[n], CLOCK_MONOTONIC), ``nr_samples``
    (uint32[n]) and ``health`` (uint64[n, 6], in the order of the fields of `SampleHealth`). Snapshot i has the
    regions ``offsets[i]`` to ``offsets[i + 1]`` (int64[n + 1]) of ``start`` and ``end`` (uint64[m]), ``nr_accesses``
    and ``age`` (uint32[m]) and ``unknown`` (bool[m]). Iterating, or an index, yields a `Snapshot`.
    """

    target_id: NDArray[np.uint64]
    start_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]
    nr_samples: NDArray[np.uint32]
    health: NDArray[np.uint64]
    offsets: NDArray[np.int64]
    start: NDArray[np.uint64]
    end: NDArray[np.uint64]
    nr_accesses: NDArray[np.uint32]
    age: NDArray[np.uint32]
    unknown: NDArray[np.bool_]

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
        )

    def __iter__(self) -> Iterator[Snapshot]:
        return (self[i] for i in range(len(self)))

    def by_target(self) -> Iterator[tuple[int, "SnapshotBatch"]]:
        """Yield each target id and the snapshots of that target."""
        for target_id in np.unique(self.target_id).tolist():
            yield target_id, self._of_target(target_id)

    def _of_target(self, target_id: int) -> "SnapshotBatch":
        chosen = self.target_id == target_id
        if chosen.all():
            return self
        sizes = np.diff(self.offsets)
        regions = np.repeat(chosen, sizes)
        return SnapshotBatch(
            self.target_id[chosen],
            self.start_ns[chosen],
            self.end_ns[chosen],
            self.nr_samples[chosen],
            self.health[chosen],
            np.concatenate([[0], np.cumsum(sizes[chosen])]),
            self.start[regions],
            self.end[regions],
            self.nr_accesses[regions],
            self.age[regions],
            self.unknown[regions],
        )
