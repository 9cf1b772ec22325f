"""The server: start, connections and their limits, stop by call, by thread and by signal; over real sockets."""

from __future__ import annotations

import contextlib
import errno
import gc
import http.client
import io
import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import Limits, Request, Response, Server, http_request_handler, text
from httpd.net import asyncore
from httpd.net.producers import feed_producer
from httpd.site.entities import give_back

from .exchange import GET, Given, get, hello, post, read_answers, read_to_end, serving, talk
from .live import LiveServer
from .tools import TOP


def echo(request: Request) -> Response:
    return Response(request.body)


def to(server: Server | LiveServer, host: str = "127.0.0.1") -> socket.socket:
    """A connection to the server."""
    return socket.create_connection((host, server.port), 10)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def eventually(condition: Any, patience: float = 5) -> bool:
    """Whether it comes true before patience ends."""
    end = time.monotonic() + patience
    while not (true := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return bool(true)


# ---- start


def test_port_0_takes_a_free_one_and_the_url_names_it() -> None:
    with serving() as server:
        assert server.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}/"
        assert read_answers(talk(server, get("/", "Connection: close")))[0].body == b"hello"


@pytest.fixture
def connection() -> Iterator[http.client.HTTPConnection]:
    with serving(echo) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        yield connection
        connection.close()


def test_starting_twice_is_starting_once() -> None:
    with serving() as server:
        port = server.port
        server.start()
        assert server.port == port


def test_a_taken_port_is_an_error_and_leaves_nothing_open() -> None:
    with serving() as first:
        second = Server(hello, port=first.port, access_log="off")
        with pytest.raises(OSError, match="in use"):
            second.start()
        second.close()


def test_a_port_can_be_taken_again_at_once() -> None:
    with serving() as first:
        talk(first, get("/", "Connection: close"))
    with serving(port=first.port) as second:
        assert second.port == first.port


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_ipv6() -> None:
    peers = []

    def site(request: Request) -> Response:
        peers.append(request.peer)
        return text("six")

    with serving(site, bind="::1") as server:
        assert server.url == f"http://[::1]:{server.port}/"
        with to(server, "::1") as sock:
            sock.sendall(get("/", "Connection: close"))
            assert read_answers(read_to_end(sock))[0].body == b"six"
    assert peers == ["::1"]


def test_every_address() -> None:
    with serving(bind="") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 200


def test_the_sessions_and_the_class_of_the_handlers_are_the_program_s() -> None:
    made: list[Any] = []

    class Mine(http_request_handler):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            made.append(self.sessions)

    sessions: dict[str, Any] = {}
    with serving(handler_class=Mine, sessions=sessions) as server:
        talk(server, get("/", "Connection: close"))
    assert len(made) == 1
    assert made[0] is sessions


# ---- over a real socket


def test_a_thousand_posts_on_one_connection(connection: http.client.HTTPConnection) -> None:
    content = os.urandom(10_000)
    connection.connect()
    sock = connection.sock
    for number in range(1_000):
        sent = number.to_bytes(2, "big") + content[2:]
        connection.request("POST", "/", sent)
        assert connection.getresponse().read() == sent
    assert connection.sock is sock


def test_content_cut_at_every_byte() -> None:
    wire = post(b"0123456789", "Connection: close")
    with serving(echo) as server:
        for cut in range(1, len(wire)):
            with to(server) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(wire[:cut])
                sock.sendall(wire[cut:])
                assert read_to_end(sock).endswith(b"\r\n\r\n0123456789")


def test_ten_thousand_requests_sent_ahead() -> None:
    with serving() as server, to(server) as sock:
        sender = threading.Thread(target=sock.sendall, args=(GET * 9_999 + get("/", "Connection: close"),))
        sender.start()
        answers = read_to_end(sock)
        sender.join()
    assert answers.count(b"HTTP/1.0 200 OK\r\n") == 10_000


def test_a_client_that_reads_nothing_is_not_read_and_hinders_nobody() -> None:
    asked = 0

    def site(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return Response(bytes(100_000))

    with serving(site) as server, to(server) as greedy:
        greedy.setblocking(False)
        wire, sent = GET * 1_000, 0
        while sent < 10_000_000:
            try:
                sent += greedy.send(wire)
            except BlockingIOError:
                if not eventually(lambda: _takes(greedy), 0.2):
                    break
        assert sent < 10_000_000, "the server takes whatever it is sent"
        # What the kernel's buffers hold, and no more, was answered.
        assert asked < 200
        assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 200


def _takes(sock: socket.socket) -> bool:
    try:
        return sock.send(b"G") < 0
    except BlockingIOError:
        return False


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", id="413"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", id="411"),
        pytest.param(b"nonsense\r\n\r\n", id="400"),
    ],
)
def test_a_refused_client_gets_its_answer_even_if_it_sends_all_it_has_first(head: bytes) -> None:
    with serving() as server, to(server) as sock:
        sock.sendall(head)
        for _ in range(100):
            sock.sendall(bytes(10_000))
            time.sleep(0.001)
        [answer] = read_answers(read_to_end(sock), ["POST"])
    assert 400 <= answer.status < 500


def test_of_a_client_that_sends_on_while_content_has_nothing_yet_one_piece_is_held() -> None:
    feed = feed_producer()
    with serving(lambda request: Response(feed)) as server, to(server) as sock:
        feed.put(b"begun")
        sock.sendall(GET)
        assert eventually(lambda: sock.recv(4_096, socket.MSG_PEEK).endswith(b"begun"))
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(1 << 27))
        [channel] = [each for each in server.map.values() if isinstance(each, http_request_handler)]
        assert 0 < len(channel.ac_in_buffer) <= server.limits.piece


def test_the_other_half_of_a_connection_may_be_closed() -> None:
    with serving(lambda request: Response(bytes(2_000_000))) as server, to(server) as sock:
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        assert len(read_to_end(sock)) > 2_000_000


def test_content_ends_when_a_client_resets_and_others_go_on() -> None:
    contents: list[Given] = []

    def site(request: Request) -> Response:
        if request.path == "/":
            return text("hello")
        contents.append(Given(*[bytes(100_000)] * 1_000))
        return Response(contents[-1], length=100_000_000)

    with serving(site) as server:
        for _ in range(5):
            with to(server) as sock:
                sock.sendall(get("/big"))
                sock.recv(1000)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert eventually(lambda: [content.closes for content in contents] == [1] * 5)
        assert read_answers(talk(server, get("/", "Connection: close")))[0].body == b"hello"
        assert eventually(lambda: server._connections == 0)
        assert not server._per_client


def test_cut_content_looks_cut() -> None:
    def site(request: Request) -> Response:
        return Response(Given(b"abc", ValueError("no more")))

    with serving(site) as server, pytest.raises(ConnectionResetError):
        talk(server, get(version="1.0"))


def test_urgent_data_does_not_spin_the_loop() -> None:
    with serving() as server, to(server) as sock:
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(GET)
        assert sock.recv(65_536).startswith(b"HTTP/1.0 200")
        before = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - before < 0.1


def test_idle_connections_are_closed() -> None:
    with serving(limits=Limits(idle_time=0.1)) as server, to(server) as sock:
        sock.sendall(GET)
        assert len(read_answers(read_to_end(sock))) == 1


# ---- limits on connections


def test_more_connections_than_allowed_are_told_so() -> None:
    with serving(limits=Limits(connections=2)) as server:
        first, second = to(server), to(server)
        assert eventually(lambda: server._connections == 2)
        [answer] = read_answers(talk(server, b""))
        assert (answer.status, answer["retry-after"], answer["connection"]) == (503, "1", "close")
        assert int(answer["content-length"]) == len(answer.body)
        first.close()
        assert eventually(lambda: server._connections == 1)
        assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 200
        second.close()


def test_a_client_turned_away_gets_its_503_though_it_has_sent_something() -> None:
    with serving(limits=Limits(connections=1)) as server, to(server):
        assert eventually(lambda: server._connections == 1)
        for _ in range(20):
            [answer] = read_answers(talk(server, GET))
            assert answer.status == 503


def test_one_address_cannot_take_all_connections() -> None:
    with serving(bind="", limits=Limits(connections_per_address=1)) as server, to(server):
        assert eventually(lambda: server._connections == 1)
        assert read_answers(talk(server, b""))[0].status == 503
        with socket.create_connection(("127.0.0.1", server.port), 5, source_address=("127.0.0.2", 0)) as other:
            other.sendall(get("/", "Connection: close"))
            assert read_answers(read_to_end(other))[0].status == 200


def test_a_connection_that_fails_at_once_costs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(http_request_handler):
        def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
            if failing:
                failing.pop()
                sock.close()
                raise RuntimeError("not this one")
            super().__init__(sock, *args, **more)

    failing = [1]
    with serving(handler_class=Fails, limits=Limits(connections=1)) as server:
        assert talk(server, b"") == b""
        assert eventually(lambda: read_answers(talk(server, get("/", "Connection: close")))[0].status == 200)
    assert "not this one" in caplog.text


# ---- stop


def test_stopping_finishes_what_is_under_way_and_closes_what_is_idle() -> None:
    gate = threading.Event()
    asked = threading.Event()

    def site(request: Request) -> Response:
        asked.set()
        gate.wait(10)
        return text("finished")

    with serving(site) as server:
        idle = to(server)
        # Who says nothing is accepted a second late.
        assert eventually(lambda: server._connections == 1)
        busy = to(server)
        busy.sendall(GET)
        assert asked.wait(5)
        server.stop()
        gate.set()
        assert read_answers(read_to_end(busy))[0].body == b"finished"
        assert read_to_end(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            to(server).close()
        idle.close()
        busy.close()


def test_stopping_waits_for_a_request_that_has_begun() -> None:
    with serving(echo) as server, to(server) as sock:
        wire = post(b"0123456789")
        sock.sendall(wire[:-5])
        assert eventually(lambda: server._connections == 1)
        time.sleep(0.05)
        server.stop()
        time.sleep(0.05)
        sock.sendall(wire[-5:])
        [answer] = read_answers(read_to_end(sock), ["POST"])
    assert (answer.body, answer["connection"]) == (b"0123456789", "close")


def test_a_stopping_server_does_not_keep_a_connection_it_had_promised_to_keep() -> None:
    began = time.monotonic()
    with serving(lambda request: Response(bytes(20_000_000))) as server, to(server) as sock:
        sock.sendall(GET)
        first = sock.recv(1000)
        server.stop()
        content = (first + read_to_end(sock)).partition(b"\r\n\r\n")[2]
        assert len(content) == 20_000_000
    assert time.monotonic() - began < Limits().drain_time / 2


def test_stopping_does_not_wait_for_content_that_has_no_end() -> None:
    began = time.monotonic()
    with serving(lambda request: Response(feed_producer())) as server, to(server) as sock:
        sock.sendall(GET)
        sock.recv(1000)
        server.stop()
        assert read_to_end(sock) == b""
    assert time.monotonic() - began < Limits().drain_time / 2


@pytest.mark.parametrize("second_call", [True, False])
def test_stopping_has_a_deadline_and_a_second_call_does_not_wait_for_it(second_call: bool) -> None:
    """An answer that ends with its connection is then cut, so that it cannot pass for whole."""
    limits = Limits(drain_time=30 if second_call else 0.2)
    content = Given(*[bytes(100_000)] * 1_000)
    with serving(lambda request: Response(content), limits=limits) as server, to(server) as sock:
        sock.sendall(get(version="1.0"))
        sock.recv(1000)
        server.stop()
        time.sleep(0.1)
        if second_call:
            server.stop()
        assert eventually(lambda: content.closes == 1)
        with pytest.raises(ConnectionResetError):
            read_to_end(sock)


def test_stop_before_and_after_serving() -> None:
    server = Server(hello, port=0, access_log="off")
    server.start()
    server.stop()
    server.serve()
    server.stop()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        to(server).close()


def test_run_away_from_the_main_thread_leaves_the_signals_alone(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = Server(hello, port=0, access_log="off")
    thread = threading.Thread(target=server.run)
    thread.start()
    assert eventually(lambda: server._listeners)
    assert signal.getsignal(signal.SIGTERM) is before
    server.stop()
    thread.join(5)
    assert f"serving at {server.url}" in capfd.readouterr().err


def test_run_in_the_main_thread_gives_the_signals_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    server = Server(hello, port=0, access_log="off")
    server.start()
    asyncore.call_later(0.05, os.kill, os.getpid(), signal.SIGTERM, map=server.map)
    server.run()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# ---- making way for another


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket that listens, as another process hands it on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_a_server_takes_sockets_that_listen_already(listening: socket.socket) -> None:
    with serving_at(listening) as server:
        assert server.port == listening.getsockname()[1]
        assert read_answers(talk(server, get("/", "Connection: close")))[0].body == b"hello"
    # It was a copy: whoever handed it on still has it.
    with serving_at(listening) as server:
        assert read_answers(talk(server, get("/", "Connection: close")))[0].body == b"hello"


def serving_at(
    listening: socket.socket, site: Callable[[Request], Response] = hello
) -> contextlib.AbstractContextManager[Server]:
    """A server at a copy of this socket, in a thread."""
    return serving(site, [listening.dup()], limits=Limits(reuse_time=0.3))


def test_two_servers_at_one_socket_share_what_comes(listening: socket.socket) -> None:
    asked: list[int] = []
    busy = [threading.Event(), threading.Event()]

    def site(number: int) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            asked.append(number)
            busy[number].set()
            assert busy[1 - number].wait(10), "the other was not woken while this one was busy"
            return text("here")

        return answer

    with serving_at(listening, site(0)) as server, serving_at(listening, site(1)), to(server) as one:
        one.sendall(get("/", "Connection: close"))
        assert eventually(lambda: asked)
        assert b"here" in talk(server, get("/", "Connection: close"))
        assert b"here" in read_to_end(one)
    assert sorted(asked) == [0, 1]


@pytest.mark.skipif(not hasattr(select, "EPOLLEXCLUSIVE"), reason="only Linux wakes one of several")
def test_of_servers_at_one_socket_the_kernel_is_to_wake_one(listening: socket.socket) -> None:
    with serving_at(listening) as shared, serving(hello) as sole:
        for server, alone in ((shared, True), (sole, False)):
            assert b"hello" in talk(server, get("/", "Connection: close"))
            [listener] = server._listeners
            told = Path(f"/proc/self/fdinfo/{server._interests._backend._epoll.fileno()}").read_text()
            [mask] = re.findall(rf"tfd:\s+{listener.socket.fileno()} events:\s+([0-9a-f]+)", told)
            assert bool(int(mask, 16) & select.EPOLLEXCLUSIVE) is alone


def test_a_server_that_makes_way_answers_a_last_request_of_each_connection(listening: socket.socket) -> None:
    with serving_at(listening) as server, to(server) as busy, to(server) as idle, to(server) as new:
        for sock in (busy, idle):
            sock.sendall(GET)
            assert sock.recv(65_536).endswith(b"hello")
        server.retire()
        assert eventually(lambda: server.service.draining)
        for sock in (busy, new):
            sock.sendall(GET)
            [answer] = read_answers(read_to_end(sock))
            assert not answer.keeps_alive
        assert read_to_end(idle) == b""


def test_after_a_large_answer_there_is_time_for_a_last_request(listening: socket.socket) -> None:
    content = bytes(20_000_000)
    with serving_at(listening, lambda request: Response(content)) as server, to(server) as sock:
        sock.sendall(GET)
        seen = len(sock.recv(1_000))
        server.retire()
        # Longer than an idle connection has.
        time.sleep(0.5)
        while seen < len(content):
            seen += len(sock.recv(1 << 20))
        sock.sendall(GET)
        [answer] = read_answers(read_to_end(sock))
        assert not answer.keeps_alive


def test_whoever_has_connected_when_a_server_makes_way_is_served(listening: socket.socket) -> None:
    server = Server(hello, access_log="off", limits=Limits(reuse_time=0.3, linger_pause=0.1))
    server.start([listening.dup()])
    with socket.create_connection(listening.getsockname(), 10) as waiting:
        waiting.sendall(GET)
        server.retire()
        server.serve()
        assert read_answers(read_to_end(waiting))[0].body == b"hello"


def test_a_server_that_makes_way_closes_all_at_once_when_told_to(listening: socket.socket) -> None:
    with serving_at(listening, lambda request: Response(feed_producer())) as server, to(server) as sock:
        sock.sendall(GET)
        sock.recv(1000)
        server.retire()
        server.stop()
        assert eventually(lambda: server._closed)


def run_with(server: Server, *steps: Callable[[], object]) -> None:
    """Run the server in this thread; take the steps one after the other, then stop it by a signal."""
    server.start()
    for number, step in enumerate([*steps, lambda: os.kill(os.getpid(), signal.SIGTERM)]):
        asyncore.call_later(0.05 * (number + 1), step, map=server.map)
    server.run()


@pytest.mark.parametrize("sign", [signal.SIGUSR1, signal.SIGHUP])
def test_a_signal_reopens_the_access_log(sign: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    log = tmp_path / "access.log"
    run_with(
        Server(hello, port=0, access_log=str(log)),
        lambda: log.rename(tmp_path / "access.log.1"),
        lambda: os.kill(os.getpid(), sign),
    )
    assert log.exists()
    assert (tmp_path / "access.log.1").exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_that_hangs_up_stops_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    server = Server(hello, port=0, access_log="off")
    server.start()
    asyncore.call_later(0.05, os.kill, os.getpid(), signal.SIGHUP, map=server.map)
    server.run()
    assert server._closed


def test_a_server_that_nohup_has_started_outlives_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heard: list[int] = []
    try:
        run_with(
            Server(hello, port=0, access_log="off"),
            lambda: os.kill(os.getpid(), signal.SIGHUP),
            lambda: heard.append(1),
        )
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == [1]


def test_reopening_the_log_of_a_server_that_has_ended_does_nothing() -> None:
    server = Server(hello, port=0, access_log="off")
    server.close()
    server.reopen_log()


@pytest.mark.programs
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_command_cleanly(sign: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("index")
    with LiveServer(tmp_path, "--access-log", "off") as server, to(server) as sock:
        sock.sendall(GET)
        assert sock.recv(65_536).startswith(b"HTTP/1.0 200")
        assert server.stop(sign) == 0
        assert sock.recv(1) == b""
    assert server.log.count("\n") == 1


@pytest.mark.programs
def test_a_signal_right_after_the_address_is_known() -> None:
    for _ in range(5):
        with LiveServer(TOP / "examples", "--access-log", "off") as server:
            assert server.stop() == 0


@pytest.mark.programs
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(sign: signal.Signals, tmp_path: Path) -> None:
    with open(tmp_path / "big", "wb") as file:
        file.truncate(1 << 30)
    with LiveServer(tmp_path, "--access-log", "off") as server, to(server) as sock:
        sock.sendall(get("/big"))
        sock.recv(1000)
        began = time.monotonic()
        server.process.send_signal(sign)
        time.sleep(0.2)
        assert server.process.poll() is None, "it did not wait for the answer under way"
        assert server.stop(sign) == 0
        assert time.monotonic() - began < 3
    assert "Traceback" not in server.log


# ---- out of descriptors

EXHAUSTED = """
import os, resource, sys
from httpd import Server, Response
kept = []
def site(request):
    if request.path == "/free":
        for fd in kept: os.close(fd)
        kept.clear()
    return Response("here")
server = Server(site, port=0, access_log="off")
server.start()
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
while len(kept) < 60:
    try:
        kept.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        break
for fd in kept[-3:]: os.close(fd)
del kept[-3:]
server.run()
"""


@pytest.mark.programs
def test_out_of_descriptors_the_server_goes_on_and_accepts_again() -> None:
    with LiveServer("", command=[sys.executable, "-c", EXHAUSTED]) as server:
        first = to(server)
        first.sendall(GET)
        assert first.recv(65_536).startswith(b"HTTP/1.0 200")
        waiting = [to(server) for _ in range(10)]
        for sock in waiting:
            sock.sendall(get("/", "Connection: close"))
        time.sleep(0.3)
        spent = _cpu(server.pid)
        time.sleep(0.5)
        assert _cpu(server.pid) - spent < 0.2, "it spins while it has no descriptor"
        # Those that have a connection are served all the while, and one of them sets the others free.
        first.sendall(get("/free"))
        assert first.recv(65_536).startswith(b"HTTP/1.0 200")
        statuses = {read_answers(read_to_end(sock))[0].status for sock in waiting}
        assert statuses <= {200, 503}
        for sock in (*waiting, first):
            sock.close()
        assert server.stop() == 0
    assert "Traceback" not in server.log


@contextlib.contextmanager
def no_descriptors_but(count: int) -> Iterator[None]:
    """In this process, so many more descriptors can be had and no others."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What other tests have left would be found again when it is needed.
    gc.collect()
    give_back()
    resource.setrlimit(resource.RLIMIT_NOFILE, (1 + max(map(int, os.listdir("/dev/fd"))), before[1]))
    plugs = []
    try:
        with contextlib.suppress(OSError):
            while True:
                plugs.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(count):
            os.close(plugs.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for plug in plugs:
            os.close(plug)


def test_the_spare_descriptor_turns_those_away_for_whom_there_is_none() -> None:
    with serving() as server:
        sockets = [socket.socket() for _ in range(8)]
        turned_away = 0
        with to(server) as served:
            served.sendall(GET)
            assert served.recv(65_536).startswith(b"HTTP/1.0 200")
            with no_descriptors_but(0):
                for sock in sockets:
                    sock.settimeout(1)
                    sock.connect(("127.0.0.1", server.port))
                    sock.sendall(GET)
                    # Where another thread of this process gives one back just now, a connection has it and waits.
                    with contextlib.suppress(TimeoutError):
                        assert read_answers(read_to_end(sock))[0].status == 503
                        turned_away += 1
                assert turned_away >= 5
                served.sendall(GET)
                assert served.recv(65_536).startswith(b"HTTP/1.0 200")
        for sock in sockets:
            sock.close()
        assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 200


def test_without_a_spare_descriptor_the_listener_rests_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    server = Server(hello, port=0, access_log="off")
    with no_descriptors_but(1), monkeypatch.context() as patch:
        patch.setattr("resource.setrlimit", refused)
        server.start()
    thread = threading.Thread(target=server.serve)
    sock = socket.socket()
    sock.settimeout(5)
    with no_descriptors_but(0):
        thread.start()
        sock.connect(("127.0.0.1", server.port))
        sock.sendall(get("/", "Connection: close"))
        time.sleep(0.3)
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.15, "it spins while it has no descriptor"
    assert read_answers(read_to_end(sock))[0].status in (200, 503)
    assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 200
    sock.close()
    server.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_an_accept_that_fails_in_an_unknown_way_is_logged_and_the_listener_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_accept = socket.socket._accept  # type: ignore[attr-defined]
    faults = [PermissionError(1, "a firewall says no")]

    def accept(sock: socket.socket) -> Any:
        if faults:
            raise faults.pop()
        return real_accept(sock)

    monkeypatch.setattr(socket.socket, "_accept", accept)
    with serving() as server:
        assert read_answers(talk(server, get("/", "Connection: close")))[0].status == 200
    assert "a firewall says no" in caplog.text


def test_a_listener_that_is_gone_ends_the_server() -> None:
    server = Server(hello, port=0, access_log="off")
    server.start()
    thread = threading.Thread(target=server.serve)
    thread.start()
    server._listeners[0].socket.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert not thread.is_alive()


def test_who_leaves_in_the_turn_that_accepted_it_costs_no_timer_and_is_no_news_to_the_kernel() -> None:
    server = Server(hello, port=0, access_log="off")
    server.start()
    asyncore.poll(0, server.map)
    backend: Any = server._interests._backend
    told: list[tuple[Any, ...]] = []
    backend.set = backend.remove = lambda *change: told.append(change)
    with contextlib.closing(server):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                sock.sendall(get("/", version="1.0"))
                asyncore.poll(1, server.map)
                assert read_answers(read_to_end(sock))[0].body == b"hello"
        asyncore.poll(0, server.map)
        assert (server.timers._made, told) == (0, [])
        del backend.set, backend.remove


@pytest.mark.skipif(not hasattr(socket, "TCP_DEFER_ACCEPT"), reason="the system cannot wait for a first byte")
def test_a_connection_is_accepted_when_something_comes_or_soon_all_the_same() -> None:
    server = Server(hello, port=0, access_log="off")
    server.start()
    place = ("127.0.0.1", server.port)
    with contextlib.closing(server), socket.create_connection(place) as sock, socket.create_connection(place) as silent:
        asyncore.poll(0.05, server.map)
        assert server._connections == 0
        sock.sendall(b"G")
        asyncore.poll(5, server.map)
        assert [channel.addr for channel in server._handlers()] == [sock.getsockname()]
        asyncore.poll(5, server.map)
        assert [channel.addr for channel in server._handlers()] == [sock.getsockname(), silent.getsockname()]


def test_a_unix_socket_is_as_good() -> None:
    server = Server(hello, port=0, access_log="off")
    server.start()
    ours, theirs = socket.socketpair()
    ours.sendall(get("/", "Connection: close"))
    server.welcome(theirs, "")
    assert read_answers(read_to_end(ours))[0].body == b"hello"
    ours.close()
    server.close()


def _cpu(pid: int) -> float:
    """The processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_an_address_that_another_takes_after_it_was_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sockets with SO_REUSEADDR may be bound to one address, and the second listen() fails."""
    server = Server(hello, port=0, access_log="off")

    def taken(sock: socket.socket, backlog: int) -> None:
        raise OSError(errno.EADDRINUSE, "taken")

    monkeypatch.setattr(socket.socket, "listen", taken)
    with pytest.raises(OSError, match="taken"):
        server.start()
    assert (server.map, server.port) == ({}, 0)
    server.close()


@pytest.mark.parametrize("name", ["a\r\nSet-Cookie: b", "caf\u20ac", "a\0"])
def test_a_server_name_that_would_break_every_head_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError):
        Server(lambda request: Response(b""), access_log="off", server_name=name)


def test_a_class_may_be_the_site() -> None:
    """What its objects do when they are called is their own."""

    class Page(Response):
        def __init__(self, request: Request) -> None:
            super().__init__(request.path)

        def __call__(self, request: Request) -> None:
            raise AssertionError("nobody has asked for that")

    with serving(Page) as server:
        [answer] = read_answers(talk(server, get("/page", version="1.0")))
    assert answer.body == b"/page"
