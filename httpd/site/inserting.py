"""A tag in an HTML page, whatever the page is like: in its beginning, or in the beginning of what it shows.

In the beginning it goes behind the doctype and the tags <html> and <head>, where they are: before the doctype it would
put the page into quirks mode, and at the end an open comment or <textarea> would swallow it.  A parser takes a script
for part of the head anywhere there, and makes the tags that the page left out (HTML §13.2.6.4.1 to §13.2.6.4.4).  What
is to be seen goes behind the tag <body>; a page that leaves that out stays as it is.  No more of a page is looked at
than it takes to find the place; the rest is made while it is sent, as it would be without the tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from ..net.producers import close_producer, finish_producer, stall_producer
from ..protocol.media_types import parse_media_type
from ..protocol.message import Content, Headers, Response

__all__ = ["Place", "in_body", "in_head", "is_page", "with_tag"]

# Of the beginning of a page: whether it tells where the tag goes, whatever follows; and where, as far as it does, None
# for nowhere.
Place: TypeAlias = Callable[[bytes], tuple[bool, int | None]]

# How far the place may be from the beginning: a page may open with a long comment.
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
# What of a page's head may say <body> and mean nothing by it; and the tag, whole or still to be completed.
_BODY = re.compile(
    rb"<!--.*?(?:-->|\Z)|<(?P<raw>script|style|title|noscript|template)" + _ATTRIBUTES + rb">.*?(?:</(?P=raw)|\Z)"
    rb"|(?P<body><body" + _ATTRIBUTES + rb">)",
    re.DOTALL | re.IGNORECASE,
)
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


def in_head(start: bytes) -> tuple[bool, int]:
    """The place in the beginning of a page: at 0 where nothing is there that may open one."""
    found = _OPENING.match(start)
    end = found.end() if found else 0
    if len(start) < 3:
        return False, end
    if (found and found["doctype"]) or len(start) >= _FAR:
        return True, end
    # The doctype may still come: after nothing but blanks, behind a comment, or in the tag that has begun.
    rest = start[end:]
    ends = b"-->" if rest.startswith(b"<!--") else b">"
    return bool(rest) and (not rest.startswith(b"<") or ends in rest), end


def in_body(start: bytes) -> tuple[bool, int | None]:
    """The place in the beginning of what a page shows."""
    found = next((found for found in _BODY.finditer(start) if found["body"]), None)
    return found is not None or len(start) >= _FAR, found.end() if found else None


def with_tag(response: Response, tag: bytes, place: Place = in_head) -> Response:
    """The page with `tag` at its place, in its head if nothing else is said.  It is not to be stored, and has no
    validator: its bytes are new each time.

    Raises what the page's own content raises while its beginning is made; it is closed then.
    """
    headers = [line for line in response.headers if line[0].lower() not in _OF_THE_BYTES]
    headers.append(("Cache-Control", "no-store"))
    if isinstance(response.body, bytes):
        return Response(_marked(response.body, tag, place), response.status, headers)
    page = _Page(response.body, tag, place)
    length = None if response.length is None else response.length + page.added
    return Response(page, response.status, headers, length=length)


def _marked(start: bytes, tag: bytes, place: Place) -> bytes:
    """A page's beginning, or the whole of it, with the tag."""
    at = None if start.startswith(_UTF_16) else place(start)[1]
    return start if at is None else start[:at] + tag + start[at:]


class _Page:
    """Content with a tag at its place, otherwise as it is."""

    def __init__(self, content: Content, tag: bytes, place: Place) -> None:
        self._content = content
        self._tag = tag
        self._place = place
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
        while not (self._found or self._place(self._start)[0]):
            piece = self._content.more()
            if piece is None:
                return
            self._start += piece
            self._found = not piece
        length = len(self._start)
        self._start = _marked(self._start, self._tag, self._place)
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
