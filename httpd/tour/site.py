"""The tour's site: pages from templates, a folder, the source.  The form stands around it, the owner's page in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response, redirect
from ..resources import folder
from ..site.root import quoted_path
from ..site.router import Router
from ..site.static import StaticFiles
from ..site.templates import bundled
from .sources import Sources
from .stops import STOPS

__all__ = ["tour_site"]

# Of a name that somebody wishes to be greeted by, in characters.
_LONGEST = 60


def tour_site(owner: Callable[..., Response], sources: Sources) -> Router:
    """All stops but the form; `owner` is the page of the form's owner, `sources` are the files to be read."""
    site = Router()

    @site.get("/")
    def first(request: Request) -> Response:
        return _page("index", stops=STOPS)

    _add_greeting(site)
    _add_sources(site, sources)
    site.mount("/inbox", owner)
    site.mount("/", StaticFiles(os.path.join(folder("static"), "tour", "site")))
    return site


def _add_greeting(site: Router) -> None:
    @site.get("/hello/{name}")
    def hello(request: Request, name: str) -> Response:
        return _page("hello", name=name[:_LONGEST], time=time.strftime("%H:%M:%S"))

    @site.get("/hello")
    def somebody(request: Request) -> Response:
        # A slash would part the name from the rest of it.
        name = request.args.get("name", "").replace("/", " ").strip()[:_LONGEST]
        return redirect(quoted_path(f"/hello/{name or 'stranger'}"))


def _add_sources(site: Router, sources: Sources) -> None:
    @site.get("/source/")
    def every(request: Request) -> Response:
        return _page("sources", rooms=sources.rooms(), count=len(sources))

    @site.get("/source/{name:path}")
    def source(request: Request, name: str) -> Response:
        if name not in sources:
            raise HTTPError(404, "No file of that name runs here.")
        return _page("source", name=name, lines=sources.lines(name))


def _page(template: str, **values: Any) -> Response:
    return bundled().response(f"tour/{template}.html", **values)
