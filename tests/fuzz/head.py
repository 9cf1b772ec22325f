"""Heads: the verdict is one wherever the bytes are cut, its span lies within them, and h11 agrees where it should."""

from __future__ import annotations

from httpd.protocol.errors import Refusal
from httpd.protocol.head import UNEXPLAINED, salvage
from httpd.protocol.message import Head
from httpd.server.limits import Limits
from httpd.server.log import escape

from ..heads import SMALL, feed, parser, said
from ..scripted import one_by_one
from ..test_h11_agreement import assert_agreement
from .recipe import read_recipe

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"GET ", b"POST ", b"HEAD ", b"OPTIONS * ", b"CONNECT a:1 ", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/2.0\r\n",
    b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"Host: a\r\n", b"Host: [::1]:80\r\n", b"http://a/",
    b"Content-Length: 5\r\n", b"Content-Length: 5, 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Accept: ", b"%41", b"%00", b"?", b"#", b":", b"\xff",
    b"0GET / HTTP/1.0\r\n", b"8GET / HTTP/1.1\r\nHost: a\r\n", b"\x16\x03\x01",
]  # fmt: skip


def one_input(data: bytes) -> None:
    flags, _, stream = recipe = read_recipe(data)
    limits = SMALL if flags & 1 else Limits()
    whole = feed([stream], parser(limits))
    assert_same(feed(recipe.pieces, parser(limits)), whole)
    if len(stream) <= 96:
        assert_same(feed(one_by_one(stream), parser(limits)), whole)
    if isinstance(whole, Refusal):
        assert whole.reason != UNEXPLAINED.reason
        assert 0 <= whole.start <= whole.start + whole.length <= len(stream)
    if limits is not SMALL:
        assert_agreement(stream)
    left = salvage(stream)
    assert "\n" not in left.request_line
    assert len(left.request_line) <= 1000
    assert left.request_line.startswith(left.method)
    line = escape(left.request_line)
    assert line.isascii()
    assert line.isprintable()
    assert '"' not in line


def assert_same(one: Head | Refusal | None, other: Head | Refusal | None) -> None:
    if isinstance(one, Head) and isinstance(other, Head):
        assert said(one) == said(other)
    else:
        assert one == other
