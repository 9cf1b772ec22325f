"""Content that a generator makes: what it may yield, what wakes it, and what ends it."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from httpd import Bell, Gzipped, HTTPError, Request, Response, Router
from httpd.protocol.content import SOON, GeneratedContent
from httpd.server.handler import State
from httpd.server.limits import Limits

from .exchange import EOF, GET, RESET, Answer, Exchange, get, read_answers, read_to_end, serving, talk
from .scripted import every_cut


class Watching:
    """A site whose answer is a generator, and what became of that."""

    def __init__(self, *yields: Any) -> None:
        self.yields = yields
        self.given = 0
        self.ended = ""

    def __call__(self, request: Request) -> Response:
        return Response(self.made())

    def made(self) -> Generator[Any]:
        try:
            for each in self.yields:
                if isinstance(each, Exception):
                    raise each
                yield each
                self.given += 1
            self.ended = "whole"
        except GeneratorExit:
            self.ended = "closed"
            raise


def until(holds: Callable[[], object], patience: float = 10) -> bool:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


# ---- what it may yield


def test_bytes_and_text_are_sent_and_the_connection_ends_them() -> None:
    site = Watching(b"one ", "zwö ", b"", "", bytearray(b"three "), memoryview(b"four"), "\udc80")
    [answer] = Exchange([GET + GET], site).answers()
    assert (answer.body, answer["content-length"], answer.keeps_alive) == ("one zwö three four?".encode(), "", False)
    assert site.ended == "whole"


def test_with_a_length_the_connection_goes_on() -> None:
    exchange = Exchange([GET + GET], lambda request: Response((each for each in ("ab", "c")), length=3))
    assert [(each.body, each.keeps_alive) for each in exchange.answers()] == [(b"abc", True)] * 2


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_head_is_told_the_same_and_gets_none(version: str) -> None:
    site = Watching("never made")
    [answer] = Exchange([get(method="HEAD", version=version)], site).answers("HEAD")
    assert (answer.status, answer.body, answer.keeps_alive, site.given) == (200, b"", False, 0)


@pytest.mark.parametrize(("pause", "seconds"), [(5, 5.0), (2.5, 2.5), (None, SOON)])
def test_it_is_asked_again_after_a_while(pause: float | None, seconds: float) -> None:
    site = Watching("one", pause, "two")
    exchange = Exchange([GET], site)
    exchange.wait(seconds - 0.01, step=0.01)
    assert exchange.output.endswith(b"one")
    exchange.wait(0.02, step=0.01)
    assert exchange.output.endswith(b"onetwo")
    assert exchange.closed or exchange.state is State.LINGER


def test_nothing_for_no_seconds_lets_the_others_have_their_turn() -> None:
    site = Watching("one", 0, "two", -1, "three")
    exchange = Exchange([GET], site)
    assert exchange.output.endswith(b"one")
    assert exchange.wait(0.1, step=0.05).output.endswith(b"onetwothree")


def test_what_it_waits_for_first_is_waited_for() -> None:
    router = Router()
    router.get("/")(lambda request: (each for each in (3, "now")))
    exchange = Exchange([GET], router)
    exchange.wait(2)
    assert exchange.output.endswith(b"\r\n\r\n")
    exchange.wait(2)
    assert exchange.output.endswith(b"now")


def test_a_quiet_one_is_not_cut_and_a_client_that_takes_nothing_is() -> None:
    quiet = Exchange([GET], Watching("one", 1_000, "two"), limits=Limits(stall_time=5))
    quiet.wait(900, step=10)
    assert quiet.state is State.SEND_RESPONSE
    full = Watching(*["x" * 10_000] * 10, "end")
    slow = Exchange([GET], full, limits=Limits(stall_time=5), room=15_000)
    assert full.given == 1
    slow.wait(30)
    assert (slow.reset, full.ended) == (True, "closed")


def test_it_is_not_asked_while_the_client_does_not_take() -> None:
    site = Watching(*["x" * 1_000] * 50)
    exchange = Exchange([GET], site, room=5_500)
    assert site.given == 5
    exchange.take(2_000)
    assert site.given == 7
    assert exchange.take().answers()[0].body == b"x" * 50_000


# ---- bells


def test_a_bell_wakes_all_that_wait_for_it() -> None:
    bell = Bell()
    exchanges = [Exchange([GET], Watching("a", bell, "b", bell, "c")) for _ in range(3)]
    for expected in (b"a", b"ab", b"abc"):
        assert all(exchange.output.endswith(b"\r\n\r\n" + expected) for exchange in exchanges)
        bell.ring()


def test_a_ring_between_the_look_and_the_wait_is_not_missed() -> None:
    bell = Bell()

    def looks() -> Iterator[Any]:
        yield "looked "
        bell.ring()
        yield bell
        yield "went on"

    [answer] = Exchange([GET], lambda request: Response(looks())).answers()
    assert answer.body == b"looked went on"


def test_one_bell_rings_while_the_other_is_waited_for() -> None:
    bell, other = Bell(), Bell()
    exchange = Exchange([GET], Watching("a", bell, "b", other, "c"))
    other.ring()
    assert exchange.output.endswith(b"\na")
    bell.ring()
    bell.ring()
    assert exchange.output.endswith(b"\nab")
    other.ring()
    assert exchange.output.endswith(b"\nabc")


def test_to_be_asked_for_another_reason_is_no_ring() -> None:
    bell = Bell()
    exchange = Exchange([GET], Watching("a", bell, "b"))
    exchange.handler.wake()
    assert exchange.output.endswith(b"\na")
    bell.ring()
    assert exchange.output.endswith(b"\nab")


def test_who_has_left_is_not_rung_for() -> None:
    bell = Bell()
    exchange = Exchange([GET], Watching(bell))
    exchange.feed(RESET)
    assert bell._waiting == {}
    bell.ring()
    assert exchange.closed


def test_a_thread_rings() -> None:
    bell = Bell()
    said: list[str] = []

    def chat() -> Iterator[Any]:
        heard = 0
        while heard < 200:
            if heard == len(said):
                yield bell
            else:
                yield said[heard]
                heard += 1

    def talks(name: str) -> None:
        for _ in range(100):
            said.append(name)
            bell.ring()

    with serving(lambda request: Response(chat())) as server, contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(2)]
        for sock in socks:
            sock.sendall(GET)
        assert until(lambda: len(bell._waiting) == 2)
        threads = [threading.Thread(target=talks, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        bodies = [read_answers(read_to_end(sock))[0].body for sock in socks]
    assert bodies == ["".join(said).encode()] * 2


# ---- ends


@pytest.mark.parametrize("gone", [EOF, RESET])
@pytest.mark.parametrize("wait", [None, 1_000, Bell()])
def test_a_client_that_leaves_ends_it_at_once(gone: Any, wait: Any) -> None:
    site = Watching("one", wait, "two")
    exchange = Exchange([GET, gone], site)
    assert (exchange.closed, site.ended) == (True, "closed")


def test_a_client_that_asks_ahead_and_leaves_ends_it_when_it_is_noticed() -> None:
    site = Watching("one", 5, "two", 5, "three")
    exchange = Exchange([GET, GET, EOF], site)
    assert exchange.state is State.SEND_RESPONSE
    exchange.wait(11)
    [answer] = exchange.answers()
    assert (answer.body, site.ended) == (b"onetwothree", "whole")


def test_of_known_length_it_is_given_to_who_has_only_finished_sending() -> None:
    exchange = Exchange([GET, EOF], lambda request: Response((each for each in ("ab", 3, "c")), length=3))
    assert exchange.wait(5).answers()[0].body == b"abc"


def test_a_real_client_that_leaves_is_noticed_although_nothing_is_sent() -> None:
    site = Watching("one", Bell())
    with serving(site) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(GET)
            while b"one" not in sock.recv(1_000):
                pass
            assert site.ended == ""
        assert until(lambda: site.ended == "closed", 5)


def test_the_answer_is_the_same_wherever_the_request_is_cut() -> None:
    wire = GET + GET
    whole = Exchange([wire], Watching("one", 0, "two")).wait(1).output
    for pieces in every_cut(wire):
        assert Exchange(pieces, Watching("one", 0, "two")).wait(1).output == whole


def test_what_is_raised_half_way_cuts_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange([GET], Watching("half", ValueError("no more")))
    assert exchange.reset
    assert exchange.output.endswith(b"half")
    assert "ValueError: no more" in caplog.text


@pytest.mark.parametrize("odd", [object(), {"a": 1}, ["list"], 1j])
def test_what_is_neither_content_nor_a_wait_is_told(odd: Any, caplog: pytest.LogCaptureFixture) -> None:
    site = Watching("half", odd)
    exchange = Exchange([GET], site)
    assert (exchange.reset, site.ended) == (True, "closed")
    assert f"content is bytes or str, a number of seconds, a Bell or None, not {type(odd).__name__}" in caplog.text


def test_a_server_that_drains_waits_for_it_and_then_cuts() -> None:
    site = Watching("one", 0.2, "two", 1_000, "three")
    with (
        serving(site, limits=Limits(drain_time=0.5)) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as sock,
    ):
        sock.sendall(GET)
        assert until(lambda: site.given == 1)
        server.stop()
        assert until(lambda: site.given == 3)
        with pytest.raises(ConnectionResetError):
            read_to_end(sock)
    assert site.ended == "closed"


# ---- a route


def routed(handler: Callable[..., Any]) -> Router:
    router = Router()
    router.get("/")(handler)
    return router


def test_a_route_may_be_a_generator() -> None:
    def count(request: Request) -> Iterator[str]:
        for number in range(3):
            yield f"{number}\n"

    [answer] = Exchange([GET], routed(count)).answers()
    assert (answer.body, answer["content-type"]) == (b"0\n1\n2\n", "text/plain; charset=utf-8")
    assert answer["x-content-type-options"] == "nosniff"


def test_what_it_raises_first_is_still_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def refuses(request: Request) -> Iterator[str]:
        if request.query:
            raise HTTPError(404, "Nothing of that name.")
        yield str(1 // 0)

    answers = Exchange([get("/?x"), GET], routed(refuses)).answers()
    assert [(each.status, each.keeps_alive) for each in answers] == [(404, True), (500, True)]
    assert "ZeroDivisionError" in caplog.text


def test_a_route_may_return_what_has_more() -> None:
    class Ticks:
        def __init__(self) -> None:
            self.left = 4
            self.closed = 0

        def more(self) -> bytes | None:
            self.left -= 1
            return None if self.left % 2 == 0 else b"tick " if self.left > 0 else b""

        def stalled(self, wake: Callable[[], object]) -> float:
            return 1

        def close(self) -> None:
            self.closed += 1

    ticks = Ticks()
    exchange = Exchange([GET], routed(lambda request: ticks))
    exchange.wait(5)
    assert (exchange.answers()[0].body, ticks.closed) == (b"tick tick ", 1)


def test_an_async_generator_is_none() -> None:
    async def never(request: Request) -> Any:
        yield "x"

    assert Exchange([GET], routed(never)).answers()[0].status == 500


def test_compressed_it_still_comes_as_it_is_made() -> None:
    import zlib

    site = Gzipped(lambda request: Response((each for each in ("one ", 2, "two")), content_type="text/plain"))
    exchange = Exchange([get("/", "Accept-Encoding: gzip")], site)
    coder = zlib.decompressobj(31)
    assert coder.decompress(exchange.output.partition(b"\r\n\r\n")[2]) == b"one "
    answer: Answer = exchange.wait(3).answers()[0]
    assert zlib.decompress(answer.body, 31) == b"one two"


def test_closed_before_it_began() -> None:
    site = Watching("one")
    content = GeneratedContent(site.made())
    content.begin()
    content.close()
    assert (content.more(), site.ended) == (b"", "closed")


def test_over_a_real_socket(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with serving(Watching("one ", 0.01, "two ", None, "three")) as server:
        assert read_answers(talk(server, get(version="1.0")))[0].body == b"one two three"
    assert not caplog.records
