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
from .events import Closed, Event, TraceHead
from .ndjson import event_lines, head_line
from .share import Share

__all__ = ["Ring"]

logger = Reporter("httpd.trace")

# How many files there are at the most, and how many bytes in all of them.
MOST_FILES = 500
MOST_BYTES = 64 << 20

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
        name = f"{stamp}-{os.getpid()}-{head.connection:06d}.ndjson"
        return partial(self._take, _File(name, head_line(head)))

    def _take(self, file: _File, event: Event) -> None:
        if file.gone:
            return
        if not file.waiting:
            if not self._unwritten:
                self._timers.call_later(_WRITE_AFTER, self.flush)
            self._unwritten.append(file)
        file.waiting.append(event)
        if type(event.what) is Closed:
            # The loop may have had its last turn.
            self._write(file)
            self._remove_oldest()

    # ---- writing

    def flush(self) -> None:
        """Write what was recorded, and remove what is too much.  What cannot be written is lost, and told once."""
        files, self._unwritten = self._unwritten, []
        for file in files:
            self._write(file)
        self._remove_oldest()

    def _write(self, file: _File) -> None:
        begins, lines = file.begins, file.lines()
        if not lines:
            return
        try:
            self._append(file.name, lines, begins)
            self._failed = False
        except OSError as why:
            # What lacks a part is no trace any more, and a file that was removed as too old stays away.
            file.gone = True
            if not self._failed and (begins or not isinstance(why, FileNotFoundError)):
                self._failed = True
                logger.error("cannot write a trace: %s", why)

    def _append(self, name: str, lines: bytes, begins: bool) -> None:
        path, size = os.path.join(self.folder, name), self._sizes.get(name, 0)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if begins else 0), 0o600)
        try:
            with open(fd, "ab") as file:
                file.write(lines)
        except OSError:
            # The last line may have been written in part.
            os.truncate(path, size) if size else os.unlink(path)
            raise
        self._sizes[name] = size + len(lines)
        self._total += len(lines)

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
    """One connection's file: what waits to be written, and how much there was; `gone` where nothing more is."""

    __slots__ = ("_head", "_share", "gone", "name", "waiting")

    def __init__(self, name: str, head: str) -> None:
        self.name = name
        self.waiting: list[Event] = []
        self.gone = False
        self._head = head
        self._share = Share()

    @property
    def begins(self) -> bool:
        """Whether nothing was written yet."""
        return bool(self._head)

    def lines(self) -> bytes:
        """What waits, as it is to be written; it waits no more."""
        text = self._head + event_lines(self._share.of(self.waiting)) if self.waiting else ""
        self._head, self.waiting = "", []
        self._share.bytes += len(text)
        return text.encode("ascii")
