"""http_request_handler, on a scripted socket with a clock of our own: states, content, refusals, producers, time."""

from __future__ import annotations

import errno
import itertools
import logging
import re
import socket
from collections.abc import Callable
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpd import HTTPError, Limits, Request, Response, Router, html, json, text
from httpd.net import asyncore
from httpd.net.backends import READ
from httpd.net.producers import bytes_producer, feed_producer
from httpd.server.handler import TABLE, State

from .exchange import EOF, GET, RESET, Exchange, Given, StrictHandler, get, hello, post
from .scripted import BROKEN, every_cut, one_by_one
from .strategies import pieces, requests

READ_HEADER, READ_BODY, HANDLE = State.READ_HEADER, State.READ_BODY, State.HANDLE
SEND_RESPONSE, LINGER, CLOSED = State.SEND_RESPONSE, State.LINGER, State.CLOSED

BAD = b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"


def echo(request: Request) -> Response:
    """What came, and how."""
    return Response(request.body, headers=[("X-Asked", f"{request.method} {request.path}")])


def gives(response: Response | Callable[[], Response]) -> Callable[[Request], Response]:
    return lambda request: response() if callable(response) else response


# ---- states


def test_a_request_goes_through_the_states_in_their_order() -> None:
    exchange = Exchange([GET])
    assert exchange.handler.states == [READ_HEADER, HANDLE, SEND_RESPONSE, READ_HEADER]
    assert not exchange.closed
    exchange.feed(EOF)
    assert exchange.handler.states[-1] is CLOSED
    assert exchange.closed
    assert not exchange.sock.reset


def closed_while_handling() -> Exchange:
    """The connection ends while the site is at work (a second signal came, say)."""

    def site(request: Request) -> Response:
        running[0].handler.close()
        return text("nobody gets this")

    exchange = Exchange([], site)
    running = [exchange]
    return exchange.feed(GET)


def leaving(exchange: Exchange) -> Exchange:
    """The server has waited for a last request, and takes its leave."""
    exchange.service.draining = True
    exchange.handler.take_leave(exchange.clock.now)
    exchange.play()
    return exchange


# What leads from one state to the next; every row of the table is gone through below.
WAYS: dict[tuple[State, State], Callable[[], Exchange]] = {
    (READ_HEADER, READ_BODY): lambda: Exchange([post(b"abc")[:-1]]),
    (READ_HEADER, HANDLE): lambda: Exchange([GET]),
    (READ_HEADER, SEND_RESPONSE): lambda: Exchange([BAD]),
    (READ_HEADER, LINGER): lambda: leaving(Exchange([GET])),
    (READ_HEADER, CLOSED): lambda: Exchange([b"GET", EOF]),
    (READ_BODY, HANDLE): lambda: Exchange([post(b"abc")]),
    (READ_BODY, SEND_RESPONSE): lambda: Exchange([post(b"abc")[:-1]]).wait(30),
    (READ_BODY, CLOSED): lambda: Exchange([post(b"abc")[:-1], EOF]),
    (HANDLE, SEND_RESPONSE): lambda: Exchange([GET]),
    (HANDLE, CLOSED): closed_while_handling,
    (SEND_RESPONSE, READ_HEADER): lambda: Exchange([GET]),
    (SEND_RESPONSE, LINGER): lambda: Exchange([BAD]),
    (SEND_RESPONSE, CLOSED): lambda: Exchange([get(version="1.0")]),
    (LINGER, CLOSED): lambda: Exchange([BAD, EOF]),
}


def test_every_row_of_the_table_has_a_way() -> None:
    assert set(WAYS) == {(old, new) for old, row in TABLE.items() for new in row}


@pytest.mark.parametrize(("old", "new"), WAYS, ids=lambda state: state.name)
def test_each_row_is_gone_through(old: State, new: State) -> None:
    states = WAYS[old, new]().handler.states
    assert (old, new) in itertools.pairwise(states)


def test_nothing_is_sent_when_the_connection_ends_while_the_site_is_at_work() -> None:
    exchange = closed_while_handling()
    assert exchange.closed
    assert exchange.output == b""


def test_closing_twice_tells_the_owner_once() -> None:
    exchange = Exchange()
    exchange.handler.close()
    exchange.handler.close()
    exchange.handler.cut()
    assert exchange.closed
    assert not exchange.sock.reset


def test_all_that_a_connection_has_is_in_slots() -> None:
    exchange = Exchange([GET, post(b"abc")], limits=Limits(idle_time=1)).wait(2)
    assert exchange.closed
    # What the tests' own class adds.
    assert vars(exchange.handler).keys() == {"states"}


# ---- the fields of every response


def test_the_fields_of_every_response() -> None:
    [answer] = Exchange([GET]).answers()
    assert answer.version == b"1.0"
    assert answer["date"] == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert answer["server"] == "httpd"
    assert answer["connection"] == "keep-alive"
    assert answer["content-length"] == "5"
    assert answer.body == b"hello"


def test_the_date_follows_the_clock() -> None:
    exchange = Exchange([GET]).wait(2)
    assert [answer["date"][-12:] for answer in exchange.feed(GET).answers()] == ["08:49:37 GMT", "08:49:39 GMT"]


def test_server_can_be_turned_off() -> None:
    [answer] = Exchange([GET], server_name="").answers()
    assert answer["server"] == ""
    assert b"Server" not in Exchange([GET], server_name="").output


# ---- persistence (RFC 9112 §9.3)


@pytest.mark.parametrize(
    ("request_bytes", "persists"),
    [
        pytest.param(GET, True, id="1.1"),
        pytest.param(get("/", "Connection: close"), False, id="1.1 close"),
        pytest.param(get("/", "Connection: CLOSE"), False, id="close in capitals"),
        pytest.param(get("/", "Connection: x, close"), False, id="close in a list"),
        pytest.param(get("/", "Connection: keep-alive", "Connection: close"), False, id="close in a second line"),
        pytest.param(get("/", "Connection: keep-alive", version="1.0"), True, id="1.0 keep-alive"),
        pytest.param(get("/", "Connection: keep-alive, close", version="1.0"), False, id="1.0 both"),
        pytest.param(get(version="1.0"), False, id="bare 1.0"),
        pytest.param(get(version="1.1").replace(b"1.1", b"1.9"), True, id="1.9 is as 1.1"),
        pytest.param(get(method="HEAD"), True, id="HEAD"),
        pytest.param(post(b"x"), True, id="POST"),
        pytest.param(get("/", "Upgrade: h2c", "Connection: Upgrade"), True, id="an Upgrade is ignored"),
    ],
)
def test_whether_the_connection_persists(request_bytes: bytes, persists: bool) -> None:
    exchange = Exchange([request_bytes])
    [answer] = exchange.answers(request_bytes.split()[0].decode())
    assert answer.keeps_alive is persists
    assert (exchange.state in (LINGER, CLOSED)) is not persists
    assert answer["content-length"] == "5"


def test_bare_http_1_0_goes_on_as_the_connection_has() -> None:
    exchange = Exchange([get("/", "Connection: keep-alive", version="1.0"), get(version="1.0")])
    assert [answer.keeps_alive for answer in exchange.answers()] == [True, True]
    exchange.feed(get("/", "Connection: close", version="1.0"))
    assert [answer.keeps_alive for answer in exchange.answers()] == [True, True, False]
    assert exchange.closed


def test_a_body_without_length_ends_with_the_connection() -> None:
    exchange = Exchange([GET], gives(lambda: Response(Given(b"one ", b"two"))))
    [answer] = exchange.answers()
    assert (answer.body, answer["content-length"], answer.keeps_alive) == (b"one two", "", False)
    # An HTTP/1.1 client may have sent its next request already.
    assert exchange.said_end
    assert exchange.feed(GET, EOF).closed
    assert not exchange.reset
    assert len(exchange.answers()) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content(status: int) -> None:
    exchange = Exchange([GET, GET], gives(Response(b"dropped", status)))
    answers = exchange.answers()
    assert [answer.status for answer in answers] == [status, status]
    assert all(answer.keeps_alive and "content-length" not in dict(answer.lines) for answer in answers)
    assert exchange.output.endswith(b"\r\n\r\n")
    assert [entry[2] for entry in exchange.log.entries] == [0, 0]


def test_head_is_as_get_without_the_content() -> None:
    [with_body] = Exchange([GET]).answers()
    exchange = Exchange([get(method="HEAD")])
    [without] = exchange.answers("HEAD")
    assert without.lines == with_body.lines
    assert without.body == b""
    assert exchange.log.entries == [("HEAD / HTTP/1.1", 200, 0)]


def test_head_closes_the_producer_it_does_not_ask() -> None:
    content = Given(b"abc")
    exchange = Exchange([get(method="HEAD")], gives(lambda: Response(content, length=3)))
    assert exchange.answers("HEAD")[0]["content-length"] == "3"
    assert (content.closes, len(content.pieces)) == (1, 1)


@pytest.mark.parametrize("status", [400, 403, 404, 412, 500, 503])
def test_an_error_that_the_site_raises_keeps_the_connection(status: int) -> None:
    def site(request: Request) -> Response:
        raise HTTPError(status, "Not so.", [("X-Why", "because")])

    exchange = Exchange([get("/", "Accept: application/json"), GET], site)
    first, second = exchange.answers()
    assert (first.status, first["x-why"], first["content-type"]) == (status, "because", "application/problem+json")
    assert first.keeps_alive
    assert second["content-type"].startswith("text/html")


def test_the_last_request_of_a_connection_says_close() -> None:
    exchange = Exchange([GET * 5], limits=Limits(requests=3))
    assert [answer.keeps_alive for answer in exchange.answers()] == [True, True, False]
    assert exchange.said_end
    assert not exchange.closed
    assert exchange.feed(EOF).closed


def test_a_draining_server_says_close() -> None:
    exchange = Exchange([GET])
    exchange.service.draining = True
    exchange.feed(GET)
    assert [answer.keeps_alive for answer in exchange.answers()] == [True, False]
    assert exchange.said_end


def test_finishing_closes_an_idle_connection_and_no_other() -> None:
    idle, begun, answering = Exchange([GET]), Exchange([b"GET / HT"]), Exchange([GET], room=30)
    for exchange in (idle, begun, answering):
        exchange.service.draining = True
        exchange.handler.finish()
    assert [exchange.closed for exchange in (idle, begun, answering)] == [True, False, False]
    begun.feed(b"TP/1.1\r\nHost: a\r\n\r\n")
    assert not begun.answers()[0].keeps_alive
    answering.take()
    assert answering.answers()[0].body == b"hello"
    # It had promised to stay, so the client may have sent its next request.
    assert answering.said_end
    assert answering.feed(EOF).closed


def test_a_request_that_comes_as_the_server_takes_its_leave_is_answered() -> None:
    exchange = Exchange([GET])
    exchange.sock.pieces.append(GET)
    leaving(exchange)
    assert [answer.keeps_alive for answer in exchange.answers()] == [True, False]
    assert exchange.said_end


def test_a_request_that_comes_after_the_leave_meets_an_end_and_no_reset() -> None:
    exchange = leaving(Exchange([GET]))
    assert exchange.said_end
    assert not exchange.feed(GET, EOF).reset
    assert len(exchange.answers()) == 1


def test_only_idle_connections_take_leave() -> None:
    begun, answering = leaving(Exchange([b"GET / HT"])), leaving(Exchange([GET], room=30))
    assert begun.feed(b"TP/1.1\r\nHost: a\r\n\r\n").answers()[0].body == b"hello"
    assert answering.take().answers()[0].body == b"hello"


# ---- content of requests


@pytest.mark.parametrize("cut", [*every_cut(post(b"0123456789\r\n\r\nabc") + GET)], ids=lambda cut: f"{len(cut[0])}")
def test_content_cut_anywhere_arrives_exactly(cut: list[bytes]) -> None:
    exchange = Exchange(cut, echo)
    first, second = exchange.answers("POST", "GET")
    assert first.body == b"0123456789\r\n\r\nabc"
    assert second["x-asked"] == "GET /"
    assert exchange.state is READ_HEADER


@given(st.data())
@settings(max_examples=60)
def test_requests_in_a_row_cut_anyhow_are_answered_in_order(data: st.DataObject) -> None:
    asked = data.draw(st.lists(requests(), min_size=1, max_size=4))
    # Only in the request-line: the content may be that word, too.
    stream = b"".join(re.sub(rb"\A(.*)HTTP/1\.0", rb"\1HTTP/1.1", wire) for wire, _ in asked)
    exchange = Exchange(data.draw(pieces(stream)), echo)
    assert [answer.body for answer in exchange.answers()] == [content for _, content in asked]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_content_of_a_get_is_read_and_the_connection_stays_in_step(method: str) -> None:
    wire = get("/", "Content-Length: 7", method=method) + b"GET / 7"
    exchange = Exchange([wire + get("/next")], echo)
    first, second = exchange.answers(method)
    assert first["x-asked"] == f"{method} /"
    assert second["x-asked"] == "GET /next"


def test_a_line_end_sent_over_after_content_is_skipped() -> None:
    exchange = Exchange([post(b"abc") + b"\r\n" + post(b"def"), b"\r\n", GET], echo)
    assert [answer.body for answer in exchange.answers()] == [b"abc", b"def", b""]


@pytest.mark.parametrize("lines", [0, 1, 2])
@pytest.mark.parametrize("whole", [True, False])
def test_two_empty_lines_before_a_request_are_skipped(lines: int, whole: bool) -> None:
    wire = b"\r\n" * lines + GET
    exchange = Exchange([wire] if whole else one_by_one(wire))
    assert exchange.answers()[0].status == 200


@pytest.mark.parametrize("lines", [3, 4, 5])
@pytest.mark.parametrize("whole", [True, False])
def test_three_are_not(lines: int, whole: bool) -> None:
    wire = b"\r\n" * lines + GET
    exchange = Exchange([wire] if whole else one_by_one(wire))
    [answer] = exchange.answers()
    assert answer.status == 400
    assert exchange.said_end


def test_an_empty_content_is_no_content() -> None:
    exchange = Exchange([post(b"")], echo)
    assert exchange.answers()[0]["x-asked"] == "POST /"
    assert READ_BODY not in exchange.handler.states


def test_the_site_gets_the_request_whole() -> None:
    seen: list[Request] = []

    def site(request: Request) -> Response:
        seen.append(request)
        return text("")

    Exchange([post(b"a=%31", "Content-Type: application/x-www-form-urlencoded", path="/x%20y?q=1")], site)
    [request] = seen
    assert (request.method, request.path, request.query, request.peer) == ("POST", "/x y", "q=1", "192.0.2.1")
    assert (request.form["a"], request.args["q"], request.body) == ("1", "1", b"a=%31")


def test_the_peer_of_a_unix_socket_has_no_address() -> None:
    exchange = Exchange()
    handler = StrictHandler(exchange.sock, "", {}, exchange.log, exchange.service, map={})
    assert handler.peer == ""
    handler.close()


# ---- sent ahead


def test_requests_sent_ahead_are_answered_one_at_a_time() -> None:
    at_once, most = 0, 0

    class Counted(Given):
        def close(self) -> None:
            nonlocal at_once
            at_once -= 1

    def site(request: Request) -> Response:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        return Response(Counted(request.path.encode()), length=len(request.path))

    exchange = Exchange([b"".join(get(f"/{n}") for n in range(100))], site, takes=[7] * 2_000)
    assert [answer.body for answer in exchange.answers()] == [f"/{n}".encode() for n in range(100)]
    assert most == 1


def test_a_client_that_takes_nothing_is_not_read() -> None:
    wire = GET * 10_000
    asked = 0

    def site(request: Request) -> Response:
        nonlocal asked
        asked += 1
        return text("x" * 1000)

    exchange = Exchange([wire], site, room=0)
    handler = exchange.handler
    assert asked == 1
    assert not handler.readable()
    assert len(handler.ac_in_buffer) <= handler.ac_in_buffer_size
    assert len(handler.producer_fifo) == 1
    exchange.take()
    assert exchange.output.count(b"HTTP/1.0 200 OK\r\n") == asked == 10_000
    assert exchange.state is READ_HEADER


def test_requests_sent_ahead_are_answered_after_each_stall() -> None:
    exchange = Exchange([GET * 3 + b"GET / HTT", b"P/1.1\r\nHost: a\r\n\r\n"], room=0)
    length = len(Exchange([GET]).output)
    for count in range(1, 5):
        exchange.take(length)
        assert len(exchange.answers()) == count
    assert exchange.state is READ_HEADER


def test_a_fault_sent_ahead_is_refused_when_its_turn_comes_without_more_bytes() -> None:
    """What waited behind an answer is judged like what has just come: where it was cut must not matter."""
    for room in (None, 30):
        exchange = Exchange([GET + b"GET / HTTP/1.1\nHost: a\n\n"], room=room).take()
        assert [answer.status for answer in exchange.answers()] == [200, 400]


# ---- Expect (RFC 9110 §10.1.1)


def test_a_client_that_waits_is_told_to_go_on() -> None:
    wire = post(b"abc", "Expect: 100-continue")
    exchange = Exchange([wire[:-3]], echo)
    assert exchange.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    exchange.feed(b"abc")
    [answer] = exchange.answers("POST")
    assert (answer.interim, answer.status, answer.body) == ([100], 200, b"abc")


def test_a_client_that_does_not_wait_is_told_all_the_same() -> None:
    """It may not depend on where the network cut its bytes."""
    exchange = Exchange([post(b"abc", "Expect: 100-continue")], echo)
    assert exchange.answers("POST")[0].interim == [100]


@pytest.mark.parametrize("room", [0, 10])
def test_the_100_may_have_to_wait_for_room(room: int) -> None:
    wire = post(b"abc", "Expect: 100-continue")
    exchange = Exchange([wire[:-3]], echo, room=room).feed(b"abc").take()
    [answer] = exchange.answers("POST")
    assert (answer.interim, answer.body) == ([100], b"abc")
    assert exchange.log.entries == [("POST / HTTP/1.1", 200, 3)]


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        pytest.param(get("/", "Content-Length: 3", "Expect: 200-ok", method="POST"), 417, id="another expectation"),
        pytest.param(get("/", "Content-Length: 11", "Expect: 100-continue", method="POST"), 413, id="too large"),
        pytest.param(get("/", "Content-Length: 11", method="PUT"), 413, id="too large, without waiting"),
        pytest.param(get("/", "Expect: 100-continue", method="POST"), 411, id="no length"),
    ],
)
def test_the_final_refusal_comes_before_the_content(wire: bytes, status: int) -> None:
    exchange = Exchange([wire], limits=Limits(body=10))
    [answer] = exchange.answers("POST")
    assert (answer.status, answer.interim, answer.keeps_alive) == (status, [], False)
    assert exchange.said_end


def routed() -> Router:
    site = Router()
    site.route("/here", methods=["GET", "POST"])(echo)
    site.get("/read-only")(echo)
    return site


@pytest.mark.parametrize(("path", "status"), [("/absent", 404), ("/read-only", 405)])
@pytest.mark.parametrize("along", [True, False])
def test_a_site_s_refusal_comes_before_the_content_too(path: str, status: int, along: bool) -> None:
    wire = post(b"GET / HTTP/1.1\r\n\r\n", "Expect: 100-continue", path=path)
    head = wire[: wire.index(b"\r\n\r\n") + 4]
    exchange = Exchange([wire if along else head], routed())
    [answer] = exchange.answers("POST")
    assert (answer.status, answer.interim, answer.keeps_alive) == (status, [], False)
    # Whether the content still comes, nobody can tell; it must not pass for a request.
    exchange.feed(wire[len(head) :], EOF)
    assert len(exchange.answers("POST")) == 1
    assert exchange.closed
    assert exchange.log.entries[0][:2] == (f"POST {path} HTTP/1.1", status)


def test_a_site_that_takes_the_request_has_it_told_to_go_on() -> None:
    wire = post(b"abc", "Expect: 100-continue", path="/here")
    exchange = Exchange([wire[:-3], b"abc"], routed())
    [answer] = exchange.answers("POST")
    assert (answer.interim, answer.body) == ([100], b"abc")


def test_without_the_expectation_content_is_read_first_and_the_connection_kept() -> None:
    exchange = Exchange([post(b"abc", path="/absent") + get("/here")], routed())
    assert [answer.status for answer in exchange.answers("POST")] == [404, 200]


def test_a_site_that_fails_before_the_content_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    class Site:
        def check(self, request: Request) -> None:
            raise ZeroDivisionError

        def __call__(self, request: Request) -> Response:
            return text("")

    exchange = Exchange([post(b"abc", "Expect: 100-continue")[:-3]], Site())
    assert exchange.answers("POST")[0].status == 500
    assert "ZeroDivisionError" in caplog.text


def test_http_1_0_is_never_told_to_go_on() -> None:
    wire = post(b"abc", "Expect: 100-continue", version="1.0")
    exchange = Exchange([wire[:-3]], echo)
    assert exchange.output == b""
    assert exchange.feed(b"abc").answers("POST")[0].body == b"abc"


@pytest.mark.cut
def test_a_peer_that_has_ended_before_its_content_gets_nothing_more() -> None:
    exchange = Exchange([post(b"abc", "Expect: 100-continue")[:-3]], echo, room=0).feed(EOF).take()
    assert exchange.output in (b"", b"HTTP/1.1 100 Continue\r\n\r\n")
    assert exchange.closed


# ---- refusals


def test_a_refusal_ends_the_connection_without_losing_the_answer() -> None:
    exchange = Exchange([BAD])
    [answer] = exchange.answers()
    assert (answer.status, answer.keeps_alive) == (400, False)
    assert int(answer["content-length"]) == len(answer.body)
    assert exchange.said_end
    assert exchange.state is LINGER
    exchange.feed(b"x" * 100_000, GET)
    assert len(exchange.answers()) == 1
    assert exchange.handler.incoming == []
    assert exchange.feed(EOF).closed
    assert not exchange.sock.reset


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("Accept: application/json\r\n", "application/problem+json"),
        ("Accept: text/plain\r\n", "text/plain; charset=utf-8"),
    ],
)
def test_the_page_of_a_refusal_is_what_the_client_accepts(accept: str, kind: str) -> None:
    exchange = Exchange([f"GET / HTTP/1.1\r\nHost: a\r\n{accept}<b>: 1\r\n\r\n".encode()])
    [answer] = exchange.answers()
    assert answer["content-type"] == kind
    assert b"<b>:" not in answer.body or "html" not in kind
    assert b"9110 " in answer.body or b"RFC 9110" in answer.body


def test_a_refused_head_request_has_no_content() -> None:
    exchange = Exchange([BAD.replace(b"GET", b"HEAD")])
    [answer] = exchange.answers("HEAD")
    assert answer.status == 400
    assert exchange.log.entries == [("HEAD / HTTP/1.1", 400, 0)]


def test_a_refusal_is_logged_with_its_request_line() -> None:
    exchange = Exchange([b"GET /\xff HTTP/1.1\r\n\r\n"])
    [(line, status, size)] = exchange.log.entries
    assert (line, status) == ("GET /\xff HTTP/1.1", 400)
    assert size == len(exchange.answers()[0].body)


@pytest.mark.parametrize("cut", [*every_cut(GET + BAD)], ids=lambda cut: f"{len(cut[0])}")
def test_a_refusal_does_not_depend_on_the_cut(cut: list[bytes]) -> None:
    exchange = Exchange(cut)
    assert exchange.output == Exchange([GET + BAD]).output


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\nHost", 400, id="a bare LF"),
        pytest.param(b"GET /" + b"x" * 100, 414, id="request-line over its limit"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 200, 431, id="head over its limit"),
        pytest.param(b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\nD", 431, id="too many fields"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01", 400, id="TLS"),
        pytest.param(b"GET / HTTP/1.1\r\nX : y\r\nA: b", 400, id="space before the colon"),
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_a_hopeless_head_is_refused_before_its_end(wire: bytes, status: int, bytewise: bool) -> None:
    limits = Limits(request_line=100, head=200, fields=3)
    exchange = Exchange(one_by_one(wire) if bytewise else [wire], limits=limits)
    [answer] = exchange.answers()
    assert answer.status == status
    assert exchange.state is LINGER


def test_a_head_under_every_limit_waits_for_its_end() -> None:
    exchange = Exchange([b"GET / HTTP/1.1\r\nX: y\r\n", b"Z: " + b"z" * 100])
    assert exchange.output == b""
    assert exchange.feed(b"\r\nHost: a\r\n\r\n").answers()[0].status == 200


def test_a_refusal_that_finds_no_room_goes_out_later() -> None:
    exchange = Exchange([BAD, GET], room=0)
    assert not exchange.said_end
    exchange.take()
    assert [answer.status for answer in exchange.answers()] == [400]
    assert exchange.said_end


def test_a_socket_that_cannot_be_shut_is_closed() -> None:
    exchange = Exchange()

    def gone(how: int) -> None:
        raise OSError(107, "not connected")

    exchange.sock.shutdown = gone  # type: ignore[method-assign]
    assert exchange.feed(BAD).closed


# ---- content of responses


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("takes", [[], [1, 100_000] * 40])
def test_bytes_of_any_size(size: int, takes: list[int]) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    exchange = Exchange([GET, GET], gives(Response(content)), takes=takes)
    answers = exchange.answers()
    assert [answer.body for answer in answers] == [content, content]
    assert [entry[2] for entry in exchange.log.entries] == [size, size]


def test_a_small_answer_is_one_send() -> None:
    exchange = Exchange([GET])
    assert exchange.sock.sends == [len(exchange.output)]


@pytest.mark.parametrize("parts", [[b"abc"], [b"a", b"bc"], [b"a", b"b", b"c", b""]])
@pytest.mark.parametrize("takes", [[], [1] * 500])
def test_a_producer_of_the_announced_length(parts: list[bytes], takes: list[int]) -> None:
    contents: list[Given] = []

    def site(request: Request) -> Response:
        contents.append(Given(*parts))
        return Response(contents[-1], length=3)

    exchange = Exchange([GET + GET], site, takes=takes)
    assert [answer.body for answer in exchange.answers()] == [b"abc", b"abc"]
    assert [content.closes for content in contents] == [1, 1]
    assert exchange.state is READ_HEADER


@pytest.mark.parametrize(
    "parts",
    [pytest.param([b"ab"], id="short"), pytest.param([b"ab", b"cd"], id="long"), pytest.param([], id="nothing")],
)
def test_a_producer_of_another_length_is_cut(parts: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    content = Given(*parts)
    exchange = Exchange([GET + GET], gives(lambda: Response(content, length=3)))
    assert exchange.reset
    assert content.closes == 1
    assert len(exchange.output.partition(b"\r\n\r\n")[2]) < 3
    assert "another length" in caplog.text
    with pytest.raises(h11.RemoteProtocolError):
        exchange.answers()


class Counting(Given):
    """Says how much it still has, as a file's producer does."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.remaining = len(data)


@pytest.mark.parametrize("length", [2, 4, 0])
def test_a_length_that_is_known_to_be_wrong_is_never_announced(length: int, caplog: pytest.LogCaptureFixture) -> None:
    for body in (b"abc", Counting(b"abc")):
        exchange = Exchange([GET], gives(Response(body, length=length)))
        assert exchange.answers()[0].status == 500
        assert "length" in caplog.text
        caplog.clear()
    assert body.closes == 1


def test_a_producer_that_raises_cuts_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    content = Given(b"abc", OSError(5, "the disk failed"))
    exchange = Exchange([GET], gives(lambda: Response(content, length=6)))
    assert exchange.output.endswith(b"\r\n\r\nabc")
    assert exchange.reset
    assert content.closes == 1
    assert "the disk failed" in caplog.text
    assert exchange.log.entries == [("GET / HTTP/1.1", 200, 3)]


def test_an_answer_that_ends_with_the_connection_is_cut_too() -> None:
    exchange = Exchange([get(version="1.0")], gives(lambda: Response(Given(b"abc", ValueError()))))
    assert exchange.reset


@pytest.mark.parametrize("number", [errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN, errno.EBADF, errno.EIO])
def test_a_producer_that_loses_its_own_source_cuts_the_answer(number: int, caplog: pytest.LogCaptureFixture) -> None:
    """The loop takes some errors for the end of the channel's own socket, and a plain close would look like an end."""
    content = Given(b"half", OSError(number, "the source is lost"))
    exchange = Exchange([], gives(lambda: Response(content)))
    exchange.sock.pieces.append(GET)
    asyncore.readwrite(exchange.handler, READ)
    assert exchange.output.endswith(b"half")
    assert exchange.reset
    assert content.closes == 1
    assert "the source is lost" in caplog.text


class RaisesAtClose(Given):
    def close(self) -> None:
        super().close()
        raise RuntimeError("the close failed")


@pytest.mark.parametrize("parts", [[b"abc"], [b"abc", ValueError()], [b"a"], [None]])
def test_a_producer_whose_close_raises_harms_nobody(parts: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    content = RaisesAtClose(*parts)
    exchange = Exchange([GET], gives(lambda: Response(content, length=3)))
    exchange.handler.cut()
    assert exchange.closed
    assert content.closes == 1
    assert "the close failed" in caplog.text


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_nor_one_that_is_never_asked(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is dropped by HEAD, or for the sake of a field that cannot be sent."""
    content = RaisesAtClose(b"abc")
    fields = [("X", "a\nb")] if method == "GET" else []
    exchange = Exchange([get(method=method) + get()], gives(lambda: Response(content, headers=fields, length=3)))
    assert exchange.answers(method)[0].status == (500 if fields else 200)
    assert content.closes >= 1
    assert "the close failed" in caplog.text


def test_a_stalled_producer_is_asked_again_when_it_wakes() -> None:
    content = Given(b"a", None, None, b"b", b"c")
    exchange = Exchange([GET + GET], gives(lambda: Response(content if content.pieces else b"", length=None)))
    assert exchange.output.endswith(b"\r\n\r\na")
    assert not exchange.handler.writable()
    assert not exchange.handler.readable()
    exchange.handler.wake()
    assert exchange.output.endswith(b"\r\n\r\na")
    exchange.handler.wake()
    assert exchange.output.endswith(b"\r\n\r\nabc")
    assert exchange.said_end


def test_a_producer_may_wake_its_channel_while_it_is_asked() -> None:
    class Eager(Given):
        def more(self) -> bytes | None:
            running[0].handler.wake()
            return super().more()

    exchange = Exchange([], gives(lambda: Response(Eager(None, b"abc", None), length=3)))
    running = [exchange]
    assert exchange.feed(GET).answers()[0].body == b"abc"
    exchange.feed(EOF)
    exchange.handler.wake()
    assert exchange.closed


def test_after_a_stalled_answer_the_next_request_is_served() -> None:
    contents = [Given(b"one", None), Given(b"two")]
    exchange = Exchange([GET + GET], lambda request: Response(contents.pop(0), length=3))
    exchange.handler.wake()
    assert [answer.body for answer in exchange.answers()] == [b"one", b"two"]


def test_a_producer_that_raises_when_it_wakes_cuts_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    content = Given(b"a", None, ValueError("no more"))
    exchange = Exchange([GET], gives(lambda: Response(content, length=3)))
    exchange.handler.wake()
    assert exchange.reset
    assert content.closes == 1
    assert "no more" in caplog.text


def test_content_that_comes_while_it_is_sent() -> None:
    feed = feed_producer()
    exchange = Exchange([GET], gives(lambda: Response(feed)), limits=PATIENT)
    for number in range(5):
        exchange.wait(60)
        feed.put(b"%d" % number)
        assert exchange.output.endswith(b"%d" % number)
    feed.finish()
    assert exchange.said_end
    assert exchange.answers()[0].body == b"01234"


def test_content_without_an_end_comes_to_one_when_the_server_stops() -> None:
    feed = feed_producer()
    exchange = Exchange([GET], gives(lambda: Response(feed)))
    feed.put(b"so far")
    exchange.handler.finish()
    assert exchange.answers()[0].body == b"so far"
    assert exchange.said_end
    assert not exchange.feed(EOF).reset


def test_content_that_cannot_be_finished_hinders_no_stop(caplog: pytest.LogCaptureFixture) -> None:
    class Stubborn(Given):
        def finish(self) -> None:
            raise RuntimeError("not now")

    exchange = Exchange([GET], gives(lambda: Response(Stubborn(b"a", None), length=1)))
    exchange.handler.finish()
    assert "not now" in caplog.text
    assert exchange.answers()[0].body == b"a"


@pytest.mark.parametrize("end", [RESET, BROKEN])
@pytest.mark.parametrize("parts", [[b"a" * 10, b"b" * 10], [None]])
def test_a_producer_is_closed_once_when_the_peer_resets(end: OSError, parts: list[bytes | None]) -> None:
    content = Given(*parts)
    exchange = Exchange([GET], gives(lambda: Response(content, length=20)), takes=[5, end])
    if not exchange.closed:
        exchange.handler.handle_close()
    assert exchange.closed
    assert content.closes == 1


def test_a_piece_larger_than_a_send_allowance() -> None:
    content = bytes_producer(bytes(5_000_000), size=5_000_000)
    exchange = Exchange([GET], gives(lambda: Response(content, length=5_000_000)), takes=[1_000_000, 10])
    assert len(exchange.answers()[0].body) == 5_000_000


# ---- a site that fails


def test_a_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    def site(request: Request) -> Response:
        if request.path == "/bad":
            raise ZeroDivisionError("secret")
        return text("fine")

    exchange = Exchange([get("/bad") + GET], site)
    bad, fine = exchange.answers()
    assert (bad.status, bad.keeps_alive, fine.body) == (500, True, b"fine")
    assert b"secret" not in bad.body
    assert "ZeroDivisionError: secret" in caplog.text
    assert "GET /bad HTTP/1.1" in caplog.text
    assert "Traceback" in caplog.text


SPLITTERS = ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\0b", "\x7f", "a\r\n\r\n<html>"]


@pytest.mark.parametrize("value", SPLITTERS)
def test_response_splitting_is_refused(value: str, caplog: pytest.LogCaptureFixture) -> None:
    content = Given(b"abc")
    exchange = Exchange([GET], gives(lambda: Response(content, headers=[("X", value)], length=3)))
    [answer] = exchange.answers()
    assert answer.status == 500
    assert answer["x"] == answer["set-cookie"] == ""
    assert content.closes == 1
    assert "control character" in caplog.text


@pytest.mark.parametrize("value", SPLITTERS)
def test_response_splitting_in_an_error_is_refused(value: str, caplog: pytest.LogCaptureFixture) -> None:
    def site(request: Request) -> Response:
        raise HTTPError(404, "no", [("X", value)])

    [answer] = Exchange([GET], site).answers()
    assert answer.status == 500


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param(None, id="None"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param("text", id="str"),
        pytest.param(Response(b"", headers=[("A B", "c")]), id="a name that is none"),
        pytest.param(Response(b"", headers=[("", "c")]), id="no name"),
        pytest.param(Response(b"", headers=[("X", 5)]), id="a value that is a number"),  # type: ignore[list-item]
        pytest.param(Response(b"", headers=[("X", "snow \u2603")]), id="a value beyond latin-1"),
        pytest.param(Response(b"", headers=["X: y"]), id="a field as one string"),  # type: ignore[list-item]
        pytest.param(Response(b"", 99), id="status 99"),
        pytest.param(Response(b"", 100), id="an interim status"),
        pytest.param(Response(b"", 101), id="switching protocols"),
        pytest.param(Response(b"", 1000), id="status 1000"),
        pytest.param(Response(b"", "200 OK"), id="a status as str"),  # type: ignore[arg-type]
        pytest.param(Response(b"", 299.0), id="a status as float"),  # type: ignore[arg-type]
        pytest.param(Response(5), id="content that is a number"),  # type: ignore[arg-type]
        pytest.param(Response(["a", "b"]), id="content that is a list"),  # type: ignore[arg-type]
        pytest.param(Response(b"abc", headers=[("Content-Length", "5")]), id="a Content-Length of its own"),
        pytest.param(Response(b"abc", headers=[("transfer-encoding", "chunked")]), id="a transfer coding"),
        pytest.param(Response(b"abc", headers=[("Connection", "close")]), id="a Connection of its own"),
        pytest.param(Response(Given(b"abc"), length=-1), id="a negative length"),
    ],
)
def test_a_handler_that_returns_nonsense(nonsense: Any, caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange([get("/bad"), GET], lambda request: nonsense if request.path == "/bad" else text("fine"))
    bad, fine = exchange.answers()
    assert (bad.status, fine.status) == (500, 200)
    assert "GET /bad HTTP/1.1" in caplog.text


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_500_in_the_place_of_an_answer_without_content_has_its_own(status: int, method: str) -> None:
    site = gives(lambda: Response(b"", status, [("X", "a\nb")]))
    first, second = Exchange([get(method=method) + GET], site).answers(method)
    assert (first.status, second.status) == (500, 500)
    assert len(second.body) == int(second["content-length"]) > 0
    assert len(first.body) == (0 if method == "HEAD" else len(second.body))


def test_content_that_may_change_is_taken_as_it_is() -> None:
    """A bytearray or a memoryview is what io gives; it is as good as bytes."""
    for body in (bytearray(b"abc"), memoryview(b"abc")):
        [answer] = Exchange([GET], gives(Response(body))).answers()  # type: ignore[arg-type]
        assert (answer.body, answer["content-length"]) == (b"abc", "3")


def test_an_error_whose_detail_is_no_text_keeps_its_status() -> None:
    """A path that is not UTF-8 holds lone surrogates, which a page shows as "?": no client makes a 404 a 500."""

    def site(request: Request) -> Response:
        raise HTTPError(404, f"no {request.path}")

    answers = Exchange([get("/%FF") + get("/x")], site).answers()
    assert [answer.status for answer in answers] == [404, 404]
    assert b"no /?" in answers[0].body


def test_an_error_of_an_unknown_status_keeps_its_number() -> None:
    def site(request: Request) -> Response:
        raise HTTPError(499)

    [answer] = Exchange([GET], site).answers()
    assert answer.status == 499


def test_a_response_may_be_returned_again() -> None:
    page = html("<p>one</p>")
    exchange = Exchange([GET, get(method="HEAD"), GET], gives(page))
    assert [answer.status for answer in exchange.answers("GET", "HEAD", "GET")] == [200] * 3
    assert exchange.answers("GET", "HEAD", "GET")[2].body == b"<p>one</p>"


def test_json_is_sent_as_utf_8() -> None:
    [answer] = Exchange([GET], gives(json({"a": "ü"}))).answers()
    assert answer.body.decode() == '{"a": "ü"}'


# ---- the connection's own faults


def test_a_reset_while_reading_closes() -> None:
    exchange = Exchange([b"GET / HT", RESET])
    assert exchange.closed
    assert exchange.output == b""


def test_an_unknown_error_while_reading_is_logged_and_cuts(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange([OSError(5, "odd")])
    assert exchange.reset
    assert "odd" in caplog.text
    assert "192.0.2.1" in caplog.text


def test_a_socket_that_takes_no_options_is_closed_all_the_same() -> None:
    exchange = Exchange()

    def refuses(*args: Any) -> None:
        raise OSError(22, "no")

    exchange.sock.setsockopt = refuses  # type: ignore[method-assign]
    exchange.handler.cut()
    assert exchange.closed


def test_a_socket_that_fails_to_close_is_counted_as_closed(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange()
    close = exchange.sock.close

    def fails() -> None:
        close()
        raise OSError(5, "close failed")

    exchange.sock.close = fails  # type: ignore[method-assign]
    exchange.feed(EOF)
    assert exchange.closed
    assert "close failed" in caplog.text


def test_a_client_that_has_finished_sending_gets_its_answers() -> None:
    exchange = Exchange([GET + GET, EOF], takes=[3] * 500)
    assert [answer.status for answer in exchange.answers()] == [200, 200]
    assert exchange.closed
    assert not exchange.sock.reset


def test_the_sessions_are_the_site_owner_s() -> None:
    sessions: dict[str, int] = {"a": 1}
    exchange = Exchange()
    handler = StrictHandler(exchange.sock, ("::1", 1, 0, 0), sessions, exchange.log, exchange.service, map={})
    assert handler.sessions is sessions
    assert handler.peer == "::1"
    handler.close()


# ---- time

PATIENT = Limits(
    header_time=10, body_time=10, body_rate=100, idle_time=30, stall_time=10, stall_rate=100, linger_pause=3,
    linger_time=9,
)  # fmt: skip


def test_an_idle_connection_is_closed_silently() -> None:
    exchange = Exchange(limits=PATIENT).wait(29)
    assert not exchange.closed
    assert exchange.wait(1).closed
    assert exchange.output == b""
    assert not exchange.sock.reset


def test_idle_time_begins_anew_after_each_answer() -> None:
    exchange = Exchange(limits=PATIENT)
    for _ in range(5):
        exchange.wait(20).feed(GET)
    assert len(exchange.answers()) == 5
    assert not exchange.wait(29).closed
    assert exchange.wait(1).closed


@pytest.mark.parametrize("start", [b"", GET, b"\r\n\r\n"])
def test_a_head_has_its_time_in_all_however_it_drips(start: bytes) -> None:
    exchange = Exchange([start] if start else [], limits=PATIENT).wait(5)
    before = exchange.output
    for _ in range(9):
        exchange.feed(b"G").wait(1)
        assert exchange.output == before
    exchange.feed(b"G").wait(1)
    [*_, answer] = exchange.answers()
    assert (answer.status, answer.keeps_alive) == (408, False)
    assert exchange.said_end
    assert exchange.log.entries[-1][:2] == ("GGGGGGGGGG", 408)


def test_a_slow_head_that_ends_in_time_is_answered() -> None:
    exchange = Exchange(limits=PATIENT)
    for piece in (b"GET / HT", b"TP/1.1\r\n", b"Host: a", b"\r\n\r\n"):
        exchange.feed(piece).wait(3)
    assert [answer.status for answer in exchange.answers()] == [200]


def test_a_body_has_to_come_at_a_rate() -> None:
    exchange = Exchange([post(bytes(10_000), "Accept: text/plain")[:-10_000]], limits=PATIENT)
    for _ in range(20):
        # 10 bytes a second are a tenth of what is asked for.
        exchange.feed(bytes(10)).wait(1)
        if exchange.state is LINGER:
            break
    assert 10 <= exchange.clock.now <= 12
    [answer] = exchange.answers("POST")
    assert (answer.status, answer["Content-Type"]) == (408, "text/plain; charset=utf-8")
    assert exchange.log.entries[0][:2] == ("POST / HTTP/1.1", 408)


def test_bytes_that_came_early_buy_no_time_to_be_idle_later() -> None:
    exchange = Exchange([post(bytes(10_000))[:-10]], limits=PATIENT).wait(10)
    assert exchange.state is READ_BODY
    exchange.wait(10)
    assert exchange.answers("POST")[0].status == 408


def test_a_channel_that_fails_when_its_time_is_up_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    exchange = Exchange([b"GET"], limits=PATIENT)
    exchange.handler.refuse = None  # type: ignore[method-assign, assignment]
    assert exchange.wait(11).closed
    assert "failed in state" in caplog.text


def test_content_that_came_too_slowly_is_not_kept() -> None:
    exchange = Exchange([post(bytes(10_000))[:-9_900]], limits=PATIENT).wait(10)
    assert exchange.state is LINGER
    assert not exchange.handler.incoming


def test_a_body_at_that_rate_has_all_the_time_it_needs() -> None:
    exchange = Exchange([post(bytes(10_000))[:-10_000]], echo, limits=PATIENT)
    for _ in range(100):
        exchange.feed(bytes(100)).wait(1)
    assert exchange.answers("POST")[0].status == 200


@pytest.mark.parametrize("room", [0, 100])
def test_a_client_that_takes_no_answer_is_cut(room: int) -> None:
    content = Given(*[b"x" * 1000] * 100)
    exchange = Exchange([GET], gives(lambda: Response(content, length=100_000)), limits=PATIENT, room=room).wait(19)
    assert not exchange.closed
    exchange.wait(2)
    assert exchange.reset
    assert content.closes == 1
    assert exchange.log.entries[0][1] == 200


def test_a_client_that_takes_at_the_rate_gets_all() -> None:
    exchange = Exchange([GET], gives(Response(bytes(5_000))), limits=PATIENT, room=0)
    for _ in range(60):
        exchange.take(100).wait(1)
    assert len(exchange.answers()[0].body) == 5_000


def test_what_the_kernel_took_buys_a_client_no_time() -> None:
    exchange = Exchange([GET], gives(Response(bytes(1_000_000))), limits=PATIENT, room=900_000).wait(10)
    assert not exchange.closed
    assert exchange.wait(20).reset


def test_a_producer_that_has_nothing_yet_is_not_the_client_s_fault() -> None:
    content = Given(b"a", None, b"b")
    exchange = Exchange([GET], gives(lambda: Response(content, length=2)), limits=PATIENT).wait(1_000)
    assert exchange.state is SEND_RESPONSE
    exchange.handler.wake()
    assert exchange.answers()[0].body == b"ab"


def test_a_producer_that_works_for_long_is_not_the_client_s_fault() -> None:
    class Works(Given):
        def stalled(self, wake: Callable[[], object]) -> None:
            wake()

        def more(self) -> bytes | None:
            running[0].clock.now += 6
            running[0].timers.tick()
            running[0].timers.run_due()
            return super().more()

    content = Works(b"a", *[None] * 10, b"b")
    exchange = Exchange([], gives(lambda: Response(content, length=2)), limits=PATIENT)
    running = [exchange]
    assert exchange.feed(GET).answers()[0].body == b"ab"


def test_a_producer_that_wakes_buys_no_time_for_a_client_that_takes_nothing() -> None:
    content = Given(*[b"x" * 1000] * 100)
    exchange = Exchange([GET], gives(lambda: Response(content)), limits=PATIENT, room=100)
    for _ in range(50):
        exchange.wait(1).handler.wake()
    assert exchange.reset


@pytest.mark.parametrize("request_", [get("/", "Connection: close"), post(b"abc", version="1.0")])
def test_what_may_follow_a_last_request_takes_no_answer_away(request_: bytes) -> None:
    exchange = Exchange([request_], echo)
    assert exchange.said_end
    exchange.feed(b"\r\n", get("/"))
    assert len(exchange.answers(request_.partition(b" ")[0].decode())) == 1
    assert exchange.feed(EOF).closed
    assert not exchange.sock.reset


def test_lingering_ends_when_nothing_more_comes() -> None:
    exchange = Exchange([BAD], limits=PATIENT)
    exchange.feed(b"x" * 1000).wait(2)
    assert not exchange.closed
    assert exchange.wait(1).closed
    assert not exchange.sock.reset


def test_lingering_has_an_end_however_much_comes() -> None:
    exchange = Exchange([BAD], limits=PATIENT)
    for _ in range(8):
        exchange.feed(b"x" * 1000).wait(1)
    assert not exchange.closed
    assert exchange.feed(b"x").wait(1).closed


def test_a_request_of_http_0_9_is_refused_without_waiting_for_more() -> None:
    assert [answer.status for answer in Exchange([b"GET /x\r\n"]).answers()] == [400]


def test_content_in_many_small_pieces_is_not_kept_in_pieces() -> None:
    exchange = Exchange([post(bytes(10_000))[:-10_000]], echo)
    for _ in range(4_999):
        exchange.feed(b"ab")
        assert len(exchange.handler.incoming) <= 1_025
    exchange.feed(b"ab")
    assert exchange.answers("POST")[0].body == b"ab" * 5_000


def test_a_late_refusal_still_lingers_its_time() -> None:
    exchange = Exchange([BAD], room=0, limits=PATIENT).wait(5)
    exchange.take().wait(2)
    assert exchange.state is LINGER
    assert exchange.wait(1).closed


def test_a_request_costs_no_timer() -> None:
    exchange = Exchange()
    exchange.wait(1)
    made = exchange.timers._made
    for _ in range(100):
        exchange.feed(GET)
    assert exchange.timers._made == made
    assert len(exchange.timers) == 1


def test_a_connection_has_one_timer_and_leaves_none() -> None:
    exchange = Exchange([b"GET"], limits=PATIENT)
    for piece in (b" / HTTP/1.1\r\n", b"Host: a\r\n\r\n", post(b"abc")[:-1], b"c", BAD):
        exchange.feed(piece).wait(1)
        assert len(exchange.timers) == 1
    exchange.feed(EOF)
    assert exchange.closed
    assert len(exchange.timers) == 0


def test_a_stalled_producer_s_answer_lingers_on_time_after_it_wakes() -> None:
    exchange = Exchange([GET], gives(lambda: Response(Given(b"a", None))), limits=PATIENT).wait(5)
    exchange.handler.wake()
    assert exchange.state is LINGER
    assert exchange.wait(3).closed


# ---- what a refusal of the kernel leaves


def test_hello_is_small() -> None:
    assert hello(Request.__new__(Request)).status == 200


def test_shutting_is_of_the_sending_side_only() -> None:
    assert Exchange([BAD]).sock.shut == [socket.SHUT_WR]


def test_nothing_is_logged_to_the_server_s_log_by_good_requests(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Exchange([GET, post(b"abc"), BAD, EOF])
    assert caplog.records == []
