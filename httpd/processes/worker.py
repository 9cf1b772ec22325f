"""A worker's life, from the fork to its end: it makes its server, says that it listens, and serves until it is told.

    SIGTERM    make way: finish the answers under way, let kept connections send a last request
    SIGUSR2    the same, with nobody to go on in its place
    SIGQUIT    close everything at once
    SIGUSR1    open the access log anew

SIGINT and SIGHUP reach the whole group of a terminal's processes, and are the parent's to answer.  Where the line to
the parent ends, the parent is gone, and the worker ends, too, as at SIGUSR2.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterable
from functools import partial

from ..net.report import Reporter
from ..net.wake import call
from ..server.server import Server
from .line import ALIVE, FAILED, LEAVING, READY, SAYS, Line, plain

__all__ = ["Build", "CannotServe", "work"]

logger = Reporter("httpd.processes")

# Makes the worker's server, which listens at the sockets; the call beside them says a sentence to the operator.
# Raises CannotServe.
Build = Callable[[Iterable[socket.socket], Callable[[str], None]], Server]


class CannotServe(Exception):
    """The server cannot be made; the text says why, and what to do."""


def work(build: Build, listening: Iterable[socket.socket], parent: socket.socket) -> int:
    """Serve at these sockets until told to end; the exit status."""
    life = _Life(parent)
    try:
        life.begin(build, listening)
    except CannotServe as why:
        life.tell(FAILED, str(why))
        return 1
    except Exception as why:
        logger.exception("a worker cannot start")
        life.tell(FAILED, f"{type(why).__name__}: {why}")
        return 1
    life.server.serve()
    return 0


class _Life:
    server: Server

    def __init__(self, parent: socket.socket) -> None:
        self._parent = parent
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR2, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, lambda number, frame: self._reopen_log())
        # They were held back over the fork, so that none is taken for the parent's.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())

    def begin(self, build: Build, listening: Iterable[socket.socket]) -> None:
        self.server = build(listening, partial(self.tell, SAYS))
        self._line = Line(self._parent, self.server.map, self._answer, self._end)
        self._leaving = False
        signal.signal(signal.SIGTERM, lambda number, frame: self._make_way())
        signal.signal(signal.SIGUSR2, lambda number, frame: self._end())
        signal.signal(signal.SIGQUIT, lambda number, frame: self._close())
        # In the loop's first turn: then it really serves.
        self.server.timers.call_soon(self._line.say, READY, self.server.greeting)

    def tell(self, word: str, text: str) -> None:
        """Say a word before there is a loop."""
        self._parent.sendall(f"{word} {plain(text)}\n".encode())

    def _answer(self, word: str, text: str) -> None:
        self._line.say(ALIVE)

    def _end(self) -> None:
        self._make_way(replaced=False)

    def _make_way(self, replaced: bool = True) -> None:
        if not self._leaving:
            self._leaving = True
            self.server.retire(replaced)
            call(self._part, map=self.server.map)

    def _part(self) -> None:
        """Say that this one makes way; the loop ends with its last channel, which the line must not be."""
        self._line.say(LEAVING)
        self._line.close()

    def _close(self) -> None:
        self._end()
        self.server.stop()

    def _reopen_log(self) -> None:
        # Before there is a server, there is no log that could be an old one.
        if hasattr(self, "server"):
            self.server.reopen_log()
