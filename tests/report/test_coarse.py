"""The note of the coarse mode."""

import numpy as np
import pytest

from vadamon import Attrs, Header, RecordingWriter, Snapshot, Target
from vadamon.recording.reader import Recording
from vadamon.report.coarse import coarse_note

MS = 1_000_000


@pytest.fixture
def record(tmp_path):
    """Write a recording of this backend with snapshots of these lengths in ms, and open it."""

    def record(backend, lengths_ms):
        path = tmp_path / "x.vadamon"
        one = (
            np.array([4096], np.uint64),
            np.array([8192], np.uint64),
            np.array([7], np.uint32),
            np.array([1], np.uint32),
        )
        with RecordingWriter(path, Header(Attrs(aggr_us=500_000), (Target(1, 1, "x"),), backend)) as writer:
            for i, length in enumerate(lengths_ms):
                start_ns = i * 1000 * MS
                writer.write_snapshot(Snapshot(1, start_ns, start_ns + length * MS, *one, 100, np.array([False])))
        return Recording(path)

    return record


def test_it_tells_what_n_of_m_is_and_which_intervals_were_achieved(record):
    note = coarse_note(record("referenced", [510, 530]))
    assert note.startswith("COARSE MODE (backend referenced): n of 100 is the share of a mapping's bytes")
    assert note.endswith("intervals of 520 ms achieved, 500 ms asked for")
    assert "\n" not in note


def test_other_recordings_have_none(record):
    assert coarse_note(record("page-table", [500])) == ""
