"""The project's own files, to be read: found once, by walking its folders, and known by their names from then on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby

from ..resources import folder

__all__ = ["Sources"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_TEXT = {"httpd": (".py",), "templates": (".html",), "static": (".css", ".js", ".html")}


class Sources:
    """The files by their names, such as `httpd/net/asyncore.py`, in whatever way the project is installed."""

    def __init__(self) -> None:
        places = {"httpd": _PACKAGE, "templates": folder("templates"), "static": folder("static")}
        self._paths = {name: path for top, place in places.items() for name, path in _below(top, place)}

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def __len__(self) -> int:
        return len(self._paths)

    def rooms(self) -> list[tuple[str, list[str]]]:
        """The names, by the folder that they are in, which ends in "/"."""
        by_folder = groupby(sorted(self._paths, key=os.path.split), lambda name: os.path.dirname(name) + "/")
        return [(room, list(names)) for room, names in by_folder]

    def lines(self, name: str) -> list[str]:
        """A file's lines.  Raises KeyError for a name that is none of these, OSError where the file is gone."""
        with open(self._paths[name], encoding="utf-8") as file:
            return file.read().splitlines()

    def address(self, name: str, line: str) -> str:
        """Where the first line that begins so is to be read on the tour; without such a line, the file."""
        numbers = (number for number, text in enumerate(self.lines(name), 1) if text.startswith(line))
        number = next(numbers, 0)
        return f"/source/{name}#L{number}" if number else f"/source/{name}"


def _below(top: str, place: str) -> Iterator[tuple[str, str]]:
    """(name, path) of each text file in a folder that is called `top` here.  What is installed lies within it."""
    for path, folders, files in os.walk(place):
        folders[:] = sorted(set(folders) - {"static", "templates", "__pycache__"} if path == _PACKAGE else folders)
        for file in files:
            if file.endswith(_TEXT[top]):
                whole = os.path.join(path, file)
                yield f"{top}/{os.path.relpath(whole, place)}".replace(os.sep, "/"), whole
