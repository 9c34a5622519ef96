"""Programs from traces of their memory accesses."""

import re
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vadamon._native.traces import TraceParser
from vadamon.address_space.simulated.page_table import ADDRESS_LIMIT
from vadamon.errors import VadamonError
from vadamon.mappings import Mappings
from vadamon.ranges import union, without
from vadamon.simulation.memory import PAGE_SIZE, Memory

INSTRUCTION_NS = 1
"""How long an instruction takes in a trace of lackey, if nobody says otherwise."""
_BLOCK = 1 << 20
_LARGEST_GAP = 1 << 20
"""Pages of which the trace shows nothing are taken to be mapped where they lie between others no further apart."""
_LACKEY = re.compile(rb"^(?:I  | [LSM] )[0-9a-f]+,\d+$|^==\d+== Lackey", re.MULTILINE)
_PERF_SCRIPT = re.compile(rb"(?:^|\s)\d+\.\d+:\s", re.MULTILINE)
_PERF_MMAP = re.compile(
    rb"PERF_RECORD_MMAP2? -?\d+/\d+: \[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ [^\]]*\]: (\S+) (.*)$", re.MULTILINE
)


def detect_format(beginning: bytes) -> str | None:
    """Return ``lackey`` or ``perf-script``, or None where the beginning of a file looks like neither."""
    if _LACKEY.search(beginning):
        return "lackey"
    return "perf-script" if _PERF_SCRIPT.search(beginning) else None


class Trace:
    """A program that does what a trace says, read block by block in constant memory: a `Source`.

    Time is in a trace of lackey the number of instructions, ``instruction_ns`` each, and in one of ``perf script`` its
    timestamps; it begins at 0 with the first access.

    Memory is mapped as ``mappings`` say, and as the trace itself says where it does (``perf script
    --show-mmap-events``). What both lack is mapped when it is accessed, in whole pages and with the gaps up to 1 MiB
    between them. What the first block of the trace accesses is mapped from the beginning, so that the monitor finds
    something.

    Raises VadamonError, after `begin`, where the file cannot be read or holds no access.
    """

    def __init__(
        self,
        name: str,
        file: IO[bytes],
        form: str,
        *,
        beginning: bytes = b"",
        mappings: Mappings | None = None,
        instruction_ns: int = INSTRUCTION_NS,
    ) -> None:
        self.name = name
        self._file = file
        self._form = form
        self._beginning = beginning
        self._mappings = mappings or Mappings()
        self._parser = TraceParser(form, instruction_ns)
        self._start = self._mappings.start
        self._end = self._mappings.end

    def begin(self, memory: Memory, rng: np.random.Generator) -> None:
        """See `Source`."""
        for mapping in self._mappings:
            # A trace tells what was accessed: so all of it can be.
            memory.map(mapping.start, mapping.end, mapping.name, f"rw{mapping.permissions[2]}p")
        first = self._read_lines()
        self._map_as_told(first, memory)
        look_ahead = TraceParser(self._form, 0)
        look_ahead.feed(first)
        look_ahead.advance(1 << 62)
        self._map(look_ahead.take(), memory)
        self._parser.feed(first)

    def run(self, until_ns: int, memory: Memory) -> bool:
        """See `Source`."""
        while not self._parser.advance(until_ns):
            lines = self._read_lines()
            if not lines:
                if not self._parser.nr_accesses:
                    raise VadamonError(f"{self.name} holds no access: give what {_HOW[self._form]} prints")
                return False
            self._parser.feed(lines)
        pages = self._parser.take()
        self._map(pages, memory)
        memory.touch_addresses(pages)
        return True

    def _read_lines(self) -> bytes:
        """Return the next lines, whole ones; nothing where the file is over."""
        try:
            block = self._beginning or self._file.read(_BLOCK)
            self._beginning = b""
            # A line that is longer than any of a trace is cut, so that memory is bounded.
            return block + self._file.readline(_BLOCK)
        except OSError as error:
            raise VadamonError(f"cannot read {self.name}: {error.strerror}") from error

    def _map_as_told(self, lines: bytes, memory: Memory) -> None:
        """Map what perf's records of ``mmap`` among the lines say, as far as nothing is mapped there."""
        if b"PERF_RECORD_MMAP" not in lines:  # quicker than the expression
            return
        for match in _PERF_MMAP.finditer(lines):
            start, size = int(match[1], 16), int(match[2], 16)
            end = start + -(-size // PAGE_SIZE) * PAGE_SIZE
            if start % PAGE_SIZE or not start < end <= ADDRESS_LIMIT:
                continue  # the kernel's
            new = np.array([start], dtype=np.uint64), np.array([end], dtype=np.uint64)
            executable = "x" if b"x" in match[3] else "-"
            for low, high in zip(*without(new, (self._start, self._end)), strict=True):
                memory.map(int(low), int(high), match[4].decode(errors="replace"), f"rw{executable}p")
            self._start, self._end = union(np.append(self._start, new[0]), np.append(self._end, new[1]))

    def _map(self, pages: NDArray[np.uint64], memory: Memory) -> None:
        """Map the pages that are not, and the small gaps they leave to what is mapped."""
        index = np.searchsorted(self._end, pages, side="right")
        is_new = index == len(self._end)
        is_new[~is_new] = pages[~is_new] < self._start[index[~is_new]]
        if not is_new.any():
            return
        new = np.unique(pages[is_new])
        start = np.concatenate((self._start, new))
        end = np.concatenate((self._end, new + np.uint64(PAGE_SIZE)))
        order = np.argsort(start)
        start, end = start[order], end[order]
        is_added = order >= len(self._start)
        # What is given stays as it is: only beside what is added gaps are filled.
        fills = (start[1:] - end[:-1] <= _LARGEST_GAP) & (is_added[1:] | is_added[:-1])
        for i in np.flatnonzero(is_added).tolist():
            low = end[i - 1] if i and fills[i - 1] else start[i]
            high = start[i + 1] if i < len(fills) and fills[i] and not is_added[i + 1] else end[i]
            memory.map(int(low), int(high))
        begins = np.append(True, ~fills)
        self._start, self._end = start[begins], end[np.append(begins[1:], True)]


_HOW = {
    "lackey": "`valgrind --tool=lackey --trace-mem=yes`",
    "perf-script": "`perf script -F time,event,addr`",
}


def read_maps(path: Path) -> Mappings:
    """Return the mappings in a copy of /proc/PID/maps; VadamonError where it is none."""
    try:
        mappings = Mappings.from_maps(path.read_bytes())
    except OSError as error:
        raise VadamonError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise VadamonError(f"{path} is no copy of /proc/PID/maps: {error}") from error
    if not len(mappings):
        raise VadamonError(f"{path} is no copy of /proc/PID/maps: expected are lines such as 5600-5700 rw-p ...")
    return mappings
