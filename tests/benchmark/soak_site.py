"""The soak's server: a folder, an echo, a way to make descriptors scarce, and a page of the server's own figures."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from httpd import Request, Response, Router, Server, StaticFiles
from httpd import json as json_response
from httpd.site.entities import give_back

__all__ = ["FILES", "MOST_DESCRIPTORS", "content_of", "lay_out", "serve"]

# Few enough that the hostile clients can use them up.
MOST_DESCRIPTORS = 4_096

# name: size.  Up to 64 KB a file is sent from memory, beyond by sendfile.
FILES = {f"small-{size}.bin": size for size in (0, 1, 100, 1_000, 10_000, 65_536)} | {
    "large.bin": 1 << 20,
    "odd.bin": 300_007,
    "huge.bin": 8 << 20,
}


def content_of(name: str) -> bytes:
    """A file's bytes: the same for whoever asks, and at no two places alike."""
    return Random(name).randbytes(FILES[name])


def lay_out(folder: Path) -> None:
    """Write the files."""
    for name in FILES:
        (folder / name).write_bytes(content_of(name))


def serve(folder: Path, pipe: Connection) -> None:
    """Serve in this process; the port goes into the pipe."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, MOST_DESCRIPTORS))
    site = Router()
    server = Server(site, port=0, access_log=str(folder.parent / "access.log"))
    site.mount("/files", StaticFiles(folder))
    site.post("/echo")(echo)
    site.get("/hog")(_hog(server))
    site.get("/figures")(_figures(server))
    server.start()
    pipe.send(server.port)
    with server._signals():
        server.serve()


def echo(request: Request) -> Response:
    """The content that came."""
    return Response(request.body, content_type="application/octet-stream")


def _hog(server: Server) -> Callable[[Request], Response]:
    """Take every descriptor that is left, and give them back a little later."""

    def hog(request: Request) -> Response:
        taken: list[int] = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        server.timers.call_later(0.2, _close_all, taken)
        return json_response({"taken": len(taken)})

    return hog


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _figures(server: Server) -> Callable[[Request], Response]:
    """What must not grow.  Descriptors that a cache keeps are given back first: they would blur the count."""

    def figures(request: Request) -> Response:
        give_back()
        status = Path("/proc/self/status").read_text()
        resident = re.search(r"VmRSS:\s+(\d+)", status)
        assert resident
        return Response(
            json.dumps(
                {
                    "descriptors": len(os.listdir("/proc/self/fd")),
                    "resident": int(resident[1]),
                    "timers": len(server.timers),
                    "channels": len(server.map),
                    "processor": sum(os.times()[:2]),
                }
            ),
            content_type="application/json",
        )

    return figures
