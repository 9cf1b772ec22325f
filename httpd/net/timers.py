"""Time for the loop: calls to be made later, and what time it is now.

`now` is taken once a turn; whoever needs the time within a turn reads it instead of asking the kernel.  The clock is
injected, so that a test moves time itself.

A timer that is cancelled stays in the heap until its time comes, or until the cancelled ones are the majority: then
the heap is built anew.  So cancelling is O(1), and no crowd of dead timers is kept.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from .report import Reporter

__all__ = ["LEAVING", "ExitNow", "Timer", "Timers", "guarded"]

logger = Reporter("httpd.net")

# Below this size a heap is not worth rebuilding, however many of its timers are cancelled.
_SMALL_HEAP = 64
# How many timers one turn runs: thousands of connections may time out together, and the others must not wait for all.
_MOST_DUE = 256


class ExitNow(Exception):
    """Raised by a program to leave the loop: nothing in the loop catches it."""


# What leaves the loop; anything else that is raised in it costs one connection at most.
LEAVING = (ExitNow, KeyboardInterrupt, SystemExit)


class Timer:
    """A call that will be made once, at `when` on the loop's clock, unless it is cancelled."""

    __slots__ = ("_args", "_call", "_timers", "when")

    def __init__(self, timers: Timers, when: float, call: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.when = when
        self._timers = timers
        self._call: Callable[..., object] | None = call
        self._args = args

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self._call is not None

    def cancel(self) -> None:
        """Never make the call.  Cancelling twice, or too late, does nothing."""
        if self._call is not None:
            self._call, self._args = None, ()
            self._timers._one_cancelled()


class Timers:
    """The timers of one loop.  `clock()` gives seconds that never go back; it tells the time within a turn, too."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._made = 0
        self._cancelled = 0
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._last: list[Callable[[], object]] = []
        self.now = clock()

    @property
    def busy(self) -> bool:
        """Whether there is any call to come, be it a cancelled one."""
        return bool(self._heap or self._soon or self._last)

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled + len(self._soon) + len(self._last)

    def call_later(self, delay: float, call: Callable[..., object], *args: Any) -> Timer:
        """Make a call `delay` seconds after this turn began.  Timers of one time run in the order they were made."""
        timer = Timer(self, self.now + delay if delay > 0.0 else self.now, call, args)
        self._made += 1
        heapq.heappush(self._heap, (timer.when, self._made, timer))
        return timer

    def call_soon(self, call: Callable[..., object], *args: Any) -> None:
        """Make a call at the end of this turn."""
        self._soon.append((call, args))

    def call_last(self, call: Callable[[], object]) -> None:
        """Make a call when all else that this turn has to do is done."""
        self._last.append(call)

    def tick(self) -> None:
        """Begin a turn: take the time."""
        self.now = self.clock()

    def patience(self, timeout: float | None) -> float | None:
        """How long the loop may wait, in seconds: `timeout` (None: for ever), or less when a call comes sooner."""
        if self._soon or self._last:
            return 0.0
        if not self._heap:
            return timeout
        # Conditions, for max() and min() take longer than all the rest.
        due = self._heap[0][0] - self.clock()
        if timeout is not None and due > timeout:
            return timeout
        return due if due > 0.0 else 0.0

    def run_due(self) -> None:
        """Make the calls whose time has come.  One that raises is logged, and the others are made.

        A call asked for meanwhile is made in the next turn at the earliest, or a timer that renews itself would never
        let the loop go on.  Of a crowd whose time has come at once, some wait for the next turn, too.
        """
        newest, left = self._made, _MOST_DUE
        while left and self._heap and self._heap[0][0] <= self.now and self._heap[0][1] <= newest:
            left -= 1
            timer = heapq.heappop(self._heap)[2]
            call, args = timer._call, timer._args
            if call is None:
                self._cancelled -= 1
            else:
                timer._call, timer._args = None, ()
                guarded(call, args)
        if self._soon:
            for _ in range(len(self._soon)):
                call, args = self._soon.popleft()
                guarded(call, args)
        if self._last:
            last, self._last = self._last, []
            for call in last:
                guarded(call, ())

    def _one_cancelled(self) -> None:
        self._cancelled += 1
        if len(self._heap) > _SMALL_HEAP and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2]._call is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0


def guarded(call: Callable[..., object], args: tuple[Any, ...]) -> None:
    """Make a call of the loop's; one that raises is logged."""
    try:
        call(*args)
    except ExitNow:
        raise
    except Exception:
        logger.exception("a timed call failed: %r", call)
