"""Internet addresses as text: what a person writes, what a peer is called, what counts as one client.

An address is written plainly: an IPv6 one without brackets, an IPv4 one that came through an IPv6 socket as IPv4.
"""

from __future__ import annotations

import socket
from errno import EADDRNOTAVAIL, EINVAL
from typing import Any

__all__ = ["WILDCARDS", "Where", "client_of", "in_url", "plain_peer", "unbracketed", "where_to_bind"]

# What stands for every address there is, and how a person on this machine reaches it.
WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
# Not looked up: not every machine's table of names has both.
_BOTH = {"": ("0.0.0.0", "::"), "localhost": ("127.0.0.1", "::1")}
# How an IPv6 socket calls an IPv4 peer (RFC 4291 §2.5.5.2).
_MAPPED = "::ffff:"

# A socket's family and its address without the port.
Where = tuple[int, tuple[Any, ...]]


def unbracketed(host: str) -> str:
    """A host without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def in_url(address: str) -> str:
    """An address as the host of a URL (RFC 3986 §3.2.2), its zone as RFC 6874 §2 has it."""
    return f"[{address.replace('%', '%25')}]" if ":" in address else address


def plain_peer(addr: Any) -> Any:
    """A peer's address as accept(2) gave it, but an IPv4 peer of an IPv6 socket as any other IPv4 peer."""
    if isinstance(addr, tuple) and addr[0].startswith(_MAPPED):
        return addr[0][len(_MAPPED) :], addr[1]
    return addr


def client_of(address: str) -> str | bytes:
    """What counts as one client: an IPv4 address, or an IPv6 network of /64, for whoever has one address has all.

    The neighbours on a link share one such network (RFC 4291 §2.5.6), so there each address counts for itself.
    """
    if ":" not in address or _is_link_local(address):
        return address
    return socket.inet_pton(socket.AF_INET6, address)[:8]


def _is_link_local(address: str) -> bool:
    return address[:5].lower() == "fe80:"


def where_to_bind(host: str) -> list[Where]:
    """Every address that a host is.  "" is all there are; it and "localhost" and addresses are not looked up.

    Raises OSError where it is none.
    """
    if host in _BOTH:
        return [where for address in _BOTH[host] for where in where_to_bind(address)]
    if _is_address(socket.AF_INET, host):
        return [(socket.AF_INET, (host,))]
    address, _, zone = host.partition("%")
    if _is_address(socket.AF_INET6, address):
        if _is_link_local(address) and not zone:
            raise OSError(EINVAL, "a link-local address needs its interface, as in fe80::1%eth0")
        return [(socket.AF_INET6, (address, 0, _zone_number(zone)))]
    if not host.isascii() or ":" in host:
        raise OSError(EADDRNOTAVAIL, "that is not an address")
    return _looked_up(host)


def _is_address(family: int, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def _zone_number(zone: str) -> int:
    """The number of an interface, given by its name or number (RFC 4007 §11); 0 for none."""
    if not zone or zone.isdecimal():
        return int(zone or 0)
    return socket.if_nametoindex(zone)


def _looked_up(name: str) -> list[Where]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except ValueError:
        # An empty or endless label.
        raise OSError(EADDRNOTAVAIL, "that is not an address") from None
    return list(dict.fromkeys((family, (address[0], *address[2:])) for family, _, _, _, address in found))
