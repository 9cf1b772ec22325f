"""What proxies say, and a TLS client's hello: what follows changes nothing, and nobody else speaks for the proxy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from httpd.net.hello import offered_protocols
from httpd.protocol.forwarded import client_of, forwarded_hops, x_forwarded_hops
from httpd.protocol.nodes import plain_address
from httpd.protocol.preamble import LONGEST, read_preamble

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"192.0.2.1 ", b"2001:db8::1 ", b"4711 ", b"443\r\n", b"\r\n",
    b"\r\n\r\n\0\r\nQUIT\n", b"\x21\x11\x00\x0c", b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"\x20\x00\x05\x01",
    b"for=", b"proto=https", b";", b",", b", ", b'"', b"\\", b"=", b"[2001:db8::1]", b":80", b"unknown", b"_hidden",
    b"for=10.0.0.1", b"10.0.0.1, ", b"\x16\x03\x01\x00\x30", b"\x01\x00\x00\x2c\x03\x03", b"\x00\x10\x00\x0e",
    b"\x02h2",
]  # fmt: skip

OWN = "192.0.2.77"


def one_input(data: bytes) -> None:
    said = alike_however_much_follows(read_preamble, data)
    assert said is None or said.length <= min(len(data), LONGEST)
    assert said is None or said.client is None or plain_address(said.client[0]) == said.client[0]
    alike_however_much_follows(offered_protocols, data)
    field = "".join(char for char in data.decode("latin-1") if char.isprintable() or char == "\t")
    for hops, own in (
        (forwarded_hops, f'for="{OWN}:1";proto=https'),
        (lambda value: x_forwarded_hops(value, "http, https"), OWN),
    ):
        hop, _ = client_of(hops(field), lambda address: address.startswith("10."))
        assert hop.address == "" or plain_address(hop.address) == hop.address
        assert hop.scheme in ("", "http", "https")
        joined, wrong = client_of(hops(f"{field}, {own}"), lambda address: address.startswith("10."))
        assert (*joined, wrong) == (OWN, "https", "")


def alike_however_much_follows(read: Callable[[bytes], Any], data: bytes) -> Any:
    """What is read of it, whole; and of each beginning that is enough, the same."""
    whole = outcome(read, data)
    for end in range(0, len(data), 1 + len(data) // 64):
        assert outcome(read, data[:end]) in (None, whole)
    return None if isinstance(whole, str) else whole


def outcome(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except ValueError as why:
        return str(why)
