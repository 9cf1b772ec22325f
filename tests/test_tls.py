"""The server over TLS: cut anywhere, broken anywhere, and as real clients find it."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import logging
import math
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from httpd import Limits, Request, Response, Server, StaticFiles, http_request_handler
from httpd.net import asyncore
from httpd.net import tls as tls_module
from httpd.net.channel_map import ChannelMap
from httpd.net.hello import INTERNAL_ERROR, NO_APPLICATION_PROTOCOL, fatal_alert, offered_protocols
from httpd.net.interest import interests_of
from httpd.net.tls import TlsChat, TlsSocket
from httpd.server.handler import State
from httpd.server.secure import over_tls, tls_request_handler, tls_socket
from httpd.trace.laws import check
from httpd.trace.replay import check_cuts, cut, inbound, replay
from httpd.trace.steps import traced
from httpd.trace.tracing import Memory, Tracing

from .chromium import chromium
from .exchange import (
    EOF,
    GET,
    RESET,
    Answer,
    Exchange,
    Given,
    StrictHandler,
    get,
    hello,
    post,
    read_answers,
    read_to_end,
    serving,
)
from .live import LiveServer
from .scripted import one_by_one
from .test_later import Slow, Waiting
from .test_server import eventually
from .tools import needs, needs_module, open_descriptors

CLOSE = get("/", "Connection: close")


@cache
def server_context(newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """The server's, with a certificate of our own that lives as long as this process."""
    needs_module("cryptography")
    from httpd.certificates import self_signed

    context = self_signed([], Path(os.devnull, "nowhere")).context
    context.maximum_version = newest
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# ---- scripted


class Conversation(Exchange):
    """A handler over TLS on a scripted socket, and a client's engine that talks to it.

    `cut` says how the client's bytes are cut into pieces.
    """

    def __init__(
        self,
        site: Callable[[Request], Response] = hello,
        *,
        cut: Callable[[bytes], Iterable[bytes]] = lambda data: [data],
        context: ssl.SSLContext | None = None,
        shakes: bool = True,
        **more: Any,
    ) -> None:
        self.cut = cut
        self.heard = b""
        self.told_end = False
        self._input, self._output, self._given = ssl.MemoryBIO(), ssl.MemoryBIO(), 0
        self.client = client_context().wrap_bio(self._input, self._output, server_hostname="localhost")
        context = context or server_context()
        handler_class: Any = more.pop("handler_class", over_tls(StrictHandler))
        super().__init__(site=site, wrap=lambda sock: tls_socket(sock, context), handler_class=handler_class, **more)
        if shakes:
            self.shake()

    def shake(self) -> None:
        """Both ends take the handshake to its end."""
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.carry()

    def say(self, *data: bytes) -> Conversation:
        """The client sends these, each in records of its own, and takes what is answered."""
        for piece in data:
            for at in range(0, len(piece), 1 << 14):
                self.client.write(piece[at : at + (1 << 14)])
        return self.carry()

    def carry(self) -> Conversation:
        """Bring the client's bytes to the server, and the server's to the client."""
        self.feed(*[piece for piece in self.cut(self._output.read()) if piece])
        return self.hear()

    def hear(self) -> Conversation:
        self._input.write(bytes(self.sock.sent[self._given :]))
        self._given = len(self.sock.sent)
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while data := self.client.read(1 << 16):
                self.heard += data
            self.told_end = True
        return self

    @property
    def output(self) -> bytes:
        return self.heard


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("newest", [V12, V13])
def test_a_request_and_its_answer(newest: ssl.TLSVersion) -> None:
    talk = Conversation(context=server_context(newest)).say(GET)
    [answer] = talk.answers()
    assert (answer.status, answer.body, answer.keeps_alive) == (200, b"hello", True)
    assert talk.say(CLOSE).answers()[1].body == b"hello"
    assert talk.told_end
    assert talk.said_end
    assert talk.feed(EOF).closed
    assert talk.log.entries == [("GET / HTTP/1.1", 200, 5)] * 2


@pytest.mark.parametrize("newest", [V12, V13])
def test_every_byte_alone(newest: ssl.TLSVersion) -> None:
    talk = Conversation(cut=one_by_one, context=server_context(newest)).say(post(b"0123456789") + CLOSE)
    assert [answer.status for answer in talk.answers("POST", "GET")] == [200, 200]


@pytest.mark.parametrize("newest", [V12, V13])
def test_the_cut_does_not_matter(newest: ssl.TLSVersion) -> None:
    """Each flight of the client in two pieces, cut at every place."""

    def echo(request: Request) -> Response:
        return Response(request.body)

    for at in (*range(1, 30), *range(30, 700, 11)):
        talk = Conversation(echo, cut=lambda data, at=at: [data[:at], data[at:]], context=server_context(newest)).say(
            post(b"0123456789" * 50)
        )
        assert [answer.body for answer in talk.answers("POST")] == [b"0123456789" * 50]


@pytest.mark.parametrize("room", [1, 7, 1_000])
def test_a_kernel_that_takes_little(room: int) -> None:
    """Of the handshake and of the answer alike; and the answer is logged when it is sent, not before."""
    talk = Conversation(shakes=False, room=0)
    for _ in range(5):
        with contextlib.suppress(ssl.SSLWantReadError):
            talk.client.do_handshake()
        talk.carry()
        while talk.handler.writable():
            assert not talk.log.entries
            talk.take(room).hear()
    talk.say(GET)
    while talk.handler.writable():
        assert not talk.log.entries
        talk.take(room).hear()
    assert talk.answers()[0].body == b"hello"
    assert talk.log.entries == [("GET / HTTP/1.1", 200, 5)]


def test_many_requests_in_one_record_and_many_records_in_one_piece() -> None:
    talk = Conversation().say(GET * 50)
    assert len(talk.answers()) == 50
    talk.say(*[GET] * 50)
    assert len(talk.answers()) == 100


def test_what_is_decrypted_does_not_wait_for_the_kernel() -> None:
    """The client sends ahead, in records of their own, while it takes nothing; then it takes, and sends no more."""
    talk = Conversation(lambda request: Response(bytes(100_000)), room=1 << 20)
    talk.say(*[GET] * 30)
    while talk.sock.pieces or talk.handler.writable():
        before = talk.sock.room
        talk.take(50_000).hear()
        assert before == 0
    assert [len(answer.body) for answer in talk.answers()] == [100_000] * 30


def test_content_of_many_records() -> None:
    content = os.urandom(900_000)
    talk = Conversation(lambda request: Response(request.body)).say(post(content))
    assert talk.answers("POST")[0].body == content


@pytest.mark.parametrize("size", [0, 1, 1 << 14, (1 << 14) + 1, 65_536, 300_000])
def test_content_of_every_size(size: int) -> None:
    content = os.urandom(size)
    assert Conversation(lambda request: Response(content)).say(GET).answers()[0].body == content


def test_a_file_goes_with_its_head_in_one_packet(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "big").write_bytes(content)
    talk = Conversation(StaticFiles(tmp_path))
    before = len(talk.sock.sends)
    talk.say(get("/big"))
    assert talk.answers()[0].body == content
    assert talk.sock.sends[before] > 60_000


def test_a_slow_client_that_goes_on_taking_is_not_cut_off() -> None:
    """An answer is told as sent in large pieces; what counts is every byte that is taken."""
    talk = Conversation(lambda request: Response(bytes(200_000)), room=10_000)
    talk.say(GET)
    for _ in range(15):
        talk.take(6_000).wait(10)
    assert talk.state is State.SEND_RESPONSE
    talk.wait(60)
    assert talk.reset


def test_a_producer_that_has_nothing_yet() -> None:
    content = Given(b"abc", None, b"def")
    talk = Conversation(lambda request: Response(content, length=6)).say(GET)
    assert talk.heard.endswith(b"\r\n\r\nabc")
    talk.handler.wake()
    assert talk.hear().answers()[0].body == b"abcdef"


def test_what_is_decrypted_is_read_also_where_an_answer_comes_out_of_a_thread() -> None:
    """Then there is no event at whose end it would be looked for."""
    waiting = Waiting()
    talk = Conversation(Slow(), beside=waiting)
    talk.client.write(GET)
    talk.client.write(GET)
    # Both records in one piece.
    talk.carry()
    assert talk.heard == b""
    waiting.let()
    talk.timers.run_due()
    assert len(talk.hear().answers()) == 2


def test_a_wait_for_a_thread_may_end_after_the_client_has_left() -> None:
    waiting = Waiting()
    talk = Conversation(Slow(), beside=waiting).say(GET)
    talk.handler.close()
    waiting.let()
    talk.timers.run_due()
    assert talk.closed


# ---- any protocol


class Lines(TlsChat):
    """Greets, and sends each line back."""

    def __init__(self, sock: Any, map: dict[int, Any]) -> None:
        TlsChat.__init__(self, interests_of(map).timers, map)
        self.set_terminator(b"\n")
        self.set_socket(sock)
        self.connected = True
        self.push(b"hello\n")
        self.watch()

    collect_incoming_data = TlsChat._collect_incoming_data

    def found_terminator(self) -> None:
        self.push(self._get_data() + b"\n")

    def patience(self) -> float:
        return super().patience() if not self.socket.established else math.inf


@pytest.mark.parametrize("speaks", [True, False])
def test_a_protocol_in_which_the_server_speaks_first(speaks: bool) -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    channels = ChannelMap()
    Lines(TlsSocket(theirs, server_context()), channels)
    heard = []

    def client() -> None:
        with ours:
            if not speaks:
                ours.sendall(b"hello\n")
                heard.append(ours.recv(100))
                return
            with client_context().wrap_socket(ours) as sock:
                for line in (b"", b"one\n", b"x" * 100_000 + b"\n"):
                    sock.sendall(line)
                    heard.append(b"")
                    while not heard[-1].endswith(b"\n"):
                        heard[-1] += sock.recv(65_536)

    thread = threading.Thread(target=client)
    thread.start()
    asyncore.loop(5, map=channels)
    thread.join()
    assert heard == ([b"hello\n", b"one\n", b"x" * 100_000 + b"\n"] if speaks else [b""])


def test_a_socket_has_what_a_channel_may_ask_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    sock = TlsSocket(theirs, server_context())
    assert sock.fileno() == theirs.fileno()
    assert (sock.getpeername(), sock.getsockname()) == (ours.getsockname(), ours.getpeername())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    sock.close()
    assert ours.recv(1) == b""
    ours.close()


# ---- the end


def test_an_answer_that_ends_with_its_connection_is_seen_to_be_whole() -> None:
    talk = Conversation(lambda request: Response(Given(b"abc"))).say(get(version="1.0"))
    assert talk.heard.endswith(b"abc")
    assert talk.told_end
    assert talk.state is State.LINGER
    assert talk.feed(EOF).closed


def test_an_answer_that_is_cut_is_seen_to_be_cut() -> None:
    talk = Conversation(lambda request: Response(Given(b"abc", ValueError("no more")))).say(get(version="1.0"))
    assert talk.heard.endswith(b"abc")
    assert not talk.told_end
    assert talk.reset


def test_a_client_that_says_its_end_gets_its_answer_first() -> None:
    talk = Conversation(lambda request: Response(bytes(100_000)), room=1 << 20)
    talk.client.write(GET)
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.unwrap()
    talk.feed(talk._output.read())
    assert len(bytes(talk.sock.sent)) > 100_000
    assert talk.closed


def test_a_client_that_just_leaves_gets_its_answer_first() -> None:
    talk = Conversation()
    talk.client.write(GET)
    talk.feed(talk._output.read(), EOF).hear()
    assert talk.answers()[0].body == b"hello"
    assert talk.closed
    assert talk.told_end


def test_an_end_that_is_not_said_in_tls_is_told_apart(caplog: pytest.LogCaptureFixture) -> None:
    """HTTP knows what is whole; but somebody else may have cut the connection (RFC 8446 §6.1)."""
    told = "the peer has left without saying so in TLS"
    with caplog.at_level(logging.DEBUG):
        said = Conversation().say(post(b"x" * 100)[:-10])
        with contextlib.suppress(ssl.SSLWantReadError):
            said.client.unwrap()
        assert said.carry().closed
        assert told not in caplog.text
        assert Conversation().say(post(b"x" * 100)[:-10]).feed(EOF).closed
        assert told in caplog.text


def test_half_a_request_is_none() -> None:
    talk = Conversation()
    talk.client.write(GET[:-1])
    talk.feed(talk._output.read(), EOF).hear()
    assert talk.heard == b""
    assert talk.closed


def test_what_the_client_still_sends_does_not_spoil_the_end() -> None:
    """The engine fails if it finds content after it has said its end."""
    talk = Conversation(limits=Limits(body=10))
    talk.client.write(post(bytes(1_000)))
    talk.client.write(bytes(10_000))
    talk.carry()
    assert talk.answers("POST")[0].status == 413
    assert talk.told_end
    for _ in range(100):
        talk.say(bytes(1_000))
    assert talk.state is State.LINGER
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.unwrap()
    assert talk.carry().closed


def test_an_idle_connection_is_closed_with_its_end() -> None:
    talk = Conversation().say(GET)
    talk.wait(Limits().idle_time + 1).hear()
    assert talk.closed
    assert talk.told_end


def test_the_end_waits_for_room_like_everything_else() -> None:
    talk = Conversation(room=1 << 20)
    talk.sock.room = 30
    talk.say(CLOSE)
    assert not talk.said_end
    talk.take(200).hear()
    assert talk.answers()[0].body == b"hello"
    talk.take(1 << 20).hear()
    assert talk.told_end
    assert talk.said_end


# ---- what goes wrong


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What happens is told at the level of debug, and nowhere else."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    told = caplog.get_records("call")
    assert {record.levelname for record in told} <= {"DEBUG"}
    assert not any(record.exc_info for record in told)


def test_a_handshake_has_its_time(quiet: pytest.LogCaptureFixture) -> None:
    talk = Conversation(shakes=False)
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.do_handshake()
    hello = talk._output.read()
    for at in range(9):
        talk.feed(hello[at : at + 1]).wait(1)
    assert not talk.closed
    talk.wait(2)
    assert talk.closed
    assert "takes too long" in quiet.text


def test_a_client_that_says_nothing_has_no_more_time() -> None:
    talk = Conversation(shakes=False)
    talk.wait(Limits().handshake_time - 1)
    assert not talk.closed
    assert talk.wait(2).closed
    assert talk.sock.sent == b""


def test_the_time_of_the_handshake_is_over_with_it() -> None:
    talk = Conversation()
    assert not talk.wait(Limits().handshake_time * 2).closed
    assert talk.say(GET).answers()[0].status == 200


@pytest.mark.parametrize("end", [EOF, RESET])
@pytest.mark.parametrize("count", [0, 1, 5, 100, None])
def test_a_client_that_leaves_in_the_midst_of_the_handshake(
    end: Any, count: int | None, quiet: pytest.LogCaptureFixture
) -> None:
    talk = Conversation(shakes=False)
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.do_handshake()
    hello = talk._output.read()[:count]
    assert talk.feed(*[hello] * bool(hello), end).closed
    assert talk.log.entries == []
    assert quiet.records


def test_a_client_that_is_too_old_gets_an_alert(quiet: pytest.LogCaptureFixture) -> None:
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.minimum_version = V13
    talk = Conversation(shakes=False, context=strict)
    old = client_context()
    old.maximum_version = V12
    talk.client = old.wrap_bio(talk._input, talk._output)
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        talk.shake()
    assert talk.closed


def test_a_client_that_does_not_trust_the_certificate(quiet: pytest.LogCaptureFixture) -> None:
    talk = Conversation(shakes=False)
    talk.client = ssl.create_default_context().wrap_bio(talk._input, talk._output, server_hostname="localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        talk.shake()
    # Its alert comes when the server may think the handshake done already.
    assert talk.feed(talk._output.read()).closed


@pytest.mark.parametrize("at", [0, 3, 5, 20, -1])
def test_bytes_that_were_changed_on_their_way(at: int, quiet: pytest.LogCaptureFixture) -> None:
    talk = Conversation()
    talk.client.write(GET)
    record = bytearray(talk._output.read())
    record[at] ^= 0x40
    talk.feed(bytes(record), EOF)
    assert talk.closed
    assert talk.log.entries == []


def test_after_the_engine_has_failed_nothing_goes_out() -> None:
    talk = Conversation(lambda request: Response(bytes(1_000_000)), room=1_000)
    talk.say(GET)
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.handler.socket._engine.unwrap()
    talk.take()
    assert talk.closed


def test_a_peer_that_takes_nothing_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading may make answers, to key updates, and they must not pile up."""
    talk = Conversation(lambda request: Response(bytes(100_000)), room=1_000)
    talk.say(GET)
    monkeypatch.setattr(tls_module, "_MOST_UNSENT", 1_000)
    talk.handler.resume_input()
    assert not talk.handler.readable()
    talk.take()
    assert talk.handler.readable()


def test_a_peer_that_is_gone_when_the_rest_of_a_record_is_sent() -> None:
    talk = Conversation(lambda request: Response(bytes(100_000)), room=1_000)
    talk.say(GET)
    talk.sock.takes.append(RESET)
    assert talk.take().closed


def test_who_closes_before_what_is_decrypted_is_looked_at() -> None:
    talk = Conversation(lambda request: Response(bytes(100_000)), room=1_000)
    talk.say(GET, GET)
    talk.handler.resume_input()
    talk.handler.watch()
    talk.handler.close()
    assert talk.wait(1).closed
    assert len(talk.log.entries) == 1


def test_a_stopping_server_waits_for_no_handshake() -> None:
    talk = Conversation(shakes=False)
    talk.handler.finish()
    assert talk.closed


# ---- what is no TLS


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "g"])
@pytest.mark.parametrize("cut", [one_by_one, lambda data: [data]])
def test_plain_http_is_told_what_is_spoken_here(method: str, cut: Callable[[bytes], list[bytes]]) -> None:
    wire = get("/page", "Accept: text/plain", "Content-Length: 0", method=method)
    talk = Conversation(shakes=False).feed(*cut(wire))
    [answer] = read_answers(bytes(talk.sock.sent), [method])
    assert (answer.status, answer.keeps_alive) == (400, False)
    assert (b"https://" in answer.body) is (method != "HEAD")
    assert method == "HEAD" or answer["content-type"] == "text/plain; charset=utf-8"
    assert talk.said_end
    assert talk.feed(EOF).closed
    assert [(status, line) for line, status, _ in talk.log.entries] == [(400, f"{method} /page HTTP/1.1")]


def test_plain_http_of_any_length_is_refused_before_its_content() -> None:
    """Nobody is asked whether it is wanted."""

    class Site:
        def __call__(self, request: Request) -> Response:
            raise AssertionError

        check = __call__

    for length, status in ((10, 400), (1 << 30, 413)):
        head = get("/", f"Content-Length: {length}", "Expect: 100-continue", method="POST")
        talk = Conversation(site=Site(), shakes=False).feed(head)
        assert read_answers(bytes(talk.sock.sent), ["POST"])[0].status == status


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"GET /\r\n", b"EHLO a\r\n", b"a" * 9_000])
def test_anything_like_it_is_refused_for_what_it_is(data: bytes) -> None:
    talk = Conversation(shakes=False).feed(*one_by_one(data))
    assert read_answers(bytes(talk.sock.sent))[0].status in (400, 414)


@pytest.mark.parametrize("data", [b"\x80\x2e\x01\x03\x01", b"\0", b"\r\n", b"\xff" * 100])
def test_what_is_neither_is_not_answered(data: bytes) -> None:
    talk = Conversation(shakes=False).feed(data)
    assert talk.closed
    assert talk.sock.sent == b""


def test_a_hello_that_is_none_is_not_answered_in_http(quiet: pytest.LogCaptureFixture) -> None:
    talk = Conversation(shakes=False).feed(b"\x16\x03\x01\0\x05nonsense" + bytes(100))
    assert talk.closed
    assert b"HTTP" not in talk.sock.sent


# ---- what is offered


def offering(*protocols: str) -> Conversation:
    """The beginning of a conversation with a client that offers these protocols."""
    talk = Conversation(shakes=False)
    context = client_context()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    talk.client = context.wrap_bio(talk._input, talk._output, server_hostname="localhost")
    return talk


@pytest.mark.parametrize("cut", [one_by_one, lambda data: [data]])
@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("h2", "http/1.1"), ("http/1.0",)])
def test_what_is_offered_is_taken(protocols: tuple[str, ...], cut: Callable[[bytes], list[bytes]]) -> None:
    talk = offering(*protocols)
    talk.cut = cut
    talk.shake()
    assert talk.client.selected_alpn_protocol() == (protocols[-1] if protocols else None)
    assert talk.say(GET).answers()[0].status == 200


@pytest.mark.parametrize("cut", [one_by_one, lambda data: [data]])
@pytest.mark.parametrize("protocols", [("h2",), ("h3", "h2"), ("http/1.10",), ("x" * 255,) * 30])
def test_who_offers_nothing_that_is_spoken_here_is_refused(
    protocols: tuple[str, ...], cut: Callable[[bytes], list[bytes]], quiet: pytest.LogCaptureFixture
) -> None:
    talk = offering(*protocols)
    talk.cut = cut
    with pytest.raises(ssl.SSLError, match="no application protocol"):
        talk.shake()
    assert talk.closed
    assert "no protocol that is spoken here" in quiet.text


def test_a_hello_in_several_records_is_read() -> None:
    talk = offering("h2")
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.do_handshake()
    hello = talk._output.read()
    message = hello[5:]
    records = [message[at : at + 50] for at in range(0, len(message), 50)]
    talk.feed(*[hello[:3] + len(record).to_bytes(2, "big") + record for record in records])
    assert bytes(talk.sock.sent) == fatal_alert(NO_APPLICATION_PROTOCOL)
    assert talk.closed


def test_whatever_is_wrong_with_a_hello_is_the_engine_s_to_say() -> None:
    talk = offering("http/1.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.do_handshake()
    hello = talk._output.read()
    assert offered_protocols(hello) == [b"http/1.1"]
    for end in range(len(hello)):
        assert offered_protocols(hello[:end]) is None
    for at in range(len(hello)):
        for byte in (0, 255):
            changed = offered_protocols(hello[:at] + bytes([byte]) + hello[at + 1 :])
            assert changed is None or len(changed) < 300
    assert offered_protocols(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00") == []
    assert offered_protocols(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00") == []
    assert offered_protocols(b"\x17\x03\x01\x00\x00") == []
    endless = (b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + bytes((1 << 14) - 4)) * 20
    assert offered_protocols(endless) == []


# ---- what is recorded


class Recorded:
    """A conversation whose handler is recorded, and what came of it."""

    def __init__(self, talk: Callable[[Conversation], object], **more: Any) -> None:
        traces = Memory()
        tracing = Tracing(traces)
        handler_class: Any = over_tls(traced(StrictHandler, tracing.begin))
        self.talk = Conversation(shakes=False, handler_class=handler_class, **more)
        talk(self.talk)
        [self.trace] = traces.traces

    def broken(self) -> list[Any]:
        """The laws that it breaks by itself, played again, and cut elsewhere."""
        broken = check(self.trace.events)
        broken += replay(self.trace)[1]
        data = inbound(self.trace.events)
        for _, wrong in check_cuts(self.trace, [one_by_one(data), *(cut(data, [at]) for at in range(1, len(data), 7))]):
            broken += wrong
        return broken


def shaken(*data: bytes) -> Callable[[Conversation], object]:
    def talk(talk: Conversation) -> None:
        talk.shake()
        talk.say(*data)
        talk.feed(EOF)

    return talk


CONVERSATIONS: dict[str, Callable[[Conversation], object]] = {
    "requests": shaken(GET, GET, CLOSE),
    "content": shaken(post(b"content"), CLOSE),
    "a refusal": shaken(b"GET / HTTP/9.9\r\n\r\n"),
    "half a request": shaken(GET[:-3]),
    "plain HTTP": lambda talk: talk.feed(GET, EOF),
    "plain HTTP, byte by byte": lambda talk: talk.feed(*one_by_one(get("/page", method="POST")), EOF),
    "half of plain HTTP": lambda talk: talk.feed(GET[:5]).wait(60),
    "plain HTTP that is not even that": lambda talk: talk.feed(b"NONE\r\n", EOF),
    "garbage": lambda talk: talk.feed(b"\x80\x2e\x01\x03\x01"),
    "a hello that is none": lambda talk: talk.feed(b"\x16\x03\x01\0\x05nonsense" + bytes(100)),
    "nothing": lambda talk: talk.wait(60),
    "an end at once": lambda talk: talk.feed(EOF),
    "a reset at once": lambda talk: talk.feed(RESET),
    "a reset in the handshake": lambda talk: talk.feed(b"\x16\x03", RESET),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_what_is_recorded_can_be_played_again_and_cut(name: str) -> None:
    recorded = Recorded(CONVERSATIONS[name])
    assert recorded.talk.closed
    assert recorded.broken() == []


def test_plain_http_is_refused_again_when_it_is_cut() -> None:
    recorded = Recorded(CONVERSATIONS["plain HTTP"])
    for played, _ in check_cuts(recorded.trace, [one_by_one(GET)]):
        assert played.output.startswith(b"HTTP/1.0 400 ")
        assert b"https://" in played.output


# ---- over real sockets


@pytest.fixture
def secure() -> Iterator[Server]:
    with serving(tls=server_context()) as server:
        yield server


@contextlib.contextmanager
def connected(
    server: Server | LiveServer, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", server.port), 10)
    # What ends without TLS's own end raises.
    ours = context or client_context()
    with ours.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False, session=session) as sock:
        yield sock


def ask(server: Server | LiveServer, *wire: bytes) -> list[Answer]:
    with connected(server) as sock:
        for piece in wire:
            sock.sendall(piece)
        return read_answers(read_to_end(sock))


def test_it_says_https(secure: Server) -> None:
    assert secure.url == f"https://127.0.0.1:{secure.port}/"


def test_many_requests_on_one_connection(secure: Server) -> None:
    answers = ask(secure, *[GET] * 500, CLOSE)
    assert [answer.body for answer in answers] == [b"hello"] * 501


def test_the_protocols_are_modern(secure: Server) -> None:
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with connected(secure, context) as sock:
        assert (sock.version(), sock.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="no application protocol"), connected(secure, context):
        pass


def test_a_session_is_resumed(secure: Server) -> None:
    context = client_context()
    with connected(secure, context) as sock:
        sock.sendall(GET)
        sock.recv(65_536)
        session = sock.session
    with connected(secure, context, session) as sock:
        assert sock.session_reused
        sock.sendall(CLOSE)
        assert read_answers(read_to_end(sock))[0].body == b"hello"


def test_a_handshake_that_ends_while_a_server_makes_way_is_followed_by_a_request() -> None:
    with (
        serving(tls=server_context(), limits=Limits(reuse_time=1)) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as early,
    ):
        assert eventually(lambda: server._connections == 1)
        server.retire()
        time.sleep(0.6)
        with client_context().wrap_socket(early) as sock:
            time.sleep(0.7)
            sock.sendall(GET)
            [answer] = read_answers(read_to_end(sock))
            assert not answer.keeps_alive


def test_a_large_file_through_a_slow_reader(tmp_path: Path) -> None:
    content = os.urandom(64 << 20)
    (tmp_path / "big").write_bytes(content)
    with serving(StaticFiles(tmp_path), tls=server_context()) as server, connected(server) as sock:
        sock.sendall(get("/big", "Connection: close"))
        seen = hashlib.sha256()
        head, _, data = (sock.recv(16_384) + sock.recv(16_384)).partition(b"\r\n\r\n")
        assert b"Content-Length: 67108864" in head
        while data:
            seen.update(data)
            data = sock.recv(1 << 20)
    assert seen.hexdigest() == hashlib.sha256(content).hexdigest()


def test_a_file_that_changes_while_it_is_sent_is_cut(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 << 20))
    with serving(StaticFiles(tmp_path), tls=server_context()) as server, connected(server) as sock:
        sock.sendall(get("/big", version="1.0"))
        sock.recv(1_000)
        with open(tmp_path / "big", "ab") as file:
            file.write(b"more")
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            read_to_end(sock)


class Relay:
    """Stands before a server and hands on every byte alone, both ways."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, args=(port,), daemon=True).start()

    def _run(self, port: int) -> None:
        ours, _ = self._listener.accept()
        theirs = socket.create_connection(("127.0.0.1", port))
        back = threading.Thread(target=self._carry, args=(theirs, ours))
        back.start()
        self._carry(ours, theirs)
        back.join()
        for sock in (ours, theirs, self._listener):
            sock.close()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                for byte in one_by_one(data):
                    sink.sendall(byte)
            sink.shutdown(socket.SHUT_WR)


def test_every_byte_alone_over_a_real_socket(secure: Server) -> None:
    answers = ask(Relay(secure.port), GET, GET + CLOSE)  # type: ignore[arg-type]
    assert [answer.body for answer in answers] == [b"hello"] * 3


def handlers_left() -> list[Any]:
    gc.collect()
    return [thing for thing in gc.get_objects() if type(thing) is tls_request_handler]


def test_handshakes_that_are_left_half_done_leave_nothing() -> None:
    hello, _ = ssl.MemoryBIO(), None
    client = client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    flight = hello.read()
    with serving(tls=server_context(), limits=Limits(handshake_time=0.3)) as server:
        before = open_descriptors()
        crowd = []
        for number in range(200):
            sock = socket.create_connection(("127.0.0.1", server.port), 10)
            sock.sendall(flight[: number * 3])
            if number % 2:
                sock.close()
            else:
                crowd.append(sock)
        assert eventually(lambda: server._connections == 0)
        assert all(sock.recv(65_536) is not None for sock in crowd)
        for sock in crowd:
            sock.close()
        assert eventually(lambda: open_descriptors() <= before)
        assert len(server.map) == 1
        # The server's thread may still be on its way out of the last one's close().
        assert eventually(lambda: not handlers_left())
        assert ask(server, CLOSE)[0].status == 200


def test_handshakes_count_as_connections() -> None:
    with serving(tls=server_context(), limits=Limits(connections_per_address=2)) as server:
        with contextlib.ExitStack() as held:
            for _ in range(2):
                held.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
            assert eventually(lambda: server._connections == 2)
            with socket.create_connection(("127.0.0.1", server.port), 10) as third:
                # It is told in TLS, before any handshake.
                assert read_to_end(third) == fatal_alert(INTERNAL_ERROR)
        assert eventually(lambda: server._connections == 0)
        assert ask(server, CLOSE)[0].status == 200


def test_stopping_finishes_what_is_under_way() -> None:
    def site(request: Request) -> Response:
        return Response(bytes(20_000_000))

    with serving(site, tls=server_context()) as server, connected(server) as sock, connected(server) as idle:
        sock.sendall(GET)
        first = sock.recv(1_000)
        server.stop()
        assert len((first + read_to_end(sock)).partition(b"\r\n\r\n")[2]) == 20_000_000
        assert read_to_end(idle) == b""


def test_a_unix_socket_beside_it_speaks_plainly(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with serving(tls=server_context(), unix=path) as server, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(CLOSE)
        assert read_answers(read_to_end(sock))[0].body == b"hello"
        assert ask(server, CLOSE)[0].body == b"hello"


def test_a_program_s_own_handler_is_one_over_tls() -> None:
    heard = []

    class Mine(http_request_handler):
        def collect_incoming_data(self, data: bytes) -> None:
            heard.append(data)
            super().collect_incoming_data(data)

    assert over_tls(Mine) is over_tls(Mine)
    assert issubclass(over_tls(Mine), tls_request_handler)
    assert over_tls(http_request_handler) is over_tls(over_tls(http_request_handler)) is tls_request_handler
    with serving(tls=server_context(), handler_class=Mine) as server:
        ask(server, CLOSE)
    assert heard == [CLOSE[:-4]]


def test_a_recorded_connection_breaks_no_law() -> None:
    """What is recorded is what HTTP sees, as if there were no TLS."""
    traces = Memory()
    server = Server(hello, port=0, access_log="off", tls=server_context())
    Tracing(traces).attach(server)
    server.start()
    thread = threading.Thread(target=server.serve)
    thread.start()
    assert [answer.body for answer in ask(server, GET, GET + CLOSE)] == [b"hello"] * 3
    server.stop()
    thread.join()
    [trace] = traces.traces
    assert check(trace.events) == []
    assert "channel:blocked" not in [event.name for event in trace.events]
    assert inbound(trace.events) == GET + GET + CLOSE


def test_a_large_answer_is_played_again_in_the_pieces_that_were_offered() -> None:
    traces = Memory()
    with serving(lambda request: Response(bytes(200_000)), tls=server_context()) as server:
        Tracing(traces).attach(server)
        ask(server, CLOSE)
    [trace] = traces.traces
    assert replay(trace)[1] == []


def test_classes_made_for_a_while_are_not_kept() -> None:
    for number in range(50):
        over_tls(type(f"passing_{number}", (http_request_handler,), {}))
    gc.collect()
    assert sum(cls.__name__.startswith("passing_") for cls in http_request_handler.__subclasses__()) < 15


# ---- real clients


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveServer]:
    """The command, with a folder and a certificate of its own."""
    needs_module("cryptography")
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "page.html").write_text("<!doctype html><title>Page</title><link rel=icon href=data:,><p>here")
    cache = str(tmp_path / "cache")
    with LiveServer(tmp_path / "www", "--tls-self-signed", env={"XDG_CACHE_HOME": cache}) as live:
        yield live


def run(*command: str, data: str = "") -> str:
    done = subprocess.run(command, input=data, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.tools
def test_curl(live: LiveServer) -> None:
    curl = needs("curl"), "--disable", "-s", "--noproxy", "*"
    said = run(*curl, "-kv", live.url + "page.html", live.url + "page.html")
    assert said.count("<p>here") == 2
    assert "Re-using existing connection" in said or "Reusing existing connection" in said
    assert run(*curl, "-kv", "-0", live.url + "page.html").count("<p>here") == 1
    # It does not trust it unasked.
    assert "certificate" in run(*curl, "-S", live.url)
    assert "https://" in run(*curl, live.url.replace("https:", "http:"))
    assert "Traceback" not in live.log


def typed(live: LiveServer, version: str, *lines: str) -> str:
    """What openssl's client shows of what is said, when somebody types these lines, one after the other."""
    client = [needs("openssl"), "s_client", "-connect", f"127.0.0.1:{live.port}", version, "-msg"]
    with (
        tempfile.TemporaryFile() as shown,
        subprocess.Popen(client, stdin=subprocess.PIPE, stdout=shown, stderr=subprocess.STDOUT) as process,
    ):
        for line in lines:
            time.sleep(0.3)
            with contextlib.suppress(BrokenPipeError):
                os.write(process.stdin.fileno(), line.encode())  # type: ignore[union-attr]
        time.sleep(0.3)
        process.communicate(timeout=20)
        shown.seek(0)
        return shown.read().decode("latin-1")


@pytest.mark.tools
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_sees_the_end(live: LiveServer, version: str) -> None:
    said = typed(live, version, "GET /page.html HTTP/1.0\r\n\r\n")
    assert "<p>here" in said
    # Of both sides.
    assert said.count("warning close_notify") == 2
    assert "unexpected eof" not in said


@pytest.mark.tools
def test_keys_may_be_updated_at_any_time(live: LiveServer) -> None:
    """A line of K asks for new keys of both sides."""
    said = typed(live, "-tls1_3", "K\n", "GET /page.html HTTP/1.0\r\n", "K\n", "K\n", "\r\n")
    assert said.count(", KeyUpdate") == 6
    assert "<p>here" in said


@pytest.mark.tools
def test_nothing_is_negotiated_anew(live: LiveServer) -> None:
    said = typed(live, "-tls1_2", "R\n")
    assert "no_renegotiation" in said
    assert "Traceback" not in live.log


@pytest.mark.tools
@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(live: LiveServer, version: str) -> None:
    said = run(needs("openssl"), "s_client", "-connect", f"127.0.0.1:{live.port}", version)
    assert "alert" in said or "no protocols available" in said


@pytest.mark.programs
def test_requests_with_the_certificate_trusted(live: LiveServer, tmp_path: Path) -> None:
    requests = pytest.importorskip("requests")
    [certificate] = (tmp_path / "cache").rglob("*.pem")
    with requests.Session() as session:
        session.trust_env = False
        for host in ("127.0.0.1", "localhost"):
            answer = session.get(f"https://{host}:{live.port}/page.html", verify=str(certificate), timeout=10)
            assert (answer.status_code, "<p>here" in answer.text) == (200, True)


@pytest.mark.programs
def test_urllib_checks_the_fingerprint_that_was_said(live: LiveServer) -> None:
    shown = ssl.get_server_certificate(("127.0.0.1", live.port))
    fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).digest().hex(":").upper()
    assert f"SHA-256 is {fingerprint}\n" in live.log
    with urllib.request.urlopen(live.url + "page.html", timeout=10, context=client_context()) as answer:
        assert b"here" in answer.read()


@pytest.mark.tools
def test_a_browser(live: LiveServer) -> None:
    with chromium() as browser:
        page = browser.new_page(ignore_https_errors=True)
        answer = page.goto(live.url + "page.html")
        assert answer
        assert answer.status == 200
        assert page.inner_text("p") == "here"
        assert page.evaluate("location.protocol + isSecureContext") == "https:true"
