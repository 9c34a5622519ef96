"""Regions: the last snapshot of each target, region by region."""

from dataclasses import asdict, dataclass
from typing import Any

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.names import names_of_ranges
from vadamon.report.survey import no_snapshot
from vadamon.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class RegionsTable:
    """The regions of one snapshot, with the name of what is mapped there; an empty name is nothing mapped."""

    target: Target
    attrs: Attrs
    snapshot: Snapshot
    end_wall_ns: int
    names: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        s = self.snapshot
        keys = ("start", "end", "nr_accesses", "age", "unknown", "name")
        columns = (
            s.start.tolist(),
            s.end.tolist(),
            s.nr_accesses.tolist(),
            s.age.tolist(),
            s.unknown.tolist(),
            self.names,
        )
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "start_ns": s.start_ns,
            "end_ns": s.end_ns,
            "end_wall_ns": self.end_wall_ns,
            "nr_samples": s.nr_samples,
            "health": asdict(s.health),
            "regions": [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)],
        }


def regions_tables(recording: Recording) -> list[RegionsTable]:
    """Return the last snapshot of each target. Raises VadamonError where ``recording`` has none."""
    last: dict[int, Snapshot] = {}
    for batch in recording.batches():
        for target_id, part in batch.by_target():
            last[target_id] = part[-1]
    if not last:
        raise no_snapshot(recording)
    return [
        RegionsTable(
            target=recording.target(target_id),
            attrs=recording.attrs,
            snapshot=snapshot,
            end_wall_ns=recording.wall_ns(snapshot.end_ns),
            names=names_of_ranges(recording.mappings.get(target_id, Mappings()), snapshot.start, snapshot.end),
        )
        for target_id, snapshot in last.items()
    ]
