"""Requests to begin with in the lab: good ones, and for each rule some that break it.

They are few, and chosen to be looked at.  What the server refuses in all is a table of the tests, and the README's.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PRESETS", "Case", "Group", "presets_json"]


class Case(NamedTuple):
    """A request; `text` has one character a byte.  `status` is what it is refused with, 0 where it is good."""

    name: str
    text: str
    status: int = 400


class Group(NamedTuple):
    """The cases of one rule."""

    rule: str
    title: str
    cases: tuple[Case, ...]


_HOST = "Host: localhost\r\n"
_FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
_END = "\r\n"


def _get(lines: str = "", first: str = "GET / HTTP/1.1") -> str:
    return f"{first}\r\n{_HOST}{lines}{_END}"


def _post(lines: str, content: str = "") -> str:
    return f"POST / HTTP/1.1\r\n{_HOST}{lines}{_END}{content}"


PRESETS = (
    Group(
        "RFC 9112 §2.1",
        "A good request",
        (
            Case("a page", _get("Connection: close\r\n"), 0),
            Case("HTTP/1.0, of one line", "GET / HTTP/1.0\r\n\r\n", 0),
            Case("two, one behind the other", _get() + _get("Connection: close\r\n", "HEAD / HTTP/1.1"), 0),
            Case("a form", _post(f"{_FORM}Content-Length: 9\r\n", "a=1&b=two"), 0),
            Case("an empty line before it", "\r\n" + _get("Connection: close\r\n"), 0),
        ),
    ),
    Group(
        "RFC 9112 §2.2",
        "Where a line ends",
        (
            Case("LF without CR", "GET / HTTP/1.1\nHost: localhost\r\n\r\n"),
            Case("CR without LF, in a value", _get("A: b\rTransfer-Encoding: chunked\r\n")),
            Case("a space before the first field", "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n"),
        ),
    ),
    Group(
        "RFC 9112 §3",
        "The request-line",
        (
            Case("two spaces after the method", _get(first="GET  / HTTP/1.1")),
            Case("a space in the target", _get(first="GET /a b HTTP/1.1")),
            Case("NUL in the target", _get(first="GET /a\0b HTTP/1.1")),
            Case("a broken escape", _get(first="GET /a%zz HTTP/1.1")),
            Case("HTTP/2.0", _get(first="GET / HTTP/2.0"), 505),
            Case("the hello of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello\r\n\r\n"),
        ),
    ),
    Group(
        "RFC 9112 §3.2",
        "Whom it is for",
        (
            Case("no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n"),
            Case("two Hosts", _get("Host: example.com\r\n")),
            Case("markup for a Host", "GET / HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n"),
        ),
    ),
    Group(
        "RFC 9112 §5",
        "Field lines",
        (
            Case("a space before the colon", _get("name : value\r\n")),
            Case("no colon", _get("field\r\n")),
            Case("a folded line", _get("A: b\r\n folded\r\n")),
            Case("NUL in a value", _get("A: b\0c\r\n")),
            Case("a bracket in a name", _get("na(me: value\r\n")),
        ),
    ),
    Group(
        "RFC 9112 §6.3",
        "Where the request ends",
        (
            Case("a length with a sign", _post("Content-Length: +5\r\n", "hello")),
            Case("two lengths", _post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")),
            Case("no length", _post(""), 411),
            Case("a length and a coding", _post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
            Case("chunked content", _post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 411),
            Case("another coding", _post("Transfer-Encoding: gzip\r\n", "hello"), 501),
        ),
    ),
    Group(
        "RFC 6585 §5",
        "Too much of it",
        (
            Case("a long request-line", _get(first=f"GET /{'a' * 9000} HTTP/1.1"), 414),
            Case("many field lines", _get("A: b\r\n" * 101), 431),
            Case("much content announced", _post("Content-Length: 99999999\r\n"), 413),
        ),
    ),
)  # fmt: skip


def presets_json() -> list[dict[str, object]]:
    """The groups as JSON takes them."""
    return [
        {
            "rule": group.rule,
            "title": group.title,
            "cases": [{"name": case.name, "bytes": case.text, "status": case.status} for case in group.cases],
        }
        for group in PRESETS
    ]
