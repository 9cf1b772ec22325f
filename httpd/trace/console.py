"""The console: a second site, in the same loop, that shows what the first one does.

It is a site beside the server's own (`server.aside`), and its connections are never recorded.  It does things, too, so
it does them for nobody but its own pages: where it starts something, a request must carry the token that they have.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from itertools import groupby, islice
from typing import Any

from ..net.addresses import unbracketed
from ..net.listening import listen_at
from ..protocol.errors import HTTPError
from ..protocol.message import Head, Request, Response
from ..protocol.message import json as json_response
from ..resources import folder
from ..server.aside import Aside, sockets_at
from ..server.server import Server
from ..site.blocking import blocking
from ..site.router import Router
from ..site.static import StaticFiles
from ..site.templates import bundled
from .about import about
from .events import Closed, Event, Received, Refused, RequestLine, Sent, StateChanged, Trace
from .feed import Feed
from .lab import Doors, Lab, read_experiment
from .lessons import Anchor, Lesson
from .ndjson import event_line, head_line
from .player import player_json, title_of
from .presets import presets_json
from .sentences import sentence
from .shelf import Brought, lessons_folder, lessons_in, names_in, trace_brought, trace_in
from .store import Store
from .tracing import Tracing

__all__ = ["PORT", "Console", "console_site", "open_console"]

# Where it is, if the port is free and nobody says otherwise.
PORT = 8001
# How many requests of a connection are listed.
_MOST_REQUESTS = 20

# Addresses at which a server can be had at 127.0.0.1.
_REACHED = {"", "0.0.0.0", "::", "127.0.0.1", "localhost"}
# What the kernel holds of an answer to a slow reader: else it would take a megabyte before anyone waits.
_NARROW = 4_096


class Console:
    """What the console's site answers with: the newest connections, the feed, the lab; `folder` has saved traces,
    `site` is the address of the server that is watched.
    """

    def __init__(self, store: Store, feed: Feed, lab: Lab, *, folder: str = "", site: str = "") -> None:
        self.store = store
        self.feed = feed
        self.lab = lab
        self.folder = folder
        self.site = site
        self.lessons = lessons_folder()
        self.token = secrets.token_urlsafe(32)

    # ---- pages

    def page(self, name: str, **values: Any) -> Response:
        """A page of the console; each has the token."""
        return bundled().response(f"console/{name}.html", token=self.token, page=name, lessons=self.lessons, **values)

    # ---- data

    def trace(self, connection: int) -> Trace:
        """A connection's trace, as it is now.  Raises HTTPError 404."""
        trace = self.store.get(connection)
        if trace is None:
            raise HTTPError(404, f"Connection {connection} is not here, or not any more.")
        # It may go on while a thread reads it.
        return Trace(trace.head, list(trace.events))

    def file(self, name: str) -> Trace:
        """A saved trace.  Raises HTTPError 404, 413 or 422."""
        return trace_in(self.folder, name)

    def lesson_trace(self, name: str) -> Trace:
        """A trace that a lesson points into.  Raises HTTPError as `file` does."""
        return trace_in(self.lessons, name)

    def all_lessons(self) -> list[Lesson]:
        """The lessons, in their order."""
        return list(lessons_in(self.lessons).values())

    def lesson(self, number: int) -> Response:
        """A lesson's page.  Raises HTTPError 404."""
        every = {lesson.number: (file, lesson) for file, lesson in lessons_in(self.lessons).items()}
        if number not in every:
            raise HTTPError(404, "There is no such lesson; or its file does not begin with its text just now.")
        file, lesson = every[number]
        traces = dict.fromkeys(block.trace for block in lesson.blocks if isinstance(block, Anchor))
        # Neighbouring anchors make one list.
        parts = [(kind.__name__, list(blocks)) for kind, blocks in groupby(lesson.blocks, type)]
        _, following = every.get(number + 1, (None, None))
        return self.page("lesson", file=file, lesson=lesson, parts=parts, traces=list(traces), following=following)

    def files(self) -> list[str]:
        """The names of the newest saved traces."""
        return names_in(self.folder)

    # ---- what only its own pages may ask for

    def permit(self, head: Head) -> None:
        """Raises HTTPError 403 for a request without the token."""
        token = head.headers.get("x-console-token").encode("latin-1", "replace")
        if not hmac.compare_digest(token, self.token.encode("ascii")):
            raise HTTPError(403, "Only a page of the console starts something; reload it.")

    def start(self, request: Request) -> Response:
        """Begin an experiment.  Raises HTTPError: 403 without the token, 400, 409."""
        self.permit(request.head)
        try:
            asked = json.loads(request.body)
        except (ValueError, RecursionError):
            raise HTTPError(400, "The content is not JSON.") from None
        return json_response({"run": self.lab.start(read_experiment(asked))}, 202)


def console_site(console: Console) -> Callable[[Request], Response]:
    """The console's site.

    What tells all of a connection, or reads a file, is `blocking`: it does not hold up the server that it tells of.
    """
    site = Router()
    _add_pages(site, console)
    _add_lessons(site, console)
    _add_data(site, console)
    _add_requests(site, console)
    site.mount("/console", StaticFiles(os.path.join(folder("static"), "console"), listing=False))
    return site


def _add_pages(site: Router, console: Console) -> None:
    @site.get("/")
    def connections(request: Request) -> Response:
        newest = [summary(trace) for trace in console.store][::-1]
        return console.page("connections", connections=newest, files=console.files(), site=console.site)

    @site.get("/wire/{connection:int}")
    def wire(request: Request, connection: int) -> Response:
        return console.page("wire", title=title_of(console.trace(connection)), source=f"/api/player/{connection}")

    @site.get("/wire/file/{name}")
    @blocking
    def saved(request: Request, name: str) -> Response:
        return console.page("wire", title=title_of(console.file(name)), source=f"/api/player/file/{name}")

    @site.get("/open")
    def opened(request: Request) -> Response:
        return console.page("open")

    @site.get("/lab")
    def lab(request: Request) -> Response:
        return console.page("lab")


def _add_lessons(site: Router, console: Console) -> None:
    @site.get("/lessons")
    def lessons(request: Request) -> Response:
        return console.page("lessons", every=console.all_lessons())

    @site.get("/lessons/{number:int}")
    def lesson(request: Request, number: int) -> Response:
        return console.lesson(number)

    @site.get("/wire/lesson/{name}")
    def wire(request: Request, name: str) -> Response:
        return console.page("wire", title=title_of(console.lesson_trace(name)), source=f"/api/player/lesson/{name}")

    @site.get("/api/player/lesson/{name}")
    @blocking
    def player(request: Request, name: str) -> Response:
        return _json(player_json(console.lesson_trace(name)))


def _add_data(site: Router, console: Console) -> None:
    @site.get("/api/connections")
    def connections(request: Request) -> Response:
        return json_response([summary(trace) for trace in console.store])

    @site.get("/api/trace/{connection:int}")
    @blocking
    def trace(request: Request, connection: int) -> Response:
        return _lines(console.trace(connection))

    @site.get("/api/file/{name}")
    @blocking
    def file(request: Request, name: str) -> Response:
        return _lines(console.file(name))

    @site.get("/api/player/{connection:int}")
    @blocking
    def player(request: Request, connection: int) -> Response:
        return _json(player_json(console.trace(connection)))

    @site.get("/api/player/file/{name}")
    @blocking
    def saved_player(request: Request, name: str) -> Response:
        return _json(player_json(console.file(name)))

    @site.get("/api/about")
    def channel(request: Request) -> Response:
        return json_response(about())

    @site.get("/api/sentences/{connection:int}")
    @blocking
    def sentences(request: Request, connection: int) -> Response:
        return json_response([sentence(event.what) for event in console.trace(connection).events])

    @site.get("/api/feed")
    def feed(request: Request) -> Response:
        return console.feed.response(request.headers.get("last-event-id"))

    @site.get("/api/presets")
    def presets(request: Request) -> Response:
        return json_response(presets_json())

    @site.get("/api/lab/{run:int}")
    def result(request: Request, run: int) -> Response:
        return json_response(console.lab.result(run))


def _add_requests(site: Router, console: Console) -> None:
    """What only a page of the console may ask for."""
    site.post("/api/lab")(console.start)

    @site.post("/api/open", body=Brought(console.permit))
    @blocking
    def opened(request: Request) -> Response:
        console.permit(request.head)
        return _json(player_json(trace_brought(request)))


def _lines(trace: Trace) -> Response:
    text = head_line(trace.head) + "".join(map(event_line, trace.events))
    return Response(text, content_type="application/x-ndjson")


def _json(text: str) -> Response:
    return Response(text, content_type="application/json")


# ---- what a connection has come to


def summary(trace: Trace) -> dict[str, Any]:
    """A connection in a few words, as JSON takes them."""
    head, events = trace.head, trace.events
    end = events[-1].what if events and type(events[-1].what) is Closed else None
    return {
        "connection": head.connection,
        "peer": head.peer,
        "began": head.began,
        "closed": end is not None,
        "by": end.by if end else "",
        "events": len(events),
        "bytes_in": _reached(events, Received),
        "bytes_out": _reached(events, Sent),
        "state": next((one.what.new for one in reversed(events) if type(one.what) is StateChanged), "read header"),
        "requests": list(islice(_asked(events), _MOST_REQUESTS)),
    }


def _asked(events: list[Event]) -> Iterator[str]:
    """What was asked for, or refused before it was known."""
    for event in events:
        what = event.what
        if type(what) is RequestLine:
            yield f"{what.method} {what.target} {what.version}"
        elif type(what) is Refused:
            yield f"refused, {what.status}"


def _reached(events: list[Event], kind: type[Received] | type[Sent]) -> int:
    """How far the stream of one direction has come."""
    return next((one.what.start + one.what.length for one in reversed(events) if type(one.what) is kind), 0)


# ---- beside a server


def open_console(server: Server, tracing: Tracing, port: int, folder: str = "") -> int:
    """Have a started server's connections recorded and shown at a port of the loopback address, -1 being the usual one
    or any; which port that is.

    `tracing` need not be attached; `folder` is where it saves traces.  Raises OSError where the port cannot be had.
    """
    sockets = sockets_at(port, PORT)
    feed = Feed(server.timers)
    store = Store(feed.tell)
    lab = Lab(_doors(server), store, map=server.map, timers=server.timers)
    tracing.sinks.append(lab)
    tracing.attach(server)
    Aside(server, console_site(Console(store, feed, lab, folder=folder, site=server.url)), sockets)
    return int(sockets[0].getsockname()[1])


def _doors(server: Server) -> Doors:
    """Where the lab reaches the site in plain HTTP: at the server's own port, or else at one for the lab alone."""
    own = server.tls is None and not _REACHED.isdisjoint(map(unbracketed, server.bind))
    usual = ("127.0.0.1", server.port) if own else _door(server)
    return Doors(usual, _door(server, _NARROW))


def _door(server: Server, buffer: int = 0) -> tuple[str, int]:
    """Another port of the site, for this machine; of what it sends, the kernel holds no more than `buffer` bytes."""
    [sock] = listen_at(["127.0.0.1"], 0)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    server.also_listen(sock, server.welcome)
    return "127.0.0.1", sock.getsockname()[1]
