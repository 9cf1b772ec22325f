"""Lesson 5: a queue of producers, and sends that take a part; the trace is of what was given and what was taken."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

from httpd.trace.events import Event, Refilled, Sent
from httpd.trace.laws import check
from httpd.trace.sentences import counted

from .saying import Wrong, quoted

__all__ = ["judge"]

# What the producers give.  No two bytes beside each other are alike, so that a lost or repeated one is seen.
PRODUCERS = [[b"HTTP/1.0 200 OK\r\n\r\n"], [b"high water", b" at nine,", b" low water"], [], [b" at three\r\n"]]
WHOLE = b"".join(b"".join(pieces) for pieces in PRODUCERS)
# How many bytes one send takes, by turns; each of these lists is a client.
CLIENTS = [[1000], [3], [1], [7, 1, 2], [10, 9], [4, 1000]]


def judge(exercise: Any) -> None:
    """Each client gets all of it, and no piece is made before the one before is sent."""
    for takes in CLIENTS:
        wire = _Wire(takes)
        outgoing = exercise.Outgoing(wire.send)
        if outgoing.writable():
            raise Wrong("writable() is true before anything was pushed: the loop would spin.")
        for n, pieces in enumerate(PRODUCERS):
            outgoing.push(_Producer(wire, f"producer {n + 1}", iter(pieces)))
        wire.serve(outgoing)


class _Wire:
    """One client: what it takes, and the trace of what it was given."""

    def __init__(self, takes: list[int]) -> None:
        self._takes = takes
        self._room = cycle(takes)
        self._sends = 0
        self.events: list[Event] = []
        self.given = b""
        self.sent = b""

    def serve(self, outgoing: Any) -> None:
        for _ in range(1000):
            if not outgoing.writable():
                break
            self._sends = 0
            outgoing.handle_write()
        else:
            raise Wrong(
                f"After 1000 turns writable() is still true; {counted(len(self.sent))} of {len(WHOLE)} are sent."
            )
        if self.sent != WHOLE:
            raise Wrong(f"{self._where()}: writable() is false, and {quoted(WHOLE[len(self.sent) :])} was never sent.")

    def note(self, what: Any) -> None:
        """One event more; raises Wrong where it breaks a law."""
        self.events.append(Event(len(self.events), 0.0, len(self.events), what))
        if broken := check(self.events):
            raise Wrong(f"{self._where()}: {broken[0].text} (law {broken[0].law}).")

    def send(self, data: bytes) -> int:
        if not isinstance(data, bytes) or not data:
            raise Wrong(f"send({data!r}): it takes bytes, and at least one of them.")
        self._sends += 1
        if self._sends > 1:
            raise Wrong(
                "send() is called twice in one handle_write(): whether there is still room, only the loop knows."
            )
        right = self.given[len(self.sent) :]
        taken = data[: next(self._room)]
        if not right.startswith(taken):
            rest = f"{quoted(right)} was next" if right else "there was nothing left to send"
            raise Wrong(f"{self._where()}: {rest}, and you send {quoted(data)}.")
        self.note(Sent(len(self.sent), len(data), len(taken)))
        self.sent += taken
        return len(taken)

    def _where(self) -> str:
        sizes = ", then ".join(map(str, self._takes))
        return f"A client that takes {sizes} at a time, after {quoted(self.sent) if self.sent else 'nothing'}"


class _Producer:
    """Gives pieces, and watches how it is asked."""

    def __init__(self, wire: _Wire, name: str, pieces: Iterator[bytes]) -> None:
        self._wire = wire
        self._name = name
        self._pieces = pieces
        self._exhausted = False

    def more(self) -> bytes:
        wire = self._wire
        if self._exhausted:
            raise Wrong(f'{self._name} is asked again after b"", its end.')
        if waiting := len(wire.given) - len(wire.sent):
            lost = f"{quoted(wire.given[len(wire.sent) :])} is given and not sent"
            raise Wrong(
                f"A send took a part of what it was offered: {lost}, and {self._name} is asked for more.  "
                f"These {counted(waiting)} are lost, or else all of a large file comes to wait in memory."
            )
        data = next(self._pieces, b"")
        self._exhausted = not data
        wire.note(
            Refilled(self._name, "some" if data else "exhausted", len(wire.given), len(data), data.decode("latin-1"))
        )
        wire.given += data
        return data
