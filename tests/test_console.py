"""The console: what it tells of a server's connections, and whom it answers."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from httpd import Limits, Request, Response, Server, blocking, text
from httpd.net import wake
from httpd.trace import console as consoles
from httpd.trace import feed as feeds
from httpd.trace import share
from httpd.trace.console import open_console
from httpd.trace.events import Accepted, Closed, Event, Received, TraceHead, Truncated
from httpd.trace.feed import Feed
from httpd.trace.laws import check
from httpd.trace.ndjson import event_line, head_line, read_line
from httpd.trace.shelf import MOST_FILE
from httpd.trace.store import Store

from .conversations import conversation, ended, head
from .exchange import get, serving, talk
from .kernel import listening_ports, needs_proc
from .live import LiveServer
from .recorded import tracing_of
from .tools import TOP

SCRIPT = "<script>alert(1)</script>"


def site(request: Request) -> Response:
    return text(f"you asked for {request.path}")


class Watched:
    """A server with its console: `ask` asks the console, `talk` the server."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, data: bytes | None = None, **fields: str) -> tuple[int, dict[str, str], str]:
        lines = {name.replace("_", "-"): value for name, value in fields.items()}
        request = urllib.request.Request(self.url + path, data, lines)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    def json(self, path: str) -> Any:
        return json.loads(self.ask(path)[2])

    @property
    def token(self) -> str:
        found = re.search(r'name="console-token" content="([^"]+)"', self.ask("/lab")[2])
        assert found
        return found[1]


@contextlib.contextmanager
def watched(folder: str = "", site: Any = site, **options: Any) -> Iterator[Watched]:
    with serving(site, **options) as server:
        opened = threading.Event()
        ports: list[int] = []

        def open_it() -> None:
            ports.append(open_console(server, tracing_of(server), 0, folder))
            opened.set()

        # The loop runs in its own thread: what it has is made there.
        wake.call(open_it, map=server.map)
        assert opened.wait(10)
        yield Watched(server, ports[0])


@pytest.fixture
def console() -> Iterator[Watched]:
    with watched() as console:
        yield console


def newest(console: Watched) -> dict[str, Any]:
    """The last connection, once its end is there."""
    while not (told := console.json("/api/connections")) or not told[-1]["closed"]:
        pass
    return told[-1]  # type: ignore[no-any-return]


# ---- what it tells


def test_a_connection_in_a_few_words(console: Watched) -> None:
    answer = talk(console.server, get("/a", "Connection: close"))
    one = newest(console)
    assert one["requests"] == ["GET /a HTTP/1.1"]
    assert (one["bytes_in"], one["bytes_out"]) == (len(get("/a", "Connection: close")), len(answer))
    assert (one["closed"], one["state"]) == (True, "closed")
    assert one["by"] in ("server", "peer")


def test_a_connection_that_was_refused_says_so(console: Watched) -> None:
    talk(console.server, b"GET  / HTTP/1.1\r\n\r\n")
    assert newest(console)["requests"] == ["refused, 400"]
    assert "refused, 400" in console.ask("/")[2]


def test_a_trace_is_the_lines_of_a_file_and_obeys_the_laws(console: Watched) -> None:
    talk(console.server, get("/a", "Connection: close"))
    number = newest(console)["connection"]
    status, fields, body = console.ask(f"/api/trace/{number}")
    assert (status, fields["Content-Type"]) == (200, "application/x-ndjson")
    first, *lines = body.splitlines()
    assert json.loads(first)["connection"] == number
    events = [read_line(line.encode()) for line in lines]
    assert check(events) == []
    assert len(console.json(f"/api/sentences/{number}")) == len(events)
    told = console.json(f"/api/player/{number}")
    assert told["events"] == [json.loads(line) for line in lines]
    assert told["about"] == console.json("/api/about")


@pytest.mark.parametrize(
    "path", ["/api/trace/999", "/api/sentences/999", "/api/lab/1", "/api/file/a.ndjson", "/x", "/wire/999"]
)
def test_what_is_not_there_is_not_found(console: Watched, path: str) -> None:
    assert console.ask(path)[0] == 404


@pytest.mark.parametrize("path", ["/api/player/1", "/api/trace/1", "/api/sentences/1"])
def test_a_long_connection_that_is_read_holds_up_nobody(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*args: Any) -> str:
        begun.set()
        assert go_on.wait(10)
        return "slow"

    for step in ("player_json", "event_line", "sentence"):
        monkeypatch.setattr(consoles, step, slow)
    with watched() as console, ThreadPoolExecutor() as threads:
        talk(console.server, get("/a", "Connection: close"))
        told = threads.submit(console.ask, path)
        assert begun.wait(10)
        assert talk(console.server, get("/b", "Connection: close")).endswith(b"/b")
        assert console.ask("/api/connections")[0] == 200
        go_on.set()
        assert "slow" in told.result(10)[2]


def test_it_tells_of_a_server_whose_threads_are_all_held_up() -> None:
    begun, go_on = threading.Event(), threading.Event()

    @blocking
    def waits(request: Request) -> Response:
        begun.set()
        assert go_on.wait(10)
        return text("at last")

    limits = Limits(threads=1, waiting=0)
    with watched(site=waits, limits=limits) as console, ThreadPoolExecutor() as threads:
        answer = threads.submit(talk, console.server, get("/a", "Connection: close"))
        assert begun.wait(10)
        status, _, _ = console.ask("/api/player/1")
        go_on.set()
        assert status == 200
        assert answer.result(10).endswith(b"at last")


def test_its_own_connections_are_not_recorded(console: Watched) -> None:
    talk(console.server, get("/a", "Connection: close"))
    newest(console)
    before = console.json("/api/connections")
    console.ask("/")
    assert console.json("/api/connections") == before


@pytest.mark.parametrize("path", ["/", "/lab"])
def test_pages_run_nothing_but_their_own(console: Watched, path: str) -> None:
    status, fields, body = console.ask(path)
    assert status == 200
    policy = fields["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert fields["Cache-Control"] == "no-store"
    assert "<style" not in body
    assert re.findall(r"<script(?![^>]* src=)", body) == []


def test_what_strangers_send_is_shown_as_text(console: Watched) -> None:
    talk(console.server, get(f"/{SCRIPT.replace(' ', '')}", f"X: {SCRIPT}", "Connection: close"))
    newest(console)
    body = console.ask("/")[2]
    assert SCRIPT not in body
    assert "&lt;script&gt;alert(1)" in body


# ---- whom it answers


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8001", "LOCALHOST", "[::1]:8001", "127.9.9.9"])
def test_a_loopback_host_is_answered(console: Watched, host: str) -> None:
    assert console.ask("/api/connections", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "127.0.0.1.example.org", "192.0.2.1", "[::2]", "127.0.0.1x"]
)
def test_another_host_is_refused(console: Watched, host: str) -> None:
    """DNS rebinding: a page's own name, pointed at this machine."""
    assert console.ask("/api/connections", Host=host)[0] == 421


def test_no_host_is_refused(console: Watched) -> None:
    with socket.create_connection(("127.0.0.1", console.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.0 421 ")


@pytest.mark.parametrize(
    "fields",
    [
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_pages_of_other_origins_are_refused(console: Watched, fields: dict[str, str]) -> None:
    assert console.ask("/api/connections", **fields)[0] == 403
    assert console.ask("/api/lab", b"{}", X_Console_Token=console.token, **fields)[0] == 403


def test_a_link_may_lead_to_it(console: Watched) -> None:
    assert console.ask("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


@pytest.mark.parametrize("token", ["", "x", "\xe4"])
def test_only_its_pages_start_something(console: Watched, token: str) -> None:
    data = json.dumps({"bytes": "GET / HTTP/1.0\r\n\r\n"}).encode()
    assert console.ask("/api/lab", data, X_Console_Token=token)[0] == 403
    assert console.ask("/api/lab/1")[0] == 404


def test_what_is_sent_to_it_is_bounded(console: Watched) -> None:
    assert console.ask("/api/lab", b"x" * 300_000, X_Console_Token=console.token)[0] == 413


def test_it_listens_on_the_loopback_address_alone(console: Watched) -> None:
    with serving(site, bind="0.0.0.0") as server:
        port = open_console(server, tracing_of(server), 0)
        hosts = {listener.addr[0] for listener in server.map.values() if getattr(listener, "addr", ("", 0))[1] == port}
        assert hosts
        assert hosts <= {"127.0.0.1", "::1"}


# ---- the feed


def messages(data: str) -> list[tuple[int, dict[str, Any]]]:
    return [(int(n), json.loads(line)) for n, line in re.findall(r"id: (\d+)\ndata: (.*)\n\n", data)]


@contextlib.contextmanager
def listening(console: Watched, **fields: str) -> Iterator[Any]:
    request = urllib.request.Request(console.url + "/api/feed", headers=fields)
    with urllib.request.urlopen(request, timeout=10) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        yield stream


def read_until(stream: Any, name: str) -> str:
    told = ""
    while name not in told or not told.endswith("\n\n"):
        told += stream.readline().decode()
    return told


def test_the_feed_tells_what_is_recorded_at_once(console: Watched) -> None:
    with listening(console) as stream:
        talk(console.server, get("/live", "Connection: close"))
        told = messages(read_until(stream, "channel:closed"))
    live = [one for _, one in told]
    assert live[0].keys() == {"connection", "head"}
    assert [one["event"]["n"] for one in live[1:]] == list(range(len(live) - 1))
    assert [number for number, _ in told] == list(range(told[0][0], told[-1][0] + 1))


def test_a_page_that_comes_back_gets_what_it_has_missed(console: Watched) -> None:
    talk(console.server, get("/a", "Connection: close"))
    newest(console)
    with listening(console) as stream:
        first = messages(read_until(stream, "channel:closed"))
    seen = first[3][0]
    with listening(console, **{"Last-Event-ID": str(seen)}) as stream:
        again = messages(read_until(stream, "channel:closed"))
    assert again[0][0] == seen + 1
    assert again == first[4 : 4 + len(again)]


def _numbered(n: int, what: Any) -> Event:
    return Event(n, 0.0, 1, what)


class Timers:
    """As the loop's, but nothing comes due by itself."""

    def __init__(self) -> None:
        self.soon: list[Any] = []

    def call_soon(self, call: Any, *args: Any) -> None:
        self.soon.append(lambda: call(*args))

    def call_later(self, delay: float, call: Any, *args: Any) -> None:
        pass


def feed_of(count: int) -> Feed:
    timers: Any = Timers()
    feed = Feed(timers)
    feed.tell(1, head())
    for n in range(count):
        feed.tell(1, _numbered(n, Accepted("a", n)))
    return feed


def taken(response: Response) -> str:
    content: Any = response.body
    given = content.more().decode()
    content.close()
    return str(given)


def test_what_is_not_kept_any_more_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_MESSAGES", 5)
    feed = feed_of(20)
    late, behind, in_time = taken(feed.response("")), taken(feed.response("3")), taken(feed.response("18"))
    assert "event: gap" in late
    assert "event: gap" in behind
    assert len(messages(behind)) == 5
    assert "event: gap" not in in_time
    assert [n for n, _ in messages(in_time)] == [19, 20, 21]


@pytest.mark.parametrize("said", ["999", "-1", "x", "9" * 40])
def test_a_number_that_was_never_said_is_none(said: str) -> None:
    assert len(messages(taken(feed_of(3).response(said)))) == 4


def test_so_many_may_look_on_and_no_more() -> None:
    feed = feed_of(1)
    streams = [feed.response("") for _ in range(feeds.MOST_STREAMS)]
    with pytest.raises(Exception, match="503"):
        feed.response("")
    for stream in streams:
        content: Any = stream.body
        content.close()
    taken(feed.response(""))


def test_a_page_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpd.site.events._MOST_WAITING", 100)
    feed = feed_of(10)
    content: Any = feed.response("").body
    feed.tell(1, _numbered(11, Accepted("a", 1)))
    timers: Any = feed._timers
    timers.soon.pop()()
    assert len(messages(content.more().decode())) == 11
    assert content.more() == b""


# ---- what is kept


def _closed() -> Closed:
    return Closed("peer", 0, 0, 0)


def kept(store: Store, connection: int, *records: Any) -> None:
    take = store(head()._replace(connection=connection))
    for n, what in enumerate(records):
        take(_numbered(n, what))


def test_the_oldest_connection_goes() -> None:
    told: list[tuple[int, TraceHead | Event]] = []
    store = Store(lambda connection, what: told.append((connection, what)), connections=2)
    for number in (1, 2, 3):
        kept(store, number, Accepted("a", 1), _closed())
    assert [trace.head.connection for trace in store] == [2, 3]
    assert store.get(1) is None
    assert len(told) == 9


def test_much_data_takes_the_place_of_old_connections() -> None:
    store = Store(lambda *told: None, size=5_000)
    for number in (1, 2, 3):
        kept(store, number, Received(0, 2_000, "x" * 2_000, 2_000))
    assert [trace.head.connection for trace in store] == [2, 3]


def test_a_connection_that_goes_on_when_it_is_out_is_not_kept() -> None:
    told: list[int] = []
    store = Store(lambda connection, what: told.append(connection), connections=1)
    take = store(head())
    kept(store, 2)
    before = len(told)
    take(_numbered(0, Accepted("a", 1)))
    assert len(told) == before


def test_a_connection_that_does_too_much_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "MOST_EVENTS", 3)
    store = Store(lambda *told: None)
    kept(store, 1, *[Accepted("a", 1)] * 8, _closed())
    trace = store.get(1)
    assert trace is not None
    assert [type(event.what) for event in trace.events] == [Accepted] * 3 + [Truncated, Closed]
    assert trace.events[3].what == Truncated(5)
    kept(store, 2, *[Accepted("a", 1)] * 3, _closed())
    whole = store.get(2)
    assert whole is not None
    assert len(whole.events) == 4


# ---- saved traces


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trace = conversation(ended(get("/" + SCRIPT.replace(" ", ""), f"X: {SCRIPT}")), site, head(title=SCRIPT)).trace
    (tmp_path / "good.ndjson").write_text(head_line(trace.head) + "".join(map(event_line, trace.events)))
    (tmp_path / "bad.ndjson").write_text(f'{{"format":"{SCRIPT}"}}\n')
    (tmp_path / "secret.txt").write_text("secret")
    with open(tmp_path / "huge.ndjson", "wb") as file:
        file.truncate(MOST_FILE + 1)
    return tmp_path


def test_a_stranger_s_file_is_read_and_never_trusted(folder: Path) -> None:
    with watched(str(folder)) as console:
        assert console.ask("/api/file/good.ndjson")[2] == (folder / "good.ndjson").read_text()
        told = console.json("/api/player/file/good.ndjson")
        assert told["head"]["title"] == SCRIPT
        page = console.ask("/wire/file/good.ndjson")[2]
        assert SCRIPT not in page
        assert 'data-source="/api/player/file/good.ndjson"' in page
        page = console.ask("/")[2]
        assert "good.ndjson" in page
        assert "secret.txt" not in page
        assert console.ask("/api/file/huge.ndjson")[0] == 413
        status, _, body = console.ask("/api/file/bad.ndjson")
        assert status == 422
        assert "<script>" not in body
        for name in ("secret.txt", "..%2fgood.ndjson", ".ndjson", "no.ndjson", "good.ndjson%00"):
            assert console.ask(f"/api/file/{name}")[0] in (400, 404)


# ---- a file that somebody brings


HEAD = head_line(head()).encode()


def brought(console: Watched, content: bytes, **fields: str) -> tuple[int, dict[str, str], str]:
    return console.ask("/api/open", content, **{"X_Console_Token": console.token, "Accept": "text/plain", **fields})


def test_a_file_that_is_brought_is_shown_as_one_that_lies_there(folder: Path) -> None:
    """The same parser reads both, and nothing of what was brought stays."""
    before = sorted(folder.iterdir())
    with watched(str(folder)) as console:
        status, _, told = brought(console, (folder / "good.ndjson").read_bytes())
        assert status == 200
        assert "<" not in told
        assert json.loads(told) == console.json("/api/player/file/good.ndjson")
        assert console.json("/api/connections") == []
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "line 1"),
        (b"\x00\xff", "line 1: "),
        (b'{"format":"<script>"}\n', "line 1: no trace begins like this"),
        (b"[" * 100_000, "line 1: "),
        (HEAD + b'{"n":0,"t":0,"tick":0,"name":"<b>","data":{}}\n', "has no event '<b>'"),
        (HEAD + b'{"n":-1,"t":0,"tick":0,"name":"channel:eof","data":{}}\n', "line 2: n is not a"),
        (HEAD + b"x" * 300_000, "line 2: "),
    ],
)
def test_what_is_no_trace_is_told_so_by_its_line(console: Watched, content: bytes, says: str) -> None:
    status, fields, told = brought(console, content)
    assert (status, fields["Content-Type"]) == (422, "text/plain; charset=utf-8")
    assert told.startswith("422 Unprocessable Content\nThis is no trace: ")
    assert says in told
    status, _, told = brought(console, content, Accept="text/html")
    assert status == 422
    assert "<script" not in told
    assert "<b>" not in told


def test_a_file_is_as_large_as_one_that_lies_there_may_be(console: Watched) -> None:
    status, _, told = brought(console, HEAD.ljust(MOST_FILE, b"\n"))
    assert (status, told.partition("\n")[2][:26]) == (422, "This is no trace: line 2: ")
    status, _, told = brought(console, HEAD.ljust(MOST_FILE + 1, b"\n"))
    assert (status, told.partition("\n")[2]) == (413, "The trace is larger than 8 MiB; httpd show shows it.\n")


@pytest.mark.parametrize("token", ["", "x", "\xe4"])
def test_only_its_pages_bring_a_file(console: Watched, token: str) -> None:
    assert brought(console, b"", X_Console_Token=token)[0] == 403
    assert brought(console, b"x", X_Console_Token=token)[0] == 403


def test_who_may_bring_none_is_told_before_it_is_read(console: Watched) -> None:
    """Else any page could have this server hold eight megabytes, as often as it likes."""
    with socket.create_connection(("127.0.0.1", console.port), 10) as sock:
        sock.sendall(b"POST /api/open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n")
        assert sock.recv(65_536).startswith(b"HTTP/1.0 403 ")


@pytest.mark.parametrize("fields", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_page_of_another_origin_brings_none(console: Watched, fields: dict[str, str]) -> None:
    assert brought(console, b"", **fields)[0] in (403, 421)


# ---- the command


@pytest.mark.programs
def test_the_command_opens_it(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>a</title>")
    with LiveServer(tmp_path, "--console=0", f"--trace={tmp_path.parent / 'traces'}") as server:
        assert server.wait_for("the console is at")
        found = re.search(r"the console is at (http://127\.0\.0\.1:\d+/)", server.log)
        assert found
        urllib.request.urlopen(server.url).close()
        with urllib.request.urlopen(found[1] + "api/connections") as answer:
            assert json.load(answer)[0]["requests"] == ["GET / HTTP/1.1"]
        assert server.stop() == 0


@pytest.mark.programs
@pytest.mark.parametrize("options", [(), ("--trace",)])
def test_without_it_nothing_else_listens(tmp_path: Path, options: tuple[str, ...]) -> None:
    needs_proc()
    with LiveServer(tmp_path, *options) as server:
        urllib.request.urlopen(server.url).close()
        assert listening_ports(server.pid) == {server.port}
    with LiveServer(tmp_path, "--console=0", *options) as server:
        assert server.wait_for("the console is at")
        assert listening_ports(server.pid) > {server.port}


@pytest.mark.programs
def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "httpd", "--port", "0", f"--console={port}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(f"httpd: no console at port {port}:")
    assert "--console=PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.programs
def test_it_ends_with_the_server_while_a_page_looks_on(tmp_path: Path) -> None:
    with LiveServer(tmp_path, "--console=0") as server:
        assert server.wait_for("the console is at")
        found = re.search(r"the console is at http://127\.0\.0\.1:(\d+)/", server.log)
        assert found
        with socket.create_connection(("127.0.0.1", int(found[1])), 10) as sock:
            sock.sendall(b"GET /api/feed HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert sock.recv(15) == b"HTTP/1.0 200 OK"
            assert server.stop(patience=5) == 0


# ---- lessons


def test_lessons_are_texts_with_places_in_traces(console: Watched) -> None:
    page = console.ask("/lessons")[2]
    assert 'href="/lessons/1"' in page
    lesson = console.ask("/lessons/1")[2]
    sources = re.findall(r'data-source="([^"]+)"', lesson)
    assert sources == ["/api/player/lesson/01_bytes.ndjson"]
    events = console.json(sources[0])["events"]
    places = re.findall(r'href="/wire/lesson/01_bytes\.ndjson#n=(\d+)"', lesson)
    assert places
    assert {int(place) for place in places} <= {event["n"] for event in events}
    assert console.ask("/wire/lesson/01_bytes.ndjson")[0] == 200


@pytest.mark.parametrize("path", ["/lessons/99", "/wire/lesson/no.ndjson", "/api/player/lesson/01_bytes.py"])
def test_what_is_no_lesson_is_not_found(console: Watched, path: str) -> None:
    assert console.ask(path)[0] == 404
