"""A script tag in the beginning of an HTML page, whatever the page is like.

It goes behind the doctype and the tags <html> and <head>, where they are: before the doctype it would put the page into
quirks mode, and at the end an open comment or <textarea> would swallow it.  A parser takes a script for part of the
head anywhere there, and makes the tags that the page left out (HTML §13.2.6.4.1 to §13.2.6.4.4).  No more of a
page is looked at than its beginning; the rest is made while it is sent, as it would be without the tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ..net.producers import close_producer, finish_producer, stall_producer
from ..protocol.media_types import parse_media_type
from ..protocol.message import Content, Headers, Response

__all__ = ["is_page", "with_tag"]

# How far the doctype may be from the beginning: a page may open with a long comment.
_FAR = 65_536

# Blanks, comments (those that end at once too, §13.2.5.43) and what a parser makes comments of, such as <?xml … ?>.
_BLANK = rb"(?:[\t\n\f\r ]|<!--(?:-?>|.*?--!?>)|<\?[^>]*>)*"
_ATTRIBUTES = rb"""(?:[\t\n\f\r /](?:[^>"']|"[^"]*"|'[^']*')*)?"""
_OPENING = re.compile(
    rb"(?:\xef\xbb\xbf)?" + _BLANK
    + rb"(?P<doctype><!doctype[^>]*>" + _BLANK + rb")?"
    + rb"(?:<html" + _ATTRIBUTES + rb">" + _BLANK + rb")?"
    + rb"(?:<head" + _ATTRIBUTES + rb">)?",
    re.DOTALL | re.IGNORECASE,
)  # fmt: skip
# The byte order marks of UTF-16: a tag in ASCII would be noise there.
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

# What is true of the page alone, not of the page with a tag in it.
_OF_THE_BYTES = frozenset(
    {"accept-ranges", "cache-control", "content-digest", "content-md5", "digest", "etag", "expires", "last-modified",
     "repr-digest"}
)  # fmt: skip


def is_page(response: Response) -> bool:
    """Whether it is an HTML page that a browser shows, in an encoding in which a tag is ASCII."""
    headers = Headers(response.headers)
    kind, parameters = parse_media_type(headers.get("content-type"))
    return (
        kind == "text/html"
        and response.status not in (204, 206, 304)
        and "content-encoding" not in headers
        and not headers.get("content-disposition").lower().startswith("attachment")
        and not parameters.get("charset", "").lower().startswith("utf-16")
    )


def with_tag(response: Response, tag: bytes) -> Response:
    """The page with `tag` in its beginning.  It is not to be stored, and has no validator: its bytes are new each time.

    Raises what the page's own content raises while its beginning is made; it is closed then.
    """
    headers = [line for line in response.headers if line[0].lower() not in _OF_THE_BYTES]
    headers.append(("Cache-Control", "no-store"))
    if isinstance(response.body, bytes):
        return Response(_marked(response.body, tag), response.status, headers)
    page = _Page(response.body, tag)
    length = None if response.length is None else response.length + page.added
    return Response(page, response.status, headers, length=length)


def _marked(start: bytes, tag: bytes) -> bytes:
    """A page's beginning, or the whole of it, with the tag."""
    if start.startswith(_UTF_16):
        return start
    place = _opening(start)[1]
    return start[:place] + tag + start[place:]


def _is_enough(start: bytes) -> bool:
    """Whether this beginning of a page tells where the tag goes, whatever follows."""
    if len(start) < 3:
        return False
    has_doctype, end = _opening(start)
    if has_doctype or len(start) >= _FAR:
        return True
    # The doctype may still come: after nothing but blanks, behind a comment, or in the tag that has begun.
    rest = start[end:]
    ends = b"-->" if rest.startswith(b"<!--") else b">"
    return bool(rest) and (not rest.startswith(b"<") or ends in rest)


def _opening(start: bytes) -> tuple[bool, int]:
    """Whether the doctype is there, and where what may open a page ends: at 0 where nothing of it is there."""
    found = _OPENING.match(start)
    return (found["doctype"] is not None, found.end()) if found else (False, 0)


class _Page:
    """Content with a tag in its beginning, otherwise as it is."""

    def __init__(self, content: Content, tag: bytes) -> None:
        self._content = content
        self._tag = tag
        self._start = b""
        self._found = False
        self.added = len(tag)
        try:
            self._look()
        except BaseException:
            close_producer(content)
            raise

    def _look(self) -> None:
        """Have so much of the page made that the tag finds its place, as far as it can be had now."""
        while not (self._found or _is_enough(self._start)):
            piece = self._content.more()
            if piece is None:
                return
            self._start += piece
            self._found = not piece
        length = len(self._start)
        self._start = _marked(self._start, self._tag)
        self.added = len(self._start) - length
        self._found = True

    def more(self) -> bytes | None:
        if not self._found:
            self._look()
        if not self._found:
            return None
        if self._start:
            start, self._start = self._start, b""
            return start
        return self._content.more()

    def stalled(self, wake: Callable[[], object]) -> float | None:
        return stall_producer(self._content, wake)

    def finish(self) -> None:
        finish_producer(self._content)

    def close(self) -> None:
        close_producer(self._content)
