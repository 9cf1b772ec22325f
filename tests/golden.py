"""Golden traces: what the channel does in the conversations that matter, event by event.

    python -m tests.golden            # write tests/traces/*.ndjson anew

`tests/test_golden.py` holds the code to them.  A change that alters one is looked at: `git diff tests/traces` shows it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import ECONNRESET, ENOTCONN
from pathlib import Path
from typing import Any

from httpd import Request, Response, Router, StaticFiles, Templates, text
from httpd.server.limits import Limits
from httpd.server.service import Site
from httpd.trace.events import Blocked, Eof, Failed, Sent, TimedOut, Told, Trace
from httpd.trace.ndjson import event_line, head_line
from httpd.trace.replay import cut

from .conversations import conversation, ended, head, postponed, received
from .exchange import Given, get, post
from .tools import TOP

__all__ = ["CONVERSATIONS", "TRACES", "Conversation", "golden_site", "recorded", "written"]

TRACES = TOP / "tests" / "traces"
PLAIN = "Accept: text/plain"
# Sun, 06 Nov 1994 08:49:37 GMT: every file of the site is as old as this.
_TIME = 784_111_777
LIMITS = Limits(request_line=60, head=400, body=1_000)


@dataclass(frozen=True)
class Conversation:
    """A title, what the client sends and takes, and the settings that matter."""

    title: str
    inputs: list[Any]
    limits: Limits = field(default_factory=Limits)
    sendfile: bool = False


def taken(*lengths: int) -> Iterator[Any]:
    """How much the client takes each time; 0 is nothing for now."""
    for length in lengths:
        yield Sent(0, 0, length) if length else Blocked("send")


POST = post(b"a=1&b=2", path="/echo")
TOO_LARGE = post(b"x" * 2_000, PLAIN, path="/echo")
WAITS = post(b"hello", "Expect: 100-continue", path="/echo")

CONVERSATIONS = {
    "get": Conversation("A page", ended(get())),
    "keep-alive": Conversation("Two requests on one connection, one after the other", ended(get(), get("/style.css"))),
    "pipelined": Conversation("Two requests in one piece", ended(get() + get("/style.css", "Connection: close"))),
    "cuts": Conversation("A head in pieces, cut in its end", ended(*cut(get(), [4, 22, 27, 28, 29]))),
    "post": Conversation("Content in three pieces", ended(*cut(POST, [20, len(POST) - 5, len(POST) - 1]))),
    "continue": Conversation("A client that waits to be told", ended(WAITS[:-5], WAITS[-5:])),
    "refused": Conversation("A space before the colon", ended(get("/", PLAIN, "Host : b"))),
    "limit": Conversation("A request-line that is too long", ended(get("/" + "a" * 80)), LIMITS),
    "timeout": Conversation(
        "Half a head, and then nothing",
        [*received(b"GET / HTTP/1.1\r\n" + PLAIN.encode() + b"\r\nHost:"), TimedOut("read header", 20_000.0), Eof(41)],
    ),
    "head": Conversation("HEAD", ended(get(method="HEAD"))),
    "not-found": Conversation("What is not there", ended(get("/nothing", PLAIN))),
    "not-modified": Conversation(
        "What the client has already", ended(get("/", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"))
    ),
    "template": Conversation(
        "A long page from a template, made while it is sent",
        [*received(get("/lines")), *taken(40_000, 0, 30_000), Eof(0)],
    ),
    "large-file": Conversation(
        "A large file, to a client that takes little at a time",
        [*received(get("/large.bin")), *taken(200, 50_000, 0, 100_000, 0, 7), Eof(0)],
        sendfile=True,
    ),
    "half-close": Conversation(
        "A client that has finished sending gets its answer whole",
        [*received(get("/style.css", "Connection: close")), *taken(100, 0, 50, 0), Eof(0)],
    ),
    "linger": Conversation(
        "Too much content: it is refused before it comes, and thrown away", ended(*cut(TOO_LARGE, [100, 500])), LIMITS
    ),
    "reset": Conversation(
        "A client that goes away in the middle of its answer",
        [*received(get("/large.bin")), *taken(200, 0), Failed("send", ECONNRESET, os.strerror(ECONNRESET))],
    ),
    "gone": Conversation(
        "A client that is refused and does not wait to be told",
        [*received(b"GET  / HTTP/1.0\r\n\r\n"), *taken(9_999), Failed("shutdown", ENOTCONN, os.strerror(ENOTCONN))],
    ),
    "postponed": Conversation("A handler whose work is done beside the loop", ended(get("/later", PLAIN))),
    "stalled": Conversation(
        "Content that has nothing yet, for a client that has finished sending",
        [*received(get("/slow", "Connection: close")), Eof(0), Told("wake")],
    ),
    "stopping": Conversation(
        "A server that stops in the middle of an answer",
        [*received(get("/slow")), Told("finish"), Told("wake"), Eof(0)],
    ),
    "mistake": Conversation("A handler that raises", ended(get("/mistake", PLAIN))),
}


def golden_site(folder: Path) -> Site:
    """The site of the golden traces; its files stand in `folder`, all equally old."""
    shutil.copytree(TRACES / "site", folder, dirs_exist_ok=True)
    (folder / "large.bin").write_bytes(bytes(range(256)) * 800)
    for path in (*folder.iterdir(), folder):
        os.utime(path, (_TIME, _TIME))
    site = Router()
    templates = Templates(TRACES / "templates")

    @site.get("/lines")
    def lines(request: Request) -> Response:
        return templates.response("lines.html", title="Lines", lines=[f"line {n}" for n in range(7_000)])

    @site.post("/echo")
    def echo(request: Request) -> Response:
        return text(request.body.decode())

    site.get("/later")(postponed())

    @site.get("/slow")
    def slow(request: Request) -> Response:
        # A replay asks again by itself, so it has nothing for some time.
        return Response(Given(b"not yet", *[None] * 5, b", now"), length=12)

    @site.get("/mistake")
    def mistake(request: Request) -> Response:
        raise ValueError("a mistake of the handler's")

    site.mount("/", StaticFiles(folder))
    return site


def recorded(name: str, site: Site) -> Trace:
    """One of the conversations, as the present code has it."""
    one = CONVERSATIONS[name]
    of = head(one.limits, title=one.title, sendfile=one.sendfile, data_limit=512)
    inputs = [_at_its_end(what, one.inputs) for what in one.inputs]
    return conversation(inputs, site, of).trace


def _at_its_end(what: Any, inputs: list[Any]) -> Any:
    """The peer's end, behind all that it has sent."""
    sent = sum(one.length for one in inputs if hasattr(one, "asked"))
    return Eof(sent) if isinstance(what, Eof) else what


def written(trace: Trace) -> str:
    """A trace as its file has it."""
    return head_line(trace.head) + "".join(map(event_line, trace.events))


def main() -> None:
    """Write every trace anew."""
    with tempfile.TemporaryDirectory() as folder:
        site = golden_site(Path(folder))
        for name in CONVERSATIONS:
            (TRACES / f"{name}.ndjson").write_text(written(recorded(name, site)), encoding="ascii")


if __name__ == "__main__":
    main()
