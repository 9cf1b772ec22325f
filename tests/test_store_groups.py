"""The writer and its groups, held to a model: whatever comes together, in whatever order, with whatever faults.

The rules of a group: pieces are done in the order in which they came; one that raises leaves nothing and touches no
other; what is said to be done is there, when the connection is gone, too; and whoever waits gets one answer.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from httpd.store.database import open_database
from httpd.store.errors import Again, Full, Unavailable
from httpd.store.grouping import Grouping
from httpd.store.schema import Transaction
from httpd.store.writer import Outcome, Work, Writer

from .store_app import KEPT, keep


class Fault(Exception):
    """Raised by a piece of work on purpose."""


# ---- groups, on a real file


def add(*tokens: str) -> Work:
    """Keeps these; a token that is there already is an error of the database."""

    def work(transaction: Transaction) -> tuple[str, ...]:
        for token in tokens:
            transaction.execute("INSERT INTO kept VALUES (?, ?)", (token, b""))
        return tokens

    return work


def fail_after(*tokens: str) -> Work:
    """Keeps these, and raises."""

    def work(transaction: Transaction) -> None:
        add(*tokens)(transaction)
        raise Fault(*tokens)

    return work


TOKENS = st.sampled_from([f"token {number}" for number in range(8)])
PIECES = st.tuples(st.sampled_from([add, fail_after]), st.lists(TOKENS, max_size=3))


class Groups(RuleBasedStateMachine):
    """Groups of any pieces, each beside a model: the tokens that must be there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "kept.db")
        self.database = open_database(f"sqlite:{self.path}", [KEPT])
        self.expected: set[str] = set()

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(pieces=st.lists(PIECES, min_size=1, max_size=6))
    def group(self, pieces: list[tuple[Callable[..., Work], list[str]]]) -> None:
        outcomes = self.database._grouping([make(*tokens) for make, tokens in pieces])
        for (make, tokens), (result, error) in zip(pieces, outcomes, strict=True):
            fits = len(set(tokens)) == len(tokens) and not self.expected & set(tokens)
            if fits and make is add:
                assert (result, error) == (tuple(tokens), None)
                self.expected |= set(tokens)
            else:
                assert result is None
                assert isinstance(error, Fault if fits else sqlite3.IntegrityError)

    @rule()
    def lose_the_connection(self) -> None:
        self.database._grouping.close()

    @rule()
    def open_anew(self) -> None:
        self.database.close()
        self.database = open_database(f"sqlite:{self.path}", [KEPT])

    @invariant()
    def all_that_was_said_is_there(self) -> None:
        with closing(sqlite3.connect(self.path)) as other:
            assert {token for (token,) in other.execute("SELECT token FROM kept")} == self.expected


TestGroups = Groups.TestCase
TestGroups.settings = settings(max_examples=12, stateful_step_count=10, deadline=None)


# ---- groups, on a connection that fails as the test says


class Failing:
    """A connection that raises at its nth call, and remembers what was committed."""

    dialect = "sqlite"

    def __init__(self, committed: list[str], error: Exception | None, at: int) -> None:
        self.committed = committed
        self.error, self.at = error, at
        self.pending: list[str] = []
        self.marks: list[int] = []
        self.closed = 0

    def _step(self) -> None:
        self.at -= 1
        if self.at == -1 and self.error is not None:
            raise self.error

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self._step()
        self.pending.append(sql)
        return []

    def begin(self) -> None:
        self._step()
        self.pending = []

    def mark(self) -> None:
        self._step()
        self.marks.append(len(self.pending))

    def release(self) -> None:
        self._step()
        self.marks.pop()

    def undo(self) -> None:
        self._step()
        del self.pending[self.marks.pop() :]

    def commit(self) -> None:
        self._step()
        self.committed += self.pending
        self.pending = []

    def close(self) -> None:
        self.closed += 1


@given(
    pieces=st.lists(st.booleans(), min_size=1, max_size=5),
    fault=st.sampled_from([None, Unavailable("gone"), Again("lost"), ValueError("a constraint at the end")]),
    at=st.integers(0, 25),
)
def test_nothing_is_said_that_was_not_kept(pieces: list[bool], fault: Exception | None, at: int) -> None:
    """Wherever a connection fails: a result means kept, an error means not kept, and no piece is kept twice."""
    committed: list[str] = []
    made: list[Failing] = []

    def connect() -> Any:
        # Only the first of them fails.
        made.append(Failing(committed, None if made else fault, at))
        return made[-1]

    def piece(number: int, good: bool) -> Work:
        def work(transaction: Transaction) -> int:
            transaction.execute(f"piece {number}")
            if not good:
                raise Fault
            return number

        return work

    grouping = Grouping(connect)
    outcomes = grouping([piece(number, good) for number, good in enumerate(pieces)])
    assert len(outcomes) == len(pieces)
    kept = [f"piece {number}" for number, (_, error) in enumerate(outcomes) if error is None]
    assert committed == kept
    assert all(result is None for result, error in outcomes if error is not None)
    if fault is None:
        assert [error is None for _, error in outcomes] == pieces
    grouping.close()
    assert all(connection.closed == 1 for connection in made)


# ---- the queue before them


class Queue(RuleBasedStateMachine):
    """The writer, with a group that waits until the test lets it; `most` is three."""

    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.groups: list[list[Any]] = []
        self.told: list[Any] = []
        self.telling = threading.Condition()
        self.sent: list[int] = []
        self.under_way = 0
        self.closed = False
        self.writer = Writer(self._group, most=3)

    def _group(self, works: Sequence[Any]) -> list[Outcome]:
        self.groups.append(list(works))
        self.entered.release()
        self.gate.acquire()
        return [(work, None) for work in works]

    def _then(self, result: Any, error: BaseException | None) -> None:
        with self.telling:
            self.told.append(result)
            self.telling.notify()

    @property
    def waiting(self) -> int:
        return len(self.sent) - len(self.told) - self.under_way

    @rule()
    def send(self) -> None:
        number: Any = len(self.sent)
        if self.waiting >= 3:
            with pytest.raises(Full):
                self.writer.begin(number, self._then)
            return
        self.writer.begin(number, self._then)
        self.sent.append(number)
        self._enter()

    @rule()
    def let(self) -> None:
        if self.under_way:
            self._let()
            self._enter()

    def _let(self) -> None:
        end = len(self.told) + self.under_way
        self.gate.release()
        with self.telling:
            assert self.telling.wait_for(lambda: len(self.told) == end, 10)
        self.under_way = 0

    def _enter(self) -> None:
        """All that waits goes into the next group, if none is under way."""
        if not self.under_way and self.waiting:
            assert self.entered.acquire(timeout=10)
            self.under_way = len(self.groups[-1])
            assert self.waiting == 0

    @invariant()
    def in_order_and_once(self) -> None:
        assert self.told == self.sent[: len(self.told)]

    def teardown(self) -> None:
        """The end, while some may wait: all of them get their answer."""
        for _ in range(3):
            self.gate.release()
        self.writer.close()
        assert self.told == self.sent
        with pytest.raises(Unavailable):
            self.writer.begin(lambda transaction: None, self._then)


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_a_group_that_fails_as_a_whole_is_everybodys_error() -> None:
    def group(works: Sequence[Work]) -> list[Outcome]:
        raise SystemExit(len(works))

    writer = Writer(group, most=10)
    for _ in range(2):
        with pytest.raises(SystemExit):
            writer.do(lambda transaction: None)
    writer.close()


def test_a_listener_that_fails_keeps_nobody_from_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []
    held = threading.Event()
    writer = Writer(lambda works: [(held.wait(10), None) for _ in works], most=10)
    writer.begin(lambda transaction: None, lambda *what: None)
    writer.begin(lambda transaction: None, lambda *what: 1 / 0)
    writer.begin(lambda transaction: None, lambda *what: told.append(what))
    held.set()
    writer.close()
    assert told == [(True, None)]
    assert "ZeroDivisionError" in caplog.text


def test_the_writer_does_not_wait_for_itself(tmp_path: Path) -> None:
    database = open_database(f"sqlite:{tmp_path}/kept.db", [KEPT])
    with pytest.raises(RuntimeError, match="wait for itself"):
        database.write(lambda transaction: database.write(lambda other: keep(other, "a")))
    database.close()
