"""The PROXY protocol, versions 1 and 2: what a proxy says first on a connection, of the client that it stands for.

Sections are those of the protocol's document, "The PROXY protocol, Versions 1 & 2".  What comes is judged by its first
bytes alone: it gives the same whatever follows and wherever the network has cut it.
"""

from __future__ import annotations

from typing import NamedTuple

from .grammar import ipv4_address, ipv6_address, late
from .nodes import plain_address

__all__ = ["LONGEST", "Preamble", "read_preamble"]

# ---- version 1 (§2.1): a line that a person can read

# "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP source port SP destination port CRLF
# or "PROXY UNKNOWN", whatever else up to CRLF; 107 bytes at the most, CRLF and all.
_V1 = b"PROXY "
_LONGEST_V1 = 107
_ports = " (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})"
_tcp4 = f"TCP4 ({ipv4_address}) {ipv4_address}{_ports}"
_tcp6 = f"TCP6 ({ipv6_address}) {ipv6_address}{_ports}"
_LINE = late(rf"PROXY (?:{_tcp4}|{_tcp6}|UNKNOWN(?: [^\r\n]*+)?)")

# ---- version 2 (§2.2): a signature, two bytes of what it is, and the length of what follows

_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_HEADER = 16
# Addresses and TLVs together.  A proxy's own are below 536 bytes, with a client's certificate some more.
_LONGEST_V2 = 4096
_LOCAL, _PROXY = 0x20, 0x21
# Family and transport: how long an address is, and the two ports with it.  Datagrams do not come here.
_UNSPECIFIED, _UNIX, _TCP = 0x00, 0x31, {0x11: 4, 0x21: 16}
_UNIX_LENGTH = 216
# A TLV's type, and the flag in its first byte that says that the client has spoken TLS (§2.2.5).
_SSL, _CLIENT_SSL = 0x20, 0x01

# What a preamble may have at the most.
LONGEST = _HEADER + _LONGEST_V2


class Preamble(NamedTuple):
    """What was said: how many bytes long, of whom, and whether the client speaks TLS with the proxy.

    `client` is an address and a port, or None where the connection is the proxy's own, or of nobody it can name.
    """

    length: int
    client: tuple[str, int] | None
    secure: bool = False


def read_preamble(data: bytes) -> Preamble | None:
    """What a connection's first bytes say, or None where more are needed.  Raises ValueError where they say nothing."""
    if data[:6] == _V1[: len(data)]:
        return _line(data) if len(data) > len(_V1) else None
    if data[:12] == _V2[: len(data)]:
        return _header(data) if len(data) >= _HEADER else None
    raise ValueError("it does not begin as the PROXY protocol does (§2)")


def _line(data: bytes) -> Preamble | None:
    end = data.find(b"\r\n", 0, _LONGEST_V1)
    if end < 0:
        if len(data) >= _LONGEST_V1:
            raise ValueError(f"its line has more than {_LONGEST_V1} bytes (§2.1)")
        return None
    found = _LINE.fullmatch(data[:end].decode("latin-1"))
    if not found:
        raise ValueError("its line does not follow the grammar (§2.1)")
    address, *ports = [part for part in found.groups() if part is not None] or [""]
    if any(int(port) > 65_535 for port in ports):
        raise ValueError("its line has a port above 65535 (§2.1)")
    return Preamble(end + 2, (plain_address(address), int(ports[0])) if address else None)


def _header(data: bytes) -> Preamble | None:
    command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise ValueError("its version or command is none that there is (§2.2)")
    if command == _PROXY and family not in (_UNSPECIFIED, _UNIX, *_TCP):
        raise ValueError("its family is none of a stream's (§2.2)")
    if length > _LONGEST_V2:
        raise ValueError(f"what it says has more than {_LONGEST_V2} bytes (§2.2)")
    end = _HEADER + length
    if len(data) < end:
        return None
    if command == _LOCAL:
        return Preamble(end, None)
    return _told(end, family, data[_HEADER:end])


def _told(end: int, family: int, said: bytes) -> Preamble:
    size = _TCP.get(family, 0)
    addresses = 2 * size + 4 if size else _UNIX_LENGTH if family == _UNIX else 0
    if len(said) < addresses:
        raise ValueError("it is too short for the addresses of its family (§2.2)")
    secure = _says_tls(said[addresses:]) if family != _UNSPECIFIED else False
    if not size:
        return Preamble(end, None, secure)
    return Preamble(end, (_address(said[:size]), int.from_bytes(said[2 * size : 2 * size + 2], "big")), secure)


def _says_tls(tlvs: bytes) -> bool:
    """Whether one of the TLVs says so; the others are passed over by their length (§2.2.1)."""
    at = 0
    while at < len(tlvs):
        kind, length, start = tlvs[at], int.from_bytes(tlvs[at + 1 : at + 3], "big"), at + 3
        at = start + length
        if at > len(tlvs):
            raise ValueError("a TLV of it is not whole (§2.2.1)")
        if kind == _SSL and length:
            return bool(tlvs[start] & _CLIENT_SSL)
    return False


def _address(octets: bytes) -> str:
    from ipaddress import ip_address

    return plain_address(str(ip_address(octets)))
