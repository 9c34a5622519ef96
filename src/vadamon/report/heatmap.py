"""Heatmap: how much memory was accessed, by time and address."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.bands import Band, drawn_space, make_bands, share_rows
from vadamon.report.survey import MappedRanges, Survey, mapped_ranges, survey


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Accesses to one target on a grid of r address slices (rows, from low to high) and c time slices (columns).

    ``accesses`` (float32[r, c]) is the greatest share of samples, 0 to 1, in which any region in the cell was found
    accessed: so a hot spot smaller than a cell shows. It is NaN where there is no region, and where ``unknown``
    (bool[r, c]) is set: nothing in the cell was found accessed, and most of it had no valid sample.

    Row i is ``[row_start[i], row_end[i])`` (uint64[r]) without what is not mapped, and belongs to
    ``bands[row_band[i]]``. Column j spans ``column_ns`` nanoseconds from ``start_ns + j * column_ns``
    (CLOCK_MONOTONIC).
    """

    target: Target
    attrs: Attrs
    start_ns: int
    end_ns: int
    start_wall_ns: int
    nr_snapshots: int
    bands: list[Band]
    row_band: NDArray[np.int64]
    row_start: NDArray[np.uint64]
    row_end: NDArray[np.uint64]
    accesses: NDArray[np.float32]
    unknown: NDArray[np.bool_]

    @property
    def column_ns(self) -> float:
        """How long a column is, in nanoseconds."""
        return (self.end_ns - self.start_ns) / int(self.accesses.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data: ``accesses`` has null for no region and "unknown" for no valid sample."""
        cells = np.round(self.accesses.astype(np.float64), 4).astype(object)
        cells[np.isnan(self.accesses)] = None
        cells[self.unknown] = "unknown"
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "start_wall_ns": self.start_wall_ns,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "column_ns": self.column_ns,
            "nr_snapshots": self.nr_snapshots,
            "bands": [asdict(band) for band in self.bands],
            "rows": [
                {"band": band, "start": start, "end": end}
                for band, start, end in zip(
                    self.row_band.tolist(), self.row_start.tolist(), self.row_end.tolist(), strict=True
                )
            ],
            "accesses": cells.tolist(),
        }


def heatmaps(recording: Recording, nr_rows: int = 32, nr_columns: int = 48) -> list[Heatmap]:
    """Return a heatmap of each target, in two passes and constant memory.

    There are about ``nr_rows`` rows: each band of mappings has one at least. There are at most ``nr_columns`` columns,
    and none is shorter than a snapshot. Raises VadamonError where ``recording`` has no snapshot.
    """
    mapped = mapped_ranges(recording)
    grids = {
        target_id: _Grid(covered, mapped.get(target_id), nr_rows, nr_columns, recording.attrs)
        for target_id, covered in survey(recording).items()
    }
    for batch in recording.batches():
        for target_id, part in batch.by_target():
            grids[target_id].add(part)
    return [grid.heatmap(recording) for grid in grids.values()]


class _Grid:
    """A heatmap under way."""

    def __init__(
        self, covered: Survey, mapped: MappedRanges | None, nr_rows: int, nr_columns: int, attrs: Attrs
    ) -> None:
        self.covered = covered
        self.space, labels = drawn_space(covered, mapped)
        self.bands = make_bands(self.space, labels, most=max(1, nr_rows * 2 // 3))
        self.rows = share_rows([band.size for band in self.bands], nr_rows, attrs.min_region_size)
        self.edges = _row_edges(self.bands, self.rows, attrs.min_region_size)
        duration_ns = covered.end_ns - covered.start_ns
        self.nr_columns = max(1, min(nr_columns, duration_ns // (attrs.aggr_us * 1000)))
        self.column_ns = max(1.0, duration_ns / self.nr_columns)
        self.accesses = np.full((len(self.edges) - 1) * self.nr_columns, -1, np.float32)
        self.unknown_bytes = np.zeros(len(self.accesses), np.int64)  # less those that are known

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of this target: the cells of a region are a range of rows by a range of columns."""
        first, last = self.space.fold(batch.start), self.space.fold(batch.end)
        snapshot = np.repeat(np.arange(len(batch)), np.diff(batch.offsets))
        nr_samples = batch.nr_samples[snapshot]
        share = np.minimum(batch.nr_accesses / np.maximum(nr_samples, 1), 1).astype(np.float32)
        unknown = batch.unknown | (nr_samples == 0)

        region, row = _expand(
            np.searchsorted(self.edges, first, side="right") - 1,
            np.where(last > first, np.searchsorted(self.edges, last, side="left"), 0),
        )
        column_first, column_last = self._columns(batch)
        index, column = _expand(column_first[snapshot[region]], column_last[snapshot[region]])
        region, row = region[index], row[index]
        cell = row * self.nr_columns + column
        np.maximum.at(self.accesses, cell, np.where(unknown, 0, share)[region])
        size = np.minimum(last[region], self.edges[row + 1]) - np.maximum(first[region], self.edges[row])
        np.add.at(self.unknown_bytes, cell, np.where(unknown[region], size, -size))

    def _columns(self, batch: SnapshotBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first column of each snapshot, and the one after its last.

        A snapshot belongs to the columns it fills by more than half, or else to that of its middle, so that one that
        is late by a little does not show in two.
        """
        start = (batch.start_ns - self.covered.start_ns) / self.column_ns
        end = (batch.end_ns - self.covered.start_ns) / self.column_ns
        first, last = np.rint(start).astype(np.int64), np.rint(end).astype(np.int64)
        middle = np.minimum(((start + end) / 2).astype(np.int64), self.nr_columns - 1)
        short = last <= first
        return np.where(short, middle, first), np.where(short, middle + 1, np.minimum(last, self.nr_columns))

    def heatmap(self, recording: Recording) -> Heatmap:
        accesses = self.accesses.reshape(-1, self.nr_columns)
        unknown = (accesses == 0) & (self.unknown_bytes.reshape(accesses.shape) > 0)
        return Heatmap(
            target=self.covered.target,
            attrs=recording.attrs,
            start_ns=self.covered.start_ns,
            end_ns=self.covered.end_ns,
            start_wall_ns=recording.wall_ns(self.covered.start_ns),
            nr_snapshots=self.covered.nr_snapshots,
            bands=self.bands,
            row_band=np.repeat(np.arange(len(self.bands)), np.array(self.rows, np.int64)),
            row_start=self.space.unfold(self.edges[:-1]),
            row_end=self.space.unfold(self.edges[1:] - 1) + np.uint64(1),
            accesses=np.where(unknown | (accesses < 0), np.float32(np.nan), accesses),
            unknown=unknown,
        )


def _row_edges(bands: list[Band], rows: list[int], smallest: int) -> NDArray[np.int64]:
    """Return the positions in the folded space that part the rows, int64[rows + 1], at multiples of ``smallest``."""
    edges = [0]
    for band, nr_rows in zip(bands, rows, strict=True):
        begin = edges[-1]
        edges.extend(begin + band.size * i // nr_rows // smallest * smallest for i in range(1, nr_rows))
        edges.append(begin + band.size)
    return np.array(edges, np.int64)


def _expand(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ``(index, value)`` for each value of each range ``[first[index], last[index])``."""
    counts = np.maximum(last - first, 0)
    index = np.repeat(np.arange(len(first)), counts)
    begin = np.cumsum(counts) - counts
    return index, np.arange(len(index)) + (first - begin)[index]
