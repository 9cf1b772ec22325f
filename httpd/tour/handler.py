"""Pages that say what made them, by a subclass of the handler: neither the site nor the files know of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..protocol.message import Head, Response
from ..server.handler import http_request_handler
from ..site.inserting import in_body, is_page, with_tag
from ..site.policy import admitting, hash_source
from ..site.templates import bundled
from .sources import Sources
from .stops import STOPS, Stop, stop_at

__all__ = ["toured", "touring_handler"]


class touring_handler(http_request_handler):
    """A handler whose pages begin with a strip; `strip(stop, channel)` is that of a stop."""

    strip: Callable[[Stop, http_request_handler], bytes]

    def respond(self, head: Head, response: Response) -> None:
        """Send the response, a page of a stop with its strip."""
        stop = stop_at(head.path)
        if stop is not None and is_page(response):
            try:
                response = with_tag(response, self.strip(stop, self), in_body)
                response.headers = admitting(response.headers, ("style-src", _style_source()))
            except Exception:
                response = self.failed(head)
        super().respond(head, response)


def toured(
    handler_class: type[http_request_handler], sources: Sources, watch: Callable[[Any], str]
) -> type[http_request_handler]:
    """The class of handlers, with the tour's strips in their pages.

    `watch(channel)` is the address at which the request that is being answered there can be watched.
    """

    def strip(stop: Stop, channel: http_request_handler) -> bytes:
        number = STOPS.index(stop) + 1
        return bundled().render(
            "tour/strip.html",
            stop=stop,
            number=number,
            count=len(STOPS),
            following=STOPS[number] if number < len(STOPS) else None,
            source=sources.address(stop.source, stop.line),
            watch=watch(channel),
        ).encode()

    members = {"strip": staticmethod(strip)}
    return type("touring_handler", (touring_handler, handler_class), members)


@cache
def _style_source() -> str:
    return hash_source(bundled().render("tour/strip.css"))
