"""Recordings that looked at every page, as the truth about a live process."""

import os
import warnings
from collections.abc import Iterator
from itertools import groupby

from vadamon.accuracy.truth import TrueAccesses, read_truth
from vadamon.attrs import Attrs
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.ranges import union
from vadamon.recording.header import SCAN
from vadamon.recording.reader import Recording, is_recording
from vadamon.snapshot import Snapshot
from vadamon.units import format_duration


def open_truth(path: str | os.PathLike[str], attrs: Attrs) -> Iterator[TrueAccesses]:
    """Return the truth in a truth file, or in a recording of `vadamon.scan` or ``vadamon record --scan``.

    ``attrs`` are those of the recording that is compared with it. How often memory is accessed depends on the sample
    interval, so a VadamonWarning says where a scanned recording has another one. Another one says, at the end, in how
    many of its intervals there were as many regions as it may have: some were merged there, and it is not quite true.

    Raises VadamonError where the file cannot be read, is neither, or is a recording that does not hold every page.
    """
    if not is_recording(path):
        return read_truth(path)
    recording = Recording(path)
    if recording.header.backend != SCAN:
        raise VadamonError(f"{path} does not tell of every page: give what --truth has written")
    scan_us = recording.attrs.sample_us
    if scan_us != attrs.sample_us:
        sampled, scanned = (format_duration(us * 1000) for us in (attrs.sample_us, scan_us))
        warnings.warn(
            f"sampled each {sampled}, scanned each {scanned}: how often memory is accessed is told over different "
            "times; record both with the same --sample",
            VadamonWarning,
            stacklevel=2,
        )
    return _truths(recording)


def _truths(recording: Recording) -> Iterator[TrueAccesses]:
    nr_intervals = nr_full = 0
    nr_most = recording.attrs.max_nr_regions
    for _, group in groupby(recording, key=lambda snapshot: snapshot.end_ns):
        snapshots = list(group)
        nr_intervals += 1
        # Several targets share the number, rounded down for each.
        nr_full += sum(map(len, snapshots)) > nr_most - len(snapshots)
        yield from map(_truth_of, snapshots)
    if nr_full:
        warnings.warn(
            f"{recording.path}: in {nr_full} of {nr_intervals} intervals there are as many regions as --max-regions "
            f"allows ({nr_most}), and some were merged: it is not quite the truth there; scan with more",
            VadamonWarning,
            stacklevel=2,
        )


def _truth_of(snapshot: Snapshot) -> TrueAccesses:
    accessed = (snapshot.nr_accesses > 0) & ~snapshot.unknown
    return TrueAccesses(
        snapshot.target_id,
        snapshot.start_ns,
        snapshot.end_ns,
        snapshot.nr_samples,
        snapshot.start[accessed],
        snapshot.end[accessed],
        snapshot.nr_accesses[accessed],
        union(snapshot.start[snapshot.unknown], snapshot.end[snapshot.unknown]),
    )
