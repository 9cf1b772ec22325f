"""A folder of traces, a file a connection, as a ring: the oldest files go when there are too many, or too much in them.

What is recorded is written ten times a second, and no file stays open: a crash loses little, and tracing takes no
descriptors from the connections.  A connection that does too much is cut short in its file, with `trace:truncated`
before its last event.  Only files that are named as a ring names them are ever removed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import partial

from ..net.report import Reporter
from ..net.timers import Timers
from .events import Closed, Event, TraceHead, Truncated
from .ndjson import event_line, head_line

__all__ = ["Ring"]

logger = Reporter("httpd.trace")

# How many files there are at the most, and how many bytes in all of them.
MOST_FILES = 500
MOST_BYTES = 64 << 20
# How much one connection may write: events, and bytes.
MOST_EVENTS = 20_000
MOST_BYTES_EACH = 4 << 20

# How long what was recorded waits for more, in seconds: a file is opened each time.
_WRITE_AFTER = 0.1
# Sorted by name they are sorted by time.
_NAME = re.compile(r"\d{8}T\d{6}-\d+-\d{6,}\.ndjson")


class Ring:
    """A sink that writes into `folder`, which is made if it is not there.  Raises OSError where that cannot be.

    `timers` are the server's.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        timers: Timers,
        *,
        files: int = MOST_FILES,
        size: int = MOST_BYTES,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder = os.fspath(folder)
        self._timers = timers
        self._most_files = files
        self._most_bytes = size
        self._wall_clock = wall_clock
        self._unwritten: list[_File] = []
        self._failed = False
        self._sizes: dict[str, int] = {}
        self._total = 0
        self._adopt()

    def _adopt(self) -> None:
        """Take over what another run has left."""
        with os.scandir(self.folder) as entries:
            found = sorted((entry.name, entry.stat().st_size) for entry in entries if _NAME.fullmatch(entry.name))
        self._sizes = dict(found)
        self._total = sum(self._sizes.values())

    def __call__(self, head: TraceHead) -> Callable[[Event], None]:
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._wall_clock()))
        file = _File(f"{stamp}-{os.getpid()}-{head.connection:06d}.ndjson")
        self._add(file, head_line(head))
        return partial(self._take, file)

    def _take(self, file: _File, event: Event) -> None:
        if file.events < MOST_EVENTS and file.bytes < MOST_BYTES_EACH:
            file.events += 1
            self._add(file, event_line(event))
        else:
            for line in file.lines_instead(event):
                self._add(file, line)
        if type(event.what) is Closed:
            # The loop may have had its last turn.
            self.flush()

    def _add(self, file: _File, line: str) -> None:
        if not file.waiting:
            if not self._unwritten:
                self._timers.call_later(_WRITE_AFTER, self.flush)
            self._unwritten.append(file)
        file.waiting.append(line)
        file.bytes += len(line)

    # ---- writing

    def flush(self) -> None:
        """Write what was recorded, and remove what is too much.  What cannot be written is lost, and told once."""
        files, self._unwritten = self._unwritten, []
        for file in files:
            lines, file.waiting = "".join(file.waiting).encode("ascii"), []
            try:
                self._append(file.name, lines)
                self._failed = False
            except OSError as why:
                if not self._failed:
                    self._failed = True
                    logger.error("cannot write a trace: %s", why)
        self._remove_oldest()

    def _append(self, name: str, data: bytes) -> None:
        fd = os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        self._sizes[name] = self._sizes.get(name, 0) + len(data)
        self._total += len(data)

    def _remove_oldest(self) -> None:
        while len(self._sizes) > self._most_files or (self._total > self._most_bytes and len(self._sizes) > 1):
            name = next(iter(self._sizes))
            self._total -= self._sizes.pop(name)
            try:
                os.unlink(os.path.join(self.folder, name))
            except FileNotFoundError:
                pass
            except OSError as why:
                logger.error("cannot remove an old trace: %s", why)


class _File:
    """One connection's file: what waits to be written, and how much there was."""

    __slots__ = ("_dropped", "_first_dropped", "bytes", "events", "name", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: list[str] = []
        self.events = self.bytes = 0
        self._dropped = 0
        self._first_dropped: Event | None = None

    def lines_instead(self, event: Event) -> list[str]:
        """What to write of an event beyond the bounds: nothing, but at the end how much that was, and the end."""
        if type(event.what) is not Closed:
            self._first_dropped = self._first_dropped or event
            self._dropped += 1
            return []
        if self._first_dropped is None:
            return [event_line(event)]
        return [event_line(self._first_dropped._replace(what=Truncated(self._dropped))), event_line(event)]
