"""gzip on the fly, for what is made on the fly: listings, templates, an application's JSON.

It is off unless somebody wraps a site in it.  The length of compressed content tells how much of it repeats itself.
Who can have a stranger's browser ask for a page that shows a secret and, beside it, something of the asker's choice,
and can see how many bytes come back, guesses the secret letter by letter (the attack is called BREACH, and TLS does
not help).  A secret is one person's, so nothing that may be meant for one person is compressed:

- no answer to a request with Cookie or Authorization;
- no answer that sets a cookie, or that caches may not keep, or not for everyone (`no-store`, `private`).

Whoever knows the client by other means, as its address or its certificate, and puts secrets into pages for it, says
so by `Cache-Control: private`, or does without this.

Files are left as they are, unless they are sent as the page of an error: `httpd compress` makes their encoded forms
once, and smaller ones, and of a file nobody learns what is not in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..net.producers import close_producer, finish_producer, stall_producer
from ..protocol.message import Content, Head, Request, Response
from ..protocol.negotiation import preferred_coding, varying
from .answers import as_response
from .wrapping import Around

if TYPE_CHECKING:
    import zlib

__all__ = ["Gzipped"]

# Less than this is in one packet either way; more would keep all others waiting, twenty milliseconds and longer.
_WORTH_IT = range(256, 1 << 20)

_CREDENTIALS = frozenset({"authorization", "cookie"})
# What tells that an answer is for one person, is encoded already, or is a file, which is to be had in parts.
_UNTOUCHABLE = frozenset({"accept-ranges", "content-encoding", "content-range", "set-cookie"})
# zlib's Z_SYNC_FLUSH.
_SYNC_FLUSH = 2
_UNTOUCHABLE_BY_CACHES = ("no-store", "no-transform", "private")


class Gzipped(Around):
    """A site whose text, if it is made on the fly and for everyone, is compressed for whoever accepts that.

    The site is a Router, StaticFiles or any other; it is asked as before.  Content whose length nobody knows is
    compressed piece by piece: what is made is sent, and none of it waits for more.
    """

    def __call__(self, request: Request, *below: str) -> Response:
        """The site's answer, encoded or not.  Raises what the site raises."""
        response = as_response(self.site(request, *below), self.site)
        if response.status == 304:
            return _not_modified(response, request.head)
        return _negotiated(response, request.head) if _may_be_encoded(response) else response


def _may_be_encoded(response: Response) -> bool:
    fields = {name.lower(): value.lower() for name, value in response.headers}
    if not _UNTOUCHABLE.isdisjoint(fields) or not _is_text(fields.get("content-type", "")):
        return False
    if any(word in fields.get("cache-control", "") for word in _UNTOUCHABLE_BY_CACHES):
        return False
    # Content that is made while it is sent, and has a length all the same, would lose it, and the connection with it.
    return len(response.body) in _WORTH_IT if isinstance(response.body, bytes) else response.length is None


def _is_text(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip()
    return kind.startswith("text/") or kind.endswith(("json", "jsonl", "xml", "javascript", "yaml"))


def _negotiated(response: Response, head: Head) -> Response:
    """The response, encoded if the client would have it so; either way it says that it might have been."""
    lines = varying(response.headers, "Accept-Encoding")
    if _is_wanted(head):
        body = response.body
        encoded = _compressed(body) if isinstance(body, bytes) else _Compressed(body)
        if not isinstance(encoded, bytes) or len(encoded) < len(body):  # type: ignore[arg-type]
            lines = [(name, _weak(value) if name.lower() == "etag" else value) for name, value in lines]
            return Response(encoded, response.status, [*lines, ("Content-Encoding", "gzip")])
    return Response(response.body, response.status, lines)


def _is_wanted(head: Head) -> bool:
    accepted = preferred_coding(head.headers.get("accept-encoding"), ("gzip",))
    return bool(accepted) and head.headers.lacks(_CREDENTIALS)


def _not_modified(response: Response, head: Head) -> Response:
    """A 304 with the tag that the client has, where that is the one of an encoded answer (RFC 9110 §15.4.5)."""
    weakened = [(name, _weak(value)) for name, value in response.headers if name.lower() == "etag"]
    if not weakened or weakened[0] in response.headers or weakened[0][1] not in head.headers.get("if-none-match"):
        return response
    others = [line for line in response.headers if line[0].lower() != "etag"]
    return Response(b"", 304, varying([*others, *weakened], "Accept-Encoding"))


def _weak(etag: str) -> str:
    """The tag of a representation with the same meaning and other bytes (RFC 9110 §8.8.1)."""
    return etag if etag.startswith("W/") else f"W/{etag}"


def _compressor() -> zlib._Compress:
    # Most servers never need it.
    import zlib

    return zlib.compressobj(6, zlib.DEFLATED, 31)


def _compressed(data: bytes) -> bytes:
    coder = _compressor()
    return coder.compress(data) + coder.flush()


class _Compressed:
    """Content, encoded while it is sent."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._coder = _compressor()
        self._ended = False

    def more(self) -> bytes | None:
        if self._ended:
            return b""
        data = self._content.more()
        if data is None:
            return None
        self._ended = not data
        # Whatever has come goes out now: it may be all for a long time.
        return self._coder.compress(data) + (self._coder.flush(_SYNC_FLUSH) if data else self._coder.flush())

    def stalled(self, wake: Callable[[], object]) -> float | None:
        return stall_producer(self._content, wake)

    def finish(self) -> None:
        finish_producer(self._content)

    def close(self) -> None:
        self._ended = True
        close_producer(self._content)
