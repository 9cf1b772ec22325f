"""Faults over TLS: resets, handlers and content that fail, no descriptors.  What is cut is seen to be cut."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd import Request, Response, StaticFiles
from httpd.net.hello import INTERNAL_ERROR, fatal_alert

from .exchange import EOF, GET, RESET, Given, get, post, read_answers, read_to_end, serving
from .test_faults import faulty_site
from .test_server import eventually, no_descriptors_but, to
from .test_tls import Conversation, client_context, connected, server_context

SMALL, LARGE = b"small" * 100, b"large" * 400_000
MOMENTS = {
    "after the handshake": b"",
    "in the head": b"GET /small HT",
    "in the content": post(b"x" * 1000)[:-500],
    "after a request": get("/small"),
    "in an answer of a file": get("/large"),
    "in an answer of a producer": get("/producer"),
    "with requests sent ahead": get("/small") * 50,
    "lingering": b"GET / HTTP/1.1\r\n\r\n" + b"x" * 1000,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "small").write_bytes(SMALL)
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path


@pytest.mark.parametrize("end", [EOF, RESET], ids=["an end", "a reset"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_client_that_is_gone_at_any_moment(
    root: Path, moment: str, end: bytes | OSError, caplog: pytest.LogCaptureFixture
) -> None:
    producers: list[Given] = []

    def site(request: Request) -> Response:
        if request.path == "/producer":
            producers.append(Given(*[b"x" * 100_000] * 100))
            return Response(producers[-1], length=10_000_000)
        return files(request)

    files = StaticFiles(root)
    # It takes a little more than the handshake's bytes, and then nothing.
    talk = Conversation(site, room=8_000)
    talk.say(*[MOMENTS[moment]] * bool(MOMENTS[moment]))
    talk.feed(end)
    talk.wait(120)
    assert talk.closed
    assert all(producer.closes == 1 for producer in producers)
    assert not caplog.records


@pytest.mark.parametrize("path", ["/raises", "/none", "/length", "/broken"])
def test_a_handler_that_fails_before_the_head_is_a_500(tmp_path: Path, path: str) -> None:
    talk = Conversation(faulty_site(tmp_path)).say(get(path), get("/good"))
    failed, good = talk.answers()
    assert (failed.status, failed.keeps_alive, good.body) == (500, True, b"good")


@pytest.mark.parametrize("path", ["/producer", "/endless", "/halfway"])
def test_content_that_fails_after_the_head_is_cut(tmp_path: Path, path: str) -> None:
    talk = Conversation(faulty_site(tmp_path)).say(get(path), get("/good"))
    assert talk.heard.count(b"HTTP/1.0 ") == 1
    assert (talk.closed, talk.reset, talk.told_end) == (True, True, False)


@contextlib.contextmanager
def half_done(port: int, count: int) -> Iterator[None]:
    """Handshakes that have begun, and go no further."""
    with contextlib.ExitStack() as held:
        hello = ssl.MemoryBIO()
        client = client_context().wrap_bio(ssl.MemoryBIO(), hello)
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        data = hello.read()
        for number in range(count):
            sock = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            sock.sendall(data[: number % len(data)])
        yield


def test_handshakes_that_go_no_further_keep_nobody_waiting(root: Path) -> None:
    with serving(StaticFiles(root), tls=server_context()) as server, half_done(server.port, 300):
        assert eventually(lambda: server._connections == 300)
        with connected(server) as sock:
            sock.sendall(get("/small", "Connection: close"))
            assert read_answers(read_to_end(sock))[0].body == SMALL


def test_without_descriptors_it_is_told_by_an_alert() -> None:
    with serving(tls=server_context()) as server:
        with connected(server) as served:
            served.sendall(GET)
            assert served.recv(65_536).startswith(b"HTTP/1.0 200")
            sockets = [socket.socket() for _ in range(8)]
            told = 0
            with no_descriptors_but(0):
                for sock in sockets:
                    sock.settimeout(1)
                    sock.connect(("127.0.0.1", server.port))
                    sock.sendall(GET)
                    # Where another thread of this process gives one back just now, a connection has it and waits.
                    with contextlib.suppress(TimeoutError):
                        assert read_to_end(sock) == fatal_alert(INTERNAL_ERROR)
                        told += 1
                assert told >= 5
                served.sendall(GET)
                assert served.recv(65_536).startswith(b"HTTP/1.0 200")
            for sock in sockets:
                sock.close()
        with to(server) as plain:
            plain.sendall(get())
            assert read_answers(read_to_end(plain))[0].status == 400
