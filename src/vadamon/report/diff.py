"""Diff: what got hotter and colder from one recording to another."""

from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.mappings import usages
from vadamon.report.names import label, with_size
from vadamon.report.pairing import pair
from vadamon.report.usage import CLASSES, Usage

_LEAST_CHANGE = 0.25  # of all samples


@dataclass(frozen=True, slots=True)
class MappingChange:
    """Neighbouring mappings of one name in two recordings; what is only in one of them has a size of 0 in the other.

    ``heat`` is the mean over time of the bytes that were found accessed; ``sizes`` has the bytes of each of `CLASSES`.
    """

    name: str
    before_size: int
    after_size: int
    before_heat: float
    after_heat: float
    before_sizes: tuple[int, ...]
    after_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RangeChange:
    """A range of a mapping, ``size`` bytes from ``offset`` in it, and from address ``start`` in the second recording.

    ``before`` and ``after`` are the mean shares of samples in which it was found accessed.
    """

    name: str
    offset: int
    size: int
    start: int
    before: float
    after: float


@dataclass(frozen=True, slots=True, eq=False)
class Diff:
    """What changed from one target to another.

    ``mappings`` are sorted by how much the heat changed, ``ranges`` by bytes times change of share, and are those where
    that changed by a quarter of all samples or more.
    """

    before: Target
    after: Target
    attrs: Attrs
    before_wall_ns: int
    after_wall_ns: int
    before_ns: int
    after_ns: int
    mappings: list[MappingChange]
    ranges: list[RangeChange]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; sizes and heat are in bytes."""
        data = asdict(self)
        for change in data["mappings"]:
            for when in ("before_sizes", "after_sizes"):
                change[when] = dict(zip(CLASSES, change[when], strict=True))
        return data


def diffs(before: Recording, after: Recording) -> list[Diff]:
    """Return what changed in each target that both recordings have: the same process, or one of the same command.

    Where there is no such one, targets are taken in order. Raises VadamonError where a recording has no snapshot.
    """
    left, right = list(usages(before).values()), list(usages(after).values())
    pairs = pair(
        left,
        right,
        [
            lambda usage: (usage.covered.target.pid, usage.covered.target.command),
            lambda usage: usage.covered.target.command,
            lambda usage: None,
        ],
    )
    return [_diff(before, left[i], after, right[j]) for i, j in pairs]


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Neighbouring mappings of one name: their slices, by offset from the first as if they touched each other."""

    name: str
    start: NDArray[np.uint64]
    edges: NDArray[np.int64]
    share: NDArray[np.float64]
    sizes: NDArray[np.int64]

    @property
    def size(self) -> int:
        return int(self.edges[-1])

    @property
    def heat(self) -> float:
        return float((np.nan_to_num(self.share) * np.diff(self.edges)).sum())

    def share_at(self, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        shares: NDArray[np.float64] = self.share[np.searchsorted(self.edges, offsets, side="right") - 1]
        return shares

    def address_of(self, offset: int) -> int:
        index = int(np.searchsorted(self.edges, offset, side="right")) - 1
        return int(self.start[index]) + offset - int(self.edges[index])


def _groups(usage: Usage) -> list[_Group]:
    labels = [label(mapping) for mapping in usage.mappings]
    groups = []
    for name, members in groupby(range(len(labels)), key=lambda i: labels[i]):
        index = list(members)
        first, last = np.searchsorted(usage.mapping, [index[0], index[-1] + 1]).tolist()
        widths = usage.widths[first:last]
        sizes = np.bincount(usage.classes[first:last], widths, len(CLASSES)).astype(np.int64)
        edges = np.concatenate([[0], np.cumsum(widths)])
        groups.append(_Group(name, usage.start[first:last], edges, usage.share[first:last], sizes))
    return groups


def _diff(before: Recording, left: Usage, after: Recording, right: Usage) -> Diff:
    here, there = _groups(left), _groups(right)
    pairs = pair(
        here,
        there,
        [
            lambda group: (group.name, int(group.start[0]), group.size),
            lambda group: (group.name, group.size),
            lambda group: group.name,
        ],
    )
    only_here = set(range(len(here))) - {i for i, _ in pairs}
    only_there = set(range(len(there))) - {j for _, j in pairs}
    mappings = [
        *(_change(here[i], there[j]) for i, j in pairs),
        *(_change(here[i], None) for i in only_here),
        *(_change(None, there[j]) for j in only_there),
    ]
    ranges = [change for i, j in pairs for change in _range_changes(here[i], there[j])]
    return Diff(
        before=left.covered.target,
        after=right.covered.target,
        attrs=after.attrs,
        before_wall_ns=before.wall_ns(left.covered.start_ns),
        after_wall_ns=after.wall_ns(right.covered.start_ns),
        before_ns=left.covered.end_ns - left.covered.start_ns,
        after_ns=right.covered.end_ns - right.covered.start_ns,
        mappings=sorted(mappings, key=lambda c: (-abs(c.after_heat - c.before_heat), -c.after_size, -c.before_size)),
        ranges=sorted(ranges, key=lambda c: -abs(c.after - c.before) * c.size),
    )


def _change(before: _Group | None, after: _Group | None) -> MappingChange:
    named = after or before
    assert named is not None
    none = (0,) * len(CLASSES)
    return MappingChange(
        name=with_size(named.name, named.size),
        before_size=before.size if before else 0,
        after_size=after.size if after else 0,
        before_heat=before.heat if before else 0.0,
        after_heat=after.heat if after else 0.0,
        before_sizes=tuple(before.sizes.tolist()) if before else none,
        after_sizes=tuple(after.sizes.tolist()) if after else none,
    )


def _range_changes(before: _Group, after: _Group) -> list[RangeChange]:
    """Return runs of slices that changed the same way; unknown ones did not change."""
    size = min(before.size, after.size)
    edges = np.unique(np.concatenate([before.edges, after.edges]))
    edges = edges[edges <= size]
    old, new = before.share_at(edges[:-1]), after.share_at(edges[:-1])
    change = np.nan_to_num(new - old)
    kind = np.sign(change) * (np.abs(change) >= _LEAST_CHANGE)
    borders = np.flatnonzero(np.diff(kind, prepend=0, append=0))
    widths = np.diff(edges)
    return [
        RangeChange(
            name=with_size(after.name, after.size),
            offset=int(edges[a]),
            size=int(edges[b] - edges[a]),
            start=after.address_of(int(edges[a])),
            before=float(np.average(old[a:b], weights=widths[a:b])),
            after=float(np.average(new[a:b], weights=widths[a:b])),
        )
        for a, b in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)
        if kind[a]
    ]
