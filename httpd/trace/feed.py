"""What is recorded, told at once to the pages that look on: Server-Sent Events over an answer that ends with its
connection.

Each message has a number, the `id` of its event: not the recorded event's own, for one feed tells of all connections.
A page that was cut off says the last one that it has, and gets what came after it, as far as that is kept; where it is
not, an event `gap` says so.
"""

from __future__ import annotations

from collections import deque
from itertools import dropwhile
from typing import NamedTuple

from ..net.timers import Timers
from ..protocol.errors import HTTPError
from ..protocol.message import Response
from ..site.events import Listeners
from .events import Event, TraceHead
from .ndjson import event_line, head_line
from .store import weight_of

__all__ = ["Feed"]

# How much is kept for those who come back, or come late: messages, and bytes of data in them.
MOST_MESSAGES = 10_000
MOST_BYTES = 4 << 20
# How many may look on at once.
MOST_STREAMS = 8

_GREETING = b"retry: 1000\n\n"
_GAP = b"event: gap\ndata: what came before is not kept any more\n\n"


class _Message(NamedTuple):
    number: int
    connection: int
    what: TraceHead | Event

    @property
    def weight(self) -> int:
        return weight_of(self.what.what if isinstance(self.what, Event) else self.what)

    def encoded(self) -> bytes:
        line = event_line(self.what) if isinstance(self.what, Event) else head_line(self.what)
        kind = "event" if isinstance(self.what, Event) else "head"
        return f'id: {self.number}\ndata: {{"connection":{self.connection},"{kind}":{line[:-1]}}}\n\n'.encode("ascii")


class Feed:
    """The messages, and who is told of them.  For the loop's own thread; `timers` are the server's."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._messages: deque[_Message] = deque()
        self._weight = 0
        self._last = 0
        self._untold: list[_Message] = []
        self._streams = Listeners()

    def tell(self, connection: int, what: TraceHead | Event) -> None:
        """Something was recorded; those who look on hear of it at the turn's end."""
        self._last += 1
        message = _Message(self._last, connection, what)
        self._messages.append(message)
        self._weight += message.weight
        while len(self._messages) > MOST_MESSAGES or self._weight > MOST_BYTES:
            self._weight -= self._messages.popleft().weight
        if self._streams:
            if not self._untold:
                self._timers.call_soon(self._flush)
            self._untold.append(message)

    def response(self, last_seen: str) -> Response:
        """The stream for one who has seen the message of that number; with "" all that is kept."""
        if len(self._streams) >= MOST_STREAMS:
            raise HTTPError(503, "Too many pages look on; close one.", [("Retry-After", "5")])
        self._flush()
        seen = int(last_seen) if last_seen.isdecimal() and len(last_seen) < 16 else 0
        if seen > self._last:
            # The numbers of another server, which was here before.
            seen = 0
        return self._streams.response(_GREETING + self._since(seen))

    def _since(self, seen: int) -> bytes:
        missed = dropwhile(lambda message: message.number <= seen, self._messages)
        lost = self._messages and self._messages[0].number > seen + 1
        return (_GAP if lost else b"") + b"".join(message.encoded() for message in missed)

    def _flush(self) -> None:
        untold, self._untold = self._untold, []
        if untold:
            self._streams.tell(b"".join(message.encoded() for message in untold))
