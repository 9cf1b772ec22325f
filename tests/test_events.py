"""Server-Sent Events: how one is written, what a stream says when nothing happens, what a browser makes of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd import Bell, Gzipped, Request, Response, Router, comment, event, event_stream, html, last_event_id
from httpd.net.producers import feed_producer
from httpd.server.handler import State
from httpd.site.events import Listeners

from .chromium import chromium, quiet_page
from .exchange import EOF, GET, Exchange, get, serving
from .factories import request


def parsed(stream: str) -> list[tuple[str, str, str]]:
    """(kind, data, id) of each event that a browser dispatches: the algorithm of the HTML standard, §9.2.6."""
    events, kind, data, last = [], "", "", ""
    for line in re.split(r"\r\n|\r|\n", stream):
        if not line:
            if data:
                events.append((kind or "message", data.removesuffix("\n"), last))
            kind = data = ""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
        elif name == "id" and "\0" not in value:
            last = value
    return events


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (event("one"), "data: one\n\n"),
        (event("one\ntwo\r\nthree\rfour\n"), "data: one\ndata: two\ndata: three\ndata: four\ndata: \n\n"),
        (event(""), "data: \n\n"),
        (event("a", kind="tick", ident=7, retry=1.5), "event: tick\nid: 7\nretry: 1500\ndata: a\n\n"),
        (event(None, retry=10), "retry: 10000\n\n"),
        (event(None, ident=""), "id: \n\n"),
        (event(" data: x\u2028y"), "data:  data: x\u2028y\n\n"),
        (comment("nobody sees\nthis"), ": nobody sees\n: this\n\n"),
    ],
)
def test_an_event_as_it_is_sent(made: str, expected: str) -> None:
    assert made == expected


@pytest.mark.parametrize("bad", ["a\nb", "a\rdata: x", "a\r\n\r\n", "a\0"])
def test_what_names_an_event_is_one_line(bad: str) -> None:
    for wrong in ({"kind": bad}, {"ident": bad}):
        with pytest.raises(ValueError, match="names an event"):
            event("x", **wrong)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.text(), st.text("abc:é", max_size=5), st.integers(0))))
def test_whatever_is_said_arrives(said: list[tuple[str, str, int]]) -> None:
    stream = "".join(event(data, kind=kind, ident=ident) + comment(data) for data, kind, ident in said)
    expected = [(kind or "message", re.sub("\r\n?", "\n", data), str(ident)) for data, kind, ident in said]
    assert parsed(stream) == expected


@pytest.mark.parametrize(("lines", "expected"), [([], ""), ([("Last-Event-ID", "7")], "7")])
def test_the_last_event_that_was_seen(lines: list[tuple[str, str]], expected: str) -> None:
    assert last_event_id(request("/", headers=dict(lines))) == expected
    assert last_event_id(request("/", headers={"Last-Event-ID": "zwölf".encode().decode("latin-1")})) == "zwölf"


# ---- a stream


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Exchange:
    """A connection whose clock streams go by, to a site that is set later."""
    exchange = Exchange()
    monkeypatch.setattr("httpd.site.events.monotonic", exchange.clock)
    return exchange


def streams(exchange: Exchange, content: Any, **more: Any) -> Exchange:
    exchange.service.site = lambda request: event_stream(content, **more)
    return exchange.feed(GET)


def body(exchange: Exchange) -> bytes:
    return exchange.output.partition(b"\r\n\r\n")[2]


def test_a_stream_says_what_it_is_and_is_not_kept(exchange: Exchange) -> None:
    [answer] = streams(exchange, (each for each in [event("a")]), headers=[("X-Own", "1")]).answers()
    assert (answer["content-type"], answer.body) == ("text/event-stream; charset=utf-8", b"data: a\n\n")
    assert (answer["cache-control"], answer["x-accel-buffering"], answer["x-own"]) == ("no-store", "no", "1")


def test_a_silent_stream_beats(exchange: Exchange) -> None:
    bell = Bell()
    streams(exchange, (each for each in [event("a"), bell, event("b"), bell]))
    exchange.wait(14)
    assert body(exchange) == b"data: a\n\n"
    exchange.wait(2)
    assert body(exchange) == b"data: a\n\n:\n\n"
    bell.ring()
    exchange.wait(14)
    assert body(exchange) == b"data: a\n\n:\n\ndata: b\n\n"
    exchange.wait(2)
    assert body(exchange).endswith(b"data: b\n\n:\n\n")


def test_a_beat_does_not_end_a_pause(exchange: Exchange) -> None:
    streams(exchange, (each for each in [event("a"), 40, event("b"), 1_000]), beat=15)
    exchange.wait(39)
    assert body(exchange) == b"data: a\n\n:\n\n:\n\n"
    exchange.wait(3)
    assert body(exchange).endswith(b"data: b\n\n")


def test_one_that_is_asked_often_and_has_nothing_beats_as_well(exchange: Exchange) -> None:
    streams(exchange, (None for _ in iter(int, 1)), beat=5)
    exchange.wait(21, step=0.1)
    assert body(exchange) == b":\n\n" * 4


def test_a_stream_ends_when_the_server_stops(exchange: Exchange) -> None:
    ended: list[str] = []

    def endless() -> Iterator[Any]:
        try:
            yield event("a")
            yield 1_000
        finally:
            ended.append("closed")

    streams(exchange, endless())
    exchange.handler.finish()
    assert (exchange.said_end, ended) == (True, ["closed"])
    assert exchange.feed(EOF).closed
    assert not exchange.sock.reset


def test_what_a_producer_has_to_say_before_its_end_is_sent(exchange: Exchange) -> None:
    feed = feed_producer()
    streams(exchange, feed)
    feed.put(b"data: a\n\n")
    exchange.handler.finish()
    assert body(exchange) == b"data: a\n\n"
    assert exchange.state is State.LINGER


def test_a_stream_is_not_compressed() -> None:
    site = Gzipped(lambda request: event_stream(each for each in [event("a")]))
    [answer] = Exchange([get("/", "Accept-Encoding: gzip")], site).answers()
    assert answer["content-encoding"] == ""


# ---- listeners


def test_all_who_listen_are_told() -> None:
    listeners = Listeners()
    exchanges = [Exchange([GET], lambda request: listeners.response(event("hello"), request.peer)) for _ in range(3)]
    listeners.tell(event("news"))
    assert (len(listeners), listeners.held_by("192.0.2.1"), listeners.held_by("")) == (3, 3, 0)
    exchanges[0].feed(EOF)
    listeners.tell(b"data: more\n\n")
    assert [parsed(body(each).decode()) for each in exchanges] == [
        [("message", word, "") for word in words.split()] for words in ("hello news", *["hello news more"] * 2)
    ]
    assert len(listeners) == 2


def test_who_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpd.site.events._MOST_WAITING", 1_000)
    listeners = Listeners()
    exchange = Exchange([GET], lambda request: listeners.response("", None), room=500)
    for _ in range(30):
        listeners.tell(event("x" * 100))
    exchange.take()
    assert exchange.said_end
    assert len(exchange.output) < 3_000


# ---- a browser

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Events</title><link rel="icon" href="data:,">
<script>
const heard = [];
const source = new EventSource("/events");
const hear = event => heard.push([event.type, event.data, event.lastEventId]);
source.onmessage = hear;
source.addEventListener("tick", hear);
</script>"""


@pytest.mark.tools
def test_a_browser_hears_and_comes_back_where_it_was() -> None:
    site = Router()
    asked: list[str] = []
    closed = threading.Event()

    @site.get("/")
    def page(request: Request) -> Response:
        return html(PAGE)

    @site.get("/events")
    def events(request: Request) -> Response:
        asked.append(last_event_id(request))
        return event_stream(first() if len(asked) == 1 else second())

    def first() -> Iterator[Any]:
        yield event(None, retry=0.05)
        yield event("two\nlines", ident="ö1")
        yield comment("unseen")
        yield event(" <b>", kind="tick", ident="ö2")

    def second() -> Iterator[Any]:
        try:
            yield event("again")
            yield Bell()
        finally:
            closed.set()

    with serving(site) as server, chromium() as browser, quiet_page(browser, server.url) as tab:
        tab.goto("/")
        tab.wait_for_function("heard.length == 3")
        assert tab.evaluate("heard") == [
            ["message", "two\nlines", "ö1"], ["tick", " <b>", "ö2"], ["message", "again", "ö2"],
        ]  # fmt: skip
        assert asked == ["", "ö2"]
        assert not closed.is_set()
        tab.goto("about:blank")
        assert closed.wait(10)
