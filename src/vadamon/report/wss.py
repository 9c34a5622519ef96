"""Working-set size: how many bytes were found accessed, over time, its distribution, and by mapping."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.folding import FoldedSpace, expand
from vadamon.report.names import UNMAPPED, UNRECORDED, label, with_size
from vadamon.report.reading import Timeline, count
from vadamon.report.survey import Survey, survey

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
DEFAULT_THRESHOLDS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class WorkingSet:
    """The working-set size of one target by t thresholds, in bytes.

    The working set of a snapshot by a threshold is all regions found accessed in at least that share of samples; a
    threshold of 0 stands for any access. Unknown regions are in none of them; ``unknown`` has their bytes.

    ``sizes`` (int64[t, n]) are sorted from small to great, so that percentiles can be read off; they are those of the
    n snapshots, whose mean, weighed by how long they were, is ``mean`` (float64[t]). Where intervals were tuned, a long
    snapshot is among them once for each aggregation interval of ``attrs`` that it was as long as.
    ``over_time`` and ``peak_over_time`` (float64[t, c], NaN where there is no snapshot) are means and greatest values
    in the c columns of ``timeline``; ``unknown`` (float64[c]) are means. ``by_mapping`` (float64[t, g, c]) parts
    ``over_time`` by ``names``, of neighbouring mappings with the same name, the greatest first; memory in regions that
    was not mapped when the recording ended comes last, where there is any.
    """

    target: Target
    attrs: Attrs
    origin_ns: int
    start_wall_ns: int
    nr_snapshots: int
    timeline: Timeline
    thresholds: tuple[float, ...]
    sizes: NDArray[np.int64]
    mean: NDArray[np.float64]
    over_time: NDArray[np.float64]
    peak_over_time: NDArray[np.float64]
    unknown: NDArray[np.float64]
    names: list[str]
    by_mapping: NDArray[np.float64]

    def percentiles(self, percents: Sequence[float] = PERCENTILES) -> NDArray[np.int64]:
        """Return for each threshold the sizes, int64[t, p], that so many percent of the snapshots are below.

        As damo counts: of n sorted sizes it is number ``percent * n // 100`` from 0, or the last.
        """
        n = self.sizes.shape[1]
        index = [min(int(percent * n / 100), n - 1) for percent in percents]
        found: NDArray[np.int64] = self.sizes[:, index]
        return found

    def mapping_means(self) -> NDArray[np.float64]:
        """Return the mean over time of each threshold and mapping: float64[t, g]."""
        return _mean_over_time(self.by_mapping)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; sizes are in bytes."""
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "start_wall_ns": self.start_wall_ns,
            "origin_ns": self.origin_ns,
            **asdict(self.timeline),
            "column_ns": self.timeline.column_ns,
            "nr_snapshots": self.nr_snapshots,
            "unknown": _plain(self.unknown),
            "thresholds": [
                {
                    "threshold": threshold,
                    "mean": mean,
                    "percentiles": dict(zip(map(str, PERCENTILES), percentiles, strict=True)),
                    "over_time": _plain(over_time),
                    "peak_over_time": _plain(peak),
                    "by_mapping": [
                        {"name": name, "mean": mapping_mean, "over_time": _plain(sizes)}
                        for name, mapping_mean, sizes in zip(self.names, mapping_means, by_mapping, strict=True)
                    ],
                }
                for threshold, mean, percentiles, over_time, peak, mapping_means, by_mapping in zip(
                    self.thresholds,
                    self.mean.tolist(),
                    self.percentiles().tolist(),
                    self.over_time,
                    self.peak_over_time,
                    self.mapping_means().tolist(),
                    self.by_mapping,
                    strict=True,
                )
            ],
        }


def biggest(wss: WorkingSet, most: int) -> tuple[list[str], NDArray[np.float64]]:
    """Return at most ``most`` names, and sizes as in ``by_mapping``; where there are more, the last is all the rest."""
    if len(wss.names) <= most:
        return wss.names, wss.by_mapping
    kept = most - 1
    rest = wss.by_mapping[:, kept:].sum(axis=1, keepdims=True)
    names = [*wss.names[:kept], f"{len(wss.names) - kept} smaller ones"]
    return names, np.concatenate([wss.by_mapping[:, :kept], rest], axis=1)


def working_sets(
    recording: Recording, nr_columns: int = 200, thresholds: Sequence[float] = DEFAULT_THRESHOLDS
) -> list[WorkingSet]:
    """Return the working-set size of each target, in two passes; memory grows by 8 bytes a threshold and snapshot.

    ``thresholds`` are shares of samples, 0 to 1. Raises VadamonError where ``recording`` has no snapshot.
    """
    counters = {
        target_id: WorkingSetCounter(
            covered, recording.mappings.get(target_id, Mappings()), recording.attrs, nr_columns, thresholds
        )
        for target_id, covered in survey(recording).items()
    }
    count(recording, {target_id: [counter] for target_id, counter in counters.items()})
    return [counter.working_set(recording) for counter in counters.values()]


class WorkingSetCounter:
    """Working sets under way.

    Regions are told apart by the number of thresholds they reach; a threshold's working set is then all that reach so
    many or more.
    """

    def __init__(
        self, covered: Survey, mappings: Mappings, attrs: Attrs, nr_columns: int, thresholds: Sequence[float]
    ) -> None:
        self._covered = covered
        self._thresholds = tuple(sorted(set(thresholds)))
        self._timeline = Timeline.of(covered.start_ns, covered.end_ns, nr_columns, attrs.aggr_us * 1000)
        self._space = FoldedSpace(mappings.start, mappings.end)
        self._edges = self._space.offsets
        self._labels = [label(mapping) for mapping in mappings]
        nr_levels, nr_columns = len(self._thresholds), self._timeline.nr_columns
        self._sizes = np.empty((nr_levels, covered.nr_snapshots), np.int64)
        self._nr_snapshots = 0
        self._tuned_from_ns = attrs.aggr_us * 1000 if attrs.intervals_goal is not None else None
        self._repeats: list[NDArray[np.int64]] = []  # of snapshots, where intervals are tuned
        self._weighed, self._weight_ns = np.zeros(nr_levels), 0.0
        self._nr_in_column = np.zeros(nr_columns, np.int64)
        self._over_time = np.zeros((nr_levels, nr_columns))
        self._peak = np.zeros((nr_levels, nr_columns))
        self._unknown = np.zeros(nr_columns)
        self._mapped = np.zeros((nr_levels, len(mappings), nr_columns))

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of this target."""
        snapshot = np.repeat(np.arange(len(batch)), np.diff(batch.offsets))
        size = (batch.end - batch.start).astype(np.int64)
        level = self._levels(batch, snapshot)
        nr_levels = len(self._thresholds)
        sums = np.zeros((len(batch), nr_levels + 1), np.int64)
        reached = np.flatnonzero(level)
        np.add.at(sums, (snapshot[reached], level[reached] - 1), size[reached])
        sizes = _sums_from_above(sums[:, :nr_levels])
        self._sizes[:, self._nr_snapshots : self._nr_snapshots + len(batch)] = sizes.T
        self._nr_snapshots += len(batch)
        lengths_ns = np.maximum(batch.end_ns - batch.start_ns, 1).astype(np.float64)
        self._weighed += lengths_ns @ sizes
        self._weight_ns += float(lengths_ns.sum())
        if self._tuned_from_ns is not None:
            self._repeats.append(np.maximum(np.rint(lengths_ns / self._tuned_from_ns), 1).astype(np.int64))

        column_first, column_last = self._timeline.columns(batch)
        of, column = expand(column_first, column_last)
        np.add.at(self._nr_in_column, column, 1)
        np.add.at(self._unknown, column, sums[of, nr_levels])
        for k in range(nr_levels):
            np.add.at(self._over_time[k], column, sizes[of, k])
            np.maximum.at(self._peak[k], column, sizes[of, k])
        if len(self._labels):
            known = reached[level[reached] <= nr_levels]
            self._add_mapped(batch, known, level[known] - 1, snapshot[known], column_first, column_last)

    def _levels(self, batch: SnapshotBatch, snapshot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many thresholds each region reaches; one more than there are is unknown."""
        nr_samples = batch.nr_samples.astype(np.int64)
        # The least count that reaches each threshold, for each snapshot: any access is 1; exact ones are not missed.
        least = np.maximum(np.ceil(np.outer(self._thresholds, nr_samples) - 1e-9), 1).astype(np.int64)
        level = np.zeros(len(snapshot), np.int64)
        for row in least:
            level += batch.nr_accesses >= row[snapshot]
        return np.where(batch.unknown | (nr_samples == 0)[snapshot], len(self._thresholds) + 1, level)

    def _add_mapped(
        self,
        batch: SnapshotBatch,
        chosen: NDArray[np.int64],
        level: NDArray[np.int64],
        snapshot: NDArray[np.int64],
        column_first: NDArray[np.int64],
        column_last: NDArray[np.int64],
    ) -> None:
        first, last = self._space.fold(batch.start[chosen]), self._space.fold(batch.end[chosen])
        region, mapping = expand(
            np.searchsorted(self._edges, first, side="right") - 1,
            np.where(last > first, np.searchsorted(self._edges, last, side="left"), 0),
        )
        size = np.minimum(last[region], self._edges[mapping + 1]) - np.maximum(first[region], self._edges[mapping])
        index, column = expand(column_first[snapshot[region]], column_last[snapshot[region]])
        region, mapping, size = region[index], mapping[index], size[index]
        _, nr_mappings, nr_columns = self._mapped.shape
        np.add.at(self._mapped.reshape(-1), (level[region] * nr_mappings + mapping) * nr_columns + column, size)

    def working_set(self, recording: Recording) -> WorkingSet:
        """Return what was counted."""
        covered = self._covered
        sizes = self._sizes[:, : self._nr_snapshots]  # all, but where batches are damaged
        if self._repeats:
            sizes = np.repeat(sizes, np.concatenate(self._repeats), axis=1)
        sizes.sort(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            over_time = self._over_time / self._nr_in_column
            unknown = self._unknown / self._nr_in_column
            mapped = _sums_from_above(self._mapped, axis=0) / self._nr_in_column
        names, by_mapping = self._group(mapped, over_time)
        return WorkingSet(
            target=covered.target,
            attrs=recording.attrs,
            origin_ns=recording.header.start_ns,
            start_wall_ns=recording.wall_ns(covered.start_ns),
            nr_snapshots=covered.nr_snapshots,
            timeline=self._timeline,
            thresholds=self._thresholds,
            sizes=sizes,
            mean=self._weighed / self._weight_ns,
            over_time=over_time,
            peak_over_time=np.where(self._nr_in_column > 0, self._peak, np.nan),
            unknown=unknown,
            names=names,
            by_mapping=by_mapping,
        )

    def _group(
        self, mapped: NDArray[np.float64], over_time: NDArray[np.float64]
    ) -> tuple[list[str], NDArray[np.float64]]:
        """Return names and working sets of neighbouring mappings of the same name, and of what is not mapped."""
        first = np.flatnonzero([a != b for a, b in zip(self._labels, [None, *self._labels], strict=False)])
        names = []
        if len(first):
            mapped = np.add.reduceat(mapped, first, axis=1)
            ends = [*first[1:].tolist(), len(self._labels)]
            names = [
                with_size(self._labels[a], int(self._edges[b] - self._edges[a]))
                for a, b in zip(first.tolist(), ends, strict=True)
            ]
        order = np.argsort(-np.nansum(mapped[0], axis=1), kind="stable")
        accessed = order[np.nansum(mapped[0], axis=1)[order] > 0]
        names, mapped = [names[i] for i in accessed.tolist()], mapped[:, accessed]
        rest = over_time - mapped.sum(axis=1)
        if np.nansum(rest[0]) >= 1:
            names.append(UNMAPPED if self._labels else UNRECORDED)
            mapped = np.concatenate([mapped, rest[:, np.newaxis]], axis=1)
        return names, mapped


def _sums_from_above(values: NDArray[Any], axis: int = -1) -> NDArray[Any]:
    return np.flip(np.cumsum(np.flip(values, axis), axis), axis)


def _mean_over_time(values: NDArray[np.float64]) -> NDArray[np.float64]:
    seen = ~np.isnan(values)
    mean: NDArray[np.float64] = np.where(seen, values, 0).sum(axis=-1) / np.maximum(seen.sum(axis=-1), 1)
    return mean


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]
