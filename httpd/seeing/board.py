"""Numbers that all processes of a server see: each writes its own in a slot, and any of them reads all.  Beside them
each may tell the others a text.

The slots lie in memory that is shared by who forks.  A slot belongs to one process at a time: whoever has the lock on
its byte.  The kernel gives the lock back when the process ends, however it ends, and the next one that takes the slot
goes on counting where the dead one has stopped.  So a sum never goes back, and what was counted is not lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from zlib import crc32

from ..site.nameless import nameless_file

__all__ = ["Board"]

# How many processes may write: more than one set of workers, as the old one finishes while the new one serves.
SLOTS = 128
_DOUBLE = 8
# The longest text, in bytes.
LONGEST = 1 << 20
# Before a text: its length and its checksum, by which one that is just being written is known.
_HEAD = struct.Struct("<II")


class Board:
    """Slots of `width` numbers each, at first 0.0; the first number of a slot is its process's.

    A board is made before the fork; after it each process has its own slot.
    """

    def __init__(self, width: int, slots: int = SLOTS) -> None:
        self.width = width
        self.slots = slots
        self._fd = nameless_file("httpd-board")
        os.ftruncate(self._fd, width * slots * _DOUBLE)
        self._numbers = memoryview(mmap.mmap(self._fd, width * slots * _DOUBLE)).cast("d")
        # It has holes where nobody has told anything.
        self._texts = nameless_file("httpd-board")
        self._process = -1
        self._number = -1
        self._own = self._numbers[:0]

    def own(self, begin: Callable[[memoryview[float]], None]) -> memoryview[float]:
        """This process's slot; `begin(slot)` is called when it has just taken it.

        Where all are taken, it is one that nobody else sees.
        """
        if self._process != os.getpid():
            self._process = os.getpid()
            self._number = next(filter(self._lock, range(self.slots)), -1)
            private = memoryview(bytearray(self.width * _DOUBLE)).cast("d")
            self._own = private if self._number < 0 else self._slot(self._number)
            begin(self._own)
            self._own[0] = self._process
            self.tell(b"")
        return self._own

    def _slot(self, number: int) -> memoryview[float]:
        return self._numbers[number * self.width : (number + 1) * self.width]

    def _lock(self, number: int) -> bool:
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
        except OSError:
            return False
        return True

    def used(self) -> Iterator[tuple[int, memoryview[float]]]:
        """(number, slot) of each slot that a process has, or had."""
        for number in range(self.slots):
            slot = self._slot(number)
            if slot[0]:
                yield number, slot

    def living(self) -> Iterator[tuple[int, memoryview[float]]]:
        """(number, slot) of each process that there is."""
        return ((number, slot) for number, slot in self.used() if slot[0] == os.getpid() or self._is_taken(number))

    def others(self) -> Iterator[tuple[int, memoryview[float]]]:
        """(number, slot) of each process that there is besides this one."""
        return ((number, slot) for number, slot in self.living() if slot[0] != os.getpid())

    def _is_taken(self, number: int) -> bool:
        if not self._lock(number):
            return True
        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, number)
        return False

    def sums(self) -> list[float]:
        """Each number, summed over all processes that there were."""
        return [sum(numbers) for numbers in zip(*(slot for _, slot in self.used()), strict=True)] or [0.0] * self.width

    def tell(self, text: bytes) -> None:
        """Tell the others this, in the place of what was told before; nothing where it is too long."""
        if self._number >= 0 and len(text) <= LONGEST:
            head = _HEAD.pack(len(text), crc32(text))
            os.pwrite(self._texts, head + text, self._number * (_HEAD.size + LONGEST))

    def told(self) -> Iterator[bytes]:
        """What each of the others tells, b"" for nothing."""
        return (self._text(number) or self._text(number) for number, _ in self.others())

    def _text(self, number: int) -> bytes:
        at = number * (_HEAD.size + LONGEST)
        length, checksum = _HEAD.unpack(os.pread(self._texts, _HEAD.size, at).ljust(_HEAD.size, b"\0"))
        text = os.pread(self._texts, length, at + _HEAD.size)
        return text if crc32(text) == checksum else b""

    def __del__(self) -> None:
        for name in ("_fd", "_texts"):
            with contextlib.suppress(AttributeError, OSError):
                os.close(getattr(self, name))
