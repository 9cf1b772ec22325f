"""What is large is kept in many steps, of which nobody sees any before the last; and others are not held up by it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd.inbox.keeping import Arrived, Keeper, sweep
from httpd.inbox.schema import PIECE, SCHEMA
from httpd.inbox.submissions import Wanted, find, keep, new_submission, page, pieces
from httpd.protocol.files import File
from httpd.store.database import Database, open_database
from httpd.store.errors import Unavailable

from .tools import TOP

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.tools)]
# What one step writes at the most.
STEP = 4 * PIECE
HOUR = 3_600_000_000
# It writes two of three steps of a submission to the database that it is given, and is killed.
KILLED = """
import os, sys
from httpd.inbox import keeping
from httpd.inbox.schema import SCHEMA
from httpd.store.database import open_database
from tests.test_keeping import arrived, keeper

database = open_database(sys.argv[1], [SCHEMA])
write, steps = database.write, []

def counted(work):
    steps.append(write(work))
    if len(steps) == 2:
        os.kill(os.getpid(), 9)
    return steps[-1]

database.write = counted
keeper(database).keep_large(arrived(3 * keeping._STEP))
"""


def arrived(size: int, at: int = 5 * HOUR, **more: str) -> Arrived:
    """A submission with a file of so many bytes."""
    file = File("photo", "sea.jpg", "image/jpeg")
    file.write(bytes(size))
    file.complete()
    return Arrived(new_submission("/contact", at, "192.0.2.1", "", [("name", "Ann")]), [("photo", file)], "", **more)


def keeper(database: Database) -> Keeper:
    return Keeper(database, None, lambda transaction, submission: None)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'inbox.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with contextlib.closing(open_database(url, [SCHEMA])) as opened:
        yield opened


def count(database: Database, table: str) -> int:
    return int(database.read(lambda seen: seen.execute(f"SELECT COUNT(*) FROM {table}"))[0][0])


class Counted:
    """A database that counts how many bytes each transaction makes it larger by; `between` is called after each."""

    def __init__(self, database: Database, between: Callable[[], object] = lambda: None) -> None:
        self.read = database.read
        self.grown: list[int] = []
        self._database = database
        self._between = between

    def write(self, work: Callable[[Any], Any]) -> Any:
        before = count(self._database, "file_pieces")
        result = self._database.write(work)
        self.grown.append(count(self._database, "file_pieces") - before)
        self._between()
        return result


@pytest.mark.parametrize("kind", BOTH)
def test_a_large_file_is_written_in_steps_and_seen_with_the_last(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("url" if kind == "sqlite" else "postgresql_url")
    with contextlib.closing(open_database(url, [SCHEMA])) as database:
        large, seen = arrived(2 * STEP + 7), []

        def look() -> None:
            found = database.read(lambda transaction: find(transaction, large.submission.id))
            files = count(database, "files")
            assert (found is not None) == bool(files)
            seen.append(files)
            # Whoever has something small is served in between.
            database.write(lambda transaction: keep(transaction, new_submission("/small", 1, "", "", [])))

        counted: Any = Counted(database, look)
        assert keeper(counted).keep_large(large).is_new
        assert counted.grown == [4, 4, 1, 0, 0], "and the last looks for what is left over"
        assert seen == [0, 0, 0, 1, 1]
        there = database.read(lambda transaction: b"".join(pieces(transaction, large.submission.id, 0)))
        assert there == bytes(2 * STEP + 7)
        assert count(database, "submissions") == 6


def test_what_is_there_already_is_not_written_again(database: Database) -> None:
    first, second = arrived(3 * STEP, key="a"), arrived(3 * STEP, key="a")
    keeper(database).keep_large(first)
    counted: Any = Counted(database)
    kept = keeper(counted).keep_large(second)
    assert (kept.is_new, kept.submission.id) == (False, first.submission.id)
    assert counted.grown == [0]


def test_small_submissions_stay_fast_beside_a_large_one(database: Database, url: str) -> None:
    """Of this process, and of another that shares the file: it looks only now and then whether the lock is free."""
    thread = threading.Thread(target=keeper(database).keep_large, args=[arrived(32 << 20)])
    slowest = [0.0, 0.0]
    with contextlib.closing(open_database(url, [SCHEMA])) as other:
        thread.start()
        while thread.is_alive():
            for number, each in enumerate((database, other)):
                began = time.monotonic()
                each.write(lambda transaction: keep(transaction, new_submission("/small", 1, "", "", [])))
                slowest[number] = max(slowest[number], time.monotonic() - began)
    thread.join()
    assert count(database, "submissions") > 10
    assert max(slowest) < 2, "five seconds are the end"


@pytest.mark.programs
@pytest.mark.parametrize("kind", BOTH)
def test_a_kill_in_the_middle_leaves_nothing_half_stored(kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("url" if kind == "sqlite" else "postgresql_url")
    done = subprocess.run([sys.executable, "-c", KILLED, url], cwd=TOP, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with contextlib.closing(open_database(url, [SCHEMA])) as database:
        assert (count(database, "submissions"), count(database, "files"), count(database, "file_pieces")) == (0, 0, 8)
        sweep(database, 5 * HOUR + 10)
        assert count(database, "file_pieces") == 8, "another process may be about to write its row"
        whole = keeper(database).keep_large(arrived(2 * STEP, at=int(5.5 * HOUR))).submission.id
        sweep(database, 7 * HOUR)
        assert count(database, "file_pieces") == 8
        assert database.read(lambda seen: len(b"".join(pieces(seen, whole, 0)))) == 2 * STEP


@pytest.mark.programs
def test_with_the_next_large_one_what_was_left_is_removed(database: Database, url: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED, url], cwd=TOP, capture_output=True, timeout=60)
    keeper(database).keep_large(arrived(2 * STEP, at=7 * HOUR))
    assert count(database, "file_pieces") == 8


def test_a_client_that_leaves_meanwhile_leaves_nothing(database: Database) -> None:
    large = arrived(3 * STEP)
    counted: Any = Counted(database, large.files[0][1].close)
    with pytest.raises(ValueError, match="closed file"):
        keeper(counted).keep_large(large)
    assert (count(database, "submissions"), count(database, "file_pieces")) == (0, 0)


def test_another_file_in_the_place_of_the_database_gets_no_half_of_it(
    database: Database, url: str, tmp_path: Path
) -> None:
    def replace() -> None:
        for path in tmp_path.glob("inbox.db*"):
            path.unlink()
        open_database(url, [SCHEMA]).close()
        counted._between = lambda: None

    counted: Any = Counted(database, replace)
    with pytest.raises(Unavailable, match="not there any more"):
        keeper(counted).keep_large(arrived(3 * STEP))
    assert database.read(lambda transaction: page(transaction, Wanted())) == []
    assert count(database, "file_pieces") == 0


def test_one_large_one_is_kept_after_the_other(database: Database) -> None:
    """Else a crowd of them would have all of the writer's time."""
    under_way, most = set(), []

    def note(transaction: Any, submission: Any) -> None:
        under_way.discard(submission.id)

    both = Keeper(database, None, note)
    steps = Keeper._kept_in_steps

    def watched(arrived: Arrived, tokens: Any) -> Any:
        under_way.add(arrived.submission.id)
        most.append(len(under_way))
        return steps(both, arrived, tokens)

    both._kept_in_steps = watched  # type: ignore[method-assign]
    threads = [threading.Thread(target=both.keep_large, args=[arrived(2 * STEP)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    assert count(database, "submissions") == 3
