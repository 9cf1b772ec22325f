"""What is to be sent on: a row for each submission and each of its targets, made with the submission or not at all.

A row is claimed before it is sent, for a while, at the end of which it is due again.  Whoever marks it in time has sent
it; who died meanwhile has lost nothing, for then the row is there for everybody who shares the database.
So every delivery is tried until it succeeds or is given up, perhaps twice, always under one id, and never by two at
once as long as whoever has claimed it lives and keeps to the time.

Each function is one step within somebody else's transaction.  Times are in microseconds since 1970, UTC.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from ..store.schema import Schema, Transaction
from .targets import Target

__all__ = [
    "SCHEMA", "Delivery", "claim", "delivered", "deliveries", "enqueue", "failed", "forget", "next_due",
    "postpone", "retry",
]  # fmt: skip

# `due` is NULL once nothing is to be done any more: it is delivered then, or given up.  `claimed_until` is the end of
# the claim, 0 where nobody has one; `due` is that, too, as long as there is one.
_TABLES = """
    CREATE TABLE deliveries (
        id TEXT PRIMARY KEY,
        submission TEXT NOT NULL,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        due BIGINT,
        claimed_until BIGINT NOT NULL,
        delivered BIGINT,
        last_error TEXT NOT NULL
    );
    CREATE INDEX deliveries_by_due ON deliveries (due) WHERE due IS NOT NULL;
    CREATE INDEX deliveries_by_submission ON deliveries (submission);
"""
SCHEMA = Schema("deliveries", [_TABLES])
_COLUMNS = "id, submission, kind, target, attempts, due, claimed_until, delivered, last_error"
# How much of what went wrong is kept.
_LONGEST_ERROR = 300


class Delivery(NamedTuple):
    """A submission on its way to a target.  `attempts` counts those that were begun."""

    id: str
    submission: str
    kind: str
    target: str
    attempts: int
    due: int | None = None
    claimed_until: int = 0
    delivered: int | None = None
    last_error: str = ""

    @property
    def state(self) -> str:
        """ "delivered", "failed" (given up), "pending" (not tried yet) or "retrying"."""
        if self.delivered is not None:
            return "delivered"
        if self.due is None:
            return "failed"
        return "retrying" if self.attempts else "pending"

    @property
    def place(self) -> str:
        """The target, as it may be shown and logged: in the path of a URL there is often a secret."""
        if self.kind != "webhook":
            return self.target
        parts = urlsplit(self.target)
        return f"{parts.scheme}://{parts.netloc}"


def enqueue(transaction: Transaction, submission: str, targets: Iterable[Target], now: int) -> None:
    """Have a submission sent to these targets.  To be called where it is stored, and the outbox woken after that."""
    for kind, address in targets:
        row = (f"msg_{secrets.token_hex(16)}", submission, kind, address, 0, now, 0, None, "")
        transaction.execute(f"INSERT INTO deliveries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def next_due(transaction: Transaction, kinds: Sequence[str]) -> int | None:
    """When the next delivery of these kinds is due."""
    sql = f"SELECT MIN(due) FROM deliveries WHERE due IS NOT NULL AND kind IN ({_marks(kinds)})"
    [(due,)] = transaction.execute(sql, kinds)
    return due  # type: ignore[no-any-return]


def claim(transaction: Transaction, kinds: Sequence[str], now: int, until: int) -> Delivery | None:
    """The delivery of these kinds that is due first, if any is: nobody else gets it until `until`."""
    # The outer condition is asked again once another transaction's claim on the same row is known.
    rows = transaction.execute(
        "UPDATE deliveries SET due = ?, claimed_until = ?, attempts = attempts + 1 WHERE due <= ? AND id = "
        f"(SELECT id FROM deliveries WHERE due <= ? AND kind IN ({_marks(kinds)}) ORDER BY due LIMIT 1) "
        f"RETURNING {_COLUMNS}",
        (until, until, now, now, *kinds),
    )
    return Delivery(*rows[0]) if rows else None


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def delivered(transaction: Transaction, delivery: Delivery, now: int) -> None:
    """It has arrived, whoever else may have claimed it meanwhile."""
    sql = "UPDATE deliveries SET due = NULL, claimed_until = 0, delivered = ?, last_error = '' WHERE id = ?"
    transaction.execute(sql, (now, delivery.id))


def failed(transaction: Transaction, delivery: Delivery, why: str, due: int | None) -> None:
    """This attempt has failed; the next is due then, None gives up.  Who was too late to say so is not heard."""
    transaction.execute(
        "UPDATE deliveries SET due = ?, claimed_until = 0, last_error = ? "
        "WHERE id = ? AND attempts = ? AND delivered IS NULL",
        (due, why[:_LONGEST_ERROR], delivery.id, delivery.attempts),
    )


def postpone(transaction: Transaction, delivery: Delivery, now: int, until: int) -> None:
    """Let all others that are due for the same target wait: it does not answer, and those for other targets come
    first."""
    transaction.execute(
        "UPDATE deliveries SET due = ? WHERE due <= ? AND kind = ? AND target = ?",
        (until, now, delivery.kind, delivery.target),
    )


def deliveries(transaction: Transaction, submission: str = "", *, undelivered: bool = False) -> Iterable[Delivery]:
    """The deliveries, of one submission or of all, or what of them has not arrived; the newest submission first."""
    where = ["1 = 1", *(["submission = ?"] if submission else []), *(["delivered IS NULL"] if undelivered else [])]
    sql = f"SELECT {_COLUMNS} FROM deliveries WHERE {' AND '.join(where)} ORDER BY submission DESC, id"
    return (Delivery(*row) for row in transaction.rows(sql, (submission,) if submission else ()))


def retry(transaction: Transaction, identities: Iterable[str] | None, now: int) -> int:
    """Have those that have not arrived tried at once, as if for the first time; how many.

    They are named by their own ids or those of their submissions; None is all that were given up.  What is being sent
    at this moment is left alone.
    """
    start = "UPDATE deliveries SET due = ?, attempts = 0 WHERE delivered IS NULL AND claimed_until <= ? AND"
    if identities is None:
        return len(transaction.execute(f"{start} due IS NULL RETURNING id", (now, now)))
    sql = f"{start} (id = ? OR submission = ?) RETURNING id"
    return sum(len(transaction.execute(sql, (now, now, identity, identity))) for identity in identities)


def forget(transaction: Transaction, submissions: Iterable[str]) -> None:
    """Delete the deliveries of submissions that are deleted."""
    for submission in submissions:
        transaction.execute("DELETE FROM deliveries WHERE submission = ?", (submission,))
