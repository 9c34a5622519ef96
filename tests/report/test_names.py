import numpy as np
import pytest

from vadamon.mappings import Mapping, Mappings
from vadamon.report.names import label, names_of_ranges, summed_up


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("[heap]", "[heap]"),
        ("", "anonymous"),
        ("/usr/lib/libpython3.11.so.1.0", "libpython3.11.so.1.0"),
        ("/memfd:cache (deleted)", "memfd:cache"),
        ("/dev/zero (deleted)", "shared anonymous"),
        ("[anon: my/arena]", "[anon: my/arena]"),
        ("/tmp/a\x1b[31mb\udcff", "a?[31mb?"),
    ],
)
def test_label(name: str, expected: str) -> None:
    assert label(Mapping(0, 1, name=name)) == expected


def test_several_labels() -> None:
    assert summed_up(["a", "b", "a"], [10, 15, 10]) == "a +1"
    assert summed_up(["anonymous", "anonymous"], [4096, 4096]) == "anonymous 8 KiB"


def test_names_of_ranges() -> None:
    mappings = Mappings([Mapping(10, 20, name="/x/a"), Mapping(20, 50, name="[heap]"), Mapping(60, 70, name="/x/a")])
    ranges = [(0, 10), (12, 15), (15, 30), (50, 60), (55, 65), (10, 70)]
    start, end = (np.array(column, np.uint64) for column in zip(*ranges, strict=True))
    assert names_of_ranges(mappings, start, end) == ["", "a", "[heap] +1", "", "a", "[heap] +1"]
    assert names_of_ranges(Mappings(), start, end) == [""] * 6
