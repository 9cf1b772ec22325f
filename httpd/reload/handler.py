"""Pages that reload themselves, by a subclass of the handler: a server that has the plain class knows nothing of it.

Pages that a browser is about to show get a script, error pages too; whatever else is asked for is answered as ever,
but with word to ask again before it is used again: what was changed is then what is seen.
"""

from __future__ import annotations

import copy
import os
import re

from ..net.producers import close_producer
from ..protocol.errors import HTTPError
from ..protocol.message import Head, Headers, Request, Response
from ..resources import folder
from ..server.handler import http_request_handler
from ..site.answers import answer_method
from ..site.inserting import is_page, with_tag
from ..site.policy import admitting
from .events import Events

__all__ = ["EVENTS", "SCRIPT", "Reloading", "is_shown", "reloaded", "reloading_handler"]

# Where the script finds the events: its name without the extension.
EVENTS = "/.well-known/httpd-reload"
SCRIPT = "/.well-known/httpd-reload.js"

# A host as a policy may name it; a Host field may have more, such as the ";" that ends a directive (CSP3 §2.3.1).
_HOST = re.compile(r"[A-Za-z0-9.-]+(?::\d+)?")

_METHODS = ("GET", "HEAD")
# Where a browser shows what it asks for (Fetch §2.2.5).  A script that asks for a piece of a page gets it as it is.
_SHOWN = ("document", "iframe", "frame")
# What the client says of the bytes that it has; of a page it has others than the site.
_CONDITIONS = frozenset({"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"})
_NOT_OF_PAGES = _CONDITIONS | {"accept-encoding"}


class Reloading:
    """What all connections share: the changes, the script, and what becomes of the site's responses."""

    def __init__(self) -> None:
        self.events = Events()
        with open(os.path.join(folder("static"), "reload.js"), "rb") as file:
            self._script = file.read()

    def answer(self, request: Request) -> Response:
        """The script, or the stream of changes.  Raises HTTPError for other methods, and for pages of other sites."""
        if request.method not in _METHODS:
            return answer_method(request.method, _METHODS)
        if request.path == SCRIPT:
            return Response(self._script, content_type="text/javascript; charset=utf-8")
        # Nobody else has any business here, be it only to hold a connection.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPError(403)
        return self.events.response(request.peer)

    def adapted(self, head: Head, response: Response) -> Response:
        """The response as it is to be while files change.  Raises what a page's content raises at its beginning."""
        if head.method not in _METHODS:
            return response
        if is_shown(head) and is_page(response):
            tag = f'<script src="{SCRIPT}?{self.events.version}" defer></script>'
            page = with_tag(response, tag.encode())
            # A host that could say something in a policy says nothing there.
            if _HOST.fullmatch(head.host):
                ours = ("script-src", head.host + SCRIPT), ("connect-src", head.host + EVENTS)
                page.headers = admitting(page.headers, *ours)
            return page
        # What a script has asked for must not be what the browser shows when it goes back.
        return _uncached(response, "no-store" if is_page(response) else "no-cache")


class reloading_handler(http_request_handler):
    """A handler whose pages reload themselves.  Its `reloading` is what it shares with the others of its server."""

    __slots__ = ()
    reloading: Reloading

    def answer(self, request: Request) -> Response:
        """The site's response to a whole page, where one is to be shown; the script and the changes are ours."""
        if request.path in (EVENTS, SCRIPT):
            return self._own_answer(request)
        if is_shown(request.head):
            response = super().answer(_plain(request))
            # What was waited for is there only once.
            if is_page(response) or request.headers.lacks(_CONDITIONS) or request.waited_for is not None:
                return response
            close_producer(response.body)
        return super().answer(request)

    def _own_answer(self, request: Request) -> Response:
        try:
            return self.reloading.answer(request)
        except HTTPError as error:
            return self.error_page(request.head, error)

    def respond(self, head: Head, response: Response) -> None:
        """Send the response as it is to be while files change."""
        try:
            response = self.reloading.adapted(head, response)
        except Exception:
            response = self.reloading.adapted(head, self.failed(head))
        super().respond(head, response)


def reloaded(handler_class: type[http_request_handler], reloading: Reloading) -> type[http_request_handler]:
    """The class of handlers, with pages that reload themselves."""
    return type("reloading_handler", (reloading_handler, handler_class), {"__slots__": (), "reloading": reloading})


def is_shown(head: Head) -> bool:
    """Whether a browser is about to show what it asks for.

    Only to a trustworthy origin, such as this machine, it says so; elsewhere, what it accepts tells.
    """
    if head.method not in _METHODS or "range" in head.headers:
        return False
    destination = head.headers.get("sec-fetch-dest")
    return destination in _SHOWN if destination else "text/html" in head.headers.get("accept")


def _plain(request: Request) -> Request:
    """The request for all of a page, whatever the client has of it.  As GET: HEAD is to say how long that is."""
    head = copy.copy(request.head)
    head.method = "GET"
    head.headers = Headers(line for line in request.headers if line[0].lower() not in _NOT_OF_PAGES)
    plain = copy.copy(request)
    plain.head = head
    return plain


def _uncached(response: Response, rule: str) -> Response:
    """The same response, under another rule for caches, unless its own is as strict as can be."""
    if "no-store" in Headers(response.headers).get("cache-control").lower():
        return response
    headers = [line for line in response.headers if line[0].lower() not in ("cache-control", "expires")]
    return Response(response.body, response.status, [*headers, ("Cache-Control", rule)], length=response.length)
