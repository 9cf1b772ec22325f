"""The laws that every trace obeys.  `check(events)` gives those that one breaks.

1. No event is missing.  What was received tiles the inbound stream, and what was collected, found as terminator or
   discarded tiles what was taken of it.
2. The first terminator is found, and where none is, as much is held back as may be the beginning of one: less than all.
3. Under a length terminator of n, n bytes are collected when it is found.
4. What producers gave tiles the outbound stream, and so does what was sent; nothing is offered that no producer has,
   nothing sent that none gave, and no more is taken than was offered.
5. Every change of state is in the handler's table, and the end comes last.
6. Where the bytes were cut does not matter: `check_cut` compares two conversations.
7. The inputs, given to a fresh channel, yield the same trace: `check_replay` compares the two.

A law is a class that is shown one event after the other, so each can be read by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

from ..server.handler import TABLE
from .events import (
    NAMES,
    Accepted,
    Closed,
    Collected,
    Discarded,
    Event,
    Pushed,
    Received,
    Refilled,
    Returned,
    Scanned,
    Sent,
    StateChanged,
    TerminatorFound,
    TerminatorSet,
    TimedOut,
    Truncated,
)

__all__ = ["Broken", "Told", "check", "check_cut", "check_replay", "essence", "said"]

_NEXT = {state.value: {after.value for after in following} for state, following in TABLE.items()}


class Broken(NamedTuple):
    """A law that does not hold: its number, the event that breaks it, and how."""

    law: int
    n: int
    text: str

    def __str__(self) -> str:
        return f"law {self.law}, event {self.n}: {self.text}"


def check(events: Iterable[Event]) -> list[Broken]:
    """The broken ones of laws 1 to 5, in the order of the events.  A trace that was cut short is judged up to there."""
    laws: list[_Law] = [_InboundTiles(), _Terminators(), _LengthsAddUp(), _OutboundTiles(), _States()]
    broken: list[Broken] = []
    for expected, event in enumerate(events):
        if type(event.what) is Truncated:
            break
        if event.n != expected:
            return [*broken, Broken(1, event.n, f"event {expected} is missing, and nothing says that it was dropped")]
        for law in laws:
            for fault in law.see(event.what):
                broken.append(Broken(law.number, event.n, fault))
    return broken


# ---- laws of one trace


class _Law(Protocol):
    """Is shown every event's record, and says how it breaks the law."""

    number: int

    def see(self, what: Any) -> Iterator[str]: ...


class _InboundTiles:
    number = 1

    def __init__(self) -> None:
        self.received = self.taken = 0

    def see(self, what: Any) -> Iterator[str]:
        kind = type(what)
        if kind is Received:
            yield from _follows("received", what.start, self.received)
            if what.length != len(what.data):
                yield f"received: {len(what.data)} bytes of data, length {what.length}"
            if what.length > what.asked:
                yield f"received: {what.length} bytes, and only {what.asked} were asked for"
            self.received = what.start + what.length
        elif kind in (Collected, TerminatorFound, Discarded):
            yield from _follows(NAMES[kind].partition(":")[2], what.start, self.taken)
            self.taken = what.start + what.length
            if self.taken > self.received:
                yield f"{self.taken - self.received} bytes were taken that were never received"
        elif kind is Closed:
            if what.bytes_in != self.received:
                yield f"closed: {what.bytes_in} bytes in, but {self.received} were received"
            if self.taken + what.unread != self.received:
                yield f"of {self.received} bytes received, {self.taken} were taken and {what.unread} are unread"


class _Terminators:
    number = 2

    def __init__(self) -> None:
        self.inbound = ""
        self.terminator = ""

    def see(self, what: Any) -> Iterator[str]:
        kind = type(what)
        if kind is Received:
            self.inbound += what.data
        elif kind is TerminatorSet:
            self.terminator = what.value if what.kind == "bytes" else ""
        elif kind is Scanned:
            yield from self._scanned(what)
        elif kind is TerminatorFound and self.inbound[what.start : what.start + what.length] != self.terminator:
            yield f"what stands at {what.start} is not the terminator"

    def _scanned(self, what: Scanned) -> Iterator[str]:
        end = what.start + what.length
        first = self.inbound.find(self.terminator, what.start, end)
        if what.at is None and first >= 0:
            yield f"the terminator stands at {first}, and was overlooked"
        elif what.at is not None and what.at != first:
            yield f"no terminator stands at {what.at}, or not the first one"
        if first < 0:
            yield from self._held_back(self.inbound[what.start : end], what.held)

    def _held_back(self, data: str, held: int) -> Iterator[str]:
        longest = _beginning_at_end(data, self.terminator)
        if held >= len(self.terminator):
            yield f"held back: {_bytes(held)}, and the terminator has only {len(self.terminator)}"
        elif held and not data.endswith(self.terminator[:held]):
            yield f"held back: the last {_bytes(held)}, which cannot begin the terminator"
        elif held < longest:
            yield f"held back: {_bytes(held)}, and the last {_bytes(longest)} may begin the terminator"


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"


def _beginning_at_end(data: str, terminator: str) -> int:
    """How many characters at the end, less than all of the terminator, may be its beginning."""
    return next((length for length in range(len(terminator) - 1, 0, -1) if data.endswith(terminator[:length])), 0)


class _LengthsAddUp:
    number = 3

    def __init__(self) -> None:
        self.wanted: int | None = None
        self.collected = 0

    def see(self, what: Any) -> Iterator[str]:
        kind = type(what)
        if kind is TerminatorSet:
            self.wanted, self.collected = what.value if what.kind == "length" else None, 0
        elif self.wanted is None:
            return
        elif kind is Collected:
            self.collected += what.length
            if what.remaining != self.wanted - self.collected:
                yield f"{what.remaining} bytes are said to remain of {self.wanted} after {self.collected}"
        elif kind is TerminatorFound and self.collected != self.wanted:
            yield f"{self.collected} bytes were collected, and {self.wanted} announced"


class _OutboundTiles:
    number = 4

    def __init__(self) -> None:
        self.given = self.sent = 0
        self.left: dict[str, int] = {}  # by producer, of those that told their size
        self.producer = ""

    def see(self, what: Any) -> Iterator[str]:
        kind = type(what)
        if kind is Pushed and what.size is not None:
            self.left[what.producer] = what.size
        elif kind is Refilled:
            yield from _follows("refilled", what.start, self.given)
            self.given = what.start + what.length
            self.producer = what.producer
            self.left[self.producer] = max(0, self.left.get(self.producer, 0) - what.length)
        elif kind is Sent:
            yield from self._sent(what)
        elif kind is Closed and what.bytes_out != self.sent:
            yield f"closed: {what.bytes_out} bytes out, but {self.sent} were sent"

    def _sent(self, what: Sent) -> Iterator[str]:
        yield from _follows("sent", what.start, self.sent)
        self.sent = what.start + what.length
        if what.length > what.offered:
            yield f"{what.offered} bytes were offered, and {what.length} taken"
        if self.sent > self.given:
            yield f"{self.sent} bytes are sent, and producers gave only {self.given}"
        # A file is offered whole, and gives what is taken of it.
        had = self.given - what.start + self.left.get(self.producer, 0)
        if what.offered > had:
            yield f"{what.offered} bytes are offered, and producers had only {had}"


class _States:
    number = 5

    def __init__(self) -> None:
        self.state = "read header"
        self.closed = False

    def see(self, what: Any) -> Iterator[str]:
        if self.closed:
            yield f"{NAMES[type(what)]} after the end"
        if type(what) is StateChanged:
            if what.old != self.state:
                yield f"a change from {what.old!r} in the state {self.state!r}"
            if what.new not in _NEXT.get(what.old, ()):
                yield f"{what.old!r} may not go to {what.new!r}"
            self.state = what.new
        elif type(what) is Closed:
            self.closed = True
            if self.state != "closed":
                yield f"closed in the state {self.state!r}"


def _follows(what: str, start: int, expected: int) -> Iterator[str]:
    if start != expected:
        yield f"{what}: begins at {start}, and {expected} bytes came before it"


# ---- laws of two


Told = tuple[int, str, dict[str, Any]]


def essence(events: Iterable[Event]) -> list[Event]:
    """What a conversation was about: its `http:` and `app:` events.

    How a connection that has had its last answer takes leave is left out: it lingers only where more has come by then
    (RFC 9112 §9.6), and only the network knows when it comes.
    """
    return [event for event in events if event.name.startswith(("http:", "app:")) and not _takes_leave(event.what)]


def _takes_leave(what: Any) -> bool:
    return type(what) is StateChanged and what.new in ("linger", "closed") and what.old in ("send response", "linger")


def check_cut(one: Iterable[Event], other: Iterable[Event], output: bytes, other_output: bytes) -> list[Broken]:
    """Law 6, for two conversations whose inbound bytes are the same; the outputs are what the peer got."""
    broken = [*_differences(6, essence(one), essence(other))]
    if output != other_output:
        at = next((i for i, (a, b) in enumerate(zip(output, other_output, strict=False)) if a != b), None)
        at = min(len(output), len(other_output)) if at is None else at
        broken.append(Broken(6, 0, f"the answers differ from byte {at} on"))
    return broken


def check_replay(recorded: Sequence[Event], played: Sequence[Event], ignored: Sequence[str] = ()) -> list[Broken]:
    """Law 7.  `ignored` are namespaces besides `loop:` and `trace:`, which tell of others than the channel.

    A recording that was cut short is compared up to there.
    """
    left_out = "loop:", "trace:", *ignored
    whole = list(takewhile(lambda event: type(event.what) is not Truncated, recorded))
    cut_short = len(whole) < len(recorded)
    one, other = ([event for event in events if not event.name.startswith(left_out)] for events in (whole, played))
    return [*_differences(7, one, other[: len(one)] if cut_short else other)]


# What is of one time only: it names the connection, or says how long something took.
_PASSING = {Accepted: ("peer", "fd"), TimedOut: ("after_ms",), Returned: ("ms",)}


def said(event: Event) -> Told:
    """An event as it must be repeated, without its time."""
    passing = _PASSING.get(type(event.what), ())
    return event.n, event.name, {name: value for name, value in event.what._asdict().items() if name not in passing}


def _differences(law: int, one: Sequence[Event], other: Sequence[Event]) -> Iterator[Broken]:
    """The first place where two lists of events part."""
    for event, other_event in zip(one, other, strict=False):
        if event.what == other_event.what and type(event.what) is type(other_event.what):
            continue
        (n, name, data), (_, other_name, other_data) = said(event), said(other_event)
        if name != other_name:
            yield Broken(law, n, f"{name} here, and there {other_name}")
            return
        for field, value in data.items():
            if value != other_data[field]:
                yield Broken(law, n, f"{name}: {field} is {_short(value)} here, and there {_short(other_data[field])}")
                return
    longer, shorter = (one, other) if len(one) > len(other) else (other, one)
    if len(longer) > len(shorter):
        left = longer[len(shorter)]
        yield Broken(law, left.n, f"{left.name} comes in only one of the two")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"
