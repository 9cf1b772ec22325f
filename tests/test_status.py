"""The status page: every live channel and what it waits for, for nobody but whoever runs the server."""

from __future__ import annotations

import contextlib
import html
import json
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from httpd import Request, Response, Server, blocking, text
from httpd.seeing import status as status_module
from httpd.seeing.channels import Row, View, rows_of
from httpd.seeing.places import Desk
from httpd.seeing.plots import HEIGHT, areas, lines
from httpd.seeing.shared import MOST_ROWS
from httpd.seeing.status import add_status, readable_span
from httpd.server.aside import LIMITS, Aside, sockets_at

from .chromium import chromium, quiet_page
from .exchange import Exchange, get, hello, post, serving, talk
from .live import LiveServer
from .test_metrics import asked, closing, in_loop
from .test_server import eventually
from .tools import needs_module

SCRIPT = "<script>alert(1)</script>"


def site(request: Request) -> Response:
    return text("x" * (8 << 20) if request.path == "/large" else "hello")


class Shown:
    """A server whose status page is at a port of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.desk = Desk({add_status: 0})
        self.port = self.desk.listen()[0]
        in_loop(server, lambda: self.desk.attach(server))
        self.url = f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str = "", **fields: str) -> tuple[int, dict[str, str], str]:
        lines = {name.replace("_", "-"): value for name, value in fields.items()}
        request = urllib.request.Request(self.url + path, headers=lines)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    def rows(self, path: str = "") -> list[list[str]]:
        """The cells of each channel, as a person reads them."""
        return rows_in(self.ask(path)[2])

    def row(self, sock: socket.socket, wanted: str) -> list[str]:
        """The row of a client, once it says this."""
        peer = f"127.0.0.1:{sock.getsockname()[1]}"
        while True:
            for row in self.rows():
                if row[0] == peer and any(wanted in cell for cell in row):
                    return row

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), 10)


def rows_in(page: str) -> list[list[str]]:
    table = page.partition('<table class="channels">')[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")]
    return [[html.unescape(re.sub(r"<[^>]*>", "", cell)) for cell in row] for row in rows if row]


@contextlib.contextmanager
def shown(answers: Callable[[Request], Response] = site, **options: Any) -> Iterator[Shown]:
    with serving(answers, **options) as server:
        yield Shown(server)


@pytest.fixture
def status() -> Iterator[Shown]:
    with shown() as status:
        yield status


# ---- what it tells of a channel


def test_an_idle_channel(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(get("/a") + get("/b"))
        row = status.row(client, "idle")
    assert row[1].startswith("idle ")
    assert re.fullmatch(r"idle-time, (1 min|[\d.]+ s) left", row[2])
    assert (row[3], row[4], row[5]) == ("", "2", f"{len(get('/a')) * 2} B")
    assert row[8] == "–"


def test_a_channel_that_reads_a_head(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(b"GET /half HTTP/1.1\r\n")
        row = status.row(client, "read header")
    assert re.fullmatch(r"header-time, [\d.]+ s left", row[2])
    assert row[3] == "a head, 20 bytes of it yet"


def test_a_channel_that_reads_content(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(post(b"abc", path="/form")[:-1])
        row = status.row(client, "read body")
    assert re.fullmatch(r"body-time, [\d.]+ s left", row[2])
    assert row[3] == "POST /form HTTP/1.1"


def test_a_channel_whose_answer_is_under_way(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(get("/large"))
        row = status.row(client, "send response")
    assert re.fullmatch(r"stall-time, [\d.]+ s left", row[2])
    assert row[3] == "GET /large HTTP/1.1"
    assert row[6].endswith("B")


def test_a_channel_that_waits_for_the_site() -> None:
    may_go = threading.Event()

    @blocking
    def slow(request: Request) -> Response:
        may_go.wait(10)
        return text("late")

    with shown(slow) as status, status.connect() as client:
        client.sendall(get("/slow"))
        row = status.row(client, "handle")
        assert (row[2], row[3]) == ("the site", "GET /slow HTTP/1.1")
        may_go.set()
        assert status.row(client, "idle")[3] == ""


def test_a_channel_that_lingers(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(b"nonsense\r\n\r\n")
        row = status.row(client, "linger")
    assert re.fullmatch(r"linger-pause, [\d.]+ m?s left", row[2])


def test_a_channel_whose_content_is_not_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stalled:
        def more(self) -> None:
            return None

    exchange = Exchange([get()], lambda request: Response(Stalled()))
    exchange.wait(3)
    # As where the kernel does not tell.
    monkeypatch.delattr(socket, "TCP_INFO")
    [row] = rows_of([exchange.handler], exchange.clock.now, 1, View("", "busy"))
    assert (row.state, row.limit, row.left, row.asked) == ("send response", "", None, "GET / HTTP/1.1")
    assert (row.age, row.received) == (3, None)


def test_channels_over_tls(tmp_path: Path) -> None:
    needs_module("cryptography")
    from httpd import certificates

    own = certificates.self_signed(["127.0.0.1"])
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with shown(tls=own.context) as status, status.connect() as silent, status.connect() as speaks:
        row = status.row(silent, "handshake")
        assert re.fullmatch(r"handshake-time, [\d.]+ s left", row[2])
        with trusting.wrap_socket(speaks) as client:
            client.sendall(get())
            assert client.recv(1)
            assert status.row(client, "idle")[8] == "TLSv1.3"


def test_what_strangers_send_is_shown_as_text(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(post(b"abc", path=f"/{SCRIPT}")[:-1])
        assert status.row(client, "read body")[3] == f"POST /{SCRIPT} HTTP/1.1"
        body = status.ask()[2]
    assert SCRIPT not in body
    assert html.escape(SCRIPT) in body


def test_a_long_request_line_is_cut(status: Shown) -> None:
    with status.connect() as client:
        client.sendall(post(b"abc", path="/" + "a" * 5_000)[:-1])
        assert len(status.row(client, "read body")[3]) == 161


# ---- thousands


def test_of_many_channels_some_are_shown_and_all_are_counted(status: Shown) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(MOST_ROWS + 50):
            clients.enter_context(status.connect())
        # Who says nothing is accepted a second late.
        assert eventually(lambda: status.server._connections == MOST_ROWS + 50)
        busy = clients.enter_context(status.connect())
        busy.sendall(post(b"abc")[:-1])
        status.row(busy, "read body")
        rows = status.rows()
        assert len(rows) == MOST_ROWS
        # Whoever does something comes first.
        assert rows[0][1].startswith("read body")
        assert "The first 200 of 251;" in status.ask()[2]
        assert len(status.rows("?state=read+body")) == 1
        assert len(status.rows("?state=idle&order=age")) == 200


def test_a_client_in_a_hurry_has_all_its_answers() -> None:
    """As soon as one of its requests is heard it comes again: more often than it might be here at once."""
    clients: list[socket.socket] = []
    answers: list[bytes] = []
    done = threading.Event()

    def come() -> None:
        clients.append(socket.create_connection(("127.0.0.1", port), 10))
        clients[-1].sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    def come_again(request: Request) -> Response:
        if len(clients) > 1:
            with clients[-2] as before:
                answers.append(before.recv(65_536))
        if len(clients) <= LIMITS.connections + 5:
            come()
        else:
            done.set()
        return text("hello")

    with serving(hello) as server:
        sockets = sockets_at(-1)
        port = sockets[0].getsockname()[1]
        in_loop(server, lambda: Aside(server, come_again, sockets))
        come()
        assert done.wait(10)
        clients[-1].close()
    assert len(answers) > LIMITS.connections
    assert all(answer.startswith(b"HTTP/1.0 200 ") for answer in answers)


@pytest.mark.parametrize("order", ["busy", "age", "sent", "left"])
def test_what_comes_first(order: str, status: Shown) -> None:
    with status.connect() as old, status.connect() as busy:
        old.sendall(get())
        busy.sendall(get("/large"))
        status.row(old, "idle")
        status.row(busy, "send response")
        first = status.rows(f"?order={order}")[0][0].partition(":")[2]
        assert first == str((old if order == "age" else busy).getsockname()[1])
        assert status.rows("?order=requests")[0][4] == "1"


@pytest.mark.parametrize("query", ["?state=nothing", "?order=nothing", "?state=%3Cscript%3E"])
def test_what_cannot_be_asked_for(query: str, status: Shown) -> None:
    assert status.ask(query)[0] == 404
    assert status.ask("live" + query)[0] == 404


# ---- workers


@pytest.mark.programs
def test_the_channels_of_all_workers_are_shown_by_each(tmp_path: Path) -> None:
    with LiveServer(tmp_path, "--workers", "2", "--status=0") as live, contextlib.ExitStack() as clients:
        assert live.wait_for("the status page is at ")
        url = live.log.partition("the status page is at ")[2].split()[0]
        peers: set[str] = set()
        end = time.monotonic() + 30

        def shown() -> list[list[str]]:
            """The rows, when they are of all clients."""
            while True:
                assert time.monotonic() < end
                with urllib.request.urlopen(url + "?state=idle&order=age", timeout=10) as answer:
                    page = answer.read().decode()
                rows = rows_in(page)
                if {row[0] for row in rows} == peers and f"<b>{len(peers)}</b>" in page:
                    return rows

        # One worker may take all that come together.
        rows: list[list[str]] = []
        while len({row[1] for row in rows}) < 2:
            for _ in range(8):
                client = clients.enter_context(socket.create_connection(("127.0.0.1", live.port), 10))
                peers.add(f"127.0.0.1:{client.getsockname()[1]}")
            rows = shown()
        # Whichever of the two answers.
        for _ in range(4):
            rows = shown()
            assert len({row[1] for row in rows}) == 2
            ages = [span(row[8]) for row in rows]
            assert ages == sorted(ages, reverse=True)


def test_what_others_have_not_told_yet_is_waited_for_once(status: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that who comes first has the rows of all, also without scripts; one that does not tell keeps nobody longer."""
    told: list[bytes] = [b""]
    monkeypatch.setattr(status.desk._tallies.board, "told", lambda: iter(told))
    with status.connect() as client:
        began = time.monotonic()
        own = f"127.0.0.1:{client.getsockname()[1]}"
        assert [row[0] for row in status.rows("?order=age")] == [own]
        assert time.monotonic() - began > 1
        rows = [Row(rank, 7, f"192.0.2.{rank}:1", "", "idle", 1, rank, 2, 3, 4, "", None, "") for rank in (900, 0)]
        told[0] = json.dumps([time.monotonic(), [["", "busy", []], ["", "age", rows]]]).encode()
        assert [row[0] for row in status.rows("?order=age")] == ["192.0.2.900:1", own, "192.0.2.0:1"]
        # What is old is not true any more.
        told[0] = json.dumps([time.monotonic() - 4, [["", "age", rows]]]).encode()
        assert [row[0] for row in status.rows("?order=age")] == [own]


def span(told: str) -> float:
    """The seconds of a short time as it is told."""
    number, unit = told.split()
    return float(number) * {"ms": 1e-3, "s": 1.0}[unit]


# ---- live


def test_it_is_told_anew_every_second(status: Shown) -> None:
    with (
        urllib.request.urlopen(status.url + "live?state=idle", timeout=10) as stream,
        status.connect() as client,
    ):
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        peer = f"<td>127.0.0.1:{client.getsockname()[1]}</td>"
        while peer not in (line := stream.readline().decode()):
            assert not line.strip() or line.startswith(("data: ", "data:", "retry: ", ":"))


def test_the_plots_show_what_was_answered_and_move_on(status: Shown) -> None:
    with urllib.request.urlopen(status.url + "live", timeout=10) as stream, status.connect() as client:
        client.sendall(get("/a") + get("/b"))
        with status.connect() as wrong:
            wrong.sendall(b"nonsense\r\n\r\n")
            assert wrong.recv(1)
        events = islice(iter_events(stream), 10)
        seen, later = next((one, next(events)) for one in events if "wrong" in one)
    assert seen.keys() == {"ok", "wrong", "half", "most", "sent"}
    # Each rises above the ground.
    assert all(min(points) < HEIGHT for points in seen.values())
    # And goes on to the left.
    assert len(later["ok"]) == len(seen["ok"]) + 1
    assert later["ok"] != seen["ok"]


def iter_events(stream: Iterable[bytes]) -> Iterator[dict[str, list[float]]]:
    """Of each event the shapes in its plots: class, and how far down each point is."""
    text = ""
    for line in stream:
        text += line.decode()
        if line == b"\n":
            found = re.findall(r'<(?:path|polyline) class="(\w+)" (?:d|points)="([^"]*)"', text)
            text = ""
            yield {kind: [float(y) for y in re.findall(r",([\d.]+)", points)] for kind, points in found}


def test_so_many_may_look_on(status: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "MOST_STREAMS", 1)
    with urllib.request.urlopen(status.url + "live", timeout=10):
        code, fields, _ = status.ask("live?state=idle")
        assert (code, fields["Retry-After"]) == (503, "5")
    while status.ask("live?state=nobody")[0] != 404:
        pass
    # The place of who has gone is free when that was found out.
    while True:
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(status.url + "live", timeout=10):
            break


# ---- who may see it


def test_pages_run_nothing_but_their_own(status: Shown) -> None:
    code, fields, body = status.ask()
    assert code == 200
    policy = fields["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert fields["Cache-Control"] == "no-store"
    assert "<style" not in body
    assert " style=" not in body
    assert re.findall(r"<script(?![^>]* src=)", body) == []
    for asset in re.findall(r'(?:src|href)="/(status-page/[^"]+)"', body):
        assert status.ask(asset)[0] == 200


@pytest.mark.parametrize("path", ["", "live", "status-page/status.js"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Host": "example.org"}, 421),
        ({"Host": "localhost.example.org"}, 421),
        ({"Origin": "http://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, 403),
    ],
)
def test_another_name_or_origin_is_refused(path: str, fields: dict[str, str], code: int, status: Shown) -> None:
    assert status.ask(path, **fields)[0] == code


def test_it_listens_on_the_loopback_address_alone() -> None:
    with shown(bind="0.0.0.0") as status:
        ports = [getattr(listener, "addr", ("", 0)) for listener in status.server.map.values()]
        hosts = {address[0] for address in ports if address[1] == status.port}
        assert hosts
        assert hosts <= {"127.0.0.1", "::1"}


def test_at_the_sites_own_port_there_is_none(status: Shown) -> None:
    assert b"channels" not in talk(status.server, closing("/"))
    assert b"channels" not in talk(status.server, closing("/live"))


def test_its_own_channels_are_not_shown(status: Shown) -> None:
    assert status.rows() == []
    assert "Nobody is here just now." in status.ask()[2]


@pytest.mark.programs
def test_at_a_path_of_the_site_it_asks_for_a_password(tmp_path: Path, users: Path) -> None:
    with LiveServer(tmp_path / "site", "--status=/status", "--auth", f"/status={users}", "--cors") as live:
        for path in ("status", "status/live", "status/status-page/status.js"):
            assert asked(live.url + path)[0] == 401
            assert asked(live.url + path, "alice:wrong")[0] == 401
        code, body = asked(live.url + "status", "alice:secret")
        assert (code, b'<table class="channels">' in body) == (200, True)
        for asset in re.findall(r'(?:src|href)="/(status/status-page/[^"]+)"', body.decode()):
            assert asked(live.url + asset, "alice:secret")[0] == 200
        assert asked(live.url + "statusquo", "alice:secret")[0] == 404


@pytest.mark.parametrize("proxied", [{}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}])
def test_a_path_without_a_password_shows_nothing_to_anybody(proxied: dict[str, str]) -> None:
    """Nor to who seems to be on this machine: that may be a proxy, or somebody's claim."""
    with serving(site) as server:
        desk = Desk({add_status: "/status"})
        server.service.site = desk.around(server.service.site)
        in_loop(server, lambda: desk.attach(server))
        lines = [f"{name}: {value}" for name, value in proxied.items()]
        for path in ("/status", "/status/live", "/status/status-page/status.js"):
            assert talk(server, closing(path, *lines)).startswith(b"HTTP/1.0 403")


@pytest.mark.programs
def test_a_path_for_everybody_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught, LiveServer(tmp_path, "--status=/status"):
        pass
    assert "--status /status would be there for everybody; ask for a password with --auth" in str(caught.value)


@pytest.mark.programs
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--status=/a", "--metrics=/a", "--auth", "FILE"], "--status and --metrics are at one path; give each its"),
        (["--status=/", "--auth", "FILE"], "'/' is the whole site: name a path in it, such as /status"),
        (["--status=70000"], "'70000' is not a port"),
    ],
)
def test_a_place_that_is_none(options: list[str], told: str, tmp_path: Path, users: Path) -> None:
    words = [word.replace("FILE", str(users)) for word in options]
    with pytest.raises(RuntimeError) as caught, LiveServer(tmp_path / "site", *words):
        pass
    assert told in str(caught.value)


@pytest.mark.programs
def test_status_and_metrics_share_a_port(tmp_path: Path) -> None:
    with LiveServer(tmp_path, "--status", "--metrics", "--access-log", "off") as live:
        assert live.wait_for("the metrics are at ")
        url = live.log.partition("the status page is at ")[2].split()[0]
        assert f"the metrics are at {url}metrics" in live.log
        assert b"channels" in asked(url)[1]
        assert b"httpd_requests_total" in asked(url + "metrics")[1]


# ---- words and pictures


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 µs"), (0.00035, "350 µs"), (0.0042, "4.2 ms"), (0.2144, "214 ms"), (0.9996, "1.0 s"), (4.21, "4.2 s"),
        (59.96, "1 min"), (200, "3 min 20 s"), (7_500, "2 h 5 min"), (7_200, "2 h"), (90_061, "1 d 1 h"),
    ],
)  # fmt: skip
def test_times_in_words(seconds: float, told: str) -> None:
    assert readable_span(seconds) == told


def test_areas_lie_on_top_of_each_other() -> None:
    picture, most = areas(["a", "b", "c"], [(1, 1, 0), (2, 2, 0)])
    assert most == 4
    # The upper one is drawn first, and whole; nobody is drawn who has nothing.
    assert re.findall(r'class="(.)"', picture) == ["b", "a"]
    assert f"L119,{HEIGHT / 2 + 0.5:.1f} 120,1.0" in picture


def test_lines_end_at_the_right() -> None:
    picture, most = lines(["a"], [(0,), (3,), (1.5,)])
    assert most == 3
    assert 'points="118,40.0 119,1.0 120,20.5"' in picture


@pytest.mark.parametrize("draw", [areas, lines])
def test_without_numbers_there_is_an_empty_picture(draw: Any) -> None:
    assert draw(["a"], []) == (draw(["a"], [])[0], 0)
    assert "<path" not in draw(["a"], [(0,)])[0]


# ---- in a browser


@pytest.mark.tools
def test_it_moves_in_a_browser_and_stands_without_scripts(status: Shown) -> None:
    with chromium() as browser:
        with quiet_page(browser, status.url) as page:
            page.goto("/")
            page.get_by_text("Live, every second.").wait_for()
            with status.connect() as client:
                peer = f"127.0.0.1:{client.getsockname()[1]}"
                page.get_by_role("cell", name=peer).wait_for()
                page.get_by_role("button", name="Hold").click()
            page.get_by_text("Held.").wait_for()
            assert page.get_by_role("cell", name=peer).is_visible()
            page.get_by_role("button", name="Hold").click()
            page.get_by_text("Nobody is here just now.").wait_for()
            page.get_by_role("link", name="idle").click()
            page.wait_for_url("**/?state=idle&order=busy")
        with status.connect() as client, quiet_page(browser, status.url, java_script_enabled=False) as page:
            status.row(client, "idle")
            page.goto("/")
            assert page.get_by_role("link", name="Reload").is_visible()
            assert page.get_by_role("cell", name=f"127.0.0.1:{client.getsockname()[1]}").is_visible()
        with quiet_page(browser, status.url, viewport={"width": 360, "height": 700}) as page:
            page.goto("/")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
