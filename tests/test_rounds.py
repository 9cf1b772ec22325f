"""The requests of one turn are answered together."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from httpd import Request, Response, Server, StaticFiles, http_request_handler, text
from httpd.net import asyncore
from httpd.net.timers import ExitNow

from .exchange import GET, get, post, read_answers


@contextmanager
def clients_of(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """Connections to a server whose loop is turned by the test."""
    ends = []
    try:
        for _ in range(count):
            ours, theirs = socket.socketpair()
            ours.settimeout(5)
            ends.append(ours)
            server.welcome(theirs, "")
        turn(server)
        yield ends
    finally:
        for end in ends:
            end.close()
        server.close()


def turn(server: Server) -> None:
    asyncore.loop(0.0, map=server.map, count=1)


def body_at(end: socket.socket) -> bytes:
    [answer] = read_answers(end.recv(65_536))
    return answer.body


def test_everything_is_received_first_then_answered_then_sent() -> None:
    steps: list[str] = []

    class Told(http_request_handler):
        def handle_request(self, request: Request) -> None:
            steps.append("received")
            super().handle_request(request)

        def send_answer(self) -> None:
            steps.append("sent")
            super().send_answer()

    def site(request: Request) -> Response:
        steps.append("answered")
        return text("here")

    server = Server(site, access_log="off", handler_class=Told)
    with clients_of(server, 3) as ends:
        for end in ends:
            end.sendall(GET)
        turn(server)
        assert steps == ["received"] * 3 + ["answered"] * 3 + ["sent"] * 3
        assert [body_at(end) for end in ends] == [b"here"] * 3


def test_who_was_answered_quickly_does_not_wait_for_slow_answers() -> None:
    steps: list[str] = []

    class Told(http_request_handler):
        def send_answer(self) -> None:
            steps.append("sent")
            super().send_answer()

    def site(request: Request) -> Response:
        time.sleep(0.002)
        steps.append("answered")
        return text("late")

    server = Server(site, access_log="off", handler_class=Told)
    with clients_of(server, 3) as ends:
        for end in ends:
            end.sendall(GET)
        turn(server)
        assert steps == ["answered", "sent"] * 3


def test_requests_sent_ahead_are_answered_in_order_in_the_same_turn() -> None:
    asked: list[str] = []

    def site(request: Request) -> Response:
        asked.append(request.path)
        return text(request.path)

    server = Server(site, access_log="off")
    with clients_of(server, 2) as ends:
        ends[0].sendall(get("/a1") + get("/a2") + get("/a3"))
        ends[1].sendall(get("/b1") + get("/b2"))
        turn(server)
        assert asked == ["/a1", "/b1", "/a2", "/b2", "/a3"]
        assert [answer.body for answer in read_answers(ends[0].recv(65_536))] == [b"/a1", b"/a2", b"/a3"]
        assert [answer.body for answer in read_answers(ends[1].recv(65_536))] == [b"/b1", b"/b2"]


def test_one_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(http_request_handler):
        def respond(self, head: object, response: Response) -> None:
            if response.body == b"/1":
                raise RuntimeError("on purpose")
            super().respond(head, response)  # type: ignore[arg-type]

        def send_answer(self) -> None:
            if b"/2" in b"".join(self._ac_fifo):
                raise RuntimeError("on purpose, too")
            super().send_answer()

    server = Server(lambda request: text(request.path), access_log="off", handler_class=Fails)
    with clients_of(server, 4) as ends:
        for number, end in enumerate(ends):
            end.sendall(get(f"/{number}"))
        turn(server)
        assert [body_at(ends[number]) for number in (0, 3)] == [b"/0", b"/3"]
        assert [ends[number].recv(10) for number in (1, 2)] == [b"", b""]
    assert [record.message for record in caplog.records] == [
        "connection from a unix socket failed in state handle",
        "connection from a unix socket failed in state send response",
    ]


def test_who_leaves_the_loop_finds_the_rest_when_he_comes_back() -> None:
    asked: list[str] = []

    def site(request: Request) -> Response:
        asked.append(request.path)
        if request.path == "/1":
            raise KeyboardInterrupt
        return text(request.path)

    server = Server(site, access_log="off")
    with clients_of(server, 3) as ends:
        for number, end in enumerate(ends):
            end.sendall(get(f"/{number}"))
        with pytest.raises(KeyboardInterrupt):
            turn(server)
        turn(server)
        assert asked == ["/0", "/1", "/2"]
        assert [body_at(ends[number]) for number in (0, 2)] == [b"/0", b"/2"]


def test_a_handler_may_end_the_loop() -> None:
    class Leaves(http_request_handler):
        def answer_request(self, request: Request) -> None:
            raise ExitNow

        def handle_error(self) -> None:
            raise AssertionError("nothing has failed")

    server = Server(lambda request: text(""), access_log="off", handler_class=Leaves)
    with clients_of(server, 1) as [end]:
        end.sendall(GET)
        with pytest.raises(ExitNow):
            turn(server)


def test_who_has_gone_before_his_turn_is_not_answered() -> None:
    asked: list[str] = []
    channels: list[http_request_handler] = []

    class Listed(http_request_handler):
        def handle_request(self, request: Request) -> None:
            channels.append(self)
            super().handle_request(request)

    def site(request: Request) -> Response:
        asked.append(request.path)
        channels[-1].close()
        return text("")

    server = Server(site, access_log="off", handler_class=Listed)
    with clients_of(server, 2) as ends:
        for number, end in enumerate(ends):
            end.sendall(get(f"/{number}"))
        turn(server)
        assert asked == ["/0"]


def test_the_rounds_of_requests() -> None:
    """All GETs of one turn share one; whatever may change something has none."""
    rounds: list[tuple[str, int]] = []

    def site(request: Request) -> Response:
        rounds.append((request.method, request.round))
        return text("")

    server = Server(site, access_log="off")
    with clients_of(server, 3) as ends:
        for request, end in zip((GET, post(b"x"), GET + GET), ends, strict=True):
            end.sendall(request)
        turn(server)
    (_, first), posted, (_, same), (_, later) = rounds
    assert first == same != 0
    assert posted == ("POST", 0)
    assert later not in (0, first)


def test_a_file_is_looked_at_once_a_round_and_is_never_stale(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    server = Server(StaticFiles(tmp_path), access_log="off")
    with clients_of(server, 3) as ends:
        for content in (b"old", b"new", b"newest"):
            path.write_bytes(content)
            for end in ends:
                end.sendall(get("/a.txt"))
            turn(server)
            assert [body_at(end) for end in ends] == [content] * 3
