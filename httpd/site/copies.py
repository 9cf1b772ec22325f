"""Copies of files in memory, lent to sockets as a file's own pages would be.

To copy a file for every answer takes several times as long as to lend its pages; but who lends those of a file has to
see that nobody writes to them meanwhile (see `net.lending`).  To a copy nobody can write.
"""

from __future__ import annotations

import os

from ..net.producers import OpenFile

__all__ = ["Copies", "Copy"]


class Copy(OpenFile):
    """A copy that several responses may send at once; the memory is free at the last `release()`."""

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

    def of(self, fd: int, size: int) -> Copy | None:
        """A copy of the first `size` bytes of a file, with one holder; None where there is no room for it, the system
        has none, or the file cannot be read so far.
        """
        if self.bytes_held + size > self.max_bytes or not hasattr(os, "memfd_create"):
            return None
        try:
            copy = Copy(os.memfd_create("copy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), size, self)
        except OSError:
            return None
        try:
            if _filled(copy.fd, fd, size):
                return copy
        except OSError:
            pass
        copy.release()
        return None


def _filled(copy: int, fd: int, size: int) -> bool:
    """Fill a copy, and seal it; whether the file had as much."""
    import fcntl

    at = 0
    while at < size:
        count = os.sendfile(copy, fd, at, size - at)
        if not count:
            return False
        at += count
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return True
