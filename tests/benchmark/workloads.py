"""What is asked of the servers: the files, and for each workload the command that asks for them."""

from __future__ import annotations

import http.client
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .peers import Running, program

_LUA = Path(__file__).with_name("browser.lua")
_PIPELINED = Path(__file__).with_name("pipelined.py")


@dataclass(frozen=True)
class Workload:
    """`command(running, seconds)` is a run of wrk or ab against a peer of that kind, for about that long.

    `goal` is what this server's processor time for a request, divided by the reference's, is to be at the most; for
    pages it is the least that its requests a second are to be.
    """

    name: str
    title: str
    command: Callable[[Running, float], list[str]]
    goal: float
    kind: str = "files"


def lay_out(folder: Path) -> None:
    """Write the files that the workloads ask for: random, so that nothing on the way makes them smaller."""
    source = random.Random(1)
    (folder / "many").mkdir(parents=True)
    (folder / "1k.html").write_bytes(_words(source, 1024))
    (folder / "100k.bin").write_bytes(source.randbytes(100 * 1024))
    (folder / "1m.bin").write_bytes(source.randbytes(1 << 20))
    (folder / "64m.bin").write_bytes(source.randbytes(1 << 20) * 64)
    for number in range(200):
        (folder / "many" / f"{number:03}.html").write_bytes(_words(source, 4096))


def _words(source: random.Random, size: int) -> bytes:
    return "".join(source.choices("abcdefghij \n", k=size)).encode()


# ---- the two tools


def _wrk(path: str, *options: str) -> Callable[[Running, float], list[str]]:
    def command(running: Running, seconds: float) -> list[str]:
        return [needed("wrk"), "-t1", "-c32", f"-d{_whole(seconds)}s", *options, running.url + path]

    return command


def _conditional(running: Running, seconds: float) -> list[str]:
    """With the validators of the peer's own first answer."""
    connection = http.client.HTTPConnection("127.0.0.1", running.place.port, timeout=10)
    connection.request("GET", "/1k.html")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    options = []
    for field, validator in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified")):
        if value := answer.getheader(validator):
            options += ["-H", f"{field}: {value}"]
    return _wrk("/1k.html", *options)(running, seconds)


def _ab(path: str, *options: str) -> Callable[[Running, float], list[str]]:
    def command(running: Running, seconds: float) -> list[str]:
        # -t implies -n 50000, so -n comes after it.
        limits = ["-t", str(_whole(seconds)), "-n", "10000000"]
        return [needed("ab"), "-q", "-r", *limits, "-c", "32", *options, running.url + path]

    return command


def _downloads(running: Running, seconds: float) -> list[str]:
    """A fixed number: a 64 MB download that the end of the time cuts would count as none."""
    count = max(16, int(10 * seconds))
    return [needed("ab"), "-q", "-k", "-n", str(count), "-c", "4", f"{running.url}/64m.bin"]


def _pipelined(running: Running, seconds: float) -> list[str]:
    return [sys.executable, str(_PIPELINED), str(running.place.port), str(seconds)]


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


def needed(name: str) -> str:
    """The path of a program; ends the benchmark where there is none."""
    path = program(name)
    if path is None:
        raise SystemExit(f"{name} is needed (Debian: apt-get install wrk apache2-utils)")
    return path


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("1k", "1 KB, kept connections (wrk, 32 at once)", _wrk("/1k.html"), 1.0),
        Workload(
            "browser",
            "200 files of 4 KB, ten fields, every head different (wrk, 32 at once)",
            _wrk("/", "-s", str(_LUA)),
            1.2,
        ),
        Workload("304", "conditional, not modified (wrk, 32 at once)", _conditional, 1.0),
        Workload("100k", "100 KB, kept connections (wrk, 32 at once)", _wrk("/100k.bin"), 1.0),
        Workload("1m", "1 MB, kept connections (wrk, 32 at once)", _wrk("/1m.bin"), 1.1),
        Workload("64m", "64 MB (ab -k, 4 at once)", _downloads, 1.1),
        Workload("close", "1 KB, HTTP/1.0, a connection each (ab, 32 at once)", _ab("/1k.html"), 1.1),
        Workload("ab", "1 KB, HTTP/1.0 keep-alive (ab -k, 32 at once)", _ab("/1k.html", "-k"), 1.0),
        Workload("pipelined", "1 KB, 1,000 requests in one write", _pipelined, 1.0),
        Workload("tls", "1 KB over TLS, kept connections (wrk, 32 at once)", _wrk("/1k.html"), 1.5, "tls"),
        Workload("page", "a template of 20 rows, escaped (wrk, 32 at once)", _wrk("/page"), 3.0, "page"),
    )
}
