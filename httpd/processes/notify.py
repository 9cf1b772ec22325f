"""Telling the service manager how we are, and taking the sockets that it hands over: sd_notify(3), sd_listen_fds(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

__all__ = ["Notifier", "passed_sockets"]

# The first descriptor that is handed over; they follow each other.
_FIRST = 3


class Notifier:
    """Speaks to the service manager, if there is one that listens; else it says nothing.

    The environment no longer names it from then on: it is not for who is started by us.  `watchdog` is how often it
    wants to hear that all is well, in seconds; 0.0 for not at all.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        wanted = environ.pop("WATCHDOG_USEC", "")
        for_us = environ.pop("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog = int(wanted) / 1e6 if wanted.isdecimal() and for_us and self._address else 0.0

    def __bool__(self) -> bool:
        return bool(self._address)

    def say(self, **fields: str | int) -> None:
        """Say such as `READY=1, STATUS="…"`, together.  A manager that cannot be reached is not waited for."""
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(message.encode(), self._address)

    def reloading(self) -> None:
        """A reload begins; `say(READY=1)` ends it."""
        self.say(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)


def passed_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that were handed over to this process; the environment no longer names them.

    Raises ValueError where one is no stream socket that listens.
    """
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    return [_listening(fd) for fd in range(_FIRST, _FIRST + int(count))]


def _listening(fd: int) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        listens = sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listens = 0
    if not listens:
        raise ValueError(f"descriptor {fd} was handed over, and is no stream socket that listens")
    if sock.family != socket.AF_UNIX:
        # As for those that we make ourselves: what is accepted inherits it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
