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
_HEAT_SHOWN = 0.9
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

        Of the mapping with the most heat (bytes times the mean share of samples in which they were found accessed) it
        is the smallest range that holds nine tenths of it. Raises VadamonError where nothing was found accessed.
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
        low, high = self.addresses or (0, _LAST)
        named = np.array([self._is_named(label(mapping)) for mapping in usage.mappings], np.bool_)
        inside = (usage.start >= np.uint64(low)) & (usage.start < np.uint64(min(high, _LAST))) & named[usage.mapping]
        heat = np.where(inside, np.nan_to_num(usage.share) * usage.widths, 0)
        by_mapping = np.bincount(usage.mapping, heat, minlength=1)
        hottest = int(by_mapping.argmax())
        slices = np.flatnonzero((usage.mapping == hottest) & (heat > 0))
        if not len(slices):
            return 0.0, 0, 0
        total = np.concatenate([[0.0], np.cumsum(heat[slices])])
        # For each slice as the first: the last that is needed, and where there is none beyond, a range without end.
        last = np.searchsorted(total, total[:-1] + _HEAT_SHOWN * total[-1] * (1 - 1e-9), side="left") - 1
        ends = (usage.start + usage.widths.astype(np.uint64))[slices]
        enough = np.flatnonzero(last < len(slices))
        begin = usage.start[slices][enough]
        best = int((ends[last[enough]] - begin).argmin())
        return float(by_mapping[hottest]), int(begin[best]), int(ends[last[enough][best]])
