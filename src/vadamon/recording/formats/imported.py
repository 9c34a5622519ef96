"""What formats of other tools do not say, and a recording must: how many samples there were, and the attributes."""

import os
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError
from vadamon.recording.header import Header, Target
from vadamon.recording.writer import RecordingWriter
from vadamon.snapshot import Snapshot


def infer_attrs(snapshots: Sequence[Snapshot]) -> Attrs:
    """Return DAMON's defaults, but for the aggregation interval, which the times of the snapshots (ns) show."""
    lengths = [snapshot.end_ns - snapshot.start_ns for snapshot in snapshots]
    aggr_us = max(1, round(float(np.median(lengths)) / 1000)) if lengths else Attrs().aggr_us
    sample_us = min(Attrs().sample_us, aggr_us)
    return Attrs(sample_us=sample_us, aggr_us=aggr_us, update_us=max(Attrs().update_us, aggr_us))


def write_imported(snapshots: Sequence[Snapshot], attrs: Attrs, path: str | os.PathLike[str], source: str) -> None:
    """Write ``snapshots``, sorted by time, as a recording.

    ``nr_samples`` becomes what the attributes give, or the most accesses that any region has, if that is more. Raises
    VadamonError where regions are empty, overlap or are not sorted, before anything is written.
    """
    for snapshot in snapshots:
        _check(snapshot, source)
    target_ids = dict.fromkeys(snapshot.target_id for snapshot in snapshots)
    most = max((int(snapshot.nr_accesses.max(initial=0)) for snapshot in snapshots), default=0)
    start_ns = min((snapshot.start_ns for snapshot in snapshots), default=0)
    header = Header(
        attrs=attrs,
        targets=tuple(Target(target_id, 0, f"target {target_id} of {source}") for target_id in target_ids),
        backend="imported",
        start_ns=start_ns,
        start_wall_ns=start_ns,
    )
    with RecordingWriter(path, header, live=False) as writer:
        for snapshot in snapshots:
            writer.write_snapshot(replace(snapshot, nr_samples=max(attrs.max_nr_samples, most)))


def _check(snapshot: Snapshot, source: str) -> None:
    in_order = (snapshot.start < snapshot.end).all() and (snapshot.end[:-1] <= snapshot.start[1:]).all()
    fits = 0 <= snapshot.target_id < 1 << 64 and 0 <= snapshot.start_ns <= snapshot.end_ns < 1 << 63
    if not in_order or not fits:
        what = "times or the target are out of bounds" if in_order else "regions are empty, overlap or are not sorted"
        raise VadamonError(
            f"{source} makes no sense: {what} in the snapshot of {snapshot.target_id} that ends at {snapshot.end_ns} ns"
        )
