"""Mappings: how much of each was hot, warm, cold, and never touched."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vadamon.attrs import Attrs
from vadamon.mappings import Mappings
from vadamon.recording.header import Target
from vadamon.recording.reader import Recording
from vadamon.report.names import label, with_size
from vadamon.report.reading import count
from vadamon.report.survey import survey
from vadamon.report.usage import CLASSES, HOT_SHARE, Usage, UsageCounter


@dataclass(frozen=True, slots=True, eq=False)
class MappingsGroup:
    """Neighbouring mappings of one name: the bytes of each of `CLASSES` (int64[6]), and the last access to any."""

    name: str
    sizes: NDArray[np.int64]
    last_access_ns: int

    @property
    def size(self) -> int:
        """All bytes of it."""
        return int(self.sizes.sum())


@dataclass(frozen=True, slots=True, eq=False)
class MappingsTable:
    """How the mappings of one target, as they were last seen, were used.

    All bytes of a mapping are in one of `CLASSES`; ``sizes`` (int64[n, 6]) has the bytes of each. They are judged by
    slices, each of the same size in one mapping, over the time from ``from_ns`` to ``end_ns`` (CLOCK_MONOTONIC):

    - *hot*: accessed within the last ``cold_after_ns``, and in at least half of all samples, on average;
    - *warm*: accessed within the last ``cold_after_ns``, in fewer samples;
    - *cold*: accessed, but not within the last ``cold_after_ns``;
    - *untouched*: no sample found it accessed;
    - *unknown*: no sample of it was valid;
    - *unmonitored*: in no region.

    ``last_access_ns`` (int64[n]) is the end of the last snapshot in which any of the mapping was accessed, and -1 where
    there is none.
    """

    target: Target
    attrs: Attrs
    start_wall_ns: int
    from_ns: int
    end_ns: int
    cold_after_ns: int
    mappings: Mappings
    sizes: NDArray[np.int64]
    last_access_ns: NDArray[np.int64]

    def groups(self) -> list[MappingsGroup]:
        """Return the mappings, neighbours of the same name as one."""
        labels = [label(mapping) for mapping in self.mappings]
        groups = []
        for name, members in groupby(range(len(labels)), key=lambda i: labels[i]):
            index = list(members)
            sizes = self.sizes[index].sum(axis=0)
            last_ns = int(self.last_access_ns[index].max())
            groups.append(MappingsGroup(with_size(name, int(sizes.sum())), sizes, last_ns))
        return groups

    def idle_ns(self, last_access_ns: int) -> int | None:
        """Return the time since an access: 0 within one interval, where nothing can be said; None where none was."""
        if last_access_ns < 0:
            return None
        idle_ns = self.end_ns - last_access_ns
        return idle_ns if idle_ns > self.attrs.aggr_us * 1000 else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; ``idle_ns`` is the time since the last access, null where there was none."""
        return {
            "target": asdict(self.target),
            "attrs": asdict(self.attrs),
            "start_wall_ns": self.start_wall_ns,
            "from_ns": self.from_ns,
            "end_ns": self.end_ns,
            "cold_after_ns": self.cold_after_ns,
            "hot_share": HOT_SHARE,
            "mappings": [
                {
                    **asdict(mapping),
                    "label": label(mapping),
                    **dict(zip(CLASSES, sizes, strict=True)),
                    "idle_ns": self.end_ns - last_ns if last_ns >= 0 else None,
                }
                for mapping, sizes, last_ns in zip(
                    self.mappings, self.sizes.tolist(), self.last_access_ns.tolist(), strict=True
                )
            ],
        }


def biggest(groups: Sequence[MappingsGroup], most: int) -> list[MappingsGroup]:
    """Return at most ``most`` groups, from big to small; where there are more, the last is all the smaller ones."""
    ordered = sorted(groups, key=lambda group: -group.size)
    if len(ordered) <= most:
        return ordered
    rest = ordered[most - 1 :]
    sizes = np.sum([group.sizes for group in rest], axis=0)
    last_access_ns = max(group.last_access_ns for group in rest)
    return [*ordered[: most - 1], MappingsGroup(f"{len(rest)} smaller ones", sizes, last_access_ns)]


def mappings_tables(recording: Recording) -> list[MappingsTable]:
    """Return how the mappings of each target were used, in two passes and constant memory.

    See `UsageCounter` for what is left out and when memory is cold. Raises VadamonError where ``recording`` has no
    snapshot.
    """
    return [tabulate(usage, recording) for usage in usages(recording).values()]


def usages(recording: Recording) -> dict[int, Usage]:
    """Return how the mappings were used, slice by slice, by target id. Raises VadamonError as `mappings_tables`."""
    counters = {
        target_id: UsageCounter(covered, recording.mappings.get(target_id, Mappings()), recording.attrs)
        for target_id, covered in survey(recording).items()
    }
    count(recording, {target_id: [counter] for target_id, counter in counters.items()})
    return {target_id: counter.usage() for target_id, counter in counters.items()}


def tabulate(usage: Usage, recording: Recording) -> MappingsTable:
    """Sum up the slices of each mapping."""
    nr_mappings = len(usage.mappings)
    sizes = np.zeros((nr_mappings, len(CLASSES)), np.int64)
    np.add.at(sizes, (usage.mapping, usage.classes), usage.widths)
    last_access_ns = np.full(nr_mappings, -1, np.int64)
    np.maximum.at(last_access_ns, usage.mapping, usage.last_access_ns)
    return MappingsTable(
        target=usage.covered.target,
        attrs=recording.attrs,
        start_wall_ns=recording.wall_ns(usage.covered.start_ns),
        from_ns=usage.from_ns,
        end_ns=usage.covered.end_ns,
        cold_after_ns=usage.cold_after_ns,
        mappings=usage.mappings,
        sizes=sizes,
        last_access_ns=last_access_ns,
    )
