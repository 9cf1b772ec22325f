"""Content that a thread makes: a blocking handler may be a generator, and waits in its thread for its client."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from httpd import Bell, HTTPError, Request, Response, Router, blocking, event, event_stream

from .exchange import GET, Exchange, get, read_answers, read_to_end, serving, talk

LAST = get("/", "Connection: close")


def until(holds: Callable[[], object], patience: float = 10) -> bool:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


def routed(handler: Callable[..., Any]) -> Router:
    router = Router()
    router.get("/")(blocking(handler))
    return router


def test_a_generator_is_run_in_the_thread() -> None:
    threads: list[str] = []

    def slow(request: Request) -> Iterator[Any]:
        for word in ("one ", "zwö ", b"three"):
            threads.append(threading.current_thread().name)
            yield word
            yield 0.01
            yield None

    with serving(routed(slow)) as server:
        [answer] = read_answers(talk(server, LAST))
    assert (answer.body, set(threads)) == ("one zwö three".encode(), {"httpd-worker"})


def test_in_a_response_too_and_with_a_length() -> None:
    handler = routed(lambda request: Response((each for each in ("ab", "c")), length=3, content_type="text/x"))
    answers = Exchange([GET + GET], handler).answers()
    assert [(each.body, each["content-type"], each.keeps_alive) for each in answers] == [(b"abc", "text/x", True)] * 2


def test_it_waits_for_a_bell() -> None:
    bell = Bell()

    def waits(request: Request) -> Iterator[Any]:
        yield "one "
        yield bell
        yield "two"

    with serving(routed(waits)) as server, socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(GET)
        assert until(lambda: bell._waiting)
        bell.ring()
        assert read_answers(read_to_end(sock))[0].body == b"one two"


def test_what_it_raises_first_is_an_answer_and_afterwards_a_cut(caplog: pytest.LogCaptureFixture) -> None:
    def raises(request: Request) -> Iterator[str]:
        if not request.query:
            raise HTTPError(404)
        yield "half"
        raise LookupError("the rest")

    assert Exchange([GET], routed(raises)).answers()[0].status == 404
    exchange = Exchange([get("/?x")], routed(raises))
    assert exchange.reset
    assert exchange.output.endswith(b"half")
    assert caplog.text.count("LookupError: the rest") == 1
    assert caplog.text.count("Traceback") == 1


@pytest.mark.parametrize("wait", [Bell(), 100, "x" * 10_000])
def test_it_is_closed_in_its_thread_when_the_client_leaves(wait: Any, caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    def endless(request: Request) -> Iterator[Any]:
        try:
            yield "begun"
            while True:
                yield wait
        finally:
            closed.append(threading.current_thread().name)

    with serving(routed(endless)) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(GET)
            assert sock.recv(5)
        assert until(lambda: closed == ["httpd-worker"])
    assert not caplog.text


def test_one_that_exits_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    def exits(request: Request) -> Iterator[str]:
        yield "half"
        raise SystemExit(3)

    with serving(routed(exits)) as server, pytest.raises(ConnectionResetError):
        talk(server, LAST)
    assert "SystemExit" in caplog.text


def test_head_has_none_of_it_made() -> None:
    made: list[str] = []

    def content() -> Iterator[str]:
        made.append("begun")
        yield "x"

    [answer] = Exchange([get(method="HEAD")], routed(lambda request: Response(content()))).answers("HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert len(made) <= 1


def test_events_from_a_thread_end_when_the_server_stops() -> None:
    begun = threading.Event()

    def endless() -> Iterator[Any]:
        yield event("a")
        begun.set()
        yield Bell()

    with (
        serving(routed(lambda request: event_stream(endless()))) as server,
        socket.create_connection(("127.0.0.1", server.port), 9) as sock,
    ):
        sock.sendall(GET)
        assert begun.wait(9)
        server.stop()
        assert read_answers(read_to_end(sock))[0].body == b"data: a\n\n"


def test_events_from_a_thread() -> None:
    threads: list[str] = []

    def events() -> Iterator[Any]:
        for word in "ab":
            threads.append(threading.current_thread().name)
            yield event(word)
            yield 0.01

    with serving(routed(lambda request: event_stream(events()))) as server:
        assert read_answers(talk(server, LAST))[0].body == b"data: a\n\ndata: b\n\n"
    assert threads == ["httpd-worker"] * 2
