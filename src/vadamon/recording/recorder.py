"""From a monitor to a file: what `vadamon record` does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vadamon.address_space import procfs
from vadamon.errors import VadamonError
from vadamon.monitors.base import EndsOnTime, Monitor
from vadamon.recording.header import Target
from vadamon.recording.writer import RecordingWriter
from vadamon.snapshot import Snapshot
from vadamon.units import format_duration


@dataclass(slots=True)
class Progress:
    """How far a recording is."""

    elapsed_ns: int = 0
    nr_snapshots: int = 0
    nr_regions: int = 0
    """In the last snapshot of each target that is still watched, together; once none is, as it was before."""
    nr_late: int = 0
    nr_missed: int = 0
    nr_samples: int = 0
    """Sample times so far."""
    covered_ns: int = 0
    """The time that all snapshots were of, together."""


def describe(pids: Sequence[int]) -> list[Target]:
    """Return what a recording says of its targets."""
    return [Target(pid, pid, " ".join(procfs.command_line(pid)) or procfs.name(pid)) for pid in pids]


def record(
    monitor: Monitor,
    writer: RecordingWriter,
    *,
    duration_ns: int | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Write all snapshots of a monitor, and the mappings of its targets as they change.

    Ends with the targets, after ``duration_ns``, or after `stop` of the monitor; ``report`` is told after each
    aggregation interval. Raises VadamonError where the duration is too short for a single sample.
    """
    if duration_ns is not None:
        _check_duration(duration_ns, monitor.attrs.sample_us * 1000)
        if isinstance(monitor, EndsOnTime):
            monitor.duration_ns = duration_ns
    progress = Progress()
    known = {target.target_id for target in monitor.targets}
    nr_regions: dict[int, int] = {}
    start_ns = end_ns = None
    for snapshot in monitor:
        start_ns = snapshot.start_ns if start_ns is None else start_ns
        for target in monitor.targets:
            if target.target_id not in known:
                known.add(target.target_id)
                writer.write_target(describe([target.target_id])[0])
            writer.write_mappings(target.target_id, snapshot.end_ns, target.mappings)
        writer.write_snapshot(snapshot)

        nr_regions[snapshot.target_id] = len(snapshot)
        progress.nr_snapshots += 1
        progress.covered_ns += snapshot.end_ns - snapshot.start_ns
        progress.elapsed_ns = snapshot.end_ns - start_ns
        if snapshot.end_ns != end_ns:  # else another target's of the same interval: its samples were counted
            end_ns = snapshot.end_ns
            _count(progress, snapshot, nr_regions, {target.target_id for target in monitor.targets})
            report(progress)
        if duration_ns is not None and progress.elapsed_ns >= duration_ns:
            monitor.stop()
    return progress


def _check_duration(duration_ns: int, sample_ns: int) -> None:
    if duration_ns < sample_ns:
        raise VadamonError(
            f"nothing can be seen within {format_duration(duration_ns)}, which is less than a sample interval "
            f"({format_duration(sample_ns)}): take a longer duration, or a shorter interval"
        )


def _count(progress: Progress, snapshot: Snapshot, nr_regions: dict[int, int], live: set[int]) -> None:
    """Count an interval by the first of its snapshots."""
    progress.nr_samples += snapshot.nr_samples
    progress.nr_late += snapshot.health.late_samples
    progress.nr_missed += snapshot.health.missed_samples
    if live:
        progress.nr_regions = sum(n for target_id, n in nr_regions.items() if target_id in live)
