import os
from pathlib import Path

import numpy as np
import pytest

from vadamon import Mapping, Mappings

MAPS = b"""\
55d0c0000000-55d0c0021000 r-xp 00002000 08:01 1234                       /usr/bin/a program
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 rw-s 00000000 00:05 77                         /dev/zero (deleted)
7f0000001000-7f0000002000 ---p 00000000 00:00 0 
7f0000003000-7f0000004000 r--p 00000000 08:01 9                          /tmp/\xff
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
"""  # noqa: W291


def test_maps_are_read_without_vsyscall():
    mappings = Mappings.from_maps(MAPS)
    assert len(mappings) == 5
    assert mappings[0] == Mapping(0x55D0C0000000, 0x55D0C0021000, "r-xp", 0x2000, 1234, "/usr/bin/a program")
    assert mappings.name[1:4] == ["[heap]", "/dev/zero (deleted)", ""]
    assert mappings.permissions[2] == "rw-s"
    assert os.fsencode(mappings.name[4]) == b"/tmp/\xff"
    assert mappings.ranges()[3] == (0x7F0000001000, 0x7F0000002000)


def test_own_maps_are_read():
    mappings = Mappings.from_maps(Path("/proc/self/maps").read_bytes())
    here = np.array([0], dtype=np.uint64)
    address = np.uint64(here.__array_interface__["data"][0])
    assert np.any((mappings.start <= address) & (address < mappings.end))
    assert "[heap]" in mappings.name


def test_arrays_have_their_types():
    mappings = Mappings.from_maps(MAPS)
    assert {a.dtype for a in (mappings.start, mappings.end, mappings.offset, mappings.inode)} == {np.dtype(np.uint64)}
    assert len(Mappings()) == len(Mappings.from_maps(b"")) == 0


def test_equality_is_by_content():
    assert Mappings.from_maps(MAPS) == Mappings(list(Mappings.from_maps(MAPS)))
    assert Mappings([Mapping(0, 1)]) != Mappings([Mapping(0, 2)])
    assert Mappings() != []


@pytest.mark.parametrize("ranges", [[(5, 5)], [(0, 2), (1, 3)], [(4, 5), (0, 1)]])
def test_wrong_mappings_are_refused(ranges):
    with pytest.raises(ValueError, match=r"empty|overlap"):
        Mappings(Mapping(start, end) for start, end in ranges)
