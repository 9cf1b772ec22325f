"""Conditions, ranges and preferences: any field value has an answer, and it is what a slow and simple reading gives."""

from __future__ import annotations

import itertools
import math

from httpd.protocol.message import Headers
from httpd.protocol.negotiation import best, quality
from httpd.protocol.ranges import MAX_RANGES, byteranges, if_range, parse_range
from httpd.protocol.validators import evaluate, http_date, parse_http_date

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"\n", b'"a"', b'W/"a"', b"*", b",", b"bytes=", b"0-", b"-5", b"0-0", b"9-", b"-", b"99999999999999999999999",
    b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994", b":60 GMT",
    b"text/html", b"text/*;q=0.5", b"*/*", b"application/json", b";q=1", b';a="b,c"', b"q=0.001",
]  # fmt: skip

FIELDS = ["If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since"]
OFFERS = ["text/html", "application/json", "text/plain;charset=utf-8"]
SIZES = [0, 1, 10, 1000, 1 << 40]
ETAGS = ['"a"', 'W/"a"', "", '"b-1"']


def one_input(data: bytes) -> None:
    """The first byte chooses what there is; then a line each: four conditions, Range, If-Range, Accept."""
    choice, data = (data[0], data[1:]) if data else (0, b"")
    lines = [line.strip(" \t") for line in data.decode("latin-1").split("\n")]
    lines += [""] * 7
    conditions(lines[:4], ETAGS[choice % 4], 784_111_777.5 if choice & 4 else None)
    ranges(lines[4], SIZES[choice % 5])
    if_range(lines[5], ETAGS[choice % 4], 784_111_777.5)
    for line in (lines[2], lines[3], lines[5]):
        date(line)
    preferences(lines[6])


def conditions(values: list[str], etag: str, mtime: float | None) -> None:
    headers = Headers([(name, value) for name, value in zip(FIELDS, values, strict=True) if value])
    for method in ("GET", "HEAD", "PUT"):
        verdict = evaluate(method, headers, etag, mtime)
        assert verdict in (0, 304, 412)
        assert verdict != 304 or method != "PUT"
        assert verdict == 0 or len(headers)
    assert evaluate("GET", headers, etag, mtime) == evaluate("HEAD", headers, etag, mtime)


def date(value: str) -> None:
    seconds = parse_http_date(value)
    if seconds is not None:
        assert parse_http_date(http_date(seconds)) == seconds


def ranges(value: str, size: int) -> None:
    parts = parse_range(value, size)
    if parts is None:
        return
    assert len(parts) <= MAX_RANGES
    assert all(start >= 0 and length > 0 and start + length <= size for start, length in parts)
    ordered = sorted(parts)
    assert all(a + length < b for (a, length), (b, _) in itertools.pairwise(ordered))
    frames, total = byteranges(parts, size, [("Content-Type", "text/plain")], "boundary")
    assert len(frames) == len(parts) + 1
    assert total == sum(map(len, frames)) + sum(length for _, length in parts)
    if size <= 1000:
        wanted = asked(value, size)
        assert {at for start, length in parts for at in range(start, start + length)} == wanted


def asked(value: str, size: int) -> set[int]:
    """The positions that a range set names, one by one; none at all where one range ends before it begins."""
    positions: set[int] = set()
    for member in value.partition("=")[2].split(","):
        first, _, last = member.strip(" \t").partition("-")
        if first and last and int(last) < int(first):
            return set()
        if first:
            positions.update(range(min(int(first), size), min(int(last) + 1 if last else size, size)))
        elif last:
            positions.update(range(max(0, size - int(last)), size))
    return positions


def preferences(accept: str) -> None:
    qualities = [quality(accept, offer) for offer in OFFERS]
    assert all(0.0 <= each <= 1.0 and not math.isnan(each) for each in qualities)
    assert OFFERS.index(best(accept, OFFERS)) == qualities.index(max(qualities))
