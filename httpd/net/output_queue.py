"""A channel's output queue while a program has it in hand.

A channel keeps a plain deque, and says itself when it changes it.  Where a program takes `producer_fifo`, perhaps to
keep it and to change it at any time, it is this one from then on, which says so for itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from .producers import close_producer
from .report import Reporter

__all__ = ["OutputQueue", "close_queued"]

logger = Reporter("httpd.net")


class OutputQueue(deque[Any]):
    """A deque that tells its `channel` when something is put into it; `clear()` closes the producers that it drops.

    What is taken out one by one belongs to the program, as ever.  A queue that is its channel's no longer has none.
    """

    def __init__(self, channel: Any, items: Iterable[Any]) -> None:
        super().__init__(items)
        self.channel = channel

    def _announce(self) -> None:
        if self.channel is not None:
            self.channel.interest_changed()

    def append(self, item: Any) -> None:
        super().append(item)
        self._announce()

    def appendleft(self, item: Any) -> None:
        super().appendleft(item)
        self._announce()

    def extend(self, items: Iterable[Any]) -> None:
        super().extend(items)
        self._announce()

    def extendleft(self, items: Iterable[Any]) -> None:
        super().extendleft(items)
        self._announce()

    def insert(self, index: int, item: Any) -> None:
        super().insert(index, item)
        self._announce()

    def __iadd__(self, items: Iterable[Any]) -> OutputQueue:
        self.extend(items)
        return self

    def clear(self) -> None:
        dropped = list(self)
        super().clear()
        if self.channel is not None:
            close_queued(dropped)
            self._announce()


def close_queued(items: Iterable[Any]) -> None:
    """Close the producers among what was queued; one that fails is logged, and does not hinder the others."""
    for item in items:
        if item is not None:
            try:
                close_producer(item)
            except Exception:
                logger.exception("closing %r failed", item)
