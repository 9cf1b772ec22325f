"""An async_chat with limits: on what it takes in, on what it keeps, on how long it waits.

async_chat itself has none, as the documented one had none: a peer that never sends the terminator, or never takes what
is pushed, fills the memory, and one that says nothing stays for ever.  Each limit is a class attribute, None unless a
program sets it.  Whichever is passed, `over_limit()` is called, which says so in the log and closes.

Where the bytes are cut makes no difference: a message that is too long is refused before any of it that is over the
limit was collected, and one that counts its bytes as soon as the number is known.
"""

from __future__ import annotations

from typing import Any

from . import asynchat, asyncore
from .interest import interests_of
from .report import Reporter
from .timers import Timer

__all__ = ["LimitedChat"]

logger = Reporter("httpd.net")


class LimitedChat(asynchat.async_chat):
    """An async_chat that may be limited."""

    # Bytes of one message, without its terminator.  With no terminator set there are no messages, and no limit.
    most_before_terminator: int | None = None
    # Bytes that wait after a push for a peer that does not take them; what a producer has still to give is not among
    # them.
    most_queued: int | None = None
    # Seconds in which nothing comes and nothing goes; connecting is waiting, too.
    idle_seconds: float | None = None

    _ac_taken = 0  # bytes of the present message
    _ac_queued = 0  # bytes that wait, at most
    _ac_active_at = 0.0
    _ac_idle_timer: Timer | None = None
    _ac_is_over = False

    def over_limit(self, why: str) -> None:
        """A limit is passed; `why` says which.  Closes: who overrides it may push a last word first."""
        logger.info("closing %r: %s", self, why)
        asyncore._lost(self)

    def _ac_over(self, why: str) -> None:
        # A last word may itself be too much.
        if not self._ac_is_over:
            self._ac_is_over = True
            try:
                self.over_limit(why)
            finally:
                self._ac_is_over = False

    # ---- in

    def ac_scan(self, data: bytes, start: int, terminator: bytes) -> tuple[int, int]:
        found, held = super().ac_scan(data, start, terminator)
        end = found if found >= 0 else len(data) - held
        if self._ac_too_long(end - start):
            # Nothing is found, and all is held back.
            return -1, len(data) - start
        self._ac_taken = 0 if found >= 0 else self._ac_taken + end - start
        return found, held

    def _ac_take_counted(self, terminator: int) -> bool:
        if self._ac_too_long(terminator):
            return False
        count = len(self._ac_in_data) - self._ac_in_at
        self._ac_taken = self._ac_taken + count if count < terminator else 0
        return super()._ac_take_counted(terminator)

    def _ac_too_long(self, more: int) -> bool:
        most = self.most_before_terminator
        if most is None or self._ac_taken + more <= most:
            return False
        self._ac_over(f"a message of more than {most} bytes")
        return True

    # ---- out

    def push(self, data: bytes | bytearray | memoryview) -> None:
        super().push(data)
        self._ac_queued += len(data)
        most = self.most_queued
        if most is not None and self._ac_queued > most:
            # Much of it may have gone meanwhile.
            self._ac_queued = sum(len(item) for item in list(self._ac_fifo) if isinstance(item, (bytes, memoryview)))
            if self._ac_queued > most and self.connected:
                self._ac_over(f"more than {most} bytes wait for a peer that does not take them")

    # ---- time

    def set_socket(self, sock: Any, map: dict[int, Any] | None = None) -> None:
        super().set_socket(sock, map)
        self._ac_taken = self._ac_queued = 0
        if self.idle_seconds is not None:
            # A channel may be made in another thread: there the loop's turn may have begun long ago, and the timers are
            # the loop's.
            self._ac_active_at = interests_of(self._map).timers.clock()
            interests_of(self._map).call(self._ac_watch)

    def recv(self, buffer_size: int) -> bytes:
        data = super().recv(buffer_size)
        if data and self.idle_seconds is not None:
            self._ac_be_active()
        return data

    def initiate_send(self) -> None:
        before = self.ac_bytes_sent
        super().initiate_send()
        if self.idle_seconds is not None and self.ac_bytes_sent != before:
            self._ac_be_active()

    def _ac_be_active(self) -> None:
        self._ac_active_at = interests_of(self._map).timers.now

    def _ac_watch(self) -> None:
        """See whether it was idle too long; if not yet, look again when it may have been."""
        self._ac_forget_timer()
        if self.idle_seconds is None or self._fileno is None:
            return
        left = self._ac_active_at + self.idle_seconds - interests_of(self._map).timers.now
        if left > 0:
            self._ac_idle_timer = asyncore.call_later(left, self._ac_watch, map=self._map)
        else:
            asyncore._guarded(self, "_ac_idle_too_long")

    def _ac_idle_too_long(self) -> None:
        self._ac_over(f"nothing came and nothing went for {self.idle_seconds} s")

    def _ac_forget_timer(self) -> None:
        timer, self._ac_idle_timer = self._ac_idle_timer, None
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        self._ac_forget_timer()
        super().close()
