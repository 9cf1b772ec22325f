"""The events of a wire trace: what a channel did, one record each.

An event's name is `namespace:event` in the past tense: `channel:` is the socket's side, `chat:` terminators and
producers, `http:` messages, `app:` the site, `loop:` the turns, `trace:` the recording itself.  Positions are absolute
offsets in one direction's stream of the connection, `start` and `length`.  Bytes are strings, one character U+0000 to
U+00FF each; `length` is always the true length, also where `data` was cut short or left out.

*Inputs* are what the world did.  Every other event must follow from them, which is what replay checks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

__all__ = ["FORMAT", "INPUTS", "KINDS", "NAMES", "VERSION", "Event", "Trace", "TraceHead", "is_input"]

FORMAT = "httpd-trace"
VERSION = 1

KINDS: dict[str, type[Any]] = {}
"""Each event's record type by the event's name."""
NAMES: dict[type[Any], str] = {}
"""Each event's name by its record type."""
INPUTS: set[type[Any]] = set()
"""The record types of what the world did."""

_T = TypeVar("_T")


class TraceHead(NamedTuple):
    """A trace's first line: whose it is, and under which settings the channel worked.

    `connection` numbers the server's traced connections, `began` is UTC in ISO 8601.  `server` is the Server field's
    value, `headers` are field lines that the server puts into every answer.  `settings` are the sizes that decide how
    bytes are cut and, as 0 or 1, what kind of connection it is; `limits` are the server's.  Of what is sent,
    `data_limit` bytes of each content are kept; the values of the fields in `redacted` are replaced by as many
    asterisks, but for their blanks.
    """

    title: str
    connection: int
    peer: str
    local: str
    began: str
    server: str
    headers: tuple[tuple[str, str], ...]
    settings: dict[str, int]
    limits: dict[str, float]
    data_limit: int
    redacted: tuple[str, ...]


class Event(NamedTuple):
    """One event: its number from 0, milliseconds since the trace began, the turn of the loop, and what happened."""

    n: int
    t: float
    tick: int
    what: Any

    @property
    def name(self) -> str:
        return NAMES[type(self.what)]


class Trace(NamedTuple):
    """One connection's recording."""

    head: TraceHead
    events: list[Event]


def is_input(what: Any) -> bool:
    """Whether a record is of the world's doing.  An error of a step is the channel's own."""
    return type(what) in INPUTS and not (type(what) is Failed and what.op == "step")


def _event(name: str, *, given: bool = False) -> Callable[[type[_T]], type[_T]]:
    """Name a record type; `given` marks an input."""

    def register(kind: type[_T]) -> type[_T]:
        KINDS[name] = kind
        NAMES[kind] = name
        if given:
            INPUTS.add(kind)
        return kind

    return register


# ---- the socket's side


@_event("channel:accepted", given=True)
class Accepted(NamedTuple):
    """A connection was accepted from `peer`; its descriptor is `fd`."""

    peer: str
    fd: int


@_event("channel:received", given=True)
class Received(NamedTuple):
    """recv() was asked for `asked` bytes and gave a piece.  Inbound data is recorded whole."""

    start: int
    length: int
    data: str
    asked: int


@_event("channel:blocked", given=True)
class Blocked(NamedTuple):
    """The kernel had nothing to give (`recv`) or no room to take anything (`send`)."""

    op: Literal["recv", "send"]


@_event("channel:eof", given=True)
class Eof(NamedTuple):
    """The peer has finished sending, after `start` bytes."""

    start: int


@_event("channel:timed_out", given=True)
class TimedOut(NamedTuple):
    """Patience with the peer ended in the state `phase`, `after_ms` after the last input."""

    phase: str
    after_ms: float


@_event("channel:error", given=True)
class Failed(NamedTuple):
    """The connection broke in `recv`, `send` or `shutdown`, or while it was waited for (`poll`); or a `step` of the
    channel's own raised, which is no input."""

    op: Literal["recv", "send", "shutdown", "poll", "step"]
    errno: int
    error: str


@_event("channel:told", given=True)
class Told(NamedTuple):
    """Somebody other than the peer told the channel: the server to finish, close, cut or turn away, a producer to
    wake, whoever worked for the site beside the loop that the work is done, or that it has read all content that has
    come, TLS that the peer does not speak it."""

    what: Literal["finish", "close", "cut", "turn_away", "must_speak_tls", "wake", "work_done", "content_wanted"]


@_event("channel:sent", given=True)
class Sent(NamedTuple):
    """`offered` bytes were offered, and the kernel took `length` of them: that alone is the input."""

    start: int
    offered: int
    length: int


@_event("channel:interest")
class Interest(NamedTuple):
    """What the channel waits for has changed to this."""

    read: bool
    write: bool


@_event("channel:closed")
class Closed(NamedTuple):
    """The connection is over: who ended it, how many bytes came and went, and how many that came were not looked at."""

    by: Literal["server", "peer", "timeout", "error"]
    bytes_in: int
    bytes_out: int
    unread: int


# ---- terminators and producers


@_event("chat:terminator_set")
class TerminatorSet(NamedTuple):
    """What ends the next message: these bytes, a `length` of so many, or nothing.  Only when it changes."""

    kind: Literal["bytes", "length", "none"]
    value: str | int | None


@_event("chat:scanned")
class Scanned(NamedTuple):
    """These bytes were searched for the terminator: it is `at` that position, or the last `held` may begin it."""

    start: int
    length: int
    result: Literal["found", "partial", "absent"]
    at: int | None
    held: int


@_event("chat:collected")
class Collected(NamedTuple):
    """These bytes belong to the message; of a length terminator, `remaining` are still to come."""

    start: int
    length: int
    remaining: int | None


@_event("chat:terminator_found")
class TerminatorFound(NamedTuple):
    """Here stands the terminator; one that was a length has none of its own."""

    start: int
    length: int


@_event("chat:pushed")
class Pushed(NamedTuple):
    """A producer, or bytes, went to the end of the queue, which is now `depth` long; `size` is None if unknown."""

    producer: str
    depth: int
    size: int | None


@_event("chat:refilled")
class Refilled(NamedTuple):
    """A producer gave these bytes (`some`), or has none left (`exhausted`), or none yet (`stalled`)."""

    producer: str
    outcome: Literal["some", "exhausted", "stalled"]
    start: int
    length: int
    data: str


@_event("chat:close_when_done")
class CloseWhenDone(NamedTuple):
    """The channel will close when the queue, `depth` long, is empty."""

    depth: int


@_event("chat:discarded")
class Discarded(NamedTuple):
    """These bytes were received and are of no more use."""

    start: int
    length: int
    why: str


# ---- messages


@_event("http:state_changed")
class StateChanged(NamedTuple):
    """The connection went from one state of the handler's table to another."""

    old: str
    new: str
    why: str


@_event("http:request_line")
class RequestLine(NamedTuple):
    """The request-line of a head that was found good (RFC 9112 §3)."""

    start: int
    length: int
    method: str
    target: str
    version: str


@_event("http:field_line")
class FieldLine(NamedTuple):
    """One of its field lines (RFC 9112 §5)."""

    start: int
    length: int
    name: str
    value: str


@_event("http:body_expected")
class BodyExpected(NamedTuple):
    """Content of this length was announced, by this rule: always the same one, since no transfer coding is taken."""

    length: int
    rule: str


@_event("http:refused")
class Refused(NamedTuple):
    """The request is not taken.  The very bytes at fault; of length 0 where something is missing."""

    status: int
    reason: str
    rule: str
    start: int
    length: int


@_event("http:responded")
class Responded(NamedTuple):
    """An answer went to the queue, with these field lines; `size` is its content's length, None if only its end will
    tell."""

    status: int
    fields: tuple[tuple[str, str], ...]
    body: Literal["bytes", "file", "template", "stream", "none"]
    size: int | None


# ---- the site


class Tried(NamedTuple):
    """A route that was looked at, and what did not fit: its "path", its "method"; or "matched"."""

    pattern: str
    outcome: Literal["path", "method", "matched"]


@_event("app:routed")
class Routed(NamedTuple):
    """Which routes were tried for this request, and who answers it ("" for nobody)."""

    method: str
    path: str
    tried: tuple[Tried, ...]
    params: dict[str, str]
    handler: str


@_event("app:returned")
class Returned(NamedTuple):
    """The handler returned a response after so many milliseconds."""

    handler: str
    ms: float


@_event("app:postponed")
class Postponed(NamedTuple):
    """The site needs work done that would hold up the loop; it is asked again when that is done."""

    handler: str


@_event("app:raised")
class Raised(NamedTuple):
    """The site raised; this is the status that the client gets."""

    error: str
    status: int


# ---- the loop, and the recording


@_event("loop:polled")
class Polled(NamedTuple):
    """The loop waited, and so many descriptors were ready; `timers` are set."""

    waited_ms: float
    readable: int
    writable: int
    timers: int


@_event("trace:noted")
class Noted(NamedTuple):
    """A remark."""

    text: str


@_event("trace:truncated")
class Truncated(NamedTuple):
    """So many events were dropped here."""

    dropped: int
