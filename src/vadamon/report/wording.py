"""How reports say things: which process, when, for how long, how often."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil

from vadamon.attrs import Attrs
from vadamon.recording.header import Target
from vadamon.report.usage import HOT_SHARE
from vadamon.units import format_duration, format_size

NO_MAPPINGS = "The recording has no mappings: see `vadamon report heatmap` and `vadamon report regions`."


def describe_target(target: Target) -> str:
    """Return ``process 4242  python3 -m service``: one line, however the command line is laid out."""
    name = f"process {target.pid}" if target.pid else f"target {target.target_id}"
    command = " ".join(target.command.split())
    return f"{name}  {''.join(c if c.isprintable() else '?' for c in command)}".rstrip()


def describe_intervals(attrs: Attrs) -> str:
    """Return ``sampled every 5 ms, summed up every 100 ms``, and whether that was tuned later."""
    sample, aggr = format_duration(attrs.sample_us * 1000), format_duration(attrs.aggr_us * 1000)
    return f"sampled every {sample}, summed up every {aggr}" + (" at first, then tuned" if attrs.intervals_goal else "")


def describe_tuning(sample_intervals: Sequence[tuple[int, int]]) -> str:
    """Return how often the sample interval changed, and how far, from the ``(time, ns)`` it is since."""
    every = [sample_ns for _, sample_ns in sample_intervals]
    shortest, longest = format_duration(min(every)), format_duration(max(every))
    return (
        f"sample interval tuned {len(every) - 1} times: {shortest} to {longest}, at last {format_duration(every[-1])}"
    )


def describe_snapshots(nr_snapshots: int, attrs: Attrs) -> str:
    """Return ``300 snapshots, sampled every 5 ms, summed up every 100 ms``."""
    return f"{counted(nr_snapshots, 'snapshot')}, {describe_intervals(attrs)}"


def counted(number: int, thing: str) -> str:
    """Return ``1 region`` or ``2 regions``."""
    return f"{number} {thing}{'s' * (number != 1)}"


def describe_share(share: float, nr_samples: int) -> str:
    """Return a share of samples as people count it: ``13 of 20``, or ``12.5 of 20`` where it is a mean."""
    return f"{round(share * nr_samples, 1):g} of {nr_samples}"


def describe_cells(sizes: list[int], column_ns: float) -> str:
    """Return how much memory, of ``sizes`` from small to great, and time a cell is, and what it shows of them."""
    smallest, biggest = format_size(sizes[0]), format_size(sizes[-1])
    size = smallest if smallest == biggest else f"{smallest} to {biggest}"
    return (
        f"A cell is {size} of mapped memory by {format_duration(round(column_ns))}, and shows the most accessed region "
        "in it: a hot spot smaller than a cell still shows. Heights follow the square roots of sizes."
    )


def wall_time(wall_ns: int) -> str:
    """Return a wall-clock time in the time zone of whoever reads it."""
    return datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters, with an ellipsis where some are left out."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def describe_idle(idle_ns: int | None) -> str:
    """Return for how long memory was idle: ``-`` is in use, and None is as long as the recording."""
    if idle_ns is None:
        return "all along"
    return format_duration(idle_ns) if idle_ns else "-"


def class_meanings(cold_after_ns: int) -> tuple[str, ...]:
    """Return what each of `CLASSES` means."""
    recent = format_duration(cold_after_ns)
    return (
        f"accessed in the last {recent}, and in {HOT_SHARE:.0%} of all samples or more",
        f"accessed in the last {recent}, in fewer samples",
        f"accessed, but not in the last {recent}",
        "found accessed by no sample",
        "no sample was valid: neither hot nor cold can be said",
        "in no region",
    )


def describe_threshold(threshold: float, nr_samples: int) -> str:
    """Return from how many samples on memory belongs to a working set: ``5+ of 20``."""
    least = max(1, ceil(threshold * nr_samples - 1e-9))
    return f"{least}{'+' if least < nr_samples else ''} of {nr_samples}"
