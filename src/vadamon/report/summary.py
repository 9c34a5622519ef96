"""Summary: what a process's memory looks like, and how far to trust that."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.reader import Recording
from vadamon.report.mappings import MappingsGroup, MappingsTable, tabulate
from vadamon.report.reading import count
from vadamon.report.survey import survey
from vadamon.report.usage import CLASSES, COLD, HOT_SHARE, UNTOUCHED, Usage, UsageCounter
from vadamon.report.wss import WorkingSet, WorkingSetCounter
from vadamon.snapshot import SampleHealth

_SECOND_NS = 1_000_000_000
_IDLE_STEPS_NS = tuple(seconds * _SECOND_NS for seconds in (1, 10, 60, 600, 3600, 6 * 3600, 86400))
_NR_COLUMNS = 200
_NR_COLDEST = 3


@dataclass(frozen=True, slots=True)
class Health:
    """How far a recording of one target can be trusted: sums over its snapshots.

    ``nr_samples`` are points in time at which regions were sampled, ``nr_checks`` those times the regions there were;
    ``unknown`` (0 to 1) is the share of monitored bytes, on average over time, that had no valid sample. Where
    intervals were tuned, ``sample_intervals`` has ``(start_ns, sample_ns)`` of the first snapshot that each was used
    for.
    """

    nr_samples: int
    nr_checks: int
    fewest_regions: int
    most_regions: int
    unknown: float
    counts: SampleHealth
    sample_intervals: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What the memory of one target looks like.

    ``resident`` has how many bytes were in memory, at the end and at most; None where nothing told.
    ``idle`` has ``(ns, bytes)``: so much memory that was found accessed before has been idle for so long or longer.
    ``coldest`` are the mappings with the most memory that is cold or untouched, the greatest first.
    """

    mappings: MappingsTable
    working_set: WorkingSet
    start_ns: int
    backend: str
    resident: tuple[int, int] | None
    idle: list[tuple[int, int]]
    coldest: list[MappingsGroup]
    health: Health

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each of `CLASSES`, over all mappings."""
        return dict(zip(CLASSES, self.mappings.sizes.sum(axis=0).tolist(), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; sizes are in bytes."""
        table = self.mappings
        return {
            "target": asdict(table.target),
            "attrs": asdict(table.attrs),
            "backend": self.backend,
            "start_wall_ns": table.start_wall_ns,
            "start_ns": self.start_ns,
            "end_ns": table.end_ns,
            "nr_snapshots": self.working_set.nr_snapshots,
            "nr_mappings": len(table.mappings),
            "mapped": int(table.sizes.sum()),
            "resident": None if self.resident is None else dict(zip(("end", "most"), self.resident, strict=True)),
            **self.sizes(),
            "cold_after_ns": table.cold_after_ns,
            "working_set": {
                key: value
                for key, value in self.working_set.to_dict()["thresholds"][0].items()
                if key in ("mean", "percentiles")
            },
            "idle": [{"at_least_ns": ns, "size": size} for ns, size in self.idle],
            "coldest": [
                {
                    "name": group.name,
                    "size": group.size,
                    **dict(zip(CLASSES, group.sizes.tolist(), strict=True)),
                    "idle_ns": table.idle_ns(group.last_access_ns),
                }
                for group in self.coldest
            ],
            "health": asdict(self.health),
        }


def summaries(recording: Recording) -> list[Summary]:
    """Return a summary of each target, in two passes. Raises VadamonError where ``recording`` has no snapshot."""
    attrs = recording.attrs
    counters = {}
    for target_id, covered in survey(recording).items():
        mappings = recording.mappings.get(target_id, Mappings())
        counters[target_id] = (
            UsageCounter(covered, mappings, attrs),
            WorkingSetCounter(covered, mappings, attrs, _NR_COLUMNS, (0.0, HOT_SHARE)),
            _ResidentCounter(),
            _HealthCounter(attrs),
        )
    count(recording, counters)
    return [
        _summary(recording, used.usage(), accessed.working_set(recording), resident.resident(), health.health())
        for used, accessed, resident, health in counters.values()
    ]


def _summary(
    recording: Recording, usage: Usage, working_set: WorkingSet, resident: tuple[int, int] | None, health: Health
) -> Summary:
    table = tabulate(usage, recording)
    groups = sorted(table.groups(), key=_unused, reverse=True)
    return Summary(
        mappings=table,
        working_set=working_set,
        start_ns=usage.covered.start_ns,
        backend=recording.header.backend,
        resident=resident,
        idle=_idle(usage),
        coldest=[group for group in groups[:_NR_COLDEST] if _unused(group)],
        health=health,
    )


def _unused(group: MappingsGroup) -> int:
    return int(group.sizes[COLD] + group.sizes[UNTOUCHED])


def _idle(usage: Usage) -> list[tuple[int, int]]:
    """Return how much memory has been idle, by steps as long as the recording at most."""
    end_ns = usage.covered.end_ns
    idle_ns = np.where(usage.last_access_ns >= 0, end_ns - usage.last_access_ns, -1)
    return [
        (step_ns, int(usage.widths[idle_ns >= step_ns].sum()))
        for step_ns in _IDLE_STEPS_NS
        if step_ns <= end_ns - usage.from_ns
    ]


class _ResidentCounter:
    def __init__(self) -> None:
        self._last = self._most = 0

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of one target."""
        if len(known := batch.resident[batch.resident > 0]):
            self._last, self._most = int(known[-1]), max(self._most, int(known.max()))

    def resident(self) -> tuple[int, int] | None:
        return (self._last, self._most) if self._most else None


class _HealthCounter:
    def __init__(self, attrs: Attrs) -> None:
        self._is_tuned = attrs.intervals_goal is not None
        self._sample_intervals: list[tuple[int, int]] = []
        self._nr_samples = self._nr_checks = 0
        self._fewest, self._most = np.iinfo(np.int64).max, 0
        self._unknown = self._monitored = 0.0
        self._counts: NDArray[np.uint64] = np.zeros(len(fields(SampleHealth)), np.uint64)

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of one target."""
        nr_regions = np.diff(batch.offsets)
        self._nr_samples += int(batch.nr_samples.sum())
        self._nr_checks += int((batch.nr_samples * nr_regions).sum())
        self._fewest, self._most = min(self._fewest, int(nr_regions.min())), max(self._most, int(nr_regions.max()))
        size = batch.end - batch.start
        self._unknown += float(size[batch.unknown].sum())
        self._monitored += float(size.sum())
        if self._is_tuned:
            self._note_intervals(batch)
        self._counts += batch.health.sum(axis=0, dtype=np.uint64)

    def _note_intervals(self, batch: SnapshotBatch) -> None:
        sample_ns = batch.sample_ns
        last = self._sample_intervals[-1][1] if self._sample_intervals else 0
        changed = np.flatnonzero(np.diff(sample_ns, prepend=last))
        self._sample_intervals += zip(batch.start_ns[changed].tolist(), sample_ns[changed].tolist(), strict=True)

    def health(self) -> Health:
        return Health(
            nr_samples=self._nr_samples,
            nr_checks=self._nr_checks,
            fewest_regions=int(self._fewest),
            most_regions=self._most,
            unknown=self._unknown / max(1.0, self._monitored),
            counts=SampleHealth(*self._counts.tolist()),
            sample_intervals=self._sample_intervals,
        )
