"""Differences between two recordings, worked out by hand."""

import shutil

from vadamon import Mapping, Recording
from vadamon.report.diff import diffs

KIB = 1024
HEAP = Mapping(0x10000, 0x10000 + 64 * KIB, name="[heap]")
LIB = Mapping(0x900000, 0x900000 + 32 * KIB, name="/lib/x.so")


def keep(recording, tmp_path, name):
    return Recording(shutil.copy(recording.path, tmp_path / name))


def regions(*accesses):
    at = HEAP.start
    return [(at + i * 16 * KIB, at + (i + 1) * 16 * KIB, n) for i, n in enumerate(accesses)]


def test_what_got_hotter_and_colder_is_found(recorded, tmp_path):
    before = keep(recorded(regions(20, 0, 0, 0), mappings=[HEAP]), tmp_path, "before")
    after = keep(recorded(regions(0, 0, 20, 20), mappings=[HEAP]), tmp_path, "after")
    (found,) = diffs(before, after)
    (heap,) = found.mappings
    assert (heap.name, heap.before_heat, heap.after_heat) == ("[heap]", 16 * KIB, 32 * KIB)
    changes = {(change.offset, change.size): (change.before, change.after) for change in found.ranges}
    assert changes == {(32 * KIB, 32 * KIB): (0, 1), (0, 16 * KIB): (1, 0)}


def test_a_mapping_that_is_in_one_of_them_only_has_no_size_in_the_other(recorded, tmp_path):
    lib = [(LIB.start, LIB.end, 20)]
    before = keep(recorded(regions(20, 0, 0, 0), mappings=[HEAP]), tmp_path, "before")
    after = keep(recorded(regions(20, 0, 0, 0) + lib, mappings=[HEAP, LIB]), tmp_path, "after")
    (found,) = diffs(before, after)
    sizes = {change.name: (change.before_size, change.after_size) for change in found.mappings}
    assert sizes["x.so"] == (0, 32 * KIB)


def test_the_same_twice_shows_no_change(recorded, tmp_path):
    before = keep(recorded(regions(20, 3, 0, 0), mappings=[HEAP]), tmp_path, "before")
    (found,) = diffs(before, before)
    assert found.ranges == []
