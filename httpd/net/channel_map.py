"""The loop's map of channels: a dict from descriptors that says which of its entries were made anew.

A loop that had to find that out would compare the whole map on every pass, idle channels and all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["ChannelMap"]


class ChannelMap(dict[int, Any]):
    """A socket map that notes which descriptors were touched, so that nobody need compare it."""

    __slots__ = ("interests", "touched")

    def __init__(self, entries: Iterable[tuple[int, Any]] = ()) -> None:
        super().__init__(entries)
        # A set does not grow where nobody looks; its add and pop are whole, for other threads may add channels.
        self.touched: set[int] = set(self)
        # What is kept of it (see `interest`).
        self.interests: Any = None

    # Noted when it is done: another thread's loop, which looks at what is noted, must find it so.  What each connection
    # does is done by name: super() takes longer than all the rest of it, and __delitem__ than pop.

    def __setitem__(self, fd: int, channel: Any) -> None:
        dict.__setitem__(self, fd, channel)
        self.touched.add(fd)

    def __delitem__(self, fd: int) -> None:
        dict.pop(self, fd)
        self.touched.add(fd)

    def setdefault(self, fd: int, channel: Any = None) -> Any:
        found = super().setdefault(fd, channel)
        self.touched.add(fd)
        return found

    def pop(self, fd: int, *default: Any) -> Any:
        found = super().pop(fd, *default)
        self.touched.add(fd)
        return found

    def popitem(self) -> tuple[int, Any]:
        fd, channel = super().popitem()
        self.touched.add(fd)
        return fd, channel

    def update(self, *others: Any, **never: Any) -> None:
        for fd, channel in dict(*others, **never).items():
            self[fd] = channel

    def __ior__(self, other: Any) -> ChannelMap:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        fds = list(self)
        super().clear()
        self.touched.update(fds)
