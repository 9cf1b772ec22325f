"""Tracing a server: which connections are recorded, and where the events go.

A *sink* is asked once a connection, with the trace's head, for a function that then takes the events: a list, a file in
a folder, a terminal, a live feed.  Tracing may be switched on and off in a running server; what was accepted before
stays as it was.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ..net.asynchat import SEND_ALLOWANCE
from ..net.backends import READ, WRITE, Backend, best_backend
from ..net.interest import interests_of
from ..net.timers import Timers
from ..net.tls import TlsChat, TlsSocket
from ..server.handler import http_request_handler
from ..server.server import Server
from ..server.service import Service
from .events import Event, Polled, Trace, TraceHead
from .recorder import Recorder, Turns
from .steps import traced
from .veil import REDACTED, starred

__all__ = ["Memory", "Sink", "Tracing"]

Sink = Callable[[TraceHead], Callable[[Event], None]]

# How much is kept of each content that is sent.
DATA_LIMIT = 4096


class Memory:
    """A sink that keeps whole traces in a list."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []

    def __call__(self, head: TraceHead) -> Callable[[Event], None]:
        trace = Trace(head, [])
        self.traces.append(trace)
        return trace.events.append


class Tracing:
    """Records the connections of one server, each into every sink."""

    def __init__(
        self,
        *sinks: Sink,
        title: str = "",
        data_limit: int = DATA_LIMIT,
        redacted: tuple[str, ...] = REDACTED,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.sinks = list(sinks)
        self.title = title
        self.data_limit = data_limit
        self.redacted = redacted
        self._clock = clock
        self._wall_clock = wall_clock
        self._connections = 0
        self._turns: Turns | None = None
        self._plain: type[http_request_handler] | None = None

    # ---- on and off

    def attach(self, server: Server) -> None:
        """Record the connections that the server accepts from now on."""
        if self._plain is None:
            interests = interests_of(server.map)
            turns = self._turns = _CountedTurns(server.timers)
            interests.use_backend(lambda: _WatchedBackend(best_backend(), turns, self._clock))
            self._plain = server.handler_class
            server.handler_class = traced(server.handler_class, self.begin)

    def detach(self, server: Server) -> None:
        """Record no connection that the server accepts from now on."""
        if self._plain is not None:
            server.handler_class, self._plain = self._plain, None
            interests_of(server.map).use_backend(best_backend)

    # ---- connections

    def begin(self, sock: Any, addr: Any, service: Service) -> Recorder:
        """The recorder of a connection that was just accepted."""
        if self._turns is None:
            self._turns = _TurnsByTime(service.timers)
        self._connections += 1
        head = self._head(sock, addr, service)
        takers = [sink(head) for sink in self.sinks]
        recorder = Recorder(head, takers[0] if len(takers) == 1 else _to_all(takers), self._clock, self._turns)
        recorder.accepted(head.peer, sock.fileno())
        return recorder

    def _head(self, sock: Any, addr: Any, service: Service) -> TraceHead:
        began = datetime.fromtimestamp(self._wall_clock(), UTC).isoformat(timespec="milliseconds")
        return TraceHead(
            title=self.title,
            connection=self._connections,
            peer=_address(addr),
            local=_address(sock.getsockname()),
            began=began.replace("+00:00", "Z"),
            server=service.server_name,
            headers=tuple(self._shown(*line) for line in service.headers),
            settings=settings_of(sock, service),
            limits=service.limits._asdict(),
            data_limit=self.data_limit,
            redacted=self.redacted,
        )

    def _shown(self, name: str, value: str) -> tuple[str, str]:
        return name, starred(value) if name.lower() in self.redacted else value


def settings_of(sock: Any, service: Service) -> dict[str, int]:
    """The sizes that decide where bytes are cut; and, as 0 or 1, whether files go by sendfile or are read, whether TLS
    is spoken, and whether the first answer ends the connection.
    """
    over_tls = isinstance(sock, TlsSocket)
    return {
        "piece": service.limits.piece,
        "out_buffer": (TlsChat if over_tls else http_request_handler).ac_out_buffer_size,
        "allowance": SEND_ALLOWANCE,
        "sendfile": int(type(sock) is socket.socket),
        "tls": int(over_tls),
        "draining": int(service.draining),
    }


def _address(addr: Any) -> str:
    """An address as a person writes it; a unix socket's peer has none."""
    if isinstance(addr, tuple):
        host, port = addr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return addr if isinstance(addr, str) else ""


def _to_all(takers: list[Callable[[Event], None]]) -> Callable[[Event], None]:
    def take(event: Event) -> None:
        for taker in takers:
            taker(event)

    return take


class _TurnsByTime:
    """The turns of a loop, numbered as far as something was recorded in them: each has its own time."""

    polled: Polled | None = None

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._at = -1.0
        self._number = 0

    @property
    def number(self) -> int:
        if self._timers.now != self._at:
            self._at = self._timers.now
            self._number += 1
        return self._number


class _CountedTurns:
    """The turns of a loop, counted by its backend."""

    polled: Polled | None = None

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self.number = 0

    def waited(self, seconds: float, events: list[tuple[int, int]]) -> None:
        """The loop has waited, and these descriptors are ready."""
        self.number += 1
        readable = writable = 0
        for _, mask in events:
            if mask & READ:
                readable += 1
            if mask & WRITE:
                writable += 1
        self.polled = Polled(round(seconds * 1000, 3), readable, writable, len(self._timers))


class _WatchedBackend:
    """Waits as another backend does, and tells what came of it."""

    def __init__(self, backend: Backend, turns: _CountedTurns, clock: Callable[[], float]) -> None:
        self.alone = backend.alone
        self.set = backend.set
        self.remove = backend.remove
        self.close = backend.close
        self._wait = backend.wait
        self._turns = turns
        self._clock = clock

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        began = self._clock()
        events = self._wait(timeout)
        self._turns.waited(self._clock() - began, events)
        return events
