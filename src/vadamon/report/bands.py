"""Bands: runs of the address space that are drawn as one, under one name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vadamon.report import names
from vadamon.report.folding import FoldedSpace, contains
from vadamon.report.survey import MappedRanges, Survey

_MOST_FOLDS = 8
_UNNAMED = ""


@dataclass(frozen=True, slots=True)
class Band:
    """Neighbouring mappings that share a name, or are too small to be drawn alone.

    ``start`` and ``end`` are addresses, ``size`` the bytes that are mapped between them. ``gap`` is the size of the
    unmapped gap in front that is worth a word of its own, and else 0.
    """

    name: str
    start: int
    end: int
    size: int
    gap: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Pieces under way to a band: their labels and sizes."""

    labels: tuple[str, ...]
    sizes: tuple[int, ...]
    start: int
    end: int
    gap: int

    @property
    def size(self) -> int:
        return sum(self.sizes)

    def joined(self, after: "_Run") -> "_Run":
        return _Run(self.labels + after.labels, self.sizes + after.sizes, self.start, after.end, self.gap)


def drawn_space(survey: Survey, mapped: MappedRanges | None) -> tuple[FoldedSpace, list[str]]:
    """Return the ranges that are worth drawing, and the label of each: what was monitored, and mapped at some time.

    Where a recording has no mappings this is all that was monitored, unnamed.
    """
    monitored = FoldedSpace(survey.start, survey.end), [_UNNAMED] * len(survey.start)
    if mapped is None or not len(mapped.start):
        return monitored
    latest = mapped.latest
    cuts = np.unique(np.concatenate([survey.start, survey.end, mapped.start, mapped.end, latest.start, latest.end]))
    start, end = cuts[:-1], cuts[1:]
    drawn = contains(survey.start, survey.end, start) & contains(mapped.start, mapped.end, start)
    if not drawn.any():
        return monitored
    start, end = start[drawn], end[drawn]
    named = contains(latest.start, latest.end, start)
    index = np.searchsorted(latest.start, start, side="right") - 1
    every = [names.label(mapping) for mapping in latest]
    return FoldedSpace(start, end), [
        every[i] if has_name else _UNNAMED for i, has_name in zip(index.tolist(), named.tolist(), strict=True)
    ]


def make_bands(space: FoldedSpace, labels: Sequence[str], most: int) -> list[Band]:
    """Return at most ``most`` bands that hold all of ``space``, or one for each part between folded gaps if more.

    A gap is folded, which parts bands, where it is one of the biggest and counts beside what is mapped.
    """
    runs = _join(_runs(space, labels), lambda left, right: left.labels[-1] == right.labels[0])
    limit = 4096
    while len(runs) > most and limit < 1 << 64:
        runs = _join(runs, lambda left, right: max(left.size, right.size) < limit)  # noqa: B023  called at once
        limit *= 2
    return [Band(names.summed_up(r.labels, r.sizes), r.start, r.end, r.size, r.gap) for r in runs]


def share_rows(sizes: Sequence[int], nr_rows: int, smallest: int) -> list[int]:
    """Return how many rows each band gets: one at least, the others by the square root of the sizes.

    By size alone nothing but the biggest band would be seen. No row is smaller than ``smallest`` bytes.
    """
    weights = np.sqrt(np.array(sizes, np.float64))
    most = np.maximum(np.array(sizes, np.uint64) // np.uint64(smallest), 1).astype(np.int64)
    exact = max(0, nr_rows - len(sizes)) * weights / weights.sum()
    rows = 1 + np.floor(exact).astype(np.int64)
    left = max(nr_rows, len(sizes)) - int(rows.sum())
    rows[np.argsort(np.floor(exact) - exact, kind="stable")[:left]] += 1
    shared: list[int] = np.minimum(rows, most).tolist()
    return shared


def _runs(space: FoldedSpace, labels: Sequence[str]) -> list[_Run]:
    gaps = np.zeros(len(space.start), np.uint64)
    gaps[1:] = space.start[1:] - space.end[:-1]
    total = int(space.offsets[-1])
    ranked = np.argsort(gaps, kind="stable")[:-_MOST_FOLDS]
    gaps[ranked] = 0
    gaps[gaps <= np.uint64(total // 16)] = 0
    return [
        _Run((name,), (end - start,), start, end, gap)
        for name, start, end, gap in zip(labels, space.start.tolist(), space.end.tolist(), gaps.tolist(), strict=True)
    ]


def _join(runs: Sequence[_Run], belongs: Callable[[_Run, _Run], bool]) -> list[_Run]:
    """Join neighbours that belong together; a gap that is folded parts them always."""
    joined = list(runs[:1])
    for run in runs[1:]:
        if not run.gap and belongs(joined[-1], run):
            joined[-1] = joined[-1].joined(run)
        else:
            joined.append(run)
    return joined
