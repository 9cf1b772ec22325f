"""The soak's good and slow clients, each crowd in a process of its own.

A crowd is a function `(port, phase, results)`: it runs until the phase, a number shared by all, is STOP, and then
puts a dict of figures into the pipe.
"""

from __future__ import annotations

import heapq
import os
import random
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from ctypes import c_int
from multiprocessing.connection import Connection
from typing import Any

from .soak_site import FILES, content_of

__all__ = ["STOP", "Turned", "Wire", "changing", "good", "slow"]

STOP = -1
# How many failures are kept with their text.
_MOST_FAILURES = 20
_SMALL = [name for name in FILES if name.startswith("small")]


class Turned(Exception):
    """The server said 503, or had no descriptor to say it with: come back later."""


class Wire:
    """A client's connection, over which answers are read by their Content-Length."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.answers = 0
        self._held = b""

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and content of the answer.  Raises Turned, or OSError when the connection ends early."""
        try:
            self.sock.sendall(request)
            head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        except ConnectionError as why:
            if self.answers:
                raise
            raise Turned from why
        status = int(head[0].split(" ")[1])
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        content = b"" if status == 304 else self._count(int(fields["content-length"]))
        if status == 503:
            raise Turned
        self.answers += 1
        return status, fields, content

    def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            self._held += self._more()
        found, _, self._held = self._held.partition(end)
        return found

    def _count(self, count: int) -> bytes:
        pieces, length = [self._held], len(self._held)
        while length < count:
            pieces.append(self._more())
            length += len(pieces[-1])
        data = b"".join(pieces)
        self._held = data[count:]
        return data[:count]

    def _more(self) -> bytes:
        piece = self.sock.recv(1 << 18)
        if not piece:
            raise ConnectionAbortedError("the connection ended within an answer")
        return piece


# ---- good


def good(port: int, phase: c_int, results: Connection) -> None:
    """One client that keeps its connection, and looks at every byte it gets; about 60 requests a second."""
    client = _Good(port)
    while phase.value != STOP:
        client.ask_something(phase.value)
        time.sleep(random.uniform(0.008, 0.022))
    results.send({"times": dict(client.times), "count": client.count, "failures": client.failures})


class _Good:
    def __init__(self, port: int) -> None:
        self.port = port
        self.contents = {name: content_of(name) for name in FILES}
        self.tags: dict[str, str] = {}
        self.times: dict[int, list[float]] = defaultdict(list)
        self.count: Counter[str] = Counter()
        self.failures: list[str] = []
        self.wire: Wire | None = None

    def ask_something(self, phase: int) -> None:
        kind = random.choices(["get", "conditional", "echo", "large", "absent"], [55, 15, 15, 10, 5])[0]
        began = time.perf_counter()
        try:
            getattr(self, "_" + kind)()
        except Turned:
            self.count["turned away"] += 1
            self.wire = None
            time.sleep(0.1)
        except (OSError, AssertionError, ValueError, KeyError) as why:
            self.count["failed"] += 1
            self.wire = None
            if len(self.failures) < _MOST_FAILURES:
                self.failures.append(f"{kind}: {why!r}")
        else:
            self.count[kind] += 1
            if kind != "large":
                self.times[phase].append(time.perf_counter() - began)

    def _exchange(self, start: str, content: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        last = random.random() < 0.005
        if self.wire is None:
            self.wire = Wire(self.port)
        wire = self.wire
        end = "Connection: close\r\n\r\n" if last else "\r\n"
        answer = wire.ask(f"{start}Host: a\r\nUser-Agent: soak\r\n{end}".encode("ascii") + content)
        assert answer[1]["connection"] == ("close" if last else "keep-alive")
        if last:
            wire.sock.close()
            self.wire = None
        return answer

    def _fetch(self, name: str) -> None:
        status, fields, content = self._exchange(f"GET /files/{name} HTTP/1.1\r\n")
        assert status == 200, status
        assert content == self.contents[name], f"{name}: wrong bytes"
        self.tags[name] = fields["etag"]

    def _get(self) -> None:
        self._fetch(random.choice(_SMALL))

    def _large(self) -> None:
        self._fetch(random.choice(["large.bin", "large.bin", "odd.bin"]))

    def _conditional(self) -> None:
        if not self.tags:
            return
        name, tag = random.choice(list(self.tags.items()))
        status, _, content = self._exchange(f"GET /files/{name} HTTP/1.1\r\nIf-None-Match: {tag}\r\n")
        assert (status, content) == (304, b""), status

    def _echo(self) -> None:
        sent = random.randbytes(random.choice([0, 1, 500, 5_000, 50_000]))
        status, _, content = self._exchange(f"POST /echo HTTP/1.1\r\nContent-Length: {len(sent)}\r\n", sent)
        assert status == 200, status
        assert content == sent, "the echo is not what was sent"

    def _absent(self) -> None:
        status, _, _ = self._exchange("GET /files/absent HTTP/1.1\r\n")
        assert status == 404, status


def changing(port: int, phase: c_int, results: Connection, path: str) -> None:
    """A file that is replaced, cut, rewritten and appended to, fetched all the while: an answer that comes whole is of
    one version, and of no other length than was promised."""
    os.nice(10)
    count: Counter[str] = Counter()
    failures: list[str] = []
    size = 3 << 20
    for version in _changes(path, size):
        if phase.value == STOP:
            break
        try:
            wire = Wire(port)
            with wire.sock:
                status, _, content = wire.ask(
                    b"GET /files/changing.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                )
            mixed = status == 200 and content != content[:1] * len(content)
            count["mixed" if mixed else f"whole {status}"] += 1
            if mixed:
                failures.append(f"version {version}: {Counter(content)}")
        except (OSError, Turned):
            count["cut"] += 1
        time.sleep(random.uniform(0.1, 0.5))
    results.send({"count": count, "failures": failures[:_MOST_FAILURES]})


def _changes(path: str, size: int) -> Iterator[int]:
    """Change the file in another process, in bursts, for ever; yields between."""
    version = 0
    while True:
        if not os.path.exists(path) or version % 2 == 0:
            with open(path + ".new", "wb") as file:
                file.write(bytes([version % 256]) * size)
            os.replace(path + ".new", path)
        child = os.fork() if version % 2 else 0
        if version % 2 and not child:
            _change_in_place(path, size, version % 256)
            os._exit(0)
        yield version
        if child:
            os.waitpid(child, 0)
        version += 1


def _change_in_place(path: str, size: int, byte: int) -> None:
    """While it is being fetched: shorter and written anew, or gone."""
    time.sleep(random.uniform(0, 0.01))
    if random.random() < 0.2:
        os.unlink(path)
        return
    with open(path, "wb") as file:
        for _ in range(8):
            file.write(bytes([byte]) * (size // 8))


# ---- slow


def slow(port: int, phase: c_int, results: Connection, crowd: int) -> None:
    """So many clients that hang on: slow readers, slow senders, heads that never end, and idle ones, a quarter each.

    Each does a little every few seconds; one that the server closes comes back.
    """
    os.nice(10)
    count: Counter[str] = Counter()
    queue = [(time.monotonic() + 8 * number / crowd, number, None) for number in range(crowd)]
    clients: dict[int, Any] = {}
    most = 0
    kinds = [_Reader, _Sender, _Loris, _Idle]
    heapq.heapify(queue)
    while phase.value != STOP:
        due, number, _ = heapq.heappop(queue)
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if number not in clients:
                clients[number] = kinds[number % 4](port)
                count["begun"] += 1
            clients[number].act()
        except Done as why:
            count[str(why)] += 1
            clients.pop(number).sock.close()
        except OSError as why:
            count[type(why).__name__] += 1
            if number in clients:
                clients.pop(number).sock.close()
        heapq.heappush(queue, (due + random.uniform(2, 3), number, None))
        most = max(most, len(clients))
    for client in clients.values():
        client.sock.close()
    failures = [f"a slow reader got wrong bytes {count['wrong']} times"] if count["wrong"] else []
    results.send({"count": count, "failures": failures, "most": most})


class Done(Exception):
    """A slow client's connection is over."""


class _Slow:
    def __init__(self, port: int) -> None:
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.sock.settimeout(5)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.begin()

    def begin(self) -> None:
        pass

    def heard(self) -> bytes:
        """What has come; raises Done at the end."""
        try:
            data = self.sock.recv(2_500)
        except BlockingIOError:
            return b""
        if not data:
            raise Done(f"{type(self).__name__[1:].lower()}s closed")
        return data


class _Reader(_Slow):
    content = b""

    def begin(self) -> None:
        _Reader.content = _Reader.content or content_of("huge.bin")
        self.at = -1
        self.head = b""
        self.sock.send(b"GET /files/huge.bin HTTP/1.1\r\nHost: a\r\n\r\n")

    def act(self) -> None:
        data = self.heard()
        if self.at < 0:
            self.head += data
            _, end, data = self.head.partition(b"\r\n\r\n")
            self.at = 0 if end else -1
        if self.at >= 0:
            if self.head.startswith(b"HTTP/1.0 200") and data != _Reader.content[self.at : self.at + len(data)]:
                raise Done("wrong")
            self.at += len(data)


class _Sender(_Slow):
    def begin(self) -> None:
        self.sock.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n")

    def act(self) -> None:
        self.sock.send(b"s" * 1_800)
        self.heard()


class _Loris(_Slow):
    def begin(self) -> None:
        self.sock.send(b"GET / HTTP/1.1\r\nHost: a\r\n")

    def act(self) -> None:
        self.heard()
        self.sock.send(b"X")


class _Idle(_Slow):
    def begin(self) -> None:
        self.sock.send(b"GET /files/small-100.bin HTTP/1.1\r\nHost: a\r\n\r\n")

    def act(self) -> None:
        self.heard()
