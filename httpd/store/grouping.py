"""Group commit: many pieces of work in one transaction, each in a savepoint of its own, and one commit.

What a piece raises is its own affair: the savepoint takes back what it did, and the others go on.  What befalls the
transaction befalls them all, and then nothing of any is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .errors import Again, Unavailable
from .schema import Transaction
from .writer import Outcome, Work

__all__ = ["Connection", "Grouping"]


class Connection(Transaction, Protocol):
    """A connection, and at most one transaction in it."""

    def begin(self) -> None:
        """Begin a transaction that may write.  Raises Unavailable."""

    def begin_migrating(self) -> None:
        """Begin one that nobody else changes tables beside.  Raises Unavailable."""

    def begin_reading(self) -> None:
        """Begin one that sees one state of the tables all along, and changes nothing.  Raises Unavailable."""

    def mark(self) -> None:
        """Set the savepoint.  Raises Unavailable."""

    def release(self) -> None:
        """Keep what was done since the savepoint.  Raises Unavailable, and the driver's error where it cannot be."""

    def undo(self) -> None:
        """Take back what was done since the savepoint.  Raises where there is nothing to go back to any more."""

    def commit(self) -> None:
        """Make it durable.  Raises Unavailable, and the driver's error where a constraint is looked at only now."""

    def rollback(self) -> None:
        """Take it all back.  Raises Unavailable."""

    def close(self) -> None:
        """Give the connection back; of a transaction under way nothing is kept."""


class Grouping:
    """Does pieces of work together, by a connection of its own that is made when it is needed.

    After a fault the connection is made anew: it may hold what was right before it, a file that was not writable, a
    server that has gone.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    def __call__(self, works: Sequence[Work]) -> list[Outcome]:
        """The outcome of each piece; all that have a result are durable."""
        try:
            return self._together(works)
        except Exception as error:
            self.close()
            if isinstance(error, Unavailable) or len(works) == 1:
                return [(None, error)] * len(works)
        # One of them has done what only the commit showed to be wrong: nobody can tell which, but each by itself.
        return [self([work])[0] for work in works]

    def _together(self, works: Sequence[Work]) -> list[Outcome]:
        try:
            connection, outcomes = self._done(works)
        except Again:
            self.close()
            connection, outcomes = self._done(works)
        connection.commit()
        if any(isinstance(error, Unavailable) for _, error in outcomes):
            self.close()
        return outcomes

    def _done(self, works: Sequence[Work]) -> tuple[Connection, list[Outcome]]:
        """The works done, and nothing committed."""
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        connection.begin()
        return connection, [_apart(connection, work) for work in works]

    def close(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _apart(connection: Connection, work: Work) -> Outcome:
    """Do one piece so that it leaves nothing behind if it raises."""
    connection.mark()
    try:
        result = work(connection)
        connection.release()
    except Again:
        raise
    except BaseException as error:
        try:
            connection.undo()
        except Exception:
            raise error from None
        return None, error
    return result, None
