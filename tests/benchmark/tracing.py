"""What it costs to be watched: a kept-alive GET of a small file, plain, traced in memory, traced into a folder.

    python -m tests.benchmark.tracing

Processor time a request, of this process alone: a turn of the server, and the client's send and receive.  The three
take turns, and the best of many short rounds is what counts, so that it matters little what else the machine does.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from httpd import Server, StaticFiles
from httpd.net import asyncore
from httpd.trace.events import Event, TraceHead
from httpd.trace.ring import Ring
from httpd.trace.tracing import Tracing

__all__ = ["costs", "main"]

REQUEST = b"GET /a.txt HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
ROUNDS, REQUESTS = 40, 200


def _newest(head: TraceHead) -> Callable[[Event], None]:
    """A sink that keeps the newest events, as the console does."""
    return deque[Event](maxlen=5_000).append


def _turn(server: Server) -> None:
    asyncore.loop(1, map=server.map, count=1)


def _exchange(client: socket.socket, server: Server) -> None:
    client.send(REQUEST)
    _turn(server)
    client.recv(65_536)


def _cost(server: Server) -> float:
    """Microseconds a request, on a connection of its own."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        # A connection is accepted when something has come.
        _exchange(client, server)
        began = time.process_time()
        for _ in range(REQUESTS):
            _exchange(client, server)
        client.shutdown(socket.SHUT_WR)
        # It closes, and what was recorded is written.
        _turn(server)
        return (time.process_time() - began) / REQUESTS * 1e6


def costs(place: Path) -> dict[str, float]:
    """Microseconds a request, in the best of some rounds; `place` is an empty folder."""
    folder = place / "site"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"x" * 1024)
    os.utime(folder / "a.txt", (1, 1))
    plain, memory, written = (Server(StaticFiles(folder), port=0, access_log="off") for _ in range(3))
    Tracing(_newest).attach(memory)
    Tracing(Ring(place / "traces", written.timers)).attach(written)
    servers = {"plain": plain, "in memory": memory, "into a folder": written}
    with contextlib.ExitStack() as stack:
        for server in servers.values():
            server.start()
            stack.callback(server.close)
        rounds = [[_cost(server) for server in servers.values()] for _ in range(ROUNDS)]
    return dict(zip(servers, map(min, zip(*rounds, strict=True)), strict=True))


def main() -> None:
    """Print a line each."""
    with tempfile.TemporaryDirectory() as place:
        measured = costs(Path(place))
    for name, cost in measured.items():
        print(f"{name:<14} {cost:6.1f} µs, {cost / measured['plain']:.1f} times as much")


if __name__ == "__main__":
    main()
