"""What stands in a folder: which entries are shown, and in what order.

A folder may have a hundred thousand entries, so everything here is lazy: whoever reads the entries is given None now
and then, and may stop there until the next turn.  They are sorted in runs, which are merged while they are read, and
no more than MOST are held at once.
"""

from __future__ import annotations

import heapq
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..protocol.errors import HTTPError
from ..protocol.forms import Form
from ..protocol.grammar import late
from .root import Root, hidden, quoted

__all__ = ["MOST", "Entry", "Folder", "LeavesOut", "View", "in_order", "readable_size", "scan"]

# How many entries are sorted in one go, within a millisecond.
_RUN = 500
# How many are held for sorting, some 20 MB of them; a folder with more is given as one sorted part after another.
MOST = 100_000

_SORTS = ("name", "size", "date")
_DIGITS = late(r"[0-9]+")

# Whether a path (below the site's root, decoded, a folder's with a closing "/") is left out of a listing or archive.
LeavesOut = Callable[[str], bool]


class Entry(NamedTuple):
    """One file or folder.  `raw` is its name on the disk, `modified` in seconds since the epoch."""

    raw: bytes
    is_folder: bool
    size: int
    modified: float

    @property
    def name(self) -> str:
        """For reading: odd bytes as U+FFFD."""
        return self.raw.decode("utf-8", "replace")

    @property
    def href(self) -> str:
        """For following, from the folder's own page."""
        return quoted(self.raw) + ("/" if self.is_folder else "")

    @property
    def kind(self) -> str:
        return "folder" if self.is_folder else "file"

    @property
    def readable_size(self) -> str:
        return "" if self.is_folder else readable_size(self.size)

    @property
    def date(self) -> str:
        """When it was modified, in UTC, to the minute; empty for a year that has no date."""
        return self.timestamp[:16].replace("T", " ")

    @property
    def timestamp(self) -> str:
        """When it was modified, in UTC, to the second (RFC 3339); empty for a year that has no date."""
        try:
            year, month, day, hour, minute, second, *_ = time.gmtime(self.modified)
        except (OverflowError, OSError, ValueError):
            return ""
        return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z" if 0 <= year < 10_000 else ""


class View(NamedTuple):
    """How a listing is wanted: by "name", "size" or "date"; `wanted` is what names must contain, in any case."""

    sort: str = "name"
    descending: bool = False
    wanted: str = ""

    @classmethod
    def of(cls, query: Form) -> View:
        """What `?sort=size&order=desc&filter=text` asks for; an empty one is none.

        Raises HTTPError 400 for another sort or order.
        """
        sort, order = query.get("sort") or "name", query.get("order") or "asc"
        if sort not in _SORTS or order not in ("asc", "desc"):
            raise HTTPError(400, "A listing is sorted by name, size or date, and its order is asc or desc.")
        return cls(sort, order == "desc", query.get("filter").strip())

    @property
    def order(self) -> str:
        return "desc" if self.descending else "asc"

    @property
    def reverse(self) -> bool:
        """Whether what is sorted by `key` is read backwards; numbers are turned round in the key itself."""
        return self.descending and self.sort == "name"

    @property
    def query(self) -> str:
        """The query that asks for this view."""
        return "&".join(f"{name}={quoted(value.encode())}" for name, value in self.asked)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """What a form asks for that leads to this view."""
        asked = [] if self[:2] == View()[:2] else [("sort", self.sort), ("order", self.order)]
        return [*asked, ("filter", self.wanted)] if self.wanted else asked

    @property
    def everything(self) -> View:
        """The same without a filter."""
        return self._replace(wanted="")

    def turned_to(self, sort: str) -> View:
        """Sorted so; the other way round if it is already.  Sizes and dates begin with the largest and the latest."""
        return self._replace(sort=sort, descending=not self.descending if sort == self.sort else sort != "name")

    def chooser(self) -> Callable[[Entry], bool]:
        """Tells whether an entry's name has what is wanted."""
        wanted = _folded(self.wanted)
        return lambda entry: not wanted or wanted in _folded(entry.name)

    def key(self, entry: Entry) -> tuple[bool, float, str, bytes]:
        """Folders first; numbers within names by their value, so that 9 stands before 10."""
        measure = self._measure(entry)
        in_front = entry.is_folder is not self.reverse
        return not in_front, -measure if self.descending else measure, _natural(entry.name), entry.raw

    def _measure(self, entry: Entry) -> float:
        if self.sort == "date":
            return entry.modified
        return entry.size if self.sort == "size" and not entry.is_folder else 0


def _folded(text: str) -> str:
    """Without case and accents; so it is one text, too, whether accents are letters of their own in it or not."""
    if text.isascii():
        return text.lower()
    from unicodedata import combining, normalize

    return "".join([letter for letter in normalize("NFD", text.casefold()) if not combining(letter)])


def _natural(name: str) -> str:
    """A name such that comparing the text compares the numbers in it: before each stands how many digits it has."""
    return _DIGITS.sub(_measured, _folded(name))


def _measured(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"0{chr(len(digits))}{digits}"


class Folder(NamedTuple):
    """A folder below a root, by the names that lead to it; `leaves_out` is asked for each of its entries."""

    root: Root
    parts: Sequence[bytes]
    leaves_out: LeavesOut | None = None

    def below(self, name: bytes) -> Folder:
        return self._replace(parts=[*self.parts, name])

    def shows(self, entry: Entry) -> bool:
        """Whether an entry of it is for everyone who may have the folder."""
        if self.leaves_out is None:
            return True
        path = b"/".join((b"", *self.parts, entry.raw)).decode("utf-8", "surrogateescape")
        return not self.leaves_out(path + "/" * entry.is_folder)


def scan(folder: Folder, fd: int) -> Iterator[Entry | None]:
    """What can be fetched from a folder, in the disk's order; None for each entry that is left out.

    Hidden names, names with a backslash, special files and links that the policy does not follow are.  `fd` is the
    open folder; it is taken over, and closed at the end.
    """
    try:
        with os.scandir(fd) as found:
            for item in found:
                entry = _entry(folder, item)
                yield entry if entry is not None and folder.shows(entry) else None
    finally:
        os.close(fd)


def _entry(folder: Folder, item: os.DirEntry[str]) -> Entry | None:
    raw = os.fsencode(item.name)
    if hidden(raw) or b"\\" in raw:
        return None
    if item.is_symlink() and not folder.root.admits(folder.root.location([*folder.parts, raw])):
        return None
    try:
        status = item.stat()
    except OSError:
        return None
    is_folder = stat.S_ISDIR(status.st_mode)
    if not is_folder and not stat.S_ISREG(status.st_mode):
        return None
    return Entry(raw, is_folder, status.st_size, status.st_mtime)


def in_order(found: Iterable[Entry | None], view: View) -> Iterator[Entry | None]:
    """The entries that a view shows, sorted; None for each step that the sorting takes before."""
    is_wanted = view.chooser()
    runs: list[_Run] = []
    run: list[Entry] = []
    for entry in found:
        if entry is not None and is_wanted(entry):
            if len(runs) * _RUN == MOST:
                yield from _merged(runs, view)
                runs = []
            run.append(entry)
        if len(run) == _RUN:
            runs.append(_sorted(run, view))
            run = []
        yield None
    yield from _merged([*runs, _sorted(run, view)], view)


# An Entry is an object for the garbage collector to look at, and a hundred thousand keep it busy for 30 ms; a plain
# tuple of plain values is none.
_Run = list[tuple[bytes, bool, int, float]]


def _sorted(run: list[Entry], view: View) -> _Run:
    return [entry[:] for entry in sorted(run, key=view.key, reverse=view.reverse)]


def _merged(runs: list[_Run], view: View) -> Iterator[Entry]:
    return heapq.merge(*map(_given_away, runs), key=view.key, reverse=view.reverse)


def _given_away(run: _Run) -> Iterator[Entry]:
    """A run's entries, of which none is held longer: to free a hundred thousand at once takes long, too."""
    run.reverse()
    while run:
        yield Entry(*run.pop())


def readable_size(size: int) -> str:
    """Three significant digits and a decimal unit: 999 B, 1.50 kB, 23.4 MB."""
    value, units = float(size), iter(("kB", "MB", "GB", "TB", "PB", "EB"))
    unit = "B"
    while value >= 999.5:
        value, unit = value / 1000, next(units)
    digits = 0 if unit == "B" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:.{digits}f} {unit}"
