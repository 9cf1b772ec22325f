"""The requests of one turn are answered together."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from httpd import Request, Response, Server, StaticFiles, http_request_handler, text
from httpd.net import asyncore
from httpd.net.timers import ExitNow
from httpd.protocol.errors import Later
from httpd.protocol.message import Head
from httpd.server.log import AccessLog, Channel

from .exchange import GET, get, post, read_answers


@contextmanager
def clients_of(
    server: Server, count: int, clock: Callable[[], float] = lambda: 0.0
) -> Iterator[list[socket.socket]]:
    """Connections to a server whose loop is turned by the test; unless told, no time goes by in a turn."""
    server.timers.clock = clock
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


def ask_by_number(ends: list[socket.socket]) -> None:
    """Each asks for its own number: "/0", "/1" and so on."""
    for number, end in enumerate(ends):
        end.sendall(get(f"/{number}"))


def listing(channels: list[http_request_handler]) -> type[http_request_handler]:
    """Handlers that are listed as soon as they have a head."""

    class Listed(http_request_handler):
        def found_head(self, head: bytes) -> None:
            channels.append(self)
            super().found_head(head)

    return Listed


def body_at(end: socket.socket) -> bytes:
    [answer] = read_answers(end.recv(65_536))
    return answer.body


def test_everything_is_received_first_then_judged_then_answered_then_sent() -> None:
    steps: list[str] = []

    class Told(http_request_handler):
        def found_head(self, head: bytes) -> None:
            steps.append("received")
            super().found_head(head)

        def handle_request(self, request: Request) -> None:
            steps.append("judged")
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
        assert steps == ["received"] * 3 + ["judged"] * 3 + ["answered"] * 3 + ["sent"] * 3
        assert [body_at(end) for end in ends] == [b"here"] * 3


@pytest.mark.parametrize(("asking", "answer"), [(GET, b"GET"), (post(b"abc"), b"POST abc")])
def test_a_head_that_is_known_is_not_judged_again(asking: bytes, answer: bytes) -> None:
    judged: list[bytes] = []

    class Told(http_request_handler):
        def judge_head(self, head: bytes) -> None:
            judged.append(head)
            super().judge_head(head)

    def site(request: Request) -> Response:
        return text(f"{request.method} {request.body.decode()}".rstrip())

    server = Server(site, access_log="off", handler_class=Told)
    with clients_of(server, 1) as [end]:
        for _ in range(5):
            end.sendall(asking)
            turn(server)
            assert body_at(end) == answer
        assert judged == [asking.partition(b"\r\n\r\n")[0]] * 2


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
    with clients_of(server, 3, time.monotonic) as ends:
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


@pytest.mark.skipif(not hasattr(socket, "TCP_CORK"), reason="the kernel gathers packets on Linux only")
def test_answers_to_requests_sent_ahead_share_packets_and_none_is_kept_back() -> None:
    """Neither behind the last one, nor while the next is being worked on."""
    corked: list[tuple[bool, str]] = []
    work: list[Callable[[], object]] = []

    class Told(http_request_handler):
        def gather_packets(self, on: bool) -> None:
            super().gather_packets(on)
            corked.append((bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)), self.state.value))

    def site(request: Request) -> Response:
        if request.path == "/later" and not work:
            raise Later(lambda: work.append(print))
        return text(request.path)

    server = Server(site, port=0, access_log="off", handler_class=Told)
    server.start()
    server.service.beside = lambda todo, then: work.append(lambda: (todo(), then and then(None)))
    try:
        with socket.create_connection(("127.0.0.1", server.port), 5) as client:
            client.sendall(get("/1") + get("/2") + get("/3")[:20])
            while not corked:
                turn(server)
            assert corked == [(True, "send response"), (False, "read header")]
            assert [answer.body for answer in read_answers(client.recv(65_536))] == [b"/1", b"/2"]
            corked.clear()
            client.sendall(get("/3")[20:] + get("/later"))
            while not work:
                turn(server)
            assert corked == [(True, "send response"), (False, "handle")]
            client.settimeout(0.1)
            assert [answer.body for answer in read_answers(client.recv(65_536))] == [b"/3"]
    finally:
        server.close()


def test_one_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(http_request_handler):
        def judge_head(self, head: bytes) -> None:
            if head.startswith(b"GET /4 "):
                raise RuntimeError("on purpose, at once")
            super().judge_head(head)

        def respond(self, head: object, response: Response) -> None:
            if response.body == b"/1":
                raise RuntimeError("on purpose")
            super().respond(head, response)  # type: ignore[arg-type]

        def send_answer(self) -> None:
            if b"/2" in b"".join(self._ac_fifo):
                raise RuntimeError("on purpose, too")
            super().send_answer()

    server = Server(lambda request: text(request.path), access_log="off", handler_class=Fails)
    with clients_of(server, 6) as ends:
        ask_by_number(ends)
        turn(server)
        assert [body_at(ends[number]) for number in (0, 3, 5)] == [b"/0", b"/3", b"/5"]
        assert [ends[number].recv(10) for number in (1, 2, 4)] == [b"", b"", b""]
    assert [record.message for record in caplog.records] == [
        "connection from a unix socket failed in state read header",
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
        ask_by_number(ends)
        with pytest.raises(KeyboardInterrupt):
            turn(server)
        turn(server)
        assert asked == ["/0", "/1", "/2"]
        assert [body_at(ends[number]) for number in (0, 2)] == [b"/0", b"/2"]


def test_who_leaves_when_heads_are_judged_finds_the_rest_too() -> None:
    class Leaves(http_request_handler):
        def judge_head(self, head: bytes) -> None:
            if head.startswith(b"GET /1 "):
                raise KeyboardInterrupt
            super().judge_head(head)

    server = Server(lambda request: text(request.path), access_log="off", handler_class=Leaves)
    with clients_of(server, 3) as ends:
        ask_by_number(ends)
        with pytest.raises(KeyboardInterrupt):
            turn(server)
        turn(server)
        assert [body_at(ends[number]) for number in (0, 2)] == [b"/0", b"/2"]
        ends[2].sendall(GET)
        turn(server)
        assert body_at(ends[2]) == b"/"


def test_content_that_came_with_its_head_is_read_in_the_same_turn_and_more_in_the_next() -> None:
    server = Server(lambda request: text(request.body.decode()), access_log="off")
    with clients_of(server, 3) as ends:
        ends[0].sendall(post(b"whole") + get("/"))
        ends[1].sendall(post(b"in two")[:-3])
        ends[2].sendall(b"GET  / HTTP/1.1" + GET)
        turn(server)
        assert [answer.body for answer in read_answers(ends[0].recv(65_536))] == [b"whole", b""]
        assert ends[2].recv(65_536).startswith(b"HTTP/1.0 400 ")
        ends[1].sendall(b"two")
        turn(server)
        assert body_at(ends[1]) == b"in two"


def test_what_was_answered_before_somebody_leaves_the_loop_is_sent() -> None:
    def site(request: Request) -> Response:
        if request.path == "/1":
            raise SystemExit
        return text(request.path)

    server = Server(site, access_log="off")
    with clients_of(server, 3) as ends:
        ask_by_number(ends)
        with pytest.raises(SystemExit):
            turn(server)
        assert body_at(ends[0]) == b"/0"


def test_what_is_no_exception_costs_its_connection_and_not_the_server() -> None:
    """asyncio's CancelledError is one of these."""

    class Odd(BaseException): ...

    def site(request: Request) -> Response:
        if request.path == "/0":
            raise Odd
        return text(request.path)

    server = Server(site, access_log="off")
    with clients_of(server, 2) as ends:
        ask_by_number(ends)
        turn(server)
        assert ends[0].recv(10) == b""
        assert body_at(ends[1]) == b"/1"


def test_an_answer_that_cannot_be_put_off_costs_its_connection() -> None:
    def site(request: Request) -> Response:
        raise Later(lambda: None)

    def cannot(*work: object) -> None:
        raise RuntimeError("on purpose")

    server = Server(site, access_log="off")
    server.service.beside = cannot
    with clients_of(server, 1) as [end]:
        end.sendall(GET)
        turn(server)
        assert end.recv(10) == b""


@pytest.mark.parametrize(("request_", "content"), [(post(b"x"), b"x"), (GET, b"")], ids=["POST", "GET"])
def test_a_request_is_answered_whose_client_has_hung_up_behind_it(request_: bytes, content: bytes) -> None:
    contents: list[bytes] = []

    def site(request: Request) -> Response:
        contents.append(request.body)
        return text("")

    server = Server(site, access_log="off")
    with clients_of(server, 1) as [end]:
        end.sendall(request_)
        end.close()
        turn(server)
        turn(server)
        assert (contents, server._connections) == ([content], 0)


def test_a_client_that_hangs_up_while_work_is_done_for_it_has_gone() -> None:
    def site(request: Request) -> Response:
        raise Later(lambda: None)

    server = Server(site, access_log="off")
    server.service.beside = lambda work, then: None
    with clients_of(server, 1) as [end]:
        end.sendall(GET)
        end.close()
        for _ in range(3):
            turn(server)
        assert server._connections == 0


def test_who_is_asked_while_his_request_waits_is_read_again() -> None:
    """A request waits for longer than its turn only where somebody leaves the loop."""
    channels: list[http_request_handler] = []

    def site(request: Request) -> Response:
        if request.path == "/leave":
            raise KeyboardInterrupt
        return text(request.path)

    server = Server(site, access_log="off", handler_class=listing(channels))
    with clients_of(server, 2) as ends:
        ends[0].sendall(get("/leave"))
        ends[1].sendall(get("/1"))
        with pytest.raises(KeyboardInterrupt):
            turn(server)
        for channel in channels:
            channel.interest_changed()
        turn(server)
        assert body_at(ends[1]) == b"/1"
        ends[1].sendall(get("/2"))
        turn(server)
        assert body_at(ends[1]) == b"/2"


@pytest.mark.parametrize("request_", [GET, get(version="1.0")])
def test_a_site_that_closes_the_server_has_no_answer_sent(request_: bytes) -> None:
    logged: list[int] = []

    class Told(AccessLog):
        def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
            logged.append(status)

    def site(request: Request) -> Response:
        server.close()
        return text("")

    server = Server(site, access_log="off", log_class=Told)
    with clients_of(server, 1) as [end]:
        end.sendall(request_)
        turn(server)
        assert end.recv(10) == b""
    assert (logged, server._connections) == ([], 0)


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

    def site(request: Request) -> Response:
        asked.append(request.path)
        channels[-1].close()
        return text("")

    server = Server(site, access_log="off", handler_class=listing(channels))
    with clients_of(server, 2) as ends:
        ask_by_number(ends)
        turn(server)
        assert asked == ["/0"]


def test_who_has_gone_before_his_head_is_judged_is_not_asked() -> None:
    judged: list[str] = []
    channels: list[http_request_handler] = []

    class Judged(listing(channels)):  # type: ignore[misc]
        def handle_request(self, request: Request) -> None:
            judged.append(request.path)
            channels[-1].close()

    server = Server(lambda request: text(""), access_log="off", handler_class=Judged)
    with clients_of(server, 2) as ends:
        ask_by_number(ends)
        turn(server)
        assert judged == ["/0"]
        assert ends[1].recv(10) == b""


def test_the_rounds_of_requests() -> None:
    """All GETs of one turn share one, also those sent ahead; whatever may change something has none."""
    rounds: list[tuple[str, int]] = []

    def site(request: Request) -> Response:
        rounds.append((request.method, request.round))
        return text("")

    site.in_rounds = True  # type: ignore[attr-defined]
    server = Server(site, access_log="off")
    with clients_of(server, 3) as ends:
        for request, end in zip((GET, post(b"x"), GET + GET), ends, strict=True):
            end.sendall(request)
        turn(server)
        ends[0].sendall(GET)
        turn(server)
    (_, first), posted, (_, same), (_, ahead), (_, later) = rounds
    assert first == same == ahead != 0
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


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file that may be remembered."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    time.sleep(0.03)
    return path


def test_a_site_that_changes_a_file_sees_what_it_has_changed(old: Path) -> None:
    files = StaticFiles(old.parent)

    def site(request: Request) -> Response:
        if request.query:
            old.write_bytes(b"new")
        return files(request)

    server = Server(site, access_log="off")
    with clients_of(server, 2) as ends:
        for target, content in (("/a.txt", b"old"), ("/a.txt?new", b"new")):
            ends[0].sendall(get("/a.txt"))
            ends[1].sendall(get(target))
            turn(server)
            assert [body_at(end) for end in ends] == [b"old", content]


def test_who_was_put_off_sees_what_has_changed_meanwhile(old: Path) -> None:
    class Guarded(StaticFiles):
        asked = 0

        def __call__(self, request: Request, path: str | None = None) -> Response:
            if request.query:
                self.asked += 1
                if self.asked % 2:
                    raise Later(lambda: None)
            return super().__call__(request, path)

    server = Server(Guarded(old.parent), access_log="off")
    waiting: list[Callable[[None], None]] = []
    server.service.beside = lambda work, then: waiting.append(then)  # type: ignore[arg-type]
    with clients_of(server, 2) as ends:
        for content in (b"old", b"new"):
            ends[0].sendall(get("/a.txt"))
            ends[1].sendall(get("/a.txt?late"))
            turn(server)
            assert body_at(ends[0]) == b"old"
            old.write_bytes(content)
            if content == b"old":
                os.utime(old, (1_000_000_000, 1_000_000_000))
                time.sleep(0.03)
            waiting.pop()(None)
            assert body_at(ends[1]) == content


def test_two_servers_of_one_site_have_no_round_in_common(old: Path) -> None:
    (old.parent / "b.txt").write_bytes(b"")
    site = StaticFiles(old.parent)
    for content, targets in ((b"old", ("/b.txt", "/a.txt", "/a.txt")), (b"new", ("/b.txt", "/b.txt", "/a.txt"))):
        server = Server(site, access_log="off")
        with clients_of(server, 1) as [end]:
            old.write_bytes(content)
            time.sleep(0.03)
            for target in targets:
                end.sendall(get(target))
                turn(server)
                answer = body_at(end)
            assert answer == content
