"""A file's validators (RFC 9110 §8.8): when it was modified, if that can be believed, and the tag of its present state.

Ordinarily both come from the time of modification, to the nanosecond.  Images of containers and of Nix set that to 0
or 1 for every file, so that two releases of a file may differ in nothing that `os.stat` tells; and a time in the
future tells nothing either, and must not be sent (§8.8.2.1).  Such a file has no Last-Modified, and its tag is:

- a hash of the content: the same on every machine and in every release that has these bytes, and found out once for
  each state of a file.  Up to HASHED bytes are read on the spot, for that stops the other connections no longer than a
  turn's sending does; more of them beside the loop, while the answer waits (see `Later`);
- beyond MOST bytes, and for a big file that changes meanwhile, made of the inode and the time of its last change, which
  the kernel keeps and nobody can set.  Two machines give one file two tags, so a client that meets both loads it again;
  but no client takes new bytes for old ones.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ..protocol.errors import Later
from ..protocol.validators import strong_etag

if TYPE_CHECKING:
    from hashlib import _Hash as HASH
    from io import FileIO

__all__ = ["HASHED", "MOST", "Tags", "content_digest", "told_time"]

HASHED = 2 << 20
# What takes no longer than a client may well wait: some ten seconds.
MOST = 8 << 30
# How much is hashed beside the loop in one go: a moment's work, for there are others who have something done there.
_STEP = 32 << 20
# How much is read at once of a file that is hashed.
_PIECE = 1 << 18

_K = TypeVar("_K")
_V = TypeVar("_V")


class _State(NamedTuple):
    """One state of a file, as the disk tells it from others."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> _State:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


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
        self._begun: dict[tuple[int, int], _Hashing] = {}

    def by_time(self, status: os.stat_result, content: bytes | None) -> str:
        """The tag of a file whose time can be believed; that of a small one is told apart by its `content`, too."""
        return strong_etag(status.st_mtime_ns, status.st_size, "" if content is None else _checksum(content))

    def by_content(self, fd: int, status: os.stat_result, content: bytes | None, *, settled: bool) -> str:
        """The tag of a file whose time says nothing.

        `content` is there already or None; `settled` is whether any further change will show in the status.  Raises
        Later where it has to be found out, perhaps several times.
        """
        if content is not None:
            return f'"{content_digest([content])}"'
        state = _State.of(status)
        digest = self._digests.get(state) or self._digest(fd, state, settled)
        return f'"{digest}"' if digest else strong_etag(state.ctime_ns, state.size, f"inode{state.inode:x}")

    def _digest(self, fd: int, state: _State, settled: bool) -> str:
        """The hash of a file that is not remembered; "" where it is not to be had.  Raises Later."""
        if state.size <= HASHED:
            digest = content_digest(_pieces(fd, 0, HASHED))
        elif settled and state.size <= MOST:
            digest = self._found_beside(fd, state)
        else:
            return ""
        if settled and digest:
            _keep(self._digests, state, digest, self._most)
        return digest

    def _found_beside(self, fd: int, state: _State) -> str:
        """What the hashing beside the loop has come to; "" if the file was changed meanwhile.  Raises Later.

        Whoever asks takes it a step further, for all who wait; where nobody waits any more it stops.
        """
        file = state[:2]
        begun = self._begun.get(file) or _keep(self._begun, file, _Hashing(state), self._most)
        if begun.state == state and not begun.digest:
            own = os.fdopen(os.dup(fd), "rb", buffering=0)
            raise Later(lambda: begun.go_on(own))
        del self._begun[file]
        return begun.digest if begun.state == state else ""


def _keep(memory: dict[_K, _V], key: _K, value: _V, most: int) -> _V:
    """Remember a value, and forget the oldest beyond so many."""
    memory[key] = value
    while len(memory) > most:
        del memory[next(iter(memory))]
    return value


class _Hashing:
    """A file in this state on the way to the hash of its content, which is its `digest` in the end."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.digest = ""
        self._total = _hash()
        self._at = 0
        self._going = threading.Lock()

    def go_on(self, file: FileIO) -> None:
        """Read the file, which is taken over, a step further.  Takes long."""
        with file, self._going:
            before = self._at
            for piece in _pieces(file.fileno(), before, min(before + _STEP, self.state.size)):
                self._total.update(piece)
                self._at += len(piece)
            if self._at in (before, self.state.size):
                # Or it has become shorter, which its state tells.
                self.digest = _shown(self._total)


def _pieces(fd: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file between two places, as far as there are any."""
    for at in range(start, end, _PIECE):
        yield os.pread(fd, min(_PIECE, end - at), at)


def content_digest(pieces: Iterable[bytes]) -> str:
    """The tag, without its quotes, that these bytes have and no others."""
    total = _hash()
    for piece in pieces:
        total.update(piece)
    return _shown(total)


def _hash() -> HASH:
    # Rare, and a good part of a small server's time to start.
    from hashlib import sha256

    return sha256()


def _shown(total: HASH) -> str:
    return total.hexdigest()[:32]
