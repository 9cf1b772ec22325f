"""Answers that take long to make: made in slices while they are sent, and only so many at once."""

from __future__ import annotations

from collections.abc import Generator
from weakref import WeakSet

from ..net.producers import sliced_producer
from ..protocol.errors import HTTPError

__all__ = ["LongAnswers"]


class LongAnswers:
    """Bodies under way that hold memory or take processor time; at most `most`, for each delays the others."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._under_way: WeakSet[sliced_producer] = WeakSet()

    def begin(self, steps: Generator[bytes]) -> sliced_producer:
        """The body that these steps make.  Raises HTTPError 503 where there are enough under way."""
        if len(self._under_way) >= self.most:
            steps.close()
            raise HTTPError(503, "Too many answers of this size are under way.", [("Retry-After", "5")])
        producer = sliced_producer(steps)
        self._under_way.add(producer)
        return producer
