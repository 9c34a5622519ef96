"""The log's answers, on logs written by hand."""

import struct
from pathlib import Path

import pytest

from vadamon.errors import VadamonError
from vadamon.workload import Area, Log, PlacedArea, Random, Stream, Sweep
from vadamon.workload.log import header

A, B = 0x100000, 0x900000
STEADY = Sweep(offset=0, length=0x4000)
STRIDED = Sweep(offset=0x8000, length=0x4000, stride=0x2000)
MOVING = Sweep(length=0x2000, move_every_s=1)
STREAM = Stream(offset=0, length=0x4000)
RANDOM = Random(offset=0x8000, length=0x4000)
SIBLINGS = Sweep(offset=0xC000, length=0x1000)
AREAS = [
    PlacedArea(Area("a", size=0x10000, patterns=(STEADY, STRIDED, MOVING)), A),
    PlacedArea(Area("b", "shared", size=0x10000, patterns=(STREAM, RANDOM), sibling_patterns=(SIBLINGS,)), B),
]
(STEADY_NR, STRIDED_NR, MOVING_NR, STREAM_NR, RANDOM_NR, SIBLINGS_NR), POPULATE = range(6), -1


@pytest.fixture
def make_log(tmp_path):
    logs = []

    def make(*records, torn=b""):
        path = tmp_path / f"log{len(logs)}"
        lines = [struct.pack("<QQQQQq", *record) for record in records]
        path.write_bytes(header(42, 43, AREAS) + b"".join(lines) + torn)
        logs.append(Log.open(str(path)))
        return logs[-1]

    yield make
    for log in logs:
        log.close()


def test_header(make_log):
    log = make_log()
    assert (log.pid, log.sibling) == (42, 43)
    assert list(log.areas.values()) == AREAS
    assert (log.areas["b"].start, log.areas["b"].end) == (B, B + 0x10000)
    assert log.touched(0, 10**18, partly=True) == [] and log.intervals() == [] and log.operations() == 0


@pytest.mark.parametrize(
    ("begin", "end", "certain", "possible"),
    [
        (100, 110, True, True),
        (99, 200, True, True),
        (105, 200, False, True),
        (0, 105, False, True),
        (103, 105, False, True),
        (0, 99, False, False),
        (111, 200, False, False),
    ],
)
def test_touched_is_certain_of_sweeps_that_lie_within_the_times(make_log, begin, end, certain, possible):
    log = make_log((A, A + 0x4000, 100, 110, 4, STEADY_NR))
    assert log.touched(begin, end) == ([(A, A + 0x4000)] if certain else [])
    assert log.touched(begin, end, partly=True) == ([(A, A + 0x4000)] if possible else [])


def test_touched_is_sorted_and_joined(make_log):
    log = make_log(
        (B + 0x2000, B + 0x4000, 5, 6, 2, STREAM_NR),
        (A + 0x2000, A + 0x4000, 1, 2, 2, MOVING_NR),
        (A, A + 0x4000, 2, 3, 4, STEADY_NR),
        (A + 0x4000, A + 0x6000, 3, 4, 2, MOVING_NR),
        (A, A + 0x4000, 4, 5, 4, STEADY_NR),
    )
    assert log.touched(0, 10) == [(A, A + 0x6000), (B + 0x2000, B + 0x4000)]


def test_touched_knows_pages_between_strides(make_log):
    log = make_log((A + 0x8000, A + 0xC000, 1, 2, 2, STRIDED_NR))
    assert log.touched(0, 10) == [(A + 0x8000, A + 0x9000), (A + 0xA000, A + 0xB000)]


def test_random_accesses_are_never_certain(make_log):
    log = make_log((B + 0x8000, B + 0xC000, 1, 2, 9, RANDOM_NR))
    assert log.touched(0, 10) == []
    assert log.touched(0, 10, partly=True) == [(B + 0x8000, B + 0xC000)]


def test_what_the_sibling_touched_is_left_out(make_log):
    log = make_log((B + 0xC000, B + 0xD000, 1, 2, 1, SIBLINGS_NR))
    assert log.touched(0, 10, partly=True) == [] and log.intervals() == []
    assert len(log.records()) == 1


def test_intervals_end_where_a_sweep_moves(make_log):
    log = make_log(
        (A, A + 0x10000, 1, 2, 16, POPULATE),
        (B, B + 0x10000, 2, 3, 16, POPULATE),
        (A, A + 0x2000, 10, 11, 2, MOVING_NR),
        (B, B + 0x3000, 12, 13, 2, STREAM_NR),
        (A, A + 0x2000, 20, 21, 2, MOVING_NR),
        (B + 0x3000, B + 0x4000, 22, 23, 2, STREAM_NR),
        (A + 0x2000, A + 0x4000, 30, 31, 2, MOVING_NR),
        (A, A + 0x2000, 40, 41, 2, MOVING_NR),
    )
    found = [(i.area, i.pattern, i.start, i.end, i.first_ns, i.last_ns, i.count) for i in log.intervals()]
    assert found == [
        ("a", None, A, A + 0x10000, 1, 2, 1),
        ("b", None, B, B + 0x10000, 2, 3, 1),
        ("a", MOVING, A, A + 0x2000, 10, 21, 2),
        ("b", STREAM, B, B + 0x4000, 12, 23, 2),
        ("a", MOVING, A + 0x2000, A + 0x4000, 30, 31, 1),
        ("a", MOVING, A, A + 0x2000, 40, 41, 1),
    ]


def test_operations_is_that_of_busy_patterns_alone(make_log):
    log = make_log(
        (A, A + 0x4000, 1, 2, 1000, STEADY_NR),
        (B, B + 0x4000, 2, 4, 30, STREAM_NR),
        (B + 0x8000, B + 0xC000, 4, 6, 5, RANDOM_NR),
    )
    assert log.operations() == 35
    assert log.operations(4, 6) == 30
    assert log.operations(5) == 5


def test_a_record_that_is_not_whole_is_not_there_yet(make_log):
    assert len(make_log((A, A + 0x4000, 1, 2, 4, STEADY_NR), torn=b"\0" * 20).records()) == 1


def test_a_closed_log_can_be_read(make_log):
    log = make_log((A, A + 0x4000, 1, 2, 4, STEADY_NR))
    log.close()
    log.close()
    assert log.touched(0, 10) == [(A, A + 0x4000)]


@pytest.mark.parametrize("content", [b"", b'{"pid": 1', b"hello\n", b"[3]\n", b"{}\n"])
def test_what_is_no_log(tmp_path, content):
    path = tmp_path / "log"
    path.write_bytes(content)
    nr_open = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(VadamonError, match="not the log of a workload"):
        Log.open(str(path))
    assert len(list(Path("/proc/self/fd").iterdir())) == nr_open
