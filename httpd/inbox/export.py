r"""Submissions as a table (CSV, RFC 4180) and as JSON lines.

The table is for people and their spreadsheets.  It is UTF-8 and begins with a byte order mark, without which Excel
takes it for something else; every cell is quoted, and none of them computes anything or drives a terminal (see
`plain`), so it is not everywhere to the letter what was sent.  JSON lines are: an object a line, in ASCII, with names
that repeat and their order.

A column is a field name of any submission in the table; where a name repeats in one of them, there are further columns,
`colour`, `colour 2`.  So the submissions are gone through twice, and never are all of them in memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count

from .moments import moment
from .plain import cell
from .records import Record

__all__ = ["Columns", "as_csv", "as_json_lines"]

_OURS = ("id", "form", "received", "address", "read")


class Columns:
    """Which columns the table of these submissions has.  Names are in the order in which they first came."""

    def __init__(self, records: Iterable[Record]) -> None:
        most: Counter[str] = Counter()
        for record in records:
            for name, times in Counter(name for name, _ in _named(record)).items():
                most[name] = max(most[name], times)
        self.names = list(_OURS)
        self._places: dict[tuple[str, int], int] = {}
        taken = {*_OURS, *most}
        for name, times in most.items():
            for time in range(times):
                self._places[name, time] = len(self.names)
                self.names.append(_untaken(name, time, taken))

    def row(self, record: Record) -> list[str]:
        """The submission's cells.  What came under a name that was not there when the columns were made is left out."""
        about = record.submission
        row = [about.id, about.form, moment(about.received), about.address, "yes" if about.seen else "no"]
        row += [""] * (len(self.names) - len(row))
        seen: Counter[str] = Counter()
        for name, value in _named(record):
            place = self._places.get((name, seen[name]))
            seen[name] += 1
            if place is not None:
                row[place] = value
        return row


def _named(record: Record) -> Iterator[tuple[str, str]]:
    """The fields with their values, the files with their names."""
    yield from record.submission.fields
    for file in record.files:
        yield file.field, f"{file.name or 'unnamed'} ({file.size} bytes)"


def _untaken(name: str, time: int, taken: set[str]) -> str:
    """What a column is called: a field's own name the first time, unless that is one of ours, then with a number."""
    if time == 0 and name not in _OURS:
        return name
    called = next(f"{name} {number}" for number in count(time + 1 + (name in _OURS)) if f"{name} {number}" not in taken)
    taken.add(called)
    return called


def as_csv(columns: Columns, records: Iterable[Record]) -> Iterator[bytes]:
    """The table, a line a time (RFC 4180), its heading first."""
    yield b"\xef\xbb\xbf" + _line(columns.names)
    for record in records:
        yield _line(columns.row(record))


def _line(cells: Iterable[str]) -> bytes:
    return (",".join('"' + cell(text).replace('"', '""') + '"' for text in cells) + "\r\n").encode("utf-8")


def as_json_lines(records: Iterable[Record]) -> Iterator[bytes]:
    """An object a line, in ASCII: it reads alike everywhere, and no terminal finds anything to obey in it."""
    for record in records:
        yield json.dumps(record.as_object()).encode("ascii") + b"\n"
