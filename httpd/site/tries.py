"""How often each client has tried something, in memory that has an end.

Time is cut into windows of its own for each client, which begin with a try.  Of the clients the ones that have tried
least lately are forgotten first: who comes from so many addresses is not stopped by counting them.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..protocol.errors import HTTPError

__all__ = ["Tries"]

# Of how many clients the tries are remembered.
_MOST_CLIENTS = 10_000


class Tries:
    """So many tries in so many seconds for each client; `told` is the sentence for whoever had more."""

    def __init__(self, most: int, seconds: float, told: str) -> None:
        self._most = most
        self._seconds = seconds
        self._told = told
        self._made: dict[Hashable, tuple[int, float]] = {}

    def add(self, client: Hashable, now: float) -> None:
        """Count a try, at a time in seconds.  Raises HTTPError 429 where there were too many."""
        count, until = self._made.get(client, (0, 0.0))
        if until <= now:
            count, until = 0, now + self._seconds
        if count >= self._most:
            raise HTTPError(429, self._told, [("Retry-After", str(int(until - now) + 1))])
        self._made.pop(client, None)
        self._made[client] = count + 1, until
        if len(self._made) > _MOST_CLIENTS:
            del self._made[next(iter(self._made))]

    def forgive(self, client: Hashable) -> None:
        """One of them was none."""
        if client in self._made:
            count, until = self._made[client]
            self._made[client] = max(0, count - 1), until
