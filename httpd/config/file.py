"""httpd.toml: the same settings as a file, each wrong one told with its line and column.

A key is an option's name, or stands in a table where that is natural; a relative path is meant from the file's folder.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from ..nearest import nearest
from .option import Option, Origin, Several, Tables, Written, Wrong
from .places import Path, places
from .settings import OPTIONS
from .shown import quoted_key

__all__ = ["File", "read_file"]

# More than this is no list of settings.
_LONGEST = 1 << 20
# What stands for no path where a path may stand.
_WORDS = ("-", "off", "")
# TOMLDecodeError has nothing but a text before Python 3.14.
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_CALLED = {str: "a text in quotes", int: "a number", float: "a number", bool: "true or false"}

_KEYS: dict[Path, Option[Any]] = {tuple(option.key.split(".")): option for option in OPTIONS.values() if option.key}
_NAMES = {option.name.replace("_", "-"): option.key for option in OPTIONS.values() if option.key}


def read_file(path: str) -> File:
    """What a file sets, and all that is wrong with it.  Raises Wrong where it cannot be read at all."""
    text = _text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as why:
        raise _not_toml(path, text, str(why)) from None
    except RecursionError:
        raise Wrong("it is nested too deep", Origin(path, path), 2) from None
    return File(path, data, places(text))


def _text(path: str) -> str:
    """A file's text with "\\n" for line ends, without a mark of its encoding."""
    try:
        with open(path, "rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as why:
        raise Wrong(f"cannot read {path}: {why.strerror or why}; name another file with --config") from None
    if len(content) > _LONGEST:
        raise Wrong("it is longer than a megabyte: these are no settings", Origin(path, path), 2)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as why:
        before = content[: why.start].decode("utf-8", "replace")
        raise _at(path, before, "it is not UTF-8 from here on; save it as UTF-8") from None


def _not_toml(path: str, text: str, told: str) -> Wrong:
    found = _AT.search(told)
    sentence = _AT.sub("", told)
    if found and found[1]:
        return Wrong(sentence, Origin(path, f"{path}:{found[1]}:{found[2]}"), 2)
    return _at(path, text, sentence)


def _at(path: str, before: str, told: str) -> Wrong:
    """What is wrong after so much text."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Wrong(told, Origin(path, f"{path}:{line}:{column}"), 2)


class File:
    """What a file says.  `written` are its settings, `wrong` what is none."""

    def __init__(self, path: str, data: Mapping[str, Any], found: Mapping[Path, tuple[int, int]]) -> None:
        self.path = path
        self.folder = os.path.dirname(path)
        self._found = found
        self.written: list[Written] = []
        self.wrong: list[Wrong] = []
        self._table((), data)

    def place(self, key: Path) -> str:
        """Where a key stands, FILE:LINE:COLUMN; of one that is missing, the place of its table."""
        while key and key not in self._found:
            key = key[:-1]
        line, column = self._found.get(key, (1, 1))
        return f"{self.path}:{line}:{column}"

    def _table(self, at: Path, table: Mapping[str, Any]) -> None:
        for name, value in table.items():
            key = (*at, name)
            if key in _KEYS:
                self._setting(_KEYS[key], key, value)
            elif not any(known[: len(key)] == key for known in _KEYS):
                self._refuse(key, _unknown(key))
            elif isinstance(value, Mapping):
                self._table(key, value)
            else:
                self._refuse(key, f"{_dotted(key)} is a table: write [{_dotted(key)}], and its keys below")

    def _setting(self, option: Option[Any], key: Path, value: Any) -> None:
        if isinstance(option, Tables):
            self._tables(option, key, value)
        elif isinstance(option, Several) and option.joint and isinstance(value, Mapping):
            for name, content in value.items():
                self._entry(option, (*key, name), name, content)
        elif isinstance(option, Several):
            for place, one in _each(key, value):
                self._take(option, place, one)
        else:
            self._take(option, key, value)

    def _entry(self, option: Several[Any], key: Path, name: str, value: Any) -> None:
        """What stands under a name in the table of an option: one text of it, or several."""
        if (name,) in _KEYS and not _reads(option, f"{name}{option.joint}{value}"):
            self._refuse(key, _unknown(key))
            return
        for place, one in _each(key, value):
            self._take(option, place, one, name + option.joint)

    def _tables(self, option: Tables, key: Path, value: Any) -> None:
        if not isinstance(value, Mapping):
            self._refuse(key, f'{_dotted(key)} is a table: write [{_dotted(key)}."{option.metavar}"]')
            return
        for name, table in value.items():
            self.written.append(Written(option, (name, table), self._origin((*key, name))))

    def _take(self, option: Option[Any], key: Path, value: Any, before: str = "") -> None:
        """Note a value; `before` is what its text begins with."""
        if isinstance(value, bool) and option.alone is not None:
            text = option.alone if value else option.default
        elif type(value) not in option.types:
            self._refuse(key, f"{_dotted(key)} is {_kinds(option)}, not {_written(value)}")
            return
        else:
            text = str(value)
        if option.path is not None and text not in _WORDS and text.startswith(option.path):
            text = option.path + os.path.join(self.folder, text.removeprefix(option.path))
        self.written.append(Written(option, before + text, self._origin(key)))

    def _origin(self, key: Path) -> Origin:
        return Origin(_dotted(key), self.place(key), self.folder or os.curdir)

    def _refuse(self, key: Path, told: str) -> None:
        self.wrong.append(Wrong(told, self._origin(key), 2))


def _each(key: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """A value, or each one of an array, with its path."""
    if isinstance(value, list):
        yield from (((*key, number), one) for number, one in enumerate(value))
    else:
        yield key, value


def _reads(option: Option[Any], text: str) -> bool:
    try:
        option.read(text)
    except ValueError:
        return False
    return True


def _unknown(key: Path) -> str:
    """What to say of a key that nobody knows."""
    dotted, last = _dotted(key), _dotted(key[-1:])
    if dotted in _NAMES:
        return f"there is no key {dotted} here; it is {_NAMES[dotted]}"
    if key[-1:] in _KEYS:
        return f"there is no key {dotted}; {last} stands above the first [table]"
    close = nearest(dotted, [_dotted(known) for known in _KEYS])
    return f"there is no key {dotted}; " + (f"did you mean {close}?" if close else "httpd --help all lists them")


def _dotted(key: Path) -> str:
    """A key as it may be written."""
    written = ""
    for part in key:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            quoted = quoted_key(part)
            written += f".{quoted}" if written else quoted
    return written


def _kinds(option: Option[Any]) -> str:
    """What a value may be, as a person would say it."""
    kinds = option.types if option.alone is None else (*option.types, bool)
    return " or ".join(dict.fromkeys(_CALLED[kind] for kind in kinds))


def _written(value: Any) -> str:
    """A value as it stands in a file, as far as that helps to find it."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "an array"
    return json.dumps(value) if isinstance(value, (str, bool)) else str(value)
