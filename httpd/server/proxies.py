"""Servers behind proxies: which proxies are believed, and what each says of the clients that it stands for.

A proxy says it in one way, and only that one is read: in the fields of each request, of which any other field of the
kind may be a client's own invention, or in a preamble of each connection.  Whoever is not listed is served as a client,
by a class of handlers that knows nothing of all this.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from ..net.report import Reporter
from ..net.timers import Timers
from ..net.watched import WatchedChat
from ..protocol.forwarded import Hop, client_of, forwarded_hops, x_forwarded_hops
from ..protocol.message import Head, Headers, Request
from ..protocol.preamble import LONGEST, Preamble, read_preamble
from .handler import http_request_handler
from .mixing import https_request_handler

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

__all__ = ["Introduction", "Proxies", "forwarded_handler", "listed_proxy"]

logger = Reporter("httpd.server")

Welcome = Callable[..., None]

# How a proxy tells of its clients: X-Forwarded-For and -Proto, Forwarded (RFC 7239), or the PROXY protocol.
WAYS = ("x-forwarded", "forwarded", "proxy")
# Whoever comes to a unix socket.
_UNIX = "unix"
# How many addresses' ways are remembered, and of how many proxies it is told that what they say is wrong.
_MOST_KNOWN = 1_000
_MOST_TOLD = 100


def listed_proxy(text: str) -> tuple[str, str]:
    """`[HOW=]ADDRESS`: one of the ways, x-forwarded if none is named, and an address, a network, or "unix".

    Raises ValueError with a sentence for the person who wrote it.
    """
    way, equals, who = text.rpartition("=")
    way = way if equals else WAYS[0]
    if way not in WAYS:
        raise ValueError(f"{way!r} is no way in which a proxy tells of its clients: write {', '.join(WAYS)}")
    if who != _UNIX:
        _network(who)
    return way, who


def _network(text: str) -> IPv4Network | IPv6Network:
    from ipaddress import ip_network

    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither an address, a network such as 10.0.0.0/8, nor unix") from None


class Proxies:
    """The proxies that are believed: (way, address, network or "unix") of each; of several that fit, the first."""

    def __init__(self, listed: Iterable[tuple[str, str]]) -> None:
        listed = list(listed)
        self._networks = [(way, _network(who)) for way, who in listed if who != _UNIX]
        self._known = {"": next((way for way, who in listed if who == _UNIX), "")}
        kinds = {"forwarded": forwarded_handler, "x-forwarded": x_forwarded_handler}
        self._additions = {way: type(kind.__name__, (kind,), {"proxies": self}) for way, kind in kinds.items()}
        self._told: set[str] = set()

    def way_of(self, address: str) -> str:
        """How the peer of that address ("" at a unix socket) tells of its clients; "" where it is no proxy of ours."""
        way = self._known.get(address)
        if way is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known = {"": self._known[""]}
            way = self._known[address] = self._found(address)
        return way

    def _found(self, address: str) -> str:
        from ipaddress import ip_address

        # An address of a link has its interface after it.
        parsed = ip_address(address.partition("%")[0])
        return next((way for way, network in self._networks if parsed in network), "")

    def is_believed(self, address: str) -> bool:
        """Whether that address is one of the proxies'."""
        return bool(self.way_of(address))

    def greet(
        self, welcome: Welcome, seconds: float, timers: Timers, map: dict[int, Any], sock: socket.socket, addr: Any
    ) -> None:
        """Welcome a connection, which may be a proxy's: `welcome(sock, addr, addition=…)`.

        It has so many `seconds` for its preamble, if it is of those that begin with one.
        """
        way = self.way_of(host := _host_of(addr))
        if way == "proxy":
            Introduction(sock, addr, seconds, partial(_introduced, welcome), partial(self.tell, host), timers, map)
        else:
            welcome(sock, addr, addition=self._additions.get(way))

    def stop(self, map: dict[int, Any]) -> None:
        """Wait for no preamble any more."""
        for channel in list(map.values()):
            if isinstance(channel, Introduction):
                channel.close()

    def tell(self, address: str, why: str) -> None:
        """Tell the operator what is wrong with what a proxy says, once for each."""
        if address not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(address)
            logger.warning(
                "what the proxy %s says of its clients is passed over: %s", address or "at the unix socket", why
            )


def _host_of(addr: Any) -> str:
    return addr[0] if isinstance(addr, tuple) else ""


# ---- told in each request


class forwarded_handler(http_request_handler):
    """A proxy's connection: the peer of each request is the client that the proxy names."""

    __slots__ = ()
    proxies: Proxies
    speaks_for_others = True
    _scheme = ""

    def hops(self, headers: Headers) -> Iterator[Hop]:
        """Who has connected to whom, from the right."""
        return forwarded_hops(headers.get("forwarded"))

    def _learn(self, head: Head) -> None:
        """Find out whom a request comes from."""
        proxy = self._proxy
        hop, wrong = client_of(self.hops(head.headers), self.proxies.is_believed)
        self.peer, self._scheme = hop.address or proxy, hop.scheme
        if wrong:
            self.proxies.tell(proxy, wrong)

    @property
    def _proxy(self) -> str:
        return _host_of(self.addr)

    def early_request(self, head: Head) -> Request:
        self._learn(head)
        return self._adapted(super().early_request(head))

    def handle_request(self, request: Request) -> None:
        self._learn(request.head)
        super().handle_request(self._adapted(request))

    def _adapted(self, request: Request) -> Request:
        request.peer = self.peer
        if self._scheme:
            request.scheme = self._scheme
        return request

    def request_id(self, asked: Head | str) -> str:
        # It is the proxy who may have named it.
        client, self.peer = self.peer, self._proxy
        try:
            return super().request_id(asked)
        finally:
            self.peer = client

    def output_sent(self) -> None:
        super().output_sent()
        # Nothing is known of whom the next one comes from.
        self.peer = self._proxy


class x_forwarded_handler(forwarded_handler):
    """A proxy's connection, with the fields that most proxies know."""

    __slots__ = ()

    def hops(self, headers: Headers) -> Iterator[Hop]:
        return x_forwarded_hops(headers.get("x-forwarded-for"), headers.get("x-forwarded-proto"))


# ---- told once a connection


def _introduced(welcome: Welcome, sock: socket.socket, addr: Any, told: Preamble) -> None:
    welcome(sock, told.client or addr, addition=https_request_handler if told.secure else None)


class Introduction(WatchedChat):
    """A proxy's connection that begins with the PROXY protocol, until it is said whom it stands for.

    Then `then(sock, addr, told)` gets it, with not a byte more read than the preamble.  One that says something else
    is closed, as the protocol asks for, and `tell(why)` is called; so is one that says nothing for so many `seconds`.
    """

    __slots__ = ("_said", "_tell", "_then", "_until")

    def __init__(
        self,
        sock: socket.socket,
        addr: Any,
        seconds: float,
        then: Callable[[socket.socket, Any, Preamble], None],
        tell: Callable[[str], None],
        timers: Timers,
        map: dict[int, Any],
    ) -> None:
        super().__init__(timers, map)
        self.addr = addr
        self._then = then
        self._tell = tell
        self._said = b""
        self._until = timers.now + seconds
        sock.setblocking(False)
        self.set_socket(sock)
        self.connected = True

    def handle_read(self) -> None:
        """Look at what has come, and take of it what belongs to the preamble."""
        try:
            data = self.socket.recv(LONGEST, socket.MSG_PEEK)
            told = read_preamble(self._said + data)
            self._said += self.socket.recv(len(data) if told is None else told.length - len(self._said))
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        except ValueError as why:
            self._tell(str(why))
            self.close()
            return
        if told is not None:
            self._hand_on(told)
        elif not data:
            # Whoever looks whether the port is open leaves like this.
            self.close()

    def _hand_on(self, told: Preamble) -> None:
        sock, self.socket = self.socket, None
        self.close()
        try:
            self._then(sock, self.addr, told)
        except Exception:
            logger.exception("welcoming a connection from %s failed", self.addr)
            sock.close()

    def patience(self) -> float:
        return self._until if self.connected else math.inf

    def timed_out(self) -> None:
        self.close()
