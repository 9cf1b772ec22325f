"""Content that a thread reads while it comes.

In the first half the thread is the test itself, on a scripted socket: it reads and answers where it likes.  In the
second half applications do, over real sockets.
"""

from __future__ import annotations

import hashlib
import io
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from httpd import HTTPError, Limits, Request, Response, Server, text
from httpd.net.producers import feed_producer
from httpd.net.wake import Full
from httpd.protocol.errors import Promised
from httpd.seeing.waiting import awaited
from httpd.server.handler import State
from httpd.site.inflow import Inflow
from httpd.site.uploads import WholeBody
from httpd.trace.laws import check
from httpd.trace.replay import check_cuts, cut, inbound, replay
from httpd.trace.tracing import Memory, Tracing
from httpd.wsgi import WSGI

from .exchange import EOF, RESET, Exchange, get, post, read_answers, read_to_end, serving, talk
from .kernel import resident, until
from .test_tls import client_context, server_context

TEXT = [("Content-Type", "text/plain")]
BOUND = 262_144
PIECE = Limits().piece


def content(size: int) -> bytes:
    """So many bytes, no two places the same for long."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


class Reading:
    """A site whose thread is the test: what it is asked, it reads and answers when the test does."""

    def __init__(self, *pieces: bytes | OSError, **options: Any) -> None:
        self.asked: list[Request] = []
        self.works: list[Promised] = []
        self.exchange = Exchange(pieces, self, call=self.turn, **{"streams": 1, **options})

    def __call__(self, request: Request) -> Response:
        if request.method == "GET":
            return text("next")
        answer = request.waited_for and request.waited_for.take()
        if answer is None:
            raise Promised(partial(self._work, request))
        return answer  # type: ignore[no-any-return]

    def check(self, request: Request) -> WholeBody:
        return WholeBody(1 << 30)

    def _work(self, request: Request, later: Promised) -> None:
        self.asked.append(request)
        self.works.append(later)

    def turn(self, function: Callable[..., object], *args: Any) -> None:
        """A call from the thread, and a turn of the loop."""
        function(*args)
        self.exchange.play()

    @property
    def file(self) -> Any:
        return self.asked[-1].files[""].file

    def answer(self, response: Response) -> None:
        self.works[-1].answer(response)
        self.exchange.play()

    @property
    def state(self) -> State:
        return self.exchange.state


def pieces_of(data: bytes, size: int = PIECE) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# ---- scripted: in


def test_the_site_is_asked_when_the_head_is_there_and_reads_what_comes() -> None:
    body = content(100_000)
    wire = post(body)
    site = Reading(wire[:-100_000])
    assert (len(site.asked), site.state, site.asked[0].body) == (1, State.READ_BODY, b"")
    site.exchange.feed(body[:10])
    assert site.file.read(4) == body[:4]
    assert site.file.read1(100) == body[4:10]
    site.exchange.feed(*pieces_of(body[10:]))
    assert (site.state, site.file.readline(), site.file.read()) == (State.HANDLE, body[10:16], body[16:])
    assert site.file.read() == site.file.readline() == b""
    site.answer(text("read"))
    assert [(each.body, each.keeps_alive) for each in site.exchange.answers("POST")] == [(b"read", True)]
    assert site.exchange.feed(get()).answers("POST")[1].body == b"next"
    assert [entry[1] for entry in site.exchange.log.entries] == [200, 200]
    assert (site.exchange.handler.requests, site.exchange.service.streaming) == (2, set())


def test_a_request_that_comes_behind_the_content_waits_for_its_answer() -> None:
    body = content(100_000)
    site = Reading(*pieces_of(post(body) + get()))
    assert (site.state, site.exchange.output) == (State.HANDLE, b"")
    assert site.file.read() == body
    site.answer(text("read"))
    assert [each.body for each in site.exchange.answers("POST")] == [b"read", b"next"]


def test_little_is_held_until_it_is_there() -> None:
    body = content(65_536)
    site = Reading(post(body)[:-1])
    assert (site.asked, site.state) == ([], State.READ_BODY)
    site.exchange.feed(body[-1:])
    assert (site.asked[0].body, site.state) == (body, State.HANDLE)


def test_no_more_is_received_than_a_bound_until_that_was_read() -> None:
    body = content(1_000_000)
    wire = pieces_of(post(body))
    site = Reading(*wire)
    waiting = site.exchange.sock.pieces
    received = [len(wire) - len(waiting)]
    assert BOUND <= received[0] * PIECE <= BOUND + 2 * PIECE
    assert not site.exchange.handler.readable()
    # The client may wait for as long as nobody reads.
    site.exchange.wait(1_000)
    got = site.file.read(received[0] * PIECE - 200)
    assert not site.exchange.handler.readable()
    while len(got) < len(body):
        got += site.file.read(10_000)
        assert len(wire) - len(waiting) - len(got) // PIECE < 20 + BOUND // PIECE
    assert (got, site.state) == (body, State.HANDLE)


@pytest.mark.parametrize("place", [1, 40, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 100, 70_000])
def test_where_it_is_cut_does_not_matter(place: int) -> None:
    body = content(80_000)
    outputs = set()
    for wire in (pieces_of(post(body) + get()), pieces_of(post(body)[:place]) + pieces_of(post(body)[place:] + get())):
        site = Reading(*wire)
        assert site.file.read() == body
        site.answer(text("read"))
        outputs.add(site.exchange.output)
    assert len(outputs) == 1


def test_the_content_of_a_get_is_read_whole_and_the_connection_stays_in_step() -> None:
    body = content(100_000)
    wire = get("/", "Content-Length: 100000") + body + get("/", "Connection: close")
    exchange = Exchange(pieces_of(wire), WSGI(deaf), streams=1)
    assert [(each.status, each.keeps_alive) for each in exchange.answers()] == [(403, True), (403, False)]


def test_whom_the_channel_waits_for_is_told() -> None:
    site = Reading(*pieces_of(post(content(300_000)))[:2])
    assert awaited(site.exchange.handler) == "body_time"
    site.exchange.feed(*pieces_of(content(250_000)))
    assert awaited(site.exchange.handler) == ""
    site.answer(Response(feed_producer()))
    assert awaited(site.exchange.handler) == ""
    site.file.read(BOUND)
    site.turn(site.exchange.handler.content_wanted)
    assert awaited(site.exchange.handler) == "body_time"


# ---- scripted: out


def test_an_answer_may_begin_before_the_content_has_ended() -> None:
    body = content(100_000)
    site = Reading(*pieces_of(post(body)[:-50_000]))
    feed = feed_producer()
    read = site.file.read(1_000)
    feed.put(read)
    site.answer(Response(feed, length=100_000))
    assert (site.state, site.exchange.output.endswith(read)) == (State.SEND_RESPONSE, True)
    site.exchange.feed(*pieces_of(body[50_000:]))
    read += site.file.read()
    feed.put(read[1_000:])
    feed.finish()
    site.exchange.play()
    [answer] = site.exchange.answers("POST")
    assert (answer.body, read, answer.keeps_alive, site.state) == (body, body, False, State.LINGER)


def test_what_was_not_read_when_the_answer_is_sent_is_read_and_dropped() -> None:
    body = content(2_000_000)
    wire = pieces_of(post(body))
    site = Reading(*wire)
    assert site.exchange.sock.pieces
    site.answer(text("no, thanks", 403))
    [answer] = site.exchange.answers("POST")
    assert (answer.status, answer.keeps_alive, site.state) == (403, False, State.LINGER)
    assert not site.exchange.sock.pieces
    assert site.exchange.feed(EOF).closed
    with pytest.raises(ConnectionAbortedError):
        site.file.read()


def test_without_a_thread_that_is_free_it_is_refused() -> None:
    def full(work: Any, then: Any) -> None:
        raise Full

    exchange = Exchange([post(content(100_000))[:1_000]], WSGI(deaf), pool=full, streams=1)
    [answer] = exchange.answers("POST")
    assert (answer.status, answer["retry-after"], answer.keeps_alive) == (503, "1", False)
    assert exchange.service.streaming == set()


def test_a_site_that_answers_by_itself_needs_no_content() -> None:
    class Refusing(Reading):
        def __call__(self, request: Request) -> Response:
            raise HTTPError(403)

    exchange = Refusing(*pieces_of(post(content(100_000)))).exchange
    [answer] = exchange.answers("POST")
    assert (answer.status, answer.keeps_alive, exchange.state) == (403, False, State.LINGER)


def test_who_reads_in_the_loop_is_told_and_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    class InTheLoop(Reading):
        def __call__(self, request: Request) -> Response:
            return text(str(len(request.files[""].file.read())))

    exchange = InTheLoop(*pieces_of(post(content(100_000)))).exchange
    [answer] = exchange.answers("POST")
    assert (answer.status, answer.keeps_alive, exchange.state) == (500, False, State.LINGER)
    assert "let the handler be @blocking" in caplog.text


# ---- scripted: Expect


def expecting(size: int) -> bytes:
    return get("/", f"Content-Length: {size}", "Expect: 100-continue", method="POST")


@pytest.mark.parametrize("comes_along", [False, True])
def test_a_100_is_sent_when_the_content_is_first_read(comes_along: bool) -> None:
    body = content(100_000)
    rest = pieces_of(body)
    site = Reading(expecting(100_000), *(rest if comes_along else ()))
    assert (len(site.asked), site.exchange.output) == (1, b"")
    site.exchange.wait(1_000)
    assert site.state is State.READ_BODY
    site.exchange.sock.pieces.extend(() if comes_along else rest)
    assert site.file.read() == body
    assert site.exchange.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    site.answer(text("read"))
    [answer] = site.exchange.answers("POST")
    assert (answer.status, answer.interim, answer.keeps_alive) == (200, [100], True)


def test_who_is_not_read_gets_no_100() -> None:
    site = Reading(expecting(100_000))
    site.answer(text("no", 403))
    [answer] = site.exchange.answers("POST")
    assert (answer.status, answer.interim, answer.keeps_alive) == (403, [], False)
    assert site.exchange.feed(EOF).closed


# ---- scripted: time, and the end


@pytest.mark.parametrize("end", [EOF, RESET])
def test_who_reads_is_told_that_the_client_has_gone(end: OSError) -> None:
    site = Reading(post(content(100_000))[:1_000])
    site.file.read(10)
    assert site.exchange.feed(end).closed
    with pytest.raises(ConnectionAbortedError, match="the client has gone"):
        site.file.read()
    site.answer(text("to nobody"))
    assert (site.exchange.output, site.exchange.service.streaming) == (b"", set())


def test_so_it_is_in_the_midst_of_an_answer() -> None:
    site = Reading(post(content(100_000))[:1_000])
    feed = feed_producer()
    feed.put(b"begun")
    site.answer(Response(feed, length=10))
    site.exchange.feed(EOF)
    with pytest.raises(ConnectionAbortedError):
        site.file.read()
    # Who does not read goes on.
    feed.put(b"ended")
    feed.finish()
    assert site.exchange.answers("POST")[0].body == b"begunended"
    assert site.exchange.closed


def test_content_that_comes_too_slowly_is_a_408() -> None:
    site = Reading(post(content(100_000))[:2_000])
    for _ in range(60):
        site.exchange.feed(b"x").wait(1)
    [answer] = site.exchange.answers("POST")
    assert (answer.status, answer.keeps_alive) == (408, False)
    assert site.exchange.handler.requests == 1
    with pytest.raises(ConnectionAbortedError):
        site.file.read()
    site.answer(text("too late"))
    assert len(site.exchange.answers("POST")) == 1


def test_content_that_keeps_its_rate_may_take_long() -> None:
    site = Reading(post(content(100_000))[:-100_000])
    for _ in range(100):
        site.exchange.feed(b"x" * 1_000).wait(1)
    assert len(site.file.read()) == 100_000


@pytest.mark.parametrize(("rate", "goes_on"), [(1, False), (1_000, True)])
def test_its_rate_counts_in_the_midst_of_an_answer(rate: int, goes_on: bool) -> None:
    """Though every byte is answered at once: no thread is held by a client who sends one now and then."""
    site = Reading(post(content(1_000_000))[:1_000])
    feed = feed_producer()
    site.answer(Response(feed))
    for _ in range(70):
        site.exchange.feed(b"x" * rate).wait(1)
        if not site.exchange.closed:
            feed.put(site.file.read1())
            site.exchange.play()
    assert site.exchange.closed is not goes_on
    assert not goes_on or site.state is State.SEND_RESPONSE


def test_an_answer_may_wait_while_nobody_reads() -> None:
    site = Reading(*pieces_of(post(content(1_000_000))))
    feed = feed_producer()
    site.answer(Response(feed))
    site.exchange.wait(1_000)
    feed.put(b"at last")
    feed.finish()
    assert site.exchange.answers("POST")[0].body == b"at last"


def test_so_many_threads_wait_for_clients_and_for_others_content_goes_to_disk() -> None:
    body = content(100_000)
    first = Reading(post(body)[:1_000])
    second = Reading(*pieces_of(post(body))[:-1], streams=0)
    assert (len(first.asked), len(second.asked)) == (1, 0)
    second.exchange.feed(pieces_of(post(body))[-1])
    assert second.file.read() == body
    service = first.exchange.service
    assert len(service.streaming) == service.streams == 1
    third = Exchange([], first)
    third.handler.service = service
    third.feed(post(body)[:1_000])
    assert third.feed(post(body)[1_000:]).state is State.HANDLE
    assert len(first.asked) == 2
    first.exchange.feed(EOF)
    assert not service.streaming


# ---- by itself


def test_lines_and_pieces_of_any_size() -> None:
    body = content(200_000)
    inflow = Inflow("", lambda: None)
    _, files = inflow.begin()
    for piece in pieces_of(body, 777):
        inflow.feed(piece)
    inflow.finish()
    file = files[""].file
    assert isinstance(file, io.BufferedReader)
    got = [file.readline(), file.readline(3), file.read(0), file.read(70_000), *file.readlines(100), *file]
    assert b"".join(got) == body
    assert got[:3] == [body[:8], body[8:11], b""]


def test_what_has_come_whole_is_there_also_when_the_client_has_gone() -> None:
    inflow = Inflow("", lambda: None)
    file = inflow.begin()[1][""].file
    inflow.feed(b"whole")
    inflow.finish()
    inflow.close()
    assert file.read() == b"whole"


# ---- recorded


def digest(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """What came, told by its hash."""
    found = hashlib.sha256()
    while piece := environ["wsgi.input"].read(10_000):
        found.update(piece)
    start_response("200 OK", [*TEXT, ("Content-Length", "64")])
    return [found.hexdigest().encode()]


def echo(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """What came, as it comes."""
    start_response("200 OK", TEXT)
    file = environ["wsgi.input"]
    yield from iter(lambda: file.read(10_000), b"")


def deaf(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answers at once, and reads nothing."""
    start_response("403 Forbidden", TEXT)
    return [b"no"]


@pytest.mark.parametrize("application", [digest, echo, deaf])
@pytest.mark.parametrize("fields", [(), ("Expect: 100-continue",)])
def test_a_recording_keeps_the_laws_and_can_be_played_again(application: Any, fields: tuple[str, ...]) -> None:
    memory = Memory()
    body = content(700_000)
    with serving(WSGI(application)) as server:
        Tracing(memory).attach(server)
        talk(server, post(body, "Connection: close", *fields))
    [trace] = memory.traces
    assert check(trace.events) == []
    assert replay(trace)[1] == []
    whole = inbound(trace.events)
    cuttings = [cut(whole, places) for places in ([10], [90, 100_000], range(0, len(whole), 5_000))]
    assert [broken for _, broken in check_cuts(trace, cuttings)] == [[], [], []]


# ---- over real sockets


@pytest.mark.parametrize("size", [65_537, 1_000_000, 5_000_000])
@pytest.mark.parametrize("fields", [(), ("Expect: 100-continue",)])
def test_content_comes_to_the_application_whole(size: int, fields: tuple[str, ...]) -> None:
    body = content(size)
    with serving(WSGI(validator(digest))) as server:
        wire = post(body, *fields) + post(body, "Connection: close")
        answers = read_answers(talk(server, wire), ["POST", "POST"])
    assert [each.body.decode() for each in answers] == [hashlib.sha256(body).hexdigest()] * 2
    assert [each.keeps_alive for each in answers] == [True, False]


@pytest.mark.parametrize("tls", [None, server_context])
def test_an_application_answers_what_it_reads_while_the_rest_is_not_sent_yet(tls: Any) -> None:
    """Turn about: each piece is sent when the one before it has come back."""
    body = content(100_000)
    with serving(WSGI(validator(turn_about)), tls=tls and tls()) as server, connected(server, tls) as sock:
        sock.sendall(post(body)[:-100_000])
        got = b""
        for piece in pieces_of(body, 10_000):
            sock.sendall(piece)
            while not got.endswith(piece):
                got += sock.recv(65_536)
        assert read_answers(got + read_to_end(sock), ["POST"])[0].body == body


def connected(server: Server, tls: Any = None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), 10)
    return client_context().wrap_socket(sock, server_hostname="localhost") if tls else sock


def turn_about(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """What came, ten thousand bytes at a time."""
    start_response("200 OK", TEXT)
    while piece := environ["wsgi.input"].read(10_000):
        yield piece


def test_one_that_answers_at_once_and_reads_nothing() -> None:
    with serving(WSGI(deaf)) as server:
        [answer] = read_answers(talk(server, post(bytes(30_000_000))), ["POST"])
    assert (answer.status, answer.body, answer.keeps_alive) == (403, b"no", False)


def test_a_thread_is_told_of_a_client_that_goes_and_nobody_is_troubled(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    with serving(WSGI(partial(waits_for_all, told))) as server:
        with connected(server) as sock:
            sock.sendall(post(content(100_000))[:70_000])
            assert until(lambda: told == ["reads"])
        assert until(lambda: told == ["reads", "ConnectionAbortedError"])
    assert not caplog.text


def waits_for_all(told: list[str], environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Reads all at once, and tells of it."""
    told.append("reads")
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        told.append(type(error).__name__)
        raise
    return []


def test_slow_clients_leave_threads_to_others() -> None:
    """As many as there are threads send a little and then nothing: who sends all is answered all the same."""
    body = content(100_000)
    with serving(WSGI(digest), limits=Limits(threads=2)) as server:
        slow = [connected(server) for _ in range(4)]
        try:
            for sock in slow:
                sock.sendall(post(body)[:70_000])
            assert until(lambda: len(server.service.streaming) == 1)
            [answer] = read_answers(talk(server, post(body, "Connection: close")), ["POST"])
            assert answer.body.decode() == hashlib.sha256(body).hexdigest()
            for sock in slow:
                sock.sendall(post(body)[70_000:])
                assert sock.recv(12) == b"HTTP/1.0 200"
        finally:
            for sock in slow:
                sock.close()


def test_a_server_that_closes_ends_what_waits_for_content() -> None:
    told: list[str] = []
    with serving(WSGI(partial(waits_for_all, told))) as server:
        sock = connected(server)
        sock.sendall(post(content(100_000))[:70_000])
        assert until(lambda: told == ["reads"])
    assert told == ["reads", "ConnectionAbortedError"]
    sock.close()


APPLICATIONS = """
def digests(environ, start_response):
    size = 0
    while piece := environ['wsgi.input'].read(65536):
        size += len(piece)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(size).encode()]

def deaf(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'deaf']

def echoes(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return iter(lambda: environ['wsgi.input'].read(65536), b'')
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digests", "deaf", "echoes"])
def test_memory_stays_flat_for_a_gibibyte(tmp_path: Path, name: str) -> None:
    """Through a server of its own, whose memory grows by little."""
    from .live import LiveServer
    from .tools import TOP

    (tmp_path / "apps.py").write_text(APPLICATIONS)
    size = 1 << 30
    env = {"PYTHONPATH": f"{tmp_path}:{TOP}"}
    with LiveServer(f"apps:{name}", command=[sys.executable, "-m", "httpd", "--wsgi"], env=env, cwd=tmp_path) as server:
        send(server.port, 1 << 20)
        before = resident(server.pid, "VmHWM")
        answer = send(server.port, size)
        assert answer == {"digests": len(str(size)), "deaf": 4, "echoes": size}[name]
        assert resident(server.pid, "VmHWM") - before < 10 << 20


def send(port: int, size: int) -> int:
    """How long the content is that is answered to so many bytes."""
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sender = threading.Thread(target=_send, args=(sock, size))
        sender.start()
        got = length = 0
        while piece := sock.recv(1 << 20):
            if not got:
                length -= piece.index(b"\r\n\r\n") + 4
            got += len(piece)
        sender.join()
    return got + length


def _send(sock: socket.socket, size: int) -> None:
    piece = bytes(1 << 20)
    sock.sendall(f"POST / HTTP/1.0\r\nContent-Length: {size}\r\n\r\n".encode())
    for _ in range(size >> 20):
        sock.sendall(piece)
