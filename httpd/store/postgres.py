"""PostgreSQL, when several machines share what is kept: psycopg 3, one connection to write by, a pool to read by.

The network and the server may go at any time, so everything has an end: connecting, a statement, a lock, a wait for a
peer that says nothing more.  `synchronous_commit` is on, whatever the server's default: a commit is on its disk.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count
from typing import Any

from ..packages import needs
from .errors import Again, Unavailable

try:
    import psycopg
    import psycopg_pool
    from psycopg.conninfo import conninfo_to_dict
except ImportError as why:
    raise ValueError(needs("PostgreSQL", "psycopg[binary,pool]")) from why

__all__ = ["PostgreSQL"]

# What a URL may say otherwise.  A machine that has died is noticed within twenty seconds, also in the midst of a wait.
_DEFAULTS = {
    "application_name": "httpd", "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 3,
    "keepalives_count": 3, "tcp_user_timeout": 15_000,
}  # fmt: skip
# What every connection is told first.  A server that is too busy is a fault as any other: whoever waits gets a 503.
_SETTINGS = """
    SET statement_timeout = '15s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '5min';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'
"""
# Long migrations are waited for, by those that make them and by those that find them under way.
_MIGRATING = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock({lock})"
# The number of our advisory lock: "httpd" in ASCII.
_LOCK = int.from_bytes(b"httpd")

# Connections to read by, and how long one is waited for, in seconds.  A server allows a hundred to all its clients.
_MOST_READERS = 4
_PATIENCE = 5.0
# How many rows of a long answer are held at once.  A row may be a piece of a file, of a quarter of a megabyte.
_ROWS = 64

# Faults beside those of the connection and the machine: no right to it, a standby that takes nothing, damage.
_FAULTS = frozenset({"42501", "25006", "XX001", "XX002"})

# Text that is no place for a parameter, then one that is, then what psycopg would take for one.
_TOKEN = re.compile(r"""('[^']*'|"[^"]*"|--[^\n]*)|\?|%""")


class PostgreSQL:
    """The database that a URL names.  Raises ValueError for a URL that cannot be understood."""

    def __init__(self, url: str) -> None:
        try:
            told = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            # The URL may hold a password, and so may what libpq says of it.
            raise ValueError("this is no URL of PostgreSQL's: postgresql://USER@HOST/NAME") from error
        self._told: dict[str, Any] = {**_DEFAULTS, **told}
        self.name = f"postgresql://{told.get('host', '')}/{told.get('dbname', '')}"
        self._pool: psycopg_pool.ConnectionPool[Any] | None = None
        self._opening = threading.Lock()
        self._closed = False
        # It tells of every attempt; we tell once that there is a fault, and once that it is over.
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)

    def connect(self) -> _Connection:
        """A connection to write by.  Raises Unavailable."""
        try:
            connection = psycopg.connect(**self._told, autocommit=True)
        except psycopg.Error as error:
            raise Unavailable(f"{self.name}: {_first_line(error)}") from error
        try:
            _settle(connection)
        except psycopg.Error as error:
            connection.close()
            raise Unavailable(f"{self.name}: {_first_line(error)}") from error
        return _Connection(self.name, connection)

    @contextlib.contextmanager
    def reading(self) -> Iterator[_Connection]:
        """A connection to read by, for this thread until the end.  Raises Unavailable, and after `close()`, too."""
        pool = self._opened()
        try:
            connection = pool.getconn()
        except psycopg.OperationalError as error:
            # Of the pool's own: none came in time, or it is closed.
            raise Unavailable(f"{self.name}: {_first_line(error)}") from error
        try:
            yield _Connection(self.name, connection)
        finally:
            pool.putconn(connection)

    def _opened(self) -> psycopg_pool.ConnectionPool[Any]:
        """The pool, with the first who reads: it has threads, which do not survive a fork."""
        with self._opening:
            if self._closed:
                raise Unavailable(f"{self.name}: the store is closed")
            if self._pool is None:
                self._pool = psycopg_pool.ConnectionPool(
                    kwargs={**self._told, "autocommit": True},
                    configure=_settle,
                    # A server that was started anew has forgotten its connections.
                    check=psycopg_pool.ConnectionPool.check_connection,
                    min_size=0,
                    max_size=_MOST_READERS,
                    timeout=_PATIENCE,
                    reconnect_timeout=_PATIENCE,
                    open=True,
                )
            return self._pool

    def close(self) -> None:
        """The end: no connection is kept.  One that somebody reads by is closed when they have read."""
        with self._opening:
            self._closed = True
        if self._pool is not None:
            self._pool.close()


def _settle(connection: psycopg.Connection[Any]) -> None:
    connection.execute(_SETTINGS)


class _Connection:
    """A connection, and at most one transaction in it.  One thread at a time."""

    dialect = "postgresql"

    def __init__(self, name: str, connection: psycopg.Connection[Any]) -> None:
        self._name = name
        self._server = connection
        self._cursors = count()
        self._released = False  # whether the savepoint is still to be released

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            # Without parameters psycopg looks for none.
            cursor = self._server.execute(_translated(sql), parameters) if parameters else self._plain(sql)
            return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise self._meaning(error) from error

    def _plain(self, sql: str) -> psycopg.Cursor[Any]:
        return self._server.execute(sql)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            with self._server.cursor(f"rows{next(self._cursors)}") as cursor:
                cursor.itersize = _ROWS
                cursor.execute(_translated(sql), parameters)
                yield from cursor
        except psycopg.Error as error:
            raise self._meaning(error) from error

    def run(self, script: str) -> None:
        self.execute(script)

    def begin(self) -> None:
        self.execute("BEGIN")
        self._released = False

    def begin_migrating(self) -> None:
        self.execute("BEGIN")
        self.execute(_MIGRATING.format(lock=_LOCK))

    def begin_reading(self) -> None:
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def mark(self) -> None:
        self.execute("RELEASE piece; SAVEPOINT piece" if self._released else "SAVEPOINT piece")
        self._released = False

    def release(self) -> None:
        # An error that the work has passed over would make a rollback of the commit, and nobody would be told.
        if self._server.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            raise psycopg.errors.InFailedSqlTransaction("an error was passed over")
        # Done by the next mark, or by the commit: a way to the server and back less for each piece.
        self._released = True

    def undo(self) -> None:
        self.execute("ROLLBACK TO piece; RELEASE piece")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if not self._server.closed:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self._server.close()

    def _meaning(self, error: psycopg.Error) -> Exception:
        """What is to be raised for an error: Again, Unavailable, or the error itself."""
        told = f"{self._name}: {_first_line(error)}"
        kind = (error.sqlstate or "")[:2]
        # Somebody else was in the way (class 40), or the server has gone, with all that it was told.
        if kind == "40" or self._server.closed:
            return Again(told)
        # A limit that was exceeded (class 54) is one of what was to be stored.
        if (isinstance(error, psycopg.OperationalError) and kind != "54") or error.sqlstate in _FAULTS:
            return Unavailable(told)
        return error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


@lru_cache(1_000)
def _translated(sql: str) -> str:
    """SQL with psycopg's places for parameters instead of `?`."""
    return _TOKEN.sub(_token, sql)


def _token(found: re.Match[str]) -> str:
    if found[1] is not None:
        return found[1].replace("%", "%%")
    return "%s" if found[0] == "?" else "%%"
