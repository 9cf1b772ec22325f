"""A server behind proxies: whom it takes for its client, what follows from it, and that nobody else is believed."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json as json_module
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from httpd import HTTPError, Limits, Request, Response, Router, Server, json
from httpd.certificates import Certificates
from httpd.server.mixing import mixed
from httpd.server.proxies import Proxies, forwarded_handler, listed_proxy, x_forwarded_handler
from httpd.trace.laws import check
from httpd.trace.replay import inbound
from httpd.trace.tracing import Memory, Tracing
from httpd.wsgi import WSGI

from .authority import Authority
from .exchange import GET, Exchange, StrictHandler, get, post, read_answers, read_to_end, serving
from .live import LiveServer
from .proxies import HAProxy, Nginx, Proxy
from .test_preamble import v2
from .test_server import eventually
from .tools import needs_module
from .workbench import until

CLOSE = get("/", "Connection: close")
TOLD = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n"


def who(request: Request) -> Response:
    """Whom the server takes for its client."""
    return json({"peer": request.peer, "scheme": request.scheme})


def told(answer: Any) -> tuple[str, str]:
    said = json_module.loads(answer.body)
    return said["peer"], said["scheme"]


# ---- who is listed


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("10.0.0.1", ("x-forwarded", "10.0.0.1")),
        ("forwarded=10.0.0.0/8", ("forwarded", "10.0.0.0/8")),
        ("proxy=2001:db8::/32", ("proxy", "2001:db8::/32")),
        ("x-forwarded=unix", ("x-forwarded", "unix")),
        ("unix", ("x-forwarded", "unix")),
    ],
)
def test_a_listed_proxy(text: str, listed: tuple[str, str]) -> None:
    assert listed_proxy(text) == listed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.1/8", "is neither an address, a network"),
        ("localhost", "is neither an address, a network"),
        ("", "is neither an address, a network"),
        ("proxy=", "is neither an address, a network"),
        ("via=10.0.0.1", "'via' is no way"),
        ("=10.0.0.1", "'' is no way"),
    ],
)
def test_what_cannot_be_listed(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        listed_proxy(text)


def test_of_several_the_first_that_fits() -> None:
    listed = ["proxy=10.0.0.1", "forwarded=10.0.0.0/8", "2001:db8::/32", "proxy=unix"]
    proxies = Proxies(map(listed_proxy, listed))
    ways = {
        address: proxies.way_of(address) for address in ["10.0.0.1", "10.9.9.9", "2001:db8::1%eth0", "11.0.0.1", ""]
    }
    assert list(ways.values()) == ["proxy", "forwarded", "x-forwarded", "", "proxy"]
    assert Proxies([("forwarded", "::1")]).way_of("") == ""


def test_few_addresses_are_remembered() -> None:
    proxies = Proxies([("forwarded", "10.0.0.0/8")])
    for number in range(5_000):
        proxies.way_of(f"10.0.{number >> 8}.{number & 255}")
    assert len(proxies._known) <= 1_000
    assert proxies.way_of("10.0.0.1") == "forwarded"


# ---- told in each request

PROXIES = [("x-forwarded", "192.0.2.1"), ("forwarded", "10.0.0.0/8")]


def exchange(*requests: bytes, site: Any = who, kind: type[forwarded_handler] = x_forwarded_handler) -> Exchange:
    """A connection of the proxy 192.0.2.1, as every Exchange is."""
    addition = type("listed", (kind,), {"proxies": Proxies(PROXIES)})
    handler_class: Any = mixed(StrictHandler, addition)
    return Exchange(requests, site, handler_class=handler_class)


def test_each_request_has_its_own_client() -> None:
    requests = [
        get("/", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"),
        get("/", "X-Forwarded-For: 198.51.100.2"),
        get("/"),
        get("/", "X-Forwarded-For: 6.6.6.6, 198.51.100.3, 10.0.0.7", "X-Forwarded-Proto: https"),
    ]
    for cut in (requests, [b"".join(requests)]):
        assert [told(answer) for answer in exchange(*cut).answers()] == [
            ("198.51.100.1", "https"), ("198.51.100.2", "http"), ("192.0.2.1", "http"), ("198.51.100.3", "https"),
        ]  # fmt: skip


def test_only_the_field_that_the_proxy_writes_is_read() -> None:
    """The other one is what its client has written."""
    spoof = "Forwarded: for=6.6.6.6;proto=https"
    for own in ((), ("X-Forwarded-For: 198.51.100.1",)):
        [answer] = exchange(get("/", spoof, *own)).answers()
        assert told(answer) == ("198.51.100.1" if own else "192.0.2.1", "http")
    [answer] = exchange(
        get("/", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "Forwarded: for=198.51.100.1"),
        kind=forwarded_handler,
    ).answers()
    assert told(answer) == ("198.51.100.1", "http")


def test_lines_of_one_field_are_one_list() -> None:
    lines = ["Forwarded: for=6.6.6.6", 'forwarded: for="[2001:db8::1]:80";proto=https']
    assert told(exchange(get("/", *lines), kind=forwarded_handler).answers()[0]) == ("2001:db8::1", "https")


def test_garbage_is_told_once_and_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    garbage = get("/", "X-Forwarded-For: \x7f\xff<script>" + "x" * 9_000)
    garbage = garbage.replace(b"\x7f", b"")
    with caplog.at_level(logging.WARNING):
        played = exchange(garbage, garbage, GET)
    assert {told(answer) for answer in played.answers()} == {("192.0.2.1", "http")}
    [line] = caplog.messages
    assert line.startswith("what the proxy 192.0.2.1 says of its clients is passed over: ")
    assert len(line) < 300
    assert "\xff" not in line


def test_what_is_asked_before_the_content_knows_it_too() -> None:
    class Site:
        def __call__(self, request: Request) -> Response:
            raise AssertionError

        def check(self, request: Request) -> None:
            raise HTTPError(403, f"{request.peer} by {request.scheme}")

    lines = "Expect: 100-continue", "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https", "Accept: text/plain"
    played = exchange(post(b"x" * 10, *lines)[:-10], site=Site())
    assert b"198.51.100.1 by https" in played.answers("POST")[0].body


def test_content_belongs_to_its_head() -> None:
    lines = "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"
    played = exchange(*(bytes([byte]) for byte in post(b"content", *lines) + GET))
    assert [told(answer) for answer in played.answers("POST")] == [("198.51.100.1", "https"), ("192.0.2.1", "http")]


def test_the_log_names_the_client() -> None:
    """What is no request comes from the proxy: nobody else is known."""
    peers = []

    class Site:
        def __call__(self, request: Request) -> Response:
            return who(request)

    played = exchange(site=Site())
    log: Any = played.log
    log.answered = log.refused = lambda asked, peer, *rest: peers.append(peer)
    played.feed(get("/", "X-Forwarded-For: 198.51.100.1"), GET, get("/", "X-Forwarded-For: 198.51.100.2"), b"NONE\r\n")
    assert peers == ["198.51.100.1", "192.0.2.1", "198.51.100.2", "192.0.2.1"]


def test_a_name_for_the_request_comes_from_the_proxy() -> None:
    names = []

    class Namer(StrictHandler):
        def respond(self, head: Any, response: Response) -> None:
            names.append(self.request_id(head))
            super().respond(head, response)

    proxies = Proxies(PROXIES)
    addition = type("listed", (x_forwarded_handler,), {"proxies": proxies})
    for kind in (mixed(Namer, addition), Namer):
        handler_class: Any = kind
        played = Exchange(handler_class=handler_class)
        played.service.ids.believes = lambda peer: peer == "192.0.2.1"
        played.feed(get("/", "X-Forwarded-For: 198.51.100.1", "X-Request-Id: theirs"))
    assert names == ["theirs", "theirs"]


def test_wsgi_has_it() -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']} {environ['SERVER_PORT']}".encode()]

    fields = "X-Forwarded-For: 198.51.100.1", "X-Forwarded-Proto: https"
    assert exchange(get("/", *fields), site=WSGI(app)).answers()[0].body == b"198.51.100.1 https 443"


# ---- over a real socket


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def ask(server: Server, *wire: bytes, source: str = "127.0.0.1") -> bytes:
    """All that comes back; each piece of the wire is sent by itself."""
    with socket.create_connection(("127.0.0.1", server.port), 10, source_address=(source, 0)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in wire:
            sock.sendall(piece)
        return read_to_end(sock)


def asked(server: Server, *wire: bytes, source: str = "127.0.0.1") -> tuple[str, str]:
    [answer] = read_answers(ask(server, *wire, source=source))
    return told(answer)


def forged(source: str) -> bytes:
    fields = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1;proto=https"]
    return get("/", *fields, "Connection: close")


def test_who_is_not_listed_speaks_for_nobody_else() -> None:
    for way in ("x-forwarded", "forwarded"):
        with serving(who, proxies=[(way, "127.0.0.1")]) as server:
            assert asked(server, forged("")) == ("192.0.2.1", "https")
            assert asked(server, forged(""), source="127.0.0.2") == ("127.0.0.2", "http")
    with serving(who) as server:
        assert asked(server, forged("")) == ("127.0.0.1", "http")
    with serving(who, proxies=[("proxy", "127.0.0.1")]) as server:
        assert asked(server, TOLD + forged("")) == ("192.0.2.1", "http")
        assert asked(server, forged(""), source="127.0.0.2") == ("127.0.0.2", "http")
        [answer] = read_answers(ask(server, TOLD + CLOSE, source="127.0.0.2"))
        assert answer.status == 400


def test_a_preamble_in_any_pieces() -> None:
    secure = v2(bytes([192, 0, 2, 1, 198, 51, 100, 2]) + bytes(4) + b"\x20\x00\x05\x01\0\0\0\0")
    with serving(who, proxies=[("proxy", "127.0.0.1")]) as server:
        for preamble, scheme in ((TOLD, "http"), (secure, "https")):
            whole = preamble + CLOSE
            assert asked(server, *(bytes([byte]) for byte in whole)) == ("192.0.2.1", scheme)
            for cut in range(1, len(preamble) + 2):
                assert asked(server, whole[:cut], whole[cut:]) == ("192.0.2.1", scheme)


def test_a_proxy_s_own_connection_is_its_own() -> None:
    with serving(who, proxies=[("proxy", "127.0.0.1")]) as server:
        for preamble in (b"PROXY UNKNOWN\r\n", v2(b"", command=0x20, family=0)):
            assert asked(server, preamble + CLOSE) == ("127.0.0.1", "http")


def test_what_is_no_preamble_is_closed_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), serving(who, proxies=[("proxy", "127.0.0.1")]) as server:
        idle = len(server.map)
        for wire in (GET, b"\x16\x03\x01", b"PROXY TCP4 nonsense\r\n", v2(b"", family=0x11)):
            with pytest.raises(ConnectionResetError):
                ask(server, wire)
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
        assert asked(server, TOLD + CLOSE) == ("192.0.2.1", "http")
        assert eventually(lambda: len(server.map) == idle)
    assert len(caplog.messages) == 1
    assert "it does not begin as the PROXY protocol does" in caplog.messages[0]


def test_a_preamble_has_its_time() -> None:
    limits = Limits(handshake_time=0.2)
    with serving(who, proxies=[("proxy", "127.0.0.1")], limits=limits) as server:
        assert ask(server, TOLD[:10]) == b""


def test_a_stopping_server_waits_for_no_preamble() -> None:
    with serving(who, proxies=[("proxy", "127.0.0.1")]) as server:
        idle = len(server.map)
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            assert eventually(lambda: len(server.map) == idle + 1)
            server.stop()
            assert sock.recv(1) == b""


def test_a_stopping_server_does_not_wait_for_the_rest_of_a_preamble() -> None:
    with serving(who, proxies=[("proxy", "127.0.0.1")]) as server:
        idle = len(server.map)
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(TOLD[:10])
            assert eventually(lambda: len(server.map) == idle + 1)
            server.stop()
            # Reset where the server had not come to reading it: nothing was answered, so nothing is lost by it.
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""


def test_connections_count_as_those_of_the_clients() -> None:
    limits = Limits(connections_per_address=1)
    other = TOLD.replace(b"192.0.2.1", b"192.0.2.2")
    with serving(who, proxies=[("proxy", "127.0.0.1")], limits=limits) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as first:
            first.sendall(TOLD + GET)
            assert first.recv(100).startswith(b"HTTP/1.0 200")
            assert ask(server, TOLD + CLOSE).startswith(b"HTTP/1.0 503")
            assert asked(server, other + CLOSE) == ("192.0.2.2", "http")
        assert eventually(lambda: not server._per_client)
    with serving(who, proxies=[("x-forwarded", "127.0.0.1")], limits=limits) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as first:
            first.sendall(GET)
            assert first.recv(100).startswith(b"HTTP/1.0 200")
            # A proxy's connections are as many as it likes.
            assert asked(server, CLOSE) == ("127.0.0.1", "http")
        assert eventually(lambda: not server._per_client)


def test_over_tls_what_the_proxy_says_counts_more(authority: Authority) -> None:
    """It may well speak TLS with us and not with its client."""
    kept = Certificates([tuple(map(str, authority.issue("localhost")))])  # type: ignore[list-item]

    def asked_over_tls(server: Server, wire: bytes, before: bytes = b"") -> tuple[str, str]:
        with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
            sock.sendall(before)
            with authority.client().wrap_socket(sock, server_hostname="localhost") as secure:
                secure.sendall(wire)
                [answer] = read_answers(read_to_end(secure))
        return told(answer)

    with serving(who, tls=kept, proxies=[("x-forwarded", "127.0.0.1")]) as server:
        plain = get("/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "Connection: close")
        assert asked_over_tls(server, plain) == ("192.0.2.1", "http")
        assert asked_over_tls(server, CLOSE) == ("127.0.0.1", "https")
    with serving(who, tls=kept, proxies=[("proxy", "127.0.0.1")]) as server:
        assert asked_over_tls(server, CLOSE, TOLD) == ("192.0.2.1", "https")


def test_what_is_recorded_is_what_follows_a_preamble() -> None:
    for way, before in (("proxy", TOLD), ("x-forwarded", b"")):
        traces = Memory()
        server = Server(who, port=0, access_log="off", proxies=[(way, "127.0.0.1")])
        Tracing(traces).attach(server)
        server.start()
        thread = threading.Thread(target=server.serve)
        thread.start()
        wire = GET + forged("")
        assert len(read_answers(ask(server, before + wire))) == 2
        server.stop()
        thread.join(10)
        [trace] = traces.traces
        assert check(trace.events) == []
        assert inbound(trace.events) == wire
        assert trace.head.peer.startswith("192.0.2.1:" if before else "127.0.0.1:")


@pytest.mark.parametrize("way", ["x-forwarded", "proxy"])
def test_a_unix_socket(tmp_path: Path, way: str) -> None:
    path = str(tmp_path / "socket")
    wire = TOLD + CLOSE if way == "proxy" else forged("")
    with serving(who, unix=path, proxies=[(way, "unix")]) as server:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(wire)
            [answer] = read_answers(read_to_end(sock))
        assert told(answer) == ("192.0.2.1", "https" if way == "x-forwarded" else "http")
        assert asked(server, forged("")) == ("127.0.0.1", "http")


@pytest.mark.programs
def test_wrong_passwords_count_against_the_client(tmp_path: Path) -> None:
    """Not against the proxy: the others come through it, too."""
    needs_module("bcrypt")
    import bcrypt

    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "page.html").write_text("page")
    (tmp_path / "users").write_bytes(b"a:" + bcrypt.hashpw(b"right", bcrypt.gensalt(4)) + b"\n")
    options = ["--auth", str(tmp_path / "users"), "--trust-proxy", "127.0.0.1", "--access-log", str(tmp_path / "log")]

    def status(client: str, password: str) -> int:
        basic = base64.b64encode(f"a:{password}".encode()).decode()
        wire = get("/page", f"Authorization: Basic {basic}", f"X-Forwarded-For: {client}", "Connection: close")
        with socket.create_connection(("127.0.0.1", live.port), 20) as sock:
            sock.sendall(wire)
            [answer] = read_answers(read_to_end(sock))
        return answer.status

    with LiveServer(tmp_path / "www", *options) as live:
        assert [status("192.0.2.1", f"wrong {number}") for number in range(11)] == [401] * 10 + [429]
        assert status("192.0.2.2", "right") == 200
    assert "192.0.2.2 - a [" in (tmp_path / "log").read_text()


# ---- real proxies

PLAIN_FORWARDED = "http-request set-header Forwarded for=%[src];proto=http;"

FRONTS: dict[str, tuple[str, Callable[[Path, Any], Proxy]]] = {
    "haproxy, v1": ("proxy", lambda folder, where: HAProxy(folder, where, sends="send-proxy")),
    "haproxy, v2": ("proxy", lambda folder, where: HAProxy(folder, where, sends="send-proxy-v2 check-send-proxy")),
    "haproxy, X-Forwarded-For": (
        "x-forwarded",
        lambda folder, where: HAProxy(folder, where, sends="option forwardfor;"),
    ),
    "haproxy, Forwarded": ("forwarded", lambda folder, where: HAProxy(folder, where, sends=PLAIN_FORWARDED)),
    "nginx, X-Forwarded-For": (
        "x-forwarded",
        lambda folder, where: Nginx(
            folder,
            where,
            modern=True,
            sends="proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
            "proxy_set_header X-Forwarded-Proto $scheme;",
        ),
    ),
    "nginx, Forwarded": (
        "forwarded",
        lambda folder, where: Nginx(
            folder, where, sends='proxy_set_header Forwarded "$http_forwarded, for=$remote_addr;proto=$scheme";'
        ),
    ),
}


@pytest.mark.tools
@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("unix", [False, True], ids=["address", "unix"])
def test_real_proxies_are_believed_and_their_clients_are_not(tmp_path: Path, front: str, unix: bool) -> None:
    way, start = FRONTS[front]
    path = str(tmp_path / "socket")
    site = Router()
    site.get("/")(who)
    site.post("/")(who)
    listed = [(way, "unix" if unix else "127.0.0.1")]
    with (
        serving(site, unix=path if unix else "", proxies=listed) as server,
        start(tmp_path, path if unix else server.port) as proxy,
    ):
        for source in ("127.0.0.9", "127.0.0.8", "127.0.0.9"):
            client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20, source_address=(source, 0))
            for number in range(3):
                spoof = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http", "Forwarded": "for=6.6.6.6"}
                client.request("POST" if number else "GET", "/", b"content" if number else None, spoof)
                answer = client.getresponse()
                said = json_module.loads(answer.read())
                assert (answer.status, said["peer"], said["scheme"]) == (200, source, "http")
            client.close()
        assert until(lambda: len(proxy.forwarded()) == 9)
