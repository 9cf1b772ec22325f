"""A path that tells a load balancer whether to send requests here.

200 while the server takes requests, 503 while it drains and nobody goes on in its place, and 503 while the site says
that it does not work: a site may have a `healthy()`, which may wait for what it asks, a store say, and returns whether
all is well or raises.  It is called in a thread, at most once a second and never twice at a time, however many ask.
The path stands before passwords and everything else that the site does, and its answers are in no log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..net.wake import Full
from ..protocol.errors import HTTPError
from ..protocol.message import Head, Request, Response
from ..server.log import Channel, Log
from ..server.server import Server
from ..server.service import Service
from ..site.answers import NOSNIFF, answer_method
from ..site.blocking import promised
from ..site.wrapping import Around

__all__ = ["Health", "Quiet", "answer_health"]

# How long what the site has said holds, and how long it may take to say it, in seconds.
_HOLDS = 1.0
_PATIENCE = 5.0

_HEADERS = (("Cache-Control", "no-store"), NOSNIFF)


def answer_health(server: Server, path: str, logged: bool = False) -> None:
    """Have a server answer at a path whether it is well; `logged` has these answers in the access log, too."""
    server.service.site = Health(server.service.site, path, server.service)
    if not logged:
        server.log = Quiet(server.log, path)


class Health(Around):
    """A site with a path that tells how it is."""

    def __init__(self, site: Callable[..., Response], path: str, service: Service) -> None:
        super().__init__(site)
        self.path = path
        self._service = service
        self._healthy: Callable[[], bool] | None = getattr(site, "healthy", None)
        self._well = True
        self._known_at = self._asked_at = float("-inf")
        self._asking = False

    def __call__(self, request: Request, *below: str) -> Response:
        if request.path != self.path:
            return self.site(request, *below)
        if request.method not in ("GET", "HEAD"):
            return answer_method(request.method, ["GET"])
        if self._service.draining and not self._service.replaced:
            return _told(503, "draining")
        return self._answer(request)

    def _answer(self, request: Request) -> Response:
        now = self._service.timers.now
        if self._asking and now - self._asked_at > _PATIENCE:
            return _told(503, "the site does not answer")
        if self._healthy is not None and not self._asking and now - self._known_at > _HOLDS:
            promised(request, partial(self._ask, self._healthy))
        return _told(200, "ok") if self._well else _told(503, "the site does not work")

    def _ask(self, healthy: Callable[[], bool], done: Callable[[None, HTTPError | None], object]) -> None:
        """Have a thread find out.  It does, whether or not the client is still there that wanted to know."""
        self._asking, self._asked_at = True, self._service.timers.now
        found: list[bool] = []
        try:
            self._service.pool(lambda: found.append(bool(healthy())), lambda error: self._found(any(found), done))
        except Full:
            self._asking = False
            done(None, HTTPError(503, "Too many requests wait already.", [("Retry-After", "1")]))

    def _found(self, well: bool, done: Callable[[None, HTTPError | None], object]) -> None:
        """In the loop: so it was; what has raised is not well."""
        self._well, self._known_at, self._asking = well, self._service.timers.now, False
        done(None, None)


def _told(status: int, what: str) -> Response:
    return Response(f"{what}\n", status, _HEADERS, content_type="text/plain; charset=utf-8")


class Quiet:
    """An access log that does not hear of the answers at one path."""

    def __init__(self, log: Log, path: str) -> None:
        self._log = log
        self._path = path

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
        """Log the answer to a parsed request, unless it was for the path."""
        if head.path != self._path:
            self._log.answered(head, peer, status, size, channel)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)
