"""Answers that need blocking work: done beside the loop, asked for again, and nobody else waits."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from httpd import HTTPError, Request, Response, Router, text
from httpd.net import asyncore
from httpd.net.channel_map import ChannelMap
from httpd.net.interest import interests_of
from httpd.net.wake import Worker
from httpd.protocol.errors import Later
from httpd.server.handler import State

from .exchange import EOF, GET, RESET, Exchange, get, post, serving


class Slow:
    """A site that has to work before it answers: so often, and one request's work is another's."""

    def __init__(self, rounds: int = 1, work: Callable[[], object] = lambda: None) -> None:
        self.rounds = rounds
        self.work = work
        self.asked = 0
        self.done = 0

    def __call__(self, request: Request) -> Response:
        self.asked += 1
        if self.done < self.rounds:
            raise Later(self._do)
        return text(f"after {self.done}, {request.body.decode()}")

    def _do(self) -> None:
        self.work()
        self.done += 1


class Waiting:
    """What is to be done beside the loop, until the test lets it happen."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], object], Callable[[BaseException | None], object]]] = []

    def __call__(self, work: Callable[[], object], then: Callable[[BaseException | None], object]) -> None:
        self.jobs.append((work, then))

    def let(self, error: Exception | None = None) -> None:
        work, then = self.jobs.pop(0)
        if error is None:
            work()
        then(error)


# ---- scripted


def test_the_answer_comes_when_the_work_is_done() -> None:
    waiting = Waiting()
    exchange = Exchange([GET], Slow(), beside=waiting)
    assert (exchange.state, exchange.output) == (State.HANDLE, b"")
    waiting.let()
    [answer] = exchange.answers()
    assert (answer.status, answer.body, answer.keeps_alive) == (200, b"after 1, ", True)
    assert exchange.log.entries == [("GET / HTTP/1.1", 200, 9)]
    assert exchange.handler.requests == 1


def test_requests_sent_ahead_wait_and_are_answered_in_order() -> None:
    waiting, site = Waiting(), Slow()
    exchange = Exchange([post(b"one") + post(b"two"), post(b"three")], site, beside=waiting)
    assert site.asked == 1
    waiting.let()
    exchange.play()
    assert [answer.body for answer in exchange.answers()] == [b"after 1, one", b"after 1, two", b"after 1, three"]


def test_work_may_take_several_rounds() -> None:
    waiting, site = Waiting(), Slow(3)
    exchange = Exchange([GET], site, beside=waiting)
    for _ in range(3):
        assert exchange.output == b""
        waiting.let()
    assert (exchange.answers()[0].body, site.asked) == (b"after 3, ", 4)


def test_work_that_fails_is_a_500_with_its_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    waiting = Waiting()
    exchange = Exchange([GET], Slow(), beside=waiting)
    waiting.let(ZeroDivisionError("in the thread"))
    assert exchange.answers()[0].status == 500
    assert "ZeroDivisionError: in the thread" in caplog.text
    exchange.feed(GET)
    waiting.let()
    assert [answer.status for answer in exchange.answers()] == [500, 200]


def test_what_is_raised_in_the_end_is_the_answer() -> None:
    def site(request: Request) -> Response:
        if slow.done:
            raise HTTPError(403)
        return slow(request)

    slow, waiting = Slow(), Waiting()
    exchange = Exchange([GET], site, beside=waiting)
    waiting.let()
    assert exchange.answers()[0].status == 403


def test_a_router_lets_it_pass() -> None:
    slow, waiting, site = Slow(), Waiting(), Router()
    site.get("/slow")(slow)
    inner = Router()
    inner.get("/page")(slow)
    site.mount("/in", inner)
    for path in ("/slow", "/in/page"):
        slow.done = 0
        exchange = Exchange([get(path)], site, beside=waiting)
        waiting.let()
        assert exchange.answers()[0].status == 200


@pytest.mark.parametrize("gone", [RESET, EOF])
def test_a_client_that_goes_meanwhile(gone: bytes | OSError) -> None:
    waiting, site = Waiting(), Slow()
    exchange = Exchange([GET], site, beside=waiting)
    if gone is RESET:
        exchange.handler.handle_close()
    else:
        exchange.feed(gone)
    waiting.let()
    exchange.play()
    assert exchange.closed
    # One that has only finished sending still gets its answer.
    assert (site.asked, bool(exchange.output)) == ((1, False) if gone is RESET else (2, True))


def test_patience_does_not_end_while_the_work_lasts() -> None:
    waiting = Waiting()
    exchange = Exchange([GET], Slow(), beside=waiting)
    exchange.wait(1_000, step=100)
    waiting.let()
    assert exchange.answers()[0].status == 200
    exchange.wait(1_000, step=100)
    assert exchange.closed


def test_a_server_that_stops_meanwhile_says_so_in_the_answer() -> None:
    waiting = Waiting()
    exchange = Exchange([GET], Slow(), beside=waiting)
    exchange.service.draining = True
    exchange.handler.finish()
    waiting.let()
    assert not exchange.answers()[0].keeps_alive


def test_a_handler_that_fails_afterwards_is_cut() -> None:
    waiting = Waiting()
    exchange = Exchange([GET], Slow(), beside=waiting)
    exchange.handler.send_response = None  # type: ignore[method-assign,assignment]
    waiting.let()
    assert exchange.reset


# ---- the thread


@pytest.fixture
def worker() -> Iterator[tuple[Worker, ChannelMap]]:
    channels = ChannelMap()
    worker = Worker(channels)
    yield worker, channels
    worker.close()
    interests_of(channels).close()


def turn_until(channels: ChannelMap, holds: Callable[[], object], patience: float = 5) -> bool:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        interests_of(channels).turn(0.01, asyncore.readwrite)
    return bool(holds())


def test_a_worker_does_one_after_the_other_and_tells_the_loop(worker: tuple[Worker, ChannelMap]) -> None:
    doer, channels = worker
    seen: list[tuple[str, object]] = []
    for number in range(5):
        doer.do(
            lambda number=number: seen.append(("work", threading.current_thread() is threading.main_thread())),  # type: ignore[misc]
            lambda error: seen.append(("then", threading.current_thread() is threading.main_thread())),
        )
    assert turn_until(channels, lambda: len(seen) == 10)
    assert set(seen) == {("work", False), ("then", True)}


def test_a_worker_hands_on_what_is_raised_and_goes_on(worker: tuple[Worker, ChannelMap]) -> None:
    doer, channels = worker
    errors: list[BaseException | None] = []
    doer.do(lambda: 1 / 0, errors.append)
    doer.do(lambda: 1, errors.append)
    assert turn_until(channels, lambda: len(errors) == 2)
    assert [type(error) for error in errors] == [ZeroDivisionError, type(None)]


def test_a_closed_worker_forgets_what_it_has_not_begun(worker: tuple[Worker, ChannelMap]) -> None:
    doer, channels = worker
    began, go, seen = threading.Event(), threading.Event(), []

    def long() -> None:
        began.set()
        go.wait(5)

    doer.do(long, seen.append)
    doer.do(lambda: seen.append("second"), seen.append)
    assert began.wait(5)
    threading.Timer(0.05, go.set).start()
    doer.close()
    doer.do(lambda: seen.append("late"), seen.append)
    interests_of(channels).turn(0.05, asyncore.readwrite)
    assert seen == []
    assert not any(thread.name == "httpd-worker" for thread in threading.enumerate())


def test_others_are_answered_while_one_waits() -> None:
    go = threading.Event()
    slow = Slow(work=lambda: go.wait(5))
    site = Router()
    site.get("/slow")(slow)
    site.get("/fast")(lambda request: text("fast"))
    with serving(site) as server:
        waits = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        waits.request("GET", "/slow")
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=2)
        other.request("GET", "/fast")
        assert other.getresponse().read() == b"fast"
        go.set()
        assert waits.getresponse().read() == b"after 1, "
        for client in (waits, other):
            client.close()


def test_a_server_stops_although_work_is_under_way() -> None:
    go = threading.Event()
    with serving(Slow(work=lambda: go.wait(5))) as server:
        waits = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        waits.request("GET", "/")
        threading.Timer(0.2, go.set).start()
    with pytest.raises((http.client.HTTPException, OSError)):
        waits.getresponse()
    waits.close()
