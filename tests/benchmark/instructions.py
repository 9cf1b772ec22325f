"""`python -m tests.benchmark.instructions [TREE …]`: how many instructions a request costs, counted by valgrind.

A count does not depend on what else the machine does, so it shows a difference of one per cent where time cannot.
Each TREE is a checkout of this project (this one unless told), say one of another commit made by `git worktree`: all
get the same requests, so many at once as there are --clients, and are printed side by side.  The kernel's work is not
counted.  What each workload spent where is left in --keep, for `callgrind_annotate`.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .peers import TOP, free_port, program
from .workloads import lay_out

# Before the count begins, so many requests fill what remembers and have the interpreter specialize what is hot.
WARM = 100
# A server starts some fifty times slower than it does unobserved.
_PATIENCE = 120


def kept(number: int) -> bytes:
    """1 KB, by a client that repeats itself."""
    return b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def repeated(number: int) -> bytes:
    """1 KB, HTTP/1.0, as ab -k asks."""
    return (
        b"GET /1k.html HTTP/1.0\r\nConnection: Keep-Alive\r\nHost: 127.0.0.1\r\nUser-Agent: ApacheBench/2.3\r\n"
        b"Accept: */*\r\n\r\n"
    )


def browser(number: int) -> bytes:
    """4 KB, as a browser asks: ten fields, and every head another one (browser.lua).

    Of few files: what is looked at once a second for each would otherwise count for every request at this pace.
    """
    return (
        f"GET /many/{number % 4:03}.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
        "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\nAccept-Encoding: gzip, deflate\r\n"
        f"Referer: http://127.0.0.1/many/index.html?from={number}\r\n"
        f"Cookie: session=2f9c41d07be35a; theme=dark; seen={number}\r\n"
        "Upgrade-Insecure-Requests: 1\r\nCache-Control: max-age=0\r\n\r\n"
    ).encode()


def large(number: int) -> bytes:
    """100 KB, by a client that repeats itself."""
    return b"GET /100k.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def close(number: int) -> bytes:
    """1 KB, HTTP/1.0, a connection each."""
    return b"GET /1k.html HTTP/1.0\r\nHost: 127.0.0.1\r\nUser-Agent: ApacheBench/2.3\r\nAccept: */*\r\n\r\n"


class Client:
    """Asks one request after the other, on one connection as long as that is kept."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sock: socket.socket | None = None

    def ask(self, request: bytes) -> None:
        """Send a request."""
        if self.sock is None:
            self.sock = socket.create_connection(("127.0.0.1", self.port), _PATIENCE)
        self.sock.sendall(request)

    def answer(self) -> bytes:
        """The head of the answer, whose content has been read too."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, content = answer.partition(b"\r\n\r\n")
        length = re.search(rb"\nContent-Length: (\d+)", head)
        left = (int(length[1]) if length else 0) - len(content)
        while left > 0:
            left -= len(self._more())
        if b"\nConnection: close" in head:
            self.end()
        return head

    def _more(self) -> bytes:
        piece = self.sock.recv(1 << 20) if self.sock else b""
        if not piece:
            raise ConnectionError("the server closed within an answer")
        return piece

    def end(self) -> None:
        """Close after the server, so that what it does then is counted too."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None


class Counted:
    """A server under callgrind."""

    def __init__(self, pid: int, port: int, clients: int, out: Path) -> None:
        self.pid = pid
        self._clients = [Client(port) for _ in range(clients)]
        self._out = out
        self._dumps = 0

    def count(self, requests: Callable[[int], bytes], number: int) -> int:
        """Instructions for each of so many requests."""
        self._ask(requests, range(WARM))
        self._control("-z")
        self._ask(requests, range(WARM, WARM + number))
        self._control("-d", requests.__name__)
        for client in self._clients:
            client.end()
        self._dumps += 1
        dump = self._out.with_name(f"{self._out.name}.{self._dumps}")
        counted = _summary(dump)
        dump.rename(self._out.with_name(f"{self._out.name}-{requests.__name__}"))
        return counted // number

    def _ask(self, requests: Callable[[int], bytes], numbers: range) -> None:
        for first in numbers[:: len(self._clients)]:
            asking = self._clients[: numbers.stop - first]
            for one, client in enumerate(asking, first):
                client.ask(requests(one))
            for client in asking:
                client.answer()

    def unchanged(self) -> Callable[[int], bytes]:
        """1 KB that has not changed, by a client that repeats itself."""
        client = self._clients[0]
        client.ask(kept(0))
        found = re.search(rb"\n(?i:ETag): ([^\r]+)", client.answer())
        tag = found[1] if found else b""

        def not_modified(number: int) -> bytes:
            return kept(number)[:-2] + b"If-None-Match: " + tag + b"\r\n\r\n"

        return not_modified

    def _control(self, *what: str) -> None:
        command = [_needed("callgrind_control"), *what, str(self.pid)]
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def counted(tree: Path, folder: Path, clients: int, out: Path) -> Iterator[Counted]:
    """A tree's server on a folder, counted; its files begin with `out`."""
    port = free_port()
    log = str(out.with_name(f"{out.name}.log"))
    command = _counting(out, "httpd", str(folder), "--port", str(port), "--access-log", log)
    process = subprocess.Popen(command, cwd=tree, env=_same_each_time(), stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(port, process)
        yield Counted(process.pid, port, clients, out)
    finally:
        process.terminate()
        process.communicate(timeout=_PATIENCE)


def start(tree: Path, out: Path) -> int:
    """Instructions until the command has told its version: what is imported at every start."""
    told = ["httpd", "--version"]
    # Once before: whoever starts first has to compile.
    for command in ([sys.executable, "-m", *told], _counting(out, *told)):
        subprocess.run(command, cwd=tree, env=_same_each_time(), check=True, capture_output=True)
    return _summary(out)


def _counting(out: Path, *arguments: str) -> list[str]:
    return [_needed("valgrind"), "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-m", *arguments]


def _same_each_time() -> dict[str, str]:
    # Whoever keeps no compiled modules would count the compiler.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONHASHSEED": "0"}


def _summary(dump: Path) -> int:
    found = re.search(r"^summary: (\d+)", dump.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    process.kill()
    raise SystemExit(f"the server does not start:\n{process.communicate()[1]}")


def _needed(name: str) -> str:
    found = program(name)
    if found is None:
        raise SystemExit(f"{name} is needed (Debian: apt-get install valgrind)")
    return found


def measure(tree: Path, folder: Path, out: Path, number: int, clients: int) -> dict[str, int]:
    """Instructions a request by workload, and those of a start."""
    figures = {"start": start(tree, out.with_name(f"{out.name}-start"))}
    with counted(tree, folder, clients, out) as server:
        for requests in (kept, repeated, server.unchanged(), large, close, browser):
            figures[requests.__name__] = server.count(requests, number)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.instructions", description=__doc__)
    parser.add_argument("trees", nargs="*", type=Path, metavar="TREE", default=[TOP])
    parser.add_argument("--requests", type=int, default=400, help="so many are counted; 400 unless told")
    parser.add_argument("--clients", type=int, default=1, help="so many ask at once; 1 unless told")
    parser.add_argument("--keep", type=Path, help="leave the profiles in that folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="httpd-instructions-") as made:
        folder = Path(made) / "www"
        lay_out(folder)
        keep = options.keep or Path(made)
        keep.mkdir(exist_ok=True)
        columns = [
            measure(tree, folder, keep.resolve() / f"{number}-{tree.resolve().name}", options.requests, options.clients)
            for number, tree in enumerate(options.trees)
        ]
    for name, first in columns[0].items():
        others = [f"{column[name]:14,} {column[name] / first:6.3f}" for column in columns[1:]]
        print(f"{name:13}{first:14,}", *others)


if __name__ == "__main__":
    main()
