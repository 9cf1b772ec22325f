"""How much is kept of one connection: everything up to some bounds, beyond them nothing but how much that was, and its
end.
"""

from __future__ import annotations

from .events import Closed, Event, Truncated

__all__ = ["Share"]

# How much there is of one connection, in memory or in a file: events, and bytes.
MOST_EVENTS = 20_000
MOST_BYTES = 4 << 20


class Share:
    """What one connection may take up; whoever keeps its events adds to `bytes` what they take."""

    __slots__ = ("_dropped", "_first_dropped", "bytes", "events")

    def __init__(self) -> None:
        self.events = self.bytes = 0
        self._dropped = 0
        self._first_dropped: Event | None = None

    def of(self, events: list[Event]) -> list[Event]:
        """What to keep of these events, which come after those of the last call.  Bytes are looked at once a call."""
        room = MOST_EVENTS - self.events if self.bytes < MOST_BYTES else 0
        kept, left = events[:room], events[room:]
        self.events += len(kept)
        return kept + self._instead(left) if left else kept

    def _instead(self, left: list[Event]) -> list[Event]:
        """What to keep of events beyond the bounds: nothing, until the last one is among them."""
        end = left[-1:] if type(left[-1].what) is Closed else []
        dropped = left[: len(left) - len(end)]
        if dropped:
            self._first_dropped = self._first_dropped or dropped[0]
            self._dropped += len(dropped)
        if not end or self._first_dropped is None:
            return end
        return [self._first_dropped._replace(what=Truncated(self._dropped)), *end]
