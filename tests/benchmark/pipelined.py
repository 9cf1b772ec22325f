"""The load's side of pipelining: `python pipelined.py PORT SECONDS`.

Writes a thousand requests at once, takes the thousand answers, and again; says how many in the words of wrk.
"""

from __future__ import annotations

import socket
import sys
import threading
import time

AT_ONCE = 1_000
REQUEST = b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# What the file has; it has no CR.
CONTENT = 1_024


def ask(port: int) -> None:
    """One connection, one write, and all its answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        writing = threading.Thread(target=sock.sendall, args=(REQUEST * AT_ONCE,))
        writing.start()
        answers = bytearray()
        while len(answers) < AT_ONCE * CONTENT or not _whole(answers):
            piece = sock.recv(1 << 20)
            if not piece:
                raise SystemExit("the server closed before it had answered all")
            answers += piece
        writing.join()


def _whole(answers: bytearray) -> bool:
    return answers.count(b"\r\n\r\n") == AT_ONCE and len(answers) - answers.rfind(b"\r\n\r\n") == CONTENT + 4


def main(port: int, seconds: float) -> None:
    done, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        ask(port)
        done += AT_ONCE
    taken = time.monotonic() - began
    print(f"{done} requests in {taken:.2f}s\nRequests/sec: {done / taken:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
