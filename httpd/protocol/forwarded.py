"""Whom a request comes from, as the proxies on its way tell it: Forwarded (RFC 7239), X-Forwarded-For and -Proto.

Each proxy adds who has connected to it, to the right of what there is already; and what there is already, anybody may
have written.  So it is read from the right, as long as it is told by somebody who is trusted: the first address that
is not trusted is the client's.  Whatever is wrong further to the left is nobody's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .grammar import OWS, late, quoted_string, token
from .nodes import address_of_node

__all__ = ["Hop", "client_of", "forwarded_hops", "x_forwarded_hops"]

# How many proxies there are on a request's way at the most, and how many commas may be in a quoted string.
_MOST_HOPS = 32

# Forwarded = 1#forwarded-element ; forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )
# forwarded-pair = token "=" value ; value = token / quoted-string                             (RFC 7239 §4)
_pair = f"{token}=(?:{token}|{quoted_string})"
_ELEMENT = late(f"{OWS}(?:{_pair})?(?:;(?:{_pair})?)*{OWS}")
_PAIR = late(f"({token})=({token}|{quoted_string})")
_QUOTED_PAIR = late(r"\\(.)")

_SCHEMES = ("http", "https")


class Hop(NamedTuple):
    """Who has connected to a proxy, and by which scheme; "" for what is not told."""

    address: str = ""
    scheme: str = ""


def client_of(hops: Iterable[Hop], is_trusted: Callable[[str], bool]) -> tuple[Hop, str]:
    """(the client, what was wrong), from hops as they are told from the right by whoever is trusted.

    The client's address is "" where nobody who is trusted names one, and its scheme is what the trusted one furthest
    away has told.  What was wrong is a sentence, or "": then everything before it counts.
    """
    address = scheme = ""
    try:
        for hop in hops:
            scheme = hop.scheme or scheme
            if not hop.address:
                break
            address = hop.address
            if not is_trusted(address):
                break
    except ValueError as why:
        return Hop(address, scheme), str(why)
    return Hop(address, scheme), ""


# ---- Forwarded


def forwarded_hops(value: str) -> Iterator[Hop]:
    """The hops of a Forwarded field from the right.  Raises ValueError where it comes to one that is none."""
    end = len(value)
    for _ in range(_MOST_HOPS):
        start, element = _last_element(value, end)
        if element.strip(" \t"):
            yield _hop(element)
        if start < 0:
            return
        end = start
    raise ValueError(f"Forwarded has more than {_MOST_HOPS} elements")


def _last_element(value: str, end: int) -> tuple[int, str]:
    """(the position of the comma before it, the last element of what comes before `end`).

    A comma may stand in a quoted string, so it is the shortest that is well-formed.  What a proxy has put into quotes
    cannot look like a shorter one: its last quote would have to be opened behind the comma, where it is escaped.
    """
    start = end
    for _ in range(_MOST_HOPS):
        start = value.rfind(",", 0, start)
        element = value[start + 1 : end]
        if _ELEMENT.fullmatch(element):
            return start, element
        if start < 0:
            break
    raise ValueError("Forwarded does not follow the grammar of RFC 7239 §4")


def _hop(element: str) -> Hop:
    pairs: dict[str, str] = {}
    for name, value in _PAIR.findall(element):
        if name.lower() in pairs:
            raise ValueError(f"Forwarded has {name.lower()} twice in an element (RFC 7239 §4)")
        pairs[name.lower()] = _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value
    node = pairs.get("for", "unknown")
    # Without a port, brackets are not to be left out here.
    if node.count(":") > 1 and not node.startswith("["):
        raise ValueError("Forwarded has an IPv6 address without brackets (RFC 7239 §6)")
    return Hop(address_of_node(node), _scheme(pairs.get("proto", "")))


# ---- X-Forwarded-For and X-Forwarded-Proto, which no document defines


def x_forwarded_hops(nodes: str, schemes: str) -> Iterator[Hop]:
    """The hops of X-Forwarded-For from the right, each with what X-Forwarded-Proto says of it.

    Of fewer schemes than hops, the first one counts for those further away.  Raises ValueError where it comes to a hop
    that is none.
    """
    scheme = _listed(schemes)
    told = ""
    for node in _listed(nodes):
        told = _scheme(next(scheme, told))
        yield Hop(address_of_node(node), told)
    if not nodes:
        yield Hop("", _scheme(next(scheme, "")))


def _listed(value: str) -> Iterator[str]:
    """The elements of a list from the right, without the empty ones (RFC 9110 §5.6.1.2)."""
    elements = value.rsplit(",", _MOST_HOPS)
    for element in reversed(elements[1:] if len(elements) > _MOST_HOPS else elements):
        if stripped := element.strip(" \t"):
            yield stripped
    if len(elements) > _MOST_HOPS:
        raise ValueError(f"X-Forwarded-For has more than {_MOST_HOPS} elements")


def _scheme(text: str) -> str:
    scheme = text.lower()
    if scheme and scheme not in _SCHEMES:
        raise ValueError(f"{text[:60]!a} is not a scheme of ours")
    return scheme
