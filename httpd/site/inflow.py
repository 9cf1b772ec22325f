"""Content that a thread reads while it comes: a WSGI application's, if it is not small.

The loop puts in what it receives, and stops receiving when it has put in a bound's worth; the thread takes that, waits
where there is nothing, and has the loop go on when it has taken all.  So no more than the bound and a piece is held of
content of any length, and a client sends no faster than its content is read.

Only the loop decides when it stops, by what it has put in, and only a call from the thread has it go on: what the
channel does follows from what it was given and told, so that a recording of it can be played again.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

from ..protocol.files import File, Files
from ..protocol.forms import Form

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Inflow"]

# How much content is held for an application that does not read it, in bytes.
_HELD = 262_144
# How much is taken at a time for whoever reads lines, or little.
_TAKEN = 65_536


class Inflow(io.RawIOBase):
    """What passes from the loop to the thread; it reads what comes as a `Reader` does.

    `wanted()` is called in the thread when it waits for content and the loop has stopped; the loop then calls
    `go_on()`.  Until content is first read nothing is to be received, if it is `awaited`.
    """

    def __init__(self, content_type: str, wanted: Callable[[], object], *, awaited: bool = False) -> None:
        self._content_type = content_type
        self._wanted = wanted
        self._pieces: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._loop = threading.get_ident()
        self._room = _HELD
        self._ended = self._gone = False
        self.full = awaited  # whether the loop is to stop

    # in the loop

    def begin(self) -> tuple[Form, Files]:
        """The form that whoever reads it gets: one file, of which nothing has come yet."""
        file = File("", "", self._content_type)
        file.file = cast(BinaryIO, io.BufferedReader(self, _TAKEN))
        return Form(), Files([("", file)])

    def feed(self, data: bytes) -> None:
        """A piece of it has come."""
        self._room -= len(data)
        with self._changed:
            self._pieces.append(data)
            self.full = self._room <= 0
            self._changed.notify()

    def go_on(self) -> None:
        """Everything was taken, and more is waited for."""
        self._room = _HELD
        self.full = False

    def finish(self) -> tuple[Form, Files]:
        """All of it has come."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        return Form(), Files()

    def close(self) -> None:
        """No more will come: who reads what has not come whole is told by an error."""
        with self._changed:
            if not self._ended:
                self._gone = True
                self._pieces.clear()
                self._changed.notify()

    # in the thread

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Take what is there, or wait for it; 0 at the end.

        Raises ConnectionAbortedError when the client has gone, and RuntimeError in the loop, which cannot wait: who
        reads such content is `blocking`.
        """
        with self._changed:
            if self.full and not self._pieces:
                self._wanted()
            if not self._is_there() and threading.get_ident() == self._loop:
                raise RuntimeError("content that is still to come is read in the loop; let the handler be @blocking")
            self._changed.wait_for(self._is_there)
            if self._gone:
                raise ConnectionAbortedError("the client has gone, or was too slow")
            return self._take(memoryview(buffer).cast("B"))

    def _is_there(self) -> bool:
        """Whether there is something to take, or to tell."""
        return bool(self._pieces) or self._ended or self._gone

    def _take(self, room: memoryview) -> int:
        """Fill as much of the room as the pieces that are there do; how much that is."""
        taken, pieces = 0, self._pieces
        while pieces and taken < len(room):
            piece = pieces.popleft()
            count = min(len(piece), len(room) - taken)
            room[taken : taken + count] = piece[:count]
            if count < len(piece):
                pieces.appendleft(piece[count:])
            taken += count
        return taken
