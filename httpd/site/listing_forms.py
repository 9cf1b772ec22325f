"""The three forms of a folder's listing: an HTML page, JSON, and plain text.

Each has a beginning, rows, and an end, and is made in that order and in pieces, for a long listing is sent while it is
made.  The JSON is

    {"path": "/log/", "sort": "name", "order": "asc", "filter": "", "entries": [
    {"name": "drawings", "href": "drawings/", "kind": "folder", "size": null, "modified": "2024-05-01T10:00:00Z"},
    {"name": "1 lamp.txt", "href": "1%20lamp.txt", "kind": "file", "size": 117, "modified": "2024-05-01T10:00:00Z"}
    ], "folders": 1, "files": 1, "bytes": 117}

`name` is for reading (odd bytes are U+FFFD), `href` for following; `modified` is in UTC, null for a time without date.
The text has a line for each entry: the time, the size in bytes or "-", the name, with a closing "/" for a folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Protocol

from ..protocol.grammar import late
from .entries import Entry, View, readable_size
from .policy import hash_source
from .readme import Told

__all__ = ["HtmlForm", "JsonForm", "ListingForm", "Tally", "TextForm"]

# Stands for the rows in the page around them; no path has it.
_ROWS = "\0rows"
_COLUMNS = (("name", "Name"), ("size", "Size"), ("date", "Changed (UTC)"))
_INLINE = late(r"<(?:style|script type=\"module\")>(.*?)</", re.DOTALL)


class Tally:
    """What has been listed so far; in words: 2 folders, 1 file, 1.50 kB."""

    def __init__(self) -> None:
        self.folders = 0
        self.files = 0
        self.bytes = 0

    @property
    def entries(self) -> int:
        return self.folders + self.files

    def count(self, entries: Sequence[Entry]) -> None:
        """These have been listed, too."""
        for entry in entries:
            if entry.is_folder:
                self.folders += 1
            else:
                self.files += 1
                self.bytes += entry.size

    def __str__(self) -> str:
        counts = [(self.folders, "folder"), (self.files, "file")]
        told = [f"{count:,} {what}{'s' * (count != 1)}" for count, what in counts if count]
        return ", ".join(told + [readable_size(self.bytes)] * bool(self.files))


class ListingForm(Protocol):
    """How a listing is written: begun, given its rows some at a time, ended.  `headers` are field lines of its own.

    It is begun when the entries have been read, and gives the same beginning to whoever asks for it again.
    """

    content_type: str

    @property
    def headers(self) -> Sequence[tuple[str, str]]: ...
    def begin(self) -> str: ...
    def rows(self, entries: Sequence[Entry]) -> str: ...
    def end(self) -> str: ...


class HtmlForm:
    """A page.  What `header` gives stands above the rows, what `readme` gives below; it is asked when it is wanted."""

    content_type = "text/html; charset=utf-8"

    def __init__(
        self,
        path: str,
        view: View,
        tally: Tally,
        *,
        archives: bool,
        header: Callable[[], Told | None],
        readme: Callable[[], Told | None],
    ) -> None:
        from .templates import bundled

        self._templates = bundled()
        # It is rendered as far as its rows, and goes on from there when they have all been counted.
        self._page: Iterator[str] = self._templates.generate(
            "listing.html",
            path=_shown(path),
            crumbs=_crumbs(path),
            columns=_COLUMNS,
            view=view,
            rows=_ROWS,
            tally=tally,
            archives=archives,
            header=header,
            readme=readme,
        )

    @cached_property
    def _beginning(self) -> str:
        return "".join(iter(self._page.__next__, _ROWS))

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        return [("Content-Security-Policy", _policy(*_INLINE.findall(self._beginning)))]

    def begin(self) -> str:
        return self._beginning

    def rows(self, entries: Sequence[Entry]) -> str:
        return self._templates.render("listing_rows.html", entries=entries)

    def end(self) -> str:
        return "".join(self._page)


@lru_cache(maxsize=4)
def _policy(style: str, script: str) -> str:
    """What the page may do: be styled and scripted by its own lines, by their hashes, and nothing else; and no other
    site may show it as a part of its own.

    So a name could not do anything if one ever got into the page unescaped.
    """
    return (
        f"default-src 'none'; style-src {hash_source(style)}; script-src {hash_source(script)}; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )


class JsonForm:
    """One object; its shape is above."""

    content_type = "application/json"
    headers: Sequence[tuple[str, str]] = ()

    def __init__(self, path: str, view: View, tally: Tally) -> None:
        from json import dumps

        self._dumps = dumps
        self._path = path
        self._view = view
        self._tally = tally
        self._separator = "\n"

    def begin(self) -> str:
        view = self._view
        asked = {"path": _shown(self._path), "sort": view.sort, "order": view.order, "filter": view.wanted}
        return self._dumps(asked, ensure_ascii=False)[:-1] + ', "entries": ['

    def rows(self, entries: Sequence[Entry]) -> str:
        text = self._separator + ",\n".join(self._dumps(_told(entry), ensure_ascii=False) for entry in entries)
        self._separator = ",\n"
        return text

    def end(self) -> str:
        tally = self._tally
        return "\n], " + self._dumps({"folders": tally.folders, "files": tally.files, "bytes": tally.bytes})[1:] + "\n"


def _told(entry: Entry) -> dict[str, object]:
    size = None if entry.is_folder else entry.size
    return {
        "name": entry.name, "href": entry.href, "kind": entry.kind, "size": size, "modified": entry.timestamp or None,
    }  # fmt: skip


class TextForm:
    """A line for each entry."""

    content_type = "text/plain; charset=utf-8"
    headers: Sequence[tuple[str, str]] = ()

    def begin(self) -> str:
        return ""

    def rows(self, entries: Sequence[Entry]) -> str:
        return "".join(map(_as_line, entries))

    def end(self) -> str:
        return ""


def _as_line(entry: Entry) -> str:
    name = entry.name
    if not name.isprintable():
        name = "".join(letter if letter.isprintable() else "?" for letter in name)
    size = "-" if entry.is_folder else str(entry.size)
    return f"{entry.date:16}  {size:>12}  {name}{'/' if entry.is_folder else ''}\n"


def _crumbs(path: str) -> list[tuple[str, str]]:
    """(name, link) for each folder on the way here, the first being the top."""
    labels = ["/", *filter(None, path.split("/"))]
    return [(_shown(label), "../" * (len(labels) - 1 - depth) or "./") for depth, label in enumerate(labels)]


def _shown(path: str) -> str:
    """A decoded path for reading: odd bytes as U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
