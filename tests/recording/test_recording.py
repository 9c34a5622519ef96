"""A recording as it is written and read: round trips, cuts, flipped bytes, kill -9, a full disk."""

import contextlib
import errno
import itertools
import os
import signal
import stat
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vadamon
from vadamon import Attrs, Header, Mapping, Mappings, Recording, RecordingWriter, SampleHealth, Snapshot, Target
from vadamon.attrs import IntervalsGoal
from vadamon.clock import VirtualClock
from vadamon.errors import VadamonError, VadamonWarning
from vadamon.recording import large_batches
from vadamon.recording import reader as reader_module
from vadamon.recording import writer as writer_module
from vadamon.recording.batch import SnapshotBatch
from vadamon.recording.encoding import decode_snapshots, decompress, encode_index, encode_snapshots
from vadamon.recording.framing import END_MARK, read_frames, to_frame
from vadamon.recording.layout import beginning
from vadamon.recording.packed_json import from_packed_json, to_packed_json

MS = 1_000_000
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
        resident=(k + 1) << 20,
    )


def plain(s: Snapshot) -> tuple[object, ...]:
    arrays = (s.start, s.end, s.nr_accesses, s.age, s.unknown)
    told = (s.target_id, s.start_ns, s.end_ns, s.nr_samples, s.health, s.resident)
    return (*told, *((a.dtype.str, a.tolist()) for a in arrays))


def by_target(every: Iterable[tuple[object, ...]]) -> dict[object, list[tuple[object, ...]]]:
    """Return what `plain` gave, in the order of each target: in a batch, targets come by their times."""
    found: dict[object, list[tuple[object, ...]]] = {}
    for each in every:
        found.setdefault(each[0], []).append(each)
    return found


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
        resident=draw(st.integers(0, 2**64 - 1)),
    )


def test_attributes_that_were_tuned(tmp_path: Path) -> None:
    header = replace(HEADER, attrs=Attrs(intervals_goal=IntervalsGoal(access_share=0.1)))
    late = replace(snapshot([0], [1], k=1), end_ns=300_000_000, nr_samples=18, health=SampleHealth(missed_samples=2))
    with RecordingWriter(tmp_path / "x", header) as writer:
        for each in (replace(snapshot([0], [1]), health=SampleHealth()), late, replace(late, nr_samples=0)):
            writer.write_snapshot(each)
    recording = vadamon.open(tmp_path / "x")
    assert recording.attrs == header.attrs
    assert [ns for batch in recording.batches() for ns in batch.sample_ns.tolist()] == [5 * MS, 10 * MS, 100 * MS]


@st.composite
def address_mappings(draw: st.DrawFn) -> Mappings:
    borders = draw(st.lists(st.integers(0, 2**47), unique=True, max_size=8).map(sorted))
    names = st.binary(max_size=20).map(os.fsdecode)
    return Mappings(
        Mapping(a, b, draw(st.sampled_from(["rw-p", "r-xs"])), a, b, draw(names))
        for a, b in zip(borders[::2], borders[1::2], strict=False)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(events=st.lists(st.one_of(snapshots(), address_mappings()), max_size=12), live=st.booleans())
def test_what_is_written_is_read(tmp_path: Path, events: list[Snapshot | Mappings], live: bool) -> None:
    changes = []
    with RecordingWriter(tmp_path / "r", HEADER, live=live) as writer:
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
        assert by_target(map(plain, recording)) == by_target(expected)
        assert by_target(map(plain, recording)) == by_target(expected), "a recording can be read twice"
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


def test_it_says_what_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "r", [snapshot([4096, 8192], [8192, 12288], k=k) for k in range(25)])
    data = path.read_bytes()
    assert data.startswith(b"vadamon recording 2\n\x89VDM")


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
    writer.write_snapshot(snapshot([0, 8], [8, 16]))
    writer.close()
    assert len(list(Recording(tmp_path / "r"))) == 1, "the writer goes on without them"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[tuple[object, ...]]]:
    """Return the bytes of a recording of three batches, and what it holds."""
    path = tmp_path_factory.mktemp("small") / "r"
    every = [snapshot([4096 * k, 8192 * (k + 1)], [4096 * k + 1, 8192 * (k + 1) + 7], k=k) for k in range(25)]
    with RecordingWriter(path, HEADER) as writer:
        for each in every:
            writer.write_snapshot(each)
        writer.flush()
        # As it is before `close` puts large batches in its place; with the end mark it would have had without them.
        data = path.read_bytes() + END_MARK
    return data, [plain(s) for s in every]


def assert_reads_whole_batches(path: Path, data: bytes, expected: list[tuple[object, ...]]) -> None:
    """Either one line, or every batch that is whole and a warning; and never anything that was not written."""
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            read = [plain(s) for s in Recording(path)]
        except VadamonError as error:
            assert "\n" not in str(error)
            return
    whole = [expected[:10], expected[10:20], expected[20:]]
    assert read in (
        [s for k in chosen for s in whole[k]] for n in range(4) for chosen in itertools.combinations(range(3), n)
    )
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


def test_batches_behind_a_damaged_one_are_read(tmp_path: Path, small: tuple[bytes, list[tuple[object, ...]]]) -> None:
    data, expected = small
    with (tmp_path / "r").open("w+b") as file:
        file.write(data)
        _, second, third = read_frames(file, len(beginning(HEADER)), len(data), pytest.fail)
    for at in (second.at, second.at + 9, second.at + 30, second.body_at, third.at - 1):
        damaged = bytearray(data)
        damaged[at] ^= 1
        (tmp_path / "r").write_bytes(damaged)
        with pytest.warns(VadamonWarning, match=f"damaged at byte {second.at}; all that is whole is used"):
            assert [plain(s) for s in Recording(tmp_path / "r")] == expected[:10] + expected[20:]


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


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"PAR1", bytes(5000), b"vadamon recording", b"vadamon recording x\n", b"\xff\xff\xff\xff" * 9],
)
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
    (tmp_path / "x").write_bytes(b"vadamon recording 99\nof another kind altogether")
    with pytest.raises(VadamonError, match="format 99, and this vadamon reads format 2: install a newer"):
        Recording(tmp_path / "x")


def test_the_format_before(tmp_path: Path) -> None:
    schema = pa.schema({"a": pa.int64()}, metadata={b"vadamon.format": b"vadamon recording", b"vadamon.version": b"1"})
    (tmp_path / "x").write_bytes(schema.serialize().to_pybytes())
    with pytest.raises(VadamonError, match="format 1, and this vadamon reads format 2: install an older"):
        Recording(tmp_path / "x")


DEEP = zlib.compress(b"[" * 100_000)
BOMB = zlib.compress(b" " * (1 << 25) + b"0")


@pytest.mark.parametrize(
    "head", [b"", b"\xff", DEEP, BOMB, *map(to_packed_json, ([], {}, {"attrs": {}}, {"attrs": {}, "targets": [{}]}))]
)
def test_head_of_another_kind(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x").write_bytes(b"vadamon recording 2\n" + to_frame(head))
    with pytest.raises(VadamonError, match="makes no sense"):
        Recording(tmp_path / "x")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(VadamonError, match=r"cannot read .*/x: No such file"):
        Recording(tmp_path / "x")


GOOD_ROW = encode_snapshots(SnapshotBatch.of([snapshot([4096], [8192])]))
GOOD_INDEX = from_packed_json(encode_index([GOOD_ROW]))


def test_lengths_that_claim_much_ask_for_nothing(tmp_path: Path, resident_size: Callable[..., list[int]]) -> None:
    huge = (0xFFFFFFF0).to_bytes(4, "little")
    data = beginning(HEADER) + to_frame(to_packed_json(GOOD_INDEX), GOOD_ROW.data)
    at = len(beginning(HEADER))
    for field in (8, 12):
        (tmp_path / f"r{field}").write_bytes(data[: at + field] + huge + data[at + field + 4 :])
    sized = to_frame(to_packed_json([GOOD_INDEX[0] | {"size": 100 << 30}]), GOOD_ROW.data)
    (tmp_path / "sized").write_bytes(beginning(HEADER) + sized)
    code = """
import sys, warnings
from vadamon import Recording
warnings.simplefilter("ignore")
list(Recording(sys.argv[1])), measure()
for path in sys.argv[1:]:
    assert list(Recording(path)) == []
measure()
"""
    before, after = resident_size(code, *(str(tmp_path / name) for name in ("r8", "r12", "sized")))
    assert after < before + 4 * 2**20


@pytest.mark.parametrize(
    "change",
    [
        {"size": 10**6}, {"size": 3}, {"size": 1 << 40}, {"size": "x"}, {"size": -1}, {"length": 0},
        {"length": 1 << 70}, {"end_ns": None}, {"end_ns": 1 << 63}, {"what": 1}, {"target_id": -1},
        {"nr_snapshots": 2}, {"ranges": [[1]]}, {"ranges": [[1, 1 << 64]]}, {"ranges": 5},
    ],
)  # fmt: skip
def test_sealed_nonsense_is_not_shown(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "r"
    path.write_bytes(beginning(HEADER) + to_frame(to_packed_json([GOOD_INDEX[0] | change]), GOOD_ROW.data) + END_MARK)
    with pytest.warns(VadamonWarning, match="makes no sense"):
        assert list(Recording(path)) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    index=st.one_of(
        st.binary(max_size=40).filter(bool),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.sampled_from(["snapshots", "mappings", "target"])),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*GOOD_INDEX[0]]), inner, max_size=8),
            max_leaves=12,
        ).map(to_packed_json),
        st.dictionaries(st.sampled_from([*GOOD_INDEX[0]]), st.one_of(st.none(), st.integers(), st.lists(st.integers())))
        .map(lambda change: to_packed_json([GOOD_INDEX[0] | change])),
    ),
    body=st.one_of(st.just(GOOD_ROW.data), st.binary(max_size=60)),
)  # fmt: skip
def test_any_sealed_index_and_body(tmp_path: Path, index: bytes, body: bytes) -> None:
    (tmp_path / "r").write_bytes(beginning(HEADER) + to_frame(index, body) + END_MARK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VadamonWarning)
        recording = Recording(tmp_path / "r")
        for each in recording:
            assert (each.start < each.end).all()
        for entry in recording.summaries():
            np.array(entry.ranges, np.uint64).reshape(-1, 2)
        assert isinstance(recording.mappings, dict)
        assert isinstance(recording.targets, dict)


@given(st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 255)), min_size=1, max_size=5))
def test_data_of_snapshots_that_is_none_is_refused(changes: list[tuple[int, int]]) -> None:
    data = bytearray(decompress(GOOD_ROW.entry, GOOD_ROW.data))
    for at, byte in changes:
        data[at % len(data)] = byte
    with contextlib.suppress(ValueError):
        for each in decode_snapshots(GOOD_ROW.entry, bytes(data)):
            assert (each.start < each.end).all()
            assert (each.end[:-1] <= each.start[1:]).all()


def two_targets(path: Path) -> list[Snapshot]:
    """Record two minutes of two targets, the second of which has joined halfway, in many batches."""
    rng = np.random.default_rng(3)
    every = []
    with RecordingWriter(path, HEADER) as writer:
        for k in range(1200):
            for target_id in (7, 8) if k >= 600 else (7,):
                borders = np.unique(rng.integers(1, 1 << 35, 200)).tolist()
                every.append(snapshot(borders[:-1], borders[1:], target_id=target_id, k=k))
                writer.write_snapshot(every[-1])
            if k in (0, 900):
                writer.write_mappings(7, k * 10**8, Mappings([Mapping(0, k + 1, name="a")]))
            if k == 600:
                writer.write_target(Target(8, 99, "child"))
                writer.write_mappings(8, k * 10**8, Mappings([Mapping(0, 5, name="b")]))
    return every


def test_selection(tmp_path: Path) -> None:
    every = two_targets(tmp_path / "r")
    recording = Recording(tmp_path / "r")
    assert [plain(s) for s in recording] == [plain(s) for s in every], "targets come by their times"

    second = 10**9
    for start_ns, end_ns in ((None, 3 * second), (59 * second, 61 * second), (100 * second + 1, None), (-5, 0)):
        chosen = [
            s for s in every
            if (start_ns is None or s.end_ns > start_ns) and (end_ns is None or s.start_ns < end_ns)
        ]  # fmt: skip
        part = recording.between(start_ns, end_ns)
        assert [plain(s) for s in part] == [plain(s) for s in chosen]
        assert [plain(s) for s in part.of(8)] == [plain(s) for s in chosen if s.target_id == 8]
        assert sum(entry.nr_snapshots for entry in part.summaries()) == len(chosen)
    assert [plain(s) for s in recording.of(7, 9)] == [plain(s) for s in every if s.target_id == 7]
    assert recording.of(9).targets == {}
    assert list(recording.of(8).targets) == list(recording.of(8).mappings) == [8]
    assert [len(recording.between(None, t).mappings) for t in (0, 1, 61 * second)] == [0, 1, 2]
    assert recording.between(None, 70 * second).mappings[7][0].end == 1
    assert recording.mappings[7][0].end == 901


def test_summaries_are_of_what_is_selected(tmp_path: Path) -> None:
    every = two_targets(tmp_path / "r")
    for part in (Recording(tmp_path / "r"), Recording(tmp_path / "r").between(31 * 10**9, 77 * 10**9)):
        chosen = {(s.target_id, s.end_ns) for s in part}
        snapshots = [s for s in every if (s.target_id, s.end_ns) in chosen]
        for target_id in (7, 8):
            mine = [s for s in snapshots if s.target_id == target_id]
            entries = [entry for entry in part.summaries() if entry.target_id == target_id]
            assert sum(entry.nr_snapshots for entry in entries) == len(mine)
            assert min(entry.start_ns for entry in entries) == mine[0].start_ns
            assert max(entry.end_ns for entry in entries) == mine[-1].end_ns
            ranges = [r for entry in entries for r in entry.ranges]
            assert min(low for low, _ in ranges) == min(int(s.start[0]) for s in mine)
            assert max(high for _, high in ranges) == max(int(s.end[-1]) for s in mine)


def test_what_is_not_selected_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_targets(tmp_path / "r")
    decompressed = []
    monkeypatch.setattr(
        reader_module, "decompress", lambda entry, data: decompressed.append(entry) or decompress(entry, data)
    )
    recording = Recording(tmp_path / "r")
    nr_batches = len(list(recording.summaries()))
    assert nr_batches > 4
    assert decompressed == []
    assert len(list(recording.between(0, 10**9))) == 10
    assert len(decompressed) == 1
    decompressed.clear()
    assert len(list(recording.of(8))) == 600
    assert {entry.target_id for entry in decompressed} == {8}


def test_closing_makes_batches_large(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with RecordingWriter(path, HEADER) as writer:
        path.chmod(0o640)
        for k in range(300):
            writer.write_snapshot(snapshot([4096], [8192], k=k))
        before, small_size = path.stat(), path.stat().st_size
        with pytest.warns(VadamonWarning):
            nr_small = len(list(Recording(path).batches()))
    after = path.stat()
    assert len(list(Recording(path).batches())) == 1
    assert nr_small >= 29
    assert after.st_size < small_size / 10
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "fchown", "link", "unlink"])
def test_ctrl_c_while_batches_are_made_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "r"
    module, name = (Path, "replace") if step == "unlink" else (os, step)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), RecordingWriter(path, HEADER) as writer:
        for k in range(30):
            writer.write_snapshot(snapshot([4096], [8192], k=k))
        monkeypatch.setattr(module, name, interrupt)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == [path]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(Recording(path))) == 30


def test_a_full_disk_leaves_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(large_batches.Compaction, "_put", lambda self, data: None)
    with RecordingWriter(tmp_path / "r", HEADER) as writer:
        for k in range(30):
            writer.write_snapshot(snapshot([0], [1], k=k))
        monkeypatch.setattr(large_batches.Compaction, "_put", refuse)
    assert len(list(Recording(tmp_path / "r"))) == 30
    assert len(list(Recording(tmp_path / "r").batches())) == 3
    assert list(tmp_path.iterdir()) == [tmp_path / "r"]


def test_a_file_that_was_moved_meanwhile_stays_where_it_is(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "r", HEADER) as writer:
        writer.write_snapshot(snapshot([0], [1]))
        (tmp_path / "r").rename(tmp_path / "mine")
        (tmp_path / "r").write_text("another's")
    assert (tmp_path / "r").read_text() == "another's"
    assert len(list(Recording(tmp_path / "mine"))) == 1


def test_without_nameless_files_small_batches_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(writer_module, "Compaction", refuse)
    written(tmp_path / "r", [snapshot([0], [1], k=k) for k in range(30)])
    recording = Recording(tmp_path / "r")
    assert len(list(recording)) == 30
    assert len(list(recording.batches())) == 3


def test_batches_are_written_as_snapshots_are(tmp_path: Path) -> None:
    every = two_targets(tmp_path / "r")
    with RecordingWriter(tmp_path / "copy", HEADER, live=False) as writer:
        writer.write_snapshot(every[0])
        writer.write_batch(SnapshotBatch.of(every[1:100]))
        writer.write_batch(SnapshotBatch.of(every[100:]))
    assert [plain(s) for s in Recording(tmp_path / "copy")] == [plain(s) for s in every]


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
    assert list(tmp_path.iterdir()) == [path], "nothing else is left behind"


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
