"""Answers that somebody else promises: no thread waits for them, and the loop gives them when they are there."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from httpd import HTTPError, Request, Response, Router, text
from httpd.server.handler import State
from httpd.site.blocking import promised
from httpd.store.database import open_database
from httpd.store.errors import Full
from httpd.store.schema import Schema
from httpd.trace.laws import check
from httpd.trace.replay import replay
from httpd.trace.tracing import Memory, Tracing

from .exchange import EOF, GET, RESET, Exchange, get, post, read_answers, serving, talk

Done = Callable[[Any, BaseException | None], object]


class Promises:
    """Somebody who does the work when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.waiting: list[Done] = []

    def __call__(self, request: Request) -> Response:
        self.asked += 1
        return text(f"{promised(request, self.waiting.append)} {request.body.decode()}")

    def keep(self, result: object = "kept", error: BaseException | None = None) -> None:
        self.waiting.pop(0)(result, error)


def test_the_answer_comes_when_it_is_promised() -> None:
    site = Promises()
    exchange = Exchange([post(b"one") + post(b"two")], site)
    assert (exchange.state, exchange.output, site.asked) == (State.HANDLE, b"", 1)
    site.keep("first")
    exchange.play()
    site.keep("second")
    first, second = exchange.answers("POST", "POST")
    assert (first.body, second.body, second.keeps_alive) == (b"first one", b"second two", True)
    assert not site.waiting


@pytest.mark.parametrize("result", [None, 0, ""])
def test_a_result_may_be_anything(result: object) -> None:
    site = Promises()
    exchange = Exchange([GET], site)
    site.keep(result)
    assert exchange.answers()[0].body == f"{result} ".encode()


@pytest.mark.parametrize(("error", "status"), [(HTTPError(418), 418), (ValueError("no"), 500)])
def test_an_error_is_raised_where_the_site_is_asked_again(error: Exception, status: int) -> None:
    site = Promises()
    exchange = Exchange([GET, GET], site)
    site.keep(error=error)
    exchange.play()
    site.keep()
    assert [answer.status for answer in exchange.answers()] == [status, 200]


def test_a_promise_that_nobody_can_make_is_answered() -> None:
    def full(done: Done) -> None:
        raise Full("all wait for the store")

    exchange = Exchange([GET], lambda request: text(promised(request, full)))
    [answer] = exchange.answers()
    assert (answer.status, answer["retry-after"], answer.keeps_alive) == (503, "1", True)
    assert b"all wait" not in answer.body


def test_work_that_cannot_begin_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    from httpd.protocol.errors import Promised

    def site(request: Request) -> Response:
        raise Promised(lambda later: 1 / 0)

    assert Exchange([GET], site).answers()[0].status == 500
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("gone", [RESET, EOF])
def test_a_client_that_goes_meanwhile(gone: bytes | OSError) -> None:
    site = Promises()
    exchange = Exchange([GET], site)
    if gone is RESET:
        exchange.handler.handle_close()
    else:
        exchange.feed(gone)
    site.keep()
    exchange.play()
    assert exchange.closed
    # One that has only finished sending still gets its answer.
    assert (site.asked, bool(exchange.output)) == ((1, False) if gone is RESET else (2, True))


def test_what_is_said_twice_is_said_once() -> None:
    site = Promises()
    exchange = Exchange([GET], site)
    [done] = site.waiting
    done("first", None)
    done("second", None)
    assert [answer.body for answer in exchange.answers()] == [b"first "]


# ---- with a store, threads and sockets

MARKS = Schema("marks", ["CREATE TABLE marks (name TEXT PRIMARY KEY);"])


def book(tmp_path: Path) -> tuple[Router, Any]:
    """A site whose one route stores what is posted, and the database."""
    database, site = open_database(f"sqlite:{tmp_path}/marks.db", [MARKS]), Router()

    @site.post("/")
    def mark(request: Request) -> Response:
        name = request.body.decode()
        [(number,)] = promised(
            request,
            partial(
                database.begin,
                lambda made: (
                    made.execute("INSERT INTO marks VALUES (?)", (name,)) or made.execute("SELECT count(*) FROM marks")
                ),
            ),
        )
        return text(f"{name} is number {number}")

    return site, database


def test_a_crowd_is_stored_with_few_commits_and_no_thread_of_the_pool(tmp_path: Path) -> None:
    site, database = book(tmp_path)
    held, go = threading.Event(), threading.Event()
    with serving(site) as server:
        # While the writer is kept busy, the crowd comes together.
        database.begin(lambda made: held.set() or go.wait(10), lambda *what: None)
        assert held.wait(10)
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(30)]
        for number, client in enumerate(clients):
            client.request("POST", "/", f"mark {number}")
        assert not any(thread.name == "httpd-worker" for thread in threading.enumerate())
        go.set()
        told = {client.getresponse().read().decode().rpartition(" ")[2] for client in clients}
        assert told == {str(number) for number in range(1, 31)}
        for client in clients:
            client.close()
        answers = read_answers(talk(server, post(b"mark 3") + get("/", "Connection: close")), ["POST"])
        assert [answer.status for answer in answers] == [500, 405]
    database.close()


def test_it_is_recorded_as_what_it_is_and_can_be_played_again(tmp_path: Path) -> None:
    memory = Memory()
    site, database = book(tmp_path)
    with serving(site) as server:
        Tracing(memory).attach(server)
        answers = read_answers(talk(server, post(b"a") + post(b"b", "Connection: close")), ["POST", "POST"])
        assert [answer.body for answer in answers] == [b"a is number 1", b"b is number 2"]
    database.close()
    [trace] = memory.traces
    assert [event.name for event in trace.events].count("app:postponed") == 2
    assert check(trace.events) == []
    assert replay(trace)[1] == []


def test_a_promise_that_is_kept_at_once_can_be_played_again() -> None:
    def site(request: Request) -> Response:
        return text(promised(request, lambda done: done("at once", None)))

    memory = Memory()
    with serving(site) as server:
        Tracing(memory).attach(server)
        assert talk(server, get("/", "Connection: close")).endswith(b"at once")
    [trace] = memory.traces
    assert check(trace.events) == []
    played, broken = replay(trace, site)
    assert broken == []
    assert played.output.endswith(b"at once")
