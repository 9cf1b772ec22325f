"""From another thread into the loop, and blocking work beside it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from . import asyncore
from .interest import interests_of

__all__ = ["Full", "Then", "Worker", "at_once", "call", "directly"]

# What is called with the exception that work has raised, or None.
Then: TypeAlias = Callable[[BaseException | None], object]

# How long the end of the work under way is waited for at the most, in seconds.
_PATIENCE = 5.0


class Full(Exception):
    """More work waits than may, or there is no thread to be had for it."""


def call(function: Callable[..., object], *args: Any, map: dict[int, Any] | None = None) -> None:
    """Make a call in the loop's own thread, and end its wait for that.  May be called from any thread.

    `map` is the map that the loop serves, `asyncore.socket_map` by default.
    """
    interests_of(asyncore.socket_map if map is None else map).call(function, *args)


def directly(function: Callable[..., object], *args: Any) -> None:
    """`call` for who has no loop."""
    function(*args)


def at_once(work: Callable[[], object], then: Then | None = None) -> None:
    """`Worker.do` without a thread: for who has no loop to hold up."""
    error = None
    try:
        work()
    except Exception as raised:
        error = raised
    if then is not None:
        then(error)


class Worker:
    """Threads for work that would hold up the loop: it is begun in the order in which it came.

    Each of the `threads` is started when there is first that much to do.  One is enough to keep the loop going, and all
    that the work, however much there is of it, can take from the loop is one processor; more are for work that waits.
    `waiting` is how many pieces may wait for a thread; None: any number.
    """

    def __init__(self, map: dict[int, Any] | None = None, threads: int = 1, waiting: int | None = None) -> None:
        self._map = asyncore.socket_map if map is None else map
        # Made here, where no other thread can be making it, too.
        interests_of(self._map)
        self._most_threads = threads
        self._most = float("inf") if waiting is None else threads + waiting
        # What follows is changed by all threads, each holding this.
        self._changing = threading.Lock()
        self._pieces = 0  # under way or waiting
        self._waiting: deque[tuple[Callable[[], object], Then | None]] = deque()
        # What idle threads wait for, each for its own, or one piece would wake several.  Whoever was busy last is woken
        # first, as what it needs is still near the processor.
        self._gates: list[threading.Lock] = []
        self._closed = False
        self._threads: list[threading.Thread] = []

    @property
    def pieces(self) -> int:
        """How many pieces of work are under way or wait."""
        return self._pieces

    def do(self, work: Callable[[], object], then: Then | None = None) -> None:
        """Make the call `work()` in a thread and then, in the loop, `then(error)` with what it has raised, or None.

        Without `then` the work tells the loop itself what it likes to.  After `close()` nothing is done.  Raises Full.
        """
        with self._changing:
            if self._closed:
                return
            if self._pieces >= self._most:
                raise Full
            self._pieces += 1
            self._waiting.append((work, then))
            if self._gates:
                self._gates.pop().release()
            elif len(self._threads) < min(self._pieces, self._most_threads):
                self._start_thread()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="httpd-worker", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has none left.  Those that there are go on; where there are none, nothing would.
            if not self._threads:
                self._waiting.pop()
                self._pieces -= 1
                raise Full from None
        else:
            self._threads.append(thread)

    def _run(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        while True:
            with self._changing:
                if self._closed:
                    return
                piece = self._waiting.popleft() if self._waiting else None
                if piece is None:
                    self._gates.append(gate)
            if piece is None:
                gate.acquire()
            else:
                self._do(*piece)
                # Else what was done last would be kept as long as there is nothing to do.
                del piece

    def _do(self, work: Callable[[], object], then: Then | None) -> None:
        error = None
        try:
            work()
        except BaseException as raised:
            # sys.exit(), too, ends the piece and not the thread.
            error = raised
        with self._changing:
            self._pieces -= 1
        if then is not None and not self._closed:
            call(then, error, map=self._map)

    def close(self) -> None:
        """End the threads; what they have not begun is forgotten."""
        with self._changing:
            self._closed = True
            self._waiting.clear()
            while self._gates:
                self._gates.pop().release()
        end = time.monotonic() + _PATIENCE
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
