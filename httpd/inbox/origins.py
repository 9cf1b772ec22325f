"""Whether a form was sent from a page of one's own site: other sites can have their visitors send it, unseen.

A browser says where a request comes from, and no script can have it say otherwise.  `Sec-Fetch-Site` is the clearest,
over TLS and on the machine itself; older browsers say `Origin`, still older ones `Referer`.  Who says nothing at all is
no browser: a program, which has no visitors to misuse.
"""

from __future__ import annotations

from collections.abc import Container

from ..protocol.grammar import late
from ..protocol.message import Request

__all__ = ["is_own"]

_ORIGIN = late(r"(https?)://([^/?#\s]+)")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}


def is_own(request: Request, others: Container[str] = ()) -> bool:
    """Whether a request comes from the site that it is for, or from one of the `others`, which are origins."""
    headers = request.headers
    said = headers.get("origin") or _origin_of(headers.get("referer"))
    if said in others:
        return True
    site = headers.get("sec-fetch-site")
    if site:
        # "none" is a person: a bookmark, an address that was typed, a page that was loaded again.
        return site in ("same-origin", "none")
    return not said or _host_of(said) == request.host.lower()


def _origin_of(url: str) -> str:
    """The origin of a Referer; of one that is none, the whole, which is nobody's."""
    found = _ORIGIN.match(url)
    return found[0] if found else url


def _host_of(origin: str) -> str:
    """An origin's host as a request names it.  A proxy may have taken the TLS off, so the scheme does not count."""
    found = _ORIGIN.fullmatch(origin.lower())
    return found[2].removesuffix(_DEFAULT_PORT[found[1]]) if found else ""
