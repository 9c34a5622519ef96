from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vadamon import VadamonError
from vadamon.accuracy.truth import TrueAccesses, TruthWriter, read_truth

RUNS = st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 2**40), st.integers(1, 20)), max_size=6)


def interval(k: int, runs: list[tuple[int, int, int]]) -> TrueAccesses:
    """Make an interval of runs (gap to the one before, size, accesses)."""
    gap, size, nr_accesses = (np.array([run[i] for run in runs], np.uint64) for i in range(3))
    end = np.cumsum(gap + size)
    return TrueAccesses(7, k * 10**8, (k + 1) * 10**8, 20, end - size, end, nr_accesses.astype(np.uint32))


def plain(true: TrueAccesses) -> tuple[object, ...]:
    numbers = (true.target_id, true.start_ns, true.end_ns, true.nr_samples)
    return *numbers, true.start.tolist(), true.end.tolist(), true.nr_accesses.tolist()


@settings(deadline=None)
@given(every=st.lists(RUNS, max_size=150))
def test_what_is_read_is_what_was_written(
    every: list[list[tuple[int, int, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("truth") / "truth"
    written = [interval(k, runs) for k, runs in enumerate(every)]
    with TruthWriter(path) as writer:
        for true in written:
            writer.write(true)
    assert [plain(true) for true in read_truth(path)] == [plain(true) for true in written]


def test_what_is_no_truth_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(VadamonError, match=r"cannot read .*x: No such file"):
        next(read_truth(path))
    path.write_bytes(b"something else")
    with pytest.raises(VadamonError, match="x is not a truth file"):
        next(read_truth(path))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, pa.schema({"a": pa.int8()})):
        pass
    with pytest.raises(VadamonError, match="x is not a truth file"):
        next(read_truth(path))
    with pytest.raises(VadamonError, match=r"cannot write .*: No such file"):
        TruthWriter(tmp_path / "no" / "x")


def test_truth_that_is_cut_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with TruthWriter(path) as writer:
        for k in range(200):
            writer.write(interval(k, [(4096, 4096, 3)] * 50))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(VadamonError, match="damaged"):
        list(read_truth(path))


def test_disk_that_fills_up_is_one_line() -> None:
    writer = TruthWriter("/dev/full")
    writer.write(interval(0, [(4096, 4096, 3)]))
    with pytest.raises(VadamonError, match="cannot write /dev/full: No space left"):
        writer.close()
