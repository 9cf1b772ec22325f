"""The PROXY protocol's preamble: what is one, what is none, and that the cut does not matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.protocol.preamble import LONGEST, Preamble, read_preamble

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + (4711).to_bytes(2, "big") + (443).to_bytes(2, "big")
V6 = (
    bytes.fromhex("20010db8000000000000000000000001") + bytes.fromhex("20010db8000000000000000000000002") + V4[8:]
)  # fmt: skip
CLIENT, CLIENT6 = ("192.0.2.1", 4711), ("2001:db8::1", 4711)


def v2(said: bytes, *, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    """A header of version 2."""
    size = len(said) if length is None else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + said


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


GOOD: dict[str, tuple[bytes, tuple[str, int] | None, bool]] = {
    "v1 TCP4": (b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n", CLIENT, False),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n", CLIENT6, False),
    "v1 TCP6, long": (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:0001 ::1 4711 443\r\n", CLIENT6, False),
    "v1 TCP6, an IPv4 address": (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 4711 443\r\n", CLIENT, False),
    "v1 ports": (b"PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\r\n", ("192.0.2.1", 0), False),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, False),
    "v1 unknown, and what nobody reads": (b"PROXY UNKNOWN ffff:f...f:ffff 1 2 3\r\n", None, False),
    "v1 of 107 bytes": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", None, False),
    "v2 TCP4": (v2(V4), CLIENT, False),
    "v2 TCP6": (v2(V6, family=0x21), CLIENT6, False),
    "v2 TCP6, an IPv4 address": (v2(bytes(10) + b"\xff\xff" + V4[:4] + V6[16:], family=0x21), CLIENT, False),
    "v2 local": (v2(b"", command=0x20, family=0), None, False),
    "v2 local, with what nobody reads": (v2(b"anything", command=0x20, family=0x99), None, False),
    "v2 unspecified": (v2(b"", family=0), None, False),
    "v2 unspecified, with what nobody reads": (v2(b"\x20\xff\xff", family=0), None, False),
    "v2 unix": (v2(bytes(216), family=0x31), None, False),
    "v2 TLVs": (v2(V4 + tlv(1, b"h2") + tlv(4, bytes(300)) + tlv(0xEA, b"vpce")), CLIENT, False),
    "v2 a CRC that is not right": (v2(V4 + tlv(3, bytes(4))), CLIENT, False),
    "v2 TLS": (v2(V4 + tlv(4, b"") + tlv(0x20, b"\x01" + bytes(4))), CLIENT, True),
    "v2 TLS, not by the client": (v2(V4 + tlv(0x20, bytes(5))), CLIENT, False),
    "v2 TLS, empty": (v2(V4 + tlv(0x20, b"")), CLIENT, False),
    "v2 the longest": (v2(V4 + tlv(4, bytes(4096 - len(V4) - 3))), CLIENT, False),
}

BAD: dict[str, bytes] = {
    "a request": b"GET / HTTP/1.1\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00",
    "an empty line": b"\r\n\r\nGET / HTTP/1.1\r\n",
    "a signature that is not quite one": SIGNATURE[:-1] + b"\r",
    "small letters": b"proxy TCP4 192.0.2.1 198.51.100.2 4711 443\r\n",
    "a tab": b"PROXY\tTCP4 192.0.2.1 198.51.100.2 4711 443\r\n",
    "two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.2 4711 443\r\n",
    "a space at the end": b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443 \r\n",
    "another family": b"PROXY TCP5 192.0.2.1 198.51.100.2 4711 443\r\n",
    "datagrams": b"PROXY UDP4 192.0.2.1 198.51.100.2 4711 443\r\n",
    "an address of the other family": b"PROXY TCP4 ::1 ::1 4711 443\r\n",
    "an address of the other family, too": b"PROXY TCP6 192.0.2.1 192.0.2.1 4711 443\r\n",
    "no address": b"PROXY TCP4 192.0.2.256 198.51.100.2 4711 443\r\n",
    "an address with zeros": b"PROXY TCP4 192.0.02.1 198.51.100.2 4711 443\r\n",
    "an address with a zone": b"PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n",
    "an address in brackets": b"PROXY TCP6 [::1] ::1 4711 443\r\n",
    "a name": b"PROXY TCP4 localhost 198.51.100.2 4711 443\r\n",
    "a port too high": b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    "the other port too high": b"PROXY TCP4 192.0.2.1 198.51.100.2 1 99999\r\n",
    "a port with zeros": b"PROXY TCP4 192.0.2.1 198.51.100.2 04711 443\r\n",
    "a port with a sign": b"PROXY TCP4 192.0.2.1 198.51.100.2 +4711 443\r\n",
    "a port too few": b"PROXY TCP4 192.0.2.1 198.51.100.2 4711\r\n",
    "nothing": b"PROXY \r\n",
    "not quite unknown": b"PROXY UNKNOWNS\r\n",
    "a bare LF in it": b"PROXY UNKNOWN a\nb\r\n",
    "digits of another script": "PROXY TCP4 192.0.2.1 198.51.100.2 ٤ 443\r\n".encode(),
    "a line of 108 bytes": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "a line without an end": b"PROXY UNKNOWN " + b"x" * 500,
    "version 3": v2(V4, command=0x31),
    "version 1 in version 2": v2(V4, command=0x11),
    "a command that is none": v2(V4, command=0x22),
    "a family that is none": v2(V4, family=0x41),
    "a transport that is none": v2(V4, family=0x10),
    "datagrams in version 2": v2(V4, family=0x12),
    "datagrams of a unix socket": v2(bytes(216), family=0x32),
    "too short for IPv4": v2(V4[:-1]),
    "too short for IPv6": v2(V6[:-1], family=0x21),
    "too short for a path": v2(bytes(215), family=0x31),
    "no addresses": v2(b""),
    "too long": v2(V4 + bytes(4097 - len(V4))),
    "the longest that can be said": v2(V4, length=65_535),
    "a TLV without its length": v2(V4 + b"\x04\x00"),
    "a TLV of one byte": v2(V4 + b"\x04"),
    "a TLV beyond the end": v2(V4 + tlv(4, b"12") + b"\x04\x00\x05abcd"),
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("after", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n", bytes(5000)])
def test_what_is_one(name: str, after: bytes) -> None:
    data, client, secure = GOOD[name]
    assert read_preamble(data + after) == Preamble(len(data), client, secure)
    assert len(data) <= LONGEST


@pytest.mark.parametrize("name", GOOD)
def test_no_part_of_it_is_enough(name: str) -> None:
    data, _, _ = GOOD[name]
    for end in range(len(data)):
        assert read_preamble(data[:end]) is None


@pytest.mark.parametrize("name", BAD)
def test_what_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="§2"):
        read_preamble(BAD[name])


@pytest.mark.parametrize("name", BAD)
def test_once_refused_it_stays_refused(name: str) -> None:
    """Until it is, more is waited for; nothing else comes of any part of it, whatever follows."""
    data = BAD[name]
    refused = False
    for end in range(len(data) + 1):
        try:
            assert read_preamble(data[:end]) is None
            assert not refused
        except ValueError:
            refused = True
    with pytest.raises(ValueError):
        read_preamble(data + bytes(5000))


@given(st.binary(max_size=60) | st.builds(lambda tail: b"PROXY " + tail, st.binary(max_size=120)))
def test_any_bytes_are_taken_refused_or_waited_for(data: bytes) -> None:
    try:
        told = read_preamble(data)
    except ValueError:
        return
    assert told is None or told.length <= len(data)


@given(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=300))
def test_any_header_is_taken_or_refused(command: int, family: int, said: bytes) -> None:
    data = v2(said, command=command, family=family)
    try:
        told = read_preamble(data)
    except ValueError:
        return
    assert told is not None
    assert told.length == len(data)
