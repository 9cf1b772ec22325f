"""Requests to begin with in the lab: good ones, and for each rule some that break it.

They are chosen to be looked at: one or two for each thing that is refused, under the rule that the refusal names.  All
that is refused is a table of the tests, which hold the two together, and a page of the README.
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
    """The cases of one rule, the one that their refusal names; "" for what is good."""

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
        "",
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
            Case("three empty lines before it", "\r\n\r\n\r\n" + _get()),
        ),
    ),
    Group(
        "RFC 9112 §2.3",
        "The version",
        (
            Case("a space in the target", _get(first="GET /a b HTTP/1.1")),
            Case("a version in lower case", _get(first="GET / http/1.1")),
        ),
    ),
    Group(
        "RFC 9110 §15.6.6",
        "Other versions",
        (Case("HTTP/2.0", _get(first="GET / HTTP/2.0"), 505),),
    ),
    Group(
        "RFC 9112 §C.1",
        "No version at all",
        (Case("HTTP/0.9", "GET /\r\n\r\n"),),
    ),
    Group(
        "RFC 9112 §3",
        "The request-line",
        (
            Case("the hello of TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello\r\n\r\n"),
            Case("a comma in the method", _get(first="GE,T / HTTP/1.1")),
            Case("a method alone", _get(first="GET")),
            Case("two spaces after the method", _get(first="GET  / HTTP/1.1")),
            Case("two spaces after the target", _get(first="GET /  HTTP/1.1")),
            Case("NUL in the target", _get(first="GET /a\0b HTTP/1.1")),
            Case("a word after the version", _get(first="GET / HTTP/1.1 x")),
            Case("a long request-line", _get(first=f"GET /{'a' * 9000} HTTP/1.1"), 414),
        ),
    ),
    Group(
        "RFC 9112 §3.1",
        "The method",
        (Case("a space first", " " + _get()),),
    ),
    Group(
        "RFC 9112 §3.2",
        "Whom it is for",
        (
            Case("no target", _get(first="GET ")),
            Case("a relative path", _get(first="GET a/b HTTP/1.1")),
            Case("no Host", "GET / HTTP/1.1\r\nA: b\r\n\r\n"),
            Case("two Hosts", _get("Host: example.com\r\n")),
            Case("markup for a Host", "GET / HTTP/1.1\r\nHost: <script>alert(1)</script>\r\n\r\n"),
        ),
    ),
    Group(
        "RFC 9112 §3.2.3",
        "A host and a port",
        (Case("CONNECT without a port", _get(first="CONNECT a.example HTTP/1.1")),),
    ),
    Group(
        "RFC 9112 §3.2.4",
        "All of the server",
        (Case("* for a GET", _get(first="GET * HTTP/1.1")),),
    ),
    Group(
        "RFC 9110 §9.3.6",
        "Proxies",
        (Case("CONNECT", _get(first="CONNECT a.example:443 HTTP/1.1"), 501),),
    ),
    Group(
        "RFC 3986 §2.1",
        "Escapes",
        (
            Case("a broken escape", _get(first="GET /a%zz HTTP/1.1")),
            Case("an escaped NUL", _get(first="GET /a%00 HTTP/1.1")),
        ),
    ),
    Group(
        "RFC 9112 §5",
        "Field lines",
        (
            Case("no colon", _get("field\r\n")),
            Case("no name", _get(": value\r\n")),
        ),
    ),
    Group(
        "RFC 9112 §5.1",
        "Before the colon",
        (Case("a space before the colon", _get("name : value\r\n")),),
    ),
    Group(
        "RFC 9112 §5.2",
        "Folded lines",
        (Case("a folded line", _get("A: b\r\n folded\r\n")),),
    ),
    Group(
        "RFC 9110 §5.1",
        "Field names",
        (Case("a bracket in a name", _get("na(me: value\r\n")),),
    ),
    Group(
        "RFC 9110 §5.5",
        "Field values",
        (Case("NUL in a value", _get("A: b\0c\r\n")),),
    ),
    Group(
        "RFC 9112 §6.1",
        "Transfer codings",
        (
            Case("another coding than chunked", _post("Transfer-Encoding: gzip\r\n", "hello"), 501),
            Case("chunked in HTTP/1.0", f"POST / HTTP/1.0\r\n{_HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
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
        ),
    ),
    Group(
        "RFC 9110 §10.1.1",
        "Expectations",
        (Case("another expectation", _post("Content-Length: 5\r\nExpect: cake\r\n", "hello"), 417),),
    ),
    Group(
        "RFC 6585 §5",
        "Too much of the head",
        (
            Case("many field lines", _get("A: b\r\n" * 101), 431),
        ),
    ),
    Group(
        "RFC 9110 §15.5.14",
        "Too much content",
        (Case("much content announced", _post("Content-Length: 99999999\r\n"), 413),),
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
