"""One thread that writes, for all who wait: what has come while it was busy is done together.

A commit costs an fsync, whatever is in it.  While one is under way others arrive; they are the next group, and share
the next fsync.  So the more there is to do, the less each piece costs, and nobody is kept waiting for company.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..net.report import Reporter
from .errors import Full, Unavailable

__all__ = ["Group", "Outcome", "Then", "Work", "Writer"]

logger = Reporter("httpd.store")

_T = TypeVar("_T")

# What is called with a transaction, and what it came to: its result, or the error in its place.
Work = Callable[[Any], Any]
Outcome = tuple[Any, BaseException | None]
Then = Callable[[Any, BaseException | None], object]
# Does several pieces of work, and gives the outcome of each.
Group = Callable[[Sequence[Work]], list[Outcome]]


class Writer:
    """The thread, and the queue before it.  `most` is how many pieces may wait.

    `group(works)` is called in the thread with all that wait, in the order in which they came.
    """

    def __init__(self, group: Group, most: int) -> None:
        self._group = group
        self._most = most
        self._waiting: list[tuple[Work, Then]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many pieces of work wait for the next group."""
        return len(self._waiting)

    def begin(self, work: Work, then: Then) -> None:
        """Have the work done with the next group; `then(result, error)` is called from the thread, and does not wait.

        Raises Full, and Unavailable after `close()`.
        """
        with self._changed:
            if self._closed:
                raise Unavailable("the store is closed")
            if len(self._waiting) >= self._most:
                raise Full(f"{self._most} pieces of work wait for the store already")
            self._waiting.append((work, then))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="httpd-writer", daemon=True)
                self._thread.start()
            elif len(self._waiting) == 1:
                # Else it has been told already.
                self._changed.notify()

    def do(self, work: Callable[[Any], _T]) -> _T:
        """Do the work with the next group, and wait for that.  Raises what the work raises, and what `begin` does."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("the writer would wait for itself")
        done = threading.Event()
        outcome: list[Any] = []

        def then(*what: Any) -> None:
            outcome.extend(what)
            done.set()

        self.begin(work, then)
        done.wait()
        result, error = outcome
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def close(self) -> None:
        """Take nothing more, do what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # ---- in the thread

    def _run(self) -> None:
        while pieces := self._next():
            outcomes = self._done([work for work, _ in pieces])
            for (_, then), (result, error) in zip(pieces, outcomes, strict=True):
                self._tell(then, result, error)
            # Else what was done last would be kept as long as there is nothing to do.
            del pieces, outcomes

    def _done(self, works: Sequence[Work]) -> list[Outcome]:
        try:
            return self._group(works)
        except BaseException as error:
            # A fault of the group's own must not leave them waiting, nor those who come later.
            return [(None, error)] * len(works)

    def _tell(self, then: Then, result: Any, error: BaseException | None) -> None:
        try:
            then(result, error)
        except Exception:
            # Those who come after it wait, too.
            logger.exception("telling of a stored piece of work failed")

    def _next(self) -> list[tuple[Work, Then]]:
        """All that wait, once somebody does; nothing at the end."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            pieces, self._waiting = self._waiting, []
            return pieces
