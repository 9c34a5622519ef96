import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon.simulation.toml_lines import Path, key_lines

DOCUMENT = '''\
a = 1 # [[x]] = 2
"b c".d = """
[[not.this]]
e = 1
"""

[[t]]
n = 1.5
s = [
    { x = "#", y = [1, 2] },

    { x = '[' },
]
[[t.u]]
v = 1979-05-27 07:32:00
[t.u.w]
z = true
[[t.u]]
v = """ "" \\""" """
[[t]]
n = 2
'''


def test_lines() -> None:
    assert key_lines(DOCUMENT) == {
        ("a",): 1,
        ("b c", "d"): 2,
        ("t",): 7,
        ("t", 0): 7,
        ("t", 0, "n"): 8,
        ("t", 0, "s"): 9,
        ("t", 0, "s", 0): 10,
        ("t", 0, "s", 0, "x"): 10,
        ("t", 0, "s", 0, "y"): 10,
        ("t", 0, "s", 0, "y", 0): 10,
        ("t", 0, "s", 0, "y", 1): 10,
        ("t", 0, "s", 1): 12,
        ("t", 0, "s", 1, "x"): 12,
        ("t", 0, "u"): 14,
        ("t", 0, "u", 0): 14,
        ("t", 0, "u", 0, "v"): 15,
        ("t", 0, "u", 0, "w"): 16,
        ("t", 0, "u", 0, "w", "z"): 17,
        ("t", 0, "u", 1): 18,
        ("t", 0, "u", 1, "v"): 19,
        ("t", 1): 20,
        ("t", 1, "n"): 21,
    }


KEYS = st.text("abc", min_size=1, max_size=2)
SCALARS = st.one_of(
    st.integers(0, 9).map(str),
    st.sampled_from(
        ["1.5", "true", '"x # [["', "'}'", '"""\n[[q]]\n"""', "1979-05-27T07:32:00Z", '"\\""', "'''\n]'''"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda values: st.one_of(
        st.lists(values, max_size=3).map(lambda v: "[\n" + ",\n".join(v) + "]"),
        st.dictionaries(KEYS, values.filter(lambda v: "\n" not in v), max_size=3).map(
            lambda d: "{" + ", ".join(f"{k} = {v}" for k, v in d.items()) + "}"
        ),
    ),
    max_leaves=6,
)
TABLES = st.tuples(
    st.sampled_from(["[x]", "[[y]]", "[[y]]", "[[y.z]]", "[y.w]"]), st.dictionaries(KEYS, VALUES, max_size=3)
)


@given(st.dictionaries(KEYS, VALUES, max_size=3), st.lists(TABLES, max_size=5))
def test_every_value_has_the_line_that_its_key_is_on(
    top: dict[str, str], tables: list[tuple[str, dict[str, str]]]
) -> None:
    parts = [f"{k} = {v}\n" for k, v in top.items()]
    for header, values in tables:
        parts += [f"\n{header} # here\n", *(f"{k} = {v}\n" for k, v in values.items())]
    text = "".join(parts)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # a key twice, or tables that exclude each other
    lines = key_lines(text)
    for path in paths(document):
        key = next((part for part in reversed(path) if isinstance(part, str)), None)
        if path not in lines:
            assert path in {("y",)}, "only what is implied by a header of a table below it has no line"
        elif path and isinstance(path[-1], str):
            assert str(key) in text.splitlines()[lines[path] - 1]


def paths(value: Any, path: Path = ()) -> list[Path]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for k, v in below for p in [(*path, k), *paths(v, (*path, k))]]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing", "[a.b]"])
def test_little(text: str) -> None:
    assert key_lines(text) == ({("a", "b"): 1} if "[" in text else {})
