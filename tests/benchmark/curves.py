"""What a request costs as work grows: `python -m tests.benchmark.curves [--html FILE]`.

Each figure is processor time of this process, the least of several runs; only for connections it is that of a server
of its own.  A straight line through all of it would say linear; most are flat, and the sentence beside each says why.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from httpd import Limits, StaticFiles, http_request_handler
from httpd.net import asyncore
from httpd.net.interest import ChannelMap
from httpd.net.timers import Timers
from httpd.protocol.head import HeadParser
from httpd.server.service import Service
from httpd.site.entities import Entities
from httpd.trace.events import Event, TraceHead
from httpd.trace.steps import traced
from httpd.trace.tracing import Tracing

from ..factories import answered, request
from .footprint import held
from .measure import machine, processor_time
from .peers import PEERS, Place, free_port, started

__all__ = ["CURVES", "Curve", "main"]

Point = tuple[int, float]

# The width of a number of six digits, in the plot's own measure.
_ROOM = 52


@dataclass(frozen=True)
class Curve:
    """What one unit of work costs, in microseconds of processor, by how much there is of something.

    `because` is the sentence that says why it grows so, and no more.
    """

    title: str
    grows: str
    unit: str
    because: str
    points: list[Point]

    def lines(self) -> Iterator[str]:
        """The curve as text."""
        yield f"\n{self.title}: microseconds of processor {self.unit}"
        for size, cost in self.points:
            yield f"  {size:>9,} {self.grows:12} {cost:12,.2f}"
        yield f"  {self.because}"

    def plot(self) -> dict[str, Any]:
        """What the page draws: both axes logarithmic, the lower one from 1."""
        most_size = math.log10(max(10, self.points[-1][0]))
        width = 416 / most_size
        costs = [math.log10(max(cost, 0.01)) for _, cost in self.points]
        low, high = math.floor(min(costs)), math.ceil(max(costs) + 0.001)
        places = [
            (
                round(84 + width * math.log10(max(1, size)), 1),
                round(150 - 130 * (cost - low) / (high - low), 1),
            )
            for (size, _), cost in zip(self.points, costs, strict=True)
        ]
        return {
            "curve": self,
            "low": f"{10.0**low:,g}",
            "high": f"{10.0**high:,g}",
            "line": " ".join(f"{x},{y}" for x, y in places),
            "marks": [
                {"x": x, "y": y, "size": f"{size:,}", "cost": f"{cost:,.2f}", "anchor": anchor}
                for (x, y), (size, cost), anchor in zip(
                    places, self.points, _anchors([x for x, _ in places]), strict=True
                )
            ],
        }


def _anchors(across: list[float]) -> Iterator[str]:
    """Where the words at each point stand, so that those of neighbours do not meet."""
    for before, here, after in zip([-math.inf, *across], across, [*across[1:], math.inf], strict=False):
        yield "end" if after - here < _ROOM else "start" if here - before < _ROOM else "middle"


def least(work: Callable[[], object], units: int, runs: int = 5) -> float:
    """Microseconds a unit in the best of the runs."""
    taken = []
    for _ in range(runs):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken) / units * 1e6


# ---- heads


def fields(folder: Path, quick: bool) -> Curve:
    """Heads that never come twice."""

    def head(count: int, number: int) -> bytes:
        lines = [f"X-Field-{one:03}: some value of a usual length {number}" for one in range(count - 1)]
        return "\r\n".join([f"GET /page/{number} HTTP/1.1", "Host: www.example.org", *lines]).encode()

    def cost(count: int) -> float:
        heads = [head(count, number) for number in range(300)]

        def work() -> None:
            parser = HeadParser(max_request_line=8_192, max_head=32_768, max_fields=100, max_body=1 << 20)
            for one in heads:
                parser.parse(one)

        return least(work, len(heads)) / count

    sizes = [2, 5, 10, 20, 50, 100]
    return Curve(
        "a head that is new",
        "fields",
        "a field",
        "One pattern passes over the bytes once.",
        [(n, cost(n)) for n in sizes],
    )


# ---- files


def files(folder: Path, quick: bool) -> Curve:
    """Requests to one file after the other, all remembered."""
    most = 10_000 if quick else 100_000
    place = folder / "files"
    place.mkdir()
    for number in range(most):
        (place / f"{number}.txt").write_bytes(b"some content\n")
        os.utime(place / f"{number}.txt", (1, 1))
    site = StaticFiles(place, entities=Entities(max_count=2 * most, max_bytes=1 << 30))

    def cost(count: int) -> float:
        step = max(1, count // 1_000)
        requests = [request(f"/{number}.txt") for number in range(0, count, step)]

        def work() -> None:
            for one in requests:
                site(one)

        if count > 1_000:
            for number in range(count):
                site(request(f"/{number}.txt"))
        work()
        return least(work, len(requests))

    sizes = [size for size in (1, 10, 100, 1_000, 10_000, 100_000) if size <= most]
    return Curve(
        "a remembered file",
        "files",
        "a request",
        "A dict finds what is remembered; what grows is how often the processor's caches do not have it.",
        [(n, cost(n)) for n in sizes],
    )


def entries(folder: Path, quick: bool) -> Curve:
    """A folder's page, made anew."""
    sizes = [size for size in (10, 100, 1_000, 10_000, 100_000) if not quick or size < 100_000]

    def cost(count: int) -> float:
        place = folder / f"listing-{count}"
        place.mkdir()
        for number in range(count):
            (place / f"{number:06}.txt").touch()

        def work() -> None:
            body = answered(StaticFiles(place), request("/")).body
            # It gives None where others should have their turn.
            while not isinstance(body, bytes) and body.more() != b"":
                pass

        return least(work, 1, 2 if count > 10_000 else 5) / count

    return Curve(
        "a listing",
        "entries",
        "an entry",
        "What is not of the entries, the page itself, is shared by more of them; sorting costs the logarithm.",
        [(n, cost(n)) for n in sizes],
    )


# ---- requests on a kept connection


class _NoLog:
    def answered(self, *what: Any) -> None:
        pass


def kept(folder: Path, quick: bool) -> Curve:
    """Requests on one connection, one after the other."""
    return _on_one_connection(
        folder, quick, None, "requests on a connection", "A connection keeps nothing of a request."
    )


def watched(folder: Path, quick: bool) -> Curve:
    """The same, traced in memory."""

    def newest(head: TraceHead) -> Callable[[Event], None]:
        events: list[Event] = []

        def keep(event: Event) -> None:
            events.append(event)
            if len(events) > 5_000:
                events.clear()

        return keep

    because = "Each step is one event, whatever came before."
    return _on_one_connection(folder, quick, newest, "requests on a traced connection", because)


def _on_one_connection(folder: Path, quick: bool, sink: Any, title: str, because: str) -> Curve:
    place = folder / title.replace(" ", "-")
    place.mkdir()
    (place / "a.txt").write_bytes(b"x" * 1024)
    os.utime(place / "a.txt", (1, 1))

    def cost(count: int) -> float:
        timers = Timers()
        service = Service(StaticFiles(place), limits=Limits(), timers=timers)
        kind = http_request_handler if sink is None else traced(http_request_handler, Tracing(sink).begin)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        log: Any = _NoLog()
        channel = kind(ours, ("127.0.0.1", 1), {}, log, service, map=ChannelMap())

        def work() -> None:
            for _ in range(count):
                theirs.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\n")
                asyncore.read(channel)
                theirs.recv(65_536)
                timers.tick()
                timers.run_due()

        taken = least(work, count, 3)
        channel.close()
        theirs.close()
        return taken

    sizes = [100, 1_000, 10_000] if quick else [100, 1_000, 10_000, 30_000]
    return Curve(title, "requests", "a request", because, [(n, cost(n)) for n in sizes])


# ---- connections


def connections(folder: Path, quick: bool) -> Curve:
    """Requests on 32 connections among others that are kept and say nothing."""
    _, descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    # Some are files, logs and listeners.
    most = min(1_000 if quick else 20_000, descriptors - 1_000)
    sizes = [*(size for size in (1, 10, 100, 1_000, 10_000) if size < most), most]
    place = Place(folder / "www", 0, folder / "scratch")
    place.folder.mkdir()
    (place.folder / "1k.html").write_bytes(b"x" * 1024)
    points = []
    limits = ["--limit", f"connections={most + 100}", "--limit", f"connections-per-address={most + 100}"]
    ours = replace(PEERS["httpd"], command=lambda at: [*PEERS["httpd"].command(at), *limits])
    for count in sizes:
        at = Place(place.folder, free_port(), folder / f"scratch-{count}")
        with started(ours, at) as running, held(at.port, count):
            client = _Busy(at.port)
            client.ask(500)
            costs = []
            for _ in range(3):
                before = processor_time(running)
                client.ask(10_000)
                costs.append((processor_time(running) - before) / 10_000 * 1e6)
            points.append((count, min(costs)))
    because = "Interest is kept in epoll and timers in a heap of few: an idle connection is not looked at."
    return Curve("one busy connection among idle ones", "connections", "a request", because, points)


class _Busy:
    """One connection that asks as fast as it is answered."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 30)

    def ask(self, count: int) -> None:
        for _ in range(count):
            self.sock.sendall(b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            self.sock.recv(65_536)


CURVES: dict[str, Callable[[Path, bool], Curve]] = {
    one.__name__: one for one in (fields, files, entries, kept, watched, connections)
}


def main() -> None:
    """Print each, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.curves", description=__doc__)
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=", ".join(CURVES) + "; all unless told")
    parser.add_argument("--quick", action="store_true", help="without the largest sizes")
    parser.add_argument("--html", type=Path, help="also write a page with the plots there")
    options = parser.parse_args()
    unknown = [name for name in options.curves if name not in CURVES]
    if unknown:
        parser.error(f"no curve {unknown[0]!r} among {', '.join(CURVES)}")
    drawn = []
    for name in options.curves or CURVES:
        with tempfile.TemporaryDirectory(prefix="httpd-curves-") as made:
            drawn.append(CURVES[name](Path(made), options.quick))
        print(*drawn[-1].lines(), sep="\n", flush=True)
    if options.html:
        from .page import write_page

        write_page(options.html, [machine(), "What a request costs as work grows."], curves=drawn)


if __name__ == "__main__":
    main()
