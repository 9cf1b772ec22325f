"""Sessions in a mapping: the `sessions` that the documented handler takes.

    sessions = {}
    Server(router, sessions=sessions)

The client has but a name, a secret of 256 bits; the mapping has what is kept, by the name's hash, so nobody who sees it
can pretend to be somebody.  A dict lasts as long as the process and is one process's own; whoever removes a key has
ended a session.  Of two requests at once, the answer that comes last says what is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, MutableMapping
from json import loads
from typing import Any

from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response
from .sessions import Session, SessionSite, given

__all__ = ["HeldSessions"]

# How many are held: those that were used longest ago are forgotten first.
_MOST = 10_000


class HeldSessions(SessionSite):
    """A site with sessions that are held in `sessions`: by the hash of its name the JSON of each, and the times when it
    began and was last seen.
    """

    def __init__(self, site: Callable[..., Response], sessions: MutableMapping[str, Any], **more: Any) -> None:
        super().__init__(site, **more)
        self._sessions = sessions

    def load(self, request: Request) -> Session:
        """The first one that is held of those that the request names."""
        for name in self.cookies(request):
            ident = _hash(name)
            held, began, seen = self._sessions.get(ident, ("", 0, 0))
            if held and self.lasts(began, seen) > 0:
                data, csrf = loads(held)
                return Session(data, csrf, began, seen, ident)
        return self.new()

    def keep(self, request: Request, session: Session, answer: Response | HTTPError) -> Response:
        """The answer, when what has changed is held."""
        name = None
        if session.used and session.empty:
            self._sessions.pop(session.ident, None)
            name = "" if any(self.cookies(request)) else None
        elif session.used and (session.changed or self.is_due(session)):
            name = self._name(request, session)
            if name:
                self._hold(name, session)
        return given(self.told(request, session, answer, name))

    def _name(self, request: Request, session: Session) -> str:
        """The name that it goes on under, "" if it was ended meanwhile."""
        was_held = self._sessions.get(session.ident) is not None
        if session.ident and not session.renewed:
            return next(name for name in self.cookies(request) if _hash(name) == session.ident) if was_held else ""
        session.began = round(self.clock())
        return secrets.token_urlsafe(32)

    def _hold(self, name: str, session: Session) -> None:
        # Held anew, it stands after all that were used before.
        self._sessions.pop(session.ident, None)
        self._sessions[_hash(name)] = session.dumped(), round(session.began), round(self.clock())
        if len(self._sessions) > _MOST:
            del self._sessions[next(iter(self._sessions))]


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
