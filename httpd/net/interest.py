"""Which channel waits for what: kept in the kernel, and changed only when a channel's answer changes.

asyncore asked every channel on every pass, "are you readable? are you writable?".  Here a channel is asked

- when it comes into the map, and after each of its own events;
- when it says that its answer may have changed (`note`); a class whose `announces_all` is true always says so, and is
  not even asked after its own events;
- on every pass only if it overrides the question: a predicate that is not marked `announced` may depend on anything, a
  clock or the number of connections, and old programs do work in it.

Which of these it is, is decided when it comes into the map.  A question that is put in the place of another later, in
the instance or its class, is found before each of the channel's events, after one that changed the answer, by `note`,
and by the sweep; so a yes may be heard a second late, but no event is given to who says no.

The map is a plain dict that programs change as they like.  A ChannelMap notes its own changes; any other dict is
compared with what was last seen, which costs a few nanoseconds an entry.

What neither shows is another file under the number of a channel that stays what it is: by dup2(), or on a plain dict by
an object that was taken out and put back.  A dispatcher says so itself, in `set_socket()`.  For anything else the
sweep compares: so it hears nothing for a second, and where there are more channels than that looks at, for longer.  Of
who announces all, the sweep asks only whether its descriptor is open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable
from errno import EBADF
from operator import is_
from typing import Any, TypeVar

from .backends import ERROR, HUNG_UP, INVALID, READ, URGENT, WRITE, Backend, best_backend
from .channel_map import ChannelMap
from .report import Reporter
from .timers import ExitNow, Timer, Timers, guarded

__all__ = ["Interests", "announced", "forget", "interests_of", "rouse", "touch"]

logger = Reporter("httpd.net")

Predicate = TypeVar("Predicate", bound=Callable[..., Any])
Handle = Callable[[Any, int], None]

# What changed behind the loop's back gives no event, such as a descriptor that was closed: the loop looks for it this
# often, and at so many channels a time, as it is a system call for each.
_SWEEP_SECONDS = 1.0
_SWEEP_CHANNELS = 100
# Kept sets of plain dicts.  More maps than this in turn still work: a set is built anew from its map.
_MOST_PLAIN_MAPS = 16


def announced(hook: Predicate) -> Predicate:
    """Mark a `readable`/`writable` whose every change is told by `interest_changed()`, so it is not asked each pass.

    On `handle_expt` it says that urgent data is not waited for.
    """
    hook.announced = True  # type: ignore[attr-defined]
    return hook


def _is_announced(obj: Any, name: str) -> bool:
    return getattr(getattr(obj, name, None), "announced", False)


class Interests:
    """The kept set of one map, with the loop's timers and its wake-up."""

    def __init__(self, map: dict[int, Any], backend: Callable[[], Backend] = best_backend) -> None:
        self.map = map
        self.timers = Timers()
        self._wake_pipe = (-1, -1)
        self._signals_wake = False
        self._woken_otherwise = -1  # the descriptor that signals said something to before
        self._new_backend = backend
        self._backend = backend()
        self._channels: dict[int, Any] = {}
        self._masks: dict[int, int] = {}
        self._urgent: set[int] = set()
        self._asked: dict[int, Any] = {}
        # The readable() and writable() of those that are neither asked on every pass nor announce all.
        self._questions: dict[int, tuple[Any, Any]] = {}
        self._steady: set[int] = set()
        self._resting: set[int] = set()
        # Their input has ended.
        self._ended: set[int] = set()
        # Which entries of the map were made anew: a ChannelMap says it itself.
        self._notes_changes = isinstance(map, ChannelMap)
        self._changes: set[int] = map.touched if isinstance(map, ChannelMap) else set()
        # Descriptors, so that where no loop runs they are no more than there are channels.
        self._noted: set[int] = set()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._handle: Handle = _unheard
        self._turning = False
        self.receives = False  # whether the events of a turn are being given out
        self.all_received: Callable[[], object] | None = None  # called when they are, before anything else
        self._thread = self._waiting_thread = 0
        # The file that each descriptor was of: when it came into a plain dict, otherwise when it was looked at first.
        self._files: dict[int, tuple[int, int]] = {}
        self._sweep_at = float("-inf")
        self._to_sweep: list[tuple[int, Any]] = []
        self._stale = False
        self._open_wake_pipe()
        _every.add(self)

    @property
    def in_use(self) -> bool:
        """Whether a loop is in it, or has something to do in it later."""
        return self._turning or bool(self._calls) or len(self.timers) > 0

    # ---- one turn of the loop

    def turn(self, timeout: float | None, handle: Handle) -> None:
        """Wait for events, at most `timeout` seconds; give each to `handle(channel, events)`; run the timers."""
        self._turning = True
        self._handle = handle
        try:
            events = self._wait(timeout)
            self.timers.tick()
            if events:
                self._give_out(events)
            if self.timers.now >= self._sweep_at:
                self._sweep()
            if self._calls:
                # Before the timers: what such a call asks for at the end of this turn needs no further one.
                for _ in range(len(self._calls)):
                    guarded(*self._calls.popleft())
            if self.timers.busy:
                self.timers.run_due()
        finally:
            self._turning = False

    def _give_out(self, events: list[tuple[int, int]]) -> None:
        self.receives = True
        try:
            self._dispatch(events)
        finally:
            self.receives = False
            if self.all_received is not None:
                self.all_received()

    def _wait(self, timeout: float | None) -> list[tuple[int, int]]:
        # From here on whoever changes something in another thread ends the wait; what was changed before is seen now.
        self._thread = self._waiting_thread = threading.get_ident()
        try:
            # Most turns change nothing.
            if self._changes or self._noted or self._asked or self._stale or not self._notes_changes:
                self._bring_up_to_date()
            timers = self.timers
            # A channel that was found dead just now may have made another.
            if self._calls or self._changes:
                timeout = 0.0
            elif timers.busy:
                timeout = timers.patience(timeout)
            return self._backend.wait(timeout)
        finally:
            self._waiting_thread = 0

    def _dispatch(self, events: list[tuple[int, int]]) -> None:
        # Who owns a descriptor is settled before the first handler runs: an event for a channel that an earlier
        # handler of this pass closed must not reach the next owner of its number.
        channels, current, handle = self._channels, self.map, self._handle
        for fd, channel, flags in [(fd, channels.get(fd), flags) for fd, flags in events]:
            if channel is None:
                self._unknown(fd)
            elif current.get(fd) is channel:
                if fd in self._steady:
                    handle(channel, flags)
                elif self._is_as_kept(fd, channel) or (flags := self._still_wanted(fd, channel, flags)):
                    handle(channel, flags)
                    if current.get(fd) is channel:
                        self._after_event(fd, channel, flags)

    def _still_wanted(self, fd: int, channel: Any, flags: int) -> int:
        """Those of the events that a channel waits for whose questions are others by now."""
        self._sort(fd, channel)
        self._ask(fd, channel)
        mask = self._masks.get(fd, 0)
        return flags & (mask | ERROR | HUNG_UP | INVALID) if mask else 0

    def _after_event(self, fd: int, channel: Any, flags: int) -> None:
        if flags & (ERROR | HUNG_UP | INVALID) and not flags & (READ | WRITE):
            # It was told that its connection is gone, and stays in the map: it has nothing more to hear.
            self._backend.remove(fd)
            return
        if fd in self._asked or fd in self._resting:
            return
        mask = self._wanted(fd, channel)
        if mask != self._masks.get(fd):
            if not self._is_as_kept(fd, channel):
                self._sort(fd, channel)
            self._set(fd, channel, mask)

    def use_backend(self, backend: Callable[[], Backend]) -> None:
        """Wait with another backend from the next turn on; `backend()` makes one."""
        self._new_backend = backend
        self._stale = True

    # ---- keeping the set

    def note(self, channel: Any) -> None:
        """The channel's answer may have changed.  May be called from any thread."""
        self._noted.add(channel._fileno)
        self.rouse()

    def waits_for_room(self, channel: Any) -> bool:
        """Whether the loop, asked in its own thread, waits for room on the channel: there is nothing new to be said.

        In another thread nobody can tell: what was found would be changed at the same time.
        """
        fd = channel._fileno
        return (
            bool(self._masks.get(fd, 0) & WRITE)
            and self._channels.get(fd) is channel
            and self._thread == threading.get_ident()
        )

    def touch(self, fd: int) -> None:
        """The map's entry for `fd` was made anew.  May be called from any thread.

        It does not end the loop's wait: whoever makes a channel in another thread is still in its constructor.
        """
        self._changes.add(fd)

    def call_later(self, delay: float, call: Callable[..., object], *args: Any) -> Timer:
        """Make a call in `delay` seconds; within a turn the time is that of its beginning."""
        if not self._turning:
            self.timers.tick()
        return self.timers.call_later(delay, call, *args)

    def rest(self, channel: Any, seconds: float) -> None:
        """Wait for nothing on this channel for a while, whatever it answers."""
        fd = channel._fileno
        if self._channels.get(fd) is channel and fd not in self._resting:
            self._resting.add(fd)
            self._set(fd, channel, 0)
            self.timers.call_later(seconds, self._rested, fd, channel)

    def hears_no_more(self, channel: Any) -> None:
        """The channel's input has ended: never wait for more, whatever it answers."""
        fd = channel._fileno
        if self._channels.get(fd) is channel and self.map.get(fd) is channel:
            self._ended.add(fd)
            self._noted.add(fd)

    def rests(self, channel: Any) -> bool:
        """Whether the channel is resting."""
        fd = channel._fileno
        return fd in self._resting and self._channels.get(fd) is channel

    def _rested(self, fd: int, channel: Any) -> None:
        if self._channels.get(fd) is channel:
            self._resting.discard(fd)
            self._noted.add(fd)

    def _bring_up_to_date(self) -> None:
        if self._stale:
            self._rebuild()
        self._reconcile()
        self._ask_noted()
        if self._asked:
            for fd, channel in list(self._asked.items()):
                if self.map.get(fd) is channel:
                    self._ask(fd, channel)
            # A question may close channels, make others, and push to any.
            self._reconcile()
            self._ask_noted()

    def _ask_noted(self) -> None:
        noted = self._noted
        while noted:
            fd = noted.pop()
            channel = self._channels.get(fd)
            # Those asked on every pass need no note; and asking may itself make one.
            if channel is not None and self.map.get(fd) is channel and fd not in self._asked:
                if not self._is_as_kept(fd, channel):
                    self._sort(fd, channel)
                self._ask(fd, channel)

    def _reconcile(self) -> None:
        """Make the kept set that of the map, which anyone may have changed."""
        current = self.map
        if self._notes_changes:
            while self._changes:
                fd = self._changes.pop()
                channel = current.get(fd)
                # Most have come and gone meanwhile.
                if channel is not None or fd in self._channels:
                    self._replace(fd, channel)
        else:
            while self._changes:
                self._drop(self._changes.pop())
            # Copies, each made in one step, as other threads may change the map meanwhile.
            fds, channels = list(current), list(current.values())
            if fds != list(self._channels) or not all(map(is_, channels, self._channels.values())):
                self._compare(dict(current))

    def _compare(self, current: dict[int, Any]) -> None:
        for fd in [fd for fd, channel in self._channels.items() if current.get(fd) is not channel]:
            self._drop(fd)
        for fd, channel in current.items():
            if fd not in self._channels:
                self._replace(fd, channel)
        self._channels = {fd: self._channels[fd] for fd in current if fd in self._channels}

    def _replace(self, fd: int, channel: Any) -> None:
        if fd in self._channels:
            self._drop(fd)
        if channel is not None:
            self._channels[fd] = channel
            if not self._notes_changes and (file := _file_of(fd)) is not None:
                self._files[fd] = file
            if hasattr(channel, "_kept_by"):
                channel._kept_by = self
            if not _is_announced(channel, "handle_expt") or not _is_announced(channel, "handle_expt_event"):
                self._urgent.add(fd)
            if getattr(channel, "announces_all", False):
                self._steady.add(fd)
            self._sort(fd, channel)
            self._ask(fd, channel)
            if hasattr(channel, "_taken_up"):
                channel._taken_up()

    def _sort(self, fd: int, channel: Any) -> None:
        """Find out when the channel has to be asked."""
        self._questions.pop(fd, None)
        if not (_is_announced(channel, "readable") and _is_announced(channel, "writable")):
            self._asked[fd] = channel
        elif fd not in self._steady:
            self._questions[fd] = channel.readable, channel.writable

    def _is_as_kept(self, fd: int, channel: Any) -> bool:
        """Whether its questions are those that were looked at, where that matters."""
        known = self._questions.get(fd)
        return known is None or (channel.readable == known[0] and channel.writable == known[1])

    def _drop(self, fd: int) -> None:
        channel = self._channels.pop(fd, None)
        if channel is not None:
            if getattr(channel, "_kept_by", None) is self:
                channel._kept_by = None
            self._asked.pop(fd, None)
            self._questions.pop(fd, None)
            self._urgent.discard(fd)
            self._steady.discard(fd)
            self._resting.discard(fd)
            self._ended.discard(fd)
            self._files.pop(fd, None)
            if self._masks.pop(fd, None) is not None:
                self._backend.remove(fd, _has_closed(channel))

    def _ask(self, fd: int, channel: Any) -> None:
        try:
            mask = self._wanted(fd, channel)
        except Exception as error:
            _report(channel, error)
            return
        if mask != self._masks.get(fd) and fd not in self._resting and self._channels.get(fd) is channel:
            self._set(fd, channel, mask)

    def _wanted(self, fd: int, channel: Any) -> int:
        mask = 0
        if channel.readable() and fd not in self._ended:
            mask = READ | URGENT if fd in self._urgent else READ
        if channel.writable() and not channel.accepting:
            mask |= WRITE
        if mask and channel.accepting and getattr(channel, "shared", False):
            mask |= self._backend.alone
        return mask

    def _set(self, fd: int, channel: Any, mask: int) -> None:
        self._masks[fd] = mask
        try:
            if fd in self._wake_pipe:
                raise OSError(EBADF, "not the channel's own any more")
            if mask or fd not in self._asked:
                # Registered even for nothing, it is told when its connection breaks.
                self._backend.set(fd, mask)
            else:
                # It said no, and an old program that says no hears nothing.
                self._backend.remove(fd)
        except (OSError, ValueError):
            # Not open, or its number is by now that of something that cannot be waited for.
            self._bury(fd, channel)

    # ---- descriptors that died

    def _bury(self, fd: int, channel: Any) -> None:
        """Close a channel whose descriptor is not open any more; the loop goes on."""
        self._drop(fd)
        self._handle(channel, INVALID)
        if self.map.get(fd) is channel:
            del self.map[fd]

    def _sweep(self) -> None:
        """Look at some channels for what changed behind the loop's back."""
        self._sweep_at = self.timers.now + _SWEEP_SECONDS
        if not self._to_sweep:
            self._to_sweep = list(self._channels.items())
        for _ in range(min(_SWEEP_CHANNELS, len(self._to_sweep))):
            fd, channel = self._to_sweep.pop()
            # In the map and kept, and no event of this turn has changed that.
            if self.map.get(fd) is channel and self._channels.get(fd) is channel and fd not in self._changes:
                self._look_at(fd, channel)

    def _look_at(self, fd: int, channel: Any) -> None:
        file = _file_of(fd)
        if file is None:
            self._bury(fd, channel)
        elif fd not in self._steady:
            if self._files.setdefault(fd, file) != file:
                self._files[fd] = file
                # The kernel may still wait for the old one, and has no name for it any more.
                self._stale = True
            if not self._is_as_kept(fd, channel):
                self._noted.add(fd)

    def _unknown(self, fd: int) -> None:
        if fd == self._wake_pipe[0]:
            # A turn within a turn may have read it.
            with contextlib.suppress(BlockingIOError):
                os.read(fd, 4096)
        else:
            # Closed here, but its socket lives on in a copy (a child process has it): epoll will tell of it for ever,
            # and only a new epoll set is rid of it.
            self._stale = self._stale or fd not in self._channels

    def _rebuild(self) -> None:
        """Begin with a new backend: the old one is of no use, or belongs to the parent process."""
        self._stale = False
        self._release()
        self._backend = self._new_backend()
        self._open_wake_pipe()
        masks, self._masks = self._masks, {}
        for fd, mask in masks.items():
            self._set(fd, self._channels[fd], mask)

    # ---- from other threads

    def call(self, call: Callable[..., object], *args: Any) -> None:
        """Make a call in the loop's thread, at the end of its next turn.

        May be called from any thread, and from a signal handler, which runs in the midst of the loop's own wait.
        """
        self._calls.append((call, args))
        if self._waiting_thread:
            self.wake()

    def rouse(self) -> None:
        """End the loop's wait, if another thread is in it."""
        # What was appended before this look is seen by the loop: it sets the mark first, and looks afterwards.
        if self._waiting_thread not in (0, threading.get_ident()):
            self.wake()

    def wake(self) -> None:
        """End the loop's wait.  May be called from any thread and from a signal handler."""
        # A full pipe wakes as well as one byte more would; and of one that is just being given up nobody waits.
        with contextlib.suppress(OSError):
            os.write(self._wake_pipe[1], b"!")

    def signals_wake(self, on: bool) -> None:
        """Have every signal that is handled end the loop's wait, or wake whom it woke before (main thread only).

        A handler runs between two steps of Python: that of a signal which comes behind the last of them, before the
        kernel's wait, would run only when something else ends the wait.
        """
        self._signals_wake = on
        if on:
            self._woken_otherwise = _have_woken(self._wake_pipe[1])
        else:
            _have_woken(self._woken_otherwise)

    def _open_wake_pipe(self) -> None:
        self._wake_pipe = os.pipe()
        for end in self._wake_pipe:
            os.set_blocking(end, False)
        self._backend.set(self._wake_pipe[0], READ)
        if self._signals_wake:
            _have_woken(self._wake_pipe[1])

    def _release(self) -> None:
        if self._signals_wake:
            # Before its number is another's.
            _have_woken(-1)
        self._backend.close()
        pipe, self._wake_pipe = self._wake_pipe, (-1, -1)
        for end in pipe:
            if end >= 0:
                os.close(end)

    def close(self) -> None:
        """Give the descriptors back.  The map and its channels stay as they are, and a further turn begins anew."""
        self._stale = True
        self._release()

    def __del__(self) -> None:
        # One that could not be made, for want of descriptors, may have nothing to give back.
        with contextlib.suppress(AttributeError):
            self._release()


def _unheard(channel: Any, events: int) -> None:
    """Before the first turn there are no events."""


def _file_of(fd: int) -> tuple[int, int] | None:
    """What tells the file of a descriptor from any other; None where it is not open."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _has_closed(channel: Any) -> bool:
    """Whether a channel has closed its socket: no number of its is that of its file any more."""
    try:
        return channel.socket.fileno() < 0  # type: ignore[no-any-return]
    except Exception:
        # It may be anything, and a file that is closed raises: then the kernel is told once too often.
        return False


def _report(channel: Any, error: Exception) -> None:
    """A channel failed where no event of its own was handled: its own handle_error decides."""
    if isinstance(error, ExitNow):
        raise error
    try:
        channel.handle_error()
    except Exception:
        logger.exception("handle_error of %r failed", channel)


def _have_woken(fd: int) -> int:
    """Have signals say something to that descriptor, -1 or a bad one: to none; which it was before."""
    before = signal.set_wakeup_fd(-1)
    with contextlib.suppress(OSError, ValueError):
        signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    return before


# ---- the kept set of a map

_every: weakref.WeakSet[Interests] = weakref.WeakSet()
_plain: dict[int, Interests] = {}


def interests_of(map: dict[int, Any]) -> Interests:
    """The kept set of a map, made when first asked for."""
    if isinstance(map, ChannelMap):
        made: Interests | None = map.interests
        if made is None:
            made = map.interests = Interests(map)
        return made
    kept = _plain.get(id(map))
    if kept is None:
        # The kept set refers to its map, so no other map can have the same id while it stands here.
        kept = _plain[id(map)] = Interests(map)
        if len(_plain) > _MOST_PLAIN_MAPS:
            _forget_one_but(kept)
    return kept


def _forget_one_but(newest: Interests) -> None:
    for kept in list(_plain.values()):
        if kept is not newest and not kept.in_use:
            forget(kept.map)
            return


def forget(map: dict[int, Any]) -> None:
    """Keep nothing for a plain map that is out of use; used again, it is looked at anew."""
    kept = _plain.get(id(map))
    if kept is not None and not kept.in_use:
        del _plain[id(map)]
        kept.close()


def touch(map: dict[int, Any], fd: int) -> None:
    """The map's entry for `fd` was made anew, perhaps for the same channel with another socket: no look would see it.

    May be called from any thread.
    """
    # A ChannelMap has noted it itself.
    kept = _plain.get(id(map))
    if kept is not None:
        kept.touch(fd)


def rouse(map: dict[int, Any]) -> None:
    """Let a loop that waits in another thread look at the map."""
    kept = _known(map)
    if kept is not None:
        kept.rouse()


def _known(map: dict[int, Any]) -> Interests | None:
    return map.interests if isinstance(map, ChannelMap) else _plain.get(id(map))


def _after_fork() -> None:
    for interests in list(_every):
        interests._stale = True


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_after_fork)
