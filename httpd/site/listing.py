"""A folder's page: HTML, JSON or plain text, as the client prefers, sorted and filtered as the query says.

A folder of up to WHOLE entries is listed at once, within a few milliseconds.  Its entity-tag is a hash of what is
sent, so it is another whenever anything that is shown is another; the folder's own time would not tell of changes in
its files.  A bigger one is read, sorted and written in slices while it is sent, so that nobody else has to wait for
it.  It ends with the connection, and has no validator: nothing is known of its state before its head goes out.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import chain, islice

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from ..protocol.negotiation import best
from ..protocol.validators import evaluate
from .entries import Entry, Folder, View, in_order, scan
from .listing_forms import HtmlForm, JsonForm, ListingForm, Tally, TextForm
from .readme import ReadmeOf
from .slices import LongAnswers
from .tags import content_digest

__all__ = ["WHOLE", "listing"]

WHOLE = 500
# How many entries are written in one step.
_BATCH = 50

_CACHING = [("Vary", "Accept"), ("Cache-Control", "no-cache")]
_HEADERS = [*_CACHING, ("X-Content-Type-Options", "nosniff")]

# Each may hold entries.MOST of them.
_long = LongAnswers(8)


def listing(folder: Folder, fd: int, request: Request, *, archives: bool) -> Response:
    """The listing of a folder that is open as `fd`, which is taken over; with links to its `archives`, or without.

    Raises HTTPError: 400 for a query that asks for what there is not, 412 where a condition does not hold, 503 where
    there is too much to do.
    """
    found = scan(folder, fd)
    # Once it has begun, it closes the folder, whatever happens.
    first = list(islice(found, WHOLE + 1))
    view, tally, readme = View.of(request.args), Tally(), ReadmeOf(folder)
    form: ListingForm
    match best(request.headers.get("accept"), ("text/html", "application/json", "text/plain")):
        case "application/json":
            form = JsonForm(request.path, view, tally)
        case "text/plain":
            form = TextForm()
        case _:
            form = HtmlForm(request.path, view, tally, archives=archives, readme=readme)
    steps = _written(form, tally, in_order(readme.look_among(chain(first, found)), view))
    headers = [*_HEADERS, *form.headers]
    if len(first) > WHOLE:
        return Response(_long.begin(steps), 200, headers, content_type=form.content_type)
    content = b"".join(steps)
    etag = f'"{content_digest([content])}"'
    status = evaluate(request.method, request.headers, etag, None)
    if status == 412:
        raise HTTPError(412)
    if status == 304:
        return Response(b"", 304, [*_CACHING, ("ETag", etag)])
    return Response(content, 200, [*headers, ("ETag", etag)], content_type=form.content_type)


def _written(form: ListingForm, tally: Tally, entries: Iterable[Entry | None]) -> Generator[bytes]:
    """The listing, in little steps."""
    yield form.begin().encode("utf-8", "replace")
    batch: list[Entry] = []
    for entry in chain(entries, [None]):
        if entry is not None:
            batch.append(entry)
        if batch and (entry is None or len(batch) == _BATCH):
            tally.count(batch)
            yield form.rows(batch).encode("utf-8", "replace")
            batch = []
        elif entry is None:
            yield b""
    yield form.end().encode("utf-8", "replace")
