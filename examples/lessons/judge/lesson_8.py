"""Lesson 8: a protocol of one's own, by what it answers, wherever the bytes are cut."""

from __future__ import annotations

from typing import Any

from httpd.trace.sentences import counted

from .saying import Wrong, cuttings, near, quoted
from .wires import Talk, talk

__all__ = ["DIALOGUES", "judge"]

# (what a client says, what the board answers, whether the board closes)
DIALOGUES: list[tuple[list[tuple[bytes, bytes]], bool]] = [
    ([(b"PUT 4\r\nbuoy", b"OK 1\r\n"), (b"GET 1\r\n", b"OK 4\r\nbuoy")], False),
    ([(b"GET 1\r\n", b"NO\r\n"), (b"get 1\r\n", b"NO\r\n"), (b"\r\n", b"NO\r\n"), (b"GET x\r\n", b"NO\r\n")], False),
    ([(b"PUT 2\r\nab", b"OK 1\r\n"), (b"PUT 3\r\ncde", b"OK 2\r\n"), (b"GET 2\r\n", b"OK 3\r\ncde")], False),
    ([(b"PUT 10\r\ntwo\r\nlines", b"OK 1\r\n"), (b"GET 1\r\n", b"OK 10\r\ntwo\r\nlines")], False),
    ([(b"PUT 0\r\n", b"OK 1\r\n"), (b"GET 1\r\n", b"OK 0\r\n")], False),
    ([(b"PUT 1\r\na", b"OK 1\r\n"), (b"GET 0\r\n", b"NO\r\n"), (b"GET 2\r\n", b"NO\r\n")], False),
    ([(b"PUT -1\r\n", b"NO\r\n"), (b"PUT x\r\n", b"NO\r\n"), (b"PUT\r\n", b"NO\r\n"), (b"GET\r\n", b"NO\r\n")], False),
    ([(b"PUT 4\r\nQUIT", b"OK 1\r\n"), (b"QUIT\r\n", b"BYE\r\n")], True),
    ([(b"QUIT\r\n", b"BYE\r\n"), (b"GET 1\r\n", b"")], True),
    ([(b"PUT 1001\r\n", b"NO\r\n"), (b"GET 1\r\n", b"")], True),
    ([(b"GET 1" + b" " * 95 + b"\r\n", b"NO\r\n"), (b"GET 2\r\n", b"NO\r\n")], False),
    ([(b"GET 1" + b" " * 96 + b"\r\n", b"NO\r\n"), (b"GET 2\r\n", b"")], True),
]
# Pieces of a line that never ends: the board must not wait for its end.
ENDLESS = [b"tide " * 10] * 100


def judge(exercise: Any) -> None:
    """Every dialogue, cut everywhere, and a line that never ends."""
    for dialogue, closes in DIALOGUES:
        asked, right = (b"".join(said) for said in zip(*dialogue, strict=True))
        for pieces in cuttings(asked):
            talked = talk(exercise.Board, pieces)
            if talked.output != right:
                raise Wrong(f"{near(pieces)}: {_difference(dialogue, talked.output)}")
            if talked.closed != closes:
                why = "the connection stays open" if closes else "the connection is closed"
                raise Wrong(f"{near(pieces)}: after {quoted(asked)} {why}.")
            talked.check()
    _endless(exercise)


def _difference(dialogue: list[tuple[bytes, bytes]], output: bytes) -> str:
    """The first answer that is not right."""
    for said, right in dialogue:
        sent = quoted(output) if output else "nothing"
        if not right:
            return f"{quoted(said)} comes behind the close and has no answer, and you send {sent}."
        if not output.startswith(right):
            return f"{quoted(said)} is answered with {right!r}, and you send {sent}."
        output = output[len(right) :]
    return f"after the last answer you send {quoted(output)}."


def _endless(exercise: Any) -> None:
    talked: Talk = talk(exercise.Board, ENDLESS)
    came = sum(event.what.length for event in talked.trace.events if event.name == "channel:received")
    if talked.output != b"NO\r\n" or not talked.closed:
        then = "closes" if talked.closed else "waits on"
        raise Wrong(
            f"A line that never ends, {quoted(b''.join(ENDLESS))}: after {counted(came)} of it the board has answered "
            f"{talked.output!r} and {then}; 101 bytes without an end are enough for NO and a close."
        )
    if came > 200:
        raise Wrong(f"A line that never ends is refused after {counted(came)}; 101 bytes without an end are enough.")
