"""The access log in other forms than the combined one: with times, and as JSON.

    timed   the combined line, its time with milliseconds; then how long it took, in seconds, and the request's name
    json    one object a line, {"time": …, "id": …, "peer": …, …}

How long a request took is the time from when the loop saw its first byte to when its answer's last byte was with the
kernel.  In JSON nothing is escaped by a rule of ours: control characters, quotes and all beyond ASCII are written as
JSON writes them, so a line is valid, and one line, whatever came.  Text of a request that is UTF-8 is read as such;
else each byte beyond ASCII is the character of its number.
"""

from __future__ import annotations

import time
from json.encoder import encode_basestring_ascii as quoted

from ..protocol.message import Head
from ..server.log import AccessLog, Channel, escape

__all__ = ["FORMATS", "JsonLog", "TimedLog"]


class TimedLog(AccessLog):
    """The access log with the exact time, how long each request took, and what it is called."""

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
        user, line, client = head.logged or self.remember(head)
        self._write_down(head, peer, channel, user, f'"{line}" {status} {size} {client}')

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Channel) -> None:
        self._write_down(request_line, peer, channel, "-", f'"{escape(request_line)}" {status} {size} "-" "-"')

    def _write_down(self, asked: Head | str, peer: str, channel: Channel, user: str, what: str) -> None:
        if self._fd < 0:
            return
        stamp = self._exact()
        took = self._timers.clock() - channel.asked_at
        name = channel.request_id(asked)
        self._add(f"{peer or 'unix:'} - {user} [{stamp}] {what} {took:.6f} {name}\n")

    def _exact(self) -> str:
        """The time with milliseconds, as the combined format would have it."""
        second, part = divmod(self._wall_clock(), 1)
        if int(second) != self._second:
            self._second = int(second)
            self._stamp = self.stamp(self._second)
        day, zone = self._stamp[:20], self._stamp[20:]
        return f"{day}.{int(part * 1000):03}{zone}"


class JsonLog(AccessLog):
    """The access log as lines of JSON."""

    def answered(self, head: Head, peer: str, status: int, size: int, channel: Channel) -> None:
        if head.logged is None:
            head.logged = _about(head)
        self._write_down(head, peer, channel, head.logged, status, size)

    def refused(self, request_line: str, peer: str, status: int, size: int, channel: Channel) -> None:
        self._write_down(request_line, peer, channel, _NOTHING + _json(request_line), status, size)

    def _write_down(self, asked: Head | str, peer: str, channel: Channel, about: str, status: int, size: int) -> None:
        if self._fd < 0:
            return
        stamp = self._exact()
        took = self._timers.clock() - channel.asked_at
        name = channel.request_id(asked)
        self._add(
            f'{{"time":"{stamp}","id":"{name}","peer":{_json(peer or "unix:")},"status":{status},'
            f'"bytes":{size},"duration":{took:.6f},{about}}}\n'
        )

    def _exact(self) -> str:
        """The time with milliseconds, in UTC (RFC 3339)."""
        second, part = divmod(self._wall_clock(), 1)
        if int(second) != self._second:
            self._second = int(second)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{int(part * 1000):03}Z"


FORMATS: dict[str, type[AccessLog]] = {"combined": AccessLog, "timed": TimedLog, "json": JsonLog}

# What is known of bytes that were no request.
_NOTHING = '"user":"","host":"","method":null,"target":null,"version":null,"referer":"","user_agent":"","refused":'


def _about(head: Head) -> str:
    """What a head says, as JSON."""
    get = head.headers.get
    fields = {
        "user": head.user,
        "host": head.host,
        "method": head.method,
        "target": head.target,
        "version": head.version,
        "referer": get("referer"),
        "user_agent": get("user-agent"),
    }
    return ",".join(f'"{name}":{_json(value)}' for name, value in fields.items()) + ',"refused":null'


def _json(text: str) -> str:
    """Text of a request as JSON: it has a character a byte, a path and a user's name perhaps others."""
    if not text.isascii():
        try:
            text = text.encode("latin-1").decode()
        except UnicodeError:
            # Half a surrogate pair is no text to many who read JSON.
            text = text.encode("utf-8", "replace").decode()
    return quoted(text)
