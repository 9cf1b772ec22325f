"""http_request_handler over TLS."""

from __future__ import annotations

import ssl
from typing import Any

from ..net.tls import NotTls, TlsChat, TlsSocket
from .handler import http_request_handler
from .mixing import https_request_handler, mixed

__all__ = ["over_tls", "tls_request_handler", "tls_socket"]

# What may be spoken in TLS, by its names in ALPN (RFC 7301 §6).
_PROTOCOLS = frozenset({b"http/1.1", b"http/1.0"})


class tls_request_handler(TlsChat, https_request_handler):
    """One connection's channel, its socket a TlsSocket.

    Every answer after which the connection ends is followed by TLS's own end, so that it is seen to be whole.
    """

    __slots__ = ()

    always_lingers = True

    @property
    def handshake_time(self) -> float:  # type: ignore[override]
        return self.service.limits.handshake_time

    def shake_hands(self) -> None:
        super().shake_hands()
        # Until now its client could not ask for anything.
        self._began = self.timers.now

    def spoke_plainly(self, why: NotTls) -> None:
        """Read a request that comes without TLS, and anything like one, so that its refusal can be read by a person."""
        if why.data[:1].isalpha():
            self.must_speak_tls()
        else:
            self.not_shaken(why)

    def cut(self) -> None:
        self.socket.break_off()
        super().cut()


def tls_socket(sock: Any, context: ssl.SSLContext) -> TlsSocket:
    """A socket for `tls_request_handler`, on an accepted one."""
    return TlsSocket(sock, context, _PROTOCOLS)


def over_tls(handler_class: type[http_request_handler]) -> type[http_request_handler]:
    """A handler class as it is over TLS."""
    return mixed(handler_class, tls_request_handler)
