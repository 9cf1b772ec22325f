"""`httpd --help`: one screen for all of it, and one for each group of options."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from textwrap import wrap
from typing import Any

from ..config.option import Group, Option, Switch, Wrong
from ..config.settings import GROUPS, LOGS, OPTIONS, Settings
from ..nearest import nearest
from ..server.limits import describe_limits
from .commands import COMMANDS

__all__ = ["explain", "limits"]

_EXAMPLES = (
    ("httpd DIR", "a folder, at http://127.0.0.1:8000/"),
    ("httpd --app hello:site", "an application, imported from hello.py"),
    ("httpd tour", "a site that shows what there is, to look around"),
)
_STATUS = "Exit status: 0 stopped, 1 not started, 2 options not understood, 130 Ctrl-C."
_STATUS_OF_COMMANDS = (
    "Exit status: 0 done; 1 it could not be done, or what was looked at is not as it should be (check, show, replay, "
    "trace diff); 2 the words are not understood, or there is nothing to look at; 130 Ctrl-C."
)
_SOURCES = (
    "The command line goes before the environment, the environment before httpd.toml, each under its own name below. "
    "httpd.toml is read from the current folder unasked, unless that is served; a relative path in it is meant from "
    "where it is. In a variable, a switch is on or off, and several values are words, quoted as in a shell. "
    "httpd check says what is wrong with all of them, httpd check --print what is in force, and where it comes from."
)
# Where the second column begins, in the list of groups and elsewhere.
_NARROW, _COLUMN, _WIDE = 14, 24, 28


def explain(topic: str) -> str:
    """What `httpd --help TOPIC` prints, as wide as the terminal: "" is the first screen.  Raises Wrong."""
    width = _width()
    if topic == "":
        return _first(width)
    parts = {group.name: _group(group, width) for group in GROUPS}
    parts["settings"] += ["", *wrap(_SOURCES, width), "", *_names()]
    rows = [(name, sentence) for name, (_, sentence) in COMMANDS.items()]
    listed = [*_rows(rows, width), *wrap(_STATUS_OF_COMMANDS, width)]
    parts["commands"] = ["commands, each with a --help of its own:", *listed]
    if topic == "all":
        return "\n\n".join("\n".join(lines) for lines in parts.values())
    if topic in parts:
        return "\n".join(parts[topic])
    close = nearest(topic, parts)
    told = f"did you mean {close}?" if close else f"there is {', '.join(parts)}, all"
    raise Wrong(f"there is no help on {topic!r}; {told}", status=2)


def limits() -> str:
    """What `httpd --limits` prints."""
    return "\n".join(f"{name:<24} {default:>10}  {why}" for name, default, why in describe_limits())


def _width() -> int:
    """The terminal's, but no longer than a line can be read."""
    columns = os.environ.get("COLUMNS", "")
    if not columns.isdecimal():
        columns = "80"
        with contextlib.suppress(OSError):
            columns = str(os.get_terminal_size().columns)
    return max(40, min(int(columns), 120)) - 1


def _first(width: int) -> str:
    return "\n".join(
        [
            "usage: httpd [OPTIONS] [DIR]",
            "",
            *wrap("Serve a folder, the current one if none is named, or a site of your own.", width),
            *_rows(_EXAMPLES, width, _WIDE),
            "",
            *wrap("Options (httpd --help GROUP explains a group, httpd --help all all of them):", width),
            *(_clipped(group, width) for group in GROUPS),
            "",
            *wrap(f"Commands (each knows --help): {', '.join(COMMANDS)}", width),
            *wrap("All that can be set by an option can be set in a file: httpd --help settings", width),
            *wrap(_STATUS, width),
        ]
    )


def _clipped(group: Group, width: int) -> str:
    """A group and as many of its options as a line takes."""
    line = f"  {group.name:<{_NARROW - 2}}"
    names = [_shown(option)[0] for option in _options(group)]
    for number, name in enumerate(names):
        rest = " ..." if number < len(names) - 1 else ""
        if len(f"{line}{name}{rest}") > width:
            return f"{line}..."
        line += f"{name} "
    return line.rstrip()


def _group(group: Group, width: int) -> list[str]:
    rows = [(" ".join(_shown(option)), _meaning(option)) for option in _options(group)]
    if group is LOGS:
        rows.append(("--limits", "list the limits, their defaults, and why"))
    return [f"{group.title}:", *_rows(rows, width)]


def _options(group: Group) -> list[Option[Any]]:
    return [option for option in OPTIONS.values() if option.group is group]


def _shown(option: Option[Any]) -> list[str]:
    """An option and its value, as a person writes them; of a switch, what changes something."""
    if option is Settings.dir:
        return [option.metavar]
    flag = next(flag for flag, text in option.flags.items() if text != option.default)
    return [flag, option.metavar] if option.metavar else [flag]


def _meaning(option: Option[Any]) -> str:
    if isinstance(option, Switch) or not option.default or "default" in option.meaning:
        return option.meaning
    return f"{option.meaning} (default: {option.default})"


def _names() -> list[str]:
    """Each option with its key and its variable."""
    rows = [(_shown(option)[0], option.key or "-", option.variable) for option in OPTIONS.values()]
    first, second = (max(len(row[column]) for row in rows) + 2 for column in (0, 1))
    return [f"{option:<{first}}{key:<{second}}{variable}" for option, key, variable in rows]


def _rows(rows: Iterable[tuple[str, str]], width: int, column: int = _COLUMN) -> list[str]:
    """Two columns; where the first is too long, the second begins below it."""
    lines = []
    for name, meaning in rows:
        told = wrap(meaning, width - column)
        first = f"  {name}"
        if len(first) < column - 1:
            first = f"{first:<{column}}{told.pop(0)}"
        lines += [first, *(" " * column + line for line in told)]
    return lines
