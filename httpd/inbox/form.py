"""A form at a path: it is shown, what is sent to it is checked, stored, and then acknowledged.

Nobody is told that it has arrived before the disk has it.  Whoever cannot be told that gets back what was typed, and
sends it again: the token in the page sees to it that it is stored once, however often it comes, and to whichever
process.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial

from ..net.report import Reporter
from ..protocol.cookies import cookie_values, set_cookie
from ..protocol.errors import Blocking, HTTPError, Promised
from ..protocol.grammar import late
from ..protocol.message import Request, Response, redirect
from ..site.uploads import Body
from ..store.database import Database
from .checks import Checked, check
from .declared import TOKEN, Declaration
from .keeping import Arrived, Keeper, Then
from .origins import is_own
from .pages import Pages
from .sent import TYPES, Sent, read, wants_json
from .submissions import Kept, new_submission
from .tokens import LONGEST, Token, Tokens

__all__ = ["FormHandler"]

logger = Reporter("httpd.inbox")

# The cookie that a signed token belongs to, and what one is like.
_COOKIE = "httpd-form"
_COOKIES = late("[A-Za-z0-9_-]{22}")

# What is read beyond the most that may be sent, in bytes, where there may be files: whoever has chosen a photo as a
# telephone makes it is told so at its field, and has the letter back.  What is larger still is refused unread.
_SPARE = 16 << 20

_FOREIGN = "This came from another site. If you have written it, please send it from here."
_OLD = "This page was open for too long, or its cookie is missing. Please send it once more."
_FAST = "That was quick for a person. Please look it over, and send it once more."
_CLOSED = "This cannot be kept at the moment, so it was not taken. Please send it again in a little while."


class FormHandler:
    """Shows a form, and takes what is sent to it, into a database that has the inbox's tables.

    `client` says what counts as one client, given an address; `then` is done in the same transaction as each new
    submission, and `afterwards` called when that is durable, in the database's thread.  `clock` gives seconds since
    1970.
    """

    def __init__(
        self,
        declaration: Declaration,
        database: Database,
        *,
        tokens: Tokens | None = None,
        client: Callable[[str], str | bytes] = str,
        then: Then = lambda transaction, submission: None,
        afterwards: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.declaration = declaration
        self.body = Body(declaration.size + (_SPARE if declaration.files else 0), types=TYPES)
        self._pages = Pages(declaration)
        self._tokens = tokens or Tokens(clock)
        self._client = client
        self._afterwards = afterwards
        self._clock = clock
        self._keeper = Keeper(database, declaration.rate, then)

    # ---- showing it

    def show(self, request: Request) -> Response:
        """The form, or for a program what it asks for."""
        if self.declaration.page:
            return redirect(self.declaration.page)
        make = self._pages.described if wants_json(request) else self._pages.form
        return self._with_token(request, make)

    def thanks(self, request: Request) -> Response:
        """What is seen when it was sent."""
        return self._pages.thanks()

    def _with_token(self, request: Request, make: Callable[[str], Response], kept: str = "") -> Response:
        """A page with a token, an earlier one or a new one; and with the cookie that it needs."""
        cookie = _cookie(request)
        lines = []
        if self._tokens.needs_cookie:
            cookie = cookie or secrets.token_urlsafe(16)
            secure, path = request.scheme == "https", self.declaration.path
            lines.append(set_cookie(_COOKIE, cookie, max_age=LONGEST, secure=secure, path=path))
        response = make(kept or self._tokens.make(cookie))
        response.headers.extend(lines)
        return response

    # ---- taking what is sent

    def take(self, request: Request) -> Response:
        """Store a submission and say so, or say why not.  Raises Promised, and HTTPError for what is no form at all."""
        done = request.waited_for
        outcome = None if done is None else done.take()
        if outcome is not None:
            return self._answer(request, *outcome)
        sent = read(request)
        honeypot = self.declaration.honeypot
        if honeypot and any(sent.form.get_all(honeypot)):
            logger.info("the hidden field of %s was filled in: not stored", self.declaration.path)
            return self._accepted(sent, new_submission("", self._now(), "", "", ()).id)
        try:
            token = self._require_good(request, sent)
            checked = check(self.declaration, sent.form, sent.files)
            if checked.errors:
                return self._refused(request, sent, HTTPError(422, checked.errors.get("", "")), checked.errors)
            self._require_time(token)
        except HTTPError as error:
            return self._refused(request, sent, error)
        arrived = self._arrived(request, sent, checked, token)
        if arrived.is_large:
            raise Blocking(partial(self._store_large, sent, arrived))
        raise Promised(partial(self._store, sent, arrived))

    def _now(self) -> int:
        return int(self._clock() * 1_000_000)

    def _require_good(self, request: Request, sent: Sent) -> Token | None:
        """The token of a submission that a person may have sent from here.  Raises HTTPError 403."""
        if not is_own(request, self.declaration.origins):
            raise HTTPError(403, _FOREIGN)
        token = self._tokens.read(sent.form.get(TOKEN), _cookie(request))
        if token is None and self._tokens.needs_cookie:
            raise HTTPError(403, _OLD)
        return token

    def _require_time(self, token: Token | None) -> None:
        """Raise HTTPError 422 for who was faster than a person."""
        needed = self.declaration.fill_time
        if needed and (token is None or self._clock() - token.made < needed):
            raise HTTPError(422, _FAST)

    def _arrived(self, request: Request, sent: Sent, checked: Checked, token: Token | None) -> Arrived:
        client = self._client(request.peer) if request.peer else ""
        return Arrived(
            new_submission(self.declaration.path, self._now(), request.peer, "", checked.fields),
            checked.files,
            client=client if isinstance(client, str) else client.hex(),
            key=sent.key,
            nonce=token.nonce if token else "",
            # A page of the site's own has no token.
            sender=f"{request.peer} {request.headers.get('user-agent')}" if self.declaration.page else "",
        )

    def _store(self, sent: Sent, arrived: Arrived, later: Promised) -> None:
        """Have it stored; the answer is there when it is durable, or cannot be."""

        def done(kept: Kept | None, error: BaseException | None) -> None:
            if kept is not None and kept.is_new:
                self._afterwards()
            later.answer((sent, kept, error))

        try:
            self._keeper.begin(arrived, done)
        except HTTPError as error:
            later.answer((sent, None, error))

    def _store_large(self, sent: Sent, arrived: Arrived, later: Blocking) -> None:
        """The same in a thread."""
        try:
            kept = self._keeper.keep_large(arrived)
        except Exception as error:
            later.answer((sent, None, error))
            return
        if kept.is_new:
            self._afterwards()
        later.answer((sent, kept, None))

    # ---- answering

    def _answer(self, request: Request, sent: Sent, kept: Kept | None, error: BaseException | None) -> Response:
        """What the client gets when the database has said what has come of it."""
        if kept is not None:
            return self._accepted(sent, kept.submission.id)
        if not isinstance(error, HTTPError):
            logger.error("storing what was sent to %s failed", self.declaration.path, exc_info=error)
            error = HTTPError(500, _CLOSED)
        elif error.status == 503:
            error = HTTPError(503, _CLOSED, error.headers)
        return self._refused(request, sent, error)

    def _accepted(self, sent: Sent, identity: str) -> Response:
        if sent.as_json:
            return self._pages.accepted(identity)
        return redirect(self.declaration.thanks or self.declaration.path + "/sent")

    def _refused(
        self, request: Request, sent: Sent, error: HTTPError, errors: Mapping[str, str] | None = None
    ) -> Response:
        """Why not; a person gets back what was typed."""
        if sent.as_json:
            told = error.detail or "Some fields are not as they should be."
            return self._pages.problem(error.status, told, errors or {}, error.headers)
        said = sent.form.get(TOKEN)
        kept = said if self._tokens.read(said, _cookie(request)) else ""
        make = partial(
            self._pages.form,
            values=sent.values,
            errors=errors,
            told=error.detail,
            status=error.status,
            headers=error.headers,
        )
        return self._with_token(request, make, kept)


def _cookie(request: Request) -> str:
    values = cookie_values(request.headers.get("cookie"), _COOKIE)
    return next(filter(_COOKIES.fullmatch, values), "")
