"""The newest connections in memory, for those who look on.

Bounded in every way: the oldest connection goes when there are too many, or too much in them, and one that does too
much is cut short, with `trace:truncated` before its last event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .events import Event, Received, Refilled, Trace, TraceHead
from .share import Share

__all__ = ["Store", "weight_of"]

# How many connections there are at the most, and how many bytes of data in all of them.
MOST_CONNECTIONS = 200
MOST_BYTES = 32 << 20

# What an event takes besides its data, about.
_RECORD = 200

Told = Callable[[int, TraceHead | Event], None]


class Store:
    """A sink that keeps the newest `connections`; `told(connection, head or event)` hears of all that it keeps."""

    def __init__(self, told: Told, *, connections: int = MOST_CONNECTIONS, size: int = MOST_BYTES) -> None:
        self._told = told
        self._most = connections
        self._most_bytes = size
        self._kept: dict[int, _Kept] = {}
        self._size = 0

    def __call__(self, head: TraceHead) -> Callable[[Event], None]:
        kept = self._kept[head.connection] = _Kept(head)
        self._told(head.connection, head)
        self._drop_oldest()
        return lambda event: self._take(kept, event)

    def keep(self, trace: Trace) -> None:
        """Take a connection that was recorded elsewhere."""
        take = self(trace.head)
        for event in trace.events:
            take(event)

    def get(self, connection: int) -> Trace | None:
        """The trace of a connection, None where it is not here, or not any more."""
        kept = self._kept.get(connection)
        return kept.trace if kept is not None else None

    def __iter__(self) -> Iterator[Trace]:
        return (kept.trace for kept in self._kept.values())

    def _take(self, kept: _Kept, event: Event) -> None:
        if kept.gone:
            return
        for one in kept.share.of([event]):
            kept.trace.events.append(one)
            weight = weight_of(one.what)
            kept.share.bytes += weight
            self._size += weight
            self._told(kept.trace.head.connection, one)
        self._drop_oldest()

    def _drop_oldest(self) -> None:
        while len(self._kept) > self._most or (self._size > self._most_bytes and len(self._kept) > 1):
            kept = self._kept.pop(next(iter(self._kept)))
            kept.gone = True
            self._size -= kept.share.bytes


class _Kept:
    """One connection: its trace, how much that is, and whether it is out of the store already."""

    def __init__(self, head: TraceHead) -> None:
        self.trace = Trace(head, [])
        self.share = Share()
        self.gone = False


def weight_of(what: Any) -> int:
    """About how many bytes of memory an event's record takes."""
    return _RECORD + (len(what.data) if type(what) in (Received, Refilled) else 0)
