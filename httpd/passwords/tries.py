"""How often each client has tried something, in memory that has an end.

All processes share it that fork after it was made: where there are more workers, nobody gets more tries.  Time is cut
into windows of its own for each client, which begin with a try.  A client's row is in one of many small sets of rows;
where a set is full, the window is forgotten that ends first: who comes from so many addresses is not stopped by
counting them.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import threading
import weakref
from collections.abc import Hashable, Iterator
from hashlib import blake2b

from ..protocol.errors import HTTPError
from ..site.nameless import nameless_file

__all__ = ["Tries", "wrong_passwords"]

# Of ten thousand clients the tries are remembered.
_SETS = 1_250
_ROWS = 8
# A client's digest, when its window ends, and how often it has tried.
_ROW = struct.Struct("=QdQ")


class Tries:
    """So many tries in so many seconds for each client; `told` is the sentence for whoever had more.

    Times are those of one clock, the same in all processes.
    """

    def __init__(self, most: int, seconds: float, told: str) -> None:
        self._most = most
        self._seconds = seconds
        self._told = told
        # Nobody can choose addresses that meet in one set.
        self._key = os.urandom(16)
        self._memory = mmap.mmap(-1, _SETS * _ROWS * _ROW.size)
        # One for this process's threads, and one for the processes: whoever is killed gives it back.
        self._threads = threading.Lock()
        self._processes = nameless_file("httpd-tries")
        weakref.finalize(self, os.close, self._processes)

    def add(self, client: Hashable, now: float) -> None:
        """Count a try, at a time in seconds.  Raises HTTPError 429 where there were too many."""
        with self._alone():
            at, digest, until, count = self._row(client)
            if until <= now:
                count, until = 0, now + self._seconds
            if count >= self._most:
                raise HTTPError(429, self._told, [("Retry-After", str(int(until - now) + 1))])
            _ROW.pack_into(self._memory, at, digest, until, count + 1)

    def forgive(self, client: Hashable) -> None:
        """One of them was none."""
        with self._alone():
            at, digest, until, count = self._row(client)
            if count:
                _ROW.pack_into(self._memory, at, digest, until, count - 1)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._processes, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._processes, fcntl.LOCK_UN)

    def _row(self, client: Hashable) -> tuple[int, int, float, int]:
        """(where it is, digest, end of the window, count) of a client's row; where there is none, of one to be its."""
        digest = int.from_bytes(blake2b(repr(client).encode(), key=self._key, digest_size=8).digest(), "little")
        first = digest % _SETS * _ROWS * _ROW.size
        rows = [(at, *_ROW.unpack_from(self._memory, at)) for at in range(first, first + _ROWS * _ROW.size, _ROW.size)]
        for row in rows:
            if row[1] == digest:
                return row
        return min(rows, key=lambda row: row[2])[0], digest, 0.0, 0


def wrong_passwords() -> Tries:
    """How many wrong passwords an address may try: ten in a minute."""
    return Tries(10, 60.0, "Too many wrong passwords came from your address.")
