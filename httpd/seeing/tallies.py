"""What is counted, and where on the board each number stands.

The answers are counted from what the access log is told, many at a time: each costs a tuple, and what they come to
is worked out when there are some hundreds, or a second has passed.  All else is counted where it seldom happens.

No number belongs to anything that a client may choose: a method that is not among the known ones is "other", and so is
a rule that is not in the list.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from operator import sub
from typing import Any

from ..protocol.errors import Refusal
from ..protocol.message import Head, Response
from ..server.handler import State, http_request_handler
from ..server.log import Channel, Log
from ..site.answers import STANDARD
from .board import Board
from .channels import ORDERS
from .waiting import awaited

__all__ = ["BUCKETS", "CLASSES", "LIMITS", "METHODS", "PLACES", "RULES", "STATES", "CountedLog", "Tallies", "counted"]

OTHER = "other"
METHODS = (*STANDARD, "CONNECT", OTHER)
CLASSES = ("2xx", "3xx", "4xx", "5xx")
# The bounds of how long a request takes, in seconds; one is counted with the first that it does not pass.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, float("inf"))
# The rules that requests are refused by.
RULES = (
    "RFC 3986 §2.1", "RFC 6585 §5", "RFC 9110 §10.1.1", "RFC 9110 §15.5.14", "RFC 9110 §15.5.9", "RFC 9110 §15.6.6",
    "RFC 9110 §4.2.2", "RFC 9110 §5.1", "RFC 9110 §5.5", "RFC 9110 §9.3.6", "RFC 9112 §2.1", "RFC 9112 §2.2",
    "RFC 9112 §2.3", "RFC 9112 §3", "RFC 9112 §3.1", "RFC 9112 §3.2", "RFC 9112 §3.2.3", "RFC 9112 §3.2.4",
    "RFC 9112 §5", "RFC 9112 §5.1", "RFC 9112 §5.2", "RFC 9112 §6.1", "RFC 9112 §6.3", "RFC 9112 §C.1", OTHER,
)  # fmt: skip
# What a connection may be closed for waiting too long.
LIMITS = ("handshake_time", "header_time", "body_time", "idle_time", "stall_time")
STATES = ("handshake", "idle", *(state.value for state in State if state is not State.CLOSED))

# What is of this moment comes first: a process that takes a slot begins it anew.
NOW = (
    "pid", "began", "draining", "lag", "pool", "store", "memory", "descriptors",
    *(("state", state) for state in STATES),
    # When somebody has last looked at the channels in a state, or in any, in an order.
    *(("looked", state, order) for state in ("", *STATES) for order in ORDERS),
)  # fmt: skip
COUNTED = (
    *(("requests", method, kind) for method in METHODS for kind in CLASSES),
    *(("took", bound) for bound in BUCKETS),
    *(("refused", rule) for rule in RULES),
    *(("timed out", limit) for limit in LIMITS),
    "seconds", "sent", "received", "accepted", "turned away", "accept failures", "failed", "processor",
)  # fmt: skip
PLACES: dict[Any, int] = {name: place for place, name in enumerate((*NOW, *COUNTED))}

# How many answers are counted together at the most.
_BATCH = 500
_REQUESTS = {(method, kind): PLACES["requests", method, kind] for method in METHODS for kind in CLASSES}
_TOOK = PLACES["took", BUCKETS[0]]
_KNOWN = frozenset(METHODS)


class Tallies:
    """What this process has counted, on a board."""

    def __init__(self, board: Board | None = None) -> None:
        self.board = board or Board(len(PLACES))

    @property
    def slot(self) -> memoryview[float]:
        """This process's numbers."""
        return self.board.own(_begin)

    def add(self, name: Any, amount: float = 1.0) -> None:
        """Count something."""
        self.slot[PLACES[name]] += amount

    def answers(self, asked: Counter[tuple[str, int]], took: list[float], sent: int) -> None:
        """Count answers: how many of each (method, status), how long each took, and how much they sent in all."""
        slot = self.slot
        for (method, status), number in asked.items():
            kind = CLASSES[min(max(status // 100, 2), 5) - 2]
            slot[_REQUESTS[method if method in _KNOWN else OTHER, kind]] += number
        took.sort()
        before = 0
        for place, bound in enumerate(BUCKETS, _TOOK):
            reached = bisect_right(took, bound)
            slot[place] += reached - before
            if reached == len(took):
                break
            before = reached
        slot[PLACES["seconds"]] += sum(took)
        slot[PLACES["sent"]] += sent


def _begin(slot: memoryview[float]) -> None:
    for place in range(len(NOW)):
        slot[place] = 0.0


class CountedLog:
    """An access log that counts what it is told."""

    def __init__(self, log: Log, tallies: Tallies, clock: Callable[[], float]) -> None:
        self._log = log
        self._answered = log.answered
        self._tallies = tallies
        self._clock = clock
        # (method, status, size, content announced, when it was asked, when it was answered)
        self._told: list[tuple[str, int, int, int, float, float]] = []

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
        """Log and count the answer to a parsed request."""
        self._answered(head, peer, status, size, channel)
        told = self._told
        told.append((head.method, status, size, head.content_length, channel.asked_at, self._clock()))
        if len(told) >= _BATCH:
            self.count()

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Channel) -> None:
        """Log and count the answer to bytes that were no request."""
        self._log.refused(request_line, peer, status, size, channel)
        self._told.append((request_line.partition(" ")[0], status, size, 0, channel.asked_at, self._clock()))
        if len(self._told) >= _BATCH:
            self.count()

    def count(self) -> None:
        """Work out what has come together."""
        if self._told:
            methods, statuses, sizes, contents, asked, answered = zip(*self._told, strict=True)
            self._told.clear()
            took = list(map(sub, answered, asked))
            self._tallies.answers(Counter(zip(methods, statuses, strict=True)), took, sum(sizes))
            self._tallies.add("received", sum(contents))

    def close(self) -> None:
        """Count what is left, and close the log."""
        self.count()
        self._log.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def counted(handler_class: type[http_request_handler], tallies: Tallies) -> type[http_request_handler]:
    """The handler class whose channels count what goes wrong with them."""
    members = {"__slots__": (), "tallies": tallies}
    return type(f"counted_{handler_class.__name__}", (_Counted, handler_class), members)


class _Counted(http_request_handler):
    __slots__ = ()
    tallies: Tallies

    def __init__(self, *what: Any, **more: Any) -> None:
        super().__init__(*what, **more)
        self.tallies.add("accepted")

    def refuse(self, refusal: Refusal, head: bytes) -> None:
        self.tallies.add(("refused", refusal.rule if refusal.rule in RULES else OTHER))
        super().refuse(refusal, head)

    def failed(self, head: Head, error: BaseException | None = None) -> Response:
        self.tallies.add("failed")
        return super().failed(head, error)

    def timed_out(self) -> None:
        if awaited(self) == "handshake_time":
            self.tallies.add(("timed out", "handshake_time"))
        super().timed_out()

    def give_up(self) -> None:
        limit = awaited(self)
        if limit in LIMITS:
            self.tallies.add(("timed out", limit))
        super().give_up()
