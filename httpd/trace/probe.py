"""A client that sends a request in pieces so that each arrives by itself.

TCP keeps no cuts: what is sent in two pieces may be received as one.  So the client sends a piece and waits until the
trace of its own connection says that the server has received it; only then comes the next.  It lives in the server's
own loop, a channel like the others, and waits for nothing.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from ..net.asynchat import async_chat
from ..net.timers import Timers
from .events import Closed, Event, Received, Trace, TraceHead

__all__ = ["Ending", "Manner", "Probe"]

# How much of an answer is kept to be compared; of what comes after, only its length counts.
MOST_OUTPUT = 256 << 10
# How long a conversation may take, in seconds: then the client leaves.
PATIENCE = 30.0
# What the kernel holds for a slow reader: as little as it lets itself be asked for.
_SMALL_BUFFER = 4096


# What a client does behind its last piece: it says that nothing more comes (half-close), says nothing and stays, or
# leaves without waiting for an answer.
Ending = Literal["half-close", "stays", "leaves"]


class Manner(NamedTuple):
    """How a client behaves: it reads at most `read` bytes (0: all there is) and then pauses for `pause` seconds."""

    read: int = 0
    pause: float = 0.0
    ends: Ending = "half-close"


class Probe(async_chat):
    """One conversation with the server at `address`.  `done(probe)` is called when both sides have closed.

    `name` is the client's address, by which a recording is known as its own: see `recorded`.  `output` is what the
    server answered, `length` how long that was.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        address: tuple[str, int],
        done: Callable[[Probe], None],
        *,
        map: Any,
        timers: Timers,
        manner: Manner | None = None,
    ) -> None:
        super().__init__(map=map)
        self.trace: Trace | None = None
        self.output = b""
        self.length = 0
        self._pieces = deque(pieces)
        self._done = done
        self._timers = timers
        self._manner = manner or Manner()
        self._sent = self._received = 0
        self._waits = self._left = self._said_end = False
        self._patience = timers.call_later(PATIENCE, self._give_up)
        self.set_terminator(None)
        self._connect(address)

    def _connect(self, address: tuple[str, int]) -> None:
        self.create_socket()
        assert self.socket is not None
        # Nagle's algorithm would hold a piece back until the one before is acknowledged.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._manner.read:
            self.ac_in_buffer_size = self._manner.read
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        self.bind((address[0], 0))
        host, port = self.socket.getsockname()
        self.name = f"{host}:{port}"
        try:
            self.connect(address)
        except OSError:
            # A server that stops has no door any more.
            self._left = True
            self._patience.cancel()
            super().close()
            raise

    # ---- the recording of the other side

    def recorded(self, head: TraceHead, also: Callable[[Event], None] | None) -> Callable[[Event], None]:
        """What takes the events of this very connection; they go to `also`, too."""
        self.trace = Trace(head, [])

        def take(event: Event) -> None:
            self._see(event)
            if also is not None:
                also(event)

        return take

    def _see(self, event: Event) -> None:
        assert self.trace is not None
        self.trace.events.append(event)
        if type(event.what) is Received:
            self._received += event.what.length
        elif type(event.what) is not Closed:
            return
        # The channel is in the midst of its step: what follows from it waits for its end.
        if not self._waits:
            self._waits = True
            self._timers.call_soon(self._go_on)

    @property
    def _recording_ended(self) -> bool:
        return self.trace is not None and bool(self.trace.events) and type(self.trace.events[-1].what) is Closed

    # ---- sending

    def handle_connect(self) -> None:
        self._go_on()

    def _go_on(self) -> None:
        """Send the next piece if the one before has been received; end after the last."""
        self._waits = False
        if self._left:
            self._end()
        elif self._received < self._sent:
            return
        elif self._pieces:
            piece = self._pieces.popleft()
            self._sent += len(piece)
            self.push(piece)
        elif self._manner.ends == "leaves":
            self.close()
        elif self._manner.ends == "half-close" and self.socket is not None and self.connected:
            self._say_end()

    def _say_end(self) -> None:
        # Once the server has ended too, a second time would be an error, and what it sent last may still be unread.
        if self._said_end:
            return
        self._said_end = True
        try:
            assert self.socket is not None
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    # ---- receiving

    def collect_incoming_data(self, data: bytes) -> None:
        """An answer's next bytes."""
        self.length += len(data)
        self.output += data[: MOST_OUTPUT - len(self.output)]
        if self._manner.pause:
            self.pause_input()
            self._timers.call_later(self._manner.pause, self._read_on)

    def _read_on(self) -> None:
        if not self._left:
            self.resume_input()

    def found_terminator(self) -> None:
        """There is none."""

    def handle_close(self) -> None:
        """The server has closed; what it sent before may wait here, while the slow reader pauses."""
        self._manner = self._manner._replace(pause=0.0)
        try:
            while self.socket is not None and (data := self.socket.recv(65_536)):
                self.collect_incoming_data(data)
        except OSError:
            # It was reset, or nothing is there.
            pass
        self.close()

    def handle_error(self) -> None:
        self.close()

    # ---- the end

    def _give_up(self) -> None:
        self.close()
        self._end(now=True)

    def close(self) -> None:
        """Leave; the conversation is over when the server has seen it."""
        if not self._left:
            self._left = True
            super().close()
            self._end()

    def _end(self, now: bool = False) -> None:
        if self._left and (now or self._recording_ended):
            self._patience.cancel()
            done, self._done = self._done, _nothing
            done(self)


def _nothing(probe: Probe) -> None:
    """Nobody is told twice."""
