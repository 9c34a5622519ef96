"""The line that shows how far a recording is."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vadamon.recording.recorder import Progress


class ProgressLine:
    """One line on the terminal that is written over; nothing where standard error is no terminal."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._next_ns = 0

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def show(self, progress: "Progress") -> None:
        """Write the line, at most five times a second."""
        if not self._is_terminal or progress.elapsed_ns < self._next_ns:
            return
        self._next_ns = progress.elapsed_ns + 200_000_000
        sys.stderr.write(f"\r\x1b[K{in_words(progress)}")
        sys.stderr.flush()


def in_words(progress: "Progress") -> str:
    """Say how far a recording is."""
    from vadamon.units import format_duration

    late = progress.nr_late + progress.nr_missed
    mean_ns = progress.covered_ns // max(1, progress.nr_snapshots)
    return (
        f"{progress.elapsed_ns / 1e9:.1f} s, {progress.nr_snapshots} snapshots of {format_duration(mean_ns)}, "
        f"{progress.nr_regions} regions, {late} of {progress.nr_samples + progress.nr_missed} samples late"
    )
