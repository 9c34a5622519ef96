"""The line that shows how far a recording is."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vadamon.recording.recorder import Progress


class ProgressLine:
    """One line on the terminal that is written over; nothing where standard error is no terminal."""

    def __init__(self, with_samples: bool = True) -> None:
        self._with_samples = with_samples
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
        sys.stderr.write(f"\r\x1b[K{in_words(progress, self._with_samples)}")
        sys.stderr.flush()


def in_words(progress: "Progress", with_samples: bool = True) -> str:
    """Say how far a recording is; snapshots are of the time that was achieved, on average."""
    from vadamon.units import format_duration

    words = f"{progress.elapsed_ns / 1e9:.1f} s, {progress.nr_snapshots} snapshots"
    if progress.nr_snapshots:
        words += f" of {format_duration(progress.covered_ns // progress.nr_snapshots)}"
    words += f", {progress.nr_regions} regions"
    if with_samples:
        late, nr_samples = progress.nr_late + progress.nr_missed, progress.nr_samples + progress.nr_missed
        words += f", {late} of {nr_samples} samples late"
    return words
