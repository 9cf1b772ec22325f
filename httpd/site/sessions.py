"""Sessions: what a site keeps for one client from request to request.

    site = Sessions(router, os.environ["SESSION_KEY"])

    @router.post("/login")
    def login(request):
        ...
        request.session.renew()
        request.session["user"] = name
        return redirect("/")

A session is a dict of what JSON knows, kept by the client itself in a signed cookie.  Whoever has the cookie can read
it and cannot change it, and it cannot be taken back before it expires; `httpd.sessions` keeps sessions in a database,
where they can be.  Of several keys the first signs, and all are recognised: a new one is put before the old.  A cookie
that is signed by none, or has expired, is none: the session is a new one.

Of two requests at once the answer that comes last says what the cookie is.  A generator that goes on when the head is
sent can read the session, but not change it any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from ..packages import needs
from ..protocol.cookies import cookie_values, set_cookie
from ..protocol.errors import HTTPError
from ..protocol.message import Request, Response, replaced
from .answers import as_response
from .wrapping import Around

__all__ = ["Session", "SessionSite", "Sessions", "given"]

_DAY = 86_400.0
# Browsers keep cookies of 4,096 bytes, name and value together, and some count more with them.
_MOST_BYTES = 4_000
# After which part of its time without a request a session is said to go on: a cookie in every answer would be too many.
_REFRESHED = 1 / 8
_SHORTEST_KEY = 16
_FORM_FIELD, _HEADER = "csrf_token", "X-CSRF-Token"


class Session(MutableMapping[str, Any]):
    """What is kept for one client: names, and what JSON knows.

    `began` and `seen` are seconds since 1970; `ident` names a session that is kept here, and is "" for others;
    `used` says whether it was looked at, `keeping` whether it is being kept.
    """

    def __init__(self, data: dict[str, Any], csrf: str, began: float, seen: float, ident: str = "") -> None:
        self._data = data
        self._csrf = csrf
        self.began = began
        self.seen = seen
        self.ident = ident
        self.used = False
        self.renewed = False
        self.keeping = False
        self.before = self.dumped()

    def __getitem__(self, name: str) -> Any:
        self.used = True
        return self._data[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.used = True
        self._data[name] = value

    def __delitem__(self, name: str) -> None:
        self.used = True
        del self._data[name]

    def __iter__(self) -> Iterator[str]:
        self.used = True
        return iter(self._data)

    def __len__(self) -> int:
        self.used = True
        return len(self._data)

    def renew(self) -> None:
        """Go on under a new name and with a new token: for whenever somebody logs in, or may do more than before.

        Who has known the session's name until now, and may have given it to the client, knows it no longer.
        """
        self.used = self.renewed = True
        self._csrf = ""

    def end(self) -> None:
        """Log out: nothing is kept any more."""
        self.used = True
        self._csrf = ""
        self._data.clear()

    @property
    def csrf_token(self) -> str:
        """What every form of the site carries in a hidden field `csrf_token`; `check_csrf` asks for it."""
        self.used = True
        if not self._csrf:
            from secrets import token_urlsafe

            self._csrf = token_urlsafe(24)
        return self._csrf

    def check_csrf(self, request: Request) -> None:
        """Raise HTTPError 403 for a request that was not made by a page of this session.

        Its token is a field of the form, or the field line `X-CSRF-Token` that a script sends.
        """
        from hmac import compare_digest

        self.used = True
        given = request.headers.get(_HEADER) or request.form.get(_FORM_FIELD)
        if not self._csrf or not compare_digest(given.encode(), self._csrf.encode()):
            raise HTTPError(403, "The form is no longer valid.  Please open the page anew, and send it again.")

    @property
    def changed(self) -> bool:
        """Whether there is something new to keep."""
        return self.renewed or self.dumped() != self.before

    @property
    def empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not self._data and not self._csrf

    def dumped(self) -> str:
        """All that is to be kept, as JSON; what is changed within a value shows, too.  Raises TypeError."""
        from json import dumps

        return dumps([self._data, self._csrf], separators=(",", ":"), sort_keys=True)


class SessionSite(Around):
    """A site whose handlers find the client's session in `request.session`; derived classes say how it is kept.

    A session ends after `idle` seconds without a request, and `longest` seconds after it began or was renewed.  Its
    cookie is `name`; over TLS it is Secure and its name begins with "__Host-", which nobody but this host can set.
    `clock()` gives seconds since 1970.
    """

    def __init__(
        self,
        site: Callable[..., Response],
        *,
        idle: float = 14 * _DAY,
        longest: float = 90 * _DAY,
        name: str = "session",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(site)
        self.idle = idle
        self.longest = longest
        self.name = name
        self.clock = clock

    def __call__(self, request: Request, *below: str) -> Response:
        """The site's answer, and what the client is to send from now on.  Raises what the site raises."""
        if not request.has_session:
            # The site is asked again where it waits for something, and goes on with the same.
            request.session = self.load(request)
        answer: Response | HTTPError
        try:
            answer = as_response(self.site(request, *below), self.site)
        except HTTPError as error:
            answer = error
        return self.keep(request, request.session, answer)

    def load(self, request: Request) -> Session:
        """The session that a request belongs to; a new one where there is none."""
        raise NotImplementedError("must be implemented in subclass")

    def keep(self, request: Request, session: Session, answer: Response | HTTPError) -> Response:
        """Keep what has changed, and give the answer: `told`."""
        raise NotImplementedError("must be implemented in subclass")

    def new(self) -> Session:
        """A session that nobody has yet."""
        now = self.clock()
        return Session({}, "", now, now)

    def lasts(self, began: float, seen: float) -> float:
        """How many seconds a session still goes on that was last seen then; 0 or less if it has ended."""
        return min(seen + self.idle, began + self.longest) - self.clock()

    def is_due(self, session: Session) -> bool:
        """Whether it is to be said again that a session goes on."""
        return self.clock() - session.seen > self.idle * _REFRESHED

    # ---- the cookie

    def cookies(self, request: Request) -> Iterator[str]:
        """What a request says that the session's cookie is."""
        return cookie_values(request.headers.get("cookie"), self._cookie_name(request))

    def _cookie_name(self, request: Request) -> str:
        return f"__Host-{self.name}" if request.scheme == "https" else self.name

    def told(
        self, request: Request, session: Session, answer: Response | HTTPError, value: str | None
    ) -> Response | HTTPError:
        """The answer with the cookie's value; "" takes it back, None says nothing."""
        lines: list[tuple[str, str]] = []
        if value is not None:
            age = max(1, round(self.lasts(session.began, self.clock()))) if value else 0
            lines.append(set_cookie(self._cookie_name(request), value, max_age=age, secure=request.scheme == "https"))
        if not lines and not session.used:
            return answer
        lines.append(("Vary", "Cookie"))
        said = " ".join(each for name, each in answer.headers if name.lower() == "cache-control").lower()
        if "private" not in said and "no-store" not in said:
            # It is one client's: nobody else may be given it.
            lines.append(("Cache-Control", "private, no-cache"))
        return _with(answer, lines)


class Sessions(SessionSite):
    """A site with sessions that the clients keep, in signed cookies; `keys` are secrets, the first of them signs.

    Raises ValueError for a key that is too short to be a secret, and ImportError where the package itsdangerous is not
    installed.
    """

    def __init__(self, site: Callable[..., Response], keys: str | Iterable[str], **more: Any) -> None:
        super().__init__(site, **more)
        from hashlib import sha256

        try:
            from itsdangerous import BadData, URLSafeSerializer
        except ImportError:
            raise ImportError(needs("Sessions", "itsdangerous")) from None

        keys = [keys] if isinstance(keys, str) else [*keys]
        if not keys or any(len(key) < _SHORTEST_KEY for key in keys):
            raise ValueError(f"a key is a secret of {_SHORTEST_KEY} letters or more")
        self._bad: type[Exception] = BadData
        # The last of its keys signs.
        settings = {"digest_method": sha256, "key_derivation": "hmac"}
        self._signer = URLSafeSerializer(keys[::-1], salt="httpd.session", signer_kwargs=settings)

    def load(self, request: Request) -> Session:
        """The first good one of those that the request brings."""
        for value in self.cookies(request):
            session = self._read(value)
            if session is not None:
                return session
        return self.new()

    def keep(self, request: Request, session: Session, answer: Response | HTTPError) -> Response:
        """The answer, with a cookie if there is something new to say.  Raises ValueError for what fits in no cookie."""
        value = None
        if session.used and session.empty:
            value = "" if any(self.cookies(request)) else None
        elif session.used and (session.changed or self.is_due(session)):
            value = self._signed(session)
        return given(self.told(request, session, answer, value))

    def _read(self, value: str) -> Session | None:
        try:
            data, csrf, began, seen = self._signer.loads(value)
        except (self._bad, ValueError, TypeError):
            return None
        return Session(data, csrf, began, seen) if self.lasts(began, seen) > 0 else None

    def _signed(self, session: Session) -> str:
        from json import loads

        now = round(self.clock())
        if session.renewed:
            session.began = now
        value = str(self._signer.dumps([*loads(session.dumped()), round(session.began), now]))
        if len(self.name) + len(value) > _MOST_BYTES:
            raise ValueError(
                f"the session takes {len(value)} bytes as a cookie, and browsers keep {_MOST_BYTES}: keep less in it, "
                "or keep it in a database (httpd.sessions)"
            )
        return value


def given(answer: Response | HTTPError) -> Response:
    """The answer.  Raises it where it is an error."""
    if isinstance(answer, HTTPError):
        raise answer
    return answer


def _with(answer: Response | HTTPError, lines: list[tuple[str, str]]) -> Response | HTTPError:
    """An answer with field lines more; itself it may be given to others, too."""
    headers = replaced(answer.headers, lines)
    if isinstance(answer, HTTPError):
        return HTTPError(answer.status, answer.detail, headers, fields=answer.fields)
    return Response(answer.body, answer.status, headers, length=answer.length)
