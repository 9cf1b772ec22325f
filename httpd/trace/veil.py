"""Hiding what must not be recorded: the values of some fields, each byte of them replaced by an asterisk.

A veil lies over one direction of a connection and remembers where in its lines it is, so that a value is hidden however
the bytes were cut: a field's name always comes before its value.  It knows nothing of heads and bodies: a line that
looks like such a field is hidden wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

__all__ = ["REDACTED", "Veil", "starred"]

REDACTED = ("cookie", "authorization", "proxy-authorization", "set-cookie")

# Blanks and controls stay: a value that is refused for them is refused in the replay, too.
_STARS = bytes(ord("*") if 0x20 < byte < 0x7F or byte > 0x7F else byte for byte in range(256))
# How much of a line is remembered to find the name in it: no name and blanks before its colon are as long.
_MOST_OF_LINE = 256


def starred(value: str) -> str:
    """A field's value as the veil leaves it."""
    return value.encode("latin-1").translate(_STARS).decode("latin-1")


@cache
def _compiled(names: tuple[str, ...]) -> tuple[re.Pattern[bytes], tuple[bytes, ...]]:
    """What finds a field of one of these names; and the names that all others hold, by which to look first."""
    known = [name.lower().encode("latin-1") for name in names]
    # Without names nothing is looked for, and nothing is found.
    listed = b"|".join(map(re.escape, known))
    field = re.compile(rb"(?:" + listed + rb")[ \t]*:" if listed else rb"(?!)", re.IGNORECASE)
    roots = [name for name in known if not any(other in name for other in known if other != name)]
    return field, tuple(roots)


class Veil:
    """Hides the values of the named fields in a stream that comes in pieces."""

    def __init__(self, names: Iterable[str] = REDACTED) -> None:
        self._field, self._roots = _compiled(tuple(names))
        self._line = b""  # the unfinished line, as far as it may tell
        self._hides = False  # the unfinished line's value
        self._hid = False  # that of the line before, which this one may continue

    def __call__(self, data: bytes) -> str:
        """The next piece of the stream, as the trace may have it."""
        if not self._hides and not self._hid and self._has_none(data):
            begun = data.rfind(b"\n") + 1
            self._line = (data[begun:] if begun else self._line + data)[:_MOST_OF_LINE]
            return data.decode("latin-1")
        parts, at = [], 0
        while at < len(data):
            end = data.find(b"\n", at) + 1 or len(data)
            parts.append(self._part(data[at:end]))
            at = end
        return b"".join(parts).decode("latin-1")

    def _has_none(self, data: bytes) -> bool:
        """Whether no name begins or ends in this piece.  A pattern would take ten times as long to say so."""
        lower = (self._line + data if self._line else data).lower()
        for root in self._roots:  # noqa: SIM110
            if root in lower:
                return False
        return True

    def _part(self, part: bytes) -> bytes:
        """A line, or a part of one."""
        known = len(self._line)
        line = (self._line + part)[:_MOST_OF_LINE]
        shown = 0
        if not self._hides:
            field = self._field.match(line)
            self._hides = field is not None or (self._hid and line[:1] in (b" ", b"\t"))
            shown = field.end() - known if field is not None else 0
        if self._hides:
            part = part[:shown] + part[shown:].translate(_STARS)
        if part.endswith(b"\n"):
            self._line, self._hid, self._hides = b"", self._hides, False
        else:
            self._line = line
        return part
