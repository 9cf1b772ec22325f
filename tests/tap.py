"""A tap on the wire: a relay on the loopback address that keeps every byte of every connection.

    with Tap(server.port) as tap:
        subprocess.run(["curl", tap.url + "page"])
    [connection] = tap.connections
    [answer] = connection.answers()

A client's own word on whether it used a connection again is not needed then, nor the server's: it is seen.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from types import TracebackType
from urllib.parse import quote

from .exchange import Answer, read_answers

__all__ = ["Asked", "Connection", "Tap"]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
# close() with this option sends a reset.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Asked:
    """One request as it went over the wire: its head's lines and its content, of a client that frames well."""

    def __init__(self, head: bytes, content: bytes) -> None:
        self.lines = head.decode("latin-1").split("\r\n")
        self.content = content
        self.method, self.target, self.version = self.lines[0].split(" ")

    def __getitem__(self, name: str) -> str:
        """The value of the first field line of that name, "" where there is none."""
        for line in self.lines[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip(" \t")
        return ""

    def __repr__(self) -> str:
        return f"<{self.lines[0]}>"


class Connection:
    """What went over one connection: `sent` by the client, `received` by it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.received = bytearray()

    def asked(self) -> list[Asked]:
        """The requests, in order."""
        rest, found = bytes(self.sent), []
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            # Chunks are refused, so they are the last of a connection.
            size = len(rest) if _CHUNKED.search(head) else int(length[1]) if length else 0
            found.append(Asked(head, rest[:size]))
            rest = rest[size:]
        return found

    def answers(self) -> list[Answer]:
        """The answers, as h11 reads them; it raises where they are none."""
        return read_answers(bytes(self.received), [asked.method for asked in self.asked()])

    def __repr__(self) -> str:
        return f"<{len(self.sent)} bytes sent, {len(self.received)} received, first {bytes(self.sent[:40])!r}>"


class Tap:
    """Relays every connection to a port of the loopback address while the `with` block lasts.

    `port` and `url` (with its "/") are the relay's; `connections` those that clients have made, in order.
    """

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self.connections: list[Connection] = []
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Tap:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # A close alone does not wake a thread that waits in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)

    def to(self, path: str) -> str:
        """The address of a path, through the tap."""
        return self.url + quote(path.lstrip("/"))

    @property
    def asked(self) -> list[Asked]:
        """The requests of all connections."""
        return [asked for connection in self.connections for asked in connection.asked()]

    @property
    def answers(self) -> list[Answer]:
        """The answers on all connections; each connection holds as many as requests."""
        found = []
        for connection in self.connections:
            answers = connection.answers()
            assert len(answers) == len(connection.asked()), connection
            found += answers
        return found

    def settle(self, patience: float = 5) -> None:
        """Wait until every connection is over on both sides."""
        end = time.monotonic() + patience
        while self._open and time.monotonic() < end:
            time.sleep(0.01)

    # ---- the relay

    def _start(self, what: object, *args: object) -> threading.Thread:
        thread = threading.Thread(target=what, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection()
            self.connections.append(connection)
            self._start(self._relay, client, connection)

    def _relay(self, client: socket.socket, connection: Connection) -> None:
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            client.close()
            return
        pair = {client, server}
        self._open |= pair
        for sock in pair:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        there = self._start(_carry, client, server, connection.sent)
        _carry(server, client, connection.received)
        there.join()
        self._open -= pair
        client.close()
        server.close()


def _carry(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
    """Hand on what comes, then the end: an end as an end, a reset as a reset."""
    try:
        while piece := source.recv(65_536):
            kept += piece
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except ConnectionResetError:
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                # Wakes the other direction; the close that follows there sends the reset.
                sock.shutdown(socket.SHUT_RD)
    except OSError:
        with contextlib.suppress(OSError):
            source.shutdown(socket.SHUT_RD)
