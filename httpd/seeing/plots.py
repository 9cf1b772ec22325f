"""Numbers over the last two minutes as small pictures: SVG, one unit a second, the newest at the right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

__all__ = ["HEIGHT", "WIDTH", "areas", "lines"]

WIDTH, HEIGHT = 120, 40

_OPENED = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'


def areas(kinds: Sequence[str], seconds: Sequence[Sequence[float]]) -> tuple[str, float]:
    """(a picture of numbers that are parts of a whole, one on top of the other; the largest whole).

    Each second has a number for each of `kinds`, which are the classes of the areas, the lowest first.
    """
    heights = [list(accumulate(second)) for second in seconds]
    most = max((whole[-1] for whole in heights), default=0.0)
    drawn = []
    for place, kind in reversed(list(enumerate(kinds))):
        points = _points([whole[place] for whole in heights], most)
        if points and any(second[place] for second in seconds):
            first, last = points[0].partition(",")[0], points[-1].partition(",")[0]
            way = " ".join(points)
            drawn.append(f'<path class="{kind}" d="M{first},{HEIGHT} L{way} L{last},{HEIGHT} Z"/>')
    return f"{_OPENED}{''.join(drawn)}</svg>", most


def lines(kinds: Sequence[str], seconds: Sequence[Sequence[float]]) -> tuple[str, float]:
    """(a picture of numbers beside each other; the largest)."""
    most = max((number for second in seconds for number in second), default=0.0)
    drawn = []
    for place, kind in enumerate(kinds):
        points = _points([second[place] for second in seconds], most)
        if points:
            drawn.append(f'<polyline class="{kind}" points="{" ".join(points)}"/>')
    return f"{_OPENED}{''.join(drawn)}</svg>", most


def _points(numbers: Sequence[float], most: float) -> list[str]:
    """Where each number is, half a unit below the top at the most."""
    left, scale = WIDTH - len(numbers), (HEIGHT - 1) / most if most else 0.0
    return [f"{left + place + 1},{HEIGHT - number * scale:.1f}" for place, number in enumerate(numbers)]
