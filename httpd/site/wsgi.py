"""A WSGI application as a site (PEP 3333).

The application is called in one of the server's threads (see `blocking`), and so is everything of its: the iteration
over its content, and `close()`.  The loop gets the head with the first of the content, and whatever comes after that as
it comes.  Where a client takes it more slowly than it is made, the thread waits; when the client has gone, it is told
by an error.  So it is with content that is sent to it, if that is not small (see `inflow`).

    site.mount("/shop", WSGI(flask_app))
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any
from wsgiref.util import FileWrapper, is_hop_by_hop

from ..net.producers import OpenFile, close_producer, feed_producer, file_producer
from ..net.report import Reporter
from ..protocol.errors import Blocking, reason_phrase
from ..protocol.message import Content, Request, Response, Status
from .answers import plain_path
from .blocking import what_comes_of
from .streams import Stream
from .uploads import WholeBody

__all__ = ["WSGI"]

logger = Reporter("httpd.wsgi")

# How much content an application may be sent, in bytes: its own limits are stricter, but it must be asked for them.
_MOST = 1 << 30
# The server says these itself.
_SERVERS = frozenset({"date", "server"})
# What every environ has.
_COMMON: dict[str, Any] = {
    "SERVER_SOFTWARE": "asynchat-httpd",
    "GATEWAY_INTERFACE": "CGI/1.1",
    "wsgi.version": (1, 0),
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    # Not of the PEP, but known to frameworks: wsgi.input has an end of its own.
    "wsgi.input_terminated": True,
}


class WSGI:
    """A WSGI application as a site, or as a part of one: mounted, its SCRIPT_NAME is the prefix.

    It takes content of at most `body` bytes (see `WholeBody`).  `multiprocess` says that other processes have the
    application, too.
    """

    def __init__(
        self, application: Callable[..., Iterable[bytes]], *, body: int = _MOST, multiprocess: bool = False
    ) -> None:
        self.application = application
        self._body = WholeBody(body)
        self._common = {**_COMMON, "wsgi.multiprocess": multiprocess}

    def __call__(self, request: Request, below: str | None = None) -> Response:
        """The application's response.  Raises Blocking, to be asked again when there is one."""
        return what_comes_of(request, partial(self._run, request, below))

    def _run(self, request: Request, below: str | None, later: Blocking) -> None:
        environ = {**self._common, **_environ(request, below)}
        _Exchange(self.application, environ, request, later).run()

    def check(self, request: Request, below: str | None = None) -> WholeBody:
        """What content it takes."""
        return self._body


# ---- what the application gets


def _environ(request: Request, below: str | None) -> dict[str, Any]:
    """What the environ says of a request; `below` is the path below a mount (PEP 3333, RFC 3875 §4.1)."""
    head = request.head
    script, path = _split(head.path, below)
    name, port = _server(head.host, request.scheme)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "QUERY_STRING": head.query,
        "REQUEST_URI": head.target,
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{head.version}",
        "REMOTE_ADDR": request.peer,
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": _input(request),
        "wsgi.errors": _Errors(),
    }
    if head.user:
        environ["REMOTE_USER"] = head.user
        environ["AUTH_TYPE"] = "Basic"
    for field, value in head.headers.combined():
        variable = _variable(field)
        if variable:
            environ[variable] = value
    if "CONTENT_LENGTH" in environ:
        # As it was understood: the field may say it twice.
        environ["CONTENT_LENGTH"] = str(head.content_length)
    return environ


def _input(request: Request) -> Any:
    """The content as a file with an end: in memory, on the disk, or while it comes."""
    if request.body or not request.head.content_length:
        return io.BytesIO(request.body)
    return request.files[""].file


def _split(whole: str, below: str | None) -> tuple[str, str]:
    """SCRIPT_NAME and PATH_INFO: the bytes of a decoded path, each as the character of that number."""
    script, path = "", "" if whole == "*" else whole
    if below is not None:
        # Routers hand on plain paths to what is mounted.
        plain = plain_path(whole)
        script, path = (plain.removesuffix(below) if plain.endswith(below) else ""), below
    return _as_latin_1(script), _as_latin_1(path)


def _as_latin_1(path: str) -> str:
    return path if path.isascii() else path.encode("utf-8", "surrogateescape").decode("latin-1")


def _server(host: str, scheme: str) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT, as the client says them; neither may be empty."""
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    return name or "localhost", port or ("443" if scheme == "https" else "80")


@lru_cache(1_024)
def _variable(field: str) -> str:
    """The environ's name for a field, "" for one that must not be there.

    `Proxy` would be HTTP_PROXY, which programs take for a setting ("httpoxy").  A name with "_" would be that of a
    field with "-", which a proxy in front may have checked.
    """
    if field == "proxy" or "_" in field:
        return ""
    name = field.upper().replace("-", "_")
    return name if field in ("content-length", "content-type") else f"HTTP_{name}"


class _Errors:
    """`wsgi.errors`: what is written goes to the log, whole lines at a time."""

    def __init__(self) -> None:
        self._text = ""
        self._telling = False

    def write(self, text: str) -> None:
        """Add text; it is told with the end of a line."""
        self._text += text
        if text.endswith("\n"):
            self.flush()

    def writelines(self, lines: Iterable[str]) -> None:
        """Add several texts."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Tell what was written."""
        text, self._text = self._text.rstrip("\n"), ""
        # A program may have its log, this one included, written to wsgi.errors.
        if text and not self._telling:
            self._telling = True
            try:
                logger.error("%s", text)
            finally:
                self._telling = False


# ---- what it gives


class _Exchange:
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
        return self._request.method == "HEAD" or self._status in (204, 304)

    def _begin(self, data: bytes) -> None:
        """Send the head with the first of the content, which often is all."""
        if not self._status:
            raise AssertionError("there is content, but start_response() was not called")
        length = self._length
        if self._is_bodiless:
            # What a GET would be given ends with the connection, so the answer to HEAD does.
            ends_unknown = length is None and self._status not in (204, 304)
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
