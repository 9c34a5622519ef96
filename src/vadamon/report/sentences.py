"""The sentences of a summary."""

from vadamon.attrs import Attrs
from vadamon.report.summary import Health, Summary
from vadamon.report.usage import CLASSES
from vadamon.report.wording import NO_MAPPINGS, counted, describe_idle, describe_tuning
from vadamon.units import format_duration, format_size

_LIMIT = 0.05


def size_lines(summary: Summary) -> list[tuple[str, str]]:
    """Return what is mapped, used, not used and idle: a word, and what there is to say of it."""
    table, size = summary.mappings, summary.sizes()
    if not table.sizes.any():
        return [("mapped", NO_MAPPINGS)]
    used, unused = size["hot"] + size["warm"], size["cold"] + size["untouched"]
    mapped, accessed = sum(size.values()), used + size["cold"]
    recent, interval = format_duration(table.cold_after_ns), _interval(table.attrs)
    hot, warm, cold, untouched = (format_size(size[name]) for name in CLASSES[:4])
    half, most = (format_size(n) for n in summary.working_set.percentiles((50, 100))[0].tolist())
    idle = "; ".join(f"{describe_idle(ns)} or longer: {format_size(n)}" for ns, n in summary.idle)
    mappings = counted(len(table.mappings), "mapping")
    lines = [
        ("mapped", f"{format_size(mapped)} in {mappings}, {format_size(accessed)} of it found accessed"),
        ("in use", f"{_of(used, mapped)}: {hot} hot and {warm} warm, in the last {recent}"),
        ("not in use", f"{_of(unused, mapped)}: {cold} cold, and {untouched} never found accessed"),
        ("idle for", idle or "not known: the recording is too short"),
        ("working set", f"{half} at half of the time, {most} at most, in {interval}"),
    ]
    if summary.resident is not None:
        last, highest = map(format_size, summary.resident)
        lines.insert(1, ("resident", f"{last} at the end, {highest} at most"))
    if unseen := size["unknown"] + size["unmonitored"]:
        lines.append(("not known", f"{_of(unseen, mapped)}: no valid sample, or in no region"))
    return lines


def trust_lines(summary: Summary) -> list[str]:
    """Return how many samples there were, and how many of them were not as they should be."""
    health = summary.health
    counts = health.counts
    fewest = f"{health.fewest_regions} to " if health.fewest_regions < health.most_regions else ""
    regions = fewest + counted(health.most_regions, "region")
    return [
        *([describe_tuning(health.sample_intervals)] if health.sample_intervals else []),
        f"{health.nr_samples} samples of {regions}" + (f", backend {summary.backend}" if summary.backend else ""),
        f"{counts.late_samples} samples late, {counts.missed_samples} left out ({_missed(health):.1%})",
        f"{counts.unchecked} pages not checked, {counts.uncleared} not cleared, {counts.failed_reads} reads failed "
        f"({_void(health):.1%} of all checks void)",
        f"{health.unknown:.1%} of the monitored memory unknown, on average",
        caveat(summary) or "Nothing speaks against it.",
    ]


def caveat(summary: Summary) -> str:
    """Return why what was found is to be taken with care, or nothing where nothing speaks against it."""
    reasons = [
        reason
        for reason, share in (
            (
                "samples came late or were left out, so that counts are of longer times or fewer samples than they say",
                _missed(summary.health),
            ),
            ("many pages could not be checked, so that counts are of few samples", _void(summary.health)),
            ("of much memory nothing is known", summary.health.unknown),
        )
        if share > _LIMIT
    ]
    return "With care: " + "; ".join(reasons) if reasons else ""


def _missed(health: Health) -> float:
    """Return the share of samples that were late or left out, of those that were due."""
    counts = health.counts
    return (counts.late_samples + counts.missed_samples) / max(1, health.nr_samples + counts.missed_samples)


def _void(health: Health) -> float:
    """Return the share of checks that told nothing."""
    void = health.counts.unchecked + health.counts.uncleared
    return void / max(1, health.nr_checks + void)


def _interval(attrs: Attrs) -> str:
    return "an aggregation interval" if attrs.intervals_goal else format_duration(attrs.aggr_us * 1000)


def _of(size: int, mapped: int) -> str:
    return f"{format_size(size)} ({size / mapped:.0%})"
