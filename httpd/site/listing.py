"""A folder's page: HTML, JSON or plain text, as the client prefers, sorted and filtered as the query says.

A folder of up to WHOLE entries is listed at once, within a few milliseconds.  Its entity-tag is a hash of what is
sent, so it is another whenever anything that is shown is another; the folder's own time would not tell of changes in
its files.  A bigger one is read and sorted in slices, so that nobody else has to wait for it; then its head goes out,
and the rest is written in slices while it is sent, and ends with the connection.  The tag of such a one is weak: a hash
of what was read of its entries, whatever the order in which the disk gave them.  One of more entries than are sorted in
one go has none, for its head goes out before all of them are read.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from itertools import chain, islice

from ..net.producers import bytes_producer, composite_producer, sliced_producer
from ..protocol.errors import HTTPError, Promised
from ..protocol.message import Headers, Request, Response
from ..protocol.negotiation import best
from ..protocol.validators import evaluate
from .entries import Entry, Folder, View, in_order, scan
from .listing_forms import HtmlForm, JsonForm, ListingForm, Tally, TextForm
from .readme import HEADER, README, ToldBy
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
    there is too much to do.  Raises Promised for a long one, and gives its answer when asked again.
    """
    prepared = None if request.waited_for is None else request.waited_for.take()
    if prepared is not None:
        os.close(fd)
        return _given(prepared)
    found = scan(folder, fd)
    # Once it has begun, it closes the folder, whatever happens.
    first = list(islice(found, WHOLE + 1))
    view, tally = View.of(request.args), Tally()
    header, readme = ToldBy(folder, HEADER), ToldBy(folder, README)
    form: ListingForm
    match best(request.headers.get("accept"), ("text/html", "application/json", "text/plain")):
        case "application/json":
            form = JsonForm(request.path, view, tally)
        case "text/plain":
            form = TextForm()
        case _:
            form = HtmlForm(request.path, view, tally, archives=archives, header=header, readme=readme)
    answer = _Answer(form, request.method, request.headers)
    entries = header.look_among(readme.look_among(chain(first, found)))
    if len(first) > WHOLE:
        state = _State(form, view)
        steps = _written(form, tally, in_order(state.look_among(entries), view))
        raise Promised(_Reading(_long.begin(steps), state, answer))
    content = b"".join(_written(form, tally, in_order(entries, view)))
    return answer(content, f'"{content_digest([content])}"')


def _given(answer: Response | HTTPError) -> Response:
    """The answer that was promised.  Raises it where it is an error."""
    if isinstance(answer, HTTPError):
        raise answer
    return answer


def _written(form: ListingForm, tally: Tally, entries: Iterator[Entry | None]) -> Generator[bytes]:
    """The listing, in little steps: nothing as long as the entries are read, then its text."""
    first = None
    for first in entries:
        if first is not None:
            break
        yield b""
    yield form.begin().encode("utf-8", "replace")
    batch: list[Entry] = []
    for entry in chain([first], entries, [None]):
        if entry is not None:
            batch.append(entry)
        if batch and (entry is None or len(batch) == _BATCH):
            tally.count(batch)
            yield form.rows(batch).encode("utf-8", "replace")
            batch = []
        elif entry is None:
            yield b""
    yield form.end().encode("utf-8", "replace")


class _Answer:
    """What a request for a listing gets: the content, or word that it has it, or that its condition does not hold."""

    def __init__(self, form: ListingForm, method: str, headers: Headers) -> None:
        self._form = form
        self._method = method
        self._headers = headers

    def __call__(self, content: bytes | composite_producer, etag: str) -> Response:
        """The response, with a tag or, where that is "", without.  Raises HTTPError 412."""
        tag = [("ETag", etag)] * bool(etag)
        status = evaluate(self._method, self._headers, etag, None)
        if status == 412:
            raise HTTPError(412)
        if status == 304:
            return Response(b"", 304, [*_CACHING, *tag])
        lines = [*_HEADERS, *self._form.headers, *tag]
        return Response(content, 200, lines, content_type=self._form.content_type)


class _State:
    """What tells one state of a long listing, in this form and view, from another: found out while it is read."""

    def __init__(self, form: ListingForm, view: View) -> None:
        from hashlib import sha256

        self._hash = sha256
        self._form = form
        self._view = view
        self._sum = 0
        self._is_whole = False

    def look_among(self, entries: Iterable[Entry | None]) -> Iterator[Entry | None]:
        """These entries, handed on."""
        for entry in entries:
            if entry is not None:
                # A sum, for it is the same in whatever order they come.
                self._sum += int.from_bytes(self._hash(repr(entry[:]).encode()).digest(), "big")
            yield entry
        self._is_whole = True

    @property
    def etag(self) -> str:
        """The tag, "" as long as there is more to be read."""
        if not self._is_whole:
            return ""
        told = f"{self._form.content_type} {self._view.query} {self._sum:x}\n{self._form.begin()}"
        return f'W/"{content_digest([told.encode("utf-8", "replace")])}"'


class _Reading:
    """The work for a long listing until its head can go out: a slice of it in each turn of the loop."""

    def __init__(self, body: sliced_producer, state: _State, answer: _Answer) -> None:
        self._body = body
        self._state = state
        self._answer = answer

    def __call__(self, later: Promised) -> None:
        try:
            data = self._body.more()
            if data is None:
                later.call(self, later)
            else:
                later.answer(self._read(data))
        except Exception as error:
            self._body.close()
            later.done(error)

    def _read(self, beginning: bytes) -> Response | HTTPError:
        """The answer, now that all is read, or as much as is sorted in one go; this is its beginning."""
        body = composite_producer([bytes_producer(beginning), self._body])
        try:
            response = self._answer(body, self._state.etag)
        except HTTPError as error:
            body.close()
            return error
        if response.status == 304:
            body.close()
        return response
