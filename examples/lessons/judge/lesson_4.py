"""Lesson 4: a loop over channels whose world is a script: what comes in which turn.

No law of the trace is asked: each is about one connection, and the exercise takes whole steps of many.  What it may do
wrong is to take one out of turn, which is told at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from .saying import Wrong

__all__ = ["judge"]

# One silent after half a request, one that is whole at once, one in three pieces, one that takes its answer slowly, one
# that hangs up while its answer is on its way.  (turn, what comes then); b"" is the peer's end.
SCRIPTS = [
    ("the silent one", [(1, b"GET /tide HT"), (9, b"TP/1.0\r\n\r\n")], [6]),
    ("the quick one", [(1, b"GET /fog HTTP/1.0\r\n\r\n")], [2]),
    ("the one in pieces", [(1, b"GET /wind"), (2, b" HTTP/1.0\r"), (4, b"\n\r\n")], [5]),
    ("the slow reader", [(1, b"GET /log HTTP/1.0\r\n\r\n")], [2, 5, 8]),
    ("the one that hangs up", [(2, b"GET /fog HTTP/1.0\r\n\r\n"), (3, b"")], [3]),
]


def judge(exercise: Any) -> None:
    """Each is served in the turn in which it is ready, nobody is waited for, and nothing spins."""
    exercise.serve([], _never)
    world = _World()
    exercise.serve([*world.channels], world.wait)
    world.check_served()
    for channel in world.channels:
        if not channel.closed:
            raise Wrong(f"serve() has returned, and {channel} is not closed.")


def _never(to_read: Any, to_write: Any) -> Any:
    raise Wrong("serve([], wait) waits, and there is nobody to wait for: it would wait for ever.")


class _World:
    """The turns, and who is ready in which."""

    def __init__(self) -> None:
        self.turn = 0
        self.channels = [_Channel(self, *script) for script in SCRIPTS]
        self.ready: list[tuple[_Channel, str]] = []

    def wait(self, to_read: Iterable[_Channel], to_write: Iterable[_Channel]) -> tuple[list[_Channel], list[_Channel]]:
        self.check_served()
        to_read, to_write = list(to_read), list(to_write)
        self._check_asked(to_read, to_write)
        if not to_read and not to_write:
            raise Wrong("You wait for nobody, since every channel is closed: that lasts for ever.")
        while self.turn < 100:
            self.turn += 1
            can_read = [channel for channel in to_read if channel.has_come()]
            can_write = [channel for channel in to_write if channel.has_room()]
            if can_read or can_write:
                self.ready = [(channel, "read") for channel in can_read]
                self.ready += [(channel, "write") for channel in can_write]
                return can_read, can_write
        raise Wrong("It waits for ever: none of the channels that it waits for will be ready again.")

    def _check_asked(self, to_read: list[_Channel], to_write: list[_Channel]) -> None:
        where = f"After turn {self.turn}"
        for channel in [*to_read, *to_write]:
            if channel.closed:
                raise Wrong(f"{where} you wait for {channel}, which is closed: select() raises an error then.")
        for channel in to_write:
            if not channel.writable():
                raise Wrong(
                    f"{where} you wait for room to write to {channel}, which has nothing to send: there is room, so "
                    "select() returns at once, again and again, and the loop spins."
                )
        for channel in to_read:
            if not channel.readable():
                raise Wrong(f"{where} you wait to read from {channel}, which does not want to read now.")
        for channel in self.channels:
            if not channel.closed and channel.readable() and channel not in to_read:
                raise Wrong(f"{where} {channel} waits to be read, and you do not wait for it.")
            if not channel.closed and channel.writable() and channel not in to_write:
                raise Wrong(f"{where} {channel} has something to send, and you do not wait for it.")

    def check_served(self) -> None:
        """Whoever was ready has been served."""
        for channel, way in self.ready:
            if not channel.closed:
                raise Wrong(f"In turn {self.turn} {channel} was ready to {way}, and nobody called handle_{way}().")
        self.ready = []

    def serves(self, channel: _Channel, way: str) -> None:
        if channel.closed:
            raise Wrong(f"handle_{way}() of {channel}, which has closed in this very turn.")
        if (channel, way) in self.ready:
            self.ready.remove((channel, way))
            return
        what = "nothing more has come" if way == "read" else "there is no room now"
        when = f"in turn {self.turn}" if self.turn else "before the first wait()"
        raise Wrong(f"handle_{way}() of {channel} {when}: {what}, so it would wait, and all the others with it.")


class _Channel:
    """A client on a script: what comes in which turn, and in which turns it takes a part of its answer."""

    def __init__(self, world: _World, name: str, comes: list[tuple[int, bytes]], takes: list[int]) -> None:
        self._world = world
        self._name = name
        self._comes = deque(comes)
        self._takes = deque(takes)
        self._incoming = b""
        self.closed = False

    def __repr__(self) -> str:
        return self._name

    def readable(self) -> bool:
        return not self.closed

    def writable(self) -> bool:
        return not self.closed and b"\r\n\r\n" in self._incoming

    def has_come(self) -> bool:
        return bool(self._comes) and self._comes[0][0] <= self._world.turn

    def has_room(self) -> bool:
        return self._takes[0] <= self._world.turn

    def handle_read(self) -> None:
        self._world.serves(self, "read")
        piece = self._comes.popleft()[1]
        self._incoming += piece
        self.closed = not piece

    def handle_write(self) -> None:
        self._world.serves(self, "write")
        self._takes.popleft()
        self.closed = not self._takes
