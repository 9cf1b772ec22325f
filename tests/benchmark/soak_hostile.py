"""The soak's hostile clients: each attack is a function of the port, run over and over."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from ctypes import c_int
from multiprocessing.connection import Connection

from .soak_clients import STOP

__all__ = ["hostile"]

_GET = b"GET /files/%s HTTP/1.1\r\nHost: a\r\n\r\n"
_MALFORMED = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    b"GET /files/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /files/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 40_000 + b"\r\n\r\n",
    b"GET /" + b"z" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
]


def hostile(port: int, phase: c_int, results: Connection) -> None:
    """Attack after attack, most of them short, with pauses that leave the machine to others."""
    os.nice(10)
    count: Counter[str] = Counter()
    attacks, weights = zip(*_ATTACKS.items(), strict=True)
    while phase.value != STOP:
        attack = random.choices(attacks, weights)[0]
        count[attack.__name__.strip("_")] += 1
        # Whatever the server does with its connection serves an attacker right.
        with contextlib.suppress(OSError):
            attack(port)
        time.sleep(random.uniform(0, 0.03))
    results.send({"count": count, "failures": []})


def _connected(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 3)
    sock.settimeout(3)
    return sock


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _read_to_end(sock: socket.socket) -> None:
    while sock.recv(65_536):
        pass


def malformed(port: int) -> None:
    """Bytes that are no request, whole or in two pieces; the answer is read to its end."""
    data = random.choice(_MALFORMED)
    cut = random.randrange(len(data))
    with _connected(port) as sock:
        for piece in random.choice([(data,), (data[:cut], data[cut:])]):
            sock.sendall(piece)
            time.sleep(0.001)
        sock.shutdown(socket.SHUT_WR)
        _read_to_end(sock)


def garbage(port: int) -> None:
    """Random bytes, or a good request with one byte changed."""
    data = bytearray(_GET % b"small-100.bin")
    data[random.randrange(len(data))] = random.randrange(256)
    with _connected(port) as sock:
        sock.sendall(random.choice([random.randbytes(random.randrange(1, 3000)), data]))
        sock.shutdown(socket.SHUT_WR)
        _read_to_end(sock)


def resets(port: int) -> None:
    """A few connections reset at any moment: after connecting, in a head, in content, in an answer."""
    starts = [
        b"",
        b"GET / HT",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc",
        _GET % b"huge.bin",
    ]
    socks = [_connected(port) for _ in range(8)]
    for sock in socks:
        sock.sendall(random.choice(starts))
    time.sleep(random.uniform(0, 0.01))
    for sock in socks:
        if random.random() < 0.5:
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.recv(random.choice([100, 100_000]))
        _reset(sock)


def pipeliner(port: int) -> None:
    """Thousands of requests at once, no answer taken."""
    with _connected(port) as sock:
        sock.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            sock.sendall((_GET % random.choice([b"large.bin", b"small-1000.bin"])) * 5_000)
        _reset(sock)


def urgent(port: int) -> None:
    """Urgent data before, in and after a request."""
    with _connected(port) as sock:
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(_GET % b"small-1.bin")
        sock.send(b"!", socket.MSG_OOB)
        sock.recv(65_536)


def crowd(port: int) -> None:
    """Hundreds of connections at once, with or without the beginning of a request."""
    socks = []
    with contextlib.suppress(OSError):
        for _ in range(400):
            socks.append(_connected(port))
            socks[-1].sendall(random.choice([b"", b"G", b"GET / HTTP/1.1\r\n"]) or b"P")
    time.sleep(0.3)
    for sock in socks:
        _reset(sock) if random.random() < 0.5 else sock.close()


def hog(port: int) -> None:
    """Make the server take every descriptor it can have, and connect while it has none."""
    with _connected(port) as sock:
        sock.sendall(b"GET /hog HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.recv(65_536)
        for _ in range(20):
            with contextlib.suppress(OSError), _connected(port) as late:
                late.sendall(_GET % b"small-1.bin")
                late.recv(65_536)


# How often each, beside the others.
_ATTACKS: dict[Callable[[int], None], float] = {
    malformed: 40, garbage: 30, resets: 10, pipeliner: 1.5, urgent: 5, crowd: 0.7, hog: 0.3,
}  # fmt: skip
