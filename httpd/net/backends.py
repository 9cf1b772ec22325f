"""Asking the kernel which descriptors are ready: epoll, kqueue, poll or select, behind one shape.

A backend keeps what each descriptor waits for until it is told otherwise:

    set(fd, mask)      wait for these events on fd; raises OSError(EBADF) for a descriptor that is not open
    remove(fd)         wait for nothing; False when the kernel did not know the descriptor.  A kernel that drops what is
                       `closed` by itself is not told of that
    wait(timeout)      -> [(fd, events)], at the latest after `timeout` seconds (None: for ever)
    close()

The masks are poll's own bits.  epoll's are the same numbers; for the others they are translated.  `alone` is one more,
for a descriptor that other processes wait for, too: the kernel does not wake them all.  It is 0 where there is none.
"""

from __future__ import annotations

import select
import time
from errno import EBADF
from typing import Any, Protocol

__all__ = ["ERROR", "HUNG_UP", "INVALID", "READ", "URGENT", "WRITE", "Backend", "best_backend"]

READ, URGENT, WRITE, ERROR, HUNG_UP, INVALID = 1, 2, 4, 8, 16, 32
# select()'s three lists, in their order.
_KINDS = (READ, WRITE, URGENT)


class Backend(Protocol):
    """What every backend does; see the module's text."""

    alone: int

    def set(self, fd: int, mask: int) -> None: ...
    def remove(self, fd: int, closed: bool = False) -> bool: ...
    def wait(self, timeout: float | None) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class EpollBackend:
    """Linux.  A regular file is refused by epoll (EPERM): it is always ready, as poll and select say."""

    alone: int = getattr(select, "EPOLLEXCLUSIVE", 0)

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: set[int] = set()
        self._fixed: set[int] = set()
        self._always: dict[int, int] = {}

    def set(self, fd: int, mask: int) -> None:
        if fd in self._fixed or mask & self.alone:
            # What has this bit cannot be modified, and what can be cannot get it.
            self.remove(fd)
            if mask & self.alone:
                self._fixed.add(fd)
        if fd in self._known:
            try:
                self._epoll.modify(fd, mask)
                return
            except FileNotFoundError:
                # The descriptor was closed and its number is in use again.
                self._known.discard(fd)
        self._always.pop(fd, None)
        try:
            self._epoll.register(fd, mask)
            self._known.add(fd)
        except PermissionError:
            self._always[fd] = mask & (READ | WRITE)
        except FileExistsError:
            # Forgotten when it was closed, and back from a copy.
            self._epoll.modify(fd, mask)
            self._known.add(fd)

    def remove(self, fd: int, closed: bool = False) -> bool:
        if self._always.pop(fd, None) is not None:
            return True
        self._known.discard(fd)
        self._fixed.discard(fd)
        if closed:
            return True
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):
            return False
        return True

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        if self._always:
            ready = [(fd, mask) for fd, mask in self._always.items() if mask]
            if ready:
                return self._epoll.poll(0) + ready
        # epoll counts in milliseconds and Python rounds up, so a timer is never found a little early, again and again.
        return self._epoll.poll(-1 if timeout is None else timeout)

    def close(self) -> None:
        self._epoll.close()


class PollBackend:
    """poll(2): any POSIX system.  A closed descriptor comes back as INVALID."""

    alone = 0

    def __init__(self) -> None:
        self._poll = select.poll()

    def set(self, fd: int, mask: int) -> None:
        self._poll.register(fd, mask)

    def remove(self, fd: int, closed: bool = False) -> bool:
        try:
            self._poll.unregister(fd)
        except KeyError:
            return False
        return True

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        return self._poll.poll(None if timeout is None else int(timeout * 1000 + 0.999))

    def close(self) -> None:
        pass


class KqueueBackend:
    """BSD and macOS.  One filter each for reading and writing; kqueue has no urgent data to tell of."""

    alone = 0

    def __init__(self) -> None:
        module: Any = select
        self._select = module
        self._kqueue = module.kqueue()
        self._masks: dict[int, int] = {}

    def set(self, fd: int, mask: int) -> None:
        old = self._masks.get(fd, 0)
        self._masks[fd] = mask
        for bit, kind in ((READ, self._select.KQ_FILTER_READ), (WRITE, self._select.KQ_FILTER_WRITE)):
            if (mask ^ old) & bit:
                self._change(fd, kind, self._select.KQ_EV_ADD if mask & bit else self._select.KQ_EV_DELETE)

    def remove(self, fd: int, closed: bool = False) -> bool:
        mask = self._masks.pop(fd, None)
        if mask is None or closed:
            return mask is not None
        try:
            for bit, kind in ((READ, self._select.KQ_FILTER_READ), (WRITE, self._select.KQ_FILTER_WRITE)):
                if mask & bit:
                    self._change(fd, kind, self._select.KQ_EV_DELETE)
        except OSError:
            return False
        return True

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        events: dict[int, int] = {}
        for event in self._kqueue.control(None, len(self._masks) * 2 or 1, timeout):
            bits = READ if event.filter == self._select.KQ_FILTER_READ else WRITE
            events[event.ident] = events.get(event.ident, 0) | bits
        return list(events.items())

    def close(self) -> None:
        self._kqueue.close()

    def _change(self, fd: int, kind: int, action: int) -> None:
        self._kqueue.control([self._select.kevent(fd, kind, action)], 0, 0)


class SelectBackend:
    """select(2), where there is nothing else: no descriptor above 1023 on most systems."""

    alone = 0

    def __init__(self) -> None:
        self._masks: dict[int, int] = {}

    def set(self, fd: int, mask: int) -> None:
        if fd < 0:
            raise OSError(EBADF, "not a descriptor")
        self._masks[fd] = mask

    def remove(self, fd: int, closed: bool = False) -> bool:
        return self._masks.pop(fd, None) is not None

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        reading, writing, urgent = ([fd for fd, mask in self._masks.items() if mask & bit] for bit in _KINDS)
        if not (reading or writing or urgent):
            # Windows' select() refuses three empty lists.
            time.sleep(3600.0 if timeout is None else timeout)
            return []
        try:
            ready = select.select(reading, writing, urgent, timeout)
        except OSError as why:
            if why.errno != EBADF:
                raise
            return [(fd, INVALID) for fd in self._masks if not _is_open(fd)]
        events: dict[int, int] = {}
        for bit, fds in zip(_KINDS, ready, strict=True):
            for fd in fds:
                events[fd] = events.get(fd, 0) | bit
        return list(events.items())

    def close(self) -> None:
        self._masks.clear()


def _is_open(fd: int) -> bool:
    try:
        select.select([fd], [], [], 0)
    except (OSError, ValueError):
        return False
    return True


def best_backend() -> Backend:
    """A new backend of the best kind this system has."""
    if hasattr(select, "epoll"):
        return EpollBackend()
    if hasattr(select, "kqueue"):
        return KqueueBackend()
    if hasattr(select, "poll"):
        return PollBackend()
    return SelectBackend()
