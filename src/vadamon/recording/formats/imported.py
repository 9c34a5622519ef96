"""Make a recording of snapshots from elsewhere, and find out what their formats do not say."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from vadamon.attrs import Attrs
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.recording.header import Header, Target
from vadamon.recording.writer import RecordingWriter, keep_old
from vadamon.snapshot import Snapshot

_LOOKED_AT = 100  # snapshots
_SAMPLES_AN_AGGREGATION = 20


def write_imported(
    snapshots: Iterator[Snapshot],
    path: str | os.PathLike[str],
    source: str | os.PathLike[str],
    attrs: Callable[[], Attrs | None],
    sample_us: int | None,
) -> None:
    """Write ``snapshots`` as a recording, in constant memory; where one is bad, there is none.

    ``attrs`` is asked once the first snapshots have been read. If it gives None, the aggregation interval is measured
    and the sample interval is ``sample_us`` or, as DAMON's documentation advises, a twentieth of that, with a
    VadamonWarning. A snapshot whose ``nr_samples`` is 0 gets what the attributes give, or the most accesses that any
    of its regions has, if that is more.
    """
    beginning = list(islice(snapshots, _LOOKED_AT))
    if not beginning:
        raise VadamonError(f"{source} has no snapshot")
    found = attrs()
    if found is None or sample_us is not None:
        found = _inferred(beginning, found, sample_us, source)
    header = Header(found, backend="imported", command_line=f"import of {os.fspath(source)}")
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        _write(chain(beginning, snapshots), path, header, source)
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise VadamonError(f"cannot write {path}: {error.strerror}") from error
    with folder:
        whole = Path(folder.name) / path.name
        _write(chain(beginning, snapshots), whole, header, source)
        keep_old(path)
        whole.replace(path)


def _write(snapshots: Iterator[Snapshot], path: Path, header: Header, source: str | os.PathLike[str]) -> None:
    nr_samples = header.attrs.max_nr_samples
    known: set[int] = set()
    with RecordingWriter(path, header, live=False) as writer:
        for snapshot in snapshots:
            if snapshot.target_id not in known:
                known.add(snapshot.target_id)
                writer.write_target(Target(snapshot.target_id, 0, f"target {snapshot.target_id} of {source}"))
            if not snapshot.nr_samples:
                most = max(nr_samples, int(snapshot.nr_accesses.max(initial=0)))
                snapshot = replace(snapshot, nr_samples=most)
            writer.write_snapshot(snapshot)


def _inferred(
    snapshots: list[Snapshot], attrs: Attrs | None, sample_us: int | None, source: str | os.PathLike[str]
) -> Attrs:
    lengths = [snapshot.end_ns - snapshot.start_ns for snapshot in snapshots]
    aggr_us = attrs.aggr_us if attrs else max(1, round(float(np.median(lengths)) / 1000))
    if sample_us is None:
        sample_us = max(1, aggr_us // _SAMPLES_AN_AGGREGATION)
        text = (
            f"{source} does not say how often was sampled: taken for {_SAMPLES_AN_AGGREGATION} times in "
            f"{aggr_us / 1000:g} ms, as DAMON's documentation advises; if not, say so with --sample"
        )
        warnings.warn(text, VadamonWarning, stacklevel=2)
    return Attrs(sample_us=sample_us, aggr_us=aggr_us, update_us=max(Attrs().update_us, aggr_us, sample_us))
