"""View: which times and addresses of a recording to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from vadamon.errors import VadamonError
from vadamon.recording.reader import Recording
from vadamon.report.folding import FoldedSpace
from vadamon.report.mappings import usages
from vadamon.report.names import label
from vadamon.report.reading import Span
from vadamon.report.usage import Usage

_MOST_NAMES = 8
_HEAT_SHOWN = 0.5
_LAST = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class View:
    """A part of a recording; what is None is not cut.

    ``time_ns`` is ``[start, end)`` in nanoseconds from the beginning of the recording, ``addresses`` is
    ``[start, end)`` in bytes, and ``mapping`` is a name as reports show it, which may have the wildcards ``*``, ``?``
    and ``[...]``.
    """

    time_ns: tuple[int, int] | None = None
    addresses: tuple[int, int] | None = None
    mapping: str | None = None

    def span(self, recording: Recording) -> Span | None:
        """Return its times as those of snapshots."""
        if self.time_ns is None:
            return None
        start_ns, end_ns = self.time_ns
        return Span(recording.header.start_ns + start_ns, recording.header.start_ns + end_ns)

    def cut(self, space: FoldedSpace, labels: Sequence[str]) -> tuple[FoldedSpace, list[str]]:
        """Return the ranges of ``space`` that are in view, and the label of each."""
        low, high = self.addresses or (0, _LAST)
        start, end = np.maximum(space.start, np.uint64(low)), np.minimum(space.end, np.uint64(min(high, _LAST)))
        named = [self._is_named(name) for name in labels]
        kept = np.flatnonzero((start < end) & np.array(named, np.bool_))
        return FoldedSpace(start[kept], end[kept]), [labels[i] for i in kept.tolist()]

    def zoomed(self, recording: Recording) -> "View":
        """Return the view of the hottest addresses in this one.

        It is the smallest range that holds half of the heat (bytes times the mean share of samples in which they were
        found accessed), and what is next to it and at least half as hot. Raises VadamonError where nothing was found
        accessed.
        """
        found = [self._hottest(usage) for usage in usages(recording).values()]
        heat, low, high = max(found)
        if not heat:
            raise VadamonError(f"nothing in view was found accessed in {recording.path}: leave out --zoom")
        return View(self.time_ns, (low, high), self.mapping)

    def nothing(self, labels: Sequence[str], sizes: Sequence[int]) -> VadamonError:
        """Return the error for a view in which nothing was monitored, of mappings with those labels and sizes."""
        if self.mapping is not None and not any(map(self._is_named, labels)):
            known = [name for _, name in sorted(zip(sizes, labels, strict=True), reverse=True) if name]
            names = ", ".join(list(dict.fromkeys(known))[:_MOST_NAMES])
            return VadamonError(
                f"no mapping {self.mapping!r} was monitored; the biggest are: {names or 'not recorded'}"
            )
        return VadamonError("nothing was monitored at these addresses: a heatmap without a range shows what was")

    def _is_named(self, name: str) -> bool:
        return self.mapping is None or name == self.mapping or fnmatchcase(name, self.mapping)

    def _hottest(self, usage: Usage) -> tuple[float, int, int]:
        """Return the heat of a target in view, and the range of its hottest addresses."""
        low, high = self.addresses or (0, _LAST)
        named = np.array([self._is_named(label(mapping)) for mapping in usage.mappings], np.bool_)
        inside = (usage.start >= np.uint64(low)) & (usage.start < np.uint64(min(high, _LAST))) & named[usage.mapping]
        start, widths, share = usage.start[inside], usage.widths[inside], np.nan_to_num(usage.share[inside])
        if not share.any():
            return 0.0, 0, 0
        heat = np.concatenate([[0.0], np.cumsum(share * widths)])
        offsets = np.concatenate([[0], np.cumsum(widths)])
        # For each slice as the first: the last that is needed, and where there is none beyond, it is no candidate.
        lasts = np.searchsorted(heat, heat[:-1] + _HEAT_SHOWN * heat[-1] * (1 - 1e-9)) - 1
        firsts = np.flatnonzero(lasts < len(start))
        first = int(firsts[(offsets[lasts[firsts] + 1] - offsets[firsts]).argmin()])
        last = int(lasts[first])
        mean = (heat[last + 1] - heat[first]) / (offsets[last + 1] - offsets[first])
        cool = np.concatenate([[-1], np.flatnonzero(share < mean / 2), [len(start)]])
        first = min(first, int(cool[np.searchsorted(cool, first) - 1]) + 1)
        last = max(last, int(cool[np.searchsorted(cool, last, side="right")]) - 1)
        return float(heat[-1]), int(start[first]), int(start[last]) + int(widths[last])
