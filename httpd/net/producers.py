"""Things that give bytes when asked, so that a response is made no faster than it is taken.

A producer's `more()` gives bytes (some), b"" (exhausted) or None (nothing *yet*).  What else it has, it is told by:

    stalled(wake)    after every None: `wake()`, called from any thread, has `more()` asked again; may return in how
                     many seconds that is to happen by itself
    finish()         the server stops: what would go on without an end comes to one
    close()          exactly once: when it is exhausted, and also when the connection is lost first

Producers compose: each takes others and knows nothing of who asks.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from errno import EAGAIN, ENODATA
from typing import Any, ClassVar, Protocol, runtime_checkable
from weakref import WeakSet

from .lending import END, LAST, bound, copied_end, unbound, unsent

__all__ = [
    "Broken",
    "FileChanged",
    "OpenFile",
    "Producer",
    "bytes_producer",
    "close_producer",
    "composite_producer",
    "feed_producer",
    "file_producer",
    "finish_producer",
    "hooked_producer",
    "lines_producer",
    "parts_producer",
    "sliced_producer",
    "stall_producer",
]

# What one more() gives of a file or of lines: enough to fill a socket's buffer, little enough to hold for everyone.
PIECE = 65_536
# How long all sliced producers together may work in one turn, in seconds: everyone else waits for as long.
SLICE = 0.002
# How much of a file is copied at once: a copy of what the socket does not take is made again.
_COPY = 1 << 18


@runtime_checkable
class Producer(Protocol):
    """Gives bytes when asked; see the module's text."""

    def more(self) -> bytes | None:
        """Bytes (some), b"" (exhausted), or None (nothing yet)."""


def close_producer(producer: Any) -> None:
    """Tell a producer that it will not be asked again, if it wants to know."""
    close = getattr(producer, "close", None)
    if close is not None:
        close()


def stall_producer(producer: Any, wake: Callable[[], object]) -> float | None:
    """Tell a producer that had nothing yet what to call when it has something, if it wants to know.

    In how many seconds it would be asked again all the same, None where it does not say.
    """
    stalled = getattr(producer, "stalled", None)
    return None if stalled is None else stalled(wake)


def finish_producer(producer: Any) -> None:
    """Ask a producer to come to its end, if it can hear it."""
    finish = getattr(producer, "finish", None)
    if finish is not None:
        finish()


class bytes_producer:
    """Gives `data` in pieces of at most `size` bytes, without copying what is still to come."""

    def __init__(self, data: bytes, size: int = PIECE) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._size = size

    def more(self) -> bytes:
        piece = self._data[self._at : self._at + self._size]
        self._at += len(piece)
        return bytes(piece)


class lines_producer:
    """Gives lines (bytes, without their ends) joined by CRLF, many at a time."""

    def __init__(self, lines: Iterable[bytes], size: int = PIECE) -> None:
        self._lines: Iterator[bytes] = iter(lines)
        self._size = size

    def more(self) -> bytes:
        taken: list[bytes] = []
        length = 0
        for line in self._lines:
            taken.append(line + b"\r\n")
            length += len(line) + 2
            if length >= self._size:
                break
        return b"".join(taken)


class feed_producer:
    """Gives what is put into it, as it comes, until it is finished: for content that grows while it is sent.

    `put()` and `finish()` may be called from any thread.  A peer that takes nothing is cut by its channel's patience,
    not here: who puts much looks at `waiting` before.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._finished = False
        self._wake: Callable[[], object] | None = None

    @property
    def waiting(self) -> int:
        """How many bytes were put and not asked for."""
        return sum(map(len, list(self._pieces)))

    def put(self, data: bytes) -> None:
        """Give this next; nothing comes after the end."""
        if data and not self._finished:
            self._pieces.append(data)
            self._rouse()

    def finish(self) -> None:
        """What was put is all."""
        self._finished = True
        self._rouse()

    def more(self) -> bytes | None:
        # Looked at first: what is put before the end is given before it.
        finished = self._finished
        data = b"".join([self._pieces.popleft() for _ in range(len(self._pieces))])
        return data if data or finished else None

    def stalled(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        # Another thread may have put something since there was nothing.
        if self._pieces or self._finished:
            self._rouse()

    def _rouse(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def close(self) -> None:
        self._finished = True
        self._wake = None
        self._pieces.clear()


class composite_producer:
    """One producer after the other; each is closed when it is exhausted, the rest when this one is closed."""

    def __init__(self, producers: Iterable[Producer]) -> None:
        self._producers = iter(producers)
        self._current: Producer | None = next(self._producers, None)

    def more(self) -> bytes | None:
        while self._current is not None:
            data = self._current.more()
            if data is None or data:
                return data
            self._next()
        return b""

    def _next(self) -> None:
        finished, self._current = self._current, None
        try:
            close_producer(finished)
        finally:
            self._current = next(self._producers, None)

    def stalled(self, wake: Callable[[], object]) -> float | None:
        return stall_producer(self._current, wake)

    def finish(self) -> None:
        finish_producer(self._current)

    def close(self) -> None:
        while self._current is not None:
            self._next()


class hooked_producer:
    """Gives what `producer` gives, then calls `hook(bytes_given)` once; also when the connection is lost."""

    def __init__(self, producer: Producer, hook: Callable[[int], object]) -> None:
        self._producer = producer
        self._hook: Callable[[int], object] | None = hook
        self._given = 0

    def more(self) -> bytes | None:
        data = self._producer.more()
        self._given += len(data or b"")
        return data

    def stalled(self, wake: Callable[[], object]) -> float | None:
        return stall_producer(self._producer, wake)

    def finish(self) -> None:
        finish_producer(self._producer)

    def close(self) -> None:
        try:
            close_producer(self._producer)
        finally:
            hook, self._hook = self._hook, None
            if hook is not None:
                hook(self._given)


class sliced_producer:
    """Gives what `steps` yields, a slice of the work in each turn, so that long work holds nobody up.

    A step is little work; it yields what it has made, b"" where there is nothing to give yet.  A slice ends with the
    step in which its share of SLICE is spent or PIECE bytes are made.  However much the socket would take, there is
    one slice a turn: asked again, the producer gives None.  `clock` gives seconds.
    """

    _at_work: ClassVar[WeakSet[sliced_producer]] = WeakSet()

    def __init__(self, steps: Generator[bytes], clock: Callable[[], float] = time.perf_counter) -> None:
        self._steps = steps
        self._clock = clock
        self._rests = False
        self._at_work.add(self)

    def more(self) -> bytes | None:
        if self._rests:
            self._rests = False
            return None
        made: list[bytes] = []
        length, end = 0, self._clock() + SLICE / max(1, len(self._at_work))
        for data in self._steps:
            if data:
                made.append(data)
                length += len(data)
            if length >= PIECE or self._clock() >= end:
                self._rests = length > 0
                return b"".join(made) or None
        return b"".join(made)

    def stalled(self, wake: Callable[[], object]) -> None:
        # It waits for nothing but its next turn.
        wake()

    def close(self) -> None:
        self._at_work.discard(self)
        self._steps.close()


# ---- files


class OpenFile:
    """An open file that several responses may send at once: it is closed at the last `release()`.

    Made with one holder.  Nobody seeks in it: every read says where.  Where it is `unchanging` nobody can write to it.
    """

    __slots__ = ("_holders", "fd")

    unchanging = False

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._holders = 1

    @property
    def shared(self) -> bool:
        """Whether it has more than one holder."""
        return self._holders > 1

    def acquire(self) -> OpenFile:
        """One holder more."""
        self._holders += 1
        return self

    def release(self) -> None:
        """One holder less."""
        self._holders -= 1
        if self._holders == 0:
            self.close()

    def close(self) -> None:
        """Close the descriptor: nobody holds it any more."""
        fd, self.fd = self.fd, -1
        os.close(fd)


class Broken(OSError):
    """The rest of what was promised cannot be given; its strerror says why, and no traceback would say more."""


class FileChanged(Broken):
    """What was promised of a file is not there any more."""


class file_producer:
    """Gives `length` bytes of a file from `start`, past Python where the channel can.

    `state` is the file's (mtime in ns, size) that the promise was made by; the present one when it is not given.  A
    file that is written to while it is sent, be it only at its end, raises FileChanged: nobody can tell whether the
    bytes that the head promised are still there, so the connection must be cut.

    sendfile(2) lends the kernel the file's own pages, and whoever writes to the file then writes to what is under way.
    So the end is made of copies (see `lending`), and a copy is sent only if the file is still what it was after it was
    made.  When the last of them is with the kernel, no page is lent any more: what arrives whole is what was promised.

    Two gaps are left.  A peer on the same machine is lent the pages, too, until it reads them: of a file above 4 MiB.
    A write by mmap(2) may show in the time of change only later, and one whose time is set back does not show.
    """

    __slots__ = ("_at", "_before", "_end", "_file", "_remaining", "_state")

    def __init__(self, file: OpenFile, start: int, length: int, state: tuple[int, int] | None = None) -> None:
        self._file: OpenFile | None = file.acquire()
        self._at = start
        self._remaining = length
        # How much of the end is copied, and what tells of a change: of what cannot change, nothing.
        self._end = 0 if file.unchanging else copied_end(length)
        self._state = None if file.unchanging else state or _state_of(file.fd)
        self._before: tuple[int, int | None] | None = None  # how the socket's buffer was before it was bound

    @property
    def remaining(self) -> int:
        """How many bytes are still to be given."""
        return self._remaining

    def more(self) -> bytes:
        if self._remaining == 0:
            return b""
        data = self.peek(PIECE)
        self._gave(len(data))
        return data

    def send_to(self, out_fd: int, most: int) -> int:
        """Send at most `most` bytes to a socket; how many went.  Raises BlockingIOError and the like."""
        return _sent_in_steps(self._send, out_fd, most)

    def _send(self, out_fd: int, most: int) -> tuple[int, int]:
        lent = min(self._remaining - self._end, most)
        if lent > 0:
            offered, count = lent, os.sendfile(out_fd, self._unchanged(), self._at, lent)
        elif self._remaining:
            data = self.peek(min(most, self._to_copy(out_fd)))
            offered, count = len(data), os.write(out_fd, data) if data else 0
        else:
            return 0, 0
        self._gave(count)
        if self._before and not self._remaining:
            unbound(out_fd, self._before)
        return offered, count

    def _to_copy(self, out_fd: int) -> int:
        """How much of the end may be copied now.  Raises BlockingIOError while its last piece has to wait."""
        if self._end != END:
            return _COPY
        if self._remaining > LAST:
            return min(self._remaining - LAST, _COPY)
        if unsent(out_fd) > self._end - self._remaining:
            # More than was copied, so what was lent before is among it.
            self._before = self._before or bound(out_fd)
            raise BlockingIOError(EAGAIN, "pages of the file are still lent")
        return LAST

    def peek(self, most: int) -> bytes:
        """At most `most` of the bytes that come next, as they were promised; they are still to be given."""
        data = os.pread(self._descriptor(), min(self._remaining, most), self._at)
        # After the read: only what was there before any change is what was promised.
        self._unchanged()
        return data

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("a closed file_producer was asked for more")
        return self._file.fd

    def _unchanged(self) -> int:
        fd = self._descriptor()
        if self._state is not None and _state_of(fd) != self._state:
            raise FileChanged(ENODATA, "the file changed while it was being sent")
        return fd

    def _gave(self, count: int) -> None:
        if count == 0:
            raise FileChanged(ENODATA, "the file is shorter than it was")
        self._at += count
        self._remaining -= count

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.release()


class parts_producer:
    """Gives bytes and parts of files, one after the other; the channel sends it as if it were one file.

    So the parts of files go by sendfile, and what stands between them by write(2), all in one turn.
    """

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[bytes | file_producer]) -> None:
        self._parts = deque(parts)

    @property
    def remaining(self) -> int:
        """How many bytes are still to be given."""
        return sum(map(_remaining, self._parts))

    def more(self) -> bytes:
        part = self._first()
        if isinstance(part, file_producer):
            return part.more()
        if part:
            self._parts.popleft()
        return part

    def send_to(self, out_fd: int, most: int) -> int:
        """Send at most `most` bytes to a socket, over as many parts as it takes at once; see file_producer."""
        return _sent_in_steps(self._send, out_fd, most)

    def peek(self, most: int) -> bytes:
        """At most `most` of the bytes that come next, of one part."""
        part = self._first()
        return part.peek(most) if isinstance(part, file_producer) else part[:most]

    def _send(self, out_fd: int, most: int) -> tuple[int, int]:
        part = self._first()
        if isinstance(part, file_producer):
            offered = min(part.remaining, most)
            return offered, part.send_to(out_fd, offered)
        if not part:
            return 0, 0
        offered = min(len(part), most)
        count = os.write(out_fd, part[:offered])
        self._parts[0] = part[count:]
        return offered, count

    def _first(self) -> bytes | file_producer:
        """The part that is being given, b"" after the last; those before it are closed."""
        while self._parts and not _remaining(self._parts[0]):
            close_producer(self._parts.popleft())
        return self._parts[0] if self._parts else b""

    def close(self) -> None:
        while self._parts:
            close_producer(self._parts.popleft())


def _sent_in_steps(step: Callable[[int, int], tuple[int, int]], out_fd: int, most: int) -> int:
    """Take steps, which send at most so many bytes and say (how many they offered, how many went), until `most` are
    sent, there is no more, or the socket takes less than it is offered; how many bytes went in all.
    """
    sent = 0
    while sent < most:
        try:
            offered, count = step(out_fd, most - sent)
        except BlockingIOError:
            if not sent:
                raise
            break
        sent += count
        if count < offered or not offered:
            break
    return sent


def _remaining(part: bytes | file_producer) -> int:
    return part.remaining if isinstance(part, file_producer) else len(part)


def _state_of(fd: int) -> tuple[int, int]:
    """What tells that a file's bytes are still those that were promised.  Growth by appending shows in the mtime."""
    now = os.fstat(fd)
    return now.st_mtime_ns, now.st_size
