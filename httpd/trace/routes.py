"""How a site came to the handler that answers: asked of the site itself, without answering."""

from __future__ import annotations

from typing import Any

from ..protocol.errors import HTTPError
from ..protocol.message import Request
from ..site.gzipped import Gzipped
from ..site.hosts import Hosts
from ..site.router import Match, Router
from ..site.wrapping import Around
from .events import Tried

__all__ = ["route_of"]


def route_of(site: Any, request: Request) -> tuple[list[Tried], dict[str, str], str]:
    """(the patterns tried, each with its outcome; the parameters; the handler's name, "" for nobody).

    A router that is mounted in another is asked in its turn; its patterns are shown below their prefix.
    """
    tried: list[Tried] = []
    prefix, path = "", request.path
    site = _within(site, request)
    while isinstance(site, Router):
        outcomes: Any = site.tried(request.method, path)
        tried += [Tried(prefix + pattern, outcome) for pattern, outcome in outcomes]
        match = _matched(site, request.method, path)
        if match is None:
            return tried, {}, ""
        if match.rest is None:
            return tried, match.params, _name(match.handler)
        prefix += match.path[: len(match.path) - len(match.rest)]
        site, path = _within(match.handler, request), match.rest
    return tried, {}, _name(site)


def _within(site: Any, request: Request) -> Any:
    """The site that answers in what stands around it."""
    while True:
        if isinstance(site, (Around, Gzipped)):
            site = site.site
        elif isinstance(site, Hosts):
            try:
                site = site.site_for(request.host)
            except HTTPError:
                return site
        else:
            return site


def _matched(router: Router, method: str, path: str) -> Match | None:
    try:
        return router.match(method, path)
    except HTTPError:
        return None


def _name(handler: Any) -> str:
    """A function's name, or an object's type."""
    return getattr(handler, "__qualname__", None) or type(handler).__name__
