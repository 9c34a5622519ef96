"""Which line each key of a TOML document is on: what tomllib does not tell."""

import re
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys and indices from the top of the document."""

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<string>\"\"\"(?:\\.|[^\\])*?\"{3,5} | '''.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*')
    | (?P<newline>\n)
    | (?P<mark>[\[\]{}=,.])
    | (?P<bare>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE | re.DOTALL,
)


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of each table, key and element of an array of a TOML document that tomllib accepts."""
    return _Walker(text).lines


class _Walker:
    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._tokens = _tokens(text)
        self._token, self._line = "", 1
        self._next()
        lengths: dict[Path, int] = {}  # of arrays of tables
        table: Path = ()
        while self._token:
            if self._token == "\n":
                self._next()
            elif self._token == "[":
                table = self._header(lengths)
            else:
                self._key_and_value(table)

    def _next(self) -> str:
        """Go on to the next token, and return the one before it; the last one is empty."""
        before = self._token
        self._token, self._line = next(self._tokens, ("", self._line))
        return before

    def _header(self, lengths: dict[Path, int]) -> Path:
        line = self._line
        self._next()
        is_array = self._token == "["
        if is_array:
            self._next()
        *parents, last = self._key("]")
        table: Path = ()
        for key in parents:
            table = (*table, key)
            if table in lengths:
                table = (*table, lengths[table] - 1)
        table = (*table, last)
        while self._token == "]":
            self._next()
        if is_array:
            index = lengths.get(table, 0)
            lengths[table] = index + 1
            self.lines.setdefault(table, line)
            table = (*table, index)
        self.lines.setdefault(table, line)
        return table

    def _key(self, end: str) -> list[str]:
        keys = []
        while self._token != end:
            token = self._next()
            if token != ".":
                keys.append(token.strip("\"'"))
        return keys

    def _key_and_value(self, table: Path) -> None:
        line = self._line
        path = (*table, *self._key("="))
        self._next()
        self.lines[path] = line
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._token == "[":
            self._array(path)
        elif self._token == "{":
            self._inline_table(path)
        else:  # a number with a point is several tokens
            while self._token not in ("\n", ",", "]", "}", ""):
                self._next()

    def _array(self, path: Path) -> None:
        self._next()
        index = 0
        while self._token != "]":
            if self._token in (",", "\n"):
                self._next()
                continue
            self.lines[(*path, index)] = self._line
            self._value((*path, index))
            index += 1
        self._next()

    def _inline_table(self, path: Path) -> None:
        self._next()
        while self._token != "}":
            if self._token in (",", "\n"):
                self._next()
            else:
                self._key_and_value(path)
        self._next()


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "comment":
            yield match[0], line
        line += match[0].count("\n")
