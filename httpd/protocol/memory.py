"""A bounded memory of what was made of bytes, or text: the clients of a server repeat themselves."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Memory"]

V = TypeVar("V")

# How many keys that came once are known by their hashes, a few dozen bytes each.
_MOST_OFFERED = 4_096


class Memory(Generic[V]):
    """Values by their bytes, or text, the lately used ones, bounded by count and by the bytes of their keys.

    It holds two generations: when the young one has filled its half of the bounds it becomes the old one, and the
    old one is forgotten, except for what was asked for again meanwhile.  What is `offer`ed is taken when it comes a
    second time: most of what comes only once is not worth a place, and to forget it takes longer than to make it.

    `young` is to be read: to ask it before `get` saves the call for what comes all the time.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_count", "_offered", "_old", "young")

    def __init__(self, max_count: int, max_bytes: int) -> None:
        self._max_count = max_count // 2
        self._max_bytes = max_bytes // 2
        self.young: dict[bytes | str, V] = {}
        self._old: dict[bytes | str, V] = {}
        self._bytes = 0
        self._offered: set[int] = set()

    def get(self, key: bytes | str) -> V | None:
        """What was put under `key`, or None."""
        value = self.young.get(key)
        if value is None and (value := self._old.get(key)) is not None:
            self.put(key, value)
        return value

    def offer(self, key: bytes | str, value: V) -> bool:
        """Remember `value` if its key was offered before, as far as its hash tells."""
        mark, offered = hash(key), self._offered
        if mark in offered:
            offered.discard(mark)
            self.put(key, value)
            return True
        if len(offered) >= _MOST_OFFERED:
            offered.clear()
        offered.add(mark)
        return False

    def put(self, key: bytes | str, value: V) -> None:
        """Remember `value`, unless its key alone is more than fits."""
        size = len(key)
        if size > self._max_bytes or not self._max_count:
            return
        if len(self.young) >= self._max_count or self._bytes + size > self._max_bytes:
            self._old, self.young, self._bytes = self.young, {}, 0
        self.young[key] = value
        self._bytes += size

    def __len__(self) -> int:
        return len(self.young) + len(self._old)
