"""A channel with patience: each of its states may last only so long.

The end of patience is a point in time that a request moves to and fro many times; its timer is not moved with it.  A
channel has one timer at most.  It is set anew only when the point comes nearer, and when it fires it looks whether
patience has ended or the point is still to come.  So an exchange that goes well costs no timer, and an idle channel
costs nothing at all until its time is up.  The first timer is set after the channel's first event, or when the loop has
taken it up: a connection that is over in the turn that accepted it, as most of a single request are, never has one.
"""

from __future__ import annotations

import math
from typing import Any

from . import asynchat, asyncore
from .lending import unsent
from .timers import Timer, Timers

__all__ = ["WatchedChat"]


class WatchedChat(asynchat.async_chat):
    """An async_chat that is told when its patience has ended.  Derive from it and add `patience` and `timed_out`.

    `timers` are those of the loop that serves the channel.  Whatever changes the patience outside an event of the
    channel's own calls `watch()`, but the constructor.
    """

    # Also those of the classes beneath, as far as every instance has them: in a dict beside slots Python, from 3.13 on,
    # looks them up slowly, and the dict is to be made.  And TlsChat's, which as one of two bases can have no slots.
    __slots__ = (
        "_ac_closed", "_ac_ended", "_ac_eof", "_ac_fifo", "_ac_in_at", "_ac_in_data", "_ac_paused", "_ac_sending",
        "_ac_stalled", "_ac_taking", "_ac_waits", "_ac_woken", "_close_told", "_fileno", "_in_event", "_kept_by",
        "_map", "_shaken_by", "_timer", "_waited", "ac_bytes_sent", "accepting", "ask_at", "connected", "connecting",
        "incoming", "socket", "timers",
    )  # fmt: skip

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        # Found out once, not at every send: here no program puts a `send` of its own into an instance.
        setattr(cls, "_ac_sends_itself", cls.send is asyncore.dispatcher.send)  # noqa: B010

    def __init__(self, timers: Timers, map: dict[int, Any] | None = None) -> None:
        self.accepting = self.connected = self.connecting = False
        asynchat.async_chat.__init__(self, None, map)
        self.timers = timers
        self.ask_at = math.inf  # when a producer that has nothing yet is asked again
        self._timer: Timer | None = None

    def patience(self) -> float:
        """When the present state will have lasted too long, on the loop's clock; infinity for never."""
        raise NotImplementedError("must be implemented in subclass")

    def timed_out(self) -> None:
        """Patience has ended.  Leaves the state, or moves the point on."""
        raise NotImplementedError("must be implemented in subclass")

    def hold_input(self) -> None:
        """`pause_input` for what is mostly over before more comes: the loop is told only if more does come."""
        self._ac_paused = True

    def handle_read_event(self) -> None:
        if self._ac_paused and not self.readable():
            self.interest_changed()
            return
        self.handle_read()
        if self._ac_stalled:
            # A piece that was read ahead is enough.
            self.interest_changed()
        # While nothing is taken and nothing is to be sent, it is not the peer who keeps us waiting.
        if self._ac_fifo or not self._ac_paused:
            self.watch()

    def handle_write_event(self) -> None:
        self.handle_write()
        self.watch()

    def wake(self) -> None:
        """As in async_chat; a producer that raises costs this connection, and harms no caller."""
        self._ac_woken = True
        asyncore.write(self)

    def ac_ask_later(self, seconds: float | None) -> None:
        """As in async_chat, but for the one who derives: `ask_at` is a part of the patience, and then `wake` is due."""
        self.ask_at = math.inf if seconds is None else self.timers.now + seconds

    def bytes_gone(self) -> int:
        """How many bytes the peer has acknowledged: what the kernel still holds has not gone anywhere."""
        return self.ac_bytes_sent - unsent(self.socket.fileno())

    def watch(self) -> None:
        """See to it that the timer fires when patience ends, or earlier."""
        due = self.patience()
        timer = self._timer
        if timer is not None:
            if due >= timer.when:
                return
            timer.cancel()
        self._timer = self.timers.call_later(due - self.timers.now, self._look) if due < math.inf else None

    def _taken_up(self) -> None:
        if self._timer is None:
            try:
                self.watch()
            except Exception:
                self.handle_error()

    def _look(self) -> None:
        self._timer = None
        try:
            if self.patience() <= self.timers.now:
                self.timed_out()
            self.watch()
        except Exception:
            # As after an event: a channel that fails is not left without a timer.
            self.handle_error()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # By name: of each connection's end a call of super() is a good part.
        asynchat.async_chat.close(self)
