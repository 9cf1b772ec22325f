"""httpd.trace: what is recorded, over a scripted and a real socket; what is hidden; what fails, and harms nobody."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from errno import ECONNRESET, ENOTCONN
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import Body, Content, HTTPError, Limits, Request, Response, Router, StaticFiles, http_request_handler, text
from httpd.net.producers import feed_producer
from httpd.protocol.errors import Later
from httpd.site.blocking import blocking
from httpd.site.wrapping import Around
from httpd.trace.events import (
    INPUTS,
    KINDS,
    NAMES,
    Accepted,
    Event,
    Failed,
    Sent,
    Told,
    Trace,
    TraceHead,
    Truncated,
    is_input,
)  # fmt: skip
from httpd.trace.laws import check
from httpd.trace.ndjson import NotATrace, event_line, head_line, read_line, read_trace
from httpd.trace.replay import inbound, play, replay
from httpd.trace.steps import traced
from httpd.trace.tracing import Memory, Tracing
from httpd.trace.veil import Veil

from .benchmark.tracing import costs
from .conversations import conversation, ended, head, received
from .exchange import EOF, Exchange, Given, StrictHandler, get, post, serving, talk
from .live import LiveServer
from .strategies import pieces
from .tools import TOP, python_path

HEAD_FIELDS = ("Cookie: a=secret", "X: y")


def hello(request: Request) -> Response:
    return text("hello", headers=[("Set-Cookie", "a=secret")])


def names_of(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def of_kind(events: list[Event], name: str) -> list[Any]:
    return [event.what for event in events if event.name == name]


# ---- the records


def test_every_event_says_what_it_is() -> None:
    for name, kind in KINDS.items():
        assert re.fullmatch(r"(channel|chat|http|app|loop|trace):[a-z_]+", name)
        assert NAMES[kind] == name
        assert kind.__doc__
        assert kind.__doc__.rstrip().endswith(".")
        assert not kind.__doc__.startswith(kind.__name__)
    assert {NAMES[kind] for kind in INPUTS} == {
        "channel:accepted", "channel:received", "channel:blocked", "channel:eof", "channel:timed_out",
        "channel:error", "channel:told", "channel:sent",
    }  # fmt: skip


def test_an_error_of_a_step_is_no_input() -> None:
    assert is_input(Failed("recv", 104, "reset"))
    assert not is_input(Failed("step", 0, "ValueError"))


# ---- what is recorded


def test_a_request_and_its_answer() -> None:
    """The whole list, as TRACE promises it."""
    wire = get("/a?b", *HEAD_FIELDS)
    events = conversation(ended(wire[:-3], wire[-3:]), hello).events
    assert names_of(events) == [
        "channel:accepted", "chat:terminator_set", "channel:interest",
        "channel:received", "chat:scanned", "chat:collected",
        "channel:received", "chat:scanned", "chat:terminator_found",
        "http:request_line", "http:field_line", "http:field_line", "http:field_line",
        "http:state_changed", "app:routed", "app:returned",
        "http:responded", "http:state_changed", "chat:pushed", "chat:refilled", "channel:sent",
        "http:state_changed", "channel:eof", "http:state_changed", "channel:closed",
    ]  # fmt: skip
    assert [event.n for event in events] == list(range(len(events)))
    [_, second] = of_kind(events, "chat:scanned")
    assert (second.start, second.length, second.result, second.at) == (len(wire) - 4, 4, "found", len(wire) - 4)
    lines = of_kind(events, "http:field_line")
    assert [wire[line.start : line.start + line.length] for line in lines] == [b"Host: a", b"Cookie: a=secret", b"X: y"]
    assert check(events) == []


def test_what_is_hidden_is_hidden_everywhere() -> None:
    played = conversation(ended(*(bytes([byte]) for byte in get("/", *HEAD_FIELDS))), hello)
    assert b"a=secret" in played.output
    recorded = "".join(map(event_line, played.events))
    assert "secret" not in recorded
    assert dict(of_kind(played.events, "http:responded")[0].fields)["Set-Cookie"] == "********"
    assert [line.value for line in of_kind(played.events, "http:field_line")] == ["a", "********", "y"]
    assert len(inbound(played.events)) == len(get("/", *HEAD_FIELDS))


def test_routes_that_were_tried() -> None:
    inner, site = Router(), Router()
    site.get("/a/{n:int}")(lambda request, n: text("n"))
    site.post("/b")(hello)
    inner.get("/c")(hello)
    site.mount("/in", inner)
    wire = get("/a/7") + get("/in/c") + get("/b") + get("/in/d")
    number, mounted, method, nobody = of_kind(conversation(ended(wire), site).events, "app:routed")
    assert [tuple(one) for one in number.tried] == [("/a/{n:int}", "matched")]
    assert number.params == {"n": "7"}
    assert [tuple(one) for one in mounted.tried][-2:] == [("/in/*", "matched"), ("/in/c", "matched")]
    assert mounted.handler == "hello"
    assert [tuple(one) for one in method.tried] == [("/b", "method"), ("/a/{n:int}", "path"), ("/in/*", "path")]
    assert method.handler == nobody.handler == ""


def test_what_the_site_raises() -> None:
    def site(request: Request) -> Response:
        raise ValueError("a mistake")

    logging.disable()
    try:
        events = conversation(ended(get()), site).events
    finally:
        logging.disable(logging.NOTSET)
    assert of_kind(events, "app:raised") == [("ValueError: a mistake", 500)]
    assert not of_kind(events, "app:returned")


@pytest.mark.parametrize(
    ("body", "kind"), [(b"abc", "bytes"), (b"", "bytes"), (Given(b"abc"), "stream"), ("x" * 70_000, "bytes")]
)
def test_what_kind_of_content_was_answered(body: bytes | str | Content, kind: str) -> None:
    played = conversation(ended(get("/", "Connection: close")), lambda request: Response(body))
    [responded] = of_kind(played.events, "http:responded")
    assert responded.body == kind
    assert responded.size == (None if isinstance(body, Given) else len(body))  # type: ignore[arg-type]
    assert check(played.events) == []


def test_of_large_content_only_the_beginning_is_kept() -> None:
    played = conversation(ended(get()), lambda request: Response(b"x" * 70_000), head(data_limit=100))
    refilled = of_kind(played.events, "chat:refilled")
    assert sum(len(one.data) for one in refilled) == len(played.output) - 70_000 + 100
    assert sum(one.length for one in refilled) == len(played.output)


# ---- over a real socket


def trace_of(site: Any, *wires: bytes, **options: Any) -> list[Trace]:
    """The traces of connections to a real server, one for each of these."""
    memory = Memory()
    with serving(site, **options) as server:
        Tracing(memory, title="a test").attach(server)
        for wire in wires:
            talk(server, wire)
    return memory.traces


def test_a_running_server_is_traced_from_the_next_connection_on() -> None:
    memory = Memory()
    tracing = Tracing(memory)
    with serving(hello) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as before:
            before.sendall(get())
            assert before.recv(1000)
            tracing.attach(server)
            talk(server, get("/", "Connection: close"))
            before.sendall(get("/", "Connection: close"))
            assert before.recv(1000)
        tracing.detach(server)
        talk(server, get("/", "Connection: close"))
        assert server.handler_class is http_request_handler
    [trace] = memory.traces
    assert check(trace.events) == []
    assert trace.head.connection == 1
    assert trace.head.local == f"127.0.0.1:{server.port}"
    assert of_kind(trace.events, "loop:polled")
    assert replay(trace, hello)[1] == []
    assert replay(trace)[1] == []


def test_work_beside_the_loop_and_lines_of_every_answer() -> None:
    done: list[bool] = []

    def site(request: Request) -> Response:
        if request.path == "/later" and not done:
            raise Later(lambda: done.append(True))
        if request.path == "/no":
            raise HTTPError(403)
        return text("done", headers=[("Vary", "X")])

    wire = get("/later") + get("/no") + get("/", "Connection: close")
    [trace] = trace_of(site, wire, headers=[("Vary", "Accept"), ("X", "y")])
    assert names_of(trace.events).count("app:postponed") == 1
    assert [told.what for told in of_kind(trace.events, "channel:told")][:1] == ["work_done"]
    assert check(trace.events) == []
    assert replay(trace)[1] == []
    done.clear()
    assert replay(trace, site)[1] == []


def test_a_handler_that_waits_in_a_thread() -> None:
    @blocking
    def site(request: Request) -> Response:
        return text("waited for")

    [trace] = trace_of(site, get() + get("/", "Connection: close"))
    assert names_of(trace.events).count("app:postponed") == 2
    assert check(trace.events) == []
    assert replay(trace)[1] == []
    played, broken = replay(trace, site)
    assert broken == []
    assert played.output.endswith(b"waited for")


class Slow(Around):
    """A site whose work takes too long for this client, for the answer or before content is asked for."""

    def __call__(self, request: Request) -> Response:
        raise Later(lambda: None)

    def check(self, request: Request) -> None:
        raise Later(lambda: None)


@pytest.mark.parametrize("wire", [get(), post(b"abc"), post(b"abc", "Expect: 100-continue")])
@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_client_that_goes_while_the_site_works(wire: bytes, done: int) -> None:
    whats = [Accepted("192.0.2.1:4711", 7), *received(wire), *[Told("work_done")] * done, Failed("poll", 0, "gone")]
    inputs = [Event(n, float(n), n, what) for n, what in enumerate(whats)]
    played = play(Trace(head(), inputs[:1]), inputs, Slow(hello))
    assert played.events[-1].name == "channel:closed"
    assert check(played.events) == []
    assert replay(played.trace, Slow(hello))[1] == []
    assert replay(played.trace)[1] == []


def test_a_content_that_was_found_welcome_for_a_client_who_has_gone() -> None:
    asked: list[bool] = []

    class Asking(Around):
        def __call__(self, request: Request) -> Response:
            return hello(request)

        def check(self, request: Request) -> None:
            if not asked:
                raise Later(lambda: asked.append(True))

    wire = post(b"abc", "Expect: 100-continue")
    gone = Failed("send", ECONNRESET, os.strerror(ECONNRESET))
    played = conversation([*received(wire), gone], Asking(hello))
    assert "http:body_expected" in names_of(played.events)
    assert replay(played.trace)[1] == []


def test_a_file_that_the_kernel_sends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789" * 500_000)
    site = StaticFiles(tmp_path)
    [trace] = trace_of(site, get("/a.txt", "Connection: close"))
    assert trace.head.settings["sendfile"] == 1
    [responded] = of_kind(trace.events, "http:responded")
    assert (responded.body, responded.size) == ("file", 5_000_000)
    refilled = of_kind(trace.events, "chat:refilled")
    assert refilled[1].data.startswith("01234567890")
    assert check(trace.events) == []
    for answers in (site, None):
        played, broken = replay(trace, answers)
        assert broken == []
        assert len(played.output) == of_kind(trace.events, "channel:closed")[0].bytes_out
    assert replay(trace, site)[0].output.endswith(b"0123456789")


def test_a_server_that_stops_says_so() -> None:
    memory = Memory()
    with serving(hello) as server:
        Tracing(memory).attach(server)
        sock = socket.create_connection(("127.0.0.1", server.port), 10)
        sock.sendall(get())
        assert sock.recv(1000)
    sock.close()
    [trace] = memory.traces
    assert of_kind(trace.events, "channel:told")[0].what in ("finish", "close")
    assert of_kind(trace.events, "channel:closed")[0].by == "server"
    assert check(trace.events) == []
    assert replay(trace, hello)[1] == []


# ---- what a recording must say, or nobody could play it again


def test_a_hidden_value_with_blanks_is_the_same_again() -> None:
    """Blanks stay, whichever way a value comes to the trace: as a field, or among the bytes that are sent."""

    def site(request: Request) -> Response:
        return text("x", headers=[("Set-Cookie", "a=secret; Path=/; HttpOnly")])

    played = conversation(ended(get("/", "Cookie: a=secret; b=c")), site)
    assert dict(of_kind(played.events, "http:responded")[0].fields)["Set-Cookie"] == "********* ******* ********"
    assert replay(played.trace)[1] == []


@pytest.mark.parametrize(("setting", "last"), [("tls", "linger"), ("draining", "linger"), ("", "closed")])
def test_how_a_connection_ends_is_in_its_head(setting: str, last: str) -> None:
    """Over TLS the peer's end is awaited; and of a server that stops, the first answer is the last."""
    first = head()._replace(settings={**head().settings, setting: 1})
    fields = () if setting == "draining" else ("Connection: close",)
    played = conversation(ended(get("/", *fields, version="1.1" if setting == "draining" else "1.0")), hello, first)
    assert of_kind(played.events, "http:state_changed")[2].new == last
    assert dict(of_kind(played.events, "http:responded")[0].fields)["Connection"] == "close"
    assert check(played.events) == []
    assert replay(played.trace)[1] == []


def test_an_end_that_cannot_be_said_is_recorded() -> None:
    """The peer has broken off when the server wants to linger: shutdown() fails, and that is the world's doing."""
    broken = [Sent(0, 999, 999), Failed("shutdown", ENOTCONN, os.strerror(ENOTCONN))]
    played = conversation([*received(b"GET  / HTTP/1.0\r\n\r\n"), *broken], hello)
    assert names_of(played.events)[-3:] == ["channel:error", "http:state_changed", "channel:closed"]
    assert of_kind(played.events, "channel:closed")[0].by == "error"
    assert check(played.events) == []
    assert replay(played.trace)[1] == []


def test_a_stream_that_ends_when_the_server_stops_ends_in_the_replay_too() -> None:
    def site(request: Request) -> Response:
        return Response(feed)

    for last in (Told("finish"), Told("wake")):
        feed = feed_producer()
        feed.put(b"tick")
        played = conversation([*received(get("/", "Connection: close")), last, *ended()], site)
        assert check(played.events) == []
        assert replay(played.trace)[1] == []


def test_content_that_a_route_takes_is_taken_again_though_nothing_answered_it() -> None:
    """The client has gone in the middle; the recording has no answer that tells what the route takes."""
    router = Router()
    router.post("/", body=Body(1 << 20))(hello)
    type_ = "Content-Type: multipart/form-data; boundary=x"
    wire = post(b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"a" * 4_000, type_)
    played = conversation(ended(wire[:2_000]), router, head(Limits(body=1_000)))
    assert "http:body_expected" in names_of(played.events)
    assert replay(played.trace)[1] == []


def cut_short(trace: Trace, at: int) -> Trace:
    """As it is kept of a connection that does too much: its first events, and its end."""
    dropped = trace.events[at]._replace(what=Truncated(len(trace.events) - at - 1))
    return Trace(trace.head, [*trace.events[:at], dropped, trace.events[-1]])


def test_a_recording_that_was_cut_short_is_played_up_to_there() -> None:
    trace = conversation(ended(get() + get()), hello).trace
    short = cut_short(trace, names_of(trace.events).index("http:responded"))
    assert replay(short)[1] == []
    # What comes before is compared as ever.
    short.events[3] = short.events[3]._replace(what=Sent(0, 1, 1))
    assert replay(short)[1] != []


@pytest.mark.parametrize("wire", [get() + get(), post(b"abc") + get("/stream"), get("/none") + b"no head\r\n\r\n"])
def test_a_recording_may_be_cut_short_anywhere(wire: bytes) -> None:
    def site(request: Request) -> Response:
        if request.path == "/none":
            raise HTTPError(404)
        return Response((b"line" for _ in range(2)), length=8) if request.path == "/stream" else hello(request)

    trace = conversation(ended(wire), site).trace
    for at in range(1, len(trace.events) - 1):
        assert replay(cut_short(trace, at))[1] == [], names_of(trace.events)[at - 1]


def test_turns_are_numbered() -> None:
    traces = trace_of(hello, get("/", "Connection: close"), post(b"x", "Connection: close"))
    for trace in traces:
        ticks = [event.tick for event in trace.events]
        assert ticks == sorted(ticks)
        polled = [event.tick for event in trace.events if event.name == "loop:polled"]
        assert len(polled) == len(set(polled))


# ---- what fails


class Broken:
    """A recorder that fails at its nth call."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __getattr__(self, step: str) -> Any:
        def call(*what: Any) -> None:
            self.calls -= 1
            if self.calls < 0:
                raise ValueError(step)

        return call


@pytest.mark.parametrize("calls", [0, 1, 5, 15])
def test_a_recorder_that_fails_is_dropped_and_harms_nobody(calls: int, caplog: pytest.LogCaptureFixture) -> None:
    kind = traced(StrictHandler, lambda sock, addr, service: Broken(calls))
    exchange = Exchange([get(), EOF], hello, handler_class=kind)  # type: ignore[arg-type]
    assert exchange.answers()[0].body == b"hello"
    assert exchange.closed
    assert [record.getMessage() for record in caplog.records] == ["a connection is not recorded any more"]


def test_a_channel_says_where_its_request_is_recorded() -> None:
    memory, said = Memory(), []

    def site(request: Request) -> Response:
        said.append((channel.connection, channel.asked_in))
        return text("hello")

    kind: Any = traced(StrictHandler, Tracing(memory).begin)
    exchange = Exchange((), site, handler_class=kind)
    channel: Any = exchange.handler
    assert (channel.connection, channel.asked_in) == (1, 0)
    exchange.feed(get("/a") + get("/b"))
    [trace] = memory.traces
    assert [number for number, _ in said] == [1, 1]
    assert [trace.events[at].what.target for _, at in said] == ["/a", "/b"]
    channel._drop_recorder()
    assert (channel.connection, channel.asked_in) == (0, 0)


def test_a_recorder_that_cannot_be_made_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def sink(head: TraceHead) -> Any:
        raise OSError("no room")

    with serving(hello) as server:
        Tracing(sink).attach(server)
        assert talk(server, get("/", "Connection: close")).endswith(b"hello")
    assert len(caplog.records) == 1


def test_a_sink_that_fails_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def sink(head: TraceHead) -> Any:
        def take(event: Event) -> None:
            if event.n == 9:
                raise OSError("full")

        return take

    with serving(hello) as server:
        Tracing(sink).attach(server)
        assert talk(server, get("/", "Connection: close")).endswith(b"hello")
    assert len(caplog.records) == 1


# ---- the room apart


# The setting by which a person asks for it.
SETTING = {
    "httpd/config/settings.py: trace = Option(",
    'httpd/config/settings.py: "record every step of every connection: --trace alone shows them here, '
    '--trace=FOLDER keeps the newest in a "',
    "httpd/config/agreement.py: "
    "one = (Settings.reload, Settings.open, Settings.trace, Settings.console, Settings.port_auto)",
}


def test_nothing_outside_mentions_tracing() -> None:
    # But for the method TRACE.
    told = re.compile(r"\b(?!TRACE\b)((?i:trac(e|es|ed|ing)|recorders?))\b")
    found = {
        f"{path.relative_to(TOP)}: {line.strip()}"
        for path in (TOP / "httpd").rglob("*.py")
        if path.relative_to(TOP / "httpd").parts[0] not in ("trace", "cli")
        for line in path.read_text(encoding="utf-8").splitlines()
        if told.search(line)
    }
    assert found == SETTING


@pytest.fixture
def without(tmp_path: Path) -> Path:
    """A copy of the house without the room."""
    for name in ("httpd", "static", "templates"):
        shutil.copytree(TOP / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.rmtree(tmp_path / "httpd" / "trace")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "a.txt").write_text("hello")
    return tmp_path


EVERY_MODULE = """
import pkgutil, importlib, httpd
assert not hasattr(httpd, "trace")
for found in pkgutil.walk_packages(httpd.__path__, "httpd."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
"""


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.programs
def test_the_server_runs_without_the_room(without: Path) -> None:
    done = run_python(without, "-c", EVERY_MODULE)
    assert done.returncode == 0, done.stderr
    with LiveServer("site", cwd=without, env={"PYTHONPATH": str(without)}) as live:
        assert urllib.request.urlopen(live.url + "a.txt", timeout=10).read() == b"hello"
        assert live.stop() == 0


@pytest.mark.programs
@pytest.mark.parametrize("arguments", ["show x", "replay x", "trace diff a b", "site --trace", "site --console=0"])
def test_what_needs_the_room_says_so_without_it(without: Path, arguments: str) -> None:
    done = run_python(without, "-m", "httpd", *arguments.split())
    assert done.returncode == 1
    assert done.stderr == "httpd: this needs httpd.trace, which is not part of this installation\n"


PLAIN = """
import sys, httpd.cli
from httpd import Server, http_request_handler

def run(server):
    assert server.handler_class is http_request_handler
    assert not [name for name in sys.modules if name.startswith("httpd.trace")]
    print("plain")

Server.run = run
httpd.cli.main([".", "--port", "0"])
"""


@pytest.mark.programs
def test_who_does_not_trace_has_nothing_of_it(tmp_path: Path) -> None:
    done = run_python(tmp_path, "-c", PLAIN)
    assert (done.stdout, done.returncode) == ("plain\n", 0), done.stderr


@pytest.mark.slow
def test_a_traced_request_costs_about_four_plain_ones_at_most(tmp_path: Path) -> None:
    measured = costs(tmp_path)
    # 3.8 to 3.9 where nothing else runs.
    assert measured["in memory"] <= 4.5 * measured["plain"]


# ---- hiding


LINES = st.lists(
    st.sampled_from(
        ["Cookie: a=b", "cOOkie :\tx y", "Authorization:Basic abc", " folded", "X: cookie: z", "Cookies: a", "", "\x00"]
    ),
    max_size=6,
).map(lambda lines: "\r\n".join(lines).encode())


@given(st.data())
def test_a_value_is_hidden_however_it_is_cut(data: st.DataObject) -> None:
    stream = data.draw(LINES)
    whole = Veil()(stream) if stream else ""
    veil = Veil()
    assert "".join(veil(piece) for piece in data.draw(pieces(stream)) if piece) == whole
    assert len(whole) == len(stream)
    assert Veil()(whole.encode("latin-1")) == whole
    for line in whole.split("\r\n"):
        assert not re.match(r"(?i)(cookie|authorization)[ \t]*:.*[a-z]", line)


def test_only_what_is_named_is_hidden() -> None:
    assert Veil(["a"])(b"A: b c\x00\r\nB: c\r\n d") == "A: * *\x00\r\nB: c\r\n d"
    assert Veil([])(b"Cookie: a") == "Cookie: a"


# ---- as lines


def example() -> Trace:
    return conversation(ended(get(), b"\xff\r\n\r\n"), hello).trace


def write(path: Path, trace: Trace) -> Path:
    path.write_text(head_line(trace.head) + "".join(map(event_line, trace.events)))
    return path


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    trace = example()
    again = read_trace(write(tmp_path / "a", trace))
    assert again.head == trace.head
    assert [event.what for event in again.events] == [event.what for event in trace.events]
    assert (tmp_path / "a").read_bytes().isascii()


GOOD = '{"n":0,"t":0,"tick":0,"name":"channel:eof","data":{"start":1}}'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "not JSON"),
        ("[]", "a JSON object is expected"),
        ("[" * 100_000, "not JSON"),
        (GOOD.replace("channel:eof", "channel:ate"), "version 1 has no event 'channel:ate'"),
        (GOOD.replace('"t":0', '"t":NaN'), "NaN is no number"),
        (GOOD.replace('"t":0', '"t":"0"'), "t is not a number"),
        (GOOD.replace('"n":0', '"n":-1'), "n is not a number"),
        (GOOD.replace('"n":0', '"n":true'), "n is not a number"),
        (GOOD.replace('"n":0', '"n":' + "9" * 30), "n is not a number"),
        (GOOD.replace('"n":0', '"n":' + "9" * 5000), "not JSON"),
        (GOOD.replace('"n":0,', ""), "n is missing"),
        (GOOD.replace('{"start":1}', "{}"), "channel:eof: start is missing"),
        (GOOD.replace('{"start":1}', '{"start":null}'), "channel:eof: start is not a number"),
        (GOOD.replace('{"start":1}', "[]"), "data is not"),
        (
            GOOD.replace("channel:eof", "chat:terminator_set").replace('"start":1', '"kind":"length","value":"x"'),
            "its parts contradict each other",
        ),
        (GOOD.replace("eof", "blocked").replace('"start":1', '"op":"x"'), "op is none of recv, send"),
    ],
)
def test_a_strangers_line_is_not_trusted(line: str, says: str) -> None:
    with pytest.raises(NotATrace, match=re.escape(says)) as caught:
        read_line(line.encode(), 7)
    assert str(caught.value).startswith("line 7: ")
    assert len(str(caught.value)) < 250


def test_a_strangers_file_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    begins = head_line(head())
    for content, says in [
        ("", "line 1: not JSON"),
        ("{}\n", 'must say "format":"httpd-trace"'),
        (begins.replace('"version":1', '"version":2'), "a trace of version 2; this reads version 1"),
        (begins.replace('"redacted":["cookie"', '"redacted":[1'), "redacted is not a string"),
        (begins.replace('"limits":{', '"limits":{"x":"y",'), "limits.x is not a number"),
        (begins + GOOD + "\n" + GOOD + "\n", "line 3: event 0 does not come after event 0"),
        (begins + "\xff\n", "line 2: not JSON"),
        (begins.replace('"headers":[]', '"headers":[["a"]]'), "headers is not a list of 2"),
    ]:
        path.write_text(content, encoding="latin-1")
        with pytest.raises(NotATrace, match=re.escape(says)):
            read_trace(path)
    monkeypatch.setattr("httpd.trace.ndjson.MOST_BYTES", 10)
    with pytest.raises(NotATrace, match="larger than 0 MiB"):
        read_trace(path)


def test_the_bounds_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", example())
    monkeypatch.setattr("httpd.trace.ndjson.MOST_EVENTS", 3)
    with pytest.raises(NotATrace, match="more than 3 events"):
        read_trace(path)
    monkeypatch.setattr("httpd.trace.ndjson.MOST_LINE", 600)
    with pytest.raises(NotATrace, match="line 1: longer than"):
        read_trace(path)
