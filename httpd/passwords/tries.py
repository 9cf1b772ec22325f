"""How often each client has tried something, in memory that has an end.

All processes share it that fork after it was made: where there are more workers, nobody gets more tries.  Time is cut
into windows of its own for each client, which begin with a try.  The same try again, be it in another process, is none:
who has the right password asks many workers at once, before any of them knows.  A client's row is in one of many small
sets of rows; where a set is full, the window is forgotten that ends first: who comes from so many addresses is not
stopped by counting them.
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
# A client's digest, and when its window ends; behind that stand digests of what it has tried, 0 where there is none.
_WINDOW = "=Qd"


class Tries:
    """So many different tries in so many seconds for each client; `told` is the sentence for whoever had more.

    Times are those of one clock, the same in all processes.
    """

    def __init__(self, most: int, seconds: float, told: str) -> None:
        self._most = most
        self._seconds = seconds
        self._told = told
        self._layout = struct.Struct(f"{_WINDOW}{most}I")
        # Nobody can choose addresses that meet in one set.
        self._key = os.urandom(16)
        self._memory = mmap.mmap(-1, _SETS * _ROWS * self._layout.size)
        # One for this process's threads, and one for the processes: whoever is killed gives it back.
        self._threads = threading.Lock()
        self._processes = nameless_file("httpd-tries")
        weakref.finalize(self, os.close, self._processes)

    def add(self, client: Hashable, what: str, now: float) -> None:
        """Count that this was tried, at a time in seconds.  Raises HTTPError 429 where there was too much."""
        with self._alone():
            at, digest, until = self._row(client)
            tried, trial = self._tried(at) if until > now else [], self._digest(what, 4)
            if trial in tried:
                return
            if len(tried) >= self._most:
                raise HTTPError(429, self._told, [("Retry-After", str(int(until - now) + 1))])
            self._keep(at, digest, until if tried else now + self._seconds, [*tried, trial])

    def forgive(self, client: Hashable, what: str) -> None:
        """It was none."""
        with self._alone():
            at, digest, until = self._row(client)
            if until:
                trial = self._digest(what, 4)
                self._keep(at, digest, until, [each for each in self._tried(at) if each != trial])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._processes, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._processes, fcntl.LOCK_UN)

    def _row(self, client: Hashable) -> tuple[int, int, float]:
        """(where it is, digest, end of the window) of a client's row; where there is none, of one to be its."""
        digest = self._digest(repr(client), 8)
        size = self._layout.size
        first = digest % _SETS * _ROWS * size
        rows = [(at, *struct.unpack_from(_WINDOW, self._memory, at)) for at in range(first, first + _ROWS * size, size)]
        for row in rows:
            if row[1] == digest:
                return row
        return min(rows, key=lambda row: row[2])[0], digest, 0.0

    def _tried(self, at: int) -> list[int]:
        return [trial for trial in self._layout.unpack_from(self._memory, at)[2:] if trial]

    def _keep(self, at: int, digest: int, until: float, tried: list[int]) -> None:
        none = [0] * (self._most - len(tried))
        self._layout.pack_into(self._memory, at, digest, until, *tried, *none)

    def _digest(self, text: str, size: int) -> int:
        digest = blake2b(text.encode("utf-8", "surrogateescape"), key=self._key, digest_size=size).digest()
        return int.from_bytes(digest, "little") or 1


def wrong_passwords() -> Tries:
    """How many wrong passwords an address may try: ten in a minute, by whichever name."""
    return Tries(10, 60.0, "Too many wrong passwords came from your address.")
