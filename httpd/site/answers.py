"""What every site answers alike: methods that it does not take, and folders asked for without their closing slash.

A handler's own answer passes here too, if it is one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from types import GeneratorType
from typing import TypeAlias

from ..protocol.content import GeneratedContent, Yields
from ..protocol.errors import HTTPError
from ..protocol.message import Content, Response
from .root import quoted, quoted_path, segments

__all__ = [
    "NOSNIFF", "STANDARD", "Answer", "answer_method", "as_response", "not_taken", "plain_path", "saved_as", "to_folder",
]  # fmt: skip

# What a handler may return.
Answer: TypeAlias = Response | Content | Iterator[Yields]

# The methods that RFC 9110 §9 and RFC 5789 define, in the order in which Allow names them.
STANDARD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

# What we say of the type is so; a browser must not look for another one in the content.
NOSNIFF = ("X-Content-Type-Options", "nosniff")


def answer_method(method: str, allowed: Iterable[str]) -> Response:
    """Answer a method that a resource does not take itself; `allowed` are those that it does.

    OPTIONS is 204 with Allow (RFC 9110 §9.3.7).  Raises HTTPError: 501 for CONNECT and for a method that nobody here
    knows (§15.6.2), 405 with Allow for the others (§15.5.6).
    """
    if method == "OPTIONS":
        return Response(b"", 204, [("Allow", _allow(allowed))])
    raise not_taken(method, allowed)


def not_taken(method: str, allowed: Iterable[str], known: Container[str] = STANDARD) -> HTTPError:
    """The error for a method: 405 with Allow if it is `known` at all, else 501."""
    if method in known:
        return HTTPError(405, headers=[("Allow", _allow(allowed))])
    return HTTPError(501, "This server does not know that method.")


def _allow(methods: Iterable[str]) -> str:
    """The value of Allow: GET brings HEAD, and OPTIONS is always answered."""
    every = {*methods, "OPTIONS"}
    if "GET" in every:
        every.add("HEAD")
    rank = {method: place for place, method in enumerate(STANDARD)}
    return ", ".join(sorted(every, key=lambda method: (rank.get(method, len(rank)), method)))


def as_response(value: object, handler: object) -> Response:
    """What a handler returned, as a Response: of content that came without one nobody says that it is not plain text.

    Raises TypeError with the handler's name for what is neither, and what a generator raises before its first content.
    """
    if isinstance(value, Response):
        return value
    if isinstance(value, (GeneratorType, Content)):
        response = Response(value, headers=[NOSNIFF], content_type="text/plain; charset=utf-8")
        if isinstance(response.body, GeneratedContent):
            # As long as there is no head, an error is an answer.
            response.body.begin()
        return response
    name = getattr(handler, "__qualname__", None) or repr(handler)
    what = f"returned {type(value).__name__}, not a Response"
    if hasattr(value, "__await__"):
        what = "is async"
        if hasattr(value, "close"):
            value.close()
    raise TypeError(
        f"the handler {name} {what}: a handler is a plain function that returns html(…), text(…), json(…), "
        "redirect(…) or another Response, or a generator that yields the content"
    )


def plain_path(path: str) -> str:
    """A decoded path without the segments that count for nothing, the empty ones and "."; a closing "/" stays."""
    parts = segments(path)
    closing = "/" if parts and path.endswith(("/", "/.")) else ""
    return "/" + "/".join(parts) + closing


def to_folder(path: str, query: str) -> Response:
    """308 from a decoded path to the same with a closing "/", keeping the query.

    The target is a path of this very site: it begins with one "/" only, so that no browser takes its first name for
    a host, and everything else is percent-encoded.
    """
    location = quoted_path(plain_path(path + "/")) + (query and f"?{query}")
    return Response(b"", 308, [("Location", location), NOSNIFF])


def saved_as(name: str) -> str:
    """The Content-Disposition of what is to be saved, and never shown, as `name` (RFC 6266 §4): in ASCII first, for who
    does not know the other form (RFC 8187)."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in " -._") else "_" for letter in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted(name.encode('utf-8', 'replace'))}"
