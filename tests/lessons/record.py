"""Record the lessons' traces anew: python -m tests.lessons.record

Each is the server's own handler, or lesson 8's solution, on a scripted client and a scripted clock, so that it always
comes out the same.  tests/test_lessons.py compares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from httpd import Request, Response, Router, text
from httpd.net.producers import bytes_producer
from httpd.trace.events import Accepted, Blocked, Eof, Event, Received, Sent, TimedOut, Trace
from httpd.trace.ndjson import event_line, head_line
from httpd.trace.replay import play

from ..tools import TOP

LESSONS = TOP / "examples" / "lessons"
sys.path.append(str(LESSONS))

from judge import wires  # noqa: E402

__all__ = ["LESSONS", "main", "recorded"]

site = Router()


@site.get("/tide")
def tide(request: Request) -> Response:
    """A small answer."""
    return text("High water at nine.\n")


@site.post("/log")
def log(request: Request) -> Response:
    """What was sent, by its length."""
    return text(f"{len(request.body)} bytes are in the log.\n")


@site.get("/chart")
def chart(request: Request) -> Response:
    """A larger one, given a piece at a time."""
    chart = b"~" * 100 + b"\n"
    return Response(bytes_producer(chart * 30, 1010), content_type="text/plain", length=len(chart) * 30)


Step = tuple[float, int, Any]  # milliseconds, the turn, and an input; bytes are a piece


def _trace(title: str, steps: Iterable[Step], **more: Any) -> Trace:
    """What the handler makes of these steps."""
    events = [Event(n, t, tick, what) for n, (t, tick, what) in enumerate(_inputs(steps))]
    played = play(Trace(wires.head(title, **more), events[:1]), events, site).trace
    # A scripted socket's descriptor is none that a process would have.
    played.events[0] = played.events[0]._replace(what=Accepted(wires.PEER, 6 + played.head.connection))
    return played


def _inputs(steps: Iterable[Step]) -> Iterator[Step]:
    at = 0
    for n, (t, tick, what) in enumerate(steps):
        if not n:
            yield t, tick, Accepted(wires.PEER, 7)
        if isinstance(what, bytes):
            yield t, tick, Received(at, len(what), what.decode("latin-1"), 0)
            at += len(what)
        else:
            yield t, tick, Eof(at) if what is Eof else what


def _turns(*turns: Any) -> list[Step]:
    """The inputs of each turn, 20 milliseconds after the one before."""
    return [
        (20.0 * n, n + 1, what) for n, turn in enumerate(turns) for what in (turn if isinstance(turn, list) else [turn])
    ]


def _bytes() -> Trace:
    return _trace("A request in three pieces", _turns(b"GET /ti", b"de HTTP/1.1\r\nHost: har", b"bour\r\n\r\n", Eof))


def _terminator() -> Trace:
    return _trace("Cut within the terminator", _turns(b"GET /tide HTTP/1.1\r", b"\nHost: harbour\r\n\r", b"\n", Eof))


def _two_terminators() -> Trace:
    content = b"two lines\r\n\r\nand more"
    post = b"POST /log HTTP/1.1\r\nHost: harbour\r\nContent-Length: %d\r\n\r\n" % len(content)
    get = b"GET /tide HTTP/1.1\r\nHost: harbour\r\n\r\n"
    return _trace(
        "A content that holds an empty line", _turns(post + content[:11], content[11:] + get[:5], get[5:], Eof)
    )


def _one_loop() -> tuple[Trace, Trace]:
    slow: list[Step] = [(0.0, 1, b"GET /tide HT"), (60.0, 4, b"TP/1.0\r\n"), (100.0, 6, b"\r\n"), (120.0, 7, Eof)]
    quick: list[Step] = [(0.0, 2, b"GET /tide HTTP/1.0\r\n"), (40.0, 4, b"\r\n"), (60.0, 5, Eof)]
    later = "1994-11-06T08:49:37.020Z"
    return _trace("The slow client", slow), _trace("The quick client", quick, connection=2, began=later)


def _producers() -> Trace:
    first = [b"GET /chart HTTP/1.0\r\n\r\n", _took(138), _took(300), Blocked("send")]
    rest = [_took(710), _took(1010), _took(1010), Eof]
    return _trace("A client that takes little at a time", _turns(first, [_took(500), Blocked("send")], rest))


def _took(length: int) -> Sent:
    """The kernel takes so many bytes of what it is offered."""
    return Sent(0, 0, length)


# The answer in plain text is a short one.
_PLAIN = b"GET /tide HTTP/1.1\r\nAccept: text/plain\r\n"


def _refusing() -> Trace:
    return _trace("A blank before the colon", _turns(_PLAIN + b"Host ", b": harbour\r\n", b"\r\n", Eof))


def _time() -> Trace:
    steps: list[Step] = [(6000.0 * n, n + 1, piece) for n, piece in enumerate([_PLAIN, b"X: ", b"a", b"b"])]
    return _trace(
        "A head that takes too long", [*steps, (20_000.0, 5, TimedOut("read header", 0.0)), (20_100.0, 6, Eof)]
    )


def _line_protocol() -> Trace:
    source = Path(__file__).with_name("solutions") / "08_line_protocol.py"
    names: dict[str, Any] = {"__name__": "solution"}
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), names)
    pieces = [b"PUT 4\r", b"\nbuoyGET", b" 1\r\nGET 2\r\nQU", b"IT\r\n"]
    trace: Trace = wires.talk(names["Board"], pieces, "A dialogue with the board").trace
    return trace


_RECORDERS: dict[str, Callable[[], Trace | Sequence[Trace]]] = {
    "01_bytes": _bytes,
    "02_terminator": _terminator,
    "03_two_terminators": _two_terminators,
    "04_one_loop": _one_loop,
    "05_producers": _producers,
    "06_refusing": _refusing,
    "07_time": _time,
    "08_line_protocol": _line_protocol,
}


def recorded() -> dict[str, str]:
    """Each trace's file by its name."""
    files = {}
    for name, record in _RECORDERS.items():
        made = record()
        traces = [made] if isinstance(made, Trace) else made
        for number, trace in enumerate(traces, 1):
            suffix = "" if number == 1 else f"_{number}"
            files[f"{name}{suffix}.ndjson"] = head_line(trace.head) + "".join(map(event_line, trace.events))
    return files


def main() -> None:
    """Write them."""
    for name, lines in recorded().items():
        (LESSONS / name).write_text(lines, encoding="ascii")


if __name__ == "__main__":
    main()
