"""Field lines that come with every answer of a site, whoever in it gives the answer.

They stand in the place of what the site says under the same names: whoever runs a server has the last word.  A
response that is given again and again, as a remembered file's is, is wrapped only once.  Error pages are made by the
server, which has the same lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..protocol.grammar import NOT_IN_VALUE, TOKEN
from ..protocol.message import SERVERS_OWN, Request, Response
from .answers import as_response

__all__ = ["Around", "WithHeaders", "field_line"]

# What each answer says for itself: the same for all would be wrong for most.
_EACH_ITS_OWN = frozenset({
    "accept-ranges", "allow", "content-encoding", "content-range", "content-type", "etag", "last-modified", "location",
    "retry-after", "www-authenticate",
})  # fmt: skip


class Around:
    """A site around another one.  What else that has, as `methods` and `check`, is as it was."""

    def __init__(self, site: Callable[..., Response]) -> None:
        self.site = site

    def __getattr__(self, name: str) -> Any:
        return getattr(self.site, name)


class WithHeaders(Around):
    """A site's answers, with these field lines.  Raises ValueError for lines that cannot be sent."""

    def __init__(self, site: Callable[..., Response], lines: Iterable[tuple[str, str]]) -> None:
        super().__init__(site)
        self.lines = tuple(lines)
        # Now, not at every answer.
        _ = Response(headers=self.lines).fields

    def __call__(self, request: Request, *below: str) -> Response:
        return as_response(self.site(request, *below), self.site).wrapped(self.lines)


def field_line(text: str) -> tuple[str, str]:
    """A field line for every answer, as a person writes it.  Raises ValueError, its text a sentence for that person."""
    name, _, value = text.partition(":")
    value = value.strip(" \t")
    if not TOKEN.fullmatch(name) or not value:
        raise ValueError(f"{text!r} is not a field line: write it as 'Name: value'")
    if NOT_IN_VALUE.search(value):
        raise ValueError(f"the value of {name} has a control character in it, or one beyond latin-1")
    if name.lower() in SERVERS_OWN:
        raise ValueError(f"{name} is the server's to say")
    if name.lower() in _EACH_ITS_OWN:
        raise ValueError(f"{name} is another for each answer: it cannot be the same for all")
    return name, value
