"""The two values that the whole house hands on: a Request comes in, a Response goes out.

A request is in two parts.  Its *Head* is what the parser made of the head's bytes; it is immutable, so that a client
that repeats its head may be given the one parsed before.  The *Request* around it belongs to one exchange: the
content, the parameters that the router found, the peer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

from .content import GeneratedContent, Yields
from .errors import Promised, reason_phrase
from .files import Files
from .forms import Form, is_multipart, parse_form, parse_query
from .grammar import NOT_IN_VALUE, TOKEN

__all__ = [
    "SERVERS_OWN", "WITHOUT_CONTENT", "Content", "Head", "Headers", "Request", "Response", "html", "json", "redirect",
    "render_fields", "replaced", "text",
]  # fmt: skip


@runtime_checkable
class Content(Protocol):
    """Content that is made while it is sent.

    `more()` gives bytes (some), `b""` (exhausted) or None (nothing yet).  What else it may have: `stalled(wake)` is
    called after every None, and `wake()`, from any thread, has it asked again, as do so many seconds if it returns a
    number of them; `finish()` is called when the server stops, for what would not end by itself; `close()` exactly
    once, also when the connection is lost.  A generator is made one of these (see `content`).
    """

    def more(self) -> bytes | None:
        """Bytes (some), b"" (exhausted), or None (nothing yet)."""


class Headers:
    """Field lines in their order, read by name without regard to case (RFC 9110 §5.1).

    Several lines of one name read as one value joined with ", " (§5.3; `Cookie` with "; ", RFC 9113 §8.2.3).
    `combined` has each name, in lower case, with its value; it is there to be read.
    """

    __slots__ = ("combined", "lines")

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self.lines = tuple(lines)
        self.combined = combined = {}
        for name, value in self.lines:
            combined[name.lower()] = value
        if len(combined) < len(self.lines):
            self.combined = _combined(self.lines)

    def get(self, name: str, default: str = "") -> str:
        """The combined value of a field, or `default`."""
        return self.combined.get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        """The values of every line of that name, in order."""
        name = name.lower()
        return [value for key, value in self.lines if key.lower() == name]

    def lacks(self, names: frozenset[str]) -> bool:
        """Whether none of these fields is there; the names in lower case."""
        return names.isdisjoint(self.combined)

    def __getitem__(self, name: str) -> str:
        return self.combined[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self.combined

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.lines == other.lines

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self.lines)!r})"


def _combined(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    combined: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        if key in combined:
            combined[key] += ("; " if key == "cookie" else ", ") + value
        else:
            combined[key] = value
    return combined


class Head:
    """A request's head, parsed and found good.  Immutable by agreement: it may be shared by many requests.

    `request_line` and `target` are as sent.  `path` is percent-decoded once, as UTF-8 with surrogateescape (so that
    `os.fsencode` gives the bytes back), and begins with "/" or is "*"; `query` is raw, without "?".  `version` is
    "1.0" or "1.1" (a higher minor version counts as 1.1).  `host` is the authority the request is for, "" where an
    HTTP/1.0 request names none.  `content_length` is 0 where there is no content.  `expects_continue` asks for a 100.
    `persistent` is True or False where the head decides it, None for a bare HTTP/1.0 request (which goes on as its
    connection has until now).  `user` is who was found to have sent it, by a password, "" for nobody known.  `logged`
    is the access log's: what it made of this head, to be made only once.
    """

    __slots__ = (
        "content_length", "expects_continue", "headers", "host", "logged", "method", "path", "persistent", "query",
        "request_line", "target", "user", "version",
    )  # fmt: skip

    request_line: str
    method: str
    target: str
    path: str
    query: str
    version: str
    headers: Headers
    host: str
    content_length: int
    expects_continue: bool
    persistent: bool | None
    user: str
    logged: Any


class Request:
    """One request, as a handler gets it.

    `peer` is the client's address as a string ("" for a unix socket), `params` what the route's pattern matched.
    `body` is the content; b"" where that was read as it came, for a route that takes large forms.  `round` is a number:
    every GET of the same one had come whole before the first of them was answered, and the site changes nothing between
    them.  Whatever may change something has 0, and so has a request that is answered by itself, or not at once.
    """

    __slots__ = (
        "_args", "_files", "_form", "_params", "_scheme", "_session", "_waited_for", "body", "head", "peer", "round",
    )  # fmt: skip

    # Most requests have none of these, and are made without.
    _args: Form
    _files: Files
    _form: Form
    _params: dict[str, str]
    _scheme: str
    _session: Any
    _waited_for: Promised | None

    def __init__(self, head: Head, body: bytes = b"", peer: str = "") -> None:
        self.head = head
        self.body = body
        self.peer = peer
        self.round = 0

    @property
    def method(self) -> str:
        """The method, as it was sent: case counts (RFC 9110 §9.1)."""
        return self.head.method

    @property
    def target(self) -> str:
        """The request-target, as it was sent (RFC 9112 §3.2)."""
        return self.head.target

    @property
    def path(self) -> str:
        """The target's path, percent-decoded once; see Head for what is not UTF-8.  "*" for OPTIONS of the server."""
        return self.head.path

    @property
    def query(self) -> str:
        """What follows "?" in the target, as it was sent; "" where nothing does."""
        return self.head.query

    @property
    def version(self) -> str:
        """ "1.0" or "1.1", what any higher minor version counts as (RFC 9112 §2.3)."""
        return self.head.version

    @property
    def headers(self) -> Headers:
        """The field lines, in their order."""
        return self.head.headers

    @property
    def host(self) -> str:
        """Whom the request is for, with a port if one was sent: the target's authority, or Host (RFC 9112 §3.2.2)."""
        return self.head.host

    @property
    def user(self) -> str:
        """Who sent it, if a password was asked for; "" otherwise."""
        return self.head.user

    @property
    def params(self) -> dict[str, str]:
        """What the pattern of the route matched, by the names in it."""
        return getattr(self, "_params", {})

    @params.setter
    def params(self, params: dict[str, str]) -> None:
        self._params = params

    @property
    def scheme(self) -> str:
        """What it came by: "https" over TLS, else "http"."""
        return getattr(self, "_scheme", "http")

    @scheme.setter
    def scheme(self, scheme: str) -> None:
        self._scheme = scheme

    @property
    def session(self) -> Any:
        """What the site keeps for this client.  Raises RuntimeError where the site is not one with sessions."""
        if not self.has_session:
            raise RuntimeError("there is no session here: make the site one with sessions, as Sessions(site, key)")
        return self._session

    @session.setter
    def session(self, session: Any) -> None:
        self._session = session

    @property
    def has_session(self) -> bool:
        """Whether `session` is there."""
        return hasattr(self, "_session")

    @property
    def waited_for(self) -> Promised | None:
        """The work that the server has had done for this request, and that came to an answer."""
        return getattr(self, "_waited_for", None)

    @waited_for.setter
    def waited_for(self, work: Promised | None) -> None:
        self._waited_for = work

    @property
    def args(self) -> Form:
        """The query as a form.  Raises HTTPError 400 where it is not one."""
        try:
            return self._args
        except AttributeError:
            self._args = parse_query(self.head.query)
            return self._args

    @property
    def form(self) -> Form:
        """The content as a form.  Raises HTTPError 415 for another content type, 400 or 413 for a bad one."""
        try:
            return self._form
        except AttributeError:
            self.has_form(*self._read_form())
            return self._form

    @property
    def files(self) -> Files:
        """The files of the form; they are closed when the request has been answered.  Raises HTTPError as `form`."""
        try:
            return self._files
        except AttributeError:
            self.has_form(*self._read_form())
            return self._files

    @property
    def json(self) -> Any:
        """The content as JSON.  Raises HTTPError 415 for another content type, 400 or 413 for a bad one."""
        from .json_content import parse_json

        return parse_json(self.head.headers.get("content-type"), self.body)

    def has_form(self, form: Form, files: Files) -> None:
        """The content is this form: it was read as it came."""
        self._form, self._files = form, files

    def _read_form(self) -> tuple[Form, Files]:
        content_type = self.head.headers.get("content-type")
        if is_multipart(content_type):
            from .multipart import parse_multipart

            return parse_multipart(content_type, self.body)
        return parse_form(content_type, self.body), Files()

    def __repr__(self) -> str:
        return f"<Request {self.head.request_line!r} from {self.peer}>"


# RFC 9110 §15: three digits; an answer is no interim one.
_FINAL = range(200, 1000)
# RFC 9110 §6.4.1: besides every answer to HEAD, these end with their head.
WITHOUT_CONTENT = (204, 304)
# How a message ends, and who speaks when, is the server's to say.
SERVERS_OWN = frozenset({"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"})


class Status(int):
    """A status code with a reason phrase that is not the standard's (RFC 9112 §4).  Raises ValueError for what is none.

    It goes wherever a response's status goes, and nobody else needs to know of it.
    """

    reason: str

    def __new__(cls, code: int, reason: str) -> Status:
        """reason-phrase = 1*( HTAB / SP / VCHAR / obs-text )"""
        if NOT_IN_VALUE.search(reason):
            raise ValueError(f"a control character or one beyond latin-1 in the reason phrase {reason!r}")
        made = super().__new__(cls, code)
        made.reason = reason
        return made


class Response:
    """What a handler returns.

    `body` is bytes, a str (sent as UTF-8; a lone surrogate, which a path that is not UTF-8 may bring along, becomes
    "?"), or a generator or another Content that makes the bytes as they are sent; then `length` says how many there
    will be, or None: the body then ends with the connection.  `headers` are extra field lines; Date, Connection,
    Server and Content-Length are the server's.  A Response whose body is bytes may be returned again.
    """

    __slots__ = ("_fields", "_wrapped", "body", "headers", "length", "status")

    def __init__(
        self,
        body: bytes | bytearray | memoryview | str | Content | Generator[Yields] = b"",
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        *,
        content_type: str = "",
        length: int | None = None,
    ) -> None:
        self.body: bytes | Content = body if isinstance(body, bytes) else _as_body(body)
        self.length = len(self.body) if isinstance(self.body, bytes) and length is None else length
        self.status = status
        self.headers = [*headers]
        if content_type:
            self.headers.insert(0, ("Content-Type", content_type))
        self._fields: bytes | None = None
        self._wrapped: tuple[tuple[tuple[str, str], ...], Response] | None = None

    @property
    def fields(self) -> bytes:
        """The response's own field lines with Content-Length and the empty line, as bytes; made once.

        Raises ValueError for a name or value that would break the head (response splitting), and ValueError or
        TypeError where the response could not be sent so that the client sees its end.
        """
        if self._fields is None:
            self._check()
            self._fields = render_fields(self._own_lines())
        return self._fields

    def checked_fields(self) -> bytes:
        """`fields`, for when the content is about to be sent, too.

        Raises ValueError also where the content is known to have another length than is announced.
        """
        body, announced = self.body, self.length
        length = len(body) if isinstance(body, bytes) else getattr(body, "remaining", announced)
        if length == announced or announced is None:
            return self._fields or self.fields
        raise ValueError(f"the content has {length} bytes, not {announced}")

    def again(self, body: bytes | Content) -> Response:
        """This response with another body of the same length; the rendered field lines are shared, not made anew."""
        other = Response.__new__(Response)
        other.body = body
        other.length = self.length
        other.status = self.status
        other.headers = self.headers
        other._fields = self.fields
        other._wrapped = None
        return other

    def wrapped(self, lines: tuple[tuple[str, str], ...]) -> Response:
        """This response with these field lines too (see `replaced`); for the same tuple it is made only once."""
        if self._wrapped is None or self._wrapped[0] is not lines:
            other = Response(self.body, self.status, replaced(self.headers, lines), length=self.length)
            self._wrapped = lines, other
        return self._wrapped[1]

    def _check(self) -> None:
        if not isinstance(self.status, int) or self.status not in _FINAL:  # type: ignore[redundant-expr]
            raise ValueError(f"not the status of a final response: {self.status!r}")
        if not isinstance(self.body, bytes) and not callable(getattr(self.body, "more", None)):
            raise TypeError(f"content is bytes, a str or something with more(), not {type(self.body).__name__}")
        if self.length is not None and self.length < 0:
            raise ValueError(f"content of {self.length} bytes")
        for name, _ in self.headers:
            if name.lower() in SERVERS_OWN:
                raise ValueError(f"the field {name} is the server's, not a handler's")

    def _own_lines(self) -> Iterator[tuple[str, str]]:
        yield from self.headers
        # RFC 9110 §8.6: no Content-Length in a 204; a 304 has none of its own.
        if self.length is not None and self.status not in WITHOUT_CONTENT:
            yield "Content-Length", str(self.length)

    def __repr__(self) -> str:
        return f"<Response {self.status} {reason_phrase(self.status)} length={self.length}>"


def _as_body(body: bytearray | memoryview | str | Content | Generator[Yields]) -> bytes | Content:
    if isinstance(body, str):
        return body.encode("utf-8", "replace")
    if isinstance(body, (bytearray, memoryview)):
        return bytes(body)
    return GeneratedContent(body) if isinstance(body, Generator) else body


# Of these there may be several lines, and each says something of its own.
_ADDED = frozenset({"link", "set-cookie", "vary"})


def replaced(lines: Iterable[tuple[str, str]], by: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Field lines with others that stand in the place of all of the same name; Vary, Link and Set-Cookie are added."""
    by = list(by)
    names = {name.lower() for name, _ in by} - _ADDED
    return [*(line for line in lines if line[0].lower() not in names), *by]


def render_fields(lines: Iterable[tuple[str, str]]) -> bytes:
    """Field lines as bytes, with the empty line that ends a head.  Values are latin-1.

    Raises ValueError for a field name that is no token, and for a value with CR, LF, NUL, another control or a
    character beyond latin-1.
    """
    out = []
    for name, value in lines:
        if not TOKEN.fullmatch(name):
            raise ValueError(f"not a field name: {name!r}")
        if NOT_IN_VALUE.search(value):
            raise ValueError(f"a control character or one beyond latin-1 in the value of {name}: {value!r}")
        out.append(f"{name}: {value}\r\n")
    out.append("\r\n")
    return "".join(out).encode("latin-1")


# ---- the common kinds of response


def html(content: str, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """An HTML page, sent as UTF-8."""
    return Response(content, status, headers, content_type="text/html; charset=utf-8")


def text(content: str, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Plain text, sent as UTF-8."""
    return Response(content, status, headers, content_type="text/plain; charset=utf-8")


def json(value: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """A value as JSON (RFC 8259).  Raises ValueError for NaN and infinity, which JSON has not, TypeError as `dumps`."""
    from json import dumps

    return Response(dumps(value, ensure_ascii=False, allow_nan=False), status, headers, content_type="application/json")


def redirect(location: str, status: int = 303) -> Response:
    """Go to `location`; 303 See Other by default, what a POST should answer with (RFC 9110 §15.4.4).

    `location` is an ASCII URI reference; one with a control character is refused when the response is rendered.
    """
    return Response(b"", status, [("Location", location)])
