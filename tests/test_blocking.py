"""Handlers that wait: called in a thread of a bounded pool, their answers as good as any other's."""

from __future__ import annotations

import gc
import http.client
import socket
import threading
import time
from collections.abc import Callable

import pytest

from httpd import HTTPError, Limits, Request, Response, Router, blocking, http_request_handler, text
from httpd.net.wake import Full, Then, at_once
from httpd.reload.handler import Reloading, reloaded
from httpd.server.handler import State

from .exchange import (
    GET,
    Exchange,
    Given,
    StrictHandler,
    get,
    post,
    read_answers,
    read_to_end,
    serving,
    talk,
)


class Later:
    """A pool that does its work when the test lets it."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[[], object], Then | None]] = []

    def __call__(self, work: Callable[[], object], then: Then | None) -> None:
        self.jobs.append((work, then))

    def let(self) -> None:
        at_once(*self.jobs.pop(0))


def full(work: Callable[[], object], then: Then | None) -> None:
    raise Full


@blocking
def shout(request: Request, *below: str) -> Response:
    return text(request.body.decode().upper() or "nothing")


# ---- scripted


def test_the_handlers_answer_is_the_answer() -> None:
    pool = Later()
    exchange = Exchange([post(b"one") + post(b"two")], shout, pool=pool)
    assert (exchange.state, exchange.output, len(pool.jobs)) == (State.HANDLE, b"", 1)
    pool.let()
    exchange.play()
    pool.let()
    assert [answer.body for answer in exchange.answers("POST", "POST")] == [b"ONE", b"TWO"]
    assert not pool.jobs


def test_its_http_error_is_the_answer_too() -> None:
    @blocking
    def site(request: Request) -> Response:
        raise HTTPError(418, "Only tea.")

    exchange = Exchange([get("/", "Accept: text/plain")], site)
    [answer] = exchange.answers()
    assert (answer.status, b"Only tea." in answer.body, answer.keeps_alive) == (418, True, True)


@pytest.mark.parametrize(("error", "name"), [(ValueError("no"), "ValueError"), (SystemExit(3), "SystemExit")])
def test_what_else_it_raises_is_a_500_with_its_traceback(
    error: BaseException, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    @blocking
    def site(request: Request) -> Response:
        raise error

    with serving(site) as server:
        answers = read_answers(talk(server, GET + get("/", "Connection: close")))
    assert [answer.status for answer in answers] == [500, 500]
    assert caplog.text.count(f"{name}: ") == 2


def test_what_is_no_response_is_a_500_that_names_the_handler(caplog: pytest.LogCaptureFixture) -> None:
    @blocking
    def forgetful(request: Request) -> Response:
        return None  # type: ignore[return-value]

    assert Exchange([GET], forgetful).answers()[0].status == 500
    assert "forgetful returned NoneType" in caplog.text


def test_a_route_and_a_mount_with_their_parameters() -> None:
    site = Router()

    @site.get("/add/{a:int}/{b:int}")
    @blocking
    def add(request: Request, a: int, b: int) -> Response:
        return text(f"{a + b} {request.params['a']} {threading.current_thread().name}")

    site.mount("/below", blocking(lambda request, rest: text(rest)))
    with serving(site) as server:
        answers = read_answers(talk(server, get("/add/1/2") + get("/below/x/y") + get("/no", "Connection: close")))
    assert [answer.status for answer in answers] == [200, 200, 404]
    assert [answers[0].body, answers[1].body] == [b"3 1 httpd-worker", b"/x/y"]


def test_too_many_get_a_503_and_are_told_when_to_come_again() -> None:
    exchange = Exchange([GET], shout, pool=full)
    [answer] = exchange.answers()
    assert (answer.status, answer["retry-after"], answer.keeps_alive) == (503, "1", True)
    assert exchange.handler.asked is None
    exchange.service.pool = at_once
    assert exchange.feed(GET).answers()[1].status == 200


def test_work_whose_client_has_gone_is_not_begun() -> None:
    asked = []
    pool = Later()
    exchange = Exchange([GET], blocking(lambda request: asked.append(request) or text("")), pool=pool)
    exchange.handler.handle_close()
    pool.let()
    assert exchange.closed
    assert not asked


def test_an_answer_for_a_client_that_has_gone_is_closed() -> None:
    content, pool = Given(b"never"), Later()

    @blocking
    def site(request: Request) -> Response:
        exchange.handler.handle_close()
        return Response(content)

    exchange = Exchange([GET], site, pool=pool)
    pool.let()
    assert (exchange.closed, content.closes) == (True, 1)


def test_an_answer_that_a_site_around_it_does_not_want_is_closed() -> None:
    content, asked, pool = Given(b"never"), [], Later()
    inner = blocking(lambda request: Response(content))

    def site(request: Request) -> Response:
        asked.append(request)
        if len(asked) > 1:
            raise HTTPError(403)
        return inner(request)

    exchange = Exchange([GET], site, pool=pool)
    pool.let()
    assert ([answer.status for answer in exchange.answers()], content.closes) == ([403], 1)


@pytest.mark.parametrize("conditions", [[], ["If-None-Match: x"]])
def test_pages_that_reload_themselves_wait_only_once(conditions: list[str]) -> None:
    asked: list[str] = []

    @blocking
    def site(request: Request) -> Response:
        asked.append(request.method)
        return Response("<p>hello", content_type="text/html" if request.path == "/" else "application/pdf")

    handler_class = reloaded(StrictHandler, Reloading())
    document = ["Sec-Fetch-Dest: document", *conditions]
    exchange = Exchange([get("/", *document), get("/pdf", *document)], site, handler_class=handler_class)  # type: ignore[arg-type]
    page, other = exchange.answers()
    assert (page.status, b"<script" in page.body, other.status, other.body) == (200, True, 200, b"<p>hello")
    assert asked == ["GET", "GET"]


# ---- threads


class Gate:
    """Handlers that wait until the test opens it; `most` is how many were in it at once."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.inside = self.most = 0

    def __call__(self, request: Request) -> Response:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.open.wait(10)
        with self.lock:
            self.inside -= 1
        return text("through")

    def wait_for(self, number: int, patience: float = 5) -> bool:
        end = time.monotonic() + patience
        while self.inside != number and time.monotonic() < end:
            time.sleep(0.01)
        return self.inside == number


def test_so_many_at_once_so_many_wait_and_the_rest_is_told() -> None:
    gate, site = Gate(), Router()
    site.get("/slow")(blocking(gate))
    site.get("/fast")(lambda request: text("fast"))
    with serving(site, limits=Limits(threads=2, waiting=3)) as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(6)]
        for client in clients[:5]:
            client.request("GET", "/slow")
        assert gate.wait_for(2)
        # The loop has had all five before it takes this one.
        clients[5].request("GET", "/fast")
        assert clients[5].getresponse().read() == b"fast"
        clients[5].request("GET", "/slow")
        refused = clients[5].getresponse()
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        refused.read()
        gate.open.set()
        assert [client.getresponse().read() for client in clients[:5]] == [b"through"] * 5
        clients[5].request("GET", "/slow")
        assert clients[5].getresponse().read() == b"through"
        for client in clients:
            client.close()
    assert gate.most == 2


def test_threads_are_started_as_they_are_needed_and_end_with_the_server() -> None:
    def threads() -> int:
        return sum(thread.name == "httpd-worker" for thread in threading.enumerate())

    before = threads()
    gate = Gate()
    with serving(blocking(gate)) as server:
        assert threads() == before
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(3)]
        for number, client in enumerate(clients, 1):
            client.request("GET", "/")
            assert gate.wait_for(number)
            assert threads() == before + number
        gate.open.set()
        for client in clients:
            assert client.getresponse().read() == b"through"
            client.close()
    assert threads() == before


def test_a_stopping_server_lets_what_is_under_way_end() -> None:
    gate = Gate()
    with serving(blocking(gate)) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        client.request("GET", "/")
        assert gate.wait_for(1)
        server.stop()
        time.sleep(0.05)
        gate.open.set()
        answer = client.getresponse()
        assert (answer.read(), answer.headers["Connection"]) == (b"through", "close")
        client.close()


def test_a_reset_is_noticed_before_the_turn_comes() -> None:
    import struct

    asked, gate = [], Gate()

    @blocking
    def site(request: Request) -> Response:
        asked.append(request.path)
        return gate(request)

    with serving(site, limits=Limits(threads=1)) as server:
        first = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        first.request("GET", "/first")
        assert gate.wait_for(1)
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(get("/gone"))
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        other = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        other.request("GET", "/other")
        time.sleep(0.1)
        gate.open.set()
        assert first.getresponse().read() == other.getresponse().read() == b"through"
        for client in (first, other):
            client.close()
    assert asked == ["/first", "/other"]


def test_nothing_is_left_for_the_garbage_collector() -> None:
    """A request that refers to itself would wait for it, with all that it holds."""
    gc.collect()
    gc.disable()
    try:
        exchange = Exchange([GET], shout)
        exchange.feed(*[GET] * 50)
        assert len(exchange.answers()) == 51
        del exchange
        assert gc.collect() < 100
    finally:
        gc.enable()


def test_what_comes_while_a_handler_waits_does_not_spin_the_loop() -> None:
    """The loop is told that nothing is read when something has come, and once."""
    gate, events = Gate(), []

    class Counting(http_request_handler):
        def handle_read_event(self) -> None:
            events.append(self.state)
            super().handle_read_event()

    with (
        serving(blocking(gate), handler_class=Counting) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as sock,
    ):
        gate.open.set()
        sock.sendall(GET)
        first = sock.recv(4_096)
        gate.open.clear()
        sock.sendall(GET)
        assert gate.wait_for(1)
        sock.sendall(get("/", "Connection: close"))
        time.sleep(0.2)
        gate.open.set()
        assert [answer.body for answer in read_answers(first + read_to_end(sock))] == [b"through"] * 3
    assert events.count(State.HANDLE) == 1
    assert len(events) <= 6


def test_one_thread_is_woken_for_a_piece_of_work_and_the_loop_once() -> None:
    """Though all the others are idle, and an answer is told of before its work has ended."""
    gate, calls = Gate(), []
    with serving(blocking(gate)) as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(8)]
        for client in clients:
            client.request("GET", "/")
        assert gate.wait_for(8)
        gate.open.set()
        for client in clients:
            client.getresponse().read()
        call = server._interests.call
        server._interests.call = lambda function, *args: calls.append(function) or call(function, *args)  # type: ignore[method-assign,func-returns-value]
        for _ in range(10):
            clients[0].request("GET", "/")
            clients[0].getresponse().read()
        assert len(calls) == 10
        for client in clients:
            client.close()
