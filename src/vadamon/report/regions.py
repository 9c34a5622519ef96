"""Regions: the last snapshot of each target, region by region, sorted and filtered."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.names import names_of_ranges
from vadamon.report.survey import no_snapshot
from vadamon.snapshot import Snapshot

Bounds = tuple[float | None, float | None]

SORTS: dict[str, Callable[[Snapshot], NDArray[Any]]] = {
    "address": lambda s: np.arange(len(s)),
    "heat": lambda s: np.lexsort((s.age, np.where(s.unknown, -1, s.nr_accesses)))[::-1],
    "size": lambda s: np.argsort(s.end - s.start, kind="stable")[::-1],
    "age": lambda s: np.argsort(s.age, kind="stable")[::-1],
}
"""How regions can be sorted: from low addresses to high, otherwise what is most first; unknown heat is last."""


@dataclass(frozen=True, slots=True)
class RegionsFilter:
    """Which regions to show: bounds ``(at least, at most)`` of the share of samples, of age and of size.

    Unknown regions are shown only where any ``access`` is.
    """

    access: Bounds = (None, None)
    age_ns: Bounds = (None, None)
    size: Bounds = (None, None)

    def chosen(self, snapshot: Snapshot, attrs: Attrs) -> NDArray[np.bool_]:
        """Tell which regions it lets through: bool[n]."""
        share = snapshot.nr_accesses / max(1, snapshot.nr_samples)
        share[snapshot.unknown] = np.nan
        return (
            _within(share, self.access)
            & _within(snapshot.age.astype(np.int64) * attrs.aggr_us * 1000, self.age_ns)
            & _within((snapshot.end - snapshot.start).astype(np.float64), self.size)
        )


@dataclass(frozen=True, slots=True, eq=False)
class RegionsTable:
    """The regions of one snapshot that are shown.

    ``shown`` (int64[k]) are indices into the regions of ``snapshot``, in the order in which to show them, and ``names``
    has for each of them the name of what is mapped there; an empty name is nothing mapped.
    """

    target: Target
    attrs: Attrs
    snapshot: Snapshot
    end_wall_ns: int
    shown: NDArray[np.int64]
    names: list[str]
    sort: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        s = self.snapshot
        keys = ("start", "end", "nr_accesses", "age", "unknown", "name")
        columns = [c[self.shown].tolist() for c in (s.start, s.end, s.nr_accesses, s.age, s.unknown)]
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "start_ns": s.start_ns,
            "end_ns": s.end_ns,
            "end_wall_ns": self.end_wall_ns,
            "nr_samples": s.nr_samples,
            "nr_regions": len(s),
            "sort": self.sort,
            "health": asdict(s.health),
            "regions": [dict(zip(keys, row, strict=True)) for row in zip(*columns, self.names, strict=True)],
        }


def regions_tables(
    recording: Recording, sort: str = "address", shown: RegionsFilter | None = None
) -> list[RegionsTable]:
    """Return the last snapshot of each target, sorted by one of `SORTS`. Raises VadamonError where there is none."""
    shown = shown or RegionsFilter()
    last: dict[int, Snapshot] = {}
    for batch in recording.batches():
        last[int(batch.target_id[0])] = batch[-1]
    if not last:
        raise no_snapshot(recording)
    tables = []
    for target_id, snapshot in last.items():
        order = SORTS[sort](snapshot)
        index = order[shown.chosen(snapshot, recording.attrs)[order]]
        mappings = recording.mappings.get(target_id, Mappings())
        tables.append(
            RegionsTable(
                target=recording.target(target_id),
                attrs=recording.attrs,
                snapshot=snapshot,
                end_wall_ns=recording.wall_ns(snapshot.end_ns),
                shown=index,
                names=names_of_ranges(mappings, snapshot.start[index], snapshot.end[index]),
                sort=sort,
            )
        )
    return tables


def _within(values: NDArray[Any], bounds: Bounds) -> NDArray[np.bool_]:
    low, high = bounds
    passed = np.ones(len(values), np.bool_)
    if low is not None:
        passed &= values >= low
    if high is not None:
        passed &= values <= high
    return passed
