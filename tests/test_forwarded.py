"""Forwarded and its kin: who the client is, told from the right, whatever somebody has written on the left."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.forwarded import client_of, forwarded_hops, x_forwarded_hops
from httpd.protocol.nodes import address_of_node, plain_address

TRUSTED = ("10.0.0.1", "10.0.0.2", "2001:db8::a")


def by_forwarded(value: str) -> tuple[str, str, bool]:
    """(address, scheme, whether something was wrong)"""
    hop, wrong = client_of(forwarded_hops(value), TRUSTED.__contains__)
    return *hop, bool(wrong)


def by_x_forwarded(nodes: str, schemes: str = "") -> tuple[str, str, bool]:
    hop, wrong = client_of(x_forwarded_hops(nodes, schemes), TRUSTED.__contains__)
    return *hop, bool(wrong)


# ---- nodes


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("192.0.2.1:_hidden", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8:0:0::1]:4711", "2001:db8::1"),
        ("[::ffff:192.0.2.1]", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", ""),
        ("Unknown:80", ""),
        ("_hidden", ""),
        ("_a.b-c_d:_e", ""),
    ],
)
def test_a_node(text: str, address: str) -> None:
    assert address_of_node(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "localhost", "192.0.2", "192.0.2.256", "192.0.2.01", "192.0.2.1:", "192.0.2.1:123456", "[192.0.2.1]",
        "[2001:db8::1", "2001:db8::1]", "[fe80::1%eth0]", "fe80::1%1", "_", "_a b", "_" + "a" * 64, "192.0.2.1 ",
        "192.0.2.1\n", "١٩٢.0.2.1", "::1:::", "http://192.0.2.1",
    ],
)  # fmt: skip
def test_what_is_no_node(text: str) -> None:
    with pytest.raises(ValueError):
        address_of_node(text)
    with pytest.raises(ValueError):
        plain_address(text)


# ---- Forwarded


@pytest.mark.parametrize(
    ("value", "address", "scheme"),
    [
        ("", "", ""),
        ("for=192.0.2.1", "192.0.2.1", ""),
        ("For=192.0.2.1;Proto=HTTPS;by=203.0.113.43;host=a.example", "192.0.2.1", "https"),
        ('for="[2001:db8:cafe::17]:4711";proto=http', "2001:db8:cafe::17", "http"),
        ('for="192.0.2.1:80";proto="https"', "192.0.2.1", "https"),
        (r'for="192.0.\2.1"', "192.0.2.1", ""),
        ("proto=https;for=192.0.2.1;ext=1", "192.0.2.1", "https"),
        ("for=192.0.2.1;", "192.0.2.1", ""),
        (";;for=192.0.2.1", "192.0.2.1", ""),
        ("for=192.0.2.1,", "192.0.2.1", ""),
        (" , for=192.0.2.1\t, , ", "192.0.2.1", ""),
        # Of several the one on the right, which the proxy has written.
        ("for=6.6.6.6, for=192.0.2.1", "192.0.2.1", ""),
        ("for=6.6.6.6;proto=https, for=192.0.2.1;proto=http", "192.0.2.1", "http"),
        ("for=6.6.6.6;proto=https, for=192.0.2.1", "192.0.2.1", ""),
        # Whom it names is trusted, so what that one told counts, too.
        ("for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.1;proto=http", "192.0.2.1", "https"),
        ('for=192.0.2.1, for="[2001:db8::a]:1", for=10.0.0.2;proto=https', "192.0.2.1", "https"),
        ("for=10.0.0.1, for=10.0.0.2", "10.0.0.1", ""),
        # A comma between quotes is none.
        ('for=192.0.2.1;ext="a, for=6.6.6.6"', "192.0.2.1", ""),
        ('for=192.0.2.1;host="a\\", for=6.6.6.6;x=\\"b"', "192.0.2.1", ""),
        # Who says nothing of an address is as far as one can see.
        ("for=192.0.2.1, for=unknown", "", ""),
        ("for=192.0.2.1, for=_hidden;proto=https", "", "https"),
        ("for=192.0.2.1, proto=https", "", "https"),
        ("for=192.0.2.1, for=_hidden;proto=https, for=10.0.0.1;proto=http", "10.0.0.1", "https"),
    ],
)
def test_forwarded(value: str, address: str, scheme: str) -> None:
    assert by_forwarded(value) == (address, scheme, False)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("garbage", ""),
        ("for=", ""),
        ("for=[::1]", ""),
        ("for=2001:db8::1", ""),
        ('for="2001:db8::1"', ""),
        ('for="192.0.2.1', ""),
        ("for =192.0.2.1", ""),
        ("for=192.0.2.1; proto=http", ""),
        ("for=192.0.2.1;for=192.0.2.2", ""),
        ("for=192.0.2.1;proto=gopher", ""),
        ("for=a.example", ""),
        ('for="192.0.2.1, for=6.6.6.6"', ""),
        # What was well-formed before it counts.
        ("garbage, for=10.0.0.1", "10.0.0.1"),
        ('for="unclosed, for=10.0.0.1', "10.0.0.1"),
        ("for=6.6.6.6" + ", for=10.0.0.1" * 40, "10.0.0.1"),
    ],
)
def test_what_forwarded_does_not_say(value: str, address: str) -> None:
    assert by_forwarded(value) == (address, "", True)


@pytest.mark.parametrize("spoof", [
    "", "for=6.6.6.6", "garbage", 'for="', 'for="6.6.6.6', 'for=6.6.6.6;by="', 'for=6.6.6.6;by="\\', ",", '"', "\\",
    ";", 'for=6.6.6.6;by="a;', "for=10.0.0.1", 'for=6.6.6.6, for=10.0.0.1;by="', "for=6.6.6.6,for=", "for=6.6.6.6;by=",
])  # fmt: skip
@pytest.mark.parametrize("own", ["for=192.0.2.1", 'for="192.0.2.1:80";by="_x, y"', 'proto=http;for="192.0.2.1"'])
def test_nobody_speaks_for_the_proxy(spoof: str, own: str) -> None:
    """Whatever a client sends along, and however the proxy joins its own to it."""
    for between in (",", ", "):
        assert by_forwarded(spoof + between + own)[::2] == ("192.0.2.1", False)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60))
def test_nobody_speaks_for_the_proxy_whatever_it_is(spoof: str) -> None:
    assert by_forwarded(f'{spoof}, for="[2001:db8::1]:4711";proto=https') == ("2001:db8::1", "https", False)
    assert by_x_forwarded(f"{spoof}, 2001:db8::1", f"{spoof}, https") == ("2001:db8::1", "https", False)


# ---- X-Forwarded-For


@pytest.mark.parametrize(
    ("nodes", "schemes", "address", "scheme"),
    [
        ("", "", "", ""),
        ("192.0.2.1", "", "192.0.2.1", ""),
        ("192.0.2.1", "https", "192.0.2.1", "https"),
        ("192.0.2.1", "HTTPS", "192.0.2.1", "https"),
        ("192.0.2.1:4711", "", "192.0.2.1", ""),
        ("2001:db8::1", "", "2001:db8::1", ""),
        ("[2001:db8::1]:4711", "", "2001:db8::1", ""),
        ("::ffff:192.0.2.1", "", "192.0.2.1", ""),
        ("6.6.6.6, 192.0.2.1", "", "192.0.2.1", ""),
        ("garbage, 192.0.2.1", "https, http", "192.0.2.1", "http"),
        ("192.0.2.1, 10.0.0.1", "https, http", "192.0.2.1", "https"),
        ("192.0.2.1, 10.0.0.1", "https", "192.0.2.1", "https"),
        ("6.6.6.6, 192.0.2.1, 10.0.0.2,10.0.0.1", "https", "192.0.2.1", "https"),
        ("10.0.0.1", "", "10.0.0.1", ""),
        ("192.0.2.1, unknown", "https", "", "https"),
        (" , 192.0.2.1 , ", "", "192.0.2.1", ""),
        ("", "https", "", "https"),
    ],
)
def test_x_forwarded_for(nodes: str, schemes: str, address: str, scheme: str) -> None:
    assert by_x_forwarded(nodes, schemes) == (address, scheme, False)


@pytest.mark.parametrize(
    ("nodes", "schemes", "address"),
    [
        ("garbage", "", ""),
        ("192.0.2.1 192.0.2.2", "", ""),
        ("garbage, 10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.1", "gopher", ""),
        ("6.6.6.6" + ", 10.0.0.1" * 40, "", "10.0.0.1"),
    ],
)
def test_what_x_forwarded_for_does_not_say(nodes: str, schemes: str, address: str) -> None:
    assert by_x_forwarded(nodes, schemes) == (address, "", True)


@pytest.mark.parametrize("value", ["," * 32_000, 'a="b,' * 6_000, "for=10.0.0.1," * 2_000, 'for="' + "\\," * 15_000])
def test_long_ones_take_no_time(value: str) -> None:
    began = time.process_time()
    by_forwarded(value)
    by_x_forwarded(value)
    assert time.process_time() - began < 0.5
