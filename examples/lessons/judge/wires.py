"""Wires without a network: what came of some pieces, as a trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from httpd import http_request_handler
from httpd.net.asynchat import async_chat
from httpd.server.limits import Limits
from httpd.server.service import Site
from httpd.trace.events import Accepted, Eof, Event, Received, Trace, TraceHead
from httpd.trace.laws import check
from httpd.trace.recorder import Recorder
from httpd.trace.replay import Played, play
from httpd.trace.scripted import ScriptedSocket
from httpd.trace.steps import traced_chat

from .saying import Wrong

__all__ = ["Talk", "converse", "head", "received", "talk"]

PEER, LOCAL = "192.0.2.1:4711", "192.0.2.2:80"
# No process has so many descriptors, so the kernel would refuse it at once.
_NUMBER = 1 << 28


def head(title: str = "", connection: int = 1, began: str = "1994-11-06T08:49:37.000Z") -> TraceHead:
    """The first line of a trace that was made here; of the limits only those that a lesson speaks of."""
    limits = Limits()
    return TraceHead(
        title=title,
        connection=connection,
        peer=PEER,
        local=LOCAL,
        began=began,
        server="httpd",
        headers=(),
        settings={"piece": 16_384, "out_buffer": 65_536, "allowance": 1 << 21, "sendfile": 0},
        limits={name: getattr(limits, name) for name in ("head", "fields", "header_time")},
        data_limit=4096,
        redacted=(),
    )


def received(pieces: Sequence[bytes]) -> Iterator[Received]:
    """Pieces, as the inputs of a channel."""
    at = 0
    for piece in pieces:
        yield Received(at, len(piece), piece.decode("latin-1"), 0)
        at += len(piece)


def converse(
    pieces: Sequence[bytes], site: Site, handler_class: type[http_request_handler] = http_request_handler
) -> Played:
    """The server's own handler, given these pieces and the peer's end: its trace, and what the peer got."""
    inputs = [Accepted(PEER, 7), *received(pieces), Eof(sum(map(len, pieces)))]
    events = [Event(n, float(n), n + 1, what) for n, what in enumerate(inputs)]
    return play(Trace(head(), events[:1]), events, site, follow=False, handler_class=handler_class)


class Talk(NamedTuple):
    """What came of a talk with a channel: the channel, its trace, what the peer got, and whether the channel closed."""

    channel: Any
    trace: Trace
    output: bytes
    closed: bool

    def check(self) -> None:
        """Raise Wrong where the trace breaks a law."""
        if broken := check(self.trace.events):
            raise Wrong(f"The trace breaks {broken[0]}.")


class _Turns:
    """A turn of the loop for each piece."""

    polled = None

    def __init__(self) -> None:
        self.count = 1

    @property
    def number(self) -> int:
        return self.count


def talk(channel_class: type[async_chat], pieces: Sequence[bytes], title: str = "") -> Talk:
    """A channel of any kind, given these pieces, a turn each."""
    sock = ScriptedSocket(received(pieces), _NUMBER, (("192.0.2.1", 4711), ("192.0.2.2", 80)))
    trace, turns = Trace(head(title), []), _Turns()

    def begin(_: Any) -> Recorder:
        recorder = Recorder(trace.head, trace.events.append, lambda: float(turns.count) / 1000, turns)
        recorder.accepted(PEER, 7)
        return recorder

    channel: Any = traced_chat(channel_class, begin)(sock, {})
    while not sock.closed and (sock.inputs or sock.has_more):
        turns.count += 1
        channel.handle_read_event()
        while not sock.closed and channel.writable():
            channel.handle_write_event()
    closed = sock.closed
    if not closed:
        with contextlib.suppress(Exception):
            channel.close()
    return Talk(channel, trace, bytes(sock.sent), closed)
