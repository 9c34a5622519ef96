"""Traces as they are parsed, and as programs that run."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon import Mapping, Mappings, VadamonError
from vadamon._native.traces import TraceParser
from vadamon.simulation.memory import Memory
from vadamon.simulation.traces import Trace, detect_format, read_maps

LACKEY = b"""\
==12== Lackey, an example Valgrind tool
==12==
I  04001000,3
 L 1fff000ff8,8
 S 1fff000ffc,8
I  04001003,2
what the program printed
 M 00009000,4
I  04002000,1
"""
PERF_SCRIPT = b"""\
# a comment
  sort 12 [001]  100.000001000: 1 cpu/mem-loads,ldlat=30/P:  7f0000001234 5080021 |OP LOAD
 100.000002: cpu/mem-stores/P: 7f0000002000
 100.000002:   7f0000003fff
 100.000002: mem:  ffffffff81000000
 100.000002: mem:  0
100.000003000:  1 mem-loads:u: abc
"""


def pages(parser: TraceParser) -> list[int]:
    return sorted(parser.take().tolist())


def parsed(form: str, text: bytes, instruction_ns: int = 1) -> TraceParser:
    parser = TraceParser(form, instruction_ns)
    parser.feed(text)
    return parser


class TestParser:
    def test_lackey(self) -> None:
        parser = parsed("lackey", LACKEY, 10)
        assert parser.advance(10)  # before the second instruction
        assert pages(parser) == [0x4001000, 0x1FFF000000, 0x1FFF001000]
        assert parser.advance(20)
        assert pages(parser) == [0x9000, 0x4001000]
        assert not parser.advance(1000)
        assert pages(parser) == [0x4002000]
        assert pages(parser) == []
        assert (parser.nr_instructions, parser.nr_accesses) == (3, 6)

    def test_perf_script(self) -> None:
        parser = parsed("perf-script", PERF_SCRIPT)
        assert parser.advance(1000)
        assert pages(parser) == [0x7F0000001000]
        assert parser.advance(2000)
        assert pages(parser) == [0x7F0000002000, 0x7F0000003000]
        assert not parser.advance(3000)
        assert pages(parser) == [0]
        assert parser.nr_accesses == 4

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"I",
            b" L 10",
            b" L 10,",
            b" L ,8",
            b" L 10,0",
            b" L 10,8x",
            b" X 10,8",
            b"II 10,8",
            b"L  10,8",
            b" L 11112222333344445,8",
            b" L ffffffffffffffff,2",
            b" L 7fffffffffff,2",
            b" L ffffffffff600000,8",
            b" L 10,99999999999999999999",
        ],
    )
    def test_lines_that_are_not_lackeys_are_passed_over(self, line: bytes) -> None:
        parser = parsed("lackey", line + b"\n L 1000,1\n")
        parser.advance(1)
        assert pages(parser) == [0x1000]

    @pytest.mark.parametrize(
        "line",
        [b"", b"1.5:", b"1.5: x:", b"1.5: 3 x:", b"1.5: zz", b"x: 10", b"1.5 10", b"1.0000000001: 10", b".5: 10"],
    )
    def test_lines_that_are_not_perfs_are_passed_over(self, line: bytes) -> None:
        parser = parsed("perf-script", line + b"\n7.0: 1000\n")
        parser.advance(1)
        assert pages(parser) == [0x1000]

    @given(st.lists(st.integers(0, 2**35 - 1), max_size=5000), st.data())
    def test_pages_are_each_told_once_however_many(self, accessed: list[int], data: st.DataObject) -> None:
        parser = TraceParser("lackey", 1)
        cut = data.draw(st.integers(0, len(accessed)))
        for part in (accessed[:cut], accessed[cut:]):
            parser.feed(b"".join(b" L %x,1\n" % (page << 12) for page in part))
            parser.advance(1)
            assert pages(parser) == sorted({page << 12 for page in part})

    @given(st.binary(max_size=400), st.sampled_from(["lackey", "perf-script"]))
    def test_no_text_breaks_it(self, text: bytes, form: str) -> None:
        parser = parsed(form, text)
        parser.advance(1 << 62)
        assert len(parser.take()) <= len(text) * 257


class Log(Memory):
    """What a program maps and touches."""

    def __init__(self) -> None:
        self.mapped: list[tuple[int, int, str]] = []
        self.touched: list[int] = []

    def map(self, start: int, end: int, name: str = "", permissions: str = "rw-p") -> None:
        assert not any(start < e and s < end for s, e, _ in self.mapped)
        self.mapped.append((start, end, name))

    def touch_addresses(self, addresses: np.ndarray, write: bool = False) -> None:
        for address in addresses.tolist():
            assert any(s <= address < e for s, e, _ in self.mapped)
        self.touched.extend(sorted(addresses.tolist()))


def trace(text: bytes, form: str = "lackey", mappings: Mappings | None = None, beginning: int = 0) -> Trace:
    return Trace("t", io.BytesIO(text[beginning:]), form, beginning=text[:beginning], mappings=mappings)


def begun(program: Trace) -> Log:
    memory = Log()
    program.begin(memory, np.random.default_rng(1))
    return memory


class TestProgram:
    @pytest.mark.parametrize("beginning", [0, 5, len(LACKEY)])
    def test_runs_in_time(self, beginning: int) -> None:
        program = trace(LACKEY, beginning=beginning)
        memory = begun(program)
        assert program.run(1, memory)
        assert memory.touched == [0x4001000, 0x1FFF000000, 0x1FFF001000]
        memory.touched.clear()
        assert program.run(2, memory)
        assert memory.touched == [0x9000, 0x4001000]
        assert not program.run(1000, memory)

    def test_maps_what_is_accessed_and_small_gaps(self) -> None:
        text = b" L 100000,1\n L 102000,1\n L 400000,1\n"
        memory = begun(trace(text))
        covered = {page for start, end, _ in memory.mapped for page in range(start, end, 4096)}
        assert covered == {0x100000, 0x101000, 0x102000, 0x400000}

    def test_maps_what_comes_later_when_it_comes(self) -> None:
        filler = b"x" * 70 + b"\n"
        text = b"I  00100000,1\n" + filler * 40_000 + b"I  00900000,1\nI  00900000,1\n"
        program = trace(text)
        memory = begun(program)
        assert [start for start, _, _ in memory.mapped] == [0x100000]
        assert program.run(2, memory)
        assert sorted(start for start, _, _ in memory.mapped) == [0x100000, 0x900000]

    def test_maps_what_perf_says(self) -> None:
        text = b"""\
sort 0 0.0: PERF_RECORD_MMAP -1/0: [0xffffffff81000000(0x1000000) @ 0xffffffff81000000]: x [kernel.kallsyms]_text
sort 12 1.0: PERF_RECORD_MMAP2 12/12: [0x500000(0x3000) @ 0x1000 08:01 77 0]: r-xp /usr/bin/sort
sort 12 1.0: PERF_RECORD_MMAP2 12/12: [0x502000(0x1800) @ 0 00:00 0 0]: rw-p //anon
sort 12 1.0: 1 mem-loads: 501000
sort 12 1.1: 1 mem-loads: 7f0000000000
"""
        memory = begun(trace(text, "perf-script"))
        assert memory.mapped == [
            (0x500000, 0x503000, "/usr/bin/sort"),
            (0x503000, 0x504000, "//anon"),
            (0x7F0000000000, 0x7F0000001000, ""),
        ]

    def test_given_mappings_stay_as_they_are(self) -> None:
        given_ones = Mappings(
            [Mapping(0x100000, 0x110000, "r--p", name="lib"), Mapping(0x200000, 0x210000, name="[heap]")]
        )
        memory = begun(trace(b" L 108000,1\n L 130000,1\n", mappings=given_ones))
        assert memory.mapped[:2] == [(0x100000, 0x110000, "lib"), (0x200000, 0x210000, "[heap]")]
        assert sum(end - start for start, end, _ in memory.mapped[2:]) > 0x1000

    def test_long_lines_without_an_end_do_not_fill_memory(self) -> None:
        program = trace(b"x" * (5 << 20) + b"\nI  00100000,1\nI  00100000,1\n")
        memory = begun(program)
        assert program.run(1, memory)
        assert memory.touched == [0x100000]

    def test_no_access_at_all(self) -> None:
        program = trace(b"nothing\n")
        memory = begun(program)
        with pytest.raises(
            VadamonError, match="t holds no access: give what `valgrind --tool=lackey --trace-mem=yes` prints"
        ):
            program.run(1, memory)


def test_format_is_told_by_the_beginning() -> None:
    assert detect_format(LACKEY) == "lackey"
    assert detect_format(b"I  04001000,3\n") == "lackey"
    assert detect_format(PERF_SCRIPT) == "perf-script"
    assert detect_format(b"[[regions]]\n") is None


def test_maps(tmp_path: Path) -> None:
    path = tmp_path / "maps"
    path.write_text(
        "1000-3000 rw-p 00000000 00:00 0   [heap]\nffffffffff600000-ffffffffff601000 --xp 0 00:00 0 [vsyscall]\n"
    )
    assert [(m.start, m.end, m.name) for m in read_maps(path)] == [(0x1000, 0x3000, "[heap]")]
    path.write_text("hello\n")
    with pytest.raises(VadamonError, match="no copy of /proc/PID/maps: expected are lines such as"):
        read_maps(path)
    with pytest.raises(VadamonError, match=r"cannot read .*none: No such file"):
        read_maps(tmp_path / "none")
