"""Lesson 1: lines out of pieces, wherever they are cut.

No law of the trace is asked: the exercise is beside any channel, and that its lines are right with each piece says all
that the laws would say of it.
"""

from __future__ import annotations

from typing import Any

from .saying import Wrong, cuttings, near, quoted

__all__ = ["judge"]

WIRE = b"GET /tide HTTP/1.1\r\nHost: harbour\r\n\r\n"


def judge(exercise: Any) -> None:
    """Every cutting gives the same lines, each as soon as it is complete."""
    for pieces in cuttings(WIRE):
        lines, came = exercise.Lines(), b""
        told: list[bytes] = []
        for piece in pieces:
            came += piece
            given = lines.take(piece)
            if not isinstance(given, list):
                raise Wrong(f"take({quoted(piece)}) returns {given!r}; it is a list of lines, perhaps an empty one.")
            told += given
            _compare(told, came.split(b"\r\n")[:-1], f"{near(pieces)}: after {quoted(piece)}")


def _compare(told: list[bytes], right: list[bytes], where: str) -> None:
    if told != right:
        complete = f"these lines are complete: {right!r}" if right else "no line is complete"
        raise Wrong(f"{where}, {complete}, and you have given {told!r}.")
