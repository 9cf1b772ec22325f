"""Where an operator's pages are: at a port of this machine, or at a path of the site for whoever has a password.

A path stands within the passwords of the site, and answers nobody whom those have let in without one: whoever mounts it
elsewhere shows it to nobody, rather than to everybody.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..server.aside import AT_HOME, Aside, own_pages_only, sockets_at
from ..server.server import Server
from ..server.service import Site
from ..site.answers import as_response
from ..site.router import Router
from ..site.wrapping import Around
from .pulse import Pulse, watch
from .tallies import Tallies

__all__ = ["PORT", "AtPath", "Desk", "Page"]

# Where the pages are whose place is nobody's wish, if the port is free.
PORT = 8002
# Adds a page to a router, its address and that of what it has below it beginning with that path ("" for the root).
Page = Callable[[Router, str, Pulse], None]


class Desk:
    """An operator's pages; `places` has the port (-1: any) or path of each.

    It is made before a server, and before a fork: what all processes count is on its board, its ports are theirs.  One
    that takes the place of another, `before`, goes on counting, and has the ports that both name.
    """

    def __init__(self, places: Mapping[Page, int | str], before: Desk | None = None) -> None:
        self._tallies: Tallies = before._tallies if before else Tallies()
        self._pages = {place: [page for page in places if places[page] == place] for place in places.values()}
        self._routers = {place: Router() for place in self._pages}
        kept = before._sockets.items() if before else ()
        self._sockets: dict[int, list[socket.socket]] = {at: sockets for at, sockets in kept if at in self._pages}

    def around(self, site: Site) -> Site:
        """The site with the pages that are at a path of it; passwords are to be asked for around it."""
        for place, router in self._routers.items():
            if isinstance(place, str):
                site = AtPath(site, place, router)
        return site

    def listen(self) -> dict[int | str, int]:
        """Listen at the ports; which is the real one of each.  Raises OSError, whose `filename` is the port."""
        for place in self._pages:
            if isinstance(place, int) and place not in self._sockets:
                try:
                    self._sockets[place] = sockets_at(place, PORT)
                except OSError as why:
                    why.filename = place
                    raise
        return {place: sockets[0].getsockname()[1] for place, sockets in self._sockets.items()}

    def attach(self, server: Server) -> None:
        """Show a server that was started."""
        pulse = watch(server, self._tallies)
        for place, pages in self._pages.items():
            for page in pages:
                page(self._routers[place], place if isinstance(place, str) else "", pulse)
        for port, sockets in self._sockets.items():
            Aside(server, self._routers[port], sockets)


class AtPath(Around):
    """A site with a page, and what it has below it, at a path, for users who have given their password."""

    def __init__(self, site: Site, path: str, page: Site) -> None:
        super().__init__(site)
        self.path = path
        self.page = page

    def __call__(self, request: Request, *below: str) -> Response:
        if request.path != self.path and not request.path.startswith(self.path + "/"):
            return self.site(request, *below)
        if not request.user:
            raise HTTPError(403, "This is for users with a password.")
        own_pages_only(request)
        return as_response(self.page(request), self.page).wrapped(AT_HOME)
