"""The store: what is written is there, a group is one commit, and one piece's fault is its own."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd.store.database import Database, open_database
from httpd.store.errors import Full, Unavailable
from httpd.store.schema import Schema, Transaction
from httpd.store.writer import Writer

from .tools import TOP
from .workbench import together

NOTES = Schema("notes", ["CREATE TABLE notes (id TEXT PRIMARY KEY, size BIGINT, content BYTEA);"])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.tools)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    sqlite = request.param == "sqlite"
    return f"sqlite:{tmp_path}/notes.db" if sqlite else request.getfixturevalue("postgresql_url")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = open_database(url, [NOTES])
    yield database
    database.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:{tmp_path}/notes.db", [NOTES])
    yield database
    database.close()


def add(transaction: Transaction, name: str) -> str:
    [(name,)] = transaction.execute("INSERT INTO notes (id, size) VALUES (?, ?) RETURNING id", (name, len(name)))
    return name


def names(database: Database) -> list[str]:
    return [name for (name,) in database.read(lambda seen: seen.execute("SELECT id FROM notes ORDER BY id"))]


# ---- one piece


def test_what_was_written_is_there(database: Database) -> None:
    assert database.write(lambda transaction: add(transaction, "a")) == "a"
    assert names(database) == ["a"]


def test_values_come_back_as_they_went_in(database: Database) -> None:
    row = ("ä\U0001f600'%?", -(2**63), bytes(range(256)))
    database.write(lambda made: made.execute("INSERT INTO notes VALUES (?, ?, ?)", row))
    assert database.read(lambda seen: seen.execute("SELECT * FROM notes")) == [row]
    database.write(lambda made: made.execute("UPDATE notes SET content = NULL, size = ?", (2**63 - 1,)))
    assert database.read(lambda seen: seen.execute("SELECT size, content FROM notes")) == [(2**63 - 1, None)]


def test_what_is_no_place_for_a_parameter_stays(database: Database) -> None:
    sql = """SELECT '?%', 'it''s %s', "id" AS "a?", ?, 7 % 4 FROM notes WHERE id LIKE '%a' -- and?"""
    database.write(lambda made: add(made, "a"))
    assert database.read(lambda seen: seen.execute(sql, ("%?",))) == [("?%", "it's %s", "a", "%?", 3)]


def test_what_raises_leaves_nothing_and_is_raised_here(database: Database) -> None:
    def fail(transaction: Transaction) -> None:
        add(transaction, "a")
        raise ZeroDivisionError("on purpose")

    with pytest.raises(ZeroDivisionError, match="on purpose"):
        database.write(fail)
    assert names(database) == []


def test_long_answers_come_row_by_row(database: Database) -> None:
    for number in range(50):
        database.write(lambda transaction, number=number: add(transaction, f"{number:02}"))  # type: ignore[misc]

    def first(seen: Transaction) -> list[tuple[Any, ...]]:
        rows = seen.rows("SELECT id FROM notes WHERE size = ? ORDER BY id", (2,))
        return [next(rows), next(rows)]

    assert database.read(first) == [("00",), ("01",)]
    assert database.read(lambda seen: sum(1 for _ in seen.rows("SELECT id FROM notes"))) == 50


def test_many_read_at_once(database: Database) -> None:
    """More of them than connections that are kept for the next."""
    database.write(lambda transaction: add(transaction, "a"))
    all_in = threading.Barrier(12 if database.name.startswith("sqlite") else 4)

    def read(seen: Transaction) -> list[tuple[Any, ...]]:
        all_in.wait(10)
        return seen.execute("SELECT id FROM notes")

    for _ in range(2):
        assert together(*[lambda: database.read(read)] * all_in.parties) == [[("a",)]] * all_in.parties


def test_a_mistake_in_the_sql_is_no_fault_of_the_store(database: Database) -> None:
    for work in (lambda seen: seen.execute("SELECT nothing"), lambda seen: list(seen.rows("SELECT nothing"))):
        with pytest.raises(Exception, match="nothing") as error:
            database.read(work)
        assert not isinstance(error.value, Unavailable)


def test_a_reader_sees_one_state_and_changes_nothing(database: Database) -> None:
    def look(seen: Transaction) -> tuple[Any, Any]:
        before = seen.execute("SELECT count(*) FROM notes")
        database.write(lambda transaction: add(transaction, "meanwhile"))
        return before, seen.execute("SELECT count(*) FROM notes")

    assert database.read(look) == ([(0,)], [(0,)])
    with pytest.raises(Exception, match=r"readonly|read-only"):
        database.read(lambda seen: add(seen, "a"))
    assert names(database) == ["meanwhile"]


# ---- several


def test_those_who_wait_share_a_commit_and_nobody_is_touched_by_anothers_fault(database: Database) -> None:
    gate, done = threading.Event(), threading.Semaphore(0)
    outcomes: list[Any] = []

    def then(result: Any, error: BaseException | None) -> None:
        outcomes.append(result if error is None else type(error).__name__)
        done.release()

    database.begin(lambda transaction: gate.wait(10), then)
    for name in ("a", "b", "a", "c"):
        database.begin(lambda transaction, name=name: add(transaction, name), then)  # type: ignore[misc]
    gate.set()
    for _ in range(5):
        assert done.acquire(timeout=10)
    assert outcomes in ([True, "a", "b", fault, "c"] for fault in ("IntegrityError", "UniqueViolation"))
    assert names(database) == ["a", "b", "c"]


# ---- the file


def test_the_file_is_for_its_owner_alone(sqlite: Database, tmp_path: Path) -> None:
    sqlite.write(lambda transaction: add(transaction, "a"))
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert rights == {"notes.db": 0o600, "notes.db-wal": 0o600, "notes.db-shm": 0o600}


def test_it_is_synced_before_it_is_said(sqlite: Database, tmp_path: Path) -> None:
    def settings(transaction: Transaction) -> list[int]:
        return [transaction.execute(f"PRAGMA {name}")[0][0] for name in ("synchronous", "foreign_keys")]

    assert sqlite.write(settings) == [2, 1]
    with sqlite3.connect(tmp_path / "notes.db") as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mysql:x", "a store is sqlite:PATH or postgresql:"),
        ("sqlite:", "a store is sqlite:PATH"),
        ("sqlite:/nowhere/at/all.db", "cannot be made: No such file or directory"),
        ("sqlite:/", "cannot be read and written"),
        ("postgresql://a:secret@[b/c", "no URL of PostgreSQL's"),
    ],
)
def test_a_url_that_is_none(given: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        open_database(given)
    assert "secret" not in str(error.value)


@pytest.mark.programs
@pytest.mark.parametrize("package", ["psycopg", "psycopg_pool"])
def test_a_package_that_is_missing_is_named(package: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = None
from httpd.store.database import open_database
try:
    open_database("postgresql://a/b")
except ValueError as why:
    print(why)
"""
    said = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True).stdout
    assert said == "PostgreSQL needs the package psycopg: pip install 'psycopg[binary,pool]'\n"


def test_a_file_that_is_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_text("This is a text, and no database at all.\n" * 100)
    with pytest.raises(ValueError, match="no SQLite database"):
        open_database(f"sqlite:{path}")
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (a)")
    other.close()
    with pytest.raises(ValueError, match="another program's"):
        open_database(f"sqlite:{path}")


# ---- migrations


def test_what_is_new_is_made_up_for(url: str) -> None:
    first = open_database(url, [NOTES])
    first.write(lambda transaction: add(transaction, "a"))
    first.close()
    more = {
        "sqlite": "ALTER TABLE notes ADD COLUMN mood TEXT DEFAULT 'a;b';\nCREATE INDEX moods ON notes (mood);",
        "postgresql": "ALTER TABLE notes ADD mood TEXT DEFAULT 'a;b'; CREATE INDEX moods ON notes (mood)",
    }
    newer = Schema("notes", [*NOTES.migrations, more])
    second = open_database(url, [newer, Schema("others", [])])
    assert second.read(lambda seen: seen.execute("SELECT id, mood FROM notes")) == [("a", "a;b")]
    assert second.read(lambda seen: seen.execute("SELECT * FROM httpd_schema")) == [("notes", 2)]
    second.close()
    with pytest.raises(ValueError, match=r"tables of notes have version 2, and this httpd knows 1: a newer one"):
        open_database(url, [NOTES])


def test_a_migration_that_fails_changes_nothing(url: str) -> None:
    twice = "CREATE TABLE twice (a TEXT); CREATE TABLE twice (a TEXT);"
    with pytest.raises(Exception, match="already exists"):
        open_database(url, [Schema("notes", [*NOTES.migrations, twice])])
    database = open_database(url, [NOTES])
    assert names(database) == []
    database.close()


# ---- the end


def test_whoever_waits_at_the_end_gets_an_answer(url: str) -> None:
    database = open_database(url, [NOTES])
    gate, outcomes = threading.Event(), []
    database.begin(lambda transaction: gate.wait(10), lambda *what: outcomes.append(what))
    for name in "abc":
        database.begin(lambda transaction, name=name: add(transaction, name), lambda *what: outcomes.append(what))  # type: ignore[misc]
    threading.Timer(0.05, gate.set).start()
    database.close()
    assert outcomes == [(True, None), ("a", None), ("b", None), ("c", None)]
    with pytest.raises(Unavailable, match="closed"):
        database.write(lambda transaction: add(transaction, "d"))


def test_who_reads_after_the_end_is_told(url: str) -> None:
    database = open_database(url, [NOTES])
    assert names(database) == []
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        names(database)


def test_who_reads_at_the_end_has_their_answer_and_leaves_nothing_open(tmp_path: Path) -> None:
    database = open_database(f"sqlite:{tmp_path}/notes.db", [NOTES])
    database.write(lambda transaction: add(transaction, "a"))

    def read(seen: Transaction) -> list[tuple[Any, ...]]:
        database.close()
        return seen.execute("SELECT id FROM notes")

    assert database.read(read) == [("a",)]
    # The last connection takes away what it laid beside the file.
    assert [path.name for path in tmp_path.iterdir()] == ["notes.db"]


def test_so_many_wait_and_no_more() -> None:
    gate, entered, outcomes = threading.Event(), threading.Event(), []

    def group(works: Any) -> list[Any]:
        entered.set()
        gate.wait(10)
        return [(work, None) for work in works]

    writer = Writer(group, most=2)
    writer.begin("a", lambda *what: outcomes.append(what))  # type: ignore[arg-type]
    assert entered.wait(10)
    for name in "bc":
        writer.begin(name, lambda *what: outcomes.append(what))  # type: ignore[arg-type]
    with pytest.raises(Full) as full:
        writer.do(lambda transaction: None)
    assert (full.value.status, dict(full.value.headers)) == (503, {"Retry-After": "1"})
    gate.set()
    writer.close()
    assert [name for name, _ in outcomes] == ["a", "b", "c"]
