"""Lending the pages of a file to a socket, and knowing that it has given them back.

sendfile(2) lends the kernel the file's own pages, and whoever writes to the file then writes to what is under way.  So
the end of a file is copied, and the file is looked at between a copy and its sending.  What that look is to speak for,
all that was lent before, must have gone by then: either the end is more than a socket holds, or its last piece waits.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator

try:
    # Now: who serves as another user may not be able to read them later.
    import fcntl
    import termios

    _UNSENT = termios.TIOCOUTQ
except ImportError:
    _UNSENT = 0

__all__ = ["END", "LAST", "bound", "copied_end", "unbound", "unsent"]

# More than a socket's buffer holds, usually (Linux has 4 MiB at the most, tcp_wmem): so little of a file is all copied.
HELD = 4 << 20
# Where the last piece waits: its size, and half of what the buffer is bound to then.  Linux tells of room when a third
# of that is free.
LAST = 1 << 16
_HALF = 192 << 10
# As much as the bound is copied before it: there is something to send meanwhile, and no room while anything is lent.
END = 2 * _HALF + LAST
# SO_BUF_LOCK, since Linux 5.14: which buffers have a size that was given to them; SOCK_SNDBUF_LOCK.
_LOCK = 72
_SEND = 1


def copied_end(length: int) -> int:
    """How many of the last of so many bytes of a file are copied: HELD, or END of which the last piece has to wait."""
    return END if length > HELD and _UNSENT and sys.platform == "linux" else HELD


def bound(fd: int) -> tuple[int, int | None]:
    """Have a socket tell of room only when it holds less than what was copied into it; how its buffer was before: the
    size, and the lock, None where there is none.
    """
    with _options(fd) as sock:
        size, lock = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), None
        with contextlib.suppress(OSError):
            lock = sock.getsockopt(socket.SOL_SOCKET, _LOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _HALF)
    return size, lock


def unbound(fd: int, before: tuple[int, int | None]) -> None:
    """Let the buffer be as it was: of the size that somebody gave it, or else sized by the kernel, if it does that."""
    size, lock = before
    with _options(fd) as sock:
        if lock is None or lock & _SEND:
            # What is read is twice what is written.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size // 2)
        if lock is not None:
            sock.setsockopt(socket.SOL_SOCKET, _LOCK, lock)


@contextlib.contextmanager
def _options(fd: int) -> Iterator[socket.socket]:
    """The socket of a descriptor, for its options."""
    # The family is named, so that it is not asked for: options of a socket are the same in all.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        yield sock
    finally:
        sock.detach()


def unsent(fd: int) -> int:
    """How many bytes the kernel holds that the peer has not acknowledged; 0 where it cannot tell."""
    if not _UNSENT:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(fd, _UNSENT, bytes(4)), "little")
    except (OSError, ValueError):
        return 0
