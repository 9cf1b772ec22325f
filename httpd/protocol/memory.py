"""A bounded memory of what was made of bytes: the clients of a server repeat themselves."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Memory"]

V = TypeVar("V")

# How many keys that came once are known by their hashes, a few dozen bytes each.
_MOST_OFFERED = 4_096


class Memory(Generic[V]):
    """Values by their bytes, the lately used ones, bounded by count and by the bytes of their keys.

    It holds two generations: when the young one has filled its half of the bounds it becomes the old one, and the
    old one is forgotten, except for what was asked for again meanwhile.  What is `offer`ed is taken when it comes a
    second time: most of what comes only once is not worth a place, and to forget it takes longer than to make it.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_count", "_offered", "_old", "_young")

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count // 2
        self._max_bytes = max_bytes // 2
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}
        self._bytes = 0
        self._offered: set[int] = set()

    def get(self, key: bytes) -> V | None:
        """What was put under `key`, or None."""
        value = self._young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value)
        return value

    def offer(self, key: bytes, value: V) -> None:
        """Remember `value` if its key was offered before, as far as its hash tells."""
        mark = hash(key)
        if mark in self._offered:
            self._offered.discard(mark)
            self.put(key, value)
        else:
            if len(self._offered) >= _MOST_OFFERED:
                self._offered.clear()
            self._offered.add(mark)

    def put(self, key: bytes, value: V) -> None:
        """Remember `value`, unless its key alone is more than fits."""
        size = len(key)
        if size > self._max_bytes or not self._max_count:
            return
        if len(self._young) >= self._max_count or self._bytes + size > self._max_bytes:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young[key] = value
        self._bytes += size

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
