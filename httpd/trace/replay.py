"""Playing a recording again: its inputs to a fresh channel, as they were, or with the bytes cut elsewhere.

The channel is the server's own handler on a scripted socket; time is what the recording says.  The site is given, or
answers what it answered then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from ..net import asyncore
from ..net.backends import HUNG_UP
from ..net.channel_map import ChannelMap
from ..net.timers import Timers
from ..net.wake import Then, at_once
from ..protocol.message import Head
from ..protocol.validators import parse_http_date
from ..server.handler import State, http_request_handler
from ..server.limits import Limits
from ..server.service import Service, Site
from .events import Accepted, Eof, Event, Failed, Polled, Received, Responded, TimedOut, Told, Trace, is_input
from .laws import Broken, check, check_cut, check_replay
from .ndjson import NotATrace
from .recorder import Recorder
from .scripted import RecordedSite, ScriptedSocket, op_of, scripted
from .steps import traced

__all__ = ["Played", "check_cuts", "cut", "every_cut", "inbound", "one_by_one", "play", "play_cut", "replay"]

# A channel on a script ends in far fewer turns; one that does not is stopped.
_MOST_TURNS = 100_000
# How often a producer may say that it has nothing yet before it is left alone.
_MOST_WAKES = 3
# A scripted socket's descriptor: no process has so many open.
_NUMBER = 1 << 28
# The bytes of an accepted socket's addresses, when the recording's own cannot be read.
_NOWHERE = ("", 0)


class Played(NamedTuple):
    """What came of a replay: the new trace, and what the peer got."""

    trace: Trace
    output: bytes

    @property
    def events(self) -> list[Event]:
        """What the channel did, in its order."""
        return self.trace.events


# ---- where to cut


def inbound(events: Iterable[Event]) -> bytes:
    """All bytes that were received."""
    return b"".join(event.what.data.encode("latin-1") for event in events if type(event.what) is Received)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The bytes in pieces, cut at these positions; no piece is empty."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


def one_by_one(data: bytes) -> list[bytes]:
    """Every byte a piece of its own."""
    return cut(data, range(len(data)))


def every_cut(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """(place, the bytes in two pieces) for each place where they can be cut."""
    for place in range(1, len(data)):
        yield place, cut(data, [place])


# ---- playing


def replay(trace: Trace, site: Site | None = None) -> tuple[Played, list[Broken]]:
    """Play a trace's inputs as they were: what came of it, and law 7 where it is broken.

    Without a site, each request gets the recorded answer, and what the site did is not compared.
    """
    played = play(trace, [event for event in trace.events if is_input(event.what)], site)
    return played, check_replay(trace.events, played.events, () if site is not None else ("app:",))


def play_cut(trace: Trace, pieces: Sequence[bytes], site: Site | None = None) -> Played:
    """Play a trace's bytes in other pieces, to a peer that takes everything at once; it ends as it did.

    No time passes in it.
    """
    # What was said of the connection before its first byte.
    whats: list[Any] = [event.what for event in trace.events if event.what == Told("must_speak_tls")]
    at = 0
    for piece in pieces:
        whats.append(Received(at, len(piece), piece.decode("latin-1"), 0))
        at += len(piece)
    accepted = [event for event in trace.events if is_input(event.what)][:1]
    inputs = [event._replace(what=what) for event in accepted for what in (*whats, *_ending(trace.events))]
    return play(trace, [*accepted, *inputs], site, follow=False)


def check_cuts(
    trace: Trace, cuttings: Iterable[Sequence[bytes]], site: Site | None = None
) -> Iterator[tuple[Played, list[Broken]]]:
    """Each cutting played, with the laws that it breaks: 1 to 5, and 6 against the bytes in one piece."""
    whole = play_cut(trace, cut(inbound(trace.events), ()), site)
    for pieces in cuttings:
        played = play_cut(trace, pieces, site)
        broken = check(played.events) + check_cut(whole.events, played.events, whole.output, played.output)
        yield played, broken


def _ending(events: Sequence[Event]) -> list[Any]:
    """How the peer's side ended: its end, its silence, or a break; where nothing is known, by its end.

    A send that failed is none: when it did depends on when something was sent.
    """
    last = [event.what for event in events if type(event.what) in (Eof, TimedOut) or _breaks_off(event.what)]
    return last[-1:] or [Eof(0)]


def _breaks_off(what: Any) -> bool:
    return type(what) is Failed and what.op in ("recv", "poll")


def play(
    trace: Trace,
    inputs: Sequence[Event],
    site: Site | None = None,
    *,
    follow: bool = True,
    handler_class: type[http_request_handler] = http_request_handler,
) -> Played:
    """Give the inputs to a fresh channel.

    With `follow`, the channel gets its events as they were recorded; without, it gets every event that it waits for,
    as in a loop with nobody else in it.  Raises NotATrace where the trace does not begin with its connection.
    """
    if not inputs or type(inputs[0].what) is not Accepted:
        raise NotATrace("it does not begin with a connection that was accepted")
    if site is None:
        site = RecordedSite(trace)
    return _Player(trace, inputs, site, follow, handler_class).run()


class _Player:
    """One replay: a clock that the inputs move, a channel, and its events as the inputs ask for them."""

    polled: Polled | None = None
    _working = False

    def __init__(
        self,
        trace: Trace,
        inputs: Sequence[Event],
        site: Site,
        follow: bool,
        handler_class: type[http_request_handler],
    ) -> None:
        head = trace.head
        self.recorded = trace
        self.follow = follow
        self._site = site
        self.now = inputs[0]
        self.played = Trace(head, [])
        self._inputs = list(inputs[1:])
        self._turns = 0
        self._dates = [event for event in trace.events if type(event.what) is Responded]
        self._began = _began(head.began)
        self.timers = Timers(self._clock)
        service = self._service(site)
        if isinstance(site, RecordedSite):
            # Its answers have the lines of every answer already.
            service.site = site
        self._works: deque[tuple[Callable[[], object], Then | None]] = deque()
        self.socket = ScriptedSocket([event.what for event in self._inputs], _NUMBER, (_NOWHERE, _NOWHERE))
        log: Any = _NoLog()
        service.draining = bool(head.settings.get("draining"))
        kind = traced(scripted(handler_class, head.settings), self._recorder)
        self.channel = kind(self.socket, _peer(head.peer), {}, log, service, map=ChannelMap())

    def _service(self, site: Site) -> Service:
        head = self.recorded.head
        try:
            return Service(
                site,
                limits=_limits(head.limits),
                timers=self.timers,
                server_name=head.server,
                headers=head.headers,
                beside=self._beside,
                pool=self._beside,
                call=self._call,
                # A site that is no recording would wait here for content that is still to come.
                streams=isinstance(site, RecordedSite),
                wall_clock=self._wall_clock,
            )
        except ValueError as why:
            raise NotATrace(f"line 1: no server could have been like this: {why}") from None

    # ---- time

    def _clock(self) -> float:
        return self.now.t / 1000

    @property
    def number(self) -> int:
        """The recorded turn."""
        return self.now.tick

    def _wall_clock(self) -> float:
        """The recorded Date of the next answer; where there is none, the recorded time."""
        for event in self._dates:
            if event.n >= self.now.n:
                date = dict(event.what.fields).get("Date", "")
                return _seconds(date, self._began + event.t / 1000)
        return self._began + self._clock()

    def _recorder(self, sock: Any, addr: Any, service: Service) -> Recorder:
        recorder = Recorder(self.played.head, self.played.events.append, self._clock, self)
        recorder.accepted(self.played.head.peer, sock.fileno())
        return recorder

    # ---- work beside the loop

    def _beside(self, work: Callable[[], object], then: Then | None) -> None:
        self._works.append((work, then))

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        """From work under way: now.  From somebody who has kept a promise at once: when it was kept."""
        if self._working:
            function(*args)
        else:
            self._beside(partial(function, *args), None)

    def _do_work(self) -> None:
        """Do what the site waits for, when it was done, or at once."""
        if self._works:
            work, then = self._works.popleft()
            self._working = True
            at_once(work, then)
            self._working = False

    def _worked(self) -> bool:
        """Do what the channel waits for before it reads on, where nobody has recorded when; whether there was any."""
        if self.follow or not self._works:
            return False
        inflow = self.channel._inflow
        if inflow is None or not self._reads_on():
            self._do_work()
        elif inflow.full:
            self.channel.content_wanted()
        else:
            return False
        return True

    def _reads_on(self) -> bool:
        """Whether a thread that reads the content while it comes had more of it when it answered."""
        streams = self.channel._inflow is not None and self.channel.state is State.READ_BODY
        return streams and isinstance(self._site, RecordedSite) and self._site.reads_on(self.channel._received)

    # ---- events

    def run(self) -> Played:
        """Give every input that the channel asks for; those that it does not ask for are passed over."""
        self.timers.tick()
        waiting = self.socket.inputs
        while waiting and self.channel.state is not State.CLOSED:
            self._go_on()
            if op_of(waiting[0]):
                self._give_to_socket()
            else:
                self._tell(waiting.popleft())
        self._serve_output()
        events = len(self.played.events)
        # It has to give back what it holds; that is no part of the conversation.
        self.channel.close()
        del self.played.events[events:]
        return Played(self.played, bytes(self.socket.sent))

    def _go_on(self) -> None:
        """It is as late as the next input."""
        if self.socket.inputs:
            self.now = self._inputs[-len(self.socket.inputs)]
            self.timers.tick()

    def _give_to_socket(self) -> None:
        waiting = self.socket.inputs
        before, reads = len(waiting), op_of(waiting[0]) == "recv"
        while len(waiting) == before and (self._one_event(reads) or self._worked()):
            pass
        if len(waiting) == before:
            waiting.popleft()
        while self.socket.has_more and (self._one_event(reads=True) or self._worked()):
            pass
        if not self.follow:
            self._serve_output()

    def _one_event(self, reads: bool) -> bool:
        """Give the channel one event that it waits for; False where it waits for none."""
        channel = self.channel
        if channel.state is State.CLOSED:
            return False
        self._go_on()
        if reads and channel.readable():
            asyncore.read(channel)
        elif channel.writable():
            asyncore.write(channel)
        else:
            return False
        self._turns += 1
        return self._turns < _MOST_TURNS

    def _serve_output(self) -> None:
        """Let the channel send what it can; in following, no more than was recorded."""
        while not self.follow or len(self.played.events) < len(self.recorded.events):
            if self._works and not self.follow and not self._reads_on():
                self._do_work()
            elif not self._one_event(reads=False) and not self._woken():
                return

    def _woken(self) -> bool:
        """Wake a producer, as somebody did who is not here; whether it has moved anything."""
        sent = len(self.socket.sent)
        for _ in range(_MOST_WAKES):
            if self.follow or self.channel.state is not State.SEND_RESPONSE or len(self.socket.sent) > sent:
                break
            self.channel.wake()
        return len(self.socket.sent) > sent

    def _tell(self, what: Any) -> None:
        channel = self.channel
        if isinstance(what, Failed):
            asyncore.readwrite(channel, HUNG_UP)
        elif isinstance(what, TimedOut):
            _guarded(channel, channel.give_up)
        elif isinstance(what, Told) and what.what == "work_done":
            self._do_work()
        elif isinstance(what, Told):
            channel.service.draining |= what.what == "finish"
            _guarded(channel, getattr(channel, what.what))


def _guarded(channel: http_request_handler, step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:
        channel.handle_error()


class _NoLog:
    """Stands for an access log."""

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Any) -> None:
        """Nothing is logged."""

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Any) -> None:
        """Nothing is logged."""


# ---- what a trace's head says


def _limits(told: dict[str, float]) -> Limits:
    """The recorded limits; the usual ones where they could not be."""
    usual = Limits()._asdict()
    usable = {name: type(usual[name])(value) for name, value in told.items() if name in usual and value >= 1}
    return Limits(**{**usual, **usable})


def _began(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _seconds(date: str, otherwise: float) -> float:
    seconds = parse_http_date(date)
    return otherwise if seconds is None else seconds


def _peer(text: str) -> Any:
    host, colon, port = text.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isascii() and port.isdigit() else ""
