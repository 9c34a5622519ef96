"""What reports of the coarse mode must say on their face."""

from vadamon.recording.reader import Recording
from vadamon.units import format_duration


def coarse_note(recording: Recording) -> str:
    """Return what `n of m samples` means in a recording of the coarse mode, in one line; nothing for other recordings.

    Snapshots of that mode (see `ReferencedMonitor`) have the intervals that were achieved; this tells their mean.
    """
    if recording.header.backend != "referenced":
        return ""
    nr_snapshots = covered_ns = 0
    for batch in recording.batches():
        nr_snapshots += len(batch)
        covered_ns += int((batch.end_ns - batch.start_ns).sum())
    achieved = format_duration(covered_ns // max(1, nr_snapshots))
    asked = format_duration(recording.attrs.aggr_us * 1000)
    return (
        f"COARSE MODE (backend referenced): n of {recording.attrs.max_nr_samples} is the share of a mapping's bytes "
        "that was used in an interval, not how often, nor where in it; "
        f"intervals of {achieved} achieved, {asked} asked for"
    )
