"""What real clients do is recorded, and obeys the laws of the trace.

A test with a real client is one marked `tools`: it drives a program that others have written.  While such a test is set
up and runs, each server that it gets (of `serving`, in a thread, or of `LiveServer`, as a process) writes the traces of
its connections into a folder, and is held to the laws when it has ended.  Of a process these are the newest 500, as
many as it keeps, and of one that was killed those that it had written by then.  Several workers cannot be recorded.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest

from httpd import Server
from httpd.trace.ndjson import read_trace
from httpd.trace.ring import Ring
from httpd.trace.tracing import Tracing

from .conversations import hold_live

__all__ = ["has_real_client", "hold_folder", "record", "recorded", "set_up", "tracing_of"]

# How many traces, and bytes of them, are more than any test makes.
_ALL = 1 << 40

_now: list[pytest.Item] = []
_tracings: WeakKeyDictionary[Server, Tracing] = WeakKeyDictionary()


def set_up(test: pytest.Item) -> None:
    """From now on servers are this test's."""
    _now[:] = [test]


def has_real_client() -> bool:
    """Whether the test that runs drives a real client."""
    return any(test.get_closest_marker("tools") for test in _now)


@contextlib.contextmanager
def recorded(wanted: bool) -> Iterator[str]:
    """A folder for the traces of a server, "" where none are wanted; the server ends before the `with` block does."""
    if not wanted:
        yield ""
        return
    with tempfile.TemporaryDirectory() as folder:
        # A server may be another user's.
        os.chmod(folder, 0o777)
        yield folder
        hold_folder(Path(folder))


def record(server: Server, folder: str) -> None:
    """Have all connections of a server in this process recorded there."""
    tracing = _tracings[server] = Tracing(Ring(folder, server.timers, files=_ALL, size=_ALL))
    tracing.attach(server)


def tracing_of(server: Server) -> Tracing:
    """What records a server's connections, or may do so: there is one for each server."""
    return _tracings.get(server) or Tracing()


def hold_folder(folder: Path) -> None:
    """The test fails where a trace in this folder breaks a law."""
    # One that was killed may have left a file without a line, or with half of one.
    whole = (path for path in sorted(folder.glob("*.ndjson")) if path.read_bytes().endswith(b"\n"))
    broken = hold_live(map(read_trace, whole))
    assert not broken, "\n".join(f"connection {connection}: {one}" for connection, one in broken)
