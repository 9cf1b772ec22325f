"""Forms beside a site: each has its path, and all else is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..site.router import Router
from ..site.wrapping import Around
from ..store.database import Database
from .form import FormHandler

__all__ = ["ForUsers", "Forms"]


class Forms(Router):
    """The site with these forms, which keep what they take in `database`; its owner reads it at the path `page`.

    A form whose page has the form's own path leaves showing it to the site.
    """

    def __init__(
        self, site: Callable[..., Response], handlers: Iterable[FormHandler], database: Database, page: str = ""
    ) -> None:
        super().__init__()
        self._site = site
        self._database = database
        for handler in handlers:
            self._add(handler)
        if page:
            from .page import owner_page

            self.mount(page, ForUsers(owner_page(database)))
        self.mount("/", site if isinstance(site, Router) else _Whole(site))

    def _add(self, handler: FormHandler) -> None:
        form = handler.declaration
        self.post(form.path, body=handler.body)(handler.take)
        if form.page != form.path:
            self.get(form.path)(handler.show)
        if not form.thanks:
            self.get(form.path + "/sent")(handler.thanks)

    def waiting_for_store(self) -> int:
        """How many submissions, and other pieces of work, wait to be written."""
        return self._database.waiting

    def healthy(self) -> bool:
        """Whether something could be stored, as far as reading tells, and whether the site is well.  It waits."""
        self._database.read(lambda transaction: transaction.execute("SELECT 1"))
        site: Callable[[], bool] | None = getattr(self._site, "healthy", None)
        return site is None or site()


class ForUsers(Around):
    """A site for those whose password was asked for around it, and for nobody where that was forgotten."""

    def __call__(self, request: Request, *below: str) -> Response:
        if not request.user:
            raise HTTPError(403, "This is for users with a password.")
        return self.site(request, *below)


class _Whole(Around):
    """A site that is asked for whole paths, as it would be without a mount."""

    def __call__(self, request: Request, path: str) -> Response:
        return self.site(request)

    def check(self, request: Request, path: str) -> Any:
        """What content the site takes."""
        check = getattr(self.site, "check", None)
        return None if check is None else check(request)
