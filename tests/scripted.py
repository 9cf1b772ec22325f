"""A socket that follows a script: what each `recv` gives, and how much each `send` takes.

    sock = ScriptedSocket([b"GET / HT", BLOCKS, b"TP/1.0\\r\\n\\r\\n", EOF], takes=[5, BLOCKS, RESET])
    channel = Channel(sock, map={})
    play(channel)

Each entry of `pieces` is what the kernel has at that moment: bytes, BLOCKS (nothing yet), EOF, or an OSError to raise;
after the last it blocks.  A piece longer than was asked for is given in parts.  Each entry of `takes` is the most that
one `send` takes, BLOCKS, or an OSError; after the last it takes all.
"""

from __future__ import annotations

import errno
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

__all__ = ["BLOCKS", "BROKEN", "EOF", "RESET", "ScriptedSocket", "cut_at", "every_cut", "one_by_one", "play"]

BLOCKS = BlockingIOError(errno.EAGAIN, "nothing now")
RESET = ConnectionResetError(errno.ECONNRESET, "reset by the peer")
BROKEN = BrokenPipeError(errno.EPIPE, "the peer does not read any more")
EOF = b""

# No process has so many open, so the kernel would refuse them at once.
_numbers = itertools.count(1 << 28)


class ScriptedSocket:
    """See the module's text.  `sent` is what was taken; `sends` how much each call took, `offered` how much it had."""

    family = 2
    type = 1

    def __init__(
        self,
        pieces: Iterable[bytes | OSError] = (),
        takes: Iterable[int | OSError] = (),
        peer: Any = ("192.0.2.1", 4711),
    ) -> None:
        self.pieces = deque(pieces)
        self.takes = deque(takes)
        self.peer = peer
        self.sent = bytearray()
        self.sends: list[int] = []
        self.offered: list[int] = []
        self.asked: list[int] = []
        self.closed = 0
        self.shut: list[int] = []
        self._fd = next(_numbers)

    # ---- the script

    @property
    def exhausted(self) -> bool:
        """Whether all of `pieces` was given."""
        return not self.pieces

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.asked.append(size)
        piece = self.pieces.popleft() if self.pieces else BLOCKS
        if isinstance(piece, OSError):
            # A new one: an exception that is raised keeps the frames, and what is in them, alive.
            raise type(piece)(*piece.args)
        if len(piece) > size:
            self.pieces.appendleft(piece[size:])
        return piece[:size]

    def send(self, data: Any, flags: int = 0) -> int:
        return self._take(bytes(data))

    def sendmsg(self, buffers: Iterable[Any], *more: Any) -> int:
        return self._take(b"".join(bytes(buffer) for buffer in buffers))

    def _take(self, data: bytes) -> int:
        self.offered.append(len(data))
        most = self.takes.popleft() if self.takes else len(data)
        if isinstance(most, OSError):
            raise type(most)(*most.args)
        taken = data[:most]
        self.sent += taken
        self.sends.append(len(taken))
        return len(taken)

    # ---- the rest of a socket

    def fileno(self) -> int:
        return -1 if self.closed else self._fd

    def setblocking(self, flag: bool) -> None:
        pass

    def getpeername(self) -> Any:
        if isinstance(self.peer, OSError):
            raise self.peer
        return self.peer

    def getsockopt(self, level: int, name: int, size: int = 0) -> int:
        return 0

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        pass

    def shutdown(self, how: int) -> None:
        self.shut.append(how)

    def close(self) -> None:
        self.closed += 1


def play(channel: Any, until: Callable[[], bool] | None = None, turns: int = 10_000) -> None:
    """Give the channel the events of its scripted socket: reads while there are pieces, writes while it wants to."""
    sock: ScriptedSocket = channel.socket
    for _ in range(turns):
        reads = not sock.exhausted and not sock.closed and channel.readable()
        if reads:
            channel.handle_read_event()
        writes = not sock.closed and channel.writable()
        if writes:
            channel.handle_write_event()
        if not (reads or writes) or (until is not None and until()):
            return
    raise AssertionError(f"still busy after {turns} turns")


def one_by_one(data: bytes) -> list[bytes]:
    """Every byte its own piece."""
    return [data[i : i + 1] for i in range(len(data))]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """The data in two pieces, cut at every position; and whole; and byte by byte."""
    yield [data]
    yield one_by_one(data)
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The data cut at these positions; no piece is empty."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]
