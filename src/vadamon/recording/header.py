"""What a recording says about itself: what was watched, how, where and when."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vadamon.attrs import Attrs, IntervalsGoal
from vadamon.clock import Clock, MonotonicClock

SCAN = "scan"
"""The backend of a recording whose monitor looked at every page."""


@dataclass(frozen=True, slots=True)
class Target:
    """A process that was watched: the id its snapshots carry, its pid, and its command line as one string."""

    target_id: int
    pid: int
    command: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine a recording was made on. Sizes are in bytes; what could not be read is empty or 0."""

    cpu_model: str = ""
    memory_size: int = 0
    page_size: int = 4096
    transparent_hugepages: str = ""
    """``always``, ``madvise`` or ``never``."""

    @classmethod
    def here(cls) -> "Machine":
        """Describe this machine."""
        page_size = os.sysconf("SC_PAGE_SIZE")
        thp = _read("/sys/kernel/mm/transparent_hugepage/enabled")
        return cls(
            cpu_model=_value_of("model name", _read("/proc/cpuinfo")) or platform.machine(),
            memory_size=os.sysconf("SC_PHYS_PAGES") * page_size,
            page_size=page_size,
            transparent_hugepages=thp.partition("[")[2].partition("]")[0],
        )


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a recording.

    ``targets`` are those known when it began. ``start_wall_ns`` (UTC, since 1970) and ``start_ns`` (CLOCK_MONOTONIC)
    are the same instant: with them the times of snapshots become wall-clock times. ``attrs`` are those that the
    recording began with: with an ``intervals_goal``, see `SnapshotBatch.sample_ns` for those that held later.
    """

    attrs: Attrs
    targets: tuple[Target, ...] = ()
    backend: str = ""
    command_line: str = ""
    start_wall_ns: int = 0
    start_ns: int = 0
    machine: Machine = Machine()
    kernel: str = ""
    vadamon_version: str = ""

    @classmethod
    def here(
        cls,
        attrs: Attrs,
        targets: Sequence[Target] = (),
        *,
        backend: str = "",
        command_line: str = "",
        clock: Clock | None = None,
    ) -> "Header":
        """Make the head of a recording that starts now, on this machine."""
        from importlib import metadata  # which reading needs not wait for

        clock = clock or MonotonicClock()
        return cls(
            attrs=attrs,
            targets=tuple(targets),
            backend=backend,
            command_line=command_line,
            start_wall_ns=clock.wall_ns(),
            start_ns=clock.now_ns(),
            machine=Machine.here(),
            kernel=platform.release(),
            vadamon_version=metadata.version("vadamon"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Header":
        """Undo `to_dict`. Raises ValueError, TypeError or KeyError where ``plain`` is anything else."""
        fields = dict(plain)
        attrs = dict(fields["attrs"])
        goal = attrs.pop("intervals_goal", None)
        fields["attrs"] = Attrs(**attrs, intervals_goal=None if goal is None else IntervalsGoal(**goal))
        fields["targets"] = tuple(Target(**target) for target in fields["targets"])
        fields["machine"] = Machine(**fields["machine"])
        return cls(**fields)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _value_of(key: str, text: str) -> str:
    """Return what stands behind ``key :`` in the first line that begins with it."""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")
