"""A clock that the server moves: Server-Sent Events from a generator.

python examples/apps/clock.py        then open http://127.0.0.1:8000/
curl -N http://127.0.0.1:8000/ticks  the same, as it is sent

The generator runs in the server's loop: it yields an event, and then how many seconds it waits.  When its page is
closed, so is the generator.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from httpd import Request, Response, Router, Server, StaticFiles, Templates, event, event_stream, last_event_id

HERE = Path(__file__).resolve().parent

site = Router()
templates = Templates(HERE / "templates")


def ticks(number: int) -> Iterator[str | float]:
    """The time a little after every full second, numbered from there on."""
    while True:
        number += 1
        yield event(time.strftime("%H:%M:%S"), kind="tick", ident=number)
        yield 1.01 - time.time() % 1


@site.get("/")
def page(request: Request) -> Response:
    """The clock's face."""
    return templates.response("clock.html")


@site.get("/ticks")
def stream(request: Request) -> Response:
    """The clock's work.  A browser that has lost it goes on counting where it was."""
    seen = last_event_id(request)
    return event_stream(ticks(int(seen) if seen.isdecimal() else 0))


site.mount("/", StaticFiles(HERE / "public"))

if __name__ == "__main__":
    Server(site, port=8000).run()
