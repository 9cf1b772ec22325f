"""One connection of the server, played from a script; and a whole server, run beside the test.

    exchange = Exchange([b"GET / HT", b"TP/1.1\r\nHost: a\r\n\r\n"], site)
    [answer] = exchange.answers()

Every Exchange holds its handler to the state table, and has h11, as a client, read what was sent: `answers()` is that,
and `judge_all()`, which runs after each test, reads what the test itself has not looked at.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import h11

from httpd import Limits, Request, Response, Server, http_request_handler, text
from httpd.net import asyncore
from httpd.net.channel_map import ChannelMap
from httpd.net.timers import Timers
from httpd.net.wake import at_once, directly
from httpd.protocol.message import Head
from httpd.server.handler import TABLE, State
from httpd.server.service import Beside, Service

from .recorded import has_real_client, record, recorded
from .scripted import BLOCKS, EOF, RESET, ScriptedSocket

__all__ = [
    "EOF",
    "GET",
    "RESET",
    "Answer",
    "Exchange",
    "Given",
    "get",
    "judge_all",
    "post",
    "read_answers",
    "serving",
    "talk",
]

# Sun, 06 Nov 1994 08:49:37 GMT: the example date of RFC 9110 §5.6.7.
BEGAN = 784_111_777

# One map for all: a scripted socket has a number of its own.
_channels = ChannelMap()


def get(path: str = "/", *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
    """A request without content."""
    host = ["Host: a"] if version == "1.1" else []
    return "\r\n".join([f"{method} {path} HTTP/{version}", *host, *fields, "", ""]).encode("latin-1")


def post(content: bytes, *fields: str, path: str = "/", version: str = "1.1") -> bytes:
    """A request with content."""
    return get(path, f"Content-Length: {len(content)}", *fields, version=version, method="POST") + content


GET = get()


def hello(request: Request) -> Response:
    """A site of one page."""
    return text("hello")


# ---- scripted


class Wire(ScriptedSocket):
    """A scripted socket that takes `room` bytes (None: all); `reset`: it was closed with one, `left`: by its peer."""

    room: int | None = None
    reset = False
    left = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        try:
            return super().recv(size, flags)
        except ConnectionError:
            self.left = True
            raise

    def _take(self, data: bytes) -> int:
        try:
            return self._taken(data)
        except ConnectionError:
            self.left = True
            raise

    def _taken(self, data: bytes) -> int:
        if self.room is None:
            return super()._take(data)
        if not self.room:
            raise BLOCKS
        taken = super()._take(data[: self.room])
        self.room -= taken
        return taken

    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.9", 80

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        if (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self.reset = value == struct.pack("ii", 1, 0)


class Log:
    """An access log that keeps its entries: (request-line, status, size)."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int, int]] = []

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Any) -> None:
        self.entries.append((head.request_line, status, size))

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Any) -> None:
        self.entries.append((request_line, status, size))


class StrictHandler(http_request_handler):
    """Keeps the states it went through, and goes to no other than the table allows."""

    def __init__(self, *args: Any, **more: Any) -> None:
        self.states = [State.READ_HEADER]
        super().__init__(*args, **more)

    def set_state(self, new: State) -> None:
        assert new in TABLE[self.state], f"{self.state} may not go to {new}"
        self.states.append(new)
        super().set_state(new)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Exchange:
    """A handler on a scripted socket.  `pieces` are what comes; more comes with `feed`, time passes with `wait`."""

    def __init__(
        self,
        pieces: Iterable[bytes | OSError] = (),
        site: Callable[[Request], Response] = hello,
        *,
        takes: Iterable[int | OSError] = (),
        room: int | None = None,
        limits: Limits | None = None,
        server_name: str = "httpd",
        headers: Iterable[tuple[str, str]] = (),
        beside: Beside = at_once,
        pool: Beside = at_once,
        call: Callable[..., object] = directly,
        streams: int = 0,
        handler_class: type[StrictHandler] = StrictHandler,
        wrap: Callable[[Wire], Any] = lambda sock: sock,
    ) -> None:
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.service = Service(
            site,
            limits=limits or Limits(),
            timers=self.timers,
            server_name=server_name,
            headers=headers,
            beside=beside,
            pool=pool,
            call=call,
            streams=streams,
            wall_clock=lambda: BEGAN + self.clock.now,
        )
        self.sock = Wire(pieces, takes)
        self.sock.room = room
        self.log = Log()
        self.ended: list[http_request_handler] = []
        log: Any = self.log
        self.wrapped = wrap(self.sock)
        self.handler = handler_class(
            self.wrapped, ("192.0.2.1", 4711), {}, log, self.service, map=_channels, on_close=self.ended.append
        )
        self.play()
        # As the loop does in its next turn.
        self.handler._taken_up()
        _begun.append(self)
        if len(_begun) > _MOST_BEGUN:
            _begun.popleft().judge(whole=False)

    @property
    def state(self) -> State:
        return self.handler.state

    @property
    def output(self) -> bytes:
        return bytes(self.sock.sent)

    @property
    def closed(self) -> bool:
        """Whether the connection is over; then it was closed once, and its owner was told once."""
        over = self.state is State.CLOSED
        assert self.sock.closed == len(self.ended) == over
        assert not over or (len(self.timers) == 0 and self.handler.states.count(State.CLOSED) == 1)
        return over

    @property
    def reset(self) -> bool:
        return self.closed and self.sock.reset

    @property
    def said_end(self) -> bool:
        """Whether the sending side was shut, and reading went on."""
        return self.sock.shut == [socket.SHUT_WR]

    def answers(self, *methods: str) -> list[Answer]:
        """What h11 reads in the output, the answers to requests of these methods (GET where there are no more)."""
        return read_answers(self.output, methods)

    def judge(self, whole: bool) -> None:
        """Have h11 read what was sent so far; where it was closed in good order, to the end, if that is to be `whole`.

        What goes through TLS is not for h11, and is passed over.
        """
        if self.wrapped is self.sock:
            methods = (line.partition(" ")[0] for line, _, _ in self.log.entries)
            asked = tuple(method if re.fullmatch("[A-Za-z]+", method) else "GET" for method in methods)
            _judge(self.output, asked, whole and self.sock.closed > 0 and not self.sock.reset and not self.sock.left)

    def feed(self, *pieces: bytes | OSError) -> Exchange:
        """More comes from the client."""
        self.sock.pieces.extend(pieces)
        self.play()
        return self

    def take(self, room: int | None = None) -> Exchange:
        """The client takes so many bytes more; None: all."""
        self.sock.room = room
        self.play()
        return self

    def wait(self, seconds: float, *, step: float = 1.0) -> Exchange:
        """Time passes, in turns of `step` seconds."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + step)
            self.timers.tick()
            self.play()
            self.timers.run_due()
        return self

    def play(self) -> None:
        """Give the handler its events, until there is none."""
        handler, sock = self.handler, self.sock
        busy = True
        while busy:
            reads = bool(sock.pieces) and not sock.closed and handler.readable()
            if reads:
                asyncore.read(handler)
            writes = not sock.closed and sock.room != 0 and handler.writable()
            if writes:
                asyncore.write(handler)
            busy = reads or writes


class Given:
    """Content that gives these pieces, one a time; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception | None) -> None:
        self.pieces = list(pieces)
        self.closes = 0

    def more(self) -> bytes | None:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closes += 1


# ---- the judge

# The exchanges that nobody has judged yet; some tests have thousands of them, so the oldest do not wait for the end.
_begun: deque[Exchange] = deque()
_MOST_BEGUN = 100


def judge_all(whole: bool = True) -> None:
    """Judge every exchange since the last time."""
    while _begun:
        _begun.popleft().judge(whole)


# Tests that cut a request everywhere get one answer again and again.
@lru_cache(1000)
def _judge(output: bytes, methods: tuple[str, ...], whole: bool) -> None:
    try:
        read_answers(output, methods)
    except h11.RemoteProtocolError as error:
        if whole or "closed" not in str(error).lower():
            raise AssertionError(f"h11 does not read what was sent: {error}\n{output[:1000]!r}") from error


@dataclass
class Answer:
    """A response, as h11 read it.  `interim` are the statuses before the final one."""

    status: int
    version: bytes
    lines: list[tuple[str, str]]
    body: bytes = b""
    interim: list[int] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        """The value of a field that is there at most once, "" where it is not."""
        values = [value for key, value in self.lines if key == name.lower()]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else ""

    @property
    def keeps_alive(self) -> bool:
        assert self["connection"] in ("keep-alive", "close")
        return self["connection"] == "keep-alive"


# What h11 is given at once: it would copy all that waits with each answer.
_PIECE = 65_536


def read_answers(output: bytes, methods: Iterable[str] = ()) -> list[Answer]:
    """The responses in all that a connection gave; raises h11.RemoteProtocolError where they are no responses."""
    answers = []
    asked = iter(methods)
    at = 0
    while at < len(output):
        answer, at = _one_answer(output, at, next(asked, "GET"))
        answers.append(answer)
    return answers


def _one_answer(output: bytes, at: int, method: str) -> tuple[Answer, int]:
    """The response that begins there, and where the next one does."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    interim = []
    answer = None
    # To add up bytes would copy, with each piece of a large body, all that came before it.
    body = bytearray()
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            piece = output[at : at + _PIECE]
            client.receive_data(piece)
            at += len(piece)
        elif isinstance(event, h11.InformationalResponse):
            interim.append(event.status_code)
        elif isinstance(event, h11.Response):
            lines = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
            answer = Answer(event.status_code, event.http_version, lines, interim=interim)
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            assert answer is not None
            assert isinstance(event, h11.EndOfMessage), event
            answer.body = bytes(body)
            return answer, at - len(client.trailing_data[0])


# ---- over a real socket


@contextlib.contextmanager
def serving(
    site: Callable[[Request], Response] = hello,
    listening: Iterable[socket.socket] = (),
    *,
    always_recorded: bool = False,
    **options: Any,
) -> Iterator[Server]:
    """A server in a thread, on a free port of the loopback address, or at these sockets; stopped at the end.

    What real clients ask of it is recorded (`tests/recorded.py`), or what any client asks.
    """
    server = Server(site, **{"port": 0, "access_log": "off", **options})
    with recorded(has_real_client() or always_recorded) as folder:
        if folder:
            record(server, folder)
        server.start(listening)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            server.stop()
            thread.join(10)
            assert not thread.is_alive(), "the server does not stop"


def talk(server: Server, data: bytes, timeout: float = 10) -> bytes:
    """All that the server answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout) as sock:
        sock.sendall(data)
        return read_to_end(sock)


def read_to_end(sock: socket.socket) -> bytes:
    """What comes until the peer closes; raises ConnectionResetError when it resets."""
    pieces = []
    while piece := sock.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)
