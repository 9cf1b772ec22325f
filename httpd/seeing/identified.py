"""Channels that say in each answer what its request is called in the logs."""

from __future__ import annotations

from ..protocol.message import Response
from ..server.handler import http_request_handler

__all__ = ["identified"]


def identified(handler_class: type[http_request_handler]) -> type[http_request_handler]:
    """The handler class whose answers have a field X-Request-Id."""
    return type(f"identified_{handler_class.__name__}", (_Identified, handler_class), {"__slots__": ()})


class _Identified(http_request_handler):
    __slots__ = ()

    def send_response(self, response: Response, fields: bytes, bodiless: bool) -> None:
        if self._asked is not None:
            name = self.request_id(self._asked)
            fields = f"X-Request-Id: {name}\r\n".encode("ascii") + fields
        super().send_response(response, fields, bodiless)
