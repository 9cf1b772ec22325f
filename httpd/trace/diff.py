"""Where two recordings part: their events side by side, and the first difference with its bytes.

Times, turns, descriptors and the peer's address are of one time only and are not compared, nor are the loop's turns and
remarks.  The two are aligned by what each event says, so that one event more on one side does not make all that
follow differ.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from ..site.error_pages import visible
from .events import Event, Trace
from .laws import said
from .sentences import sentence
from .terminal import columns_of, harmless, shortened

__all__ = ["Row", "aligned", "compared", "first_difference"]

# Of equal events so many are shown on each side of a difference.
_CONTEXT = 2
# Of two texts that differ so much is shown on each side of the place.
_SHOWN = 24
_LEFT_OUT = ("loop:", "trace:")
# In as many columns there is room for two sentences.
_WIDE = 120


class Row(NamedTuple):
    """A line of the comparison: an event of each, or of one alone; `same` where they say the same."""

    one: Event | None
    other: Event | None
    same: bool


def aligned(one: Trace, other: Trace) -> list[Row]:
    """The events of both in rows, as they belong together."""
    left, right = (_told(trace.events) for trace in (one, other))
    rows = []
    for same, some, others in _matched(left, right, _key):
        if same:
            rows += [Row(a, b, True) for a, b in zip(some, others, strict=True)]
            continue
        # Of those that differ, an event stands beside one of its kind.
        for _, few, fewer in _matched(some, others, _kind):
            rows += [Row(a, b, False) for a, b in zip_longest(few, fewer)]
    return rows


def _told(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if not event.name.startswith(_LEFT_OUT)]


def _key(event: Event) -> str:
    _, name, data = said(event)
    return f"{name} {data!r}"


def _kind(event: Event) -> str:
    return event.name


_Run = tuple[bool, Sequence[Event], Sequence[Event]]


def _matched(one: Sequence[Event], other: Sequence[Event], key: Callable[[Event], str]) -> Iterator[_Run]:
    """(whether they are equal by `key`, some of the one, some of the other), in order."""
    matcher = difflib.SequenceMatcher(None, [*map(key, one)], [*map(key, other)])
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        yield kind == "equal", one[start:end], other[other_start:other_end]


def first_difference(rows: Sequence[Row]) -> str:
    """What differs first, with the bytes; "" where nothing does."""
    row = next((row for row in rows if not row.same), None)
    if row is None:
        return ""
    if row.one is None or row.other is None:
        event, which = (row.other, "second") if row.one is None else (row.one, "first")
        assert event is not None
        return f"{event.name}, event {event.n}, is only in the {which}: {harmless(sentence(event.what))}"
    where = f"event {row.one.n} of the first, {row.other.n} of the second"
    if row.one.name != row.other.name:
        return f"{where}: {row.one.name} in the first, {row.other.name} in the second"
    return f"{row.one.name}, {where}: {_fields(row.one, row.other)}"


def _fields(one: Event, other: Event) -> str:
    """The fields that differ, each with both its values."""
    data, other_data = said(one)[2], said(other)[2]
    parts = [f"{name} is {_parted(data[name], other_data[name])}" for name in data if data[name] != other_data[name]]
    return "; ".join(parts)


def _parted(one: Any, other: Any) -> str:
    """Two values that differ; of long texts, the place where they part."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return f"{_short(one)} and {_short(other)}"
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    shown = slice(max(0, at - _SHOWN), at + _SHOWN)
    where = f", from byte {at} of it on" if at else ""
    return f"“{visible(one[shown])}” and “{visible(other[shown])}”{where}"


def _short(value: Any) -> str:
    return shortened(harmless(repr(value)), 80)


def compared(rows: Sequence[Row], width: int) -> Iterator[str]:
    """The rows for a terminal of that width, the differing ones marked; of what is equal, only what is near them.

    The two stand side by side, or where that leaves too little of a sentence, one below the other.
    """
    lines_of = partial(_beside, half=(width - 3) // 2) if width >= _WIDE else partial(_below, width=width)
    shown = [any(not near.same for near in rows[max(0, at - _CONTEXT) : at + _CONTEXT + 1]) for at in range(len(rows))]
    skipped = 0
    for row, is_shown in zip(rows, shown, strict=True):
        if not is_shown:
            skipped += 1
            continue
        if skipped:
            yield f"  … {skipped} the same"
        skipped = 0
        yield from lines_of(row)
    if skipped:
        yield f"  … {skipped} the same"


def _beside(row: Row, half: int) -> Iterator[str]:
    mark = " " if row.same else "|" if row.one and row.other else "<" if row.one else ">"
    left = _cell(row.one, half)
    yield f"{left}{' ' * (half - columns_of(left))} {mark} {_cell(row.other, half)}".rstrip()


def _below(row: Row, width: int) -> Iterator[str]:
    if row.same:
        yield f"  {_cell(row.one, width - 2)}"
        return
    for mark, event in (("<", row.one), (">", row.other)):
        if event is not None:
            yield f"{mark} {_cell(event, width - 2)}"


def _cell(event: Event | None, width: int) -> str:
    if event is None:
        return ""
    return shortened(f"{event.n:>4} {harmless(sentence(event.what))}", width)
