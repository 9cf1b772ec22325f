"""Lesson 3: contents by their lengths, wherever the bytes are cut."""

from __future__ import annotations

from typing import Any

from httpd.trace.events import TerminatorSet

from .saying import Wrong, cuttings, near
from .wires import Talk, talk

__all__ = ["judge"]

CONTENTS = [b"name=buoy", b"two lines\r\n\r\nand more", b"", b"end"]
WIRE = b"".join(b"POST /log HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text) for text in CONTENTS)


def judge(exercise: Any) -> None:
    """The contents are those that were sent, in their order."""
    for pieces in cuttings(WIRE):
        talked = talk(exercise.Posts, pieces)
        posts = talked.channel.posts
        if posts != CONTENTS:
            raise Wrong(f"{near(pieces)}: {_first_difference(posts)}{_hint(talked)}.")
        talked.check()


def _first_difference(posts: list[bytes]) -> str:
    for n, (post, content) in enumerate(zip(posts, CONTENTS, strict=False), 1):
        if post != content:
            return f"content {n} is {content!r}, and you have {post!r}"
    if len(posts) > len(CONTENTS):
        return f"{len(CONTENTS)} contents were sent, and you have {len(posts)}, the last one {posts[-1]!r}"
    return f"{len(CONTENTS)} contents were sent, and you have {len(posts)}; {CONTENTS[len(posts)]!r} is missing"


def _hint(talked: Talk) -> str:
    """What the last terminator tells."""
    events = talked.trace.events
    last = next((event for event in reversed(events) if type(event.what) is TerminatorSet), None)
    if last is None:
        return "; no terminator was ever set"
    kind, value = last.what
    if kind == "none":
        return "; the terminator was set to 0 or None, and then async_chat collects without end"
    if kind == "length" and any(event.name == "chat:terminator_found" for event in events[last.n :]):
        return f"; the terminator was {value}, that many bytes have come, and no other one was set"
    return "" if kind == "length" else f"; the terminator is {str(value).encode('latin-1')!r}"
