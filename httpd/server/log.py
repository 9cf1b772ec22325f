"""Access log lines, in the combined format, written in batches.

    peer - user [22/Nov/2026:14:38:00 +0000] "GET / HTTP/1.1" 200 1024 "referer" "user agent"

The user is one whose password was found right, or "-".  What came from outside is escaped: a quote, a backslash, a
control or a byte beyond ASCII is written as \\xHH, so that no request can forge a line.  The lines of one turn of the
loop are written together, at its end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from ..net.report import Reporter
from ..net.timers import Timer, Timers
from ..protocol.grammar import late
from ..protocol.message import Head

__all__ = ["AccessLog", "Channel", "Log", "escape"]

logger = Reporter("httpd.server")

# Anything but printable ASCII without the quote and the backslash.  One class: an alternative takes five times as long.
_UNSAFE = late(r"[^ !#-\[\]-~]")
# What is safe stays as it is; what is unsafe becomes a space.
_MARKING = bytes([byte if 0x20 <= byte < 0x7F and byte not in b'"\\' else 0x20 for byte in range(256)])
# When nothing can be written (the disk is full), so many bytes of lines wait for better times; the oldest then go.
_MOST_WAITING = 1 << 20
# When whoever reads the log from a pipe does not keep up, it is offered the rest so much later, in seconds.
_LATER = 0.2
# When there is no descriptor to open the log anew with, it is tried again so much later, in seconds.
_REOPEN_LATER = 1.0


class Channel(Protocol):
    """What a log asks of the channel that has answered."""

    asked_at: float

    def request_id(self, asked: Head | str) -> str:
        """What the request is called."""
        ...


class Log(Protocol):
    """What a server asks of its access log."""

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
        """Log the answer to a parsed request; `size` is the content's length in bytes, `channel` has answered."""
        ...

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Channel) -> None:
        """Log the answer to bytes that were no request."""
        ...

    def reopen(self) -> None:
        """Open the file anew, after it was moved away."""
        ...

    def close(self) -> None:
        """Write what is left, and close the file."""
        ...


def escape(text: str) -> str:
    """Text that is safe between the quotes of a log line."""
    if _is_safe(text):
        return text
    return _UNSAFE.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in _bytes_of(found[0])), text)


def _is_safe(text: str) -> bool:
    # Most is; and to see that nothing changes costs less than to search, or to take out what is safe.
    return text.isascii() and (data := text.encode()).translate(_MARKING) == data


def _bytes_of(char: str) -> bytes:
    return bytes([ord(char)]) if ord(char) < 256 else char.encode("utf-8", "surrogateescape")


class AccessLog:
    """The access log on one descriptor: `target` is a path, "-" for standard output, or "off".

    To have other lines, derive from it and write `answered` and `refused` anew.
    """

    def __init__(self, target: str, timers: Timers, wall_clock: Callable[[], float] = time.time) -> None:
        self._target = target
        self._timers = timers
        self._wall_clock = wall_clock
        self._lines: list[str] = []
        self._unwritten = b""
        self._taken_at = -1.0
        self._second = -1
        self._stamp = ""
        self._failed = False
        self._later: Timer | None = None
        self._fd = self._open()
        self._room = _room_of(self._fd)

    def _open(self, how: int = 0) -> int:
        if self._target == "off":
            return -1
        if self._target == "-":
            # A program started without standard output has none.
            return sys.stdout.fileno() if sys.stdout else -1
        return os.open(self._target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | how, 0o644)

    def reopen(self) -> None:
        """Open the file anew, after it was moved away.  Keeps the old one when that fails."""
        if self._fd < 0 or self._target == "-":
            return
        self.flush()
        try:
            # A pipe that nobody reads must not hold up the loop.
            fd = self._open(os.O_NONBLOCK)
        except OSError as why:
            logger.error("cannot reopen the access log: %s", why)
            if why.errno in (errno.EMFILE, errno.ENFILE):
                self._timers.call_later(_REOPEN_LATER, self.reopen)
            return
        os.close(self._fd)
        self._fd = fd
        self._room = _room_of(fd)

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
        if self._fd < 0:
            return
        user, line, client = head.logged or self.remember(head)
        if self._taken_at != self._timers.now:
            self._take_the_time()
        self._add(f'{peer or "unix:"} - {user} [{self._stamp}] "{line}" {status} {size} {client}\n')

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Channel) -> None:
        if self._fd >= 0:
            self._take_the_time()
            self._add(f'{peer or "unix:"} - - [{self._stamp}] "{escape(request_line)}" {status} {size} "-" "-"\n')

    def remember(self, head: Head) -> tuple[str, str, str]:
        """A head's user, its request-line, and its Referer and User-Agent, as the log has them; kept with the head."""
        get = head.headers.combined.get
        user, line, referer, agent = head.user, head.request_line, get("referer", "-"), get("user-agent", "-")
        # Asked once for all of it.
        if not _is_safe(f"{user}{line}{referer}{agent}"):
            user, line, referer, agent = map(escape, (user, line, referer, agent))
        logged = head.logged = user.replace(" ", "\\x20") if user else "-", line, f'"{referer}" "{agent}"'
        return logged

    def _take_the_time(self) -> None:
        self._taken_at = self._timers.now
        second = int(self._wall_clock())
        if second != self._second:
            self._second = second
            self._stamp = self.stamp(second)

    def stamp(self, second: int) -> str:
        """A time, in seconds since 1970, as the format has it."""
        parts = time.localtime(second)
        return time.strftime(f"%d/{_MONTHS[parts.tm_mon - 1]}/%Y:%H:%M:%S %z", parts)

    def _add(self, line: str) -> None:
        # Where a pipe's reader is waited for, all that it has not taken would be copied every turn for nothing.
        if not self._lines and (self._later is None or self._room is None):
            self._timers.call_last(self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what has been logged.  What cannot be written waits, up to a bound; the server goes on."""
        if self._lines or self._unwritten:
            data = self._unwritten + "".join(self._lines).encode("ascii", "backslashreplace")
            self._lines.clear()
            self._unwritten = self._write(data)

    def _write(self, data: bytes) -> bytes:
        try:
            data = data[self._written(data) :]
            self._failed = False
        except OSError as why:
            if not self._failed:
                self._failed = True
                logger.error("cannot write the access log: %s", why)
        if data and self._later is None and not self._failed:
            self._later = self._timers.call_later(_LATER, self._try_again)
        # What goes ends with a line, and the line end is kept: the file's last line may be written by half.
        return data[data.find(b"\n", -_MOST_WAITING) :] if len(data) > _MOST_WAITING else data

    def _written(self, data: bytes) -> int:
        """Write what is taken without waiting, and say how much that was: whoever reads a pipe may be asleep."""
        if self._room is None:
            return os.write(self._fd, data)
        count = 0
        try:
            # Where there is any room, so much is taken whole.
            while count < len(data) and self._room.poll(0):
                # Whole lines, where they are not longer: other processes may write into the same pipe.
                end = data.rfind(b"\n", count, count + select.PIPE_BUF) + 1
                count += os.write(self._fd, data[count : end or count + select.PIPE_BUF])
        except OSError as why:
            if not count and why.errno != errno.EAGAIN:
                raise
        return count

    def _try_again(self) -> None:
        self._later = None
        self.flush()

    def close(self) -> None:
        """Write what is left, and close the file."""
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):
            self.flush()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._target != "-":
            os.close(self._fd)
        self._fd = -1


def _room_of(fd: int) -> Any:
    """What tells whether a write would be taken at once; None for a file, which takes everything."""
    if fd < 0 or stat.S_ISREG(os.fstat(fd).st_mode) or not hasattr(select, "poll"):
        return None
    room = select.poll()
    room.register(fd, select.POLLOUT)
    return room


# The log's months are English, whatever the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
