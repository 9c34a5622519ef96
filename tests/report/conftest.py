"""Small recordings, for reports whose every number can be worked out by hand."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from vadamon import Attrs, Header, Mapping, Mappings, Recording, RecordingWriter, Snapshot, Target
from vadamon.attrs import IntervalsGoal

SECOND = 1_000_000_000
Region = tuple[int, int, int]  # start, end, accesses of 20; -1 is unknown


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[..., Recording]:
    """Return a function that records snapshots given as lists of regions.

    They are of a second each, or else of tuned intervals of ``lengths`` seconds.
    """

    def record(
        *snapshots: Sequence[Region],
        mappings: Sequence[Mapping] = (),
        target_ids: Sequence[int] = (),
        lengths: Sequence[int] = (),
        resident: Sequence[int] = (),
    ) -> Recording:
        goal = IntervalsGoal() if lengths else None
        attrs = Attrs(sample_us=50_000, aggr_us=1_000_000, min_region_size=1, intervals_goal=goal)
        ends = np.cumsum(lengths or [1] * len(snapshots)).tolist()
        with RecordingWriter(tmp_path / "r", Header(attrs, (Target(1, 4242, "x"),))) as writer:
            if mappings:
                writer.write_mappings(1, 0, Mappings(mappings))
            for k, regions in enumerate(snapshots):
                start, end, accesses = (np.array([r[i] for r in regions], np.int64) for i in range(3))
                writer.write_snapshot(
                    Snapshot(
                        target_id=target_ids[k] if target_ids else 1,
                        start_ns=(ends[k - 1] if k else 0) * SECOND,
                        end_ns=ends[k] * SECOND,
                        start=start.astype(np.uint64),
                        end=end.astype(np.uint64),
                        nr_accesses=np.maximum(accesses, 0).astype(np.uint32),
                        age=np.full(len(start), k, np.uint32),
                        nr_samples=20,
                        unknown=accesses < 0,
                        resident=resident[k] if resident else 0,
                    )
                )
        return Recording(tmp_path / "r")

    return record
