"""Reload a server again and again while clients count: how many requests fail, how many connections are reset.

    python -m tests.reloads --rounds 100
    python -m tests.reloads --rounds 20 --restart     end each worker in turn instead (a rolling restart)
    python -m tests.reloads --rounds 20 --wrk         and wrk beside them, whose errors count
    python -m tests.reloads --rounds 20 --tls         all over TLS

A quarter of the clients keep their connections and ask one request after the other, a quarter keep them and pause, a
quarter connect for every request, a quarter send content.  A client that is told `Connection: close` connects anew, as
HTTP has it, and one whose kept connection has ended without an answer counts a failure: it must not come to that.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from .live import LiveServer
from .tools import TOP, needs

__all__ = ["Clients", "reloads"]

APP = """
from httpd import Router, text
site = Router()
@site.get("/")
def generation(request): return text("generation %d")
@site.post("/")
def length(request): return text(f"{len(request.body)} bytes", 200 if len(request.body) == 5_000 else 400)
"""
_CONTENT = bytes(5_000)


class Clients:
    """Threads that ask, each in its way, until they are stopped.

    `counts` says how it went, `seen` has what was answered, `faults` what was not.
    """

    def __init__(self, port: int, tls: bool = False, number: int = 12) -> None:
        self._port = port
        self._tls = ssl._create_unverified_context() if tls else None
        self.counts: Counter[str] = Counter()
        self.seen: set[bytes] = set()
        self.faults: list[str] = []
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask, args=(kind % 4,)) for kind in range(number)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, kind: int) -> None:
        connection = self._connection()
        method, content = ("POST", _CONTENT) if kind == 3 else ("GET", None)
        fields = {"Connection": "close"} if kind == 2 else {}
        while not self._over.is_set():
            try:
                connection.request(method, "/", content, fields)
                answer = connection.getresponse()
                body = answer.read()
                self._count("ok" if answer.status == 200 else f"status {answer.status}", b"" if content else body)
            except (OSError, http.client.HTTPException) as why:
                self._count("reset" if isinstance(why, ConnectionResetError) else "failed")
                self.faults.append(f"{type(why).__name__}: {why}")
                connection.close()
            if kind == 1:
                time.sleep(random.uniform(0, 0.2))
        connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection("127.0.0.1", self._port, timeout=20, context=self._tls)
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)

    def _count(self, what: str, body: bytes = b"") -> None:
        with self._lock:
            self.counts[what] += 1
            if body:
                self.seen.add(body)


def reloads(
    rounds: int, *, restart: bool = False, wrk: bool = False, tls: bool = False, workers: int = 2
) -> Iterator[str]:
    """Lines of what came of it; the last begins with "in all", and counts what wrk says of itself, too."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, 0)
        options = ["--app", "reloaded:site", "--workers", str(workers), "--access-log", "off"]
        options += ["--tls-self-signed"] if tls else []
        live = LiveServer(None, *options, cwd=folder, env={"PYTHONPATH": str(TOP), "XDG_CACHE_HOME": name})
        with live as server, _wrk(server.url, wrk) as loaded:
            began = time.monotonic()
            with Clients(server.port, tls) as clients:
                for number in range(1, rounds + 1):
                    _write(folder, number)
                    _restart(server, workers) if restart else _reload(server, number)
                    if number % 10 == 0:
                        yield f"{number:4} rounds: {_told(clients.counts)}"
            seconds = time.monotonic() - began
            counts = clients.counts
            if loaded:
                yield f"clients: {_told(counts)}"
                said, more = _wrk_said(loaded)
                yield f"wrk: {said}"
                counts += more
        yield from clients.faults[:5]
        kind = f"{'rolling restarts' if restart else 'reloads'} in {seconds:.0f} s"
        yield f"in all {rounds} {kind}, {len(clients.seen)} generations seen: {_told(counts)}"


def _told(counts: Counter[str]) -> str:
    wrong = sum(counts.values()) - counts["ok"] - counts["reset"]
    return f"{counts['ok']} answered, {wrong} failed, {counts['reset']} reset"


def _write(folder: Path, number: int) -> None:
    # A module's cache goes by the second and the size of its source.
    (folder / "reloaded.py").write_text(APP % number + "#" * number)


def _reload(server: LiveServer, number: int) -> None:
    server.process.send_signal(signal.SIGHUP)
    _until(lambda: server.log.count("httpd: reloaded") >= number, server)


def _restart(server: LiveServer, workers: int) -> None:
    for pid in _children(server.pid)[:workers]:
        # While children come and go the kernel's list of them is no exact one: this one may be gone already.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _until(lambda pid=pid: pid not in _children(server.pid), server)
        _until(lambda: len(_children(server.pid)) == workers, server)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _until(condition: Callable[[], bool], server: LiveServer) -> None:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end or server.process.poll() is not None:
            raise RuntimeError(f"it does not come to an end:\n{server.log}")
        time.sleep(0.01)


@contextlib.contextmanager
def _wrk(url: str, wanted: bool) -> Iterator[subprocess.Popen[str] | None]:
    """wrk, as long as the block takes; nobody knows yet how long that is, so it is interrupted."""
    if not wanted:
        yield None
        return
    command = [needs("wrk"), "-t1", "-c16", "-d600", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _wrk_said(process: subprocess.Popen[str]) -> tuple[str, Counter[str]]:
    """What wrk says of its requests, and how many of them went how."""
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    requests = re.search(r"(\d+) requests in", said)
    if not requests:
        return said, Counter(failed=1)
    faults = re.findall(r"^ *(Socket errors:.*|Non-2xx.*)$", said, re.MULTILINE)
    # "Socket errors: connect 0, read 1, write 0, timeout 0", "Non-2xx or 3xx responses: 2"
    failed = sum(int(number) for number in re.findall(r" (\d+)(?:,|$)", "\n".join(faults), re.MULTILINE))
    told = f"{requests[1]} requests, {'; '.join(faults) or 'no error of any kind'}"
    return told, Counter(ok=int(requests[1]), failed=failed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--restart", action="store_true", help="end the workers one by one instead")
    parser.add_argument("--wrk", action="store_true", help="have wrk ask beside the clients")
    parser.add_argument("--tls", action="store_true", help="over TLS")
    options = parser.parse_args()
    line = ""
    for line in reloads(**vars(options)):
        print(line, flush=True)
    return 0 if " 0 failed, 0 reset" in line else 1


if __name__ == "__main__":
    sys.exit(main())
