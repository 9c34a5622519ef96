"""Formats of other tools: round trips, and the real damo as a reader."""

import csv
import json
import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vadamon
from vadamon import Attrs, Header, Mapping, Mappings, RecordingWriter, Snapshot, Target, VadamonError, demo
from vadamon.recording.formats import damo, perf_script, tables
from vadamon.report.heatmap import heatmaps
from vadamon.report.wss import working_sets

DAMO = Path(sys.executable).with_name("damo")
FORMATS = {"damo": damo, "perf-script": perf_script}
MIB = 1 << 20


def snapshot(k, borders, nr_accesses, age, target_id=1):
    n = len(borders) - 1
    return Snapshot(
        target_id=target_id,
        start_ns=10**12 + k * 100_000_000,
        end_ns=10**12 + (k + 1) * 100_000_000,
        start=np.array(borders[:-1], dtype=np.uint64),
        end=np.array(borders[1:], dtype=np.uint64),
        nr_accesses=np.array(nr_accesses[:n], dtype=np.uint32),
        age=np.array(age[:n], dtype=np.uint32),
        nr_samples=20,
        unknown=np.zeros(n, dtype=np.bool_),
    )


def write(path, snapshots, mappings=None):
    target_ids = sorted({s.target_id for s in snapshots})
    header = Header(Attrs(), tuple(Target(t, 100 + t, f"program {t}") for t in target_ids), start_ns=10**12)
    with RecordingWriter(path, header) as writer:
        for s in snapshots:
            if mappings is not None:
                writer.write_mappings(s.target_id, s.end_ns, mappings)
            writer.write_snapshot(s)
    return vadamon.open(path)


snapshots_of_two_targets = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2**47 - 1), min_size=2, max_size=6, unique=True).map(sorted),
        st.lists(st.integers(0, 20), min_size=6, max_size=6),
        st.lists(st.integers(0, 2**20), min_size=6, max_size=6),
    ),
    min_size=1,
    max_size=5,
).map(lambda rows: [snapshot(k // 2, *row, target_id=k % 2 + 1) for k, row in enumerate(rows)])


def key(s):
    return s.end_ns, s.target_id


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(snapshots=snapshots_of_two_targets)
def test_round_trips_keep_every_region(tmp_path, name, snapshots):
    recording = write(tmp_path / "ours", snapshots)
    FORMATS[name].export(recording, tmp_path / "theirs")
    FORMATS[name].import_(tmp_path / "theirs", tmp_path / "back")
    back = sorted(vadamon.open(tmp_path / "back"), key=key)
    assert [key(s) for s in back] == [key(s) for s in sorted(snapshots, key=key)]
    for ours, theirs in zip(sorted(snapshots, key=key), back, strict=True):
        for column in ("start", "end", "nr_accesses", "age"):
            assert np.array_equal(getattr(ours, column), getattr(theirs, column))
        assert theirs.nr_samples == 20


def test_times_survive_perf_script_but_for_the_first_start(tmp_path):
    snapshots = [snapshot(k, [0, 4096], [k], [0]) for k in range(5)]
    perf_script.export(write(tmp_path / "ours", snapshots), tmp_path / "theirs")
    perf_script.import_(tmp_path / "theirs", tmp_path / "back")
    back = vadamon.open(tmp_path / "back")
    assert [(s.start_ns, s.end_ns) for s in back] == [(s.start_ns, s.end_ns) for s in snapshots]
    assert back.attrs.aggr_us == 100_000


def test_lines_of_the_kernel_are_read_with_and_without_ages(tmp_path):
    (tmp_path / "theirs").write_text(
        "kdamond.0  4452 [000] 82877.315633: damon:damon_aggregated: target_id=18446623435582458880 "
        "nr_regions=17 140731667070976-140731668037632: 0 3\n"
        "swapper 0 [001] 82877.4: sched:sched_switch: prev_comm=x\n"
        "kdamond.0  4452 [000] 82877.415633: damon:damon_aggregated: target_id=18446623435582458880 "
        "nr_regions=17 140731667070976-140731668037632: 7\n"
    )
    perf_script.import_(tmp_path / "theirs", tmp_path / "back")
    first, second = vadamon.open(tmp_path / "back")
    assert (first.target_id, first.end_ns) == (18446623435582458880, 82877_315_633_000)
    assert (first.nr_accesses.tolist(), first.age.tolist()) == ([0], [3])
    assert (second.nr_accesses.tolist(), second.age.tolist()) == ([7], [0])
    assert second.start_ns == first.end_ns


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("damo", b"x"),
        ("damo", zlib.compress(b"{}")),
        ("damo", zlib.compress(b'[{"target_id": 1}]')),
        ("damo", zlib.compress(b"[]")[:-3]),
        ("perf-script", b""),
        ("perf-script", b"\x00\xff nothing of that kind\n"),
    ],
)
def test_what_is_none_of_theirs_is_named_in_one_line(tmp_path, name, content):
    (tmp_path / "theirs").write_bytes(content)
    with pytest.raises(VadamonError, match="theirs") as raised:
        FORMATS[name].import_(tmp_path / "theirs", tmp_path / "back")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "back").exists()


NUMBERS = st.one_of(st.integers(-3, 2**65), st.sampled_from(["1,000", "x", None, "", [], {}, 1.5, "-7"]))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), NUMBERS), min_size=1, max_size=4))
def test_any_numbers_of_damo_are_a_recording_or_one_line(tmp_path, changes):
    region = {"start": "4096", "end": "8192", "nr_accesses": {"samples": 1}, "age": {"aggr_intervals": 2}}
    record = {"target_id": "0", "snapshots": [{"start_time": "1", "end_time": "9", "regions": [region]}]}
    (shot,) = record["snapshots"]
    places = [
        (record, "target_id"), (record, "snapshots"), (shot, "start_time"), (shot, "end_time"), (shot, "regions"),
        (region, "start"), (region, "end"), (region["nr_accesses"], "samples"), (region["age"], "aggr_intervals"),
    ]  # fmt: skip
    for place, value in changes:
        holder, key = places[place]
        holder[key] = value
    (tmp_path / "theirs").write_bytes(zlib.compress(json.dumps([record]).encode()))
    try:
        damo.import_(tmp_path / "theirs", tmp_path / "back")
    except VadamonError as error:
        assert "\n" not in str(error)
    else:
        assert all(s.nr_samples >= s.nr_accesses.max(initial=0) for s in vadamon.open(tmp_path / "back"))


def test_perf_script_is_in_the_order_of_time(tmp_path):
    snapshots = [snapshot(k // 2, [0, 4096], [1], [1], target_id=k % 2 + 1) for k in range(60)]
    perf_script.export(write(tmp_path / "ours", snapshots), tmp_path / "theirs")
    times = re.findall(r"\] (\S+):", (tmp_path / "theirs").read_text())
    assert len(times) == 60
    assert times == sorted(times)


@pytest.mark.parametrize("regions", ["8192-4096: 1", "4096-8192: 1", "0-8192: 1"])
def test_regions_that_are_none_are_refused_before_anything_is_written(tmp_path, regions):
    line = "kdamond.0 1 [000] 1.0: damon:damon_aggregated: target_id=1 nr_regions=2"
    (tmp_path / "theirs").write_text(f"{line} 4096-8192: 1\n{line} {regions}\n")
    with pytest.raises(VadamonError, match="regions are empty, overlap or are not sorted"):
        perf_script.import_(tmp_path / "theirs", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_recording_takes_less_than_a_quarter_of_damos(tmp_path):
    demo.simulate(str(tmp_path / "ours"), duration_s=8, move_every_s=2, report=lambda progress: None)
    damo.export(vadamon.open(tmp_path / "ours"), tmp_path / "theirs")
    assert (tmp_path / "ours").stat().st_size < (tmp_path / "theirs").stat().st_size / 4


def run_damo(*arguments):
    done = subprocess.run([DAMO, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_damo_reads_our_export_and_finds_the_same(tmp_path):
    borders = [0x7F0000000000, 0x7F0000000000 + 64 * MIB, 0x7F0000000000 + 96 * MIB, 0x7F0000000000 + 256 * MIB]
    snapshots = [snapshot(k, borders, [0, 20, 0], [k, k, k]) for k in range(40)]
    path = tmp_path / "x.damo"
    damo.export(write(tmp_path / "ours", snapshots), path)
    run_damo("validate", "--input", path)
    heatmap = run_damo("report", "heatmap", "--input", path)
    assert "(256.000 MiB)" in heatmap
    assert "(4 s)" in heatmap
    wss = run_damo("report", "wss", "--input", path)
    assert "avr:\t32.000 MiB" in wss
    access = run_damo("report", "access", "--input", path)
    assert "size 32.000 MiB" in access
    assert "access 200 hz" in access


@pytest.fixture(scope="module")
def random_recording(tmp_path_factory):
    """Return a recording of 8 regions of the same size in 10 snapshots, and damo's record of it."""
    folder = tmp_path_factory.mktemp("random")
    rng = np.random.default_rng(5)
    borders = [0x7F0000000000 + k * 64 * MIB for k in range(9)]
    # damo draws what ages tell of the time before the first snapshot: so they tell of none.
    snapshots = [snapshot(k, borders, rng.integers(0, 21, 8), rng.integers(0, k + 1, 8)) for k in range(10)]
    recording = write(folder / "ours", snapshots)
    damo.export(recording, folder / "theirs")
    return recording, folder / "theirs"


def test_damo_draws_the_same_heatmap(random_recording):
    recording, theirs = random_recording
    raw = run_damo("report", "heatmap", "--input", theirs, "--output", "raw", "--resol", "10", "8")
    rows = [tuple(map(float, line.split())) for line in raw.splitlines()]
    (ours,) = heatmaps(recording, nr_rows=8, nr_columns=10)
    assert [time_ns for time_ns, _, _ in rows] == np.repeat(np.arange(10) * 1e8, 8).tolist()
    assert [address for _, address, _ in rows] == np.tile(ours.row_start - ours.row_start[0], 10).tolist()
    hertz = [temperature for _, _, temperature in rows]
    np.testing.assert_allclose(hertz, ours.accesses.T.ravel() * 200, rtol=1e-6)


@pytest.mark.parametrize(("least", "threshold"), [(1, 0.0), (5, 0.25), (10, 0.5), (15, 0.75)])
def test_damo_finds_the_same_working_sets(random_recording, least, threshold):
    recording, theirs = random_recording
    options = ("--raw_number", "--exclude_samples", "0", "--acc_thres", str(least), "--range", "0", "101", "5")
    lines = run_damo("report", "wss", "--input", theirs, *options).splitlines()
    rows = [tuple(map(int, line.split()[:2])) for line in lines if line.strip() and not line.startswith("#")]
    (mean,) = (line.split()[-1] for line in lines if line.startswith("# avr:"))
    (ours,) = working_sets(recording, thresholds=[threshold])
    assert rows == [(percent, int(ours.percentiles([percent])[0, 0])) for percent in range(0, 101, 5)]
    assert int(mean) == pytest.approx(ours.mean[0], abs=1)


def test_damo_lists_the_same_regions(random_recording):
    recording, theirs = random_recording
    access = run_damo("report", "access", "--input", theirs, "--raw_number")
    regions = re.findall(r"addr (\d+) +size (\d+) +access ([\d.]+) age (\d+)", access)
    ours = [
        (start, end - start, nr_accesses * 10, age * 100_000)
        for s in recording
        for start, end, nr_accesses, age in zip(
            *(c.tolist() for c in (s.start, s.end, s.nr_accesses, s.age)), strict=True
        )
    ]
    assert [tuple(map(float, region)) for region in regions] == ours


@pytest.fixture
def with_mappings(tmp_path):
    mappings = Mappings([Mapping(0, 8 * MIB, name="[heap]"), Mapping(16 * MIB, 32 * MIB, name="/usr/lib/libx.so")])
    snapshots = [snapshot(k, [0, 4 * MIB, 15 * MIB, 40 * MIB, 41 * MIB], [1, 2, 3, 4], [5, 6, 7, 8]) for k in range(3)]
    return write(tmp_path / "ours", snapshots, mappings)


def test_parquet_has_one_row_a_region_and_the_name_of_its_mapping(tmp_path, with_mappings):
    tables.export_parquet(with_mappings, tmp_path / "x.parquet")
    rows = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert len(rows) == 12
    assert [row["mapping"] for row in rows[:4]] == ["[heap]", "[heap]", "/usr/lib/libx.so", None]
    assert [row["nr_accesses"] for row in rows[:4]] == [1, 2, 3, 4]
    assert rows[0]["pid"] == 101
    assert (rows[4]["start_time"] - rows[0]["start_time"]).total_seconds() == pytest.approx(0.1)


def test_parquet_has_the_mappings_of_the_time(tmp_path):
    with RecordingWriter(tmp_path / "ours", Header(Attrs(), (Target(1, 101),))) as writer:
        for k in range(30):
            if k in (0, 5, 20):
                writer.write_mappings(1, 10**12 + (k + 1) * 10**8, Mappings([Mapping(0, MIB, name=f"from {k}\udcff")]))
            writer.write_snapshot(snapshot(k, [0, MIB], [1], [1]))
    tables.export_parquet(vadamon.open(tmp_path / "ours"), tmp_path / "x.parquet")
    names = pq.read_table(tmp_path / "x.parquet", columns=["mapping"]).column(0).to_pylist()
    assert names == ["from 0\ufffd"] * 5 + ["from 5\ufffd"] * 15 + ["from 20\ufffd"] * 10


def test_csv_has_the_same(tmp_path, with_mappings):
    tables.export_csv(with_mappings, tmp_path / "x.csv")
    with (tmp_path / "x.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["start"] for row in rows[:4]] == ["0", str(4 * MIB), str(15 * MIB), str(40 * MIB)]
    assert [row["mapping"] for row in rows[:4]] == ["[heap]", "[heap]", "/usr/lib/libx.so", ""]


@pytest.mark.parametrize("name", ["damo", "perf-script", "parquet", "csv"])
def test_a_place_that_cannot_be_written_is_named(with_mappings, name):
    write_it = {"damo": damo.export, "perf-script": perf_script.export, "parquet": tables.export_parquet}
    with pytest.raises(VadamonError, match="cannot write /nonexistent/x"):
        write_it.get(name, tables.export_csv)(with_mappings, "/nonexistent/x")
