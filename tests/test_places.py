"""httpd.config.places: where each key of a document stands, however oddly it is written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.config.places import Path, places

# ---- documents whose places are known, because they were made of them

NAMES = st.one_of(
    st.sampled_from(["a", "port", "0", "-", "a.b", "", "ü", "#", "[x]", "=", "'", '"', "\\", "a b", "\t", "\x85"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
SPACE = st.text(" \t", max_size=2)
BLANK = st.lists(st.sampled_from(["\n", " ", "\t", "# a = 1 [b] \"\"\"\n", "\r\n", "#\n"]), max_size=3).map("".join)
LINE_END = st.sampled_from(["\n", "\r\n", " # [c]\n", "\n\n", "#'''\n"])
SCALARS = st.sampled_from([
    "1", "-0.5e3", "true", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00", "07:32:00", "inf", "0xff", "1_000",
    '""', "''", '"# not one"', "'# = ['", r'"a\"b]\\"', '"}"', "'{'", '""""""', "''''''", '"""a"b""c"""',
    '"""x""""', '"""x"""""', "'''x'''''", '"""\\""""', '"""\n[t]\na = 1 # x\n"""', "'''\n\"\"\" k = [\n'''",
    '"""\\\n  x"""', '"""\\\\"""', '"\u2028"', "'\x85'",
])  # fmt: skip


@st.composite
def key(draw: st.DrawFn, name: str) -> str:
    """A key as it may be written."""
    ways = [_basic(name)]
    if name and all(char.isascii() and (char.isalnum() or char in "-_") for char in name):
        ways.append(name)
    if "'" not in name and all((char >= " " and char != "\x7f") or char == "\t" for char in name):
        ways.append(f"'{name}'")
    return draw(st.sampled_from(ways))


def _basic(name: str) -> str:
    return '"' + "".join(_escaped(char) for char in name) + '"'


def _escaped(char: str) -> str:
    return f"\\{char}" if char in '"\\' else char if char >= " " and char != "\x7f" else f"\\u{ord(char):04x}"


class Writer:
    """Writes a document piece by piece, and notes where each key is put."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.found: dict[Path, tuple[int, int]] = {}

    def put(self, *pieces: str) -> None:
        self.text += "".join(pieces).replace("\r\n", "\n")

    def mark(self, path: Path) -> None:
        line = self.text.count("\n") + 1
        self.found.setdefault(path, (line, len(self.text) - (self.text.rfind("\n") + 1) + 1))

    def blank(self) -> None:
        self.put(self.draw(BLANK))

    def space(self) -> None:
        self.put(self.draw(SPACE))

    def spaced(self, sign: str) -> None:
        self.put(self.draw(SPACE), sign, self.draw(SPACE))

    def keys(self, at: Path, names: tuple[str, ...]) -> Path:
        for number, name in enumerate(names):
            if number:
                self.spaced(".")
            at = (*at, name)
            self.mark(at)
            self.put(self.draw(key(name)))
        return at

    def pair(self, at: Path, names: tuple[str, ...], depth: int) -> None:
        path = self.keys(at, names)
        self.spaced("=")
        self.value(path, depth)

    def value(self, path: Path, depth: int) -> None:
        kind = self.draw(st.sampled_from(["scalar", "array", "table"] if depth else ["scalar"]))
        if kind == "array":
            self.array(path, depth - 1)
        elif kind == "table":
            self.table(path, depth - 1)
        else:
            self.put(self.draw(SCALARS))

    def array(self, path: Path, depth: int) -> None:
        self.put("[")
        number = self.draw(st.integers(0, 3))
        for index in range(number):
            self.blank()
            self.mark((*path, index))
            self.value((*path, index), depth)
            self.blank()
            if index < number - 1 or self.draw(st.booleans()):
                self.put(",")
        self.blank()
        self.put("]")

    def table(self, path: Path, depth: int) -> None:
        self.put("{")
        names = self.draw(st.lists(NAMES, max_size=3, unique=True))
        for index, name in enumerate(names):
            self.spaced("," if index else "")
            more = self.draw(st.lists(NAMES, max_size=1))
            self.pair(path, (name, *more), depth)
            self.space()
        self.put("}")

    def body(self, path: Path) -> None:
        """Pairs of a table, dotted or not, each name used in one way only."""
        for name in self.draw(st.lists(NAMES.map(lambda name: f"k{name}"), max_size=3, unique=True)):
            self.blank()
            more = self.draw(st.lists(NAMES, max_size=2))
            self.pair(path, (name, *more), 3)
            self.put(self.draw(LINE_END))

    def header(self, at: Path, names: tuple[str, ...], several: bool = False, element: int = 0) -> Path:
        self.blank()
        self.spaced("[[" if several else "[")
        plain = self.keys(at, names[:-1]) if names[:-1] else at
        if names[:-1]:
            self.spaced(".")
        path = (*plain, names[-1])
        self.mark(path)
        if several:
            self.mark((*path, element))
        self.put(self.draw(key(names[-1])))
        self.put(self.draw(SPACE), "]]" if several else "]", self.draw(LINE_END))
        return (*path, element) if several else path


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Path, tuple[int, int]]]:
    """A document, and the place of each key in it."""
    writer = Writer(draw)
    writer.body(())
    for name in draw(st.lists(NAMES.map(lambda name: f"t{name}"), max_size=3, unique=True)):
        if draw(st.booleans()):
            inner = draw(st.lists(NAMES, max_size=2))
            writer.body(writer.header((), (name, *inner)))
        else:
            for element in range(draw(st.integers(1, 3))):
                writer.body(writer.header((), (name,), several=True, element=element))
                if draw(st.booleans()):
                    _below(writer, name, element)
    writer.blank()
    return writer.text, writer.found


def _below(writer: Writer, name: str, element: int) -> None:
    """[name.x]: a table in the newest element of an array."""
    writer.put("[", writer.draw(key(name)))
    writer.spaced(".")
    path: Path = (name, element, "x")
    writer.mark(path)
    writer.put(writer.draw(key("x")), writer.draw(SPACE), "]\n")
    writer.body(path)


def paths(value: Any, at: Path = ()) -> set[Path]:
    """The path of everything in a value."""
    if isinstance(value, dict):
        inner = [((*at, name), content) for name, content in value.items()]
    elif isinstance(value, list):
        inner = [((*at, number), content) for number, content in enumerate(value)]
    else:
        return set()
    return {path for path, _ in inner}.union(*(paths(content, path) for path, content in inner))


@given(documents())
def test_each_key_is_found_where_it_was_written(document: tuple[str, dict[Path, tuple[int, int]]]) -> None:
    text, found = document
    data = tomllib.loads(text)
    assert places(text) == found
    assert set(found) == paths(data)


@given(st.text('a="\'\\[]{}.,#\n -1', max_size=24))
def test_whatever_the_parser_takes_has_all_its_keys_found(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(places(text)) == paths(data)


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("port = 80", ("port",), (1, 1)),
        ("  port = 80", ("port",), (1, 3)),
        ("# port = 1\n\nport=80", ("port",), (3, 1)),
        ("[tls]\n'cert' = ''", ("tls", "cert"), (2, 1)),
        ("[tls]\n'cert' = ''", ("tls",), (1, 2)),
        ("tls . cert = ''", ("tls", "cert"), (1, 7)),
        ('bind = [\n "a", # b\n  "c",\n]', ("bind", 1), (3, 3)),
        ("limits = { head = 1, body = 2 }", ("limits", "body"), (1, 22)),
        ('intro = """\nport = 1\n"""\nport = 2', ("port",), (4, 1)),
        ("[[a]]\n[[a]]\nx = 1", ("a", 1, "x"), (3, 1)),
        ("[[a]]\n[a.b]\nx = 1\n[[a]]\n[a.b]\nx = 2", ("a", 1, "b", "x"), (6, 1)),
        ("[a.b.c]\n[a]\nx = 1", ("a", "x"), (3, 1)),
        ('"a\\u002eb" = 1', ("a.b",), (1, 1)),
    ],
)
def test_places_as_an_editor_counts_them(text: str, path: Path, place: tuple[int, int]) -> None:
    assert places(text)[path] == place
