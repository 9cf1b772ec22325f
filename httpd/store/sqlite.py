"""SQLite: one file, which any number of processes of this machine share.

In WAL mode readers and the one writer do not wait for each other.  With synchronous=FULL a commit is with the disk
when it returns; with less, what was acknowledged could be lost with the power.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from .errors import Again, Unavailable

__all__ = ["SQLite"]

# How long another process may hold the lock before we give up, in seconds.
BUSY_TIMEOUT = 5.0
# The log of changes is cut down to this when it was longer, in bytes.
_LONGEST_LOG = 64 * 1024 * 1024
# Connections that are kept for the next reader.
_MOST_IDLE = 8

# What passes, or is mended from outside.  Any other error is one of the SQL, or of what was to be stored.
_FAULTS = frozenset({
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB,
})  # fmt: skip


class SQLite:
    """The database in the file of that path, which is made where there is none.

    Raises ValueError where it can neither be made nor be written.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.name = f"sqlite:{path}"
        self._idle: list[_Connection] = []
        self._closed = False
        self._make_file()
        if not os.path.isfile(self.path) or not os.access(self.path, os.R_OK | os.W_OK):
            raise ValueError(f"{self.name}: this file cannot be read and written")

    def _make_file(self) -> None:
        """For its owner alone; what SQLite lays beside it gets the same rights."""
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return
        except OSError as why:
            raise ValueError(f"{self.name}: the file cannot be made: {why.strerror}") from why
        # That there is such a file must be as durable as what will be in it.
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_CLOEXEC)
        # Some file systems sync no folders.
        with contextlib.suppress(OSError):
            os.fsync(folder)
        os.close(folder)

    def connect(self) -> _Connection:
        """A connection to write by.  Raises Unavailable, and ValueError for a file that is none of ours."""
        # After a fault, that is, or at the start.  Connections of one process share what SQLite knows of the file, such
        # as that it cannot be written; and what was made beside it then has rights to match.
        self._close_idle()
        self._give_rights()
        with _closed_if_it_fails(_Connection(self)) as connection:
            connection.refuse_strangers()
            if connection.execute("PRAGMA journal_mode = WAL") != [("wal",)]:
                raise ValueError(f"{self.name}: its file system lacks what several processes need (WAL)")
            connection.execute(f"PRAGMA journal_size_limit = {_LONGEST_LOG}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            return connection

    def _give_rights(self) -> None:
        """Give what lies beside the file the rights that the file has now."""
        with contextlib.suppress(OSError):
            rights = os.stat(self.path).st_mode & 0o777
            for beside in ("-wal", "-shm"):
                os.chmod(self.path + beside, rights)

    @contextlib.contextmanager
    def reading(self) -> Iterator[_Connection]:
        """A connection to read by, for this thread until the end.  Raises Unavailable, and after `close()`, too."""
        if self._closed:
            raise Unavailable(f"{self.name}: the store is closed")
        connection = self._to_read_by()
        with _closed_if_it_fails(connection):
            yield connection
        self._keep(connection)

    def _to_read_by(self) -> _Connection:
        if (idle := self._idle_one()) is not None:
            with _closed_if_it_fails(idle):
                if idle.is_current():
                    return idle
            idle.close()
        with _closed_if_it_fails(_Connection(self)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return connection

    def _keep(self, connection: _Connection) -> None:
        self._idle.append(connection)
        # Whoever has closed the store meanwhile may have looked for idle ones before.
        self._close_idle(0 if self._closed else _MOST_IDLE)

    def _close_idle(self, most: int = 0) -> None:
        """Close connections that nobody reads by, until there are no more than that."""
        while len(self._idle) > most and (idle := self._idle_one()) is not None:
            idle.close()

    def _idle_one(self) -> _Connection | None:
        # Another thread may take the last one.
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        return None

    def close(self) -> None:
        """The end: no connection is kept.  One that somebody reads by is closed when they have read."""
        self._closed = True
        self._close_idle()


@contextlib.contextmanager
def _closed_if_it_fails(connection: _Connection) -> Iterator[_Connection]:
    try:
        yield connection
    except BaseException:
        connection.close()
        raise


class _Connection:
    """A connection, and at most one transaction in it.  One thread at a time."""

    dialect = "sqlite"

    def __init__(self, store: SQLite) -> None:
        self._store = store
        self._file = _identity(store)
        try:
            # mode=rw: a file that has gone is not made anew, with other rights and without what was in it.
            self._sqlite = sqlite3.connect(
                f"file:{quote(os.fsencode(store.path))}?mode=rw",
                uri=True,
                timeout=BUSY_TIMEOUT,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    def refuse_strangers(self) -> None:
        """Raise ValueError for a file that another program has made."""
        try:
            tables = {name for (name,) in self._sqlite.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_NOTADB:
                raise ValueError(f"{self._store.name}: this file is no SQLite database") from error
            if _code(error) == sqlite3.SQLITE_CORRUPT:
                raise ValueError(f"{self._store.name}: this file is damaged: put a copy in its place") from error
            raise self._meaning(error) from error
        if tables and "httpd_schema" not in tables:
            raise ValueError(f"{self._store.name}: this database is another program's: name another file")

    # ---- the transaction

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._sqlite.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._sqlite.execute(sql, parameters)
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    def run(self, script: str) -> None:
        for statement in _statements(script):
            self.execute(statement)

    def is_current(self) -> bool:
        """Whether the file is still the one at the path: one that was moved or deleted can be used, and is nowhere."""
        return _identity(self._store) == self._file

    def begin(self) -> None:
        if not self.is_current():
            raise Again(f"{self._store.name}: another file has taken its place")
        self.execute("BEGIN IMMEDIATE")

    def begin_migrating(self) -> None:
        self.begin()

    def begin_reading(self) -> None:
        self.execute("BEGIN")

    def mark(self) -> None:
        self.execute("SAVEPOINT piece")

    def release(self) -> None:
        self.execute("RELEASE piece")

    def undo(self) -> None:
        self.execute("ROLLBACK TO piece")
        self.execute("RELEASE piece")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if self._sqlite.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self._sqlite.close()

    def _meaning(self, error: sqlite3.Error) -> Exception:
        """What is to be raised for an error: Unavailable, or the error itself."""
        return Unavailable(f"{self._store.name}: {error}") if _code(error) in _FAULTS else error


def _identity(store: SQLite) -> tuple[int, int]:
    """Which file it is.  Raises Unavailable where there is none any more."""
    try:
        now = os.stat(store.path)
    except OSError as why:
        raise Unavailable(f"{store.name}: the file cannot be reached any more: {why.strerror}") from why
    return now.st_dev, now.st_ino


def _code(error: sqlite3.Error) -> int | None:
    """The primary code of an error; None where it is one of Python's own."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _statements(script: str) -> Iterator[str]:
    """Each statement of a script.  (`executescript` would commit first.)"""
    statement = ""
    for piece in script.rstrip().removesuffix(";").split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
