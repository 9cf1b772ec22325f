"""Which media type, and which coding, a client would rather have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.negotiation import best, preferred_coding, quality, varying

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
# The example of RFC 9110 §12.5.1.
EXAMPLE = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"

OFFERS = ["text/html", "application/json", "text/plain"]


@pytest.mark.parametrize(
    ("accept", "media_type", "expected"),
    [
        (EXAMPLE, "text/plain;format=flowed", 1.0),
        (EXAMPLE, "text/plain", 0.7),
        (EXAMPLE, "text/html", 0.3),
        (EXAMPLE, "image/jpeg", 0.5),
        (EXAMPLE, "text/plain;format=fixed", 0.4),
        (EXAMPLE, "text/html;level=3", 0.3),
        (BROWSER, "text/html", 1.0),
        (BROWSER, "application/json", 0.8),
        ("", "a/b", 1.0),
        ("*/*", "a/b", 1.0),
        ("text/html", "a/b", 0.0),
        ("text/html;q=0, */*", "text/html", 0.0),
        ("TEXT/Html", "text/HTML", 1.0),
        ("text/html;Q=0.5", "text/html", 0.5),
        ("text/html ; q=0.5 , x/y", "text/html", 0.5),
        ("text/html;q=1.000", "text/html", 1.0),
        ("text/html;q=0.", "text/html", 0.0),
        ("text/html;level=1", "text/html", 0.0),
        ('a/b;c="d,e/f;q=0", g/h', "g/h", 1.0),
        ('a/b;c="d,e/f;q=0", g/h', "e/f", 0.0),
        ('a/b;c="D"', "a/b;c=d", 1.0),
        # ---- members that do not follow the grammar are passed over
        ("text/html;q=2, */*;q=0.1", "text/html", 0.1),
        ("text/html;q=0.1234, */*;q=0.1", "text/html", 0.1),
        ("text/html;q, */*;q=0.1", "text/html", 0.1),
        ("*, */*;q=.2", "text/html", 1.0),
        ("*/html;q=0.5, x/y", "text/html", 0.0),
        ("nonsense", "text/html", 1.0),
        (",,", "text/html", 1.0),
        ('a/b;c="d', "a/b", 1.0),
        ('x/y, a/b;c="d, e/f', "e/f", 0.0),
        ('x/y, a/b;c="d\\', "a/b", 0.0),
        # ---- a type that is none is not welcome, unless everything is
        ("text/html", "nonsense", 0.0),
    ],
)
def test_quality(accept: str, media_type: str, expected: float) -> None:
    assert quality(accept, media_type) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        (BROWSER, "text/html"),
        ("application/json", "application/json"),
        ("text/plain, application/json", "application/json"),
        ("text/plain, application/json;q=0.9", "text/plain"),
        ("text/*", "text/html"),
        ("text/html;q=0.1, */*", "application/json"),
        ("image/png", "text/html"),
        ("*/*;q=0", "text/html"),
    ],
)
def test_the_best_of_three(accept: str, expected: str) -> None:
    assert best(accept, OFFERS) == expected


@given(st.text('ab/*;q=01.5, \t"\\', max_size=40))
def test_any_value_has_an_answer(accept: str) -> None:
    assert 0.0 <= quality(accept, "a/b") <= 1.0
    assert best(accept, OFFERS) in OFFERS


def test_only_so_many_members_are_looked_at() -> None:
    assert quality("a/b;q=0.5," + "x/y," * 48 + "c/d", "c/d") == 1.0
    assert quality("a/b;q=0.5," + "x/y," * 49 + "c/d", "c/d") == 0.0


@pytest.mark.parametrize("member", ['"\\', '"', ";", ";a=b", "a/b,", ",", " ", 'a/b;c="'])
def test_no_value_is_slow(member: str) -> None:
    # Had any byte to be looked at again for every other, this would take minutes.
    best("a/b" + member * 100_000, OFFERS)


# ---- codings

OFFERED = ("br", "gzip", "zstd")


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("X-GZIP;q=0.5, zstd;q=0.4", "gzip"),
        ("deflate", ""),
        ("deflate, compress, dcb", ""),
        ("br;q=0.5, gzip;q=0.6", "gzip"),
        ("br;q=0.5, gzip;q=0.5", "br"),
        ("gzip;q=0", ""),
        ("gzip;q=0.000, br;q=0.0", ""),
        ("gzip;q=0.001", "gzip"),
        ("gzip;Q=1.000", "gzip"),
        ("gzip ; q=0.5 , br ; q=0.4", "gzip"),
        # ---- everything else
        ("*", "br"),
        ("*;q=0.1", "br"),
        ("*;q=0", ""),
        ("br;q=0, *", "gzip"),
        ("*, br;q=0", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("br;q=0.3, *;q=0.2", "br"),
        # ---- identity
        ("identity", ""),
        ("identity, gzip", "gzip"),
        ("identity;q=0.5, gzip;q=0.4", ""),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0", ""),
        ("identity;q=0, *", "br"),
        ("identity;q=0, deflate", ""),
        ("identity;q=1, *;q=0", ""),
        ("identity;q=1, *;q=0.5", ""),
        # ---- members that do not follow the grammar, and repeated ones
        ("gzip;q=2", ""),
        ("gzip;q=0.1234, zstd", "zstd"),
        ("gzip;q=", ""),
        ("gzip;level=9", ""),
        ("gzip;q=-1, zstd", "zstd"),
        ("gzip br", ""),
        (",, ,gzip,", "gzip"),
        ('"gzip"', ""),
        ("gzip;q=0, gzip", ""),
        ("gzip, gzip;q=0", "gzip"),
        ("gzip;q=0, x-gzip", ""),
    ],
)
def test_the_preferred_coding(accept_encoding: str, expected: str) -> None:
    for _ in range(2):
        assert preferred_coding(accept_encoding, OFFERED) == expected


def test_without_an_offer_there_is_no_coding() -> None:
    assert preferred_coding("gzip, *", ()) == ""


@given(st.text("gzipbr*;q=01.5, \t-", max_size=300))
def test_any_value_has_a_coding(accept_encoding: str) -> None:
    assert preferred_coding(accept_encoding, OFFERED) in ("", *OFFERED)


def test_of_codings_too_only_so_many_are_looked_at() -> None:
    assert preferred_coding("x," * 49 + "gzip", OFFERED) == "gzip"
    assert preferred_coding("x," * 50 + "gzip", OFFERED) == ""


@pytest.mark.parametrize("member", [",", " ", "gzip;", "gzip;q=0", "gzip ,", "\t", "x,"])
def test_no_coding_is_slow(member: str) -> None:
    preferred_coding("br" + member * 100_000, OFFERED)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], "Accept-Encoding"),
        ([("Vary", "Accept")], "Accept, Accept-Encoding"),
        ([("Vary", "accept-encoding")], "accept-encoding"),
        ([("vary", "Accept , Cookie"), ("Vary", "Origin")], "Accept, Cookie, Origin, Accept-Encoding"),
        ([("Vary", "*")], "*"),
        ([("Vary", "")], "Accept-Encoding"),
    ],
)
def test_vary_is_one_line(before: list[tuple[str, str]], after: str) -> None:
    assert varying([("X", "1"), *before, ("Y", "2")], "Accept-Encoding") == [("X", "1"), ("Y", "2"), ("Vary", after)]
