"""Sessions in a database: the client has but a name, and whatever the name stands for can be taken back.

    database = open_database("sqlite:site.db", [SCHEMA])
    site = StoredSessions(router, database, owner="user")

The name is a secret of 256 bits; the database knows only its hash, so who reads the database is nobody.  A session
that has changed is durable before the answer is sent.  Of two requests at once each keeps the names that it has
changed: both changes hold, and of two to the same name the later.  Changes to a session that was ended meanwhile are
lost with it.

Loading and keeping wait for the database beside the loop.  Listing and ending sessions of others wait where they are
called: in a handler that is marked as blocking, or in a program.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..net.producers import close_producer
from ..protocol.errors import Blocking, HTTPError, Promised
from ..protocol.message import Request, Response
from ..site.blocking import what_comes_of
from ..site.sessions import Session, SessionSite, given
from ..store.database import Database
from ..store.schema import Schema, Transaction

__all__ = ["SCHEMA", "Kept", "StoredSessions"]

# `id` is the hash of the name that the client has; times are in seconds since 1970.
SCHEMA = Schema(
    "sessions",
    [
        """
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            owner TEXT NOT NULL,
            data TEXT NOT NULL,
            csrf TEXT NOT NULL,
            began BIGINT NOT NULL,
            seen BIGINT NOT NULL
        );
        CREATE INDEX sessions_by_owner ON sessions (owner);
        CREATE INDEX sessions_by_seen ON sessions (seen);
        CREATE INDEX sessions_by_began ON sessions (began);
        """
    ],
)


class Kept(NamedTuple):
    """A session that goes on, as its owner may see it; `ident` names it and opens nothing."""

    ident: str
    began: int
    seen: int


class StoredSessions(SessionSite):
    """A site with sessions that are kept in a database; the rest is as in `Sessions`.

    `owner` is the name in the session that says whose it is, once there is such a name.
    """

    def __init__(self, site: Callable[..., Response], database: Database, *, owner: str = "user", **more: Any) -> None:
        super().__init__(site, **more)
        self._database = database
        self._owner = owner

    # ---- for whoever looks after sessions

    def of(self, owner: str) -> list[Kept]:
        """The sessions of somebody that go on, the last used first.  Raises Unavailable, as all of these."""
        sql = "SELECT id, began, seen FROM sessions WHERE owner = ? ORDER BY seen DESC, id"
        rows = self._database.read(lambda transaction: transaction.execute(sql, (owner,)))
        return [Kept(*row) for row in rows if self.lasts(row[1], row[2]) > 0]

    def end(self, ident: str) -> None:
        """End a session."""
        self._database.write(lambda transaction: transaction.execute("DELETE FROM sessions WHERE id = ?", (ident,)))

    def end_all(self, owner: str, but: str = "") -> None:
        """Log somebody out everywhere, `but` for one session."""
        sql = "DELETE FROM sessions WHERE owner = ? AND id <> ?"
        self._database.write(lambda transaction: transaction.execute(sql, (owner, but)))

    def healthy(self) -> bool:
        """Whether sessions can be read, and whether the site is well.  It waits."""
        self._database.read(lambda transaction: transaction.execute("SELECT 1"))
        site: Callable[[], bool] | None = getattr(self.site, "healthy", None)
        return site is None or site()

    # ---- a request

    def load(self, request: Request) -> Session:
        """The session whose name the request brings.  Raises Blocking, and Unavailable."""
        name = next(self.cookies(request), "")
        if not name:
            return self.new()
        found: Any = what_comes_of(request, partial(self._find, _hash(name)))
        return found[0]  # type: ignore[no-any-return]

    def _find(self, ident: str, later: Blocking) -> None:
        sql = "SELECT data, csrf, began, seen FROM sessions WHERE id = ?"
        try:
            rows = self._database.read(lambda transaction: transaction.execute(sql, (ident,)))
        except HTTPError as error:
            later.answer(error)
            return
        for data, csrf, began, seen in rows:
            if self.lasts(began, seen) > 0:
                later.answer((Session(json.loads(data), csrf, began, seen, ident),))
                return
        later.answer((self.new(),))

    def __call__(self, request: Request, *below: str) -> Response:
        """The site's answer, when what has changed in the session is durable.  Raises as the site, and Promised."""
        if request.has_session and request.session.keeping:
            answer = None if request.waited_for is None else request.waited_for.take()
            if isinstance(answer, BaseException):
                raise answer
            return answer  # type: ignore[return-value]
        return super().__call__(request, *below)

    def keep(self, request: Request, session: Session, answer: Response | HTTPError) -> Response:
        """Have it kept if it has changed.  Raises Promised, for the answer to be given then."""
        if session.used and (session.changed or self.is_due(session)) and (session.ident or not session.empty):
            session.keeping = True
            raise Promised(partial(self._begin, request, answer))
        stray = session.used and not session.ident and any(self.cookies(request))
        return given(self.told(request, session, answer, "" if stray else None))

    def _begin(self, request: Request, answer: Response | HTTPError, later: Promised) -> None:
        session = request.session
        name = next(self.cookies(request), "") if session.ident and not session.renewed else secrets.token_urlsafe(32)
        change = _Change(session, name, self._owner, round(self.clock()))

        def then(exists: bool | None, error: BaseException | None) -> None:
            if error is not None and isinstance(answer, Response):
                close_producer(answer.body)
            # With every change the session lasts longer, so its cookie must.
            later.answer(error or self.told(request, session, answer, name if exists else ""))

        try:
            self._database.begin(partial(change, oldest=(self.idle, self.longest)), then)
        except HTTPError as error:
            then(None, error)


class _Change:
    """What a request has changed in its session, as work for the database; whether the session then exists."""

    def __init__(self, session: Session, name: str, owner: str, now: int) -> None:
        self.before: dict[str, Any] = json.loads(session.before)[0]
        self.after: dict[str, Any]
        self.after, self.csrf = json.loads(session.dumped())
        self.is_new = session.renewed or not session.ident
        if self.is_new:
            session.began = now
        self._empty = session.empty
        self._old = session.ident
        self._new = _hash(name)
        self._owner = owner
        self._now = now

    def __call__(self, transaction: Transaction, oldest: tuple[float, float]) -> bool:
        if self.is_new or self._empty:
            transaction.execute("DELETE FROM sessions WHERE id = ?", (self._old,))
        if self._empty:
            return False
        if self.is_new:
            self._insert(transaction)
            # Those that nobody will ask for again: looked for when there is one more.
            expired = (self._now - round(oldest[0]), self._now - round(oldest[1]))
            transaction.execute("DELETE FROM sessions WHERE seen < ? OR began < ?", expired)
            return True
        return self._update(transaction)

    def _insert(self, transaction: Transaction) -> None:
        values = (self._new, self._owned(self.after), json.dumps(self.after), self.csrf, self._now, self._now)
        transaction.execute(
            "INSERT INTO sessions (id, owner, data, csrf, began, seen) VALUES (?, ?, ?, ?, ?, ?)", values
        )

    def _update(self, transaction: Transaction) -> bool:
        """Change what this request has changed, in what is kept now."""
        locked = " FOR UPDATE" if transaction.dialect == "postgresql" else ""
        rows = transaction.execute(f"SELECT data FROM sessions WHERE id = ?{locked}", (self._old,))
        if not rows:
            return False
        kept = json.loads(rows[0][0])
        for name in {*self.before, *self.after}:
            if name not in self.after:
                kept.pop(name, None)
            elif name not in self.before or self.after[name] != self.before[name]:
                kept[name] = self.after[name]
        values = (self._owned(kept), json.dumps(kept), self.csrf, self._now, self._old)
        transaction.execute("UPDATE sessions SET owner = ?, data = ?, csrf = ?, seen = ? WHERE id = ?", values)
        return True

    def _owned(self, data: dict[str, Any]) -> str:
        # What every database takes for text.
        return str(data.get(self._owner, "")).replace("\0", "").encode("utf-8", "replace").decode()


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
