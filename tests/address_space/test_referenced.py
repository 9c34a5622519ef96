"""Bytes of each mapping that were used: of a literal text, and of processes of our own."""

import os
from pathlib import Path

import pytest

from vadamon import VadamonError
from vadamon.address_space.referenced import ReferencedBytes, ReferencedProcess
from vadamon.workload import Area, Workload

MIB = 1 << 20
SMAPS = b"""\
00400000-00500000 rw-p 00000000 00:00 0                                  [heap]
Size:               1024 kB
Rss:                 512 kB
Referenced:           24 kB
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000400000 rw-s 00000000 00:0f 77                         /anon_hugepage (deleted)
Size:               4096 kB
Referenced:            0 kB
VmFlags: rd wr sh mr mw me ms de ht sd
7f0000400000-7f0000402000 r--p 00001000 08:01 12                         /tmp/Referenced: 8 kB
Size:                  8 kB
Referenced:            8 kB
VmFlags: rd mr mw me
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Size:                  4 kB
Referenced:            0 kB
VmFlags: ex
"""


def used(process, start, end):
    """Return the bytes that were used of the mappings in ``[start, end)``."""
    referenced = process.read()
    inside = (referenced.mappings.start < end) & (referenced.mappings.end > start)
    return int(referenced.size[inside].sum())


def test_smaps_are_parsed():
    referenced = ReferencedBytes.from_smaps(SMAPS)
    assert referenced.mappings.name == ["[heap]", "/anon_hugepage (deleted)", "/tmp/Referenced: 8 kB"]
    assert referenced.size.tolist() == [24 << 10, 0, 8 << 10]
    assert referenced.unknown.tolist() == [False, True, False]


def test_of_nothing_there_is_nothing():
    referenced = ReferencedBytes.from_smaps(b"")
    assert (len(referenced.mappings), len(referenced.size), len(referenced.unknown)) == (0, 0, 0)


def test_real_smaps_have_a_size_for_each_mapping():
    referenced = ReferencedBytes.from_smaps(Path("/proc/self/smaps").read_bytes())
    assert len(referenced.mappings) == len(referenced.size) == len(referenced.unknown) > 10


@pytest.mark.parametrize("kind", ["private", "shared", "huge"])
def test_after_clearing_nothing_of_idle_memory_is_used(kind):
    # A mapping of its own: its size is no other area's.
    with Workload([Area("idle", kind=kind, size=16 * MIB)]) as workload:
        area = workload.areas["idle"]
        process = ReferencedProcess(workload.pid)
        assert used(process, area.start, area.end) >= 16 * MIB
        process.clear()
        assert used(process, area.start, area.end) < MIB
        process.close()


def test_the_end_of_a_process_is_seen():
    with Workload([Area("idle", size=MIB)]) as workload:
        process = ReferencedProcess(workload.pid)
    assert not process.is_alive()
    process.clear()
    assert process.read() is None
    process.close()


def test_what_cannot_be_watched_is_named(zombie):
    with pytest.raises(VadamonError, match="is a zombie"):
        ReferencedProcess(zombie)
    with pytest.raises(VadamonError, match="no process 999999999"):
        ReferencedProcess(999999999)


def test_closing_leaves_no_descriptor():
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    ReferencedProcess(os.getpid()).close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
