"""The load's side of the idle connections, a process of its own: `python hold.py PORT COUNT`.

Opens that many connections, asks for /1k.html on each and takes the answer; prints `held N`; then holds them all until
its standard input ends.
"""

from __future__ import annotations

import resource
import socket
import sys

REQUEST = b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: hold\r\nAccept: */*\r\n\r\n"


def hold(port: int, count: int) -> list[socket.socket]:
    """The connections, each with one answer taken."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.sendall(REQUEST)
        _take_answer(connection)
        held.append(connection)
    return held


def _take_answer(connection: socket.socket) -> None:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _some(connection)
    head, _, content = answer.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(content) < length:
        content += _some(connection)


def _some(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise SystemExit("the server closed a connection that was to be kept")
    return piece


if __name__ == "__main__":
    connections = hold(int(sys.argv[1]), int(sys.argv[2]))
    print("held", len(connections), flush=True)
    sys.stdin.read()
