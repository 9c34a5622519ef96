"""Heatmap: how much memory was accessed, by time and address."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon._native.heat import AGE_BITS, ONE, mark
from vadamon.attrs import Attrs
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.bands import Band, drawn_space, make_bands, share_rows
from vadamon.report.folding import FoldedSpace
from vadamon.report.reading import Timeline, count
from vadamon.report.survey import Survey, mapped_ranges, survey
from vadamon.report.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Heatmap:
    """Accesses to one target on a grid of r address slices (rows, from low to high) and c time slices (columns).

    ``accesses`` (float32[r, c]) is the greatest share of samples, 0 to 1, in which any region in the cell was found
    accessed: so a hot spot smaller than a cell shows. It is NaN where there is no region, and where ``unknown``
    (bool[r, c]) is set: nothing in the cell was found accessed, and most of it had no valid sample. ``age``
    (uint32[r, c], in aggregation intervals) is that of this region, the greatest where several are accessed alike.

    Row i is ``[row_start[i], row_end[i])`` (uint64[r]) without what is not mapped, and belongs to
    ``bands[row_band[i]]``. Column j spans ``column_ns`` nanoseconds from ``start_ns + j * column_ns``
    (CLOCK_MONOTONIC); people count times from ``origin_ns``, the beginning of the recording.
    """

    target: Target
    attrs: Attrs
    origin_ns: int
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
    age: NDArray[np.uint32]

    @property
    def column_ns(self) -> float:
        """How long a column is, in nanoseconds."""
        return (self.end_ns - self.start_ns) / int(self.accesses.shape[1])

    def row_sizes(self) -> list[int]:
        """Return how many mapped bytes a row of each band is, from small to great, each once."""
        bands, nr_rows = np.unique(self.row_band, return_counts=True)
        return sorted({self.bands[b].size // n for b, n in zip(bands.tolist(), nr_rows.tolist(), strict=True)})

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data: ``accesses`` has null for no region and "unknown" for no valid sample."""
        cells = np.round(self.accesses.astype(np.float64), 4).astype(object)
        cells[np.isnan(self.accesses)] = None
        cells[self.unknown] = "unknown"
        ages = self.age.astype(object)
        ages[np.isnan(self.accesses)] = None
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "start_wall_ns": self.start_wall_ns,
            "origin_ns": self.origin_ns,
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
            "age": ages.tolist(),
        }


def heatmaps(
    recording: Recording,
    nr_rows: int = 32,
    nr_columns: int = 48,
    most_bands: int | None = None,
    view: View | None = None,
) -> list[Heatmap]:
    """Return a heatmap of each target that has memory in ``view`` (all of it by default), in constant memory.

    There are about ``nr_rows`` rows: each band of mappings has one at least, and there are at most ``most_bands``, by
    default two for three rows, where not more are parted by folded gaps. There are at most ``nr_columns`` columns,
    and none is shorter than a snapshot. Raises VadamonError where ``recording`` has no snapshot, or none in ``view``.
    """
    view = view or View()
    most_bands = most_bands or max(1, nr_rows * 2 // 3)
    span = view.span(recording)
    mapped = mapped_ranges(recording)
    grids: dict[int, list[_Grid]] = {}
    left_out: list[tuple[list[str], list[int]]] = []
    for target_id, covered in survey(recording, span).items():
        space, labels = drawn_space(covered, mapped.get(target_id))
        seen, seen_labels = view.cut(space, labels)
        grids[target_id] = []
        if len(seen.start) or view == View():
            bands = make_bands(seen, seen_labels, most_bands)
            grids[target_id].append(_Grid(covered, seen, bands, nr_rows, nr_columns, recording.attrs))
        else:
            left_out.append((labels, (space.end - space.start).tolist()))
    if not any(grids.values()):
        raise view.nothing(*left_out[0])
    count(recording, grids, span)
    return [grid.heatmap(recording) for of_target in grids.values() for grid in of_target]


class _Grid:
    """A heatmap under way."""

    def __init__(
        self, covered: Survey, space: FoldedSpace, bands: list[Band], nr_rows: int, nr_columns: int, attrs: Attrs
    ) -> None:
        self.covered, self.space, self.bands = covered, space, bands
        self.rows = share_rows([band.size for band in self.bands], nr_rows, attrs.min_region_size)
        self.edges = _row_edges(self.bands, self.rows, attrs.min_region_size)
        self.timeline = Timeline.of(covered.start_ns, covered.end_ns, nr_columns, attrs.aggr_us * 1000)
        self.cells = np.full((len(self.edges) - 1, self.timeline.nr_columns), -1, np.int64)
        self.unknown_bytes = np.zeros(self.cells.shape, np.int64)  # less those that are known

    def add(self, batch: SnapshotBatch) -> None:
        """Take in snapshots of this target: the cells of a region are a range of rows by a range of columns."""
        mark(
            batch.offsets,
            batch.start,
            batch.end,
            batch.nr_accesses,
            batch.age,
            batch.unknown.view(np.uint8),
            batch.nr_samples,
            *self.timeline.columns(batch),
            self.space.start,
            self.space.end,
            self.space.offsets.view(np.uint64),
            self.edges.view(np.uint64),
            self.cells,
            self.unknown_bytes,
        )

    def heatmap(self, recording: Recording) -> Heatmap:
        cells = self.cells
        accesses = ((cells >> AGE_BITS) / ONE).astype(np.float32)
        unknown = (cells >= 0) & (accesses == 0) & (self.unknown_bytes > 0)
        return Heatmap(
            target=self.covered.target,
            attrs=recording.attrs,
            origin_ns=recording.header.start_ns,
            start_ns=self.covered.start_ns,
            end_ns=self.covered.end_ns,
            start_wall_ns=recording.wall_ns(self.covered.start_ns),
            nr_snapshots=self.covered.nr_snapshots,
            bands=self.bands,
            row_band=np.repeat(np.arange(len(self.bands)), np.array(self.rows, np.int64)),
            row_start=self.space.unfold(self.edges[:-1]),
            row_end=self.space.unfold(self.edges[1:] - 1) + np.uint64(1),
            accesses=np.where(unknown | (cells < 0), np.float32(np.nan), accesses),
            unknown=unknown,
            age=np.where(unknown | (cells < 0), 0, cells & ((1 << AGE_BITS) - 1)).astype(np.uint32),
        )


def _row_edges(bands: list[Band], rows: list[int], smallest: int) -> NDArray[np.int64]:
    """Return the positions in the folded space that part the rows, int64[rows + 1], at multiples of ``smallest``."""
    edges = [0]
    for band, nr_rows in zip(bands, rows, strict=True):
        begin = edges[-1]
        edges.extend(begin + band.size * i // nr_rows // smallest * smallest for i in range(1, nr_rows))
        edges.append(begin + band.size)
    return np.array(edges, np.int64)
