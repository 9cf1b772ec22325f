"""Where in a TOML document each key stands, which the standard library's parser does not tell.

The document is one that `tomllib` has taken, so nothing is checked here a second time: what is read is only where a key
or a value ends.  A *path* is the way to a value, keys and the numbers of array elements: `[[a]]` and then `b = [5]`
make ("a", 0), ("a", 0, "b") and ("a", 0, "b", 0).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator

__all__ = ["Path", "places"]

Path = tuple[str | int, ...]

# ws-comment-newline = *( wschar / [ comment ] newline )                                          (TOML 1.0, ABNF)
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
# simple-key = quoted-key / unquoted-key
_KEY = re.compile(r'"(?:[^"\\]|\\.)*"' r"|'[^']*'|[A-Za-z0-9_-]+")
# Strings over several lines first: each begins like an empty one.  Up to two quotes may stand before those at the end.
_VALUE = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'"
    r"|[^,\]}#\n]*"
)


def places(text: str) -> dict[Path, tuple[int, int]]:
    """The line and the column, from 1, of each key and each array element of a document with "\\n" for line ends.

    What is named several times, a table in several headers, has its first place.
    """
    reader = _Reader(text)
    reader.read()
    # Only this ends a line: a string may have others in it.
    starts = [0, *(found.end() for found in re.finditer("\n", text))]
    return {path: _line_and_column(starts, at) for path, at in reader.found.items()}


def _line_and_column(starts: list[int], at: int) -> tuple[int, int]:
    line = bisect_right(starts, at)
    return line, at - starts[line - 1] + 1


class _Reader:
    """Goes through a document once; `found` has the place of each path, in characters from the beginning."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        # How many elements each array of tables has.
        self.elements: dict[Path, int] = {}

    def read(self) -> None:
        table: Path = ()
        while self._skip(_BLANK):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip(self, blank: re.Pattern[str]) -> str:
        """Go past what is blank; the character after it, "" at the end."""
        self.at = self._end(blank)
        return self.text[self.at : self.at + 1]

    def _end(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        return found.end() if found else self.at

    def _header(self) -> Path:
        """[a.b] or [[a.b]]: the path of the table that follows."""
        several = self.text.startswith("[[", self.at)
        self.at += 2 if several else 1
        path: Path = ()
        for key, at in self._keys():
            path = self._newest(path)
            path = (*path, key)
            self.found.setdefault(path, at)
        self.at += 2 if several else 1
        if several:
            number = self.elements[path] = self.elements.get(path, -1) + 1
            self.found[(*path, number)] = at
        return self._newest(path)

    def _newest(self, path: Path) -> Path:
        """Of an array of tables, the table that a header means: the last one."""
        return (*path, self.elements[path]) if path in self.elements else path

    def _pair(self, table: Path) -> None:
        path = table
        for key, at in self._keys():
            path = (*path, key)
            self.found.setdefault(path, at)
        # "="
        self.at += 1
        self._value(path)

    def _keys(self) -> Iterator[tuple[str, int]]:
        """Each key of a dotted one, and where it stands; then what follows it is next."""
        while True:
            self._skip(_SPACE)
            at, self.at = self.at, self._end(_KEY)
            yield _plain(self.text[at : self.at]), at
            if self._skip(_SPACE) != ".":
                return
            self.at += 1

    def _value(self, path: Path) -> None:
        opening = self._skip(_SPACE)
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self.at = self._end(_VALUE)

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while self._skip(_BLANK) != "]":
            self.found[(*path, number)] = self.at
            self._value((*path, number))
            number += 1
            if self._skip(_BLANK) == ",":
                self.at += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        # Blank lines, and a comma at the end, are of TOML 1.1.
        while self._skip(_BLANK) != "}":
            self._pair(path)
            if self._skip(_BLANK) == ",":
                self.at += 1
        self.at += 1


def _plain(written: str) -> str:
    """A key without its quotes."""
    if written[:1] not in ('"', "'"):
        return written
    (key,) = tomllib.loads(f"{written}=0")
    return key
