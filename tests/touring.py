"""The tour as its visitors have it: `httpd tour` in a process of its own, and its console."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .live import LiveServer
from .tools import TOP

__all__ = ["Answered", "Tour", "tour"]

Answered = tuple[int, dict[str, str], bytes]


class Tour:
    """A tour under way, at `url`, with its console at `console`; both end without a slash."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.url = server.url.rstrip("/")
        assert server.wait_for("the console is at"), server.log
        found = re.search(r"the console is at (http://127\.0\.0\.1:\d+)/", server.log)
        assert found
        self.console = found[1]

    def ask(self, path: str, data: bytes | None = None, **fields: str) -> Answered:
        """(status, fields, content) of an answer, redirects followed; a path may be an address."""
        address = path if path.startswith("http") else self.url + path
        lines = {name.replace("_", "-"): value for name, value in fields.items()}
        request = urllib.request.Request(address, data, lines)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def page(self, path: str) -> str:
        """A page, as a browser asks for it."""
        status, fields, content = self.ask(path, Accept="text/html")
        assert status == 200, (path, status)
        assert fields["Content-Type"].startswith("text/html")
        return content.decode()

    def events(self, connection: int) -> list[dict[str, Any]]:
        """What the console has of a connection."""
        lines = self.ask(f"{self.console}/api/trace/{connection}")[2].decode().splitlines()
        return [json.loads(line) for line in lines[1:]]


@contextlib.contextmanager
def tour(folder: Path, *options: str, command: list[str] | None = None, **env: str) -> Iterator[Tour]:
    """A tour from that folder; it ends as one that is told to, with 0."""
    started = command or [sys.executable, "-m", "httpd"]
    env = env or {"PYTHONPATH": str(TOP)}
    with LiveServer(None, "--console", "0", *options, command=[*started, "tour"], cwd=folder, env=env) as server:
        yield Tour(server)
        assert server.stop() == 0, server.log
