"""Copies of files in memory, lent to sockets as a file's own pages would be.

To copy a file for every answer takes several times as long as to lend its pages; but who lends those of a file has to
see that nobody writes to them meanwhile (see `net.lending`).  To a copy nobody can write.
"""

from __future__ import annotations

import os

from ..net.producers import OpenFile

try:
    # Now: who serves as another user may not be able to read it later.
    import fcntl
except ImportError:
    pass

__all__ = ["Copies", "Copy"]


class Copy(OpenFile):
    """A copy that several responses may send at once; its memory is free at the last `release()`."""

    __slots__ = ("_copies", "size")

    unchanging = True

    def __init__(self, fd: int, size: int, copies: Copies) -> None:
        super().__init__(fd)
        self.size = size
        self._copies = copies
        copies.bytes_held += size

    def close(self) -> None:
        self._copies.bytes_held -= self.size
        super().close()


class Copies:
    """Makes copies; all that are held, those included that are only still being sent, have so many bytes at most."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes_held = 0

    def has_room(self, size: int) -> bool:
        """Whether there may be a copy of so many bytes more."""
        return self.bytes_held + size <= self.max_bytes

    def of(self, fd: int, size: int) -> Copy | None:
        """A copy of the first `size` bytes of a file, with one holder; None where the system has no such memory, or the
        file cannot be read so far.
        """
        if not hasattr(os, "memfd_create"):
            return None
        try:
            copy = Copy(os.memfd_create("copy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), size, self)
        except OSError:
            return None
        filled = False
        try:
            filled = _filled(copy.fd, fd, size)
        except OSError:
            pass
        finally:
            if not filled:
                copy.release()
        return copy if filled else None


def _filled(copy: int, fd: int, size: int) -> bool:
    """Fill a copy, and seal it; whether the file had as much."""
    at = 0
    while at < size:
        count = os.sendfile(copy, fd, at, size - at)
        if not count:
            return False
        at += count
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return True
