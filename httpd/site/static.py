"""A folder of files, served.

A request for a file that is remembered costs one dict look-up, one `os.stat` and a comparison, the first of its round
that is, and the same again where an encoded form of it is sent instead; for the others of the round it is the look-up
alone.  Everything slower stands in `lookup`.  What is served, and what is not, is
decided in `root`; how a file becomes responses in `entities`; what its encoded forms are in `siblings`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from .answers import answer_method, plain_path
from .entities import Entities, Entity
from .files import Files, answer
from .lookup import Guard, Lookup
from .root import Root, Symlinks
from .rule_files import OF_FILES, RuleFiles

__all__ = ["StaticFiles"]

# What makes a GET more than a plain one: conditions (RFC 9110 §13.1), a Range (§14.2).  If-Range is nothing without it.
_CONDITIONS = frozenset({"if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range"})
# What is judged before If-None-Match (§13.2.2).
_FIRST_CONDITIONS = frozenset({"if-match", "if-unmodified-since"})
# What asks for a resource that is there, or was.
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class StaticFiles:
    """The site that a folder is.

    A folder's own page is its `index`; without one it is a listing, or 403 where `listing` is off.  With `archives`
    what is listed can be downloaded as a whole.  `guard` says who may have what.  `symlinks` says which links are
    followed: those whose target is "inside" the folder, "none" or "all".  With `spa` the folder holds
    a single-page application: paths that lead nowhere and have no extension are its own, and get its `index`.
    `headers` are field lines for every file.  `entities` is the cache, for whoever wants other bounds or another clock.
    `clock`, in seconds, says when to look for other rules (`redirects`, `header_rules`) and encoded forms.
    Raises NotADirectoryError where there is no such folder, ValueError for field lines that cannot be sent.
    """

    methods = ("GET", "HEAD")
    # Whoever derives from it, and changes files when a GET is answered, has this false.
    in_rounds = True

    def __init__(
        self,
        root: str | bytes | os.PathLike[str],
        *,
        index: str = "index.html",
        listing: bool = True,
        archives: bool = True,
        guard: Guard | None = None,
        symlinks: Symlinks = "inside",
        spa: bool = False,
        headers: Iterable[tuple[str, str]] = (),
        entities: Entities | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = Root(root, symlinks=symlinks)
        self.entities = Entities() if entities is None else entities
        self._files = Files(self.root, headers, self.entities)
        self._rules = RuleFiles(self.root, clock)
        self._round = 0  # of requests, in which the clock was last looked at
        self._lookup = Lookup(
            self._files,
            self._rules,
            index=os.fsencode(index),
            listing=listing,
            archives=archives,
            guard=guard,
            spa=spa,
        )

    def __call__(self, request: Request, path: str | None = None) -> Response:
        """Answer a request, by its own path or by the one below a mount's prefix.

        Raises HTTPError: 404, 403, 405 with Allow, 412, 416, 501, and 503 where descriptors have run out; and Later
        where a big file without a time has to be read for its validator first.
        """
        head = request.head
        if path is None:
            path = head.path
        in_round = request.round
        if in_round != self._round or not in_round:
            self._begin_round(in_round)
        entity = self.entities.find(path, in_round)
        if entity is not None and entity.codings:
            entity = self._files.in_coding(entity, path, head.headers, in_round)
        if entity is not None and head.method == "GET":
            said = head.headers.combined
            if _CONDITIONS.isdisjoint(said):
                return entity.whole or entity.stream()
            if said.get("if-none-match") == entity.etag and _FIRST_CONDITIONS.isdisjoint(said):
                return entity.not_modified
        return self._answer(request, path, entity)

    def _begin_round(self, number: int) -> None:
        """Once a second: are there other rules, or other encoded forms?"""
        self._round = number
        if self._rules.clock() >= self._rules.due:
            self.entities.look_again()
            if self._rules.look():
                # What is remembered has the field lines of the old rules.
                self.entities.clear()

    def check(self, request: Request, path: str | None = None) -> None:
        """Raise the HTTPError that awaits a method that files do not take: 404, 405 or 501."""
        if request.method not in self.methods:
            self._answer(request, request.path if path is None else path, None)

    def _answer(self, request: Request, path: str, entity: Entity | None) -> Response:
        """Whatever takes more than a look at what is remembered; an error with what the rules say of its path, too."""
        try:
            if request.method not in self.methods:
                return self._refuse(request, path)
            return self._lookup(request, path) if entity is None else answer(entity, request.head)
        except HTTPError as error:
            error.headers = self._rules.fields(plain_path(path), error.headers, OF_FILES)
            raise

    def _refuse(self, request: Request, path: str) -> Response:
        """A method other than GET and HEAD: 404 where there is nothing to begin with."""
        if request.method in _CHANGING:
            moved = self._lookup.elsewhere(path, request.path, request.query)
            if moved is not None:
                return moved
        return self._lookup.ruled(plain_path(path), answer_method(request.method, self.methods))
