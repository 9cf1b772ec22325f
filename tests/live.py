"""A server of our own in a process of its own, for the tests that go over a real socket.

    with LiveServer(folder) as server:
        urllib.request.urlopen(server.url + "index.html")
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from .recorded import has_real_client, recorded
from .tools import TOP

__all__ = ["LiveServer"]

# The one thing that the command promises to print.
_ADDRESS = re.compile(r"(https?)://[^\s/]+:(\d+)/")


class LiveServer:
    """`python -m httpd DIR --port 0 …`, started and ended with the `with` block.

    Without a folder the options say what is served.  `url` ends in "/".  `log` is what the server printed so far,
    stdout and stderr together.  `python` and `env` let a test choose the interpreter and what it sees; by default it
    is this one, and the checkout.  What this process finds on PYTHONPATH is found there too, unless `env` sets it to
    nothing.
    """

    def __init__(
        self,
        folder: Path | str | None,
        *options: str,
        python: str = sys.executable,
        command: list[str] | None = None,
        env: dict[str, str] | None = None,
        cwd: Path | str = TOP,
    ) -> None:
        what = [] if folder is None else [str(folder)]
        self.command = [*(command or [python, "-m", "httpd"]), *what, "--port", "0", *options]
        self.env = {**os.environ, **(env or {}), "PYTHONUNBUFFERED": "1"}
        if self.env.get("PYTHONPATH"):
            self.env["PYTHONPATH"] = os.pathsep.join([self.env["PYTHONPATH"], os.environ.get("PYTHONPATH", "")])
        self.cwd = cwd
        self.scheme = "http"
        self.port = 0
        self._lines: list[str] = []
        self._known = threading.Event()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/"

    @property
    def log(self) -> str:
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self.process.pid

    def __enter__(self) -> LiveServer:
        self._ending = ExitStack()
        if folder := self._ending.enter_context(recorded(has_real_client() and "--workers" not in self.command)):
            self.env.setdefault("HTTPD_TRACE", folder)
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env, cwd=self.cwd
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._known.wait(60)
        if not self.port:
            with self._ending:
                self.stop()
            raise RuntimeError(f"the server named no address:\n{self.log}")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._ending:
            self.stop()

    def stop(self, sign: signal.Signals = signal.SIGTERM, patience: float = 15) -> int:
        """End the server, by force if it does not go by itself.  Its exit status (negative: killed)."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()
        return status

    def wait_for(self, text: str, patience: float = 5) -> bool:
        """Whether the server has printed `text` before the patience ends."""
        end = time.monotonic() + patience
        while text not in self.log and time.monotonic() < end:
            time.sleep(0.02)
        return text in self.log

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            if not self.port and (found := _ADDRESS.search(line)):
                self.scheme, self.port = found[1], int(found[2])
                self._known.set()
        self._known.set()
