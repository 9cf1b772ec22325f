"""What to record of each step of a channel.

A Recorder belongs to one connection.  It has a method for each named step of the channel, called before the step is
made, or after it where the outcome is recorded; positions are read from the channel's own indices, so that a channel
that loses or repeats a byte shows it.  It never changes anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from errno import EAGAIN, EWOULDBLOCK
from functools import lru_cache
from typing import Any, Protocol, TypeVarTuple

from ..protocol.errors import HTTPError, Refusal
from ..protocol.message import Head, Request, Response
from ..server.handler import State, http_request_handler
from ..server.service import status_line
from .events import (
    Accepted,
    Blocked,
    BodyExpected,
    Closed,
    CloseWhenDone,
    Collected,
    Discarded,
    Eof,
    Event,
    Failed,
    FieldLine,
    Interest,
    Polled,
    Postponed,
    Pushed,
    Raised,
    Received,
    Refilled,
    Refused,
    RequestLine,
    Responded,
    Returned,
    Routed,
    Scanned,
    Sent,
    StateChanged,
    TerminatorFound,
    TerminatorSet,
    TimedOut,
    Told,
    TraceHead,
)
from .routes import route_of
from .veil import Veil, starred

__all__ = ["Recorder", "Turns"]

Channel = http_request_handler
_new: Any = tuple.__new__
# The fields of an event.
_What = TypeVarTuple("_What")

# The field lines of answers, by their bytes and by what is hidden in them.
_known: dict[tuple[str, ...], dict[bytes, tuple[tuple[str, str], ...]]] = {}
_MOST_KNOWN = 256

# Why a state follows another, where no step has said more.
_WHY = {
    ("read header", "read body"): "content was announced",
    ("read header", "handle"): "the request is whole",
    ("read header", "send response"): "the site takes no such content",
    ("read header", "linger"): "the server makes way for another",
    ("read body", "handle"): "the request is whole",
    ("read body", "send response"): "the site has answered before all content was here",
    ("handle", "send response"): "the site has answered",
    ("send response", "read header"): "all is sent, and the connection is kept",
    ("send response", "linger"): "all is sent, and input may be unread",
    ("send response", "closed"): "all is sent",
}
_ENDED = {
    "peer": "the peer has ended",
    "timeout": "patience has ended",
    "error": "the connection broke",
    "server": "the server closes",
}
# What a body is called, by its producer's type.
_BODIES = {"bytes": "bytes", "file_producer": "file", "parts_producer": "file", "_Page": "template"}


class Turns(Protocol):
    """Numbers the loop's turns; `polled` is what the present one's wait gave, if that is known."""

    polled: Polled | None

    @property
    def number(self) -> int: ...


class Recorder:
    """Records one connection's steps as events, each handed to `sink`; `clock` gives seconds.

    The head says how much is kept of each content that is sent, and which fields' values are not kept.  `connection`
    is its number among those that are recorded, `asked_in` that of the event that is the newest request-line.
    """

    __slots__ = (
        "_asked_at", "_began", "_by", "_clock", "_data_limit", "_events", "_file", "_head", "_head_left", "_inbound",
        "_interest", "_known_lines", "_last_input", "_made", "_next_part", "_now", "_outbound", "_part_from",
        "_queue", "_raised", "_received", "_redacted", "_refilled", "_room", "_route", "_sent", "_sink",
        "_terminator", "_turn", "_turns", "_why", "asked_in", "connection",
    )  # fmt: skip

    def __init__(
        self, head: TraceHead, sink: Callable[[Event], None], clock: Callable[[], float], turns: Turns
    ) -> None:
        self.connection = head.connection
        self.asked_in = 0
        self._sink = sink
        self._clock = clock
        self._turns = turns
        self._data_limit = head.data_limit
        self._redacted = redacted = frozenset(head.redacted)
        self._known_lines: dict[bytes, tuple[tuple[str, str], ...]] = _known.setdefault(head.redacted, {})
        self._events = 0
        self._turn = -1
        self._now = self._began = clock()
        # In:
        self._received = 0
        self._inbound = Veil(redacted)
        self._terminator: Any = ()  # what was set last; () for nothing yet
        self._part_from = self._next_part = 0  # where the part began that was found last, and the one that is read
        self._head: bytes | None = None  # the head that was found, until its lines are recorded
        self._last_input = self._began
        # Out:
        self._queue: deque[tuple[Any, str]] = deque()  # as the channel's own, with a name for each item
        self._made = 0  # how many names were given
        self._refilled = 0
        self._sent = 0
        self._outbound = Veil(redacted)
        self._head_left = 0  # how much of an answer's head comes out next; what follows is content
        self._room = self._data_limit  # how much of what comes out next is kept
        self._file = (0, b"")  # how much of a file is being offered, and what of it is kept
        # The rest:
        self._interest = (False, False)
        self._why = ""
        self._by = ""
        self._route: Routed | None = None
        self._asked_at = 0.0
        self._raised = False

    def _note(self, kind: Callable[[*_What], object], *what: *_What) -> None:
        now = self._now = self._clock()
        turn = self._turns.number
        if turn != self._turn:
            self._turn = turn
            if self._turns.polled is not None:
                self._emit(self._turns.polled)
        n = self._events
        self._events = n + 1
        # As Event(…) and kind(…) do, without the calls in between.
        self._sink(_new(Event, (n, (now - self._began) * 1000, turn, _new(kind, what))))

    def _emit(self, record: Any) -> None:
        self._sink(Event(self._events, (self._now - self._began) * 1000, self._turn, record))
        self._events += 1

    # ---- the socket

    def accepted(self, peer: str, fd: int) -> None:
        self._note(Accepted, peer, fd)

    def received(self, channel: Channel, data: bytes, asked: int) -> None:
        self._note(Received, self._received, len(data), self._inbound(data), asked)
        self._received += len(data)
        self._last_input = self._now

    def not_received(self, channel: Channel, why: OSError) -> None:
        self._failed("recv", why)

    def not_sent(self, channel: Channel, why: OSError) -> None:
        self._failed("send", why)

    def not_shut(self, channel: Channel, why: OSError) -> None:
        self._failed("shutdown", why)

    def _failed(self, op: Any, why: OSError) -> None:
        if why.errno in (EAGAIN, EWOULDBLOCK):
            self._note(Blocked, op)
            return
        self._by = self._by or "error"
        self._note(Failed, op, why.errno or 0, why.strerror or str(why))

    def eof(self, channel: Channel) -> None:
        self._by = self._by or "peer"
        self._note(Eof, self._received)

    def lost(self, channel: Channel) -> None:
        """The connection is gone; where no step has said why, the wait for it has."""
        if not self._by:
            self._by = "peer"
            self._note(Failed, "poll", 0, "the connection was lost")

    def raised_in_step(self, channel: Channel, error: BaseException | None) -> None:
        self._by = "error"
        self._note(Failed, "step", getattr(error, "errno", None) or 0, _described(error))

    def interest(self, channel: Channel) -> None:
        """What the channel waits for may have changed."""
        now = bool(channel.readable()), bool(channel.writable())
        if now != self._interest:
            self._interest = now
            self._note(Interest, *now)

    def gave_up(self, channel: Channel) -> None:
        """Patience with the peer is at its end."""
        self._by = self._by or "timeout"
        self._why = "the peer was too slow"
        waited = (self._clock() - self._last_input) * 1000
        self._note(TimedOut, channel.state.value, round(max(0.0, waited), 3))

    def told(self, channel: Channel, what: Any) -> None:
        """A call from outside."""
        if what in ("close", "cut"):
            self._by = self._by or "server"
        self._note(Told, what)

    def closed(self, channel: Channel, unread: int) -> None:
        by: Any = self._by or "server"
        self._note(Closed, by, self._received, channel.ac_bytes_sent, unread)
        self._sink = _nothing

    # ---- in: terminators

    def _at(self, channel: Channel) -> int:
        """How far the inbound stream is taken, by the channel's own reckoning."""
        return self._received - len(channel._ac_in_data) + channel._ac_in_at

    def terminator_set(self, channel: Channel) -> None:
        """A terminator was set, perhaps the same as before."""
        value = channel.get_terminator() or None
        if value == self._terminator and type(value) is type(self._terminator):
            return
        self._terminator = value
        if isinstance(value, bytes):
            self._note(TerminatorSet, "bytes", value.decode("latin-1"))
        else:
            self._note(TerminatorSet, "none" if value is None else "length", value)

    def scanned(self, channel: Channel, data: bytes, start: int, found: int, held: int) -> None:
        """`data` was searched from `start` on; found is -1 where it was not."""
        base = self._received - len(data)
        result: Any = "found" if found >= 0 else "partial" if held else "absent"
        at = base + found if found >= 0 else None
        self._note(Scanned, base + start, len(data) - start, result, at, held)

    def collected(self, channel: Channel, data: bytes) -> None:
        """The channel takes what stands before its terminator, or throws it away."""
        start = self._at(channel) - len(data)
        if getattr(channel, "state", None) is State.LINGER:
            self._note(Discarded, start, len(data), "nothing more is read")
            return
        self._head = None
        left = channel.get_terminator()
        remaining = left - len(data) if isinstance(left, int) and left else None
        self._note(Collected, start, len(data), remaining)

    def terminator_found(self, channel: Channel) -> None:
        """Where the terminator stands; another part begins behind it."""
        terminator, end = channel.get_terminator(), self._at(channel)
        length = len(terminator) if isinstance(terminator, bytes) else 0
        self._note(TerminatorFound, end - length, length)
        self._part_from, self._next_part = self._next_part, end

    def lingers(self, channel: Channel) -> None:
        if waiting := channel.ac_in_buffer:
            self._note(Discarded, self._at(channel), len(waiting), "it came behind the last answer")

    # ---- messages

    def found_head(self, channel: Channel, head: bytes) -> None:
        self._head = head

    def parsed(self, channel: Channel, head: Head) -> None:
        """The head that was found is good: its lines."""
        data, self._head = self._head, None
        if data is None:
            return
        at = self._part_from
        method, target, version = head.request_line.split(" ")
        (start, length), *places = _line_starts(data)
        self._note(RequestLine, at + start, length, method, target, version)
        self.asked_in = self._events - 1
        for (start, length), (name, value) in zip(places, head.headers.lines, strict=True):
            self._note(FieldLine, at + start, length, name, _shown(name, value, self._redacted))

    def body_expected(self, channel: Channel, head: Head) -> None:
        # What is pushed now is news of its own.
        self._room = self._data_limit
        self._note(BodyExpected, head.content_length, "RFC 9112 §6.2")

    def refused(self, channel: Channel, refusal: Refusal) -> None:
        # Unless its end was found, it is the part that is still being read.
        begin = self._next_part if self._head is None else self._part_from
        self._head = None
        self._why = f"refused with {refusal.status}"
        status, reason, rule, start, length = refusal
        self._note(Refused, status, reason, rule, begin + start, length)

    def state_changed(self, channel: Channel, new: State) -> None:
        """The channel is about to change its state; why, the last step has said, or the table knows."""
        # _value_ is value without the descriptor.
        before, after = channel.state._value_, new._value_
        why, self._why = self._why, ""
        if new is State.CLOSED and self._by:
            why = _ENDED[self._by]
        self._note(StateChanged, before, after, why or _WHY.get((before, after)) or _ENDED["server"])

    def responded(self, channel: Channel, response: Response, fields: bytes, bodiless: bool, persistent: bool) -> None:
        """A response is about to go to the queue, with the field lines that it will have."""
        common = channel.service.common_fields(persistent)
        known = self._known_lines
        shown = (known.get(common) or self._know_lines(common)) + (known.get(fields) or self._know_lines(fields))
        body: Any = "none" if bodiless else _BODIES.get(_name_of(response.body), "stream")
        self._head_left = len(status_line(response.status)) + len(common) + len(fields)
        self._room = self._head_left + self._data_limit
        self._note(Responded, response.status, shown, body, 0 if bodiless else response.length)

    def _know_lines(self, fields: bytes) -> tuple[tuple[str, str], ...]:
        """The field lines in these bytes, which are much the same from answer to answer."""
        pairs = (line.partition(": ")[::2] for line in fields.decode("latin-1").split("\r\n") if line)
        lines = tuple((name, _shown(name, value, self._redacted)) for name, value in pairs)
        if len(self._known_lines) >= _MOST_KNOWN:
            self._known_lines.clear()
        self._known_lines[fields] = lines
        return lines

    # ---- the site

    def routing(self, channel: Channel, request: Request) -> None:
        """The site is about to be asked; first it is asked for the way there."""
        self._raised = False
        tried, params, handler = route_of(channel.service.site, request)
        self._route = Routed(request.method, request.path, tuple(tried), params, handler)
        self._note(Routed, *self._route)
        self._asked_at = self._clock()

    def answered(self, channel: Channel) -> None:
        if not self._raised and self._route is not None:
            took = (self._clock() - self._asked_at) * 1000
            self._note(Returned, self._route.handler, round(took, 3) if took > 0.0 else 0.0)

    def postponed(self, channel: Channel) -> None:
        if self._route is not None:
            self._note(Postponed, self._route.handler)

    def raised(self, channel: Channel, error: BaseException | None) -> None:
        self._raised = True
        self._note(Raised, _described(error), error.status if isinstance(error, HTTPError) else 500)

    # ---- out: producers

    def pushed(self, channel: Channel, item: Any) -> None:
        """Something went to the end of the queue."""
        self._made += 1
        name = f"{_name_of(item)}#{self._made}"
        if not channel._ac_fifo:
            # What was left in ours was sent otherwise.
            self._queue.clear()
        size = len(item) if isinstance(item, bytes) else getattr(item, "remaining", None)
        self._queue.append((item, name))
        self._note(Pushed, name, len(self._queue), size)
        self._give_out_bytes()

    def _give_out_bytes(self) -> None:
        """Bytes at the head of the queue are what a producer would give, and none is left then."""
        while self._queue and isinstance(self._queue[0][0], bytes):
            data, name = self._queue.popleft()
            self._refill(name, "exhausted", len(data), data)

    def _refill(self, name: str, outcome: Any, length: int, data: bytes) -> None:
        kept = data[: self._room]
        self._room -= len(kept)
        head = self._head_left
        if head:
            self._head_left = head - length if head > length else 0
            shown = self._outbound(kept[:head]) + kept[head:].decode("latin-1")
        else:
            shown = kept.decode("latin-1")
        self._note(Refilled, name, outcome, self._refilled, length, shown)
        self._refilled += length

    def refilled(self, channel: Channel, producer: Any, data: bytes | None) -> None:
        """A producer was asked, and gave this."""
        name = self._name_in_queue(producer)
        outcome = "stalled" if data is None else "some" if data else "exhausted"
        self._refill(name, outcome, len(data or b""), data or b"")
        if data == b"":
            self._dequeue(producer)

    def offers_file(self, channel: Channel, producer: Any, most: int) -> None:
        """A file will go past the queue: look at what of it is kept."""
        offered = min(producer.remaining, most)
        self._file = offered, producer.peek(min(self._room, offered)) if self._room else b""

    def sent_file(self, channel: Channel, producer: Any, count: int) -> None:
        """It was asked for as much as the kernel took."""
        offered, data = self._file
        if count:
            name = self._name_in_queue(producer)
            self._refill(name, "some" if producer.remaining else "exhausted", count, data[:count])
        self.sent(channel, offered, count)
        if not producer.remaining:
            self._dequeue(producer)

    def sent(self, channel: Channel, offered: int, count: int) -> None:
        """So much was offered, and so much the kernel took."""
        if count:
            self._note(Sent, self._sent, offered, count)
            self._sent += count
            self._last_input = self._now

    def _name_in_queue(self, producer: Any) -> str:
        for item, name in self._queue:
            if item is producer:
                return name
        return _name_of(producer)

    def _dequeue(self, producer: Any) -> None:
        while self._queue and self._queue.popleft()[0] is not producer:
            pass
        self._give_out_bytes()

    def closes_when_done(self, channel: Channel) -> None:
        self._by = self._by or "server"
        self._note(CloseWhenDone, len(self._queue))


@lru_cache(256)
def _line_starts(head: bytes) -> list[tuple[int, int]]:
    """(start, length) of each line of a head; the empty ones before it are none."""
    places, at = [], 0
    for line in head.split(b"\r\n"):
        if line:
            places.append((at, len(line)))
        at += len(line) + 2
    return places


def _nothing(event: Event) -> None:
    """What happens after the end is no part of the connection."""


def _shown(name: str, value: str, redacted: frozenset[str]) -> str:
    return starred(value) if name.lower() in redacted else value


def _name_of(item: Any) -> str:
    """A producer's type; what plays a recorded one again goes by the recorded name."""
    kind = type(item)
    return "bytes" if kind is bytes else getattr(item, "recorded_as", kind.__name__)


def _described(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}"[:200] if str(error) else type(error).__name__
