"""Content that a generator makes while it is sent.

A generator yields what is to be sent, or what it waits for:

    bytes, str      content (a str is sent as UTF-8)
    a number        nothing for so many seconds
    a Bell          nothing until it rings
    None            nothing yet: ask again soon

It is run in the loop, between the other connections' events, and asked only when the client has taken what came before:
it must not wait otherwise, nor compute for long.  When the client leaves it is closed, so its `finally` runs at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from itertools import count
from typing import TypeAlias

__all__ = ["Bell", "GeneratedContent", "Yields"]

# How long after None it is asked again, in seconds: often enough for a person who looks on.
SOON = 0.1

# Numbers the events whose order matters: what was rung after a generator had looked must not be missed.
_moments = count(1)


class Bell:
    """What content waits for, and whoever has news rings, from any thread.

        while True:
            if news.number > seen: ...
            yield bell

    A ring that comes after the generator has last gone on is not missed, even if it is not waiting yet.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Callable[[], object]] = {}
        # The last rings, and not only the last: of two threads that ring at once the earlier may be noted later.
        self._rung: deque[int] = deque(maxlen=32)

    def ring(self) -> None:
        """Have all go on that wait.  May be called from any thread."""
        # In this order: who comes to wait meanwhile sees that it has rung.
        self._rung.append(next(_moments))
        waiting, self._waiting = self._waiting, {}
        for wake in list(waiting.values()):
            wake()

    def rung_since(self, moment: int) -> bool:
        """Whether it has rung after that moment."""
        return any(rung > moment for rung in list(self._rung))

    def wait(self, who: object, wake: Callable[[], object]) -> None:
        """Call `wake()` at the next ring, unless `who` leaves before."""
        self._waiting[who] = wake

    def leave(self, who: object) -> None:
        """Wait no longer."""
        self._waiting.pop(who, None)


Yields: TypeAlias = "bytes | bytearray | memoryview | str | int | float | Bell | None"


class GeneratedContent:
    """A generator as content; see the module's text."""

    # Whether it is made by somebody's program, which may wait where that is allowed.
    by_generator = True

    def __init__(self, generator: Generator[Yields]) -> None:
        self.generator = generator
        self._begun: list[bytes | None] = []  # what came of it before anybody asked
        self._bell: Bell | None = None
        self._pause: float | None = None
        self._went_on = 0

    def begin(self) -> None:
        """Have the first of it made, so that what is raised before that can still be answered."""
        self._begun = [self.more()]

    def more(self) -> bytes | None:
        """What the generator yields next.  Raises what that raises; TypeError for what is no content and no wait."""
        if self._begun:
            return self._begun.pop()
        if self._bell is not None and not self._bell.rung_since(self._went_on):
            # Somebody else has roused the connection.
            return None
        self._go_on()
        for made in self.generator:
            if isinstance(made, str):
                made = made.encode("utf-8", "replace")
            if not isinstance(made, (bytes, bytearray, memoryview)):
                self._wait_for(made)
                return None
            if made:
                return bytes(made)
        return b""

    def _go_on(self) -> None:
        self._went_on = next(_moments)
        if self._bell is not None:
            self._bell.leave(self)
            self._bell = None

    def _wait_for(self, what: object) -> None:
        if isinstance(what, Bell):
            self._bell, self._pause = what, None
        elif isinstance(what, (int, float)) or what is None:
            self._pause = SOON if what is None else max(0.0, what)
        else:
            self.generator.close()
            raise TypeError(f"content is bytes or str, a number of seconds, a Bell or None, not {type(what).__name__}")

    def stalled(self, wake: Callable[[], object]) -> float | None:
        """It had nothing yet: have what it waits for call `wake()`; in how many seconds it is due anyway."""
        if self._bell is not None:
            self._bell.wait(self, wake)
            if self._bell.rung_since(self._went_on):
                wake()
        return self._pause

    def close(self) -> None:
        """Nobody will ask for more: close the generator."""
        self._begun.clear()
        self._go_on()
        self.generator.close()
