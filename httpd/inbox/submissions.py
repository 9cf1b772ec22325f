"""Submissions in the database: each function is one step within somebody else's transaction.

    database.write(lambda transaction: keep(transaction, submission, files))
    database.read(lambda transaction: page(transaction, Wanted(form="/contact"), limit=50))
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..protocol.files import File
from ..store.schema import Transaction
from .pieces import keep_pieces, pieces_to_keep

__all__ = [
    "Kept", "StoredFile", "Submission", "Totals", "Transaction", "Wanted", "delete", "each", "files_of", "find",
    "find_by_token", "first_id", "keep", "last_but", "mark_seen", "new_submission", "page", "pieces", "totals",
]  # fmt: skip

# Digits of ids: in the order in which every database sorts them, none to be taken for another (no i, l, o, u).
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
# The time takes eleven of them, microseconds until the year 3111; chance the rest.
_OF_TIME = 11
_OF_CHANCE = 7
_COLUMNS = "id, form, received, address, token, fields, seen"


class Submission(NamedTuple):
    """What somebody has sent to a form.

    `id` sorts by time.  `form` is its path, `received` in microseconds since 1970 (UTC), `address` the client's, ""
    where it has none.  `token` is what tells it from another that is the same.  `fields` are (name, value), in order.
    """

    id: str
    form: str
    received: int
    address: str
    token: str
    fields: list[tuple[str, str]]
    seen: bool = False


class StoredFile(NamedTuple):
    """A file of a submission; `size` is in bytes, `name` as `sane_name` makes it, perhaps ""."""

    submission: str
    number: int
    field: str
    name: str
    media_type: str
    size: int


class Kept(NamedTuple):
    """What has come of keeping a submission: the stored one, which is an earlier one where it was sent again."""

    submission: Submission
    is_new: bool


class Wanted(NamedTuple):
    """Which submissions: of one form, not yet seen, received from `since` until before `until`, that have `text` in
    their fields, the names included; case does not count, as far as the database knows it.

    What is "" or None makes no difference.
    """

    form: str = ""
    text: str = ""
    seen: bool | None = None
    since: int | None = None
    until: int | None = None


class Totals(NamedTuple):
    """How many submissions a form has, how many of them nobody has seen, and when the last one came."""

    form: str
    submissions: int
    unseen: int
    last: int


# ---- keeping


def new_submission(form: str, received: int, address: str, token: str, fields: Iterable[tuple[str, str]]) -> Submission:
    """A submission with an id of its own.  Without a token it is like no other."""
    identity = _new_id(received)
    return Submission(identity, form, received, address, token or identity, list(fields))


def first_id(microseconds: int) -> str:
    """What sorts before the ids of that time, and after all before it."""
    return _digits(microseconds, _OF_TIME)


def _new_id(microseconds: int) -> str:
    return first_id(microseconds) + _digits(secrets.randbits(5 * _OF_CHANCE), _OF_CHANCE)


def _digits(number: int, count: int) -> str:
    return "".join([_DIGITS[(number >> 5 * place) & 31] for place in reversed(range(count))])


def keep(
    transaction: Transaction,
    submission: Submission,
    files: Sequence[tuple[str, File]] = (),
    client: str = "",
    *,
    are_written: bool = False,
) -> Kept:
    """Store a submission with its files, each with its field, unless one of the same form and token is there.

    `client` is who counts as one, and is not told again.  What is in the files may have been written before (`pieces`).
    """
    is_new = transaction.execute(
        f"INSERT INTO submissions ({_COLUMNS}, client) VALUES (?, ?, ?, ?, ?, ?, 0, ?) "
        "ON CONFLICT (form, token) DO NOTHING RETURNING id",
        (*submission[:5], json.dumps(submission.fields, ensure_ascii=False), client),
    )
    if not is_new:
        stored = find_by_token(transaction, submission.form, submission.token)
        # What the database has just refused to take twice, it also has.
        assert stored is not None
        return Kept(stored, False)
    for number, (field, file) in enumerate(files):
        transaction.execute(
            "INSERT INTO files (submission, number, field, name, media_type, size) VALUES (?, ?, ?, ?, ?, ?)",
            (submission.id, number, field, file.filename, file.content_type, file.size),
        )
    if not are_written:
        keep_pieces(transaction, submission.id, pieces_to_keep(files))
    return Kept(submission, True)


def last_but(transaction: Transaction, form: str, client: str, number: int) -> int | None:
    """When the last submission but `number` to a form came from a client; None where there are not so many."""
    sql = "SELECT received FROM submissions WHERE form = ? AND client = ? ORDER BY received DESC LIMIT 1 OFFSET ?"
    rows = transaction.execute(sql, (form, client, number))
    return rows[0][0] if rows else None


# ---- finding


def find(transaction: Transaction, identity: str) -> Submission | None:
    """The submission of that id."""
    return _first(transaction.execute(f"SELECT {_COLUMNS} FROM submissions WHERE id = ?", (identity,)))


def find_by_token(transaction: Transaction, form: str, token: str) -> Submission | None:
    """The submission to that form with that token."""
    sql = f"SELECT {_COLUMNS} FROM submissions WHERE form = ? AND token = ?"
    return _first(transaction.execute(sql, (form, token)))


def _first(rows: Sequence[tuple[Any, ...]]) -> Submission | None:
    return _submission(rows[0]) if rows else None


def _submission(row: tuple[Any, ...]) -> Submission:
    identity, form, received, address, token, fields, seen = row
    pairs = [(name, value) for name, value in json.loads(fields)]
    return Submission(identity, form, received, address, token, pairs, bool(seen))


def page(transaction: Transaction, wanted: Wanted, *, before: str = "", limit: int = 50) -> list[Submission]:
    """The newest that are wanted, and are older than the one of the id `before`; the newest first."""
    where, parameters = _where(wanted)
    if before:
        where, parameters = f"{where} AND id < ?", [*parameters, before]
    sql = f"SELECT {_COLUMNS} FROM submissions WHERE {where} ORDER BY id DESC LIMIT ?"
    return [_submission(row) for row in transaction.execute(sql, [*parameters, limit])]


def each(transaction: Transaction, wanted: Wanted) -> Iterator[Submission]:
    """All that are wanted, the oldest first, one after the other from the database."""
    where, parameters = _where(wanted)
    sql = f"SELECT {_COLUMNS} FROM submissions WHERE {where} ORDER BY id"
    return map(_submission, transaction.rows(sql, parameters))


def totals(transaction: Transaction, wanted: Wanted = Wanted()) -> list[Totals]:  # noqa: B008
    """How many are wanted of each form that has any."""
    where, parameters = _where(wanted)
    sql = f"SELECT form, COUNT(*), SUM(1 - seen), MAX(received) FROM submissions WHERE {where} GROUP BY form"
    return [Totals(form, count, int(unseen), last) for form, count, unseen, last in transaction.execute(
        f"{sql} ORDER BY form", parameters
    )]  # fmt: skip


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    """A condition and its parameters."""
    conditions: list[tuple[str, Any]] = []
    if wanted.form:
        conditions.append(("form = ?", wanted.form))
    if wanted.text:
        conditions.append((r"LOWER(fields) LIKE LOWER(?) ESCAPE '\'", _like(wanted.text)))
    if wanted.seen is not None:
        conditions.append(("seen = ?", int(wanted.seen)))
    if wanted.since is not None:
        conditions.append(("received >= ?", wanted.since))
    if wanted.until is not None:
        conditions.append(("received < ?", wanted.until))
    return " AND ".join(["1 = 1", *(sql for sql, _ in conditions)]), [parameter for _, parameter in conditions]


def _like(text: str) -> str:
    """A pattern that finds a text, as it stands in JSON."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    return "%" + "".join(["\\" + letter if letter in r"\%_" else letter for letter in written]) + "%"


# ---- files


def files_of(transaction: Transaction, identity: str) -> list[StoredFile]:
    """The files of a submission, in their order."""
    sql = "SELECT submission, number, field, name, media_type, size FROM files WHERE submission = ? ORDER BY number"
    return [StoredFile(*row) for row in transaction.execute(sql, (identity,))]


def pieces(transaction: Transaction, identity: str, number: int, first: int = 0) -> Iterator[bytes]:
    """A file's content from its piece `first` on, piece by piece; each is `PIECE` bytes long but the last."""
    sql = "SELECT content FROM file_pieces WHERE submission = ? AND number = ? AND piece = ?"
    while rows := transaction.execute(sql, (identity, number, first)):
        yield bytes(rows[0][0])
        first += 1


# ---- changing


def mark_seen(transaction: Transaction, identities: Iterable[str], seen: bool = True) -> None:
    """Somebody has read these, or is to read them again."""
    for identity in identities:
        transaction.execute("UPDATE submissions SET seen = ? WHERE id = ?", (int(seen), identity))


def delete(transaction: Transaction, identities: Iterable[str]) -> int:
    """Remove submissions; how many there were.  What was in their files nobody sees any more: `remove_files`."""
    found = 0
    for identity in identities:
        found += find(transaction, identity) is not None
        transaction.execute("DELETE FROM files WHERE submission = ?", (identity,))
        transaction.execute("DELETE FROM submissions WHERE id = ?", (identity,))
    return found
