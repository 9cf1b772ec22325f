"""Lesson 7: patience, on a clock that the judge moves.

No law of the trace is asked: they tell what must follow from what the world does, and when that is, is the world's.
"""

from __future__ import annotations

from typing import Any

from httpd.net.timers import Timers

from .saying import Wrong

__all__ = ["judge"]

# A client: what it does at which second; when the server gives it up, or None; and who it is.
CLIENTS: list[tuple[str, list[tuple[int, str]], int | None]] = [
    ("A client that sends one piece and falls silent", [(0, "received")], 20),
    ("A client that sends a byte every second, for ever", [(second, "received") for second in range(100)], 20),
    ("A client that sends a piece every 15 seconds", [(0, "received"), (15, "received"), (30, "received")], 20),
    ("A client whose head is whole after 3 seconds", [(0, "received"), (3, "completed")], None),
    ("A client whose head is whole at once", [(0, "received"), (0, "completed")], None),
    (
        "A client that asks again after half a minute, and takes 15 seconds for it",
        [(0, "received"), (3, "completed"), (30, "received"), (40, "received"), (45, "completed")],
        None,
    ),
    (
        "A client that asks again, and then falls silent",
        [(0, "received"), (3, "completed"), (30, "received"), (31, "received")],
        50,
    ),
    ("A client that goes away after half a head", [(0, "received"), (5, "closed")], None),
    ("A client that goes away between two requests", [(0, "received"), (1, "completed"), (2, "closed")], None),
    ("A client that comes and goes", [(0, "closed")], None),
]
END = 120


def judge(exercise: Any) -> None:
    """Each client is given up when its head has taken too long, and no other is."""
    for who, script, right in CLIENTS:
        _play(exercise, who, script, right)


def _play(exercise: Any, who: str, script: list[tuple[int, str]], right: int | None) -> None:
    clock = _Clock()
    timers = Timers(clock)
    given_up: list[int] = []
    patience = exercise.Patience(timers, lambda: given_up.append(clock.second))
    for clock.second in range(END):
        timers.tick()
        timers.run_due()
        if given_up:
            break
        for second, step in script:
            if second == clock.second:
                getattr(patience, step)()
    _compare(who, given_up[0] if given_up else None, right)
    if len(timers) and script[-1][1] != "received":
        raise Wrong(f"{who}: a timer is left, and holds what it would call.")


class _Clock:
    second = 0

    def __call__(self) -> float:
        return float(self.second)


def _compare(who: str, told: int | None, right: int | None) -> None:
    if told == right:
        return
    if told is None:
        raise Wrong(
            f"{who}: after {END} seconds it is still waited for; it had 20 seconds, which ended in second {right}."
        )
    if right is None:
        raise Wrong(f"{who}: it is given up in second {told}, and no head was too slow.")
    raise Wrong(f"{who}: it is given up in second {told}; it had 20 seconds from its first byte, until second {right}.")
