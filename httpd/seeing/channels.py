"""The live channels of a server as rows: read from its map when somebody asks, and never before.

What came in is the kernel's own count, for the channel keeps none; where the kernel tells nothing, nothing is said.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Callable, Iterable
from heapq import nlargest
from operator import itemgetter
from typing import Any, NamedTuple

from ..protocol.message import Head
from ..server.handler import State, http_request_handler
from .waiting import awaited, state_of

__all__ = ["ORDERS", "Row", "View", "rows_of"]

# Linux, tcp_info in its tcp.h: tcpi_bytes_received, a 64-bit number, and where it ends.
_RECEIVED = slice(128, 136)
# How much of a request-line is shown.
_LONGEST = 160


class View(NamedTuple):
    """What somebody wants to see of the channels: those in a state, "" for all, and which first."""

    state: str
    order: str


class Row(NamedTuple):
    """One channel.  Times are in seconds, counts in bytes; None where nobody knows, or where there is none."""

    rank: float  # in the order that was asked for, the highest first
    worker: int  # the process that has it
    peer: str
    tls: str
    state: str
    lasted: float  # in this state, or in its present window
    age: float
    requests: int
    received: int | None
    sent: int
    limit: str  # which one ends its wait, "" where it waits for us
    left: float | None
    asked: str


def _busiest(channel: http_request_handler, now: float) -> float:
    """Those that do something come first, those that have done it for longest before the others."""
    idle = awaited(channel) == "idle_time"
    return _lasted(channel, now) - (1e9 if idle else 0.0)


def _lasted(channel: http_request_handler, now: float) -> float:
    return now - channel._began


# What a table of channels may begin with.
ORDERS: dict[str, Callable[[http_request_handler, float], float]] = {
    "busy": _busiest,
    "age": lambda channel, now: now - channel.since,
    "sent": lambda channel, now: channel.ac_bytes_sent,
    "requests": lambda channel, now: channel.requests,
    "left": lambda channel, now: -channel.patience(),
}


def rows_of(channels: Iterable[http_request_handler], now: float, most: int, view: View) -> list[Row]:
    """The rows of a view, so many at the most; `now` is the time on the loop's clock."""
    order = ORDERS[view.order]
    wanted = ((order(channel, now), channel) for channel in channels if view.state in ("", state_of(channel)))
    return [_row(channel, now, rank) for rank, channel in nlargest(most, wanted, key=itemgetter(0))]


def _row(channel: http_request_handler, now: float, rank: float) -> Row:
    until = channel.patience()
    return Row(
        rank=rank,
        worker=os.getpid(),
        peer=_peer(channel),
        tls=getattr(channel.socket, "version", ""),
        state=state_of(channel),
        lasted=_lasted(channel, now),
        age=now - channel.since,
        requests=channel.requests,
        received=_received(channel.socket),
        sent=channel.ac_bytes_sent,
        limit=awaited(channel),
        left=None if until == math.inf else max(0.0, until - now),
        asked=_asked(channel),
    )


def _peer(channel: http_request_handler) -> str:
    if not isinstance(channel.addr, tuple):
        return channel.peer or "a unix socket"
    host = f"[{channel.peer}]" if ":" in channel.peer else channel.peer
    return f"{host}:{channel.addr[1]}" if channel.peer == channel.addr[0] else host


def _asked(channel: http_request_handler) -> str:
    asked = channel.asked
    line = asked.request_line if isinstance(asked, Head) else asked or ""
    if not line and channel.state is State.READ_HEADER and channel._received:
        return f"a head, {channel._received + len(channel.ac_in_buffer)} bytes of it yet"
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"


def _received(sock: Any) -> int | None:
    """How many bytes have come, on the wire."""
    if not hasattr(socket, "TCP_INFO"):
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RECEIVED.stop)[_RECEIVED]
    except (OSError, AttributeError):
        return None
    return int.from_bytes(told, "little") if len(told) == 8 else None
