"""A listening socket as a channel, and what it does when descriptors run out."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from ..net import asyncore
from ..net.addresses import plain_peer
from ..net.listening import accepted
from ..net.report import Reporter
from ..net.timers import Timers
from ..site.entities import give_back

__all__ = ["Listener", "Spare"]

logger = Reporter("httpd.server")

# How many are accepted in one turn: then those that are here have theirs.  Where processes share a listener it is one:
# the first to wake would take all that come together.
_MOST_ACCEPTS = 64
# How many may wait in the kernel when a listener closes.
_MOST_LEFT = 4_096
# How often it is said that descriptors have run out: clients can bring it about again and again.
_REPORT_SECONDS = 60.0


class Spare:
    """A descriptor of no use but to be given up, when there is no other, to accept a connection and turn it away.

    All listeners of a server share one.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._report_from = float("-inf")
        self.failures = 0  # how often no connection could be accepted
        self._fd = -1

    def take(self) -> None:
        """Have one, if there is one to be had."""
        with contextlib.suppress(OSError):
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def turned_one_away(self, listening: socket.socket, turn_away: Callable[[socket.socket], None]) -> bool:
        """Turn a connection away that waits at this socket; whether there is no need to rest from it."""
        self.close()
        try:
            sock, _ = listening.accept()
        except BlockingIOError:
            # A descriptor is the first thing that accept(2) looks for, so it may fail where nobody waits.
            return True
        except OSError:
            return False
        else:
            turn_away(sock)
            # Before the spare is taken again: a report may need a descriptor.
            self._report()
            return True
        finally:
            self.take()

    def _report(self) -> None:
        if self._timers.now >= self._report_from:
            self._report_from = self._timers.now + _REPORT_SECONDS
            logger.warning("no descriptors are left: connections are turned away")

    def close(self) -> None:
        """Give it up."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Listener(asyncore.dispatcher):
    """A listening socket: `welcome(sock, addr)` takes each connection; `turn_away(sock)` closes one that has only the
    spare descriptor.  `on_close()` is called at the listener's end.  At a `shared` socket other processes accept, too.
    """

    # It always wants to accept; to rest from that is between the loop and itself.
    announces_all = True

    def __init__(
        self,
        sock: socket.socket,
        welcome: Callable[[socket.socket, Any], None],
        turn_away: Callable[[socket.socket], None],
        spare: Spare,
        *,
        map: dict[int, Any],
        on_close: Callable[[], None] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__(None, map)
        self.shared = shared
        self._welcome = welcome
        self._turn_away = turn_away
        self._spare = spare
        self._on_close = on_close
        self.accepting = True
        self.set_socket(sock)
        self.addr = sock.getsockname()

    def handle_accept(self) -> None:
        self._accept_some(1 if self.shared else _MOST_ACCEPTS)

    def leave(self) -> None:
        """Accept who has come already, and close."""
        if self._kept_by is not None:
            # From here on other processes are woken instead; for whom this one was woken, nobody else will be.
            self._kept_by.rest(self, 0.0)
        self._accept_some(_MOST_LEFT)
        self.close()

    def _accept_some(self, most: int) -> None:
        try:
            for sock, addr in accepted(self.socket, most):
                self._accept_exhausted = False
                try:
                    # An IPv6 socket's has four parts.
                    self._welcome(sock, plain_peer(addr) if len(addr) == 4 else addr)
                except Exception:
                    # A listener outlives whatever one connection did to it.
                    logger.exception("welcoming a connection from %s failed", addr)
                    sock.close()
        except OSError as why:
            self._not_accepted(why)

    def _rest_from(self, why: OSError) -> None:
        """Rest only where nothing else helps: neither the descriptors that caches keep, nor the spare one."""
        self._spare.failures += 1
        exhausted = why.errno in (errno.EMFILE, errno.ENFILE)
        if not exhausted or not (give_back() or self._spare.turned_one_away(self.socket, self._turn_away)):
            super()._rest_from(why)

    def close(self) -> None:
        super().close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def handle_error(self) -> None:
        logger.exception("accepting a connection failed")

    def handle_close(self) -> None:
        self.close()
