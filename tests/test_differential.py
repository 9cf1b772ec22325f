"""Our head parser beside that of http.server: where they differ, and which section of which RFC decides.

http.server takes much that it should not, so most of what follows is a list of kinds, `THEY_TAKE`.  What it refuses
and we take is in `THEY_REFUSE`, what both take and read in two ways in `READ_TWO_WAYS`.  h11, much nearer to us, has a
module of its own, `test_h11_agreement`; where all three take a head, all three read it alike.
"""

from __future__ import annotations

import http.server
import io
from collections.abc import Callable

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpd.protocol.errors import Refusal
from httpd.protocol.message import Head
from httpd.server.limits import Limits

from .heads import feed, parser
from .strategies import examples, heads, mutated
from .test_h11_agreement import assert_the_same, judged

# (status, rule) of what we refuse and http.server takes; what it makes of it; one such head, without its end.
THEY_TAKE: dict[tuple[int, str], tuple[str, bytes]] = {
    # ---- the lines
    (400, "RFC 9112 §2.2"): ("LF ends a line as CRLF does, and a CR in a value too", b"GET / HTTP/1.0\nA: b"),
    (400, "RFC 9112 §3"): ("any whitespace parts the request-line", b"GET  /  HTTP/1.0"),
    (400, "RFC 9112 §3.1"): ("any bytes are a method", b"(GET) / HTTP/1.0"),
    (400, "RFC 9112 §C.1"): ("a line of two words is HTTP/0.9, and what follows are its fields", b"GET /"),
    (400, "RFC 9112 §2.3"): ("versions of several digits, leading zeros too", b"GET / HTTP/001.1\r\nHost: a"),
    (505, "RFC 9110 §15.6.6"): ("HTTP/0.9 by name", b"GET / HTTP/0.9"),
    # ---- the target
    (400, "RFC 9112 §3.2"): ("any bytes are a target; Host is not looked at", b"GET \xff HTTP/1.1\r\nHost: /"),
    (400, "RFC 9112 §3.2.3"): ("the target of CONNECT neither", b"CONNECT / HTTP/1.0"),
    (501, "RFC 9110 §9.3.6"): ("CONNECT is as good a method as any", b"CONNECT a:1 HTTP/1.0"),
    (400, "RFC 9112 §3.2.4"): ("the target * with any method", b"GET * HTTP/1.0"),
    (400, "RFC 3986 §2.1"): ("percent escapes are left as they are, broken ones too", b"GET /% HTTP/1.0"),
    # ---- the field lines
    (400, "RFC 9112 §5"): ("a line that is no field ends the fields, those after it are lost", b"GET / HTTP/1.0\r\nA"),
    (400, "RFC 9112 §5.1"): ("the same for whitespace before the colon", b"GET / HTTP/1.0\r\nA : b"),
    (400, "RFC 9110 §5.1"): ("most bytes make a field name, others end the fields", b"GET / HTTP/1.0\r\n(: b"),
    (400, "RFC 9112 §5.2"): ("a folded value is kept with its line ends", b"GET / HTTP/1.0\r\nA: b\r\n c"),
    (400, "RFC 9110 §5.5"): ("controls are values, NUL too", b"GET / HTTP/1.0\r\nA: \0"),
    # ---- the framing, none of which it looks at: content that is not read is taken for the next request
    (400, "RFC 9112 §6.3"): ("any Content-Length", b"POST / HTTP/1.0\r\nContent-Length: -1"),
    (400, "RFC 9112 §6.1"): ("any Transfer-Encoding", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked"),
    (501, "RFC 9112 §6.1"): ("the same", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip"),
    (411, "RFC 9112 §6.3"): ("content without a length", b"POST / HTTP/1.0"),
    (413, "RFC 9110 §15.5.14"): ("content of any length", b"POST / HTTP/1.0\r\nContent-Length: 9999999"),
    (417, "RFC 9110 §10.1.1"): ("any expectation", b"GET / HTTP/1.0\r\nExpect: a"),
}  # fmt: skip

# What http.server refuses and we take.
THEY_REFUSE: dict[str, Callable[[bytes], bool]] = {
    "RFC 9112 §2.2: an empty line first is skipped here; http.server hangs up": lambda data: data.startswith(b"\r\n"),
}


class Theirs(http.server.BaseHTTPRequestHandler):
    """What http.server makes of one head: `taken` is whether it takes it, `status` how it refuses it (0: silently)."""

    protocol_version = "HTTP/1.1"

    def __init__(self, data: bytes) -> None:
        self.rfile = io.BufferedReader(io.BytesIO(data))
        self.wfile = io.BytesIO()
        self.status = 0
        self.raw_requestline = self.rfile.readline(65_537)
        self.taken = self.parse_request()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.status = code

    def send_response_only(self, code: int, message: str | None = None) -> None:
        """A 100 goes nowhere."""

    def end_headers(self) -> None:
        pass


# What both take and read in two ways: how, a request without its end; what they read in it, what we do.
READ_TWO_WAYS: dict[str, tuple[str, bytes, Callable[[Theirs], bool], Callable[[Head], bool]]] = {
    "RFC 9112 §3.2.1": (
        "of several slashes that a target begins with they keep one, we keep all: it is a path, for the site to judge",
        b"GET //a HTTP/1.0",
        lambda theirs: theirs.path == "/a",
        lambda ours: ours.path == "//a",
    ),
    "RFC 9112 §5": (
        "whitespace after a value belongs to it for them, not for us",
        b"GET / HTTP/1.0\r\nA: b ",
        lambda theirs: theirs.headers["a"] == "b ",
        lambda ours: ours.headers["a"] == "b",
    ),
    "RFC 9110 §7.6.1": (
        "Connection is one word for them, the first such line's; for us it is a list, of all of them",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close",
        lambda theirs: not theirs.close_connection,
        lambda ours: ours.persistent is False,
    ),
}


def assert_differences_are_known(data: bytes) -> None:
    ours = feed([data], parser(Limits()))
    theirs = Theirs(data)
    if isinstance(ours, Head):
        if theirs.taken:
            assert_read_alike(ours, theirs)
        else:
            assert any(applies(data) for applies in THEY_REFUSE.values())
    elif isinstance(ours, Refusal) and theirs.taken:
        assert (ours.status, ours.rule) in THEY_TAKE


def assert_read_alike(ours: Head, theirs: Theirs) -> None:
    """But for READ_TWO_WAYS."""
    assert theirs.command == ours.method
    slashes = len(ours.target) - len(ours.target.lstrip("/"))
    assert theirs.path == (ours.target[slashes - 1 :] if slashes > 1 else ours.target)
    assert ours.version == ("1.0" if theirs.request_version == "HTTP/1.0" else "1.1")
    assert [(name, value.rstrip(" \t")) for name, value in theirs.headers.items()] == list(ours.headers)
    told = theirs.headers.get_all("connection", [])
    if told in ([], [word.rstrip(" \t") for word in told[:1] if "," not in word]):
        assert theirs.close_connection is not bool(ours.persistent)


@settings(max_examples=examples(300))
@given(heads())
def test_differences_on_requests_are_known(data: bytes) -> None:
    assert_differences_are_known(data)


@settings(max_examples=examples(600))
@given(mutated(heads()))
def test_differences_on_what_is_almost_a_request_are_known(data: bytes) -> None:
    assert_differences_are_known(data)


@settings(max_examples=examples(200))
@given(st.binary(max_size=40), st.sampled_from([b"GET /", b"GET / HTTP/1.0", b"GET / HTTP/1.0\r\nA: ", b""]))
def test_differences_on_any_bytes_are_known(noise: bytes, line: bytes) -> None:
    assert_differences_are_known(line + noise + b"\r\n\r\n")


@settings(max_examples=examples(300))
@given(heads())
def test_what_all_three_take_all_three_read_alike(data: bytes) -> None:
    ours, theirs, judge = feed([data], parser(Limits())), Theirs(data), judged(data)
    if isinstance(ours, Head) and theirs.taken and isinstance(judge, h11.Request):
        assert_read_alike(ours, theirs)
        assert_the_same(ours, judge)


@pytest.mark.parametrize(("kind", "told"), THEY_TAKE.items(), ids=lambda part: str(part[1]))
def test_each_kind_that_they_take_is_refused_here(kind: tuple[int, str], told: tuple[str, bytes]) -> None:
    _, head = told
    ours = feed([head + b"\r\n\r\n"], parser(Limits()))
    assert isinstance(ours, Refusal)
    assert (ours.status, ours.rule) == kind
    assert Theirs(head + b"\r\n\r\n").taken


def test_they_hang_up_at_an_empty_line() -> None:
    data = b"\r\nGET / HTTP/1.0\r\n\r\n"
    assert isinstance(feed([data], parser(Limits())), Head)
    theirs = Theirs(data)
    assert (theirs.taken, theirs.status) == (False, 0)


@pytest.mark.parametrize("told", READ_TWO_WAYS.values(), ids=READ_TWO_WAYS)
def test_what_is_read_in_two_ways(told: tuple[str, bytes, Callable[[Theirs], bool], Callable[[Head], bool]]) -> None:
    _, head, they_read, we_read = told
    ours, theirs = feed([head + b"\r\n\r\n"], parser(Limits())), Theirs(head + b"\r\n\r\n")
    assert isinstance(ours, Head)
    assert theirs.taken
    assert they_read(theirs)
    assert we_read(ours)


def test_what_follows_a_line_that_is_no_field_is_lost_to_them() -> None:
    """A proxy that does not lose it sees another request (RFC 9112 §11.2)."""
    theirs = Theirs(b"POST / HTTP/1.1\r\nHost: a\r\nno field\r\nContent-Length: 5\r\n\r\nhello")
    assert theirs.taken
    assert list(theirs.headers) == ["Host"]
