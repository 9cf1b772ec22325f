"""Lesson 2: what is held back, by the server's own handler with the learner's held_back()."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from httpd import Request, Response, http_request_handler, text
from httpd.net.asynchat import find_prefix_at_end
from httpd.trace.events import Refused, Scanned
from httpd.trace.laws import Broken, check, check_cut
from httpd.trace.replay import Played
from httpd.trace.sentences import counted

from .saying import Wrong, cuttings, near, quoted
from .wires import converse

__all__ = ["judge"]

WIRE = b"GET /tide HTTP/1.1\r\nHost: harbour\r\n\r\n"
# Other terminators have other beginnings: a line's end, a boundary, one that begins as it goes on.
OTHERS = [
    (b"ebb", b"\r\n"), (b"ebb\r", b"\r\n"), (b"ebb\r\r", b"\r\n"), (b"ebb\n", b"\r\n"), (b"", b"\r\n"),
    (b"tide--buo", b"--buoy"), (b"tide--bu--b", b"--buoy"), (b"tide--x", b"--buoy"), (b"fogx", b"x."),
    (b"aaa", b"aab"), (b"aba", b"abac"), (b"abaab", b"abaaba"), (b"a", b"\n"), (b"\r", b"\r\n\r\n"),
]  # fmt: skip


def judge(exercise: Any) -> None:
    """The handler answers alike wherever its bytes are cut, and holds back no byte too many."""
    held_back = _checked(exercise.held_back)
    whole = converse([WIRE], _site, _handler(held_back))
    for pieces in cuttings(WIRE):
        played = converse(pieces, _site, _handler(held_back))
        if broken := check(played.events) + check_cut(whole.events, played.events, whole.output, played.output):
            raise Wrong(_told(pieces, played, broken))
    for data, terminator in OTHERS:
        held, right = held_back(data, terminator), find_prefix_at_end(data, terminator)
        if held != right:
            why = f"its last {right} may begin the terminator" if right else "nothing at its end begins the terminator"
            raise Wrong(f"held_back({data!r}, {terminator!r}) is {held}, but {why}: {right} is right.")


def _site(request: Request) -> Response:
    return text("High water at nine.\n")


def _checked(held_back: Callable[[bytes, bytes], int]) -> Callable[[bytes, bytes], int]:
    """Asks the learner's function; raises Wrong where it gives no count of bytes of this data."""

    def ask(data: bytes, terminator: bytes) -> int:
        held = held_back(data, terminator)
        if type(held) is not int or not 0 <= held <= len(data):
            raise Wrong(
                f"held_back({quoted(data)}, {terminator!r}) is {held!r}: it is how many bytes, 0 to {len(data)}."
            )
        return held

    return ask


def _handler(held_back: Callable[[bytes, bytes], int]) -> type[http_request_handler]:
    class Holding(http_request_handler):
        """Looks for the terminator as the server does, and asks the learner what to hold back."""

        def ac_scan(self, data: bytes, start: int, terminator: bytes) -> tuple[int, int]:
            found = data.find(terminator, start)
            return (found, 0) if found >= 0 else (-1, held_back(data[start:], terminator))

        def handle_error(self) -> None:
            """Let the learner see what was raised."""
            raise  # noqa: PLE0704

    return Holding


def _told(pieces: list[bytes], played: Played, broken: list[Broken]) -> str:
    first = next(event.what for event in played.events if type(event.what) is Scanned)
    right = find_prefix_at_end(pieces[0], b"\r\n\r\n")
    may = f"{pieces[0][-right:]!r}, which may begin the terminator" if right else "nothing that begins the terminator"
    ends = f"{near(pieces)}: the first piece ends with {may}"
    return f"{ends}; you hold back {counted(first.held)}, and {_then(played, broken)}."


def _then(played: Played, broken: list[Broken]) -> str:
    """What comes of it."""
    refused = [event.what for event in played.events if type(event.what) is Refused]
    if not played.output:
        return "the terminator is never found: nobody is answered"
    if refused and broken[0].law == 6:
        return f"the server refuses what it then collects: {refused[0].reason[:-1]}"
    return f"that breaks {broken[0]}"
