"""Server-Sent Events (HTML standard §9.2): a page is told what happens, over an answer that ends with its connection.

    @site.get("/clock")
    def clock(request):
        return event_stream(ticks())

    def ticks():
        while True:
            yield event(time.strftime("%H:%M:%S"))
            yield 1

In the page, `new EventSource("/clock").onmessage = event => …`.  A browser whose stream ends asks again after a while,
and says the `id` of the last event that it has seen (`last_event_id`); an answer of 204 has it stop.

A stream that is silent says a comment now and then: it keeps proxies patient, and finds out who is gone.  When the
server stops, streams end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Iterable
from math import inf
from time import monotonic
from typing import Any

from ..net.producers import Producer, close_producer, feed_producer, finish_producer, hooked_producer, stall_producer
from ..protocol.content import GeneratedContent, Yields
from ..protocol.message import Content, Request, Response
from .answers import NOSNIFF

__all__ = ["Listeners", "comment", "event", "event_stream", "last_event_id"]

# How long a stream is silent at most, in seconds: less than proxies bear (60 is usual).
BEAT = 15.0
_BEAT = b":\n\n"
# Who takes so little that more than this waits for it is let go; it will ask for the rest.
_MOST_WAITING = 8 << 20

_EVENTS = "text/event-stream; charset=utf-8"
# X-Accel-Buffering: nginx, in front, passes events on at once.
_HEADERS = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"), NOSNIFF)

# end-of-line = ( cr lf / cr / lf ).  Other ends of lines are letters as any.
_LINE_END = re.compile(r"\r\n|\r|\n")


def event(data: str | None = "", *, kind: str = "", ident: str | int | None = None, retry: float | None = None) -> str:
    """An event, as it is sent.

    `data` is text of any lines; None for an event that only sets what follows.  `kind` is the name that
    `addEventListener` knows it by, "message" if there is none.  `ident` comes back as `last_event_id`; `retry` is after
    how many seconds a browser asks again.  Raises ValueError for a kind or an ident with an end of line or NUL in it.
    """
    lines = []
    if kind:
        lines.append(f"event: {_one_line(kind)}")
    if ident is not None:
        lines.append(f"id: {_one_line(str(ident))}")
    if retry is not None:
        lines.append(f"retry: {round(retry * 1000)}")
    if data is not None:
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return "\n".join(lines) + "\n\n"


def comment(text: str) -> str:
    """A remark that no page sees."""
    return "".join(f": {line}\n" for line in _LINE_END.split(text)) + "\n"


def _one_line(value: str) -> str:
    if _LINE_END.search(value) or "\0" in value:
        raise ValueError(f"an end of line or NUL in {value!r}, which names an event")
    return value


def last_event_id(request: Request) -> str:
    """The `id` of the last event that a browser has seen before it asked again, "" where it asks for the first time."""
    said = request.headers.get("last-event-id")
    return said.encode("latin-1").decode("utf-8", "replace")


def event_stream(
    content: str | Generator[Yields] | Content, headers: Iterable[tuple[str, str]] = (), *, beat: float = BEAT
) -> Response:
    """The response whose content is events: what a generator yields, a producer gives, or just these.

    `beat` is how long the stream is silent at most, in seconds.
    """
    body = GeneratedContent(content) if isinstance(content, Generator) else content
    made = body if isinstance(body, str) else _Beating(body, beat)
    return Response(made, 200, [*_HEADERS, *headers], content_type=_EVENTS)


class _Beating:
    """Content that is never silent for long, and that comes to an end when the server stops.

    A beat is no reason to ask the content, which may wait for something else.
    """

    def __init__(self, content: Producer, beat: float) -> None:
        self._content = content
        self._beat = beat
        self._said = monotonic()
        self._due = -inf  # when the content is to be asked
        self._untold = False  # whether it had nothing, and was not told yet whom to wake
        self._over = False
        self._wake: Callable[[], object] = int

    @property
    def by_generator(self) -> bool:
        return getattr(self._content, "by_generator", False)

    def more(self) -> bytes | None:
        if self._over:
            return b""
        now = monotonic()
        if self._due <= now and not self._untold:
            data = self._content.more()
            if data is not None:
                self._said = now
                return data
            self._untold = True
        if now < self._said + self._beat:
            return None
        self._said = now
        return _BEAT

    def stalled(self, wake: Callable[[], object]) -> float:
        self._wake = wake
        if self._untold:
            self._untold = False
            self._due = inf
            seconds = stall_producer(self._content, self._rouse)
            if seconds is not None:
                self._due = min(self._due, monotonic() + seconds)
        return max(0.0, min(self._due, self._said + self._beat) - monotonic())

    def _rouse(self) -> None:
        self._due = -inf
        self._wake()

    def finish(self) -> None:
        if hasattr(self._content, "finish"):
            # It may have something to say before.
            finish_producer(self._content)
        else:
            self._over = True
            self._wake()

    def close(self) -> None:
        close_producer(self._content)


class Listeners:
    """Streams that are all told the same.  `tell` may be called from any thread, the rest in the loop's own."""

    def __init__(self) -> None:
        self._streams: dict[feed_producer, Hashable] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def held_by(self, who: Hashable) -> int:
        """How many streams somebody has."""
        return Counter(self._streams.values())[who]

    def tell(self, events: str | bytes) -> None:
        """Send this to all."""
        data = events.encode("utf-8", "replace") if isinstance(events, str) else events
        for stream in list(self._streams):
            if stream.waiting > _MOST_WAITING:
                stream.finish()
            else:
                stream.put(data)

    def response(self, first: str | bytes = b"", who: Hashable = None) -> Response:
        """A stream more, for `who`, that begins with these events."""
        feed = feed_producer()
        feed.put(first.encode("utf-8", "replace") if isinstance(first, str) else first)
        self._streams[feed] = who
        forget: Callable[[int], Any] = lambda given: self._streams.pop(feed, None)  # noqa: E731
        return event_stream(hooked_producer(feed, forget))
