"""Cross-origin requests (CORS): scripts of other origins may read what the site says.

https://fetch.spec.whatwg.org/#http-cors-protocol.  The field lines are the same for every answer, so they are no more
work than any other configured line.  Only the *preflight* is a request of its own: a browser's question, an OPTIONS
without credentials, whether the real request may be sent.  It is answered here, before anybody asks for a password.

Credentials that a browser would add by itself, cookies and remembered passwords, stay out of this: an answer never
says Access-Control-Allow-Credentials.
"""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.grammar import late
from ..protocol.message import Request, Response
from .answers import STANDARD
from .wrapping import Around

__all__ = ["Preflight", "allowed_origin", "cors_lines"]

# What a script may read beyond the few fields that every script may.
_EXPOSED = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Encoding, Content-Length, Content-Range, Date, ETag, Link, "
    "Location, Retry-After, WWW-Authenticate"
)
# "*" stands for every field but Authorization, which must be named.
_ASKED_WITH = "*, Authorization"
# How long a browser may go by a preflight, in seconds; Chromium takes no more.
_MAX_AGE = "7200"

_ORIGIN = late(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?")
# Browsers leave it out.
_DEFAULT_PORT = late(r"(?:http:.*:80|https:.*:443)")


def cors_lines(origin: str) -> list[tuple[str, str]]:
    """The field lines of every answer.  `origin` is "*", or the only one that may read the answers."""
    lines = [("Access-Control-Allow-Origin", origin), ("Access-Control-Expose-Headers", _EXPOSED)]
    return lines if origin == "*" else [*lines, ("Vary", "Origin")]


def allowed_origin(text: str) -> str:
    """An origin as browsers write it, or "*".  Raises ValueError for what no browser writes: nothing would match it."""
    origin = text.lower().removesuffix("/")
    if origin == "*" or (_ORIGIN.fullmatch(origin) and not _DEFAULT_PORT.fullmatch(origin)):
        return origin
    raise ValueError(f"{text!r} is not an origin, such as https://app.example.org, and not *")


class Preflight(Around):
    """A site whose preflights are answered: with every method that it may take, and every field."""

    def __init__(self, site: Callable[..., Response]) -> None:
        super().__init__(site)
        methods = dict.fromkeys([*getattr(site, "methods", STANDARD[:6]), "OPTIONS"])
        self._answer = Response(
            b"",
            204,
            [
                ("Access-Control-Allow-Methods", ", ".join(methods)),
                ("Access-Control-Allow-Headers", _ASKED_WITH),
                ("Access-Control-Max-Age", _MAX_AGE),
            ],
        )

    def __call__(self, request: Request, *below: str) -> Response:
        head = request.head
        if head.method == "OPTIONS" and "access-control-request-method" in head.headers and "origin" in head.headers:
            return self._answer
        return self.site(request, *below)
