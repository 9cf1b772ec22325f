"""The patterns, each against what its rule says."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol import grammar

FIELDS = "Host: a\r\nEmpty:\r\nSpaced: \t b c\r\n"


@pytest.mark.parametrize("name", ["a", "GET", "M-SEARCH", "!#$%&'*+-.^_`|~09azAZ"])
def test_a_token(name: str) -> None:
    assert grammar.TOKEN.fullmatch(name)


@pytest.mark.parametrize(
    "character", [chr(code) for code in range(256) if chr(code) in '\0\t\r\n "(),/:;<=>?@[\\]{}\x7f\xff']
)
def test_not_a_token(character: str) -> None:
    assert not grammar.TOKEN.fullmatch(f"a{character}")


@given(st.lists(st.sampled_from(["1", "ab", "12345", ":", ":", "::", "1.2.3.4", "1.2.3.256", "01.2.3.4"]), max_size=14))
def test_ipv6_addresses_are_those_of_the_standard_library(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        assert not re.fullmatch(grammar.ipv6_address, text)
    else:
        assert re.fullmatch(grammar.ipv6_address, text)


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_a_host(address: ipaddress.IPv6Address) -> None:
    assert grammar.is_host(f"[{address}]:80")
    assert grammar.is_host(f"[{address.exploded}]")


@pytest.mark.parametrize("host", ["", "a", "a:", "a:80", "a.b-c_d~", "%41", "1.2.3.4:5", "[::]", "[v7.x:y]", "a,b;c=d"])
def test_a_host(host: str) -> None:
    assert grammar.is_host(host)


@pytest.mark.parametrize(
    "host", [":", ":80", "a:b", "a:80:80", "a b", "a/b", "a@b", "[a", "[::1", "[::1]a", "%4", "\xe9"]
)
def test_not_a_host(host: str) -> None:
    assert not grammar.is_host(host)


@pytest.mark.parametrize("text", ["", "%", "%4", "%zz", "a%4z", "%%41", "%-1", "% 1"])
def test_a_broken_escape(text: str) -> None:
    assert bool(grammar.BAD_ESCAPE.search(text)) is bool(text)
    if text:
        with pytest.raises(ValueError, match="not a percent escape"):
            grammar.percent_decode(text.encode())


@given(st.binary())
def test_percent_decoding_undoes_percent_encoding(data: bytes) -> None:
    assert grammar.percent_decode("".join(f"%{octet:02x}" for octet in data).encode()) == data
    assert grammar.percent_decode("".join(f"%{octet:02X}" for octet in data).encode()) == data


def test_percent_decoding_happens_once() -> None:
    assert grammar.percent_decode(b"%2541+%C3%a9") == b"%41+\xc3\xa9"


def test_both_patterns_of_field_lines_read_alike() -> None:
    assert grammar.PADDED_FIELD_LINE.findall(FIELDS) == [("Host", "a"), ("Empty", ""), ("Spaced", "b c")]
    assert grammar.FIELD_LINE.findall(FIELDS) == [("Host", "a"), ("Empty", ""), ("Spaced", "b c")]


def test_padding_is_for_the_second_pattern() -> None:
    text = "C: d\r\nA: b \r\nE: \r\n"
    assert grammar.PADDED_FIELD_LINE.findall(text) == [("C", "d"), ("A", "b"), ("E", "")]
    assert grammar.FIELD_LINE.findall(text) == [("C", "d"), ("", "")]


@given(
    st.lists(st.sampled_from(["a", "B", ":", ": ", " ", "\t", "\r\n", "\r", "\n", "\0", "\xff", "x: y"]), max_size=20)
)
def test_what_is_no_field_line_has_no_name_and_takes_the_rest(parts: list[str]) -> None:
    text = "".join(parts) + "\r\n"
    lines = text.split("\r\n")[:-1]
    good = all(re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t -~\x80-\xff]*", line) for line in lines)
    found = grammar.PADDED_FIELD_LINE.findall(text)
    assert bool(found[-1][0]) is good
    assert all(name for name, _ in found[:-1])
    *named, last = grammar.FIELD_LINE.findall(text)
    assert named == found[: len(named)]
    assert last in (("", ""), found[-1])


@pytest.mark.parametrize("value", ["0", "00", "5", "5,5", "5 ,\t5, 5", "9" * 50])
def test_a_content_length(value: str) -> None:
    assert grammar.CONTENT_LENGTH.fullmatch(value)


@pytest.mark.parametrize(
    "value", ["", ",", "5,", ",5", "5,,5", "-5", "+5", "5.0", "5e1", "0x5", "5 5", "５", "²", "5\n"]
)
def test_not_a_content_length(value: str) -> None:
    assert not grammar.CONTENT_LENGTH.fullmatch(value)
