"""Internet addresses as text, the way other programs name them, in the one form in which they are compared.

That is an IPv6 address in its shortest form (RFC 5952), without brackets and zone, and an IPv4 address that is written
as an IPv6 one (RFC 4291 §2.5.5.2) as what it is.
"""

from __future__ import annotations

from functools import lru_cache

from .grammar import ipv4_address, ipv6_address, late

__all__ = ["address_of_node", "plain_address"]

_ADDRESS = late(f"{ipv4_address}|{ipv6_address}")

# node = nodename [ ":" node-port ] ; nodename = IPv4address / "[" IPv6address "]" / "unknown" / obfnode
# obfnode = "_" 1*( ALPHA / DIGIT / "." / "_" / "-") ; node-port = port / obfport ; port = 1*5DIGIT
# obfport = "_" 1*(ALPHA / DIGIT / "." / "_" / "-")                                            (RFC 7239 §6)
# The last alternative is X-Forwarded-For's, where an IPv6 address without a port mostly has no brackets.
# What is obfuscated has 63 characters at the most, for us.
_obfuscated = "_[0-9A-Za-z._-]{1,63}+"
_unknown = "[Uu][Nn][Kk][Nn][Oo][Ww][Nn]"
_NODE = late(
    rf"(?:({ipv4_address})|\[({ipv6_address})\]|{_unknown}|{_obfuscated})(?::(?:[0-9]{{1,5}}+|{_obfuscated}))?"
    rf"|({ipv6_address})"
)

# How much of what is none a sentence shows.
_SHOWN = 60


def plain_address(text: str) -> str:
    """An address in the form in which it is compared.  Raises ValueError where it is none."""
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"{text[:_SHOWN]!a} is not an address")
    return _plain(text)


# A proxy's clients are few at a time, and each asks many times.
@lru_cache(1024)
def address_of_node(node: str) -> str:
    """The address of a node as a proxy tells it, perhaps with its port; "" where it is unknown or kept secret.

    Raises ValueError where it is no node.
    """
    found = _NODE.fullmatch(node)
    if not found:
        raise ValueError(f"{node[:_SHOWN]!a} is not a node (RFC 7239 §6)")
    address = found[1] or found[2] or found[3]
    return _plain(address) if address else ""


def _plain(address: str) -> str:
    if ":" not in address:
        return address
    from ipaddress import IPv6Address

    parsed = IPv6Address(address)
    return str(parsed.ipv4_mapped or parsed)
