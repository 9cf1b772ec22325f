"""What an application gives: the head by `start_response`, and then the content, iterated or written."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from wsgiref.util import FileWrapper, is_hop_by_hop

from ..net.producers import OpenFile, close_producer, feed_producer, file_producer
from ..net.report import Reporter
from ..protocol.errors import Blocking, reason_phrase
from ..protocol.message import WITHOUT_CONTENT, Content, Request, Response, Status
from ..site.streams import Stream

__all__ = ["Exchange"]

logger = Reporter("httpd.wsgi")

# The server says these itself.
_SERVERS = frozenset({"date", "server"})


class Exchange:
    """One request's way through the application, in a thread."""

    def __init__(
        self, application: Callable[..., Iterable[bytes]], environ: dict[str, Any], request: Request, later: Blocking
    ) -> None:
        self._application = application
        self._environ = environ
        self._request = request
        self._later = later
        self._status = 0
        self._lines: list[tuple[str, str]] = []
        self._length: int | None = None  # what Content-Length says
        self._given = 0  # how much content there was until now
        self._answered = False
        self._stream: Stream | None = None

    def run(self) -> None:
        """Call the application and give all that it makes.  Raises what it raises while there is no head yet."""
        try:
            content = self._application(self._environ, self.start_response)
            try:
                self._give_all(content)
            finally:
                if hasattr(content, "close"):
                    content.close()
        except BaseException as error:
            if not self._answered:
                raise
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """It is too late for another head: have the connection cut, if there is still something to come."""
        if self._stream is not None:
            gone = self._stream.gone
            self._stream.fail()
            if gone and isinstance(error, OSError):
                return
        logger.error("answering %s failed after its head", self._request.head.request_line, exc_info=error)

    # ---- the head

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take the head; it is sent with the first of the content.  Raises AssertionError for one that may not be."""
        if exc_info is not None:
            try:
                if self._answered:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # It would keep itself alive, frames and all.
                exc_info = None
        elif self._status:
            raise AssertionError("start_response() was called before, so it needs exc_info")
        self._status = _status(status)
        self._lines, self._length = _lines(headers)
        return self._write

    def _answer(self, body: bytes | Content, length: int | None = None) -> None:
        response = Response(body, self._status, self._lines, length=length)
        try:
            # What cannot be sent is found out here, where the application is.
            _ = response.fields
        except Exception:
            close_producer(body)
            raise
        self._answered = True
        self._later.answer(response)

    # ---- the content

    def _give_all(self, content: Iterable[bytes]) -> None:
        file = _file(content, self._length) if isinstance(content, FileWrapper) and self._given == 0 else None
        if file is not None and self._status:
            self._answer(file, file.remaining if self._length is None else self._length)
            return
        if isinstance(content, (list, tuple)):
            content = [b"".join(content)]
            if self._length is None and not self._answered:
                self._length = len(content[0])
        for piece in content:
            if piece and not self._give(piece):
                break
        self._end()

    def _write(self, data: bytes) -> None:
        """The callable that start_response gives to who has no iterable: sends at once."""
        if data:
            self._give(data)

    def _give(self, data: bytes) -> bool:
        """Send content; whether more is wanted."""
        if not isinstance(data, bytes):
            raise TypeError(f"content is bytes, not {type(data).__name__}")
        before, self._given = self._given, self._given + len(data)
        if not self._answered:
            self._begin(data)
        elif self._stream is not None:
            self._stream.put(data if self._length is None else data[: max(0, self._length - before)])
        if self._is_bodiless:
            return False
        if self._length is not None and self._given > self._length:
            logger.warning("%s has more content than its Content-Length", self._request.head.request_line)
            return False
        return True

    @property
    def _is_bodiless(self) -> bool:
        return self._request.method == "HEAD" or self._status in WITHOUT_CONTENT

    def _begin(self, data: bytes) -> None:
        """Send the head with the first of the content, which often is all."""
        if not self._status:
            raise AssertionError("there is content, but start_response() was not called")
        length = self._length
        if self._is_bodiless:
            # What a GET would be given ends with the connection, so the answer to HEAD does.
            ends_unknown = length is None and self._status not in WITHOUT_CONTENT
            self._answer(feed_producer() if ends_unknown else b"", length)
        elif length is not None and len(data) >= length:
            self._answer(data[:length])
        else:
            self._stream = Stream()
            self._stream.put(data)
            self._answer(self._stream, length)

    def _end(self) -> None:
        if not self._status:
            raise AssertionError("start_response() was not called")
        short = (self._length or 0) - self._given
        if short > 0 and not self._is_bodiless and not (self._stream and self._stream.gone):
            raise ValueError(f"the content is {short} bytes shorter than its Content-Length")
        if not self._answered:
            self._answer(b"", self._length if self._is_bodiless else None)
        elif self._stream is not None:
            self._stream.end()


@lru_cache(256)
def _status(status: str) -> int:
    """A status as "404 Not Found".  Raises AssertionError for what is none, ValueError for words that may not be sent.
    """
    code, _, words = status.partition(" ")
    if len(code) != 3 or not (code.isascii() and code.isdecimal()):
        raise AssertionError(f"not a status: {status!r}")
    return Status(int(code), words) if words and words != reason_phrase(int(code)) else int(code)


def _lines(headers: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], int | None]:
    """The field lines that are the application's to say, and what its Content-Length is."""
    lines, lengths = [], set()
    for name, value in headers:
        lower = name.lower()
        if is_hop_by_hop(lower):
            raise AssertionError(f"the field {name} is the server's, not an application's (PEP 3333)")
        if lower == "content-length":
            lengths.add(value)
        elif lower not in _SERVERS:
            lines.append((name, value))
    if not lengths:
        return lines, None
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdecimal()):
        raise AssertionError(f"not a Content-Length: {length!r}")
    return lines, int(length)


def _file(wrapper: FileWrapper, length: int | None) -> file_producer | None:
    """What a wrapped file has from where it stands, `length` bytes at the most, to be sent past Python.

    None for what is no file itself: much that has a `fileno()` gives other bytes than are in there, as a GzipFile does.
    """
    file = wrapper.filelike
    if not isinstance(getattr(file, "raw", file), io.FileIO):
        return None
    at, found = file.tell(), os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        return None
    # Of its own, so that the application may close its file now.
    opened = OpenFile(os.dup(file.fileno()))
    left = max(0, found.st_size - at)
    try:
        return file_producer(opened, at, left if length is None else min(length, left))
    finally:
        opened.release()
