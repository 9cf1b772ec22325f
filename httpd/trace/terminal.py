"""Events in a terminal: one aligned line each, in as many columns as the width allows.

Colour goes to a terminal only, and not where NO_COLOR is set.  What came from the network is made harmless: no control
character, nor anything else that a terminal would act on, gets through.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TextIO
from unicodedata import combining, east_asian_width

from ..site.error_pages import visible
from .events import Event, Received, Refilled, Refused, is_input
from .laws import Broken
from .sentences import counted, sentence

__all__ = ["LIVE", "Screen", "Widths", "columns_of", "harmless", "shortened", "widths_for"]

# Where what was said is written to something that is not a terminal, lines need no end but may be read by a person.
_MOST_EXCERPT = 60
# A line has a namespace, a time, a turn as long as they leave so many columns to the sentence.
_SENTENCE = 66
# What an event's name takes, with its namespace and without.
_WHOLE_NAME, _NAME = 21, 16

_COLOURS = {"channel": "36", "chat": "33", "http": "32", "app": "35", "loop": "90", "trace": "90"}
# How many broken laws are told one by one.
_MOST_BROKEN = 20
_RED, _GREEN, _FAINT, _BOLD = "31", "32", "90", "1"

# How a text looks where the encoding lacks a character.
_PLAIN = {"“": '"', "”": '"', "…": "...", "§": "section ", "■": ".", "✗": "X", "█": "#", "░": "-", "›": ">", "–": "-"}


class Widths(NamedTuple):
    """How many characters the numbers take that begin a line: the event's, its milliseconds, its turn, and its
    connection's where that is told.
    """

    n: int = 4
    ms: int = 10
    turn: int = 5
    connection: int = 0


# Of a server at work nobody knows what will come: a million events of a connection, and a day.
LIVE = Widths(6, 12, 8, 5)


def widths_for(events: Sequence[Event]) -> Widths:
    """Columns for one connection's events, whose last one has the greatest numbers."""
    usual = Widths()
    if not events:
        return usual
    n, t, tick, _ = events[-1]
    return Widths(*map(max, usual, (len(str(n)), len(f"{t:.3f}"), len(str(tick)), 0)))


class _Has(NamedTuple):
    """What a line has besides the rest."""

    namespace: bool
    ms: bool
    turn: bool


def _affordable(width: int | None, of: Widths) -> _Has:
    if width is None:
        return _Has(True, True, True)
    room = width - (of.connection and of.connection + 2) - (of.n + 1) - len("› ") - (_NAME + 1)
    namespace = room - (_WHOLE_NAME - _NAME)
    ms = namespace - (of.ms + 1)
    turn = ms - (of.turn + 1)
    return _Has(namespace >= _SENTENCE, ms >= _SENTENCE, turn >= _SENTENCE)


class Screen:
    """Lines for a stream; `width` is None where lines may be as long as they are."""

    def __init__(
        self, stream: TextIO | None = None, env: Mapping[str, str] = os.environ, widths: Widths | None = None
    ) -> None:
        self.stream = sys.stdout if stream is None else stream
        self._widths = widths or Widths()
        self.is_terminal = self.stream.isatty()
        self.colours = self.is_terminal and not env.get("NO_COLOR") and env.get("TERM") != "dumb"
        self.width = _width(env) if self.is_terminal or env.get("COLUMNS", "").isdecimal() else None
        self._encoding = getattr(self.stream, "encoding", None) or "ascii"
        self._has = _affordable(self.width, self._widths)

    # ---- writing

    def write(self, line: str) -> None:
        """A line, with its end.  Raises OSError as the stream does, BrokenPipeError where nobody reads."""
        self.stream.write(self._encodable(line) + "\n")

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            text = "".join(_PLAIN.get(letter, letter) for letter in text)
            return text.encode(self._encoding, "backslashreplace").decode(self._encoding)
        return text

    def coloured(self, text: str, colour: str) -> str:
        """Text in a colour, where there are colours."""
        return f"\x1b[{colour}m{text}\x1b[m" if self.colours and text else text

    # ---- events

    def event(self, event: Event, connection: int | None = None) -> None:
        """One event's line; `connection` is named where there are several."""
        columns, rest = self._columns(event, connection)
        room = None if self.width is None else max(10, self.width - sum(len(text) + 1 for text, _ in columns))
        said = harmless(sentence(event.what))
        shown = shortened(said, room)
        red = type(event.what) is Refused
        parts = [self.coloured(text, colour) for text, colour in columns]
        parts.append(self.coloured(shown, _RED) if red else shown)
        left = _MOST_EXCERPT if room is None else room - columns_of(said) - 1
        if rest and left >= 12:
            parts.append(self.coloured(shortened(rest, left), _FAINT))
        self.write(" ".join(parts))

    def _columns(self, event: Event, connection: int | None) -> tuple[list[tuple[str, str]], str]:
        """([text, colour] of what stands before the sentence; the bytes that may stand after it)."""
        of, has = self._widths, self._has
        namespace, _, name = event.name.partition(":")
        colour = _RED if type(event.what) is Refused else _COLOURS[namespace]
        columns = []
        if connection is not None:
            columns.append((f"#{connection:<{of.connection}}", _BOLD))
        columns.append((f"{event.n:>{of.n}}", _FAINT))
        if has.ms:
            columns.append((f"{event.t:>{of.ms}.3f}", _FAINT))
        if has.turn:
            columns.append((f"{event.tick:>{of.turn}}", _FAINT))
        columns.append(("›" if is_input(event.what) else " ", _BOLD))
        columns.append((f"{event.name:<{_WHOLE_NAME}}" if has.namespace else f"{name:<{_NAME}}", colour))
        return columns, _bytes_of(event.what)

    def heading(self, title: str) -> None:
        """A title, and what the columns are."""
        self.write(self.coloured(shortened(harmless(title), self.width), _BOLD))
        self.columns()

    def columns(self) -> None:
        """What the columns are."""
        of, has = self._widths, self._has
        names = [f"{'#':<{of.connection + 1}}"] if of.connection else []
        names.append(f"{'n':>{of.n}}")
        if has.ms:
            names.append(f"{'ms':>{of.ms}}")
        if has.turn:
            names.append(f"{'turn':>{of.turn}}")
        names += [" ", f"{'event':<{_WHOLE_NAME if has.namespace else _NAME}}", "what happened"]
        self.write(self.coloured(shortened(" ".join(names), self.width), _FAINT))

    # ---- verdicts

    def laws(self, broken: list[Broken], events: int) -> None:
        """Whether the laws hold."""
        if not broken:
            self.verdict(f"{counted(events, 'event')}; every law holds.", holds=True)
        for one in broken[:_MOST_BROKEN]:
            self.verdict(f"broken: {one}", holds=False)
        if len(broken) > _MOST_BROKEN:
            self.verdict(f"and {counted(len(broken) - _MOST_BROKEN, 'other')}", holds=False)

    def verdict(self, text: str, *, holds: bool) -> None:
        """A sentence in green or red, in as many lines as it takes: none of it may be missing."""
        text, colour = harmless(text), _GREEN if holds else _RED
        for line in [text] if self.width is None else textwrap.wrap(text, self.width, break_on_hyphens=False):
            self.write(self.coloured(line, colour))

    def squares(self, marks: list[bool]) -> None:
        """A square for each cut, whether all is as without it; rows begin with the place of their first cut."""
        room = (self.width or 80) - 8
        row = max(10, min(100, room // 10 * 10)) if room >= 10 else max(1, room)
        for begin in range(0, len(marks), row):
            some = marks[begin : begin + row]
            text = "".join(self.coloured("■", _GREEN) if same else self.coloured("✗", _RED) for same in some)
            self.write(f"{self.coloured(f'{begin + 1:>6}', _FAINT)}  {text}")

    def bar(self, done: int, steps: int) -> None:
        """How much is done, drawn over what was drawn before."""
        room = max(10, min(60, (self.width or 80) - 24))
        full = room * done // max(1, steps)
        text = f"\r  {'█' * full}{'░' * (room - full)} {done:,} of {steps:,}"
        self.stream.write(self._encodable(text))
        self.stream.flush()

    def clear_bar(self) -> None:
        """Leave nothing of the bar."""
        self.stream.write("\r\x1b[K")
        self.stream.flush()


def _width(env: Mapping[str, str]) -> int:
    told = env.get("COLUMNS", "")
    width = int(told) if told.isdecimal() and len(told) < 6 else shutil.get_terminal_size().columns
    return max(40, width)


def _bytes_of(what: Any) -> str:
    """The bytes that an event brought, as text."""
    return visible(what.data[:200]) if type(what) in (Received, Refilled) else ""


def harmless(text: str) -> str:
    """Text without anything that a terminal acts on."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def shortened(text: str, room: int | None) -> str:
    """A text in at most so many columns; None for as many as it takes."""
    if room is None or columns_of(text) <= room:
        return text
    while text and columns_of(text) >= room:
        text = text[: min(len(text) - 1, room)]
    return text + "…"


def columns_of(text: str) -> int:
    """How many columns a text takes: some letters take two, some none."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(letter) in "WF" else not combining(letter) for letter in text)
