"""What the first bytes of an input say of how the rest is fed."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from ..scripted import cut_at

__all__ = ["Recipe", "read_recipe"]


class Recipe(NamedTuple):
    """`stream` is what comes, `pieces` the same cut; `flags` are five bits for the target, `cuts` where it was cut."""

    flags: int
    cuts: list[int]
    stream: bytes

    @property
    def pieces(self) -> list[bytes]:
        return cut_at(self.stream, self.cuts)


def read_recipe(data: bytes) -> Recipe:
    """The low three bits of the first byte count the cuts, which follow, each a byte: its distance from the last one.

    So an input that begins with "0" is whole; with "8" too, but the lowest flag is set; "2%\\n" cuts after 37 and 47.
    """
    first = data[0] if data else 0
    count = first & 7
    cuts = list(itertools.accumulate(data[1 : 1 + count]))
    return Recipe(first >> 3, cuts, data[1 + count :])
