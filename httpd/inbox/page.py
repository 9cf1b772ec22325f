"""The owner's page: what came in, in a browser.

    site.mount("/inbox", owner_page(database))

It is a page of plain HTML, without a script.  All that strangers wrote is escaped, their files are only ever saved, and
what changes something is a form that only this very site may send.  Who may see it is for others to say: whoever
mounts it puts a password before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ..net.producers import OpenFile, file_producer
from ..protocol.errors import HTTPError
from ..protocol.forms import Form
from ..protocol.message import Content, Request, Response, redirect
from ..site.answers import NOSNIFF, saved_as
from ..site.blocking import blocking
from ..site.entries import readable_size
from ..site.router import Router
from ..site.templates import bundled
from ..site.uploads import SPOOLED, SpooledFile
from ..store.database import Database
from ..store.schema import Transaction
from .deliveries import Delivery, deliveries
from .exporting import Export
from .moments import local, moment
from .origins import is_own
from .plain import plain_line
from .records import Record, records
from .submissions import StoredFile, Totals, Wanted, files_of, find, mark_seen, page, pieces, totals

__all__ = ["owner_page"]

# How many submissions a page shows.
_SHOWN = 50
# The longest text that stands in the page's address.
_MOST_TEXT = 200
_ID = re.compile(r"[0-9a-z]{1,40}")

_HEADERS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
                                "base-uri 'none'; frame-ancestors 'none'"),
    # With no-referrer a browser would send `Origin: null` with our own forms.
    ("Referrer-Policy", "same-origin"),
    NOSNIFF,
]  # fmt: skip
_DOWNLOAD = [("Cache-Control", "no-store"), ("Content-Security-Policy", "default-src 'none'; sandbox"), NOSNIFF]
# Whoever shows such a file runs nothing of it; of any other the type is nobody's business.
_HARMLESS = frozenset({
    "application/pdf", "application/zip", "image/avif", "image/gif", "image/jpeg", "image/png", "image/webp",
    "text/csv", "text/plain",
})  # fmt: skip
_ANY = "application/octet-stream"
_EXPORTS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


def owner_page(database: Database) -> Router:
    """The page, to be mounted: a table, each submission by itself, its files, exports."""
    router = Router()
    owner = _Owner(database)
    router.get("/")(blocking(owner.table))
    router.post("/mark")(blocking(owner.mark))
    router.get("/submission/{identity}")(blocking(owner.submission))
    router.get("/submission/{identity}/{number:int}")(blocking(owner.file))
    router.get("/export.{kind}")(blocking(owner.export))
    return router


class View(NamedTuple):
    """What of the table is seen, as it stands in the page's address."""

    form: str = ""
    text: str = ""
    unread: str = ""
    before: str = ""

    @classmethod
    def asked(cls, said: Form) -> View:
        """The one that a form, or a query, asks for."""
        return cls(*(said.get(name, "")[:_MOST_TEXT].strip() for name in cls._fields))

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.form, self.text, False if self.unread else None)

    @property
    def query(self) -> str:
        """The address's query, "" or with its question mark."""
        said = urlencode([(name, value) for name, value in zip(self._fields, self, strict=True) if value])
        return said and f"?{said}"


class Row(NamedTuple):
    """A submission in the table: who it seems to be from, and how it goes on."""

    record: Record
    first: str
    rest: str


class _Owner:
    """The handlers; each is called in a thread, where it may wait for the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def table(self, request: Request) -> Response:
        view = View.asked(request.args)
        rows, all_forms, found = self._database.read(lambda transaction: _seen(transaction, view))
        more = rows[_SHOWN - 1].record.submission.id if len(rows) > _SHOWN else ""
        return _page(
            "inbox/table.html",
            view=view,
            rows=rows[:_SHOWN],
            forms=all_forms,
            unread=sum(form.unseen for form in all_forms),
            total=sum(form.submissions for form in found),
            older=view._replace(before=more).query if more else "",
            newest=view._replace(before="").query if view.before else None,
        )

    def submission(self, request: Request, identity: str) -> Response:
        record, sent = self._database.read(lambda transaction: _whole(transaction, identity))
        view = View.asked(request.args)
        return _page("inbox/submission.html", view=view, record=record, about=record.submission, sent=sent)

    def mark(self, request: Request) -> Response:
        """Mark submissions as read, or as unread, and go back to where that was asked for."""
        if not is_own(request):
            raise HTTPError(403, "This came from another site.")
        form = request.form
        ids = list(filter(_ID.fullmatch, form.get_all("id")))
        read = form.get("as", "") != "unread"
        self._database.write(lambda transaction: mark_seen(transaction, ids, read))
        query = View.asked(form).query
        return redirect(f"submission/{ids[0]}{query}" if form.get("stay", "") and ids else f"./{query}")

    def file(self, request: Request, identity: str, number: int) -> Response:
        """A file, to be saved."""
        found, content = self._database.read(lambda transaction: _content(transaction, identity, number))
        media_type = found.media_type if found.media_type in _HARMLESS else _ANY
        name = plain_line(found.name) or f"{identity}-{number}"
        return _download(content, name, media_type)

    def export(self, request: Request, kind: str) -> Response:
        """All that the table would show, as a file."""
        if kind not in _EXPORTS:
            raise HTTPError(404)
        wanted = View.asked(request.args).wanted
        content = self._database.read(lambda transaction: _spooled(Export(transaction, wanted, kind).lines()))
        return _download(content, f"inbox.{kind}", _EXPORTS[kind])


# ---- from the database


def _seen(transaction: Transaction, view: View) -> tuple[list[Row], list[Totals], list[Totals]]:
    """The rows of the table, one more than it shows; all forms; and what is wanted of them."""
    found = page(transaction, view.wanted, before=view.before, limit=_SHOWN + 1)
    rows = [_row(record) for record in records(transaction, found)]
    return rows, totals(transaction), totals(transaction, view.wanted)


def _row(record: Record) -> Row:
    values = [" ".join(value.split()) for _, value in record.submission.fields]
    said = [value for value in values if value]
    return Row(record, *([said[0], " · ".join(said[1:])] if said else ["", ""]))


def _whole(transaction: Transaction, identity: str) -> tuple[Record, list[Delivery]]:
    found = find(transaction, identity) if _ID.fullmatch(identity) else None
    if found is None:
        raise HTTPError(404, "There is no such submission; perhaps it was deleted.")
    return next(records(transaction, [found])), list(deliveries(transaction, identity))


def _content(transaction: Transaction, identity: str, number: int) -> tuple[StoredFile, SpooledFile]:
    found = files_of(transaction, identity) if _ID.fullmatch(identity) else []
    for file in found:
        if file.number == number:
            return file, _spooled(pieces(transaction, identity, number))
    raise HTTPError(404, "There is no such file; perhaps it was deleted.")


def _spooled(content: Iterable[bytes]) -> SpooledFile:
    """Content of any length, on disk if it is long: a slow client must not keep a connection to the database."""
    file = SpooledFile(None, "", "", "")
    try:
        for piece in content:
            file.write(piece)
        file.complete()
    except BaseException:
        file.close()
        raise
    return file


# ---- answers


def _page(name: str, **context: Any) -> Response:
    helpers: dict[str, Any] = {
        "local": local,
        "moment": moment,
        "plain_line": plain_line,
        "readable_size": readable_size,
    }
    return bundled().response(name, headers=_HEADERS, **helpers, **context)


def _download(file: SpooledFile, name: str, media_type: str) -> Response:
    with file.file:
        body: bytes | Content
        if file.size <= SPOOLED:
            body = file.file.read()
        else:
            # What is made of it has a descriptor of its own.
            opened = OpenFile(os.dup(file.file.fileno()))
            body = file_producer(opened, 0, file.size)
            opened.release()
    headers = [("Content-Disposition", saved_as(name)), *_DOWNLOAD]
    return Response(body, 200, headers, content_type=media_type, length=file.size)
