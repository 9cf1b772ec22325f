"""Lesson 6: a field line is taken or refused as the server takes or refuses it.

What is right is read from the server's own trace.  The exercise leaves none: it is given a whole line, and has no part
in where that was cut or what became of the connection, so it could break no law.
"""

from __future__ import annotations

from typing import Any

from httpd import Refusal, Request, Response, text
from httpd.trace.events import FieldLine, Refused

from .saying import Wrong
from .wires import converse

__all__ = ["judge"]

# Good ones, then each fault that the lesson names, then several faults in one line: the first counts.
LINES = [
    b"Host: harbour", b"X-Tide:high", b"X-Empty:", b"X-Blanks:  \t two  words \t ", b"X-Colons: a: b",
    "X-Name: Møn".encode(), b"!#$%&'*+-.^_`|~09: every sign that a name may have",
    b"high water at nine", b"X",
    b": nine", b":", b":\x00",
    b"Host : harbour", b"Host\t: harbour", b"X-Tide \t : high",
    b"X Tide: high", b"X(Tide): high", b"X-T\xc3\xafde: high", b"X-Ti\x00de: high", b"X@: a",
    b"X-Tide: hi\x00gh", b"X-Tide: \x7f", b"X-Tide: high\x0b", b"X-Tide: \x01\x02",
    b"high \x00 water", b"X Tide : a", b"X-Tide : \x00",
]  # fmt: skip
BEFORE = b"GET / HTTP/1.0\r\n"


def judge(exercise: Any) -> None:
    """Each line gets what the server's own trace says of it."""
    for line in LINES:
        right, told = _right(line), exercise.field_line(line)
        if told != right:
            _compare(line, told, right)


def _right(line: bytes) -> tuple[str, str] | Refusal:
    """What the server says of a request with this field line."""
    played = converse([BEFORE + line + b"\r\n\r\n"], _site)
    what = next(event.what for event in played.events if isinstance(event.what, (Refused, FieldLine)))
    if isinstance(what, Refused):
        return Refusal(what.status, what.reason, what.rule, what.start - len(BEFORE), what.length)
    return what.name, what.value


def _site(request: Request) -> Response:
    return text("High water at nine.\n")


def _compare(line: bytes, told: Any, right: tuple[str, str] | Refusal) -> None:
    if not isinstance(told, Refusal):
        if isinstance(right, Refusal):
            raise Wrong(f"{line!r} is taken as {told!r}, but: {_words(line, right)}")
        raise Wrong(f"{line!r} gives {told!r}; it is good, and the server reads it as {right!r}.")
    if not isinstance(right, Refusal):
        raise Wrong(f"{line!r} is good and means {right!r}; you refuse it: {told.reason}")
    if not isinstance(told.reason, str) or not told.reason:
        raise Wrong(f"{line!r} is refused without a reason, and a person will read it.")
    for field in ("status", "rule", "start", "length"):
        yours, servers = getattr(told, field), getattr(right, field)
        if yours != servers:
            raise Wrong(f"{line!r} is refused, but with the {field} {yours!r}.  {_words(line, right)}")


def _words(line: bytes, right: Refusal) -> str:
    bad = line[right.start : right.start + right.length]
    return f"{right.reason}  {right.rule}; at fault: {bad!r}, from byte {right.start}."
