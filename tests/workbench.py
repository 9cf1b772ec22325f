"""Something for real clients to work on: a folder, a few routes, a server, and a tap on its wire.

with workbench(tmp_path) as bench:
    (bench.folder / "page.html").write_text("hello")
    subprocess.run(["curl", bench.tap.url + "page.html"])
"""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from httpd import Limits, Request, Response, Router, Server, StaticFiles, html, redirect, text

from .exchange import serving
from .tap import Tap

__all__ = ["Workbench", "noise", "run", "together", "until", "workbench"]

BODY_LIMIT = 8 << 20

_LOGGED = re.compile(r'"((?:[^"\\]|\\.)*)" (\d{3}) (\d+) "')


@dataclass
class Workbench:
    """`uploads` is what came by PUT, `forms` what came by POST to /form; `healthy` is what /health tells."""

    folder: Path
    log: Path
    uploads: dict[str, bytes] = field(default_factory=dict)
    forms: list[list[tuple[str, str]]] = field(default_factory=list)
    healthy: bool = True
    server: Server = field(init=False)
    tap: Tap = field(init=False)

    def logged(self) -> list[tuple[str, int]]:
        """(request-line as escaped in the log, status) of every line of the access log."""
        return [(line, int(status)) for line, status, _ in _LOGGED.findall(self.log.read_text())]

    def site(self) -> Router:
        """The folder at "/", and the routes that take content."""
        site = Router()

        @site.get("/health")
        def health(request: Request) -> Response:
            return text("fine") if self.healthy else text("ill", 503)

        @site.post("/echo")
        def echo(request: Request) -> Response:
            return Response(request.body, content_type="application/octet-stream")

        @site.put("/upload/{name}")
        def upload(request: Request, name: str) -> Response:
            self.uploads[name] = request.body
            return text("stored\n", 201)

        @site.get("/upload/{name}")
        def stored(request: Request, name: str) -> Response:
            kind = "video/webm" if name.endswith(".webm") else "application/octet-stream"
            return Response(self.uploads[name], content_type=kind)

        @site.post("/form")
        def form(request: Request) -> Response:
            self.forms.append(list(request.form.items()))
            return redirect("/thanks")

        @site.get("/thanks")
        def thanks(request: Request) -> Response:
            return html("<!doctype html><title>Thanks</title><link rel=icon href=data:,><p>Thank you.")

        site.mount("/", StaticFiles(self.folder))
        return site


@contextlib.contextmanager
def workbench(tmp_path: Path) -> Iterator[Workbench]:
    """A workbench with an empty folder, at work.  Every connection is recorded, and obeys the laws."""
    bench = Workbench(tmp_path / "www", tmp_path / "access.log")
    bench.folder.mkdir()
    options: dict[str, Any] = {"access_log": str(bench.log), "limits": Limits(body=BODY_LIMIT)}
    with serving(bench.site(), always_recorded=True, **options) as server:
        bench.server = server
        with Tap(server.port) as tap:
            bench.tap = tap
            yield bench


def noise(size: int, seed: int = 7) -> bytes:
    """So many bytes, every value among them, in which no part is like another; the same ones every time."""
    return random.Random(seed).randbytes(size)


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None, status: int = 0) -> str:
    """What a program prints on its standard output; the test fails where it ends with another status."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, timeout=60)
    told = done.stdout.decode("utf-8", "replace")
    assert done.returncode == status, f"{done.returncode}\n{told}\n{done.stderr.decode('utf-8', 'replace')}"
    return told


def until(holds: Callable[[], bool], patience: float = 10) -> bool:
    """Whether something holds before the patience ends."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls, made at once, return."""
    results: list[Any] = [None] * len(calls)

    def run(number: int) -> None:
        results[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
