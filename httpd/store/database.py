"""open_database: the store that the others stand on, SQLite or PostgreSQL behind one face.

Writing goes through one thread (`writer.py`) that commits in groups (`grouping.py`).  Reading goes past it, by
connections of its own.  Nothing is connected before it is needed, so a Database may be opened before a fork if it is
used only after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from ..net.report import Reporter
from .errors import Unavailable
from .grouping import Connection, Grouping
from .schema import Schema, Transaction, migrate
from .writer import Outcome, Work, Writer

__all__ = ["Database", "open_database"]

logger = Reporter("httpd.store")

_T = TypeVar("_T")

# How many pieces of work may wait for the writer: with what they are to store, they are held in memory.
MOST_WAITING = 1_000


class Engine(Protocol):
    """What makes connections.  `name` is what people call the database; it holds no password."""

    name: str

    def connect(self) -> Connection:
        """A connection to write by.  Raises Unavailable, and ValueError where it never could be."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read by, for the time of a `with`.  Raises Unavailable, and after `close()`, too."""

    def close(self) -> None:
        """The end: keep no connection, also none that is still read by now."""


def open_database(url: str, schemas: Sequence[Schema] = ()) -> Database:
    """The database at "sqlite:PATH" or "postgresql://USER@HOST/NAME", its tables brought up to date.

    Raises ValueError with a sentence for a URL that is none, a file that another program has made or that is damaged,
    tables of a newer version.  One that cannot be reached now is told to the operator, and brought up to date when
    it is first reached; until then what is asked of it raises Unavailable.
    """
    database = Database(_engine(url), schemas)
    try:
        database.prepare()
    except Unavailable as error:
        logger.warning("%s; this is tried again when it is needed", error)
    except ValueError:
        database.close()
        raise
    return database


def _engine(url: str) -> Engine:
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from .sqlite import SQLite

        return SQLite(rest)
    if scheme in ("postgresql", "postgres"):
        from .postgres import PostgreSQL

        return PostgreSQL(url)
    raise ValueError(f"{scheme}: a store is sqlite:PATH or postgresql://USER@HOST/NAME")


class Database:
    """What is kept.  Any thread may use it.

    `write` and `begin` do work in a transaction, together with all else that waits: one commit, one fsync.  Each piece
    is in a savepoint, so what one raises takes back that piece only.  It may be done again where the transaction
    could not be kept, so it does nothing but use its Transaction and return a result; it is called in the writer's
    thread, so it is quick.
    """

    def __init__(self, engine: Engine, schemas: Sequence[Schema], most: int = MOST_WAITING) -> None:
        self.name = engine.name
        self._engine = engine
        self._schemas = schemas
        self._prepared = False  # whether the tables have been brought up to date
        self._reading, self._writing = _Health("read"), _Health("written")
        self._grouping = Grouping(self._connect)
        self._writer = Writer(self._group, most)

    # ---- for everybody

    def write(self, work: Callable[[Transaction], _T]) -> _T:
        """What the work comes to, done and durable.  It waits for the disk, so it is not for the loop's thread.

        Raises what the work raises, and Unavailable; then nothing of it is kept, unless the connection was lost in
        the very moment of the commit, which nobody can know.
        """
        return self._writer.do(work)

    def begin(
        self, work: Callable[[Transaction], _T], then: Callable[[_T | None, BaseException | None], object]
    ) -> None:
        """The same without waiting: `then(result, error)` is called from the writer's thread, and must not wait.

        Raises Full when too much waits already, and Unavailable after `close()`.
        """
        self._writer.begin(work, then)

    @property
    def waiting(self) -> int:
        """How many pieces of work wait to be written."""
        return self._writer.waiting

    def read(self, work: Callable[[Transaction], _T]) -> _T:
        """What the work comes to, which sees one state of the tables all along and changes nothing.

        It waits for nobody who writes, but with PostgreSQL for the network.  Raises what the work raises, and
        Unavailable.
        """
        try:
            result = self._read(work)
        except Unavailable as error:
            self._reading.note(error)
            raise
        self._reading.note(None)
        return result

    def close(self) -> None:
        """Take nothing more, do what waits, and give everything back."""
        self._writer.close()
        self._grouping.close()
        self._engine.close()

    # ---- within

    def prepare(self) -> None:
        """Bring the tables up to date, unless that is done.  Raises Unavailable, and ValueError as `open_database`."""
        if not self._prepared:
            self._connected().close()

    def _connected(self) -> Connection:
        """A connection to write by.  Each time the tables are looked at: another database may have taken the place."""
        connection = self._engine.connect()
        try:
            connection.begin_migrating()
            migrate(connection, self._schemas)
            connection.commit()
        except BaseException:
            connection.close()
            raise
        self._prepared = True
        return connection

    def _connect(self) -> Connection:
        """The same in mid-flight, where what is no store of ours may be put right without a restart."""
        try:
            return self._connected()
        except ValueError as error:
            raise Unavailable(str(error)) from error

    def _read(self, work: Callable[[Transaction], _T]) -> _T:
        if not self._prepared:
            self._connect().close()
        with self._engine.reading() as connection:
            connection.begin_reading()
            try:
                return work(connection)
            finally:
                connection.rollback()

    def _group(self, works: Sequence[Work]) -> list[Outcome]:
        outcomes = self._grouping(works)
        self._writing.note(next((error for _, error in outcomes if isinstance(error, Unavailable)), None))
        return outcomes


class _Health:
    """Tells the operator when a fault has come, and when it has gone; not of every request in between."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._fault: Unavailable | None = None

    def note(self, fault: Unavailable | None) -> None:
        """So it was this time."""
        before, self._fault = self._fault, fault
        if fault is not None and before is None:
            logger.error("the store cannot be %s: %s", self._what, fault)
        elif fault is None and before is not None:
            logger.warning("the store can be %s again", self._what)
