"""Addresses as text: what a person writes, what a peer is called, what counts as one client."""

from __future__ import annotations

import socket

import pytest

from httpd.net.addresses import client_of, in_url, plain_peer, unbracketed, where_to_bind

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "wheres"),
    [
        ("127.0.0.1", [(V4, ("127.0.0.1",))]),
        ("0.0.0.0", [(V4, ("0.0.0.0",))]),
        ("::1", [(V6, ("::1", 0, 0))]),
        ("::", [(V6, ("::", 0, 0))]),
        ("fe80::1%7", [(V6, ("fe80::1", 0, 7))]),
        ("fe80::1%lo", [(V6, ("fe80::1", 0, socket.if_nametoindex("lo")))]),
        ("", [(V4, ("0.0.0.0",)), (V6, ("::", 0, 0))]),
        ("localhost", [(V4, ("127.0.0.1",)), (V6, ("::1", 0, 0))]),
    ],
)
def test_an_address_is_not_looked_up(
    host: str, wheres: list[tuple[int, tuple[object, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "getaddrinfo")
    assert where_to_bind(host) == wheres


def test_a_name_is_every_address_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str, *args: object, **more: object) -> list[tuple[int, int, int, str, tuple[object, ...]]]:
        assert name == "here.example"
        return [
            (V6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
            (V4, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
            (V4, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert where_to_bind("here.example") == [(V6, ("2001:db8::1", 0, 0)), (V4, ("192.0.2.1",))]


@pytest.mark.parametrize(
    "host", ["ü", "127.0.0.1:80", "1:2", ":::", "[::1", "fe80::1%none", "fe80::1", "a..b", "x" * 70, "a\0b"]
)
def test_what_is_no_address(host: str) -> None:
    with pytest.raises(OSError):
        where_to_bind(host)


def test_brackets_come_and_go() -> None:
    assert [unbracketed(host) for host in ("[::1]", "::1", "a", "[", "]", "")] == ["::1", "::1", "a", "[", "]", ""]
    hosts = ("::1", "127.0.0.1", "fe80::1%eth0", "localhost")
    assert [in_url(host) for host in hosts] == ["[::1]", "127.0.0.1", "[fe80::1%25eth0]", "localhost"]


@pytest.mark.parametrize(
    ("addr", "plain"),
    [
        (("192.0.2.1", 4711), ("192.0.2.1", 4711)),
        (("::ffff:192.0.2.1", 4711, 0, 0), ("192.0.2.1", 4711)),
        (("2001:db8::1", 4711, 0, 0), ("2001:db8::1", 4711, 0, 0)),
        (("fe80::1%eth0", 4711, 0, 2), ("fe80::1%eth0", 4711, 0, 2)),
        ("", ""),
        (b"\0auto", b"\0auto"),
    ],
)
def test_a_peer_has_one_name(addr: object, plain: object) -> None:
    assert plain_peer(addr) == plain


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::1", "192.0.2.1", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("fe80::1%eth0", "fe80::1%eth0", True),
    ],
)
def test_what_counts_as_one_client(one: str, other: str, same: bool) -> None:
    assert (client_of(one) == client_of(other)) is same
