"""h11, as a server, judges our parser: they agree on every request, but for a list of differences, each with a section.

What h11 takes and we refuse is refused for one of the rules in `WE_ARE_STRICTER`.  What h11 refuses and we take is in
`H11_IS_STRICTER`.  What both take they read alike.
"""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpd.protocol.errors import Refusal
from httpd.protocol.message import Head
from httpd.server.limits import Limits

from .heads import feed, parser, said
from .scripted import every_cut
from .strategies import examples, heads, mutated

# (status, rule) of what we refuse and h11 takes, and what h11 makes of it.
WE_ARE_STRICTER = {
    # ---- named in what the server owes
    (400, "RFC 9112 §5.2"): "h11 unfolds a line that is folded",
    (400, "RFC 9112 §2.2"): "h11 takes LF alone as a line end, which the section allows a server to do or not",
    (400, "RFC 9112 §6.3"): "h11 takes Content-Length beside Transfer-Encoding, and lets the coding win",
    (400, "RFC 9112 §6.1"): "h11 takes Transfer-Encoding in an HTTP/1.0 request",
    (505, "RFC 9110 §15.6.6"): "h11 leaves the version to its caller",
    # ---- an HTTP/1.0 server has no chunked content, and wants the length of what it is to keep
    (411, "RFC 9112 §6.3"): "h11 decodes chunked content; it takes POST without a length as one without content",
    # ---- what h11 leaves to its caller
    (400, "RFC 9112 §3.2"): "h11 looks neither into a target nor into the Host, but for there being one",
    (400, "RFC 9112 §3.2.3"): "h11 does not look into the target of CONNECT",
    (501, "RFC 9110 §9.3.6"): "h11 leaves CONNECT to its caller",
    (400, "RFC 9112 §3.2.4"): "h11 takes the target * with any method",
    (400, "RFC 9112 §3"): "h11 takes a fragment in the target",
    (400, "RFC 3986 §2.1"): "h11 does not look at percent escapes",
    (400, "RFC 9110 §5.5"): "h11 takes every control in a value but NUL, CR and LF, which the section allows it to",
    (417, "RFC 9110 §10.1.1"): "h11 leaves expectations to its caller",
    (413, "RFC 9110 §15.5.14"): "h11 has no limit for content",
}  # fmt: skip

# The messages of h11 where it refuses what we take.
H11_IS_STRICTER = {
    "no request line received": "RFC 9112 §2.2: we skip up to two empty lines before the request-line",
    "illegal request line": "the same, of one empty line",
}


def judged(data: bytes) -> h11.Request | str | None:
    """What h11 says of the first request: the request, the message of a refusal, or None where it waits."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return str(error)
    return event if isinstance(event, h11.Request) else None


def wherever_cut(data: bytes) -> Head | Refusal | None:
    """What we say of the first request, the same in every cut."""
    whole = feed([data], parser(Limits()))
    for pieces in every_cut(data):
        cut = feed(pieces, parser(Limits()))
        assert said(cut) == said(whole) if isinstance(whole, Head) and isinstance(cut, Head) else cut == whole
    return whole


def assert_agreement(data: bytes) -> None:
    theirs = judged(data)
    ours = feed([data], parser(Limits()))
    if isinstance(ours, Head):
        if isinstance(theirs, h11.Request):
            assert_the_same(ours, theirs)
        else:
            assert theirs in H11_IS_STRICTER
            assert data.startswith(b"\r\n")
    elif isinstance(ours, Refusal) and isinstance(theirs, h11.Request):
        assert (ours.status, ours.rule) in WE_ARE_STRICTER


def assert_the_same(ours: Head, theirs: h11.Request) -> None:
    assert ours.method.encode() == theirs.method
    assert ours.target.encode() == theirs.target
    assert ours.version == ("1.0" if theirs.http_version == b"1.0" else "1.1")
    told = [(name.lower().encode(), value.encode("latin-1")) for name, value in ours.headers]
    heard = list(theirs.headers)
    if "content-length" in ours.headers:
        # h11 keeps one Content-Length where several or a list say the same.
        assert {int(value) for name, value in heard if name == b"content-length"} == {ours.content_length}
        told = [line for line in told if line[0] != b"content-length"]
        heard = [line for line in heard if line[0] != b"content-length"]
    assert told == heard


@settings(max_examples=examples(500))
@given(heads())
def test_h11_and_we_agree_on_requests(data: bytes) -> None:
    assert_agreement(data)


@settings(max_examples=examples(1000))
@given(mutated(heads()))
def test_h11_and_we_agree_on_what_is_almost_a_request(data: bytes) -> None:
    assert_agreement(data)


@settings(max_examples=examples(200))
@given(st.binary(max_size=40), st.sampled_from([b"", b" HTTP/1.0", b" HTTP/1.0\r\nA: "]))
def test_h11_and_we_agree_on_any_bytes(noise: bytes, line: bytes) -> None:
    assert_agreement(b"GET /" + line + noise + b"\r\n\r\n")


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nB: c\r\n d\r\n\r\n", "RFC 9112 §5.2"),
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "RFC 9112 §2.2"),
        (POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 §6.3"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "RFC 9112 §6.1"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "RFC 9110 §15.6.6"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", "RFC 9112 §6.3"),
        (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 9112 §3.2"),
        (b"GET / HTTP/1.1\r\nHost: /\r\n\r\n", "RFC 9112 §3.2"),
        (b"GET / HTTP/1.9\r\n\r\n", "RFC 9112 §3.2"),
        (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 9112 §3.2.3"),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 9110 §9.3.6"),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 9112 §3.2.4"),
        (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 9112 §3"),
        (b"GET /%0 HTTP/1.1\r\nHost: a\r\n\r\n", "RFC 3986 §2.1"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nB: \x01\r\n\r\n", "RFC 9110 §5.5"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: b\r\n\r\n", "RFC 9110 §10.1.1"),
        (POST + b"Content-Length: 99999999\r\n\r\n", "RFC 9110 §15.5.14"),
    ],
)
def test_each_difference_is_one(data: bytes, rule: str) -> None:
    ours = wherever_cut(data)
    assert isinstance(ours, Refusal)
    assert ours.rule == rule
    assert (ours.status, ours.rule) in WE_ARE_STRICTER
    assert isinstance(judged(data), h11.Request)


@pytest.mark.parametrize("empty", [b"\r\n", b"\r\n\r\n"])
def test_h11_takes_no_empty_line_before_a_request(empty: bytes) -> None:
    data = empty + b"GET / HTTP/1.0\r\n\r\n"
    assert judged(data) in H11_IS_STRICTER
    assert isinstance(wherever_cut(data), Head)
