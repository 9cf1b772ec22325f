"""`httpd show FILE`: a recorded connection in the terminal, a line an event, and whether it obeys the laws."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..command_parser import CommandParser
from .events import Event, Trace
from .laws import check
from .ndjson import NotATrace, read_trace, schema
from .sentences import sentence
from .terminal import Screen, widths_for

__all__ = ["json_of", "main", "read_or_explain", "written_for_a_reader"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 shown, 1 a law is broken, 2 nothing could be shown."""
    parser = CommandParser(prog="httpd show", description="Show a recorded connection, an event a line.")
    parser.add_argument("file", nargs="?", metavar="FILE", help="a trace, as httpd --trace=FOLDER writes them")
    parser.add_argument(
        "--json", action="store_true", help="an object a line: the event, and what it says in a sentence"
    )
    parser.add_argument("--schema", action="store_true", help="the JSON Schema of a trace's lines")
    options = parser.parse_args(argv)
    if options.schema:
        return written_for_a_reader(lambda: _print(json.dumps(schema(), indent=2)))
    if options.file is None:
        parser.error("name a trace: FILE")
    trace = read_or_explain(options.file, "httpd show")
    if trace is None:
        return 2
    return written_for_a_reader(lambda: _show_json(trace) if options.json else _show(trace))


def read_or_explain(path: str, who: str) -> Trace | None:
    """The trace in a file; None where there is none, which was said."""
    try:
        return read_trace(path)
    except NotATrace as why:
        print(f"{who}: {path} is not a trace that can be read: {why}", file=sys.stderr)
    except IsADirectoryError:
        print(f"{who}: {path} is a folder; name one of the traces in it", file=sys.stderr)
    except OSError as why:
        print(f"{who}: cannot read {path}: {why.strerror or why}", file=sys.stderr)
    return None


def written_for_a_reader(write: Callable[[], int]) -> int:
    """What `write()` returns; 0 where the reader of a pipe has had enough."""
    try:
        status = write()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whatever is left in the buffer goes nowhere, and without a complaint.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130


def _show(trace: Trace) -> int:
    screen = Screen(widths=widths_for(trace.events))
    head = trace.head
    who = f"{head.peer or 'a unix socket'} to {head.local}" if head.local else head.peer
    title = f"{head.title}: " if head.title else ""
    screen.heading(f"{title}connection {head.connection}, {who}, {head.began}")
    for event in trace.events:
        screen.event(event)
    broken = check(trace.events)
    screen.laws(broken, len(trace.events))
    return 1 if broken else 0


def _show_json(trace: Trace) -> int:
    for event in trace.events:
        _print(json.dumps(json_of(event)))
    return 1 if check(trace.events) else 0


def json_of(event: Event) -> dict[str, Any]:
    """An event as an object, with its sentence."""
    n, t, tick, what = event
    return {
        "n": n, "t": t, "tick": tick, "name": event.name, "data": dict(_plain(what)), "text": sentence(what),
    }  # fmt: skip


def _plain(record: Any) -> Iterator[tuple[str, Any]]:
    for name, value in record._asdict().items():
        if isinstance(value, tuple):
            value = [one._asdict() if hasattr(one, "_asdict") else list(one) for one in value]
        yield name, value


def _print(text: str) -> int:
    sys.stdout.write(text + "\n")
    return 0
