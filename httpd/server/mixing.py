"""Classes of handlers with something added, each made once from a class that may be another at any time."""

from __future__ import annotations

from ..protocol.message import Head, Request
from .handler import http_request_handler

__all__ = ["https_request_handler", "mixed"]

Handler = type[http_request_handler]

_made: dict[tuple[Handler, Handler], Handler] = {}
# A running server may go to and fro between classes; those that it has left must not be kept for ever.
_MOST_MADE = 12


def mixed(handler_class: Handler, addition: Handler) -> Handler:
    """The handler class whose calls of `super()` find the addition before the plain handler."""
    for one, other in ((handler_class, addition), (addition, handler_class)):
        if issubclass(one, other):
            return one
    made = _made.get((handler_class, addition))
    if made is None:
        if len(_made) >= _MOST_MADE:
            _made.clear()
        name = addition.__name__.removesuffix("request_handler") + handler_class.__name__
        made = _made[handler_class, addition] = type(name, (handler_class, addition), {"__slots__": ()})
    return made


class https_request_handler(http_request_handler):
    """One connection's channel, its requests those of `https` addresses."""

    __slots__ = ()

    def early_request(self, head: Head) -> Request:
        request = super().early_request(head)
        request.scheme = "https"
        return request

    def handle_request(self, request: Request) -> None:
        request.scheme = "https"
        super().handle_request(request)
