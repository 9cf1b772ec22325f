"""What it costs to be watched: a kept-alive GET of a small file, plain, traced in memory, traced into a folder.

    python -m tests.benchmark.tracing

Processor time a request, of this process alone, over a socket pair: the client's send and receive are in it.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from httpd import Limits, StaticFiles, http_request_handler
from httpd.net import asyncore
from httpd.net.interest import ChannelMap
from httpd.net.timers import Timers
from httpd.server.service import Service
from httpd.trace import ring, share
from httpd.trace.events import Event, TraceHead
from httpd.trace.steps import traced
from httpd.trace.tracing import Tracing

__all__ = ["main"]

REQUEST = b"GET /a.txt HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
ROUNDS, REQUESTS = 5, 3_000


class _NoLog:
    def answered(self, *what: Any) -> None:
        pass


def _newest(head: TraceHead) -> Callable[[Event], None]:
    """A sink that keeps the newest events, as the console does."""
    return deque[Event](maxlen=5_000).append


def _cost(folder: Path, sink: Callable[[Timers], Any] | None) -> float:
    """Microseconds a request, in the best of some rounds."""
    timers = Timers()
    service = Service(StaticFiles(folder), limits=Limits(), timers=timers)
    kind = http_request_handler if sink is None else traced(http_request_handler, Tracing(sink(timers)).begin)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    log: Any = _NoLog()
    channel = kind(ours, ("127.0.0.1", 1), {}, log, service, map=ChannelMap())
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(REQUESTS):
            theirs.send(REQUEST)
            asyncore.read(channel)
            theirs.recv(65_536)
            timers.tick()
            timers.run_due()
        best = min(best, time.process_time() - began)
    channel.close()
    theirs.close()
    return best / REQUESTS * 1e6


def main() -> None:
    """Print a line each."""
    # A connection is cut short long before this many requests.
    share.MOST_EVENTS = share.MOST_BYTES = 1 << 40
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "site")
        folder.mkdir()
        (folder / "a.txt").write_bytes(b"x" * 1024)
        os.utime(folder / "a.txt", (1, 1))
        plain = _cost(folder, None)
        print(f"plain          {plain:6.1f} µs")
        for name, sink in (
            ("in memory", lambda timers: _newest),
            ("into a folder", lambda timers: ring.Ring(Path(place, "traces"), timers)),
        ):
            cost = _cost(folder, sink)
            print(f"{name:<14} {cost:6.1f} µs, {cost / plain:.1f} times as much")


if __name__ == "__main__":
    main()
