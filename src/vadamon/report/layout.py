"""Layout: where the rows of a heatmap are drawn, with room for the name of each band, and what axes mark."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vadamon.report.heatmap import Heatmap

_APART = 0.08


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Heights from 0 at the top to 1 at the bottom.

    ``edges`` (float64[k + 1]) part the strips of the picture. Strip i is row ``row[i]`` (int64[k]) of the heatmap, or,
    where that is -1, stands for the gap in front of the next strip's band. ``band_top`` (float64[b]) is where each band
    begins.
    """

    edges: NDArray[np.float64]
    row: NDArray[np.int64]
    band_top: NDArray[np.float64]

    def strips(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return ``values`` (float64[rows, c]) for each strip, float64[k, c]; NaN for a gap."""
        gap = np.full((1, values.shape[1]), np.nan)
        strips: NDArray[np.float64] = np.concatenate([values, gap])[self.row]
        return strips

    def marked(self) -> list[int]:
        """Return the strips whose address is worth a mark: where bands begin, and others well apart from these."""
        tops = self.edges[:-1]
        nearest = np.searchsorted(self.band_top, tops, side="right")
        following = np.append(self.band_top, 1 + _APART)[nearest]
        marked: list[int] = []
        for strip in np.flatnonzero(self.row >= 0).tolist():
            begins = bool(tops[strip] == self.band_top[nearest[strip] - 1])
            if begins or min(tops[strip] - tops[marked[-1]], following[strip] - tops[strip]) >= _APART:
                marked.append(strip)
        return marked

    def gaps(self, heatmap: Heatmap) -> list[tuple[float, int]]:
        """Return the middle of each gap, and its size in bytes."""
        return [
            (
                float(self.edges[strip] + self.edges[strip + 1]) / 2,
                heatmap.bands[int(heatmap.row_band[self.row[strip + 1]])].gap,
            )
            for strip in np.flatnonzero(self.row < 0).tolist()
        ]


def sample_ticks(nr_samples: int, least: int) -> list[int]:
    """Return about six numbers of samples, from ``least`` (0 or 1) to all, at which to mark an axis."""
    return sorted({max(least, nr_samples * k // 5) for k in range(6)})


def lay_out(heatmap: Heatmap, most_lines: int) -> Layout:
    """Give each band and each gap the height of a line of text, of which ``most_lines`` fit, and share out the rest."""
    bands = heatmap.row_band.tolist()
    nr_in_band = np.bincount(heatmap.row_band, minlength=len(heatmap.bands)).tolist()
    nr_lines = len(heatmap.bands) + sum(band.gap > 0 for band in heatmap.bands)
    line = 1 / max(most_lines, nr_lines)
    rest = (1 - nr_lines * line) / max(1, len(bands))
    heights, rows, first_strips = [], [], []
    for row, band in enumerate(bands):
        if row == 0 or bands[row - 1] != band:
            if heatmap.bands[band].gap:
                heights.append(line)
                rows.append(-1)
            first_strips.append(len(rows))
        heights.append(line / nr_in_band[band] + rest)
        rows.append(row)
    edges = np.concatenate([[0.0], np.cumsum(heights)])
    return Layout(edges, np.array(rows, np.int64), edges[first_strips])
