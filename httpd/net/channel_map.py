"""The loop's map of channels: a dict from descriptors that says which of its entries were made anew.

A loop that had to find that out would compare the whole map on every pass, idle channels and all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

__all__ = ["ChannelMap"]


class ChannelMap(dict[int, Any]):
    """A socket map that notes which descriptors were touched, so that nobody need compare it."""

    __slots__ = ("interests", "touched")

    def __init__(self, entries: Iterable[tuple[int, Any]] = ()) -> None:
        super().__init__(entries)
        # A deque, as other threads may add channels: its append and popleft are whole.
        self.touched: deque[int] = deque(self)
        # What is kept of it (see `interest`).
        self.interests: Any = None

    def __setitem__(self, fd: int, channel: Any) -> None:
        self.touched.append(fd)
        super().__setitem__(fd, channel)

    def __delitem__(self, fd: int) -> None:
        self.touched.append(fd)
        super().__delitem__(fd)

    def setdefault(self, fd: int, channel: Any = None) -> Any:
        self.touched.append(fd)
        return super().setdefault(fd, channel)

    def pop(self, fd: int, *default: Any) -> Any:
        self.touched.append(fd)
        return super().pop(fd, *default)

    def popitem(self) -> tuple[int, Any]:
        fd, channel = super().popitem()
        self.touched.append(fd)
        return fd, channel

    def update(self, *others: Any, **never: Any) -> None:
        for fd, channel in dict(*others, **never).items():
            self[fd] = channel

    def __ior__(self, other: Any) -> ChannelMap:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        self.touched.extend(self)
        super().clear()
