"""A recording as it is written and read: round trips, cuts, flipped bytes, kill -9, a full disk."""

import itertools
import os
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vadamon
from vadamon import Attrs, Header, Mapping, Mappings, Recording, RecordingWriter, SampleHealth, Snapshot, Target
from vadamon.clock import VirtualClock
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.recording.framing import BLANK_SEAL, SEAL_KEY, seal

HEADER = Header(
    Attrs(min_region_size=1), (Target(7, 4242, "python3 x.py"),), "page-table", "vadamon record 4242", 10, 20
)


def snapshot(start: list[int], end: list[int], *, target_id: int = 7, k: int = 0, accesses: int = 3) -> Snapshot:
    n = len(start)
    return Snapshot(
        target_id=target_id,
        start_ns=k * 100_000_000,
        end_ns=(k + 1) * 100_000_000,
        start=np.array(start, np.uint64),
        end=np.array(end, np.uint64),
        nr_accesses=np.full(n, accesses, np.uint32),
        age=np.arange(n, dtype=np.uint32),
        nr_samples=20,
        unknown=np.zeros(n, np.bool_),
        health=SampleHealth(1, 2, 3, 4, 5),
    )


def plain(s: Snapshot) -> tuple[object, ...]:
    arrays = (s.start, s.end, s.nr_accesses, s.age, s.unknown)
    return (s.target_id, s.start_ns, s.end_ns, s.nr_samples, s.health, *((a.dtype.str, a.tolist()) for a in arrays))


def written(path: Path, snapshots: list[Snapshot]) -> Path:
    with RecordingWriter(path, HEADER) as writer:
        for each in snapshots:
            writer.write_snapshot(each)
    return path


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    borders = draw(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=12).map(sorted))
    pairs = [(a, b) for a, b in itertools.pairwise(borders) if draw(st.booleans())]
    u32 = st.integers(0, 2**32 - 1)
    n = len(pairs)
    return Snapshot(
        target_id=draw(st.integers(0, 2**64 - 1)),
        start_ns=draw(st.integers(0, 2**62)),
        end_ns=draw(st.integers(0, 2**62)),
        start=np.array([a for a, _ in pairs], np.uint64),
        end=np.array([b for _, b in pairs], np.uint64),
        nr_accesses=np.array(draw(st.lists(u32, min_size=n, max_size=n)), np.uint32),
        age=np.array(draw(st.lists(u32, min_size=n, max_size=n)), np.uint32),
        nr_samples=draw(u32),
        unknown=np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_),
        health=SampleHealth(*draw(st.lists(st.integers(0, 2**64 - 1), min_size=5, max_size=5))),
    )


@st.composite
def address_mappings(draw: st.DrawFn) -> Mappings:
    borders = draw(st.lists(st.integers(0, 2**47), unique=True, max_size=8).map(sorted))
    names = st.binary(max_size=20).map(os.fsdecode)
    return Mappings(
        Mapping(a, b, draw(st.sampled_from(["rw-p", "r-xs"])), a, b, draw(names))
        for a, b in zip(borders[::2], borders[1::2], strict=False)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(events=st.lists(st.one_of(snapshots(), address_mappings()), max_size=12))
def test_what_is_written_is_read(tmp_path: Path, events: list[Snapshot | Mappings]) -> None:
    changes = []
    with RecordingWriter(tmp_path / "r", HEADER) as writer:
        for time_ns, event in enumerate(events):
            if isinstance(event, Snapshot):
                writer.write_snapshot(event)
            else:
                writer.write_mappings(9, time_ns, event)
                if not changes or changes[-1][2] != event:
                    changes.append((9, time_ns, event))
    recording = vadamon.open(tmp_path / "r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = [plain(event) for event in events if isinstance(event, Snapshot)]
        assert [plain(s) for s in recording] == expected
        assert [plain(s) for s in recording] == expected, "a recording can be read twice"
        assert [(c.target_id, c.time_ns, c.mappings) for c in recording.mappings_history()] == changes
    last = [mappings for _, _, mappings in changes if len(mappings)]
    assert recording.mappings == ({9: last[-1]} if last else {})


def test_head_and_targets(tmp_path: Path) -> None:
    header = Header.here(Attrs(sample_us=7), [Target(7, 1, "a \udcff")], backend="x", command_line="\x02crc32=é")
    with RecordingWriter(tmp_path / "r", header) as writer:
        writer.write_target(Target(8, 99, "child \udcfe"))
    recording = Recording(tmp_path / "r")
    assert recording.header == header
    assert recording.attrs.sample_us == 7
    assert recording.targets == {7: Target(7, 1, "a \udcff"), 8: Target(8, 99, "child \udcfe")}
    assert header.machine.memory_size > 0
    assert header.machine.cpu_model
    assert recording.wall_ns(header.start_ns + 5) == header.start_wall_ns + 5


def test_it_is_an_arrow_stream(tmp_path: Path) -> None:
    path = written(tmp_path / "r", [snapshot([4096, 8192], [8192, 12288], k=k) for k in range(25)])
    table = ipc.open_stream(path.read_bytes()).read_all()
    assert table.num_rows == 25
    assert table["regions"][0].as_py()[1] == {"gap": 0, "size": 4096, "nr_accesses": 3, "age": 1, "unknown": False}


def test_a_second_of_snapshots_is_the_most_that_is_unwritten(tmp_path: Path) -> None:
    path = tmp_path / "r"
    writer = RecordingWriter(path, HEADER)
    for k in range(35):
        writer.write_snapshot(snapshot([0], [1], k=k))
        with pytest.warns(VadamonWarning, match="no end mark"):
            assert k + 1 - len(list(Recording(path))) < 10
    writer.close()
    assert len(list(Recording(path))) == 35


def test_snapshots_that_waited_a_second_are_written(tmp_path: Path) -> None:
    clock = VirtualClock()
    writer = RecordingWriter(tmp_path / "r", HEADER, clock)
    writer.write_snapshot(snapshot([0], [1]))
    before = (tmp_path / "r").stat().st_size
    clock.sleep_until_ns(1_000_000_000)
    writer.write_snapshot(snapshot([0], [1]))
    assert (tmp_path / "r").stat().st_size > before
    writer.close()


def test_file_is_private_and_an_old_one_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text("precious")
    written(path, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (tmp_path / "r.old").read_text() == "precious"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r", "r.old"]


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    written(tmp_path / "link", [])
    assert (tmp_path / "link").is_symlink()
    assert list(Recording(tmp_path / "real")) == []


@pytest.mark.parametrize("path", ["missing/r", "."])
def test_path_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    with pytest.raises(VadamonError, match=r"^cannot write .*: (No such file|Is a directory)"):
        RecordingWriter(tmp_path / path, HEADER)
    assert list(tmp_path.iterdir()) == []


def test_unsorted_regions_are_refused(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r", HEADER)
    writer.write_snapshot(snapshot([8, 0], [16, 8]))
    with pytest.raises(ValueError, match="sorted"):
        writer.flush()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[tuple[object, ...]]]:
    """Return the bytes of a recording of three batches, and what it holds."""
    path = tmp_path_factory.mktemp("small") / "r"
    every = [snapshot([4096 * k, 8192 * (k + 1)], [4096 * k + 1, 8192 * (k + 1) + 7], k=k) for k in range(25)]
    written(path, every)
    return path.read_bytes(), [plain(s) for s in every]


def assert_reads_whole_batches(path: Path, data: bytes, expected: list[tuple[object, ...]]) -> None:
    """Either one line, or some whole batches and a warning; and never anything that was not written."""
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read = [plain(s) for s in Recording(path)]
        except VadamonError as error:
            assert "\n" not in str(error)
            return
    assert len(read) in (0, 10, 20, 25)
    assert read == expected[: len(read)]
    assert [w.category for w in caught] == [VadamonWarning]


def test_any_cut(tmp_path: Path, small: tuple[bytes, list[tuple[object, ...]]]) -> None:
    data, expected = small
    for length in range(len(data)):
        assert_reads_whole_batches(tmp_path / "cut", data[:length], expected)


def test_any_byte_flipped(tmp_path: Path, small: tuple[bytes, list[tuple[object, ...]]]) -> None:
    data, expected = small
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        assert_reads_whole_batches(tmp_path / "flip", bytes(damaged), expected)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 30), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4))
def test_any_damage(
    tmp_path: Path, small: tuple[bytes, list[tuple[object, ...]]], changes: list[tuple[int, bytes]]
) -> None:
    data, expected = small
    damaged = bytearray(data)
    for at, junk in changes:
        damaged[at % len(data) : at % len(data) + len(junk)] = junk
    if damaged != data:
        assert_reads_whole_batches(tmp_path / "damage", bytes(damaged), expected)


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1", b"\xff\xff\xff\xff\x10\x00\x00\x00" + bytes(64), bytes(5000)])
def test_foreign_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(VadamonError, match="is not a vadamon recording"):
        Recording(tmp_path / "x")


def test_foreign_arrow_stream(tmp_path: Path) -> None:
    with ipc.new_stream(str(tmp_path / "x"), pa.schema({"a": pa.int64()})) as stream:
        stream.write_batch(pa.record_batch({"a": [1]}))
    with pytest.raises(VadamonError, match="is not a vadamon recording"):
        Recording(tmp_path / "x")


def test_newer_format(tmp_path: Path) -> None:
    schema = pa.schema({"a": pa.int64()}, metadata={b"vadamon.version": b"99", SEAL_KEY: BLANK_SEAL})
    (tmp_path / "x").write_bytes(seal(schema.serialize().to_pybytes()))
    with pytest.raises(VadamonError, match="format 99, and this vadamon reads up to 1"):
        Recording(tmp_path / "x")


def test_head_of_another_kind(tmp_path: Path) -> None:
    metadata = {b"vadamon.version": b"1", b"vadamon.header": b'{"attrs": {}}', SEAL_KEY: BLANK_SEAL}
    (tmp_path / "x").write_bytes(seal(pa.schema({"a": pa.int64()}, metadata=metadata).serialize().to_pybytes()))
    with pytest.raises(VadamonError, match="makes no sense"):
        Recording(tmp_path / "x")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VadamonError, match=r"cannot read .*/x: No such file"):
        Recording(tmp_path / "x")


def test_sealed_nonsense_is_not_shown(tmp_path: Path) -> None:
    path = written(tmp_path / "r", [snapshot([4096], [8192])])
    data = path.read_bytes()
    head = 8 + int.from_bytes(data[4:8], "little")
    table = ipc.open_stream(data).read_all()
    rows = table.to_pylist()
    rows[0]["regions"] = [{"gap": 2**64 - 1, "size": 4096, "nr_accesses": 1, "age": 1, "unknown": False}]
    batch = pa.RecordBatch.from_pylist(rows, schema=table.schema)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema) as stream:
        stream.write_batch(batch, custom_metadata={SEAL_KEY: BLANK_SEAL})
    message = sink.getvalue().to_pybytes()[len(table.schema.serialize()) : -8]
    path.write_bytes(data[:head] + seal(message) + data[-8:])
    with pytest.warns(VadamonWarning, match="makes no sense"):
        assert list(Recording(path)) == []


_KILLED = """
import sys, itertools, numpy as np
from vadamon import *
one = np.ones(1, np.uint32)
with RecordingWriter(sys.argv[1], Header(Attrs())) as writer:
    for k in itertools.count():
        writer.write_snapshot(Snapshot(1, k * 10**8, (k + 1) * 10**8, np.array([k], np.uint64),
            np.array([k + 1], np.uint64), one, one, 20, np.zeros(1, bool)))
        if k % 10 == 9:
            print(k + 1, flush=True)
"""


def test_killed_writer(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        promised = [int(child.stdout.readline()) for _ in range(30)][-1]
        child.send_signal(signal.SIGKILL)
    with pytest.warns(VadamonWarning):
        starts = [int(s.start[0]) for s in Recording(path)]
    assert starts == list(range(len(starts)))
    assert len(starts) >= promised


@pytest.mark.live
def test_full_disk(tiny_disk: Path) -> None:
    path = tiny_disk / "r"
    rng = np.random.default_rng(1)
    with (
        pytest.raises(VadamonError, match=r"cannot write .*/r: No space left on device; what was"),
        RecordingWriter(path, HEADER) as writer,
    ):
        for k in range(10_000):
            borders = np.unique(rng.integers(0, 2**47, 100)).tolist()
            writer.write_snapshot(snapshot(borders[:-1], borders[1:], k=k))
    with pytest.warns(VadamonWarning, match="no end mark"):
        read = list(Recording(path))
    assert len(read) >= 10
    assert [s.start_ns // 100_000_000 for s in read] == list(range(len(read)))

    with (tiny_disk / "fill").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
        while True:
            filler.write(bytes(4096))
    kept = path.read_bytes()
    with pytest.raises(VadamonError, match="No space left"):
        RecordingWriter(path, HEADER)
    assert path.read_bytes() == kept, "an old recording is not moved away for one that cannot be begun"
    assert not list(tiny_disk.glob(".r.*"))


def test_memory_stays_flat(tmp_path: Path, resident_size: Callable[..., list[int]]) -> None:
    code = """
import sys, numpy as np
from vadamon import *
def write(writer, first, last):
    for k in range(first, last):
        start = np.arange(1000, dtype=np.uint64) * 8192 + k
        n = np.full(1000, k % 20, np.uint32)
        writer.write_snapshot(Snapshot(1, k * 10**8, (k + 1) * 10**8, start, start + 4096, n, n, 20, n > 100))
with RecordingWriter(sys.argv[1], Header(Attrs())) as writer:
    write(writer, 0, 200); measure()
    write(writer, 200, 2000); measure()
"""
    before, after = resident_size(code, str(tmp_path / "r"))
    assert after < before + 4 * 2**20
    code = """
import sys
from vadamon import Recording
for k, snapshot in enumerate(Recording(sys.argv[1])):
    if k in (200, 1999):
        measure()
"""
    before, after = resident_size(code, str(tmp_path / "r"))
    assert after < before + 4 * 2**20
