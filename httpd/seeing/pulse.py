"""Once a second: what this process has counted and how it is goes onto the board, and what all have counted is kept for
two minutes, for rates.

A site that has a store may have a `waiting_for_store()`: how much waits to be written, told without waiting itself.

The lag is how much later than asked for the loop comes to a timer: what everybody waits for who has something to say.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from ..server.handler import http_request_handler
from ..server.server import Server
from .tallies import BUCKETS, CLASSES, METHODS, PLACES, STATES, CountedLog, Tallies, counted
from .waiting import state_of

__all__ = ["Pulse", "Second", "watch"]

# How many seconds are kept, and after how many open descriptors are counted: there may be many.
KEPT = 120
_DESCRIPTORS_EVERY = 10

_KINDS = [[PLACES["requests", method, kind] for method in METHODS] for kind in CLASSES]
_TOOK = slice(PLACES["took", BUCKETS[0]], PLACES["took", BUCKETS[-1]] + 1)


class Second(NamedTuple):
    """What all processes did in a second: answers by the first digit of their status, bytes of content, how many
    seconds half of the answers took at the most, and 99 of a hundred."""

    answers: tuple[float, ...]
    sent: float
    half: float
    most: float


def watch(server: Server, tallies: Tallies) -> Pulse:
    """Count what a server does from now on."""
    log = CountedLog(server.log, tallies, server.timers.clock)
    server.log = log
    server.handler_class = counted(server.handler_class, tallies)
    return Pulse(server, tallies, log)


class Pulse:
    """A server's process, once a second."""

    def __init__(self, server: Server, tallies: Tallies, log: CountedLog) -> None:
        self.server = server
        self.tallies = tallies
        self._log = log
        self._sums: deque[tuple[float, Sequence[float]]] = deque(maxlen=KEPT + 1)
        self._waiting: Callable[[], int] | None = getattr(server.service.site, "waiting_for_store", None)
        self._beats = 0
        self._began = time.time()
        self._process = -1
        self._earlier = 0.0
        self._told = {"turned away": 0, "accept failures": 0}
        self._lag = 0.0
        server.timers.call_soon(self._beat, server.timers.now)

    def _beat(self, due: float) -> None:
        timers = self.server.timers
        self._lag = max(0.0, timers.clock() - due)
        self.write()
        self._sums.append((timers.clock(), self.tallies.board.sums()))
        self._beats += 1
        # Where a second has gone by unnoticed, it is not made up for.
        timers.call_later(1.0, self._beat, timers.now + 1.0)

    # ---- onto the board

    def write(self) -> None:
        """Bring this process's slot up to date."""
        self._log.count()
        slot = self.tallies.slot
        if self._process != os.getpid():
            self._process, self._earlier = os.getpid(), slot[PLACES["processor"]] - time.process_time()
            self._beats = 0
        slot[PLACES["began"]] = self._began
        slot[PLACES["draining"]] = self.server.service.draining
        slot[PLACES["lag"]] = self._lag
        slot[PLACES["pool"]] = self.server.pool_queue
        slot[PLACES["store"]] = self._waiting() if self._waiting else 0
        slot[PLACES["memory"]] = memory()
        slot[PLACES["processor"]] = self._earlier + time.process_time()
        if self._beats % _DESCRIPTORS_EVERY == 0:
            slot[PLACES["descriptors"]] = descriptors()
        self._catch_up("turned away", self.server.connections_refused)
        self._catch_up("accept failures", self.server.accept_failures)
        states = Counter(map(state_of, self.channels()))
        for state in STATES:
            slot[PLACES["state", state]] = states[state]

    def _catch_up(self, name: str, number: int) -> None:
        self.tallies.add(name, number - self._told[name])
        self._told[name] = number

    def channels(self) -> Iterator[http_request_handler]:
        """The server's own channels; those beside it are for its operator."""
        for channel in list(self.server.map.values()):
            if isinstance(channel, http_request_handler) and channel.service is self.server.service:
                yield channel

    # ---- from the board

    def seconds(self) -> list[Second]:
        """What was done in each of the last seconds, the newest last."""
        return [_second(then, now, end - begin) for (begin, then), (end, now) in pairwise(self._sums)]


def _second(then: Sequence[float], now: Sequence[float], length: float) -> Second:
    done = [after - before for before, after in zip(then, now, strict=True)]
    rate = 1 / max(length, 0.001)
    answers = tuple(sum(done[place] for place in places) * rate for places in _KINDS)
    took = list(accumulate(done[_TOOK]))
    return Second(answers, done[PLACES["sent"]] * rate, quantile(took, 0.5), quantile(took, 0.99))


def quantile(reached: Sequence[float], part: float) -> float:
    """How long that part of the answers took at the most, as far as the buckets tell; 0.0 where there are none.

    `reached` is how many took no longer than each of BUCKETS.
    """
    if not reached[-1]:
        return 0.0
    wanted = part * reached[-1]
    place = bisect_left(reached, wanted)
    low, high = (BUCKETS[place - 1] if place else 0.0), BUCKETS[place]
    if high == float("inf"):
        return low
    before = reached[place - 1] if place else 0.0
    return low + (high - low) * (wanted - before) / (reached[place] - before)


def memory() -> float:
    """How much memory this process holds, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return float(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0.0


def descriptors() -> float:
    """How many descriptors this process has open; 0 where the system does not tell."""
    try:
        return float(len(os.listdir("/proc/self/fd")) - 1)
    except OSError:
        return 0.0
