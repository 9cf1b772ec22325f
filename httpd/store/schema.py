"""Tables, and how they came to be what they are: numbered steps, recorded where they were taken.

Of every schema a database knows how many of its migrations it has seen.  At start the others are made up for, all in
one transaction: a database is never between two versions, also when several machines start at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = ["Migration", "Schema", "Transaction", "migrate"]

# SQL, statements with a semicolon between them; by dialect ("sqlite", "postgresql") where one text cannot serve both.
Migration = str | Mapping[str, str]

_RECORD = "CREATE TABLE httpd_schema (name TEXT PRIMARY KEY, version INTEGER NOT NULL)"
# Whether it is there; CREATE … IF NOT EXISTS asks for rights that nobody needs who has nothing to create.
_RECORDS = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'httpd_schema'",
    "postgresql": "SELECT 1 WHERE to_regclass('httpd_schema') IS NOT NULL",
}
_RECORDED = (
    "INSERT INTO httpd_schema (name, version) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET version = excluded.version"
)


class Schema(NamedTuple):
    """The tables of one capability: its name, and its migrations from the first on.

    What has once been released stays as it is; a change is a migration more.  TEXT, BIGINT, DOUBLE PRECISION and BYTEA
    are types that both databases understand.
    """

    name: str
    migrations: Sequence[Migration]


class Transaction(Protocol):
    """What a piece of work gets: SQL goes in, rows come out, and all of it holds or nothing.

    SQL is written once, with `?` for each parameter; `dialect` is "sqlite" or "postgresql", for where it must differ.
    A parameter is a str without NUL, an int of 64 bits, a float, bytes or None.  Who catches an error of a statement
    raises another: after it PostgreSQL keeps nothing of the work.
    """

    dialect: str

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement; its rows, also those of a RETURNING.  Raises Unavailable, and the driver's errors."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a long answer, fetched as they are taken.  Raises as `execute` does, meanwhile, too."""

    def run(self, script: str) -> None:
        """Execute statements without parameters, with a semicolon between them."""


def migrate(transaction: Transaction, schemas: Iterable[Schema]) -> None:
    """Bring the tables up to date.  Raises ValueError where they are of a newer program."""
    if not transaction.execute(_RECORDS[transaction.dialect]):
        transaction.execute(_RECORD)
    versions = dict(transaction.execute("SELECT name, version FROM httpd_schema"))
    for schema in schemas:
        version = versions.get(schema.name, 0)
        if version > len(schema.migrations):
            raise ValueError(
                f"its tables of {schema.name} have version {version}, and this httpd knows {len(schema.migrations)}: "
                "a newer one has written them"
            )
        for migration in schema.migrations[version:]:
            transaction.run(migration if isinstance(migration, str) else migration[transaction.dialect])
        if version < len(schema.migrations):
            transaction.execute(_RECORDED, (schema.name, len(schema.migrations)))
