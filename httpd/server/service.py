"""What all connections of one server share: the site, the limits, the parser, the time of day."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from ..net.timers import Timers
from ..net.wake import Then, at_once, directly
from ..protocol.errors import reason_phrase
from ..protocol.head import HeadParser
from ..protocol.message import Request, Response, Status, render_fields
from ..protocol.validators import http_date
from ..site.answers import NOSNIFF
from ..site.wrapping import WithHeaders
from .limits import Limits
from .request_ids import RequestIds
from .rounds import AtOnce, Rounds

__all__ = ["BUSY", "Beside", "Service", "Site", "status_line"]

Site = Callable[[Request], Response]
Beside = Callable[[Callable[[], object], Then | None], None]

# What one connection too many is told.
BUSY = b"503 Too many connections now\n"


def status_line(status: int) -> bytes:
    """The status-line with its CRLF (RFC 9112 §4).  This is an HTTP/1.0 server, and says so."""
    if isinstance(status, Status):
        return f"HTTP/1.0 {status} {status.reason}\r\n".encode("latin-1")
    return f"HTTP/1.0 {status} {reason_phrase(status)}\r\n".encode("ascii")


class Service:
    """One server's shared values.  `server_name` is the Server field's value, "" for none; `headers` are field lines
    of every answer, error pages included.

    A site whose `in_rounds` is true changes nothing when it answers a GET, nor does anything else that is asked by it:
    so it may find out for all of a round what it finds out for one (see Request).

    A site may have a `check(request)` that raises the HTTPError which no content can avert: a client that waits with
    its content is told at once; the request has none yet.  It may raise Later, and is asked again before any is read.

    `beside(work, then)` makes the call `work()` without holding up the loop, and then, in the loop, `then(error)` with
    the exception that the work has raised, or None; where `then` is None, nobody is told.  `pool` does the same with
    work that waits, many pieces at once; it raises `Full` when it has too many.  `call(function, *args)` has the loop
    make a call, from any thread.  `rounds` says when requests are answered (see `rounds`).

    `streams` is for how many channels at once a thread of the pool may read content while it comes.  They wait for
    clients, who may be as slow as `body_rate` for as long as their content is: so others must be left.
    """

    def __init__(
        self,
        site: Site,
        *,
        limits: Limits,
        timers: Timers,
        server_name: str = "httpd",
        headers: Iterable[tuple[str, str]] = (),
        beside: Beside = at_once,
        pool: Beside = at_once,
        call: Callable[..., object] = directly,
        rounds: Rounds | None = None,
        streams: int = 0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.headers = tuple(headers)
        self.site = WithHeaders(site, self.headers) if self.headers else site
        self.limits = limits
        # Asked for at every request, where a tuple's names would cost as much as some of its steps.
        self.idle_time = limits.idle_time
        self.most_requests = limits.requests
        self.timers = timers
        self.parser = HeadParser(
            max_request_line=limits.request_line,
            max_head=limits.head,
            max_fields=limits.fields,
            max_body=limits.body,
        )
        self.draining = False
        self.replaced = False  # whether others go on in its place, if it drains
        self.ids = RequestIds()
        busy = Response(BUSY, 503, [("Retry-After", "1"), NOSNIFF], content_type="text/plain; charset=utf-8")
        self.busy = busy.wrapped(self.headers)
        self.beside = beside
        self.pool = pool
        self.call = call
        self.rounds = rounds or AtOnce()
        self.streams = streams
        self.streaming: set[object] = set()  # the channels whose content a thread reads while it comes
        # A name that would break every head is refused now.
        render_fields([("Server", server_name)])
        self.server_name = server_name
        self._server = f"Server: {server_name}\r\n" if server_name else ""
        self._wall_clock = wall_clock
        self._taken_at = -1.0
        self._second = -1
        # Common fields by whether the connection goes on; and, with them, the status-lines that were asked for.
        self._common = (b"", b"")
        self._keeping: dict[int, bytes] = {}
        self._closing: dict[int, bytes] = {}

    @property
    def site(self) -> Site:
        """Who is asked; another one may take its place."""
        return self._site

    @site.setter
    def site(self, site: Site) -> None:
        self._site = site
        # A method is called in half the time that it takes to call an object.  A class has that of its instances.
        self.ask: Any = site if isinstance(site, (FunctionType, type)) else getattr(site, "__call__")  # noqa: B004, B009
        self.in_rounds: bool = getattr(site, "in_rounds", False)

    def for_passing(self, site: Site) -> Service:
        """The same for a site that only sends its clients elsewhere: each answer ends its connection, and none has the
        field lines of every answer.
        """
        other = copy.copy(self)
        other.site, other.headers, other.draining = site, (), True
        return other

    def opening(self, status: int, persistent: bool) -> bytes:
        """How every response begins: with the status-line and the common fields."""
        if self._taken_at != self.timers.now:
            self._take_the_time()
        openings = self._keeping if persistent else self._closing
        opening = openings.get(status)
        # One with a reason of its own has the number of another.
        if opening is None or status.__class__ is not int:
            opening = status_line(status) + self._common[persistent]
            if status.__class__ is int:
                openings[status] = opening
        return opening

    def common_fields(self, persistent: bool) -> bytes:
        """The field lines of every response: Date, Server, Connection.  The time is looked at once a turn."""
        if self._taken_at != self.timers.now:
            self._take_the_time()
        return self._common[persistent]

    def _take_the_time(self) -> None:
        self._taken_at = self.timers.now
        second = int(self._wall_clock())
        if second != self._second:
            self._second = second
            dated = f"Date: {http_date(second)}\r\n{self._server}Connection: "
            self._common = (f"{dated}close\r\n".encode("ascii"), f"{dated}keep-alive\r\n".encode("ascii"))
            self._keeping, self._closing = {}, {}
