"""The path that tells how the server is: while it serves, while it drains, while what it needs fails."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from httpd import HTTPError, Limits, Request, Response, text
from httpd.net.wake import Full, at_once
from httpd.seeing.health import Health, Quiet, answer_health
from httpd.seeing.identified import identified
from httpd.server.handler import http_request_handler
from httpd.sessions import SCHEMA, StoredSessions
from httpd.store.database import open_database
from httpd.store.errors import Unavailable

from .exchange import EOF, Exchange, StrictHandler, get, serving, talk
from .live import LiveServer
from .test_metrics import once
from .tools import TOP


def closed_to_all(request: Request) -> Response:
    raise HTTPError(401)


class Needy:
    """A site that needs something."""

    def __init__(self) -> None:
        self.works: bool | Exception = True
        self.asked = 0

    def __call__(self, request: Request) -> Response:
        return text("the site")

    def healthy(self) -> bool:
        self.asked += 1
        if isinstance(self.works, Exception):
            raise self.works
        return self.works


def played(site: object = closed_to_all, **options: object) -> Exchange:
    """An exchange with a site that has a path of health."""
    exchange = Exchange(**options)  # type: ignore[arg-type]
    exchange.service.site = Health(site, "/healthz", exchange.service)  # type: ignore[arg-type]
    return exchange


def test_it_answers_before_passwords_and_only_at_its_path() -> None:
    exchange = played().feed(get("/healthz"), get("/other"), get("/healthz/"), get("//healthz"))
    assert [answer.status for answer in exchange.answers()] == [200, 401, 401, 401]
    first = exchange.answers()[0]
    assert (first.body, first["cache-control"], first["x-content-type-options"]) == (b"ok\n", "no-store", "nosniff")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("BREW", 501)])
def test_other_methods(method: str, status: int) -> None:
    exchange = played().feed(get("/healthz", "Content-Length: 0", method=method))
    [answer] = exchange.answers(method)
    assert (answer.status, answer["cache-control"] == "no-store") == (status, method == "HEAD")


def test_while_the_server_drains_it_says_so() -> None:
    exchange = played().feed(b"GET /healthz HTTP/1.1\r\n")
    exchange.service.draining = True
    exchange.handler.finish()
    exchange.feed(b"Host: a\r\n\r\n", EOF)
    [answer] = exchange.answers()
    assert (answer.status, answer.body) == (503, b"draining\n")


def test_a_worker_in_whose_place_others_go_on_is_no_reason_to_stay_away() -> None:
    with serving(closed_to_all, limits=Limits(reuse_time=10)) as server:
        answer_health(server, "/healthz")
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            client.sendall(get("/healthz"))
            assert b"ok" in client.recv(1_000)
            server.retire()
            while not server.service.draining:
                pass
            client.sendall(get("/healthz"))
            assert client.recv(1_000).startswith(b"HTTP/1.0 200 ")


def test_a_site_that_fails_is_not_well() -> None:
    site = Needy()
    exchange = played(site)
    outcomes: list[tuple[bool | Exception, int]] = [(True, 200), (False, 503), (OSError("gone"), 503), (True, 200)]
    for works, _ in outcomes:
        site.works = works
        exchange.feed(get("/healthz")).wait(2)
    assert [answer.status for answer in exchange.answers()] == [status for _, status in outcomes]
    assert b"gone" not in exchange.output


def test_stored_sessions_are_well_as_long_as_they_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(work: object) -> None:
        raise Unavailable("the disk is gone")

    site = Needy()
    with closing(open_database(f"sqlite:{tmp_path / 'sessions.db'}", [SCHEMA])) as database:
        sessions = StoredSessions(site, database)
        assert sessions.healthy()
        site.works = False
        assert not sessions.healthy()
        monkeypatch.setattr(database, "read", gone)
        with pytest.raises(Unavailable):
            sessions.healthy()


def test_it_is_asked_once_a_second_however_many_ask() -> None:
    site = Needy()
    exchange = played(site)
    for _ in range(50):
        exchange.feed(get("/healthz"))
    assert site.asked == 1
    exchange.wait(1.5).feed(get("/healthz"), get("/healthz"))
    assert site.asked == 2
    assert [answer.status for answer in exchange.answers()] == [200] * 52


def test_a_site_that_does_not_answer_holds_one_thread_and_is_not_well_after_a_while() -> None:
    begun: list[object] = []
    exchange = played(Needy(), pool=lambda work, then: begun.append((work, then)))
    service = exchange.service
    exchange.feed(get("/healthz"))
    assert len(begun) == 1
    assert exchange.output == b""

    def ask() -> int:
        another = Exchange([])
        another.handler.service = service
        [answer] = another.feed(get("/healthz")).answers()
        return answer.status

    assert ask() == 200
    exchange.wait(6)
    assert ask() == 503
    assert len(begun) == 1


def test_whoever_asks_and_leaves_keeps_nobody_from_knowing() -> None:
    begun: list[Any] = []
    exchange = played(Needy(), pool=lambda work, then: begun.append((work, then)))
    exchange.feed(get("/healthz"))
    exchange.handler.close()
    [(work, then)] = begun
    work()
    then(None)
    exchange.wait(6)
    another = Exchange([])
    another.handler.service = exchange.service
    another.feed(get("/healthz"))
    assert len(begun) == 2
    [work, then] = begun[1]
    work()
    then(None)
    assert [answer.status for answer in another.answers()] == [200]


def test_with_no_thread_to_be_had_it_says_so_and_asks_again() -> None:
    crowded = [True]

    def pool(work: Callable[[], object], then: Callable[[BaseException | None], object]) -> None:
        if crowded.pop():
            raise Full
        at_once(work, then)

    exchange = played(Needy(), pool=pool).feed(get("/healthz"))
    crowded += [False]
    exchange.wait(6).feed(get("/healthz"))
    assert [answer.status for answer in exchange.answers()] == [503, 200]


def test_what_takes_longer_to_find_out_than_it_holds_is_told_as_it_is() -> None:
    site = Needy()
    site.works = False

    def late() -> bool:
        time.sleep(1.2)
        return False

    site.healthy = late  # type: ignore[method-assign]
    with serving(site) as server:
        answer_health(server, "/healthz")
        assert talk(server, get("/healthz", "Connection: close")).startswith(b"HTTP/1.0 503 ")


def test_no_log_hears_of_it_unless_asked(tmp_path: Path) -> None:
    for logged in (False, True):
        path = tmp_path / f"{logged}.log"
        with serving(access_log=str(path)) as server:
            answer_health(server, "/healthz", logged)
            talk(server, get("/healthz") + get("/a") + b"nonsense\r\n\r\n")
            server.reopen_log()
        lines = path.read_text()
        assert lines.count('"GET /a HTTP/1.1" 200') == 1
        assert lines.count('"nonsense" 400') == 1
        assert lines.count("/healthz") == logged
    assert Quiet(server.log, "/").close == server.log.close


# ---- a request's name in its answer


def test_a_client_is_told_the_name_of_each_of_its_requests() -> None:
    exchange = Exchange(handler_class=identified(StrictHandler))  # type: ignore[arg-type]
    exchange.feed(get("/a"), get("/b"), b"nonsense\r\n\r\n")
    answers = exchange.answers()
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert len({answer["x-request-id"] for answer in answers}) == 3
    assert all(answer["x-request-id"] for answer in answers)


def test_what_a_stranger_calls_a_request_is_not_repeated() -> None:
    exchange = Exchange([get("/a", "X-Request-Id: mine")], handler_class=identified(StrictHandler))  # type: ignore[arg-type]
    assert exchange.answers()[0]["x-request-id"] not in ("", "mine")


def test_unless_asked_no_answer_has_a_name() -> None:
    assert http_request_handler.send_response is not identified(http_request_handler).send_response
    assert b"X-Request-Id" not in Exchange([get("/a")]).output


# ---- the options


@pytest.mark.programs
def test_the_options(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ["--health", "/healthz", "--log-format", "json", "--request-id", "--access-log", str(log)]
    with LiveServer(tmp_path, *options) as live:
        with urllib.request.urlopen(live.url + "healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(live.url + "none", timeout=10)
        name = caught.value.headers["X-Request-Id"]
        caught.value.close()
    [line] = log.read_text().splitlines()
    assert f'"id":"{name}"' in line


@pytest.mark.programs
def test_an_answer_with_a_name_is_recorded_and_played_again(tmp_path: Path) -> None:
    traces = tmp_path / "traces"
    (tmp_path / "site").mkdir()
    with LiveServer(tmp_path / "site", "--request-id", f"--trace={traces}") as live:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(live.url + "none", timeout=10)
        caught.value.close()
    [trace] = traces.iterdir()
    assert caught.value.headers["X-Request-Id"] in trace.read_text()
    replay = [sys.executable, "-m", "httpd", "replay", str(trace)]
    again = subprocess.run(replay, cwd=TOP, capture_output=True, text=True)
    assert (again.returncode, "broken" in again.stdout) == (0, False)


@pytest.mark.programs
def test_a_store_that_is_gone_is_told_and_so_is_its_return(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "kept").mkdir()
    options = ["--form", "/contact", "--inbox", f"sqlite:{tmp_path / 'kept' / 'inbox.db'}", "--health", "/healthz"]

    def tells(status: int) -> bool:
        try:
            with urllib.request.urlopen(live.url + "healthz", timeout=10) as answer:
                return bool(answer.status == status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code == status

    with LiveServer(tmp_path / "site", *options) as live:
        assert tells(200)
        (tmp_path / "kept").rename(tmp_path / "lost")
        assert once(lambda: tells(503))
        (tmp_path / "lost").rename(tmp_path / "kept")
        assert once(lambda: tells(200))
