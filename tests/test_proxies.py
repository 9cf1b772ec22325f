"""Behind a real HAProxy and a real nginx: what they send is answered, and a request is one to both or to neither.

A proxy and a server that disagree on where a request ends let one client put requests into another's connection
(RFC 9112 §11.2).  So every way that is known to make two servers disagree is sent, raw, to each proxy, and its log is
held against ours.  `pytest -s -k smuggling` shows the figures.
"""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from httpd import Request, Response, text

from .exchange import serving
from .proxies import HAProxy, Nginx, Proxy
from .smuggling import CASES, written
from .tap import Tap
from .workbench import Workbench, noise, until, workbench

pytestmark = pytest.mark.tools

BIG = noise(2 << 20, seed=5)

FRONTS: dict[str, Callable[[Path, int], Proxy]] = {
    "haproxy": HAProxy,
    "haproxy, lenient": lambda folder, port: HAProxy(folder, port, lenient=True),
    "nginx": Nginx,
    "nginx, HTTP/1.1": lambda folder, port: Nginx(folder, port, modern=True),
    "nginx, streaming": lambda folder, port: Nginx(folder, port, streams=True),
    "nginx, lenient": lambda folder, port: Nginx(folder, port, modern=True, lenient=True),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with workbench(tmp_path) as bench:
        (bench.folder / "page").write_bytes(b"page")
        (bench.folder / "big").write_bytes(BIG)
        yield bench


def ask(proxy: Proxy, *requests: tuple[str, str, object]) -> list[tuple[int, bytes]]:
    """(status, content) of each answer; the requests go over one connection to the proxy where it keeps one."""
    answers = []
    client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        for method, path, body in requests:
            client.request(method, path, body)  # type: ignore[arg-type]
            answer = client.getresponse()
            answers.append((answer.status, answer.read()))
    finally:
        client.close()
    return answers


def slowly(*pieces: bytes) -> Iterator[bytes]:
    """Pieces that no proxy finds together."""
    for piece in pieces:
        yield piece
        time.sleep(0.2)


# ---- in good times


def test_haproxy_keeps_its_connection_to_us(bench: Workbench, tmp_path: Path) -> None:
    """Our answers say HTTP/1.0; that and keep-alive is enough for it."""
    with HAProxy(tmp_path, bench.tap.port) as proxy:
        several = [("GET", "/page", None), ("GET", "/big", None), ("HEAD", "/page", None), ("POST", "/echo", BIG)]
        assert ask(proxy, *several, ("GET", "/nothing", None))[:4] == [
            (200, b"page"), (200, BIG), (200, b""), (200, BIG),
        ]  # fmt: skip
        assert ask(proxy, ("GET", "/page", None)) == [(200, b"page")]
    used = [connection for connection in bench.tap.connections if connection.sent]
    assert [len(connection.asked()) for connection in used] == [6]


def test_haproxy_hands_chunks_on_and_the_411_back(bench: Workbench, tmp_path: Path) -> None:
    with HAProxy(tmp_path, bench.tap.port) as proxy:
        chunked = ask(proxy, ("POST", "/echo", iter([b"one", b"two"])))
        assert chunked[0][0] == 411
        # What is left of the chunks is nobody's request.
        assert ask(proxy, ("GET", "/page", None), ("POST", "/echo", b"abc")) == [(200, b"page"), (200, b"abc")]
    assert any("chunked" in asked["Transfer-Encoding"] for asked in bench.tap.asked)
    # A line is written at the end of the turn that answered.
    assert until(lambda: [status for _, status in bench.logged()] == [411, 200, 200])


def test_haproxy_checks_our_health(bench: Workbench, tmp_path: Path) -> None:
    with HAProxy(tmp_path, bench.tap.port, check=True) as proxy:
        assert isinstance(proxy, HAProxy)
        assert until(lambda: proxy.status() == ("UP", "L7OK", "200")), proxy.status()
        bench.healthy = False
        assert until(lambda: proxy.status() == ("DOWN", "L7STS", "503")), proxy.status()
        assert ask(proxy, ("GET", "/page", None))[0][0] == 503
        bench.healthy = True
        assert until(lambda: proxy.status() == ("UP", "L7OK", "200")), proxy.status()
        assert ask(proxy, ("GET", "/page", None)) == [(200, b"page")]
    checks = [asked for asked in bench.tap.asked if asked.target == "/health"]
    assert {(check.method, check.version) for check in checks} == {("GET", "HTTP/1.0")}


@pytest.mark.parametrize("kind", [kind for kind in FRONTS if kind.startswith("nginx")])
def test_nginx(bench: Workbench, tmp_path: Path, kind: str) -> None:
    """It never uses the connection of an HTTP/1.0 answer again, whatever is said of keeping it."""
    with FRONTS[kind](tmp_path, bench.tap.port) as proxy:
        several = [("GET", "/page", None), ("GET", "/big", None), ("HEAD", "/page", None), ("POST", "/echo", BIG)]
        assert ask(proxy, *several) == [(200, b"page"), (200, BIG), (200, b""), (200, BIG)]
        [(status, content)] = ask(proxy, ("POST", "/echo", slowly(b"one", b"two")))
        # It takes chunks together and tells their length, unless it is to hand them on.
        if kind == "nginx, streaming":
            assert status == 411, content
        else:
            assert (status, content) == (200, b"onetwo")
    used = [connection for connection in bench.tap.connections if connection.sent]
    assert [len(connection.asked()) for connection in used] == [1] * 5
    versions = {asked.version for asked in bench.tap.asked}
    assert versions == {"HTTP/1.0" if kind == "nginx" else "HTTP/1.1"}


# ---- smuggling

# A request that names its case: (case, which of its requests).
NAMED = re.compile(r"/([a-z0-9-]+)/(first|second|third)")


def mirror(request: Request) -> Response:
    """Says what it was asked."""
    return text(f"asked {request.path}\n")


def exchange(port: int, sent: bytes) -> bytes:
    """What comes back until the proxy closes, or has been quiet for a while."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(sent)
        sock.settimeout(0.7)
        try:
            while piece := sock.recv(65_536):
                received += piece
        except OSError:
            pass
    return received


def counted(request_lines: list[str]) -> Counter[tuple[str, ...]]:
    """How often each case's requests are there: (case, which)."""
    return Counter(found.groups() if (found := NAMED.search(line)) else ("?", line) for line in request_lines)


@pytest.mark.parametrize("kind", FRONTS)
def test_smuggling(tmp_path: Path, kind: str) -> None:
    """No request that the proxy saw as one is two to us, or the reverse; and nobody gets another's answer."""
    log = tmp_path / "access.log"
    with (
        serving(mirror, access_log=str(log)) as server,
        Tap(server.port) as tap,
        FRONTS[kind](tmp_path, tap.port) as proxy,
    ):
        with ThreadPoolExecutor(24) as pool:
            received = dict(zip(CASES, pool.map(lambda name: exchange(proxy.port, written(name)), CASES), strict=True))

        def seen() -> Counter[tuple[str, ...]]:
            return counted(re.findall(r'^\S+ - - \[[^]]*\] "(.*?)" \d{3} ', log.read_text(), re.MULTILINE))

        def handed() -> Counter[tuple[str, ...]]:
            return counted([line.request_line for line in proxy.forwarded()])

        until(lambda: handed() == seen(), 3)
        given_up = counted([line.request_line for line in proxy.forwarded() if line.aborted])
        more, fewer = seen() - handed(), handed() - seen() - given_up
        statuses = Counter(re.findall(r'" (\d{3}) \d+ "', log.read_text()))
        told = Counter(line.status for line in proxy.logged() if not line.forwarded)
    strangers = [name for name in CASES if set(re.findall(rb"asked /([^/]*)/", received[name])) - {name.encode()}]
    print(
        f"\n{kind}: of {len(CASES)} cases the proxy refused {sum(told.values())} requests {dict(told)} and handed on "
        f"{sum(handed().values())}; we saw {sum(seen().values())} and answered {dict(statuses)}"
    )
    assert (more, fewer, strangers) == (Counter(), Counter(), [])
    assert sum(handed().values()) > 60
