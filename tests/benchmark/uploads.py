"""How much memory a large upload takes: by the upload box of the examples, and by a form that keeps it.

    python -m tests.benchmark.uploads

The box gives the file its name; the form stores it in SQLite, piece by piece.
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ..live import LiveServer
from ..tools import TOP

__all__ = ["Seen", "box", "form", "upload"]

_MEGABYTE = 1 << 20
_SIZE = 2_048
_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n'
_END = b"\r\n--x--\r\n"


class Seen(NamedTuple):
    """The server's resident memory before and at its most, in KB, and how long until the answer, in seconds."""

    status: int
    before: int
    most: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.status}, resident: {self.before:,} KB before, {self.most:,} KB at most, {self.seconds:.0f} s"


def box(folder: Path) -> LiveServer:
    """examples/apps/upload.py, which keeps files in the folder's `uploads`."""
    env = {"UPLOADS": str(folder / "uploads"), "PYTHONPATH": str(TOP / "examples" / "apps")}
    return LiveServer(None, "--app", "upload:site", "--access-log", "off", env=env)


def form(folder: Path) -> LiveServer:
    """A site with a form that takes a file, which is kept in the folder's `inbox.db`."""
    settings = folder / "httpd.toml"
    settings.write_text('forms."/send".fields.file = { type = "file", size = "4G" }\n')
    (folder / "site").mkdir()
    options = "--config", str(settings), "--inbox", f"sqlite:{folder}/inbox.db", "--access-log", "off"
    return LiveServer(folder / "site", *options)


def upload(server: LiveServer, path: str, megabytes: int) -> Seen:
    """Send a file of so many megabytes, after a small one, and look at the server's memory."""
    _send(server.port, path, b"first", 1)
    before, began = resident(server.pid)["VmRSS"], time.monotonic()
    status = _send(server.port, path, b"large", megabytes)
    return Seen(status, before, resident(server.pid)["VmHWM"], time.monotonic() - began)


def _send(port: int, path: str, name: bytes, megabytes: int) -> int:
    begin, piece = _HEAD % name, os.urandom(_MEGABYTE)
    length = len(begin) + megabytes * len(piece) + len(_END)
    lines = [
        f"POST {path} HTTP/1.1", "Host: a", "Content-Type: multipart/form-data; boundary=x",
        f"Content-Length: {length}", "Connection: close", "", "",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), 3_600) as sock:
        sock.sendall("\r\n".join(lines).encode() + begin)
        for _ in range(megabytes):
            sock.sendall(piece)
        sock.sendall(_END)
        return int(sock.recv(65_536).split()[1])


def resident(pid: int) -> dict[str, int]:
    """The resident memory of a process now and at its most, in KB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line[:5]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}


def main() -> None:
    """Measure both, and print what was seen."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmark.uploads", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--megabytes", type=int, default=_SIZE)
    options = parser.parse_args()
    for what, start, path in (("upload box", box, "/"), ("form", form, "/send")):
        with tempfile.TemporaryDirectory(prefix="httpd-uploads-") as name, start(Path(name)) as server:
            print(f"{what}, {options.megabytes:,} MB: {upload(server, path, options.megabytes)}", flush=True)


if __name__ == "__main__":
    main()
