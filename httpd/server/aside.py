"""Sites beside the server's own, for whoever sits at this machine: the console, the status page.

Such a site has a port of the loopback address alone, in the server's loop; its connections are no concern of the
server's log, limits or recordings.  What it shows came from the network, so its pages are made of text and run no
script but their own.  It answers nobody but its own pages and a person's own programs: a request must name a loopback
host (another name may have been pointed here: DNS rebinding), and must not come from a page of another origin.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable

from ..net.listening import listen_at
from ..net.wake import Worker
from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..site.answers import NOSNIFF, as_response
from ..site.error_pages import error_response
from ..site.policy import hash_source
from ..site.wrapping import Around
from .handler import http_request_handler
from .limits import Limits
from .log import AccessLog
from .server import Server
from .service import Service, Site

__all__ = ["AT_HOME", "Aside", "AtHome", "admit", "own_pages_only", "sockets_at"]

# Nobody sends such a site more than a console's experiment.  On one machine nobody needs time to see the end.
LIMITS = Limits(body=262_144, connections=64, linger_pause=0.3)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'{}; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# Field lines of every answer to an operator.
AT_HOME = (
    ("Content-Security-Policy", _POLICY.format("")),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    NOSNIFF,
)

_LOOPBACK = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?", re.IGNORECASE)


def sockets_at(port: int, usual: int = 0) -> list[socket.socket]:
    """Sockets that listen at a port of the loopback address; at port -1 at the usual one, or else at any.  Raises
    OSError.
    """
    if port >= 0:
        return listen_at(["localhost"], port)
    try:
        return listen_at(["localhost"], usual)
    except OSError:
        return listen_at(["localhost"], 0)


class AtHome(Around):
    """A site that answers nobody but its own pages, and the programs of whoever sits at this machine."""

    def __call__(self, request: Request, *below: str) -> Response:
        admit(request)
        return as_response(self.site(request, *below), self.site)


class Aside:
    """A site at loopback sockets of a server that was started; it ends with the server."""

    def __init__(self, server: Server, site: Site, sockets: Iterable[socket.socket]) -> None:
        self._server = server
        # A thread of its own: what is watched may be holding up all of the server's.
        worker = Worker(server.map)
        server.beside.callback(worker.close)
        self._service = Service(
            AtHome(site),
            limits=LIMITS,
            timers=server.timers,
            server_name="",
            headers=[("Content-Security-Policy", _POLICY.format(f" {_style_of_errors()}")), *AT_HOME[1:]],
            beside=server.service.beside,
            pool=worker.do,
            call=server.service.call,
        )
        self._log = AccessLog("off", server.timers)
        self._channels: set[http_request_handler] = set()
        for sock in sockets:
            server.also_listen(sock, self._welcome)

    def _welcome(self, sock: socket.socket, addr: object) -> None:
        """Make a plain channel: nobody records it, and it is not logged."""
        if len(self._channels) >= LIMITS.connections:
            sock.close()
            return
        sock.setblocking(False)
        server, gone = self._server, self._channels.discard
        # It is read when the loop comes to it: answered here, one client in a hurry would be back before the listener
        # has accepted all, again and again, and none of its connections that linger could end meanwhile.
        self._channels.add(
            http_request_handler(sock, addr, {}, self._log, self._service, map=server.map, on_close=gone)
        )


def _style_of_errors() -> str:
    """What a policy calls the one style that the server's own error pages have within them."""
    page = error_response(404, accept="text/html").body
    style = page.partition(b"<style>")[2].partition(b"</style>")[0] if isinstance(page, bytes) else b""
    return hash_source(style.decode())


def admit(request: Request) -> None:
    """Raises HTTPError for a request that is not of a page of ours, nor of a person's own program."""
    if not _LOOPBACK.fullmatch(request.host):
        raise HTTPError(421, "This answers on the loopback address alone.")
    own_pages_only(request)


def own_pages_only(request: Request) -> None:
    """Raises HTTPError for a request that a page of another origin has made."""
    origin = request.headers.get("origin").lower()
    if origin and origin not in (f"http://{request.host}".lower(), f"https://{request.host}".lower()):
        raise HTTPError(403, "This does not answer pages of other origins.")
    # A browser names no origin when a page of another one loads this as a picture or a script; a link may lead here.
    navigates = request.method == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
    if not navigates and request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise HTTPError(403, "This does not answer pages of other origins.")
