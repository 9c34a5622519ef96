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
from vadamon.report.names import UNMAPPED, UNRECORDED, names_of_ranges
from vadamon.report.survey import no_snapshot
from vadamon.report.wording import counted
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
    has for each of them the name of what is mapped there; an empty name, shown as ``unnamed``, is none.
    """

    target: Target
    attrs: Attrs
    snapshot: Snapshot
    end_wall_ns: int
    shown: NDArray[np.int64]
    names: list[str]
    sort: str
    unnamed: str

    @property
    def longest(self) -> int:
        """How many accesses the longest bar stands for: all samples, or 1 where there was none."""
        return max(1, self.snapshot.nr_samples)

    def described(self) -> str:
        """Return how many regions are shown, and in which order: ``3 of 48 regions by heat``."""
        shown, every = len(self.shown), len(self.snapshot)
        order = "" if self.sort == "address" else f" by {self.sort}"
        return f"{f'{shown} of ' * (shown < every)}{counted(every, 'region')}{order}"

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
                unnamed=UNMAPPED if len(mappings) else UNRECORDED,
            )
        )
    return tables


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where to draw the k regions that are shown, in their order, each as big as the square root of its size.

    ``edges`` (float64[k + 1], 0 to 1) part them; ``runs`` are the name, the first address and the place of each run of
    regions of the same name.
    """

    edges: NDArray[np.float64]
    runs: list[tuple[str, int, float]]

    def marked(self, apart: float) -> list[tuple[str, int, float]]:
        """Return the runs whose name can be written, no nearer to another than ``apart``: the bigger ones first."""
        tops = np.array([top for *_, top in self.runs])
        marked: list[int] = []
        for i in np.argsort(-np.diff(tops, append=1.0), kind="stable").tolist():
            if all(abs(tops[i] - tops[j]) >= apart for j in marked):
                marked.append(i)
        return [self.runs[i] for i in sorted(marked)]


def places(table: RegionsTable) -> Places:
    """Lay out the regions that are shown."""
    start, end = table.snapshot.start[table.shown], table.snapshot.end[table.shown]
    heights = np.sqrt((end - start).astype(np.float64))
    edges = np.concatenate([[0.0], np.cumsum(heights)]) / max(1.0, float(heights.sum()))
    names = table.names
    first = [i for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
    return Places(edges, [(names[i], int(start[i]), float(edges[i])) for i in first])


def _within(values: NDArray[Any], bounds: Bounds) -> NDArray[np.bool_]:
    low, high = bounds
    passed = np.ones(len(values), np.bool_)
    if low is not None:
        passed &= values >= low
    if high is not None:
        passed &= values <= high
    return passed
