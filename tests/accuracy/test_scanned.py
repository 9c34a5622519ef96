import warnings
from pathlib import Path

import numpy as np
import pytest

from vadamon import Attrs, Header, Recording, RecordingWriter, Snapshot, Target, VadamonError
from vadamon.accuracy.measure import accuracy
from vadamon.accuracy.scanned import open_truth
from vadamon.accuracy.truth import TruthWriter
from vadamon.errors import VadamonWarning

MS = 1_000_000


def recorded(
    path: Path, backend: str, regions: list[tuple[int, int, int]], attrs: Attrs | None = None, shift_ns: int = 0
) -> Path:
    """Record a second of regions (start, end, accesses of 20, -1 for unknown), ten snapshots of them."""
    start, end, accesses = (np.array([region[i] for region in regions], np.int64) for i in range(3))
    with RecordingWriter(path, Header(attrs or Attrs(min_region_size=1), (Target(42, 42, "x"),), backend)) as writer:
        for k in range(10):
            writer.write_snapshot(
                Snapshot(
                    target_id=42,
                    start_ns=k * 100 * MS + shift_ns,
                    end_ns=(k + 1) * 100 * MS + shift_ns,
                    start=start.astype(np.uint64),
                    end=end.astype(np.uint64),
                    nr_accesses=np.maximum(accesses, 0).astype(np.uint32),
                    age=np.zeros(len(start), np.uint32),
                    nr_samples=20,
                    unknown=accesses < 0,
                )
            )
    return path


def test_scanned_recording_is_the_truth_of_a_sampled_one(tmp_path: Path) -> None:
    scanned = recorded(
        tmp_path / "scanned", "scan", [(0, 10, 20), (10, 20, 4), (20, 40, 0), (40, 50, -1)], shift_ns=7 * MS
    )
    sampled = Recording(recorded(tmp_path / "sampled", "page-table", [(0, 5, 19), (5, 50, 0)]))
    result = accuracy(sampled, open_truth(scanned, sampled.attrs), sampled.attrs)
    assert (result.nr_intervals, result.hot_bytes, result.precision, result.recall) == (10, 10, 1, 0.5)
    assert (result.wss_bytes, result.found_wss_bytes, result.untold_bytes) == (20, 5, 10)


def test_what_does_not_hold_every_page_is_no_truth(tmp_path: Path) -> None:
    sampled = recorded(tmp_path / "sampled", "page-table", [(0, 5, 19)])
    with pytest.raises(VadamonError, match="sampled does not tell of every page: give what --truth has written"):
        open_truth(sampled, Attrs())
    (tmp_path / "x").write_text("x")
    with pytest.raises(VadamonError, match="x is not a truth file"):
        list(open_truth(tmp_path / "x", Attrs()))
    with pytest.raises(VadamonError, match=r"cannot read .*none: No such file"):
        open_truth(tmp_path / "none", Attrs())


def test_other_sample_interval_is_warned_of(tmp_path: Path) -> None:
    scanned = recorded(tmp_path / "scanned", "scan", [(0, 5, 1)], Attrs(100_000, 1_000_000, min_region_size=1))
    with pytest.warns(VadamonWarning, match="sampled each 5 ms, scanned each 100 ms: "):
        open_truth(scanned, Attrs())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_truth(scanned, Attrs(100_000, 1_000_000))


@pytest.mark.parametrize(("nr_most", "is_said"), [(4, True), (5, False)])
def test_that_regions_were_merged_is_said(tmp_path: Path, nr_most: int, is_said: bool) -> None:
    attrs = Attrs(min_nr_regions=3, max_nr_regions=nr_most, min_region_size=1)
    regions = [(0, 10, 20), (10, 20, 4), (20, 40, 0), (40, 50, 5)]
    scanned = recorded(tmp_path / "scanned", "scan", regions, attrs)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert len(list(open_truth(scanned, attrs))) == 10
    messages = [str(warning.message) for warning in said]
    expected = "in 10 of 10 intervals there are as many regions as --max-regions allows (4), and some were merged"
    assert [expected in message for message in messages] == [True] * is_said


def test_truth_files_are_told_from_recordings(tmp_path: Path) -> None:
    TruthWriter(tmp_path / "truth").close()
    assert list(open_truth(tmp_path / "truth", Attrs())) == []
