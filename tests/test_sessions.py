"""Sessions: what a site keeps for one client, in a signed cookie or in a database, and what becomes of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import HTTPError, Request, Response, Router, Sessions, blocking, text
from httpd.protocol.cookies import cookie_values, set_cookie
from httpd.sessions import SCHEMA, StoredSessions
from httpd.site import held
from httpd.site.held import HeldSessions
from httpd.store.database import Database, open_database
from httpd.store.errors import Unavailable

from .exchange import Answer, Exchange, Given, get, post, read_answers, serving, talk
from .factories import request

KEY = "a secret of many letters"
DAY = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def __call__(self) -> float:
        return self.now


class Client:
    """Asks a site, and keeps its cookie as a browser would."""

    def __init__(self, site: Callable[[Request], Response], scheme: str = "http") -> None:
        self.site = site
        self.scheme = scheme
        self.cookies: dict[str, str] = {}

    def ask(self, path: str = "/", method: str = "GET", body: bytes = b"", *fields: str) -> Answer:
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        cookie = [f"Cookie: {pairs}"] * bool(pairs)
        kind = ["Content-Type: application/x-www-form-urlencoded"] * bool(body)
        lines = [*cookie, *kind, *fields, "Accept: text/plain"]
        asked = post(body, *lines, path=path) if method == "POST" else get(path, *lines, method=method)
        answer = self.answered(asked)
        for name, morsel in SimpleCookie("".join(self.told(answer))).items():
            if morsel["max-age"] == "0":
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value
        return answer

    def answered(self, asked: bytes) -> Answer:
        def by_scheme(request: Request) -> Response:
            request.scheme = self.scheme
            return self.site(request)

        return Exchange([asked], by_scheme).answers(asked.split()[0].decode())[0]

    @staticmethod
    def told(answer: Answer) -> list[str]:
        return [value for name, value in answer.lines if name == "set-cookie"]


def shop() -> Router:
    """Handlers that use the session in every way."""
    site = Router()

    @site.get("/")
    def show(request: Request) -> Response:
        return text(repr(dict(request.session)))

    @site.get("/plain")
    def plain(request: Request) -> Response:
        return text("plain", headers=[("Cache-Control", "public, max-age=60")])

    @site.get("/add/{thing}")
    def add(request: Request, thing: str) -> Response:
        request.session.setdefault("things", []).append(thing)
        return text("added", headers=[("Cache-Control", "public, max-age=60")])

    @site.get("/set/{name}/{value}")
    def put(request: Request, name: str, value: str) -> Response:
        request.session[name] = value
        return text("set")

    @site.get("/drop/{name}")
    def drop(request: Request, name: str) -> Response:
        del request.session[name]
        raise HTTPError(410, "dropped", [("X-Own", "1")])

    @site.post("/login")
    def login(request: Request) -> Response:
        request.session.renew()
        request.session["user"] = request.form["user"]
        return text("hello")

    @site.post("/logout")
    def logout(request: Request) -> Response:
        request.session.end()
        return text("bye")

    @site.get("/token")
    def token(request: Request) -> Response:
        return text(request.session.csrf_token)

    @site.post("/change")
    def change(request: Request) -> Response:
        request.session.check_csrf(request)
        return text("changed")

    @site.get("/thread")
    @blocking
    def thread(request: Request) -> Response:
        request.session["thread"] = request.session.get("thread", 0) + 1
        return text(str(request.session["thread"]))

    return site


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:{tmp_path}/site.db", [SCHEMA])
    yield database
    database.close()


Site = Callable[[Request], Response]


@pytest.fixture(params=["signed", "held", "stored"])
def site(request: pytest.FixtureRequest, clock: Clock) -> Site:
    """The shop, with each kind of sessions."""
    if request.param == "signed":
        return Sessions(shop(), KEY, clock=clock)
    if request.param == "held":
        return HeldSessions(shop(), {}, clock=clock)
    database: Database = request.getfixturevalue("database")
    stored = StoredSessions(shop(), database, clock=clock)
    # Played without a loop, an answer is there when the call returns.
    begin: Any = lambda work, then: then(database.write(work), None)  # noqa: E731
    database.begin = begin  # type: ignore[method-assign]
    return stored


# ---- cookies


def test_a_cookie_field_is_read() -> None:
    field = "a=1; b=2=3 ;a=4;c ; =5;  d=\"x\""
    assert [*cookie_values(field, "a")] == ["1", "4"]
    assert [*cookie_values(field, "b"), *cookie_values(field, "c"), *cookie_values(field, "d")] == ["2=3", '"x"']
    assert [*cookie_values("", "a")] == []


def test_a_cookie_is_told() -> None:
    line = set_cookie("session", "abc", max_age=60, secure=True)
    assert line == ("Set-Cookie", "session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure")
    for bad in ('a"b', "a;b", "a b", "a,b", "a\\b", "ä", "a\r\nb"):
        with pytest.raises(ValueError, match="no cookie has"):
            set_cookie("session", bad, max_age=60, secure=False)


# ---- every kind


def test_what_is_kept_is_there_the_next_time(site: Site) -> None:
    client, other = Client(site), Client(site)
    assert client.ask().body == b"{}"
    assert client.cookies == {}
    client.ask("/set/name/value")
    client.ask("/set/other/2")
    assert client.ask().body == b"{'name': 'value', 'other': '2'}"
    assert other.ask().body == b"{}"


def test_what_changes_within_a_value_is_kept(site: Site) -> None:
    client = Client(site)
    for thing in ("a", "b", "c"):
        client.ask(f"/add/{thing}")
    assert client.ask().body == b"{'things': ['a', 'b', 'c']}"


def test_a_cookie_is_told_only_where_something_has_changed_and_caches_know(site: Site) -> None:
    client = Client(site)
    plain = client.ask("/plain")
    assert (client.told(plain), plain["vary"], plain["cache-control"]) == ([], "", "public, max-age=60")
    looked = client.ask()
    assert (client.told(looked), looked["vary"], looked["cache-control"]) == ([], "Cookie", "private, no-cache")
    changed = client.ask("/add/a")
    assert len(client.told(changed)) == 1
    assert (changed["vary"], changed["cache-control"]) == ("Cookie", "private, no-cache")
    assert client.told(client.ask()) == client.told(client.ask("/plain")) == []


def test_an_error_keeps_it_too(site: Site) -> None:
    client = Client(site)
    client.ask("/set/a/b")
    client.ask("/set/b/c")
    answer = client.ask("/drop/a")
    assert (answer.status, answer["x-own"], answer["vary"]) == (410, "1", "Cookie, Accept")
    assert client.ask().body == b"{'b': 'c'}"
    assert client.ask("/drop/none").status == 500


def test_the_cookie_is_as_safe_as_can_be(site: Site) -> None:
    plain, safe = Client(site), Client(site, "https")
    [told] = plain.told(plain.ask("/set/a/b"))
    assert re.fullmatch(r"session=[\w.~-]+; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax", told)
    [told] = safe.told(safe.ask("/set/a/b"))
    assert re.fullmatch(r"__Host-session=[\w.~-]+; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax; Secure", told)
    safe.cookies = {"session": safe.cookies["__Host-session"]}
    assert safe.ask().body == b"{}"


def test_it_ends_after_a_time_without_requests_and_in_any_case(site: Site, clock: Clock) -> None:
    client = Client(site)
    client.ask("/set/a/b")
    for _ in range(6):
        clock.now += 13 * DAY
        assert client.ask().body == b"{'a': 'b'}"
    [told] = client.told(client.ask("/set/b/c"))
    assert int(told.partition("Max-Age=")[2].partition(";")[0]) == 12 * DAY
    clock.now += 13 * DAY
    assert client.ask().body == b"{}"
    other = Client(site)
    other.ask("/set/a/b")
    clock.now += 15 * DAY
    assert other.ask().body == b"{}"


def test_it_goes_on_as_long_as_it_is_used(site: Site, clock: Clock) -> None:
    client = Client(site)
    client.ask("/set/a/b")
    clock.now += DAY
    assert client.told(client.ask()) == []
    clock.now += DAY
    assert len(client.told(client.ask())) == 1
    assert client.told(client.ask()) == []


def test_at_a_login_it_gets_another_name(site: Site) -> None:
    client = Client(site)
    client.ask("/set/cart/tea")
    before = dict(client.cookies)
    token = client.ask("/token").body
    client.ask("/login", "POST", b"user=ada")
    assert client.cookies != before
    assert client.ask().body == b"{'cart': 'tea', 'user': 'ada'}"
    assert client.ask("/token").body != token


def test_after_a_logout_there_is_nothing(site: Site) -> None:
    client = Client(site)
    client.ask("/login", "POST", b"user=ada")
    [told] = client.told(client.ask("/logout", "POST"))
    assert "Max-Age=0" in told
    assert client.cookies == {}
    assert client.told(client.ask("/logout", "POST")) == []


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "é", "=", ".", "x" * 3_000])
def test_a_cookie_of_somebody_else_is_none(site: Site, cookie: str) -> None:
    client = Client(site)
    client.cookies = {"session": cookie}
    answer = client.ask()
    assert (answer.status, answer.body) == (200, b"{}")
    client.ask("/set/a/b")
    assert client.ask().body == b"{'a': 'b'}"


def test_forms_carry_a_token_of_their_session(site: Site) -> None:
    client, other = Client(site), Client(site)
    token, others = client.ask("/token").body, other.ask("/token").body
    assert client.ask("/token").body == token != others
    assert client.ask("/change", "POST", b"csrf_token=" + token).body == b"changed"
    assert client.ask("/change", "POST", b"", f"X-CSRF-Token: {token.decode()}").body == b"changed"
    for wrong in (b"csrf_token=" + others, b"csrf_token=", b"csrf_token=%C3%A9", b"a=b"):
        assert client.ask("/change", "POST", wrong).status == 403
    assert Client(site).ask("/change", "POST", b"csrf_token=").status == 403


def test_a_handler_in_a_thread_has_it_as_well(site: Site) -> None:
    client = Client(site)
    assert [client.ask("/thread").body for _ in range(3)] == [b"1", b"2", b"3"]


def test_without_sessions_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert Client(shop()).ask().status == 500
    assert "there is no session here" in caplog.text


def test_what_else_the_site_has_is_as_it_was(site: Any) -> None:
    assert site.methods_at("/login") == {"POST"}
    with pytest.raises(HTTPError):
        site.check(request("/nowhere", "POST"))


def test_content_is_given_as_it_is(clock: Clock) -> None:
    content = Given(b"ab", b"c")

    def handler(request: Request) -> Response:
        request.session["a"] = 1
        return Response(content, length=3)

    assert Client(Sessions(handler, KEY, clock=clock)).ask().body == b"abc"
    assert content.closes == 1


# ---- in the mapping that the handler takes


def test_the_mapping_that_the_handler_takes_holds_the_sessions() -> None:
    sessions: dict[str, Any] = {}
    with serving(shop(), sessions=sessions) as server:
        [answer] = read_answers(talk(server, get("/set/a/b", "Connection: close")))
        cookie = answer["set-cookie"].partition(";")[0]
        assert [held[0] for held in sessions.values()] == ['[{"a":"b"},""]']
        assert cookie.partition("=")[2] not in str(sessions), "who sees it can pretend to be nobody"
        show = get("/", "Connection: close", f"Cookie: {cookie}")
        assert read_answers(talk(server, show))[0].body == b"{'a': 'b'}"
        assert server.sessions is sessions
        sessions.clear()
        assert read_answers(talk(server, show))[0].body == b"{}"


def test_a_session_that_is_ended_meanwhile_stays_ended(clock: Clock) -> None:
    sessions: dict[str, Any] = {}

    def handler(request: Request) -> Response:
        request.session["seen"] = request.session.get("seen", 0) + 1
        if request.path == "/end":
            sessions.clear()
        return text("")

    client = Client(HeldSessions(handler, sessions, clock=clock))
    client.ask()
    [told] = client.told(client.ask("/end"))
    assert "Max-Age=0" in told
    assert sessions == {}


def test_of_too_many_those_are_forgotten_that_were_used_longest_ago(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "_MOST", 2)
    site = HeldSessions(shop(), {}, clock=clock)
    first, second, third = Client(site), Client(site), Client(site)
    for client in (first, second, first, third):
        client.ask("/add/x")
    assert [client.ask().body for client in (first, second, third)] == [
        b"{'things': ['x', 'x']}", b"{}", b"{'things': ['x']}",
    ]  # fmt: skip


# ---- in cookies


def test_a_new_key_signs_and_the_old_ones_are_recognised(clock: Clock) -> None:
    old = Client(Sessions(shop(), "an old secret, quite long", clock=clock))
    old.ask("/set/a/b")
    both = Client(Sessions(shop(), [KEY, "an old secret, quite long"], clock=clock))
    both.cookies = dict(old.cookies)
    assert both.ask().body == b"{'a': 'b'}"
    both.ask("/set/a/c")
    new = Client(Sessions(shop(), KEY, clock=clock))
    new.cookies = dict(both.cookies)
    assert new.ask().body == b"{'a': 'c'}"
    new.cookies = dict(old.cookies)
    assert new.ask().body == b"{}"


def test_whoever_changes_it_has_none(clock: Clock) -> None:
    client = Client(Sessions(shop(), KEY, clock=clock))
    client.ask("/set/a/b")
    value = client.cookies["session"]

    @given(st.integers(0, len(value) - 1), st.sampled_from("aZ0_-."))
    def changed(at: int, letter: str) -> None:
        other = Client(client.site)
        forged = value[:at] + letter + value[at + 1 :]
        other.cookies = {"session": forged}
        # Of the last letter of base64 two bits say nothing.
        same = forged == value or forged[:-1] == value[:-1]
        assert other.ask().body in ([b"{'a': 'b'}", b"{}"] if same else [b"{}"])

    changed()


def test_the_nearest_good_cookie_counts(clock: Clock) -> None:
    client = Client(Sessions(shop(), KEY, clock=clock))
    client.ask("/set/a/b")
    good = client.cookies["session"]
    asked = get("/", f"Cookie: session=forged; session={good}")
    assert client.answered(asked).body == b"{'a': 'b'}"


def test_what_fits_in_no_cookie_is_told(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    import random

    letters = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=7_000))

    def handler(request: Request) -> Response:
        request.session["long"] = letters
        return text("")

    assert Client(Sessions(handler, KEY, clock=clock)).ask().status == 500
    assert "browsers keep 4000: keep less in it, or keep it in a database" in caplog.text


@pytest.mark.parametrize("keys", [[], "", "short", [KEY, "short"]])
def test_a_key_is_a_secret(keys: Any) -> None:
    with pytest.raises(ValueError, match="a secret of 16 letters or more"):
        Sessions(shop(), keys)


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itsdangerous", None)
    with pytest.raises(ImportError, match="Sessions needs the package itsdangerous: pip install itsdangerous"):
        Sessions(shop(), KEY)


# ---- in a database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.tools)])
def kept(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[StoredSessions]:
    """The shop with stored sessions, in either database, for a real server."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:{tmp_path}/kept.db" if sqlite else request.getfixturevalue("postgresql_url")
    database = open_database(url, [SCHEMA])
    yield StoredSessions(shop(), database, clock=clock)
    database.close()


def over(server: Any) -> Client:
    """A client of a real server."""
    client = Client(server)
    client.answered = lambda asked: read_answers(  # type: ignore[method-assign]
        talk(server, asked.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
    )[0]
    return client


def test_the_database_knows_no_names(kept: StoredSessions) -> None:
    with serving(kept) as server:
        client = over(server)
        client.ask("/login", "POST", b"user=ada")
        assert client.ask().body == b"{'user': 'ada'}"
        assert client.ask("/thread").body == b"1"
    [session] = kept.of("ada")
    assert session.ident not in client.cookies["session"]
    assert client.cookies["session"] not in repr(session)


def test_somebody_is_logged_out_everywhere(kept: StoredSessions, clock: Clock) -> None:
    with serving(kept) as server:
        clients = [over(server) for _ in range(3)]
        for client in clients:
            client.ask("/login", "POST", b"user=ada")
            clock.now += 1
        other = over(server)
        other.ask("/login", "POST", b"user=bob")
        sessions = kept.of("ada")
        assert [each.seen for each in sessions] == sorted((each.seen for each in sessions), reverse=True)
        kept.end(sessions[0].ident)
        assert [client.ask().body for client in clients] == [b"{'user': 'ada'}"] * 2 + [b"{}"]
        kept.end_all("ada", but=sessions[2].ident)
        assert [client.ask().body for client in clients] == [b"{'user': 'ada'}", b"{}", b"{}"]
        assert other.ask().body == b"{'user': 'bob'}"
        clock.now += 30 * DAY
        assert kept.of("bob") == []


def test_of_two_requests_at_once_both_changes_hold(kept: StoredSessions) -> None:
    go: list[Callable[[], None]] = []

    def handler(request: Request) -> Response:
        if request.query:
            request.session[request.query] = 1
            # Another request is answered, from beginning to end, while this one is under way.
            if go:
                go.pop()()
        return text(repr(sorted(request.session)))

    kept.site = blocking(handler)
    with serving(kept) as server:
        client = over(server)
        client.ask("/?first")
        go.append(lambda: over_with(server, client).ask("/?second"))
        client.ask("/?third")
        assert client.ask().body == b"['first', 'second', 'third']"


def over_with(server: Any, client: Client) -> Client:
    other = over(server)
    other.cookies = dict(client.cookies)
    return other


def test_what_changes_in_a_session_that_was_ended_is_lost(kept: StoredSessions) -> None:
    with serving(kept) as server:
        client = over(server)
        client.ask("/login", "POST", b"user=ada")

        def handler(request: Request) -> Response:
            request.session["late"] = 1
            kept.end_all("ada")
            return text("")

        kept.site = blocking(handler)
        assert "Max-Age=0" in client.told(client.ask())[0]
    assert kept.of("ada") == []


def test_whatever_a_name_is_it_is_kept(kept: StoredSessions) -> None:
    with serving(kept) as server:
        client = over(server)
        client.ask("/login", "POST", b"user=a%00b%C3%A9")
        assert client.ask().body.decode() == repr({"user": "a\0bé"})
    assert len(kept.of("abé")) == 1


def test_expired_sessions_go_when_others_come(kept: StoredSessions, clock: Clock) -> None:
    with serving(kept) as server:
        over(server).ask("/login", "POST", b"user=ada")
        clock.now += 30 * DAY
        over(server).ask("/login", "POST", b"user=bob")
    rows = kept._database.read(lambda transaction: transaction.execute("SELECT owner FROM sessions"))
    assert rows == [("bob",)]


def test_a_store_that_fails_is_a_503(tmp_path: Path, clock: Clock) -> None:
    database = open_database(f"sqlite:{tmp_path}/gone.db", [SCHEMA])
    content = Given(b"never given")

    def handler(request: Request) -> Response:
        request.session["a"] = 1
        return Response(content)

    site = StoredSessions(handler, database, clock=clock)
    database.close()
    with serving(site) as server:
        answer = over(server).ask()
        assert (answer.status, answer["retry-after"]) == (503, "5")
        assert content.closes == 1

        def unreachable(work: Any) -> Any:
            raise Unavailable("gone")

        database.read = unreachable  # type: ignore[method-assign]
        client = over(server)
        client.cookies = {"session": "x"}
        assert client.ask().status == 503
