"""Which ways to read accessed bits work on this machine, found out by doing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from vadamon.attrs import Attrs
from vadamon.backends import BACKENDS, Backend, Options
from vadamon.errors import VadamonError

_ATTRS = Attrs(sample_us=5_000, aggr_us=50_000, min_nr_regions=100)
_MOST_SNAPSHOTS = 20


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whether one backend works here, what it shows and how; where it does not work, why, and what would help."""

    backend: str
    works: bool
    detail: str
    rights: str
    """What it needs instead of full root."""


def diagnose() -> list[Diagnosis]:
    """Try all backends on a process of our own; the best comes first."""
    with _touching_process() as (pid, start, end):
        return [Diagnosis(b.name, *_try(b, pid, start, end), b.rights) for b in BACKENDS.values()]


def _try(backend: Backend, pid: int, start: int, end: int) -> tuple[bool, str]:
    try:
        with backend.open([pid], _ATTRS, Options(clear_budget=1.0)) as monitor:
            # Of pages that are new the bits cannot always be cleared, and regions take some time to fit.
            for _, snapshot in zip(range(_MOST_SNAPSHOTS), monitor, strict=False):
                inside = (snapshot.start < end) & (snapshot.end > start) & ~snapshot.unknown
                if np.any(snapshot.nr_accesses[inside]):
                    return True, f"shows {backend.shows}; {backend.how}"
    except VadamonError as error:
        return False, str(error)
    return False, "memory that is touched all the time was not seen as accessed"


@contextmanager
def _touching_process() -> Iterator[tuple[int, int, int]]:
    """Give the pid of a process, and a range of its memory that it touches all the time."""
    from vadamon.workload import Area, Sweep, Workload

    size = 8 << 20
    with Workload([Area("touched", size=size, patterns=[Sweep(length=size, period_us=5000)])]) as workload:
        area = workload.areas["touched"]
        yield workload.pid, area.start, area.end
