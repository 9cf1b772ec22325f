"""What a path leads to, when it is not remembered.

Several things may answer it, and they are asked in turn: a rule of `_redirects` that says so with its "!"; the file of
that name, or the folder's own page; any other rule; `about.html` for `/about`; the folder's listing; in a single-page
application its page; and at last the nearest `404.html`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Protocol

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..protocol.negotiation import best, quality
from .answers import NOSNIFF, plain_path, to_folder
from .error_pages import KINDS
from .files import Files, Lines, absent
from .root import names, quoted_path
from .rule_files import OF_CONTENT, OF_FILES, RuleFiles

if TYPE_CHECKING:
    from .redirects import Destination

__all__ = ["Guard", "Lookup"]

_NOT_FOUND = b"404.html"
# Of an answer that another Accept would not have got (RFC 9110 §12.5.5).
_BY_ACCEPT = ("Vary", "Accept")


class Guard(Protocol):
    """Who may have what, by decoded paths below the folder.  Whoever asks may have the address, that is settled."""

    def require(self, request: Request, path: str) -> object:
        """Raise what is to be raised, if this request may not have the file of this path, too."""

    def alike(self, one: str, other: str) -> bool:
        """Whether whoever may have the one may have the other."""

    def leaves_out(self, path: str) -> bool:
        """Whether some who may have a folder may not have this path in it."""


class _Asked:
    """A request for a path, and what is found out of it on the way.

    `plain` is the path without the segments that count for nothing, `parts` are its names, `status` is what these
    lead to on the disk, None for nothing.
    """

    __slots__ = ("head", "parts", "path", "plain", "request", "status")

    def __init__(self, request: Request, path: str) -> None:
        self.request = request
        self.head = request.head
        self.path = path
        self.plain = plain_path(path)
        self.parts: list[bytes] = []
        self.status: os.stat_result | None = None

    @property
    def is_folder(self) -> bool:
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def is_closed(self) -> bool:
        """Whether the path ends in "/", as only a folder's does."""
        return self.plain.endswith("/")

    @property
    def accept(self) -> str:
        return self.head.headers.get("accept")


class Lookup:
    """Answers from the disk and by the rules.  See StaticFiles for the options."""

    def __init__(
        self,
        files: Files,
        rules: RuleFiles,
        *,
        index: bytes,
        listing: bool,
        archives: bool,
        guard: Guard | None,
        spa: bool,
    ) -> None:
        self.files = files
        self.rules = rules
        self.index = index
        self.listing = listing
        self.archives = archives
        self.guard = guard
        self._leaves_out = None if guard is None else guard.leaves_out
        self.spa = spa

    def __call__(self, request: Request, path: str) -> Response:
        """Answer GET or HEAD.  Raises HTTPError 404 where nothing is found, 403, 412, 416 and 503, and Later."""
        asked = _Asked(request, path)
        try:
            asked.parts = names(path)
            to = self.rules.destination(asked.plain, request.query)
            if to is not None and to.forced:
                return self._directed(asked, to)
            asked.status = self._status(asked.parts)
            if (response := self._own(asked)) is not None:
                return response
            if to is not None:
                return self._directed(asked, to)
            return self._html(asked) or self._folder(asked) or self._application(asked)
        except HTTPError as error:
            if error.status != 404:
                raise
            return self._not_found(asked, error)

    def elsewhere(self, path: str, whole: str, query: str) -> Response | None:
        """Where a method that files do not take is sent, None where there is something that will not take it.

        `whole` is the path with the prefix of a mount.  Raises HTTPError 404 where there is nothing, 403 and 503.
        """
        parts, plain = names(path), plain_path(path)
        there = self.files.has(parts) or (not plain.endswith("/") and self.files.has(_with_html(parts)))
        to = self.rules.destination(plain, query)
        if to is not None and to.moves and (to.forced or not there):
            return self.ruled(plain, _redirect(whole, plain, to))
        if not there:
            raise HTTPError(404)
        return None

    def ruled(self, plain: str, answer: Response) -> Response:
        """An answer for a plain path that is no file's, new, with what `_headers` says of it."""
        answer.headers = [*self.rules.fields(plain, answer.headers, OF_FILES)]
        return answer

    def _status(self, parts: list[bytes]) -> os.stat_result | None:
        try:
            return os.stat(self.files.root.location(parts))
        except OSError as error:
            absent(error)
            return None

    # ---- those that may answer, each with None where it has nothing

    def _own(self, asked: _Asked) -> Response | None:
        """The file that the path names, or the folder's own page."""
        if asked.is_folder:
            return self._index(asked)
        if asked.status is None or asked.is_closed:
            return None
        return self._remembered(asked, asked.parts)

    def _index(self, asked: _Asked) -> Response | None:
        """A folder's own page, at its plain path with a closing "/": relative links go wrong anywhere else."""
        page = [*asked.parts, self.index]
        if asked.path == asked.plain and asked.is_closed:
            return self._remembered(asked, page)
        return self._to_folder(asked) if self.files.has(page) else None

    def _to_folder(self, asked: _Asked) -> Response:
        return self.ruled(asked.plain, to_folder(asked.request.path, asked.request.query))

    def _directed(self, asked: _Asked, to: Destination) -> Response:
        """What a rule says: go elsewhere, or the file that it names, by no other rule.  Raises HTTPError 404."""
        if to.moves:
            return self.ruled(asked.plain, _redirect(asked.request.path, asked.plain, to))
        for page in self._pages(names(to.path)):
            if (response := self._send(asked, page, status=to.status)) is not None:
                return response
        raise HTTPError(404)

    def _pages(self, parts: list[bytes]) -> Iterator[list[bytes]]:
        """What these names may stand for, in a rule."""
        if parts:
            yield parts
        yield [*parts, self.index]
        if parts:
            yield _with_html(parts)

    def _html(self, asked: _Asked) -> Response | None:
        """`about.html` for `/about`."""
        return None if asked.is_closed else self._send(asked, _with_html(asked.parts))

    def _folder(self, asked: _Asked) -> Response | None:
        """The listing of a folder without a page of its own."""
        if not asked.is_folder or not self.files.has(asked.parts):
            return None
        if asked.path != asked.plain or not asked.is_closed:
            return self._to_folder(asked)
        if not self.listing:
            raise HTTPError(403, "This folder has no page of its own, and listings are off.")
        try:
            return self.ruled(asked.plain, self._listed(asked))
        except OSError as error:
            absent(error)
            return None

    def _listed(self, asked: _Asked) -> Response:
        """The listing of a folder; or an archive of it, with all that is listed below."""
        # Many sites have none, and it is a good part of a small server's time to start.
        from .entries import Folder
        from .listing import listing

        kind = asked.request.args.get("download")
        if not kind:
            folder = Folder(self.files.root, asked.parts, self._leaves_out)
            return listing(folder, self.files.open(asked.parts)[0], asked.request, archives=self.archives)
        if not self.archives:
            raise HTTPError(403, "Folders are not to be had as archives here.")
        from .archives import archive

        return archive(Folder(self.files.root, asked.parts, self._withheld), kind, asked.request.path, self.index)

    def _withheld(self, path: str) -> bool:
        """Whether a path is left out: nobody gets in an archive what a rule keeps from who asks for it by itself."""
        to = self.rules.destination(path, "")
        return (to is not None and to.forced) or (self._leaves_out is not None and self._leaves_out(path))

    def _application(self, asked: _Asked) -> Response:
        """A single-page application's page for a path of its own.  What has an extension is a file, and missing."""
        page = None
        if self.spa and "." not in asked.plain.rpartition("/")[2] and quality(asked.accept, "text/html"):
            page = self._send(asked, [self.index], _BY_ACCEPT)
        if page is None:
            raise HTTPError(404)
        return page

    def _not_found(self, asked: _Asked, error: HTTPError) -> Response:
        """The nearest `404.html`, for who would rather read HTML.  Raises the error where there is none."""
        if best(asked.accept, KINDS) == "text/html":
            for folder in self._folders_towards(asked.parts):
                with contextlib.suppress(HTTPError):
                    page = self._send(asked, [*folder, _NOT_FOUND], _BY_ACCEPT, status=404)
                    if page is not None:
                        return page
        raise error

    def _folders_towards(self, parts: list[bytes]) -> Iterator[list[bytes]]:
        """The folders on the way to what these names lead to, as far as there are any, the deepest first."""
        depth = 0
        # From the top: the path may be long, the way that there is of it hardly is.
        while depth < len(parts) and os.path.isdir(self.files.root.location(parts[: depth + 1])):
            depth += 1
        return (parts[:many] for many in range(depth, -1, -1))

    # ---- sending

    def _remembered(self, asked: _Asked, parts: list[bytes]) -> Response | None:
        """The file that is a path's own.  By its plain path it is found again, so aliases ("//a") crowd no cache."""
        if self.rules.depends_on_query(asked.plain) or not self._is_open_to(asked.plain, parts):
            return self._send(asked, parts)
        return self.files.send(asked.head, parts, asked.plain, self._fields(asked, parts))

    def _is_open_to(self, plain: str, parts: list[bytes]) -> bool:
        """Whether whoever may have the path may have the file."""
        return self.guard is None or self.guard.alike(plain, _path_of(parts))

    def _send(self, asked: _Asked, parts: list[bytes], *more: tuple[str, str], status: int = 200) -> Response | None:
        """A file for a path that is not its own.  It is remembered by itself: such paths may be any number."""
        if not os.path.exists(self.files.root.location(parts)):
            # To find that out by opening it costs ten times as much, and most of these are asked for in vain.
            return None
        if self.guard is not None:
            self.guard.require(asked.request, _path_of(parts))
        fields = self._fields(asked, parts, more, () if status == 200 else OF_CONTENT)
        return self.files.send(asked.head, parts, (*parts, fields), fields, status)

    def _fields(self, asked: _Asked, parts: list[bytes], more: Lines = (), without: Container[str] = ()) -> Lines:
        return self.rules.fields(asked.plain, (*self.files.fields(parts[-1]), *more), without)


def _path_of(parts: list[bytes]) -> str:
    return b"/".join((b"", *parts)).decode("utf-8", "surrogateescape")


def _with_html(parts: list[bytes]) -> list[bytes]:
    return [*parts[:-1], parts[-1] + b".html"]


def _redirect(whole: str, plain: str, to: Destination) -> Response:
    """Go where a rule says.  Its paths are below what the site is mounted at, and `whole` is the path with that."""
    whole = plain_path(whole)
    is_mounted = to.location.startswith("/") and whole.endswith(plain)
    prefix = quoted_path(whole.removesuffix(plain)) if is_mounted else ""
    return Response(b"", to.status, [("Location", prefix + to.location), NOSNIFF])
