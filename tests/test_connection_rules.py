"""When a connection goes on and when it ends: whole conversations over a real socket, with h11 as the other end.

Each row says what the client sends, in turn, and for each answer its status and whether the connection goes on; the
client checks that the server then does what it said.  The sections are those of RFC 9112.
"""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator

import h11
import pytest

from httpd import HTTPError, Limits, Request, Response, Router, Server, html, text

from .exchange import Given, get, post, read_answers, read_to_end, serving

site = Router()
KEPT, ENDS = True, False


@site.route("/", methods=["GET", "POST"])
def front(request: Request) -> Response:
    return text(f"{request.method} {request.body.decode()}")


@site.get("/lines")
def lines(request: Request) -> Response:
    return Response(Given(b"one\n", b"two\n"), content_type="text/plain")


@site.get("/nothing")
def nothing(request: Request) -> Response:
    return Response(b"", 204)


@site.get("/same")
def same(request: Request) -> Response:
    return Response(b"", 304, [("ETag", '"1"')])


@site.get("/forbidden")
def forbidden(request: Request) -> Response:
    raise HTTPError(403)


@site.get("/fails")
def fails(request: Request) -> Response:
    raise ArithmeticError


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(site) as server:
        yield server


OLD, OLD_KEPT = get(version="1.0"), get("/", "Connection: keep-alive", version="1.0")
CLOSE = get("/", "Connection: close")

CONVERSATIONS = {
    # §9.3: HTTP/1.1 goes on by default
    "1.1": [(get(), 200, KEPT), (get(), 200, KEPT), (CLOSE, 200, ENDS)],
    "1.1 says keep-alive": [(get("/", "Connection: Keep-Alive"), 200, KEPT)],
    "1.1 says close at once": [(CLOSE, 200, ENDS)],
    # §9.3, C.2.2: HTTP/1.0 goes on when it says so
    "1.0 bare": [(OLD, 200, ENDS)],
    "1.0 keep-alive": [(OLD_KEPT, 200, KEPT), (OLD_KEPT, 200, KEPT)],
    "1.0 bare after keep-alive": [(OLD_KEPT, 200, KEPT), (OLD, 200, KEPT), (OLD, 200, KEPT)],
    "1.0 bare after 1.1": [(get(), 200, KEPT), (OLD, 200, KEPT)],
    "1.0 close after keep-alive": [(OLD_KEPT, 200, KEPT), (get("/", "Connection: close", version="1.0"), 200, ENDS)],
    "1.0 POST": [(post(b"a", version="1.0"), 200, ENDS)],
    "1.0 POST keep-alive": [(post(b"a", "Connection: keep-alive", version="1.0"), 200, KEPT), (OLD, 200, KEPT)],
    # content
    "POST, then GET": [(post(b"abc"), 200, KEPT), (get(), 200, KEPT)],
    "POST with a line end too many": [(post(b"abc") + b"\r\n", 200, KEPT), (post(b"def"), 200, KEPT)],
    "GET with content": [(get("/", "Content-Length: 3") + b"abc", 200, KEPT), (get(), 200, KEPT)],
    # answers without content, with it, and with no length
    "HEAD": [(get(method="HEAD"), 200, KEPT), (get(), 200, KEPT)],
    "HEAD close": [(get("/", "Connection: close", method="HEAD"), 200, ENDS)],
    "204": [(get("/nothing"), 204, KEPT), (get(), 200, KEPT)],
    "304": [(get("/same"), 304, KEPT), (get(), 200, KEPT)],
    "no length": [(get("/lines"), 200, ENDS)],
    "no length after an answer that had one": [(get(), 200, KEPT), (get("/lines"), 200, ENDS)],
    "OPTIONS": [(get("*", method="OPTIONS"), 204, KEPT), (get(method="OPTIONS"), 204, KEPT), (get(), 200, KEPT)],
    # the site's own errors end nothing
    "403": [(get("/forbidden"), 403, KEPT), (get(), 200, KEPT)],
    "404": [(get("/absent"), 404, KEPT), (get("/absent", method="HEAD"), 404, KEPT), (get(), 200, KEPT)],
    "405": [(get(method="DELETE"), 405, KEPT), (get(), 200, KEPT)],
    "500": [(get("/fails"), 500, KEPT), (get(), 200, KEPT)],
    "501": [(get(method="BREW"), 501, KEPT), (get(), 200, KEPT)],
    "TRACE": [(get(method="TRACE"), 405, KEPT), (get(), 200, KEPT)],
    # a refused request ends its connection: what follows has no frame
    "400": [(get(), 200, KEPT), (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400, ENDS)],
    "no Host": [(b"GET / HTTP/1.1\r\n\r\n", 400, ENDS)],
    "411": [(get(method="POST"), 411, ENDS)],
    "413": [(get("/", "Content-Length: 99999999", method="POST"), 413, ENDS)],
    "417": [(get("/", "Content-Length: 1", "Expect: x", method="POST"), 417, ENDS)],
    "chunked": [(get("/", "Transfer-Encoding: chunked", method="POST"), 411, ENDS)],
    "505": [(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, ENDS)],
    "after keep-alive": [(OLD_KEPT, 200, KEPT), (b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400, ENDS)],
}


class Client:
    """A connection that reads one answer at a time, as far as it goes and no byte further."""

    def __init__(self, server: Server) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), 10)
        self.rest = b""

    def ask(self, wire: bytes) -> tuple[h11.Response, bytes]:
        self.sock.sendall(wire)
        judge = h11.Connection(h11.CLIENT)
        method = wire.split(b" ", 1)[0]
        judge.send(h11.Request(method=method, target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
        judge.send(h11.EndOfMessage())
        if self.rest:
            judge.receive_data(self.rest)
        response, content = None, b""
        while not isinstance(event := judge.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                judge.receive_data(self.sock.recv(65_536))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                content += event.data
        self.rest = judge.trailing_data[0]
        assert response is not None
        return response, content

    def has_ended(self) -> bool:
        """Whether the server says that nothing more comes."""
        return self.rest == b"" and self.sock.recv(1) == b""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation(server: Server, name: str) -> None:
    client = Client(server)
    with client.sock:
        for wire, status, kept in CONVERSATIONS[name]:
            response, _ = client.ask(wire)
            fields = dict(response.headers)
            assert (response.http_version, response.status_code) == (b"1.0", status)
            assert fields[b"connection"] == (b"keep-alive" if kept else b"close")
            assert b"date" in fields
            assert b"transfer-encoding" not in fields
            assert (b"content-length" in fields) or not kept or status in (204, 304)
            if status == 405:
                assert b"GET" in fields[b"allow"]
        if not kept:
            assert client.has_ended()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_same_sent_ahead(server: Server, name: str) -> None:
    turns = CONVERSATIONS[name]
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        sock.sendall(b"".join(wire for wire, _, _ in turns))
        sock.shutdown(socket.SHUT_WR)
        answers = read_answers(read_to_end(sock), [wire.split(b" ", 1)[0].decode() for wire, _, _ in turns])
    assert [answer.status for answer in answers] == [status for _, status, _ in turns]
    assert [answer.keeps_alive for answer in answers] == [kept for _, _, kept in turns]


def test_http_client_keeps_its_connection(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.connect()
    sock = connection.sock
    for method, path, status in [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("POST", "/", 200),
        ("GET", "/nothing", 204),
        ("GET", "/same", 304),
        ("GET", "/absent", 404),
        ("GET", "/fails", 500),
        ("GET", "/", 200),
    ]:
        connection.request(method, path, b"content" if method == "POST" else None)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == status
        assert (content == b"") is (method == "HEAD" or status in (204, 304))
        # http.client counts an HTTP/1.0 answer with keep-alive as one that goes on.
        assert not answer.will_close
        assert connection.sock is sock
    connection.request("GET", "/lines")
    assert connection.getresponse().read() == b"one\ntwo\n"
    connection.close()


def test_a_client_that_waits_for_100_is_told_once(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
        wire = post(b"content", "Expect: 100-continue", "Connection: close")
        sock.sendall(wire[:-7])
        interim = sock.recv(1_000)
        assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(wire[-7:])
        [answer] = read_answers(interim + read_to_end(sock), ["POST"])
    assert (answer.interim, answer.body) == ([100], b"POST content")


def test_the_last_of_many_requests_ends_the_connection() -> None:
    with serving(site, limits=Limits(requests=50)) as server, Client(server).sock as sock:
        sock.sendall(get() * 60)
        answers = read_answers(read_to_end(sock))
    assert [answer.keeps_alive for answer in answers] == [True] * 49 + [False]


def test_a_slow_client_hinders_nobody() -> None:
    """Many connections, each at another place of its exchange, and one that is served beside them."""
    with serving(site) as server:
        begun = [b"", b"G", b"GET / HTTP/1.1\r\nHost", post(b"abc")[:-1], get() + b"GET", b"\r\n"]
        slow = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(5) for _ in begun]
        for sock, start in zip(slow, begun * 5, strict=True):
            sock.sendall(start)
        client = Client(server)
        with client.sock:
            began = time.monotonic()
            for _ in range(100):
                assert client.ask(get())[0].status_code == 200
            assert time.monotonic() - began < 3
        for sock in slow:
            sock.close()


def test_clients_beside_each_other_get_their_own_answers() -> None:
    wrong: list[str] = []
    own = Router()

    @own.get("/{name}")
    def hello(request: Request, name: str) -> Response:
        return html(name * 1_000)

    def ask(name: str, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for number in range(50):
            connection.request("GET", f"/{name}{number}")
            if connection.getresponse().read().decode() != f"{name}{number}" * 1_000:
                wrong.append(f"{name}{number}")
        connection.close()

    with serving(own) as server:
        threads = [threading.Thread(target=ask, args=(name, server.port)) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
