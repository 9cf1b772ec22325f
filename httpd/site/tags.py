"""A file's validators (RFC 9110 §8.8): when it was modified, if that can be believed, and the tag of its present state.

Ordinarily both come from the time of modification, to the nanosecond.  Images of containers and of Nix set that to 0
or 1 for every file, so that two releases of a file may differ in nothing that `os.stat` tells; and a time in the
future tells nothing either, and must not be sent (§8.8.2.1).  Such a file has no Last-Modified, and its tag is:

- up to HASHED bytes, a hash of the content: the same on every machine and in every release that has these bytes.
  Reading so much stops the other connections for no longer than a turn's sending does, and is done once for each
  state of a file;
- beyond, made of the inode and the time of its last change, which the kernel keeps and nobody can set.  Two machines
  give one file two tags, so a client that meets both loads it again; but no client takes new bytes for old ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from ..protocol.validators import strong_etag

__all__ = ["HASHED", "Tags", "content_digest", "told_time"]

HASHED = 2 << 20
# How much is read at once of a file that is hashed.
_PIECE = 1 << 18

_State = tuple[int, int, int, int, int]


def told_time(status: os.stat_result, now: float) -> float | None:
    """When a file was modified, in seconds since 1970; None where that is no real time, or still to come."""
    return status.st_mtime if 2 <= status.st_mtime <= now else None


def _checksum(content: bytes) -> str:
    # A server that has just started is asked for something else as often as not.
    from zlib import crc32

    return f"{crc32(content):x}"


class Tags:
    """Strong entity-tags.  The hashes of the last `most` files that had to be read for theirs are remembered."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._digests: dict[_State, str] = {}

    def by_time(self, status: os.stat_result, content: bytes | None) -> str:
        """The tag of a file whose time can be believed; that of a small one is told apart by its `content`, too."""
        return strong_etag(status.st_mtime_ns, status.st_size, "" if content is None else _checksum(content))

    def by_content(self, fd: int, status: os.stat_result, content: bytes | None, *, settled: bool) -> str:
        """The tag of a file whose time says nothing.

        `content` is there already or None; `settled` is whether any further change will show in the status.
        """
        if content is not None:
            return f'"{content_digest([content])}"'
        if status.st_size > HASHED:
            return strong_etag(status.st_ctime_ns, status.st_size, f"inode{status.st_ino:x}")
        state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        digest = self._digests.get(state)
        if digest is None:
            digest = content_digest(_pieces(fd))
            if settled:
                self._remember(state, digest)
        return f'"{digest}"'

    def _remember(self, state: _State, digest: str) -> None:
        self._digests[state] = digest
        while len(self._digests) > self._most:
            del self._digests[next(iter(self._digests))]


def _pieces(fd: int) -> Iterator[bytes]:
    """The first HASHED bytes of a file, which are all of it unless it grows meanwhile."""
    for at in range(0, HASHED, _PIECE):
        yield os.pread(fd, _PIECE, at)


def content_digest(pieces: Iterable[bytes]) -> str:
    """The tag, without its quotes, that these bytes have and no others."""
    # Rare, and a good part of a small server's time to start.
    from hashlib import sha256

    total = sha256()
    for piece in pieces:
        total.update(piece)
    return total.hexdigest()[:32]
