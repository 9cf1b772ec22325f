"""Several sites at one address, told apart by the host that a request is for (RFC 9110 §7.2).

A name is found by one look into a dictionary: as a client writes it, with its port and in its capitals, it is brought
into the form that is compared only once, and then remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..protocol.errors import HTTPError
from ..protocol.grammar import late
from ..protocol.message import Request, Response

if TYPE_CHECKING:
    from .uploads import Body

__all__ = ["Hosts", "compared_host", "host_name"]

# How many spellings are remembered: below a wildcard there are as many names as a client likes.
_MOST_SPELLINGS = 1_000
# A name's longest (RFC 1035 §2.3.4, without the dot at its end), and a label of it, as names are in use.
_LONGEST = 253
_LONGEST_SPELLING = _LONGEST + len(".:65535")
_LABEL = late("[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


class Hosts:
    """The site that several sites are, each for a host: (name, site), a name as `host_name` takes it.

    `*.example.org` is every name below example.org that has no closer one.  Any other host gets the `default`, or 421
    where there is none.  Raises ValueError for a name that is none, or is there twice.
    """

    def __init__(
        self, sites: Iterable[tuple[str, Callable[..., Response]]], default: Callable[..., Response] | None = None
    ) -> None:
        self.default = default
        self._sites: dict[str, Callable[..., Response]] = {}
        for text, site in sites:
            name = host_name(text)
            if name in self._sites:
                raise ValueError(f"the host {text} has two sites")
            self._sites[name] = site
        self._known: dict[str, Callable[..., Response]] = {}

    def __call__(self, request: Request, *below: str) -> Response:
        """Have the host's site answer.  Raises HTTPError 421 where there is none (RFC 9110 §15.5.20)."""
        return self.site_for(request.host)(request, *below)

    def check(self, request: Request, *below: str) -> Body | None:
        """What content the host's site takes.  Raises the HTTPError that it raises whatever the content will be."""
        check = getattr(self.site_for(request.host), "check", None)
        return None if check is None else check(request, *below)

    def site_for(self, host: str) -> Callable[..., Response]:
        """The site for a host as a request names it.  Raises HTTPError 421."""
        site = self._known.get(host)
        if site is None:
            # A longer one is no name, and neither worth a search nor worth remembering.
            if len(host) > _LONGEST_SPELLING:
                return self._found("")
            site = self._found(compared_host(host))
            if len(self._known) >= _MOST_SPELLINGS:
                self._known.clear()
            self._known[host] = site
        return site

    def _found(self, name: str) -> Callable[..., Response]:
        site = self._sites.get(name)
        while site is None and "." in name:
            name = name.partition(".")[2]
            site = self._sites.get("*." + name)
        if site is None:
            site = self.default
        if site is None:
            raise HTTPError(421, "There is no site of that name here.")
        return site


def compared_host(host: str) -> str:
    """A well-formed host, perhaps with a port, as it is compared: without it, and as `host_name` gives it."""
    if host.startswith("["):
        return _shortest(host[1:].partition("]")[0]) or host
    return host.partition(":")[0].lower().removesuffix(".")


def host_name(text: str) -> str:
    """A host as a person writes it, as it is compared: in lower case, in ASCII, an IPv6 address in its shortest form.

    It is a name, which may begin with "*." and may be in any script, or an address.  Raises ValueError.
    """
    if ":" in text:
        name = _shortest(text.removeprefix("[").removesuffix("]"))
    else:
        star = "*." if text.startswith("*.") else ""
        labels = [_in_ascii(label) for label in text.removeprefix(star).removesuffix(".").split(".")]
        name = star + ".".join(labels) if all(map(_LABEL.fullmatch, labels)) else ""
    if not name or len(name) > _LONGEST:
        raise ValueError(f"{text!r} is not a host: give a name or an address, without a port")
    return name


def _in_ascii(label: str) -> str:
    """A label as it is sent (RFC 5891 §4.4), of the letters as every browser takes them."""
    label = label.lower()
    if label.isascii():
        return label
    from unicodedata import normalize

    return "xn--" + normalize("NFKC", label).encode("punycode").decode("ascii")


def _shortest(address: str) -> str:
    """An IPv6 address in its shortest form (RFC 5952), "" where it is none."""
    from ipaddress import AddressValueError, IPv6Address

    try:
        return str(IPv6Address(address))
    except AddressValueError:
        return ""
