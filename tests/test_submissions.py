"""The inbox's tables: what is kept is found again, once, whole, and in order."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from httpd.inbox.pieces import remove_pieces
from httpd.inbox.schema import PIECE, SCHEMA
from httpd.inbox.submissions import (
    Submission,
    Wanted,
    delete,
    each,
    files_of,
    find,
    find_by_token,
    keep,
    last_but,
    mark_seen,
    new_submission,
    page,
    pieces,
    totals,
)
from httpd.protocol.files import File
from httpd.store.database import Database, open_database
from httpd.store.postgres import PostgreSQL
from httpd.store.schema import Transaction, migrate
from httpd.store.sqlite import SQLite

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.tools)]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """One database for all: what is done in a transaction is taken back."""
    from .postgres import shared

    with shared().database() as url:
        yield url


@pytest.fixture(params=BOTH)
def transaction(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transaction]:
    """A transaction in a database of each kind, with nothing in its tables."""
    sqlite = request.param == "sqlite"
    engine = SQLite(str(tmp_path / "inbox.db")) if sqlite else PostgreSQL(request.getfixturevalue("postgresql"))
    with contextlib.closing(engine.connect()) as connection:
        connection.begin()
        migrate(connection, [SCHEMA])
        yield connection


def sent(text: str = "", form: str = "/contact", at: int = 1_000, token: str = "") -> Submission:
    return new_submission(form, at, "192.0.2.1", token, [("name", "Ann"), ("text", text), ("text", "again")])


def upload(field: str, filename: str, content: bytes) -> tuple[str, File]:
    file = File(field, filename, "text/plain")
    file.write(content)
    file.complete()
    return field, file


def test_what_is_kept_is_found_again_by_its_id_and_by_its_token(transaction: Transaction) -> None:
    submission = sent("Grüße\n„“", token="abc")
    kept = keep(transaction, submission)
    assert kept.is_new
    assert kept.submission == submission == find(transaction, submission.id)
    assert find_by_token(transaction, "/contact", "abc") == submission
    assert find_by_token(transaction, "/other", "abc") is None
    assert find(transaction, "nothing") is None


def test_what_is_sent_again_is_kept_once(transaction: Transaction) -> None:
    first, second, elsewhere = sent(token="abc"), sent(token="abc", at=2_000), sent(token="abc", form="/other")
    assert keep(transaction, first, [upload("file", "a.txt", b"a")]).is_new
    again = keep(transaction, second, [upload("file", "a.txt", b"a")])
    assert again.submission == first
    assert not again.is_new
    assert keep(transaction, elsewhere).is_new
    assert files_of(transaction, second.id) == []


def test_two_without_a_token_are_two(transaction: Transaction) -> None:
    assert keep(transaction, sent()).is_new
    assert keep(transaction, sent()).is_new


def test_when_a_client_has_sent_its_last_ones_is_known(transaction: Transaction) -> None:
    for at, form, client in ((3, "/a", "x"), (1, "/a", "x"), (2, "/a", "y"), (4, "/b", "x")):
        keep(transaction, sent(form=form, at=at), client=client)
    assert [last_but(transaction, "/a", "x", number) for number in range(3)] == [3, 1, None]
    assert last_but(transaction, "/a", "z", 0) is None


def test_ids_sort_by_time_and_differ() -> None:
    times = [1, 2, 31, 32, 33, 1_795_000_000_000_000, 1_795_000_000_000_001, 2**55 - 1]
    ids = [sent(at=time).id for time in times]
    assert ids == sorted(ids)
    assert {len(each) for each in ids} == {18}
    assert len({sent(at=5).id for _ in range(1_000)}) == 1_000


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
def test_a_file_comes_back_as_it_was(transaction: Transaction, size: int) -> None:
    content = os.urandom(size)
    submission = sent()
    keep(transaction, submission, [upload("other", "", b"x"), upload("file", "a.txt", content)])
    other, file = files_of(transaction, submission.id)
    assert (other.number, other.field, other.name) == (0, "other", "")
    assert (file.number, file.field, file.name, file.media_type, file.size) == (1, "file", "a.txt", "text/plain", size)
    parts = list(pieces(transaction, submission.id, 1))
    assert b"".join(parts) == content
    assert all(0 < len(part) <= PIECE for part in parts)
    assert b"".join(pieces(transaction, submission.id, 1, first=1)) == content[PIECE:]


def test_pages_go_from_the_newest_to_the_oldest(transaction: Transaction) -> None:
    submissions = [sent(at=time) for time in range(7)]
    for submission in submissions:
        keep(transaction, submission)
    keep(transaction, sent(form="/other"))
    wanted = Wanted(form="/contact")
    first = page(transaction, wanted, limit=4)
    rest = page(transaction, wanted, before=first[-1].id, limit=4)
    assert [*first, *rest] == submissions[::-1]
    assert list(each(transaction, wanted)) == submissions
    assert len(page(transaction, Wanted())) == 8


@pytest.mark.parametrize("text", ['quo"te', "100%", "under_score", "back\\slash", "line\nbreak", "größe"])
def test_a_filter_finds_what_was_written(transaction: Transaction, text: str) -> None:
    for written in (text, text[:-1], "100x", "underscore", "backslash"):
        keep(transaction, sent(f"before {written} after"))
    found = page(transaction, Wanted(text=text))
    assert [submission.fields[1][1] for submission in found] == [f"before {text} after"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_text_is_found_as_it_was_written(transaction: Transaction, text: str) -> None:
    identity = keep(transaction, sent(text)).submission.id
    assert ("text", text) in page(transaction, Wanted(text=text))[0].fields
    assert delete(transaction, [identity]) == 1


def test_case_does_not_count(transaction: Transaction) -> None:
    keep(transaction, sent("Hello"))
    assert len(page(transaction, Wanted(text="hELLO"))) == 1


def test_what_is_seen_and_when_it_came_are_filters_too(transaction: Transaction) -> None:
    old, new = sent(at=1_000), sent(at=2_000)
    for submission in (old, new):
        keep(transaction, submission)
    mark_seen(transaction, [old.id])
    assert page(transaction, Wanted(seen=False)) == [new]
    assert page(transaction, Wanted(seen=True)) == [old._replace(seen=True)]
    assert page(transaction, Wanted(since=1_001)) == [new]
    assert page(transaction, Wanted(until=2_000)) == [old._replace(seen=True)]
    mark_seen(transaction, [old.id], seen=False)
    assert page(transaction, Wanted(seen=True)) == []


def test_totals_are_told_form_by_form(transaction: Transaction) -> None:
    assert totals(transaction) == []
    first = sent(at=1_000)
    for submission in (first, sent(at=2_000), sent(at=3_000, form="/other")):
        keep(transaction, submission)
    mark_seen(transaction, [first.id])
    assert totals(transaction) == [("/contact", 2, 1, 2_000), ("/other", 1, 1, 3_000)]
    assert totals(transaction, Wanted(form="/other")) == [("/other", 1, 1, 3_000)]


def test_what_is_deleted_is_gone_with_its_files_and_nothing_else_is(transaction: Transaction) -> None:
    gone, stays = sent(), sent()
    for submission in (gone, stays):
        keep(transaction, submission, [upload("file", "a.txt", b"content")])
    assert delete(transaction, [gone.id, "nothing"]) == 1
    assert find(transaction, gone.id) is None
    assert files_of(transaction, gone.id) == []
    assert remove_pieces(transaction, [gone.id, stays.id], 9) == 1
    assert list(pieces(transaction, gone.id, 0)) == []
    assert list(pieces(transaction, stays.id, 0)) == [b"content"]
    assert page(transaction, Wanted()) == [stays]


@pytest.mark.parametrize("kind", BOTH)
def test_two_machines_keep_one_submission_once(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/inbox.db" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    databases = [open_database(url, [SCHEMA]) for _ in range(2)]
    begin = threading.Barrier(8)
    kept = []

    def machine(database: Database) -> None:
        submission = sent(token="the same")
        begin.wait()
        kept.append(database.write(lambda transaction: keep(transaction, submission, [upload("file", "a", b"a")])))

    threads = [threading.Thread(target=machine, args=(database,)) for database in databases * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.submission.id for each in kept}) == 1
    assert sum(each.is_new for each in kept) == 1
    assert databases[0].read(lambda transaction: transaction.execute("SELECT COUNT(*) FROM files")) == [(1,)]
    for database in databases:
        database.close()
