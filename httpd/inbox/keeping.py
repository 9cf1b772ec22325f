"""Keeping what was sent: once, not too often, and without holding up what else waits.

A submission is there when its row is, which comes last.  So what is large is written before it, in transactions as
short as anybody's, and with room between them for other processes; what somebody has written who died in the middle
belongs to nothing, and `sweep` removes it.

How much comes from a client is counted in the database, so all processes and machines count together; what was not
stored, or was there already, does not count.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from json import dumps
from typing import NamedTuple

from ..protocol.errors import HTTPError
from ..protocol.files import File
from ..store.database import Database
from ..store.errors import Unavailable
from ..store.schema import Transaction
from .declared import Rate
from .pieces import Piece, count_pieces, keep_pieces, pieces_to_keep, remove_pieces, strays
from .schema import PIECE
from .submissions import Kept, Submission, files_of, find_by_token, first_id, keep, last_but

__all__ = ["SAME", "Arrived", "Keeper", "Then", "remove_files", "sweep"]

# Called within the transaction that stores a new submission, and only then.
Then = Callable[[Transaction, Submission], object]

# How much of files is written in one transaction: small ones that wait meanwhile wait for no more.
_STEP = 4 * PIECE
# For how long the same from the same sender, which nothing else marks, is taken to be one, in microseconds: a click too
# many, and who presses the button again after a time-out.
SAME = 120_000_000
# How old pieces without a row are when nobody can be about to write it any more, in microseconds.
_ABANDONED = 3_600_000_000

_OFTEN = "A lot has come from your address. Please send it once more"
_OTHER = "This Idempotency-Key came with something else before; take another one."


class Arrived(NamedTuple):
    """What was sent, before it is kept.

    `client` is who counts as one, "" for who has no address.  That it comes again is told by the first of these that
    is not "": `key`, the client's own; `nonce`, that of our page, and the content; `sender`, who it seems to be, and
    the content, for a short time.
    """

    submission: Submission
    files: list[tuple[str, File]]
    client: str
    key: str = ""
    nonce: str = ""
    sender: str = ""

    @property
    def is_large(self) -> bool:
        """Whether it is more than one transaction should have."""
        return sum(file.size for _, file in self.files) > _STEP


class Keeper:
    """Keeps what is sent to one form; `rate` is how much may come from one client (None: any number).

    `then` is done in the same transaction as each new submission.
    """

    def __init__(self, database: Database, rate: Rate | None, then: Then) -> None:
        self._database = database
        self._rate = rate
        self._then = then
        self._one_large = threading.Lock()

    def begin(self, arrived: Arrived, done: Callable[[Kept | None, BaseException | None], object]) -> None:
        """Have it kept with all that waits; `done(kept, error)` is as in `Database.begin`.  Raises Unavailable.

        The error may be HTTPError 429, or 422 for a key that came with something else before.
        """
        self._database.begin(lambda transaction: self._keep(transaction, arrived, _tokens(arrived)), done)

    def keep_large(self, arrived: Arrived) -> Kept:
        """Keep it step by step, and wait for that.  Raises Unavailable, and HTTPError 429 and 422 as above.

        One is kept after the other: so the share of the others is the same, however many there are.
        """
        tokens = _tokens(arrived)
        with self._one_large:
            sweep(self._database, arrived.submission.received)
            # What need not or may not be kept is not written first.
            known = self._database.read(lambda transaction: self._known(transaction, arrived, tokens))
            try:
                return known or self._kept_in_steps(arrived, tokens)
            finally:
                with contextlib.suppress(Unavailable):
                    remove_files(self._database, [arrived.submission.id])

    def _kept_in_steps(self, arrived: Arrived, tokens: Sequence[str]) -> Kept:
        write, identity = self._database.write, arrived.submission.id
        for step in _steps(pieces_to_keep(arrived.files)):
            began = time.monotonic()
            write(partial(keep_pieces, submission=identity, pieces=step))
            # Other processes look for SQLite's lock only now and then: they must find it free.
            time.sleep(time.monotonic() - began)
        return write(lambda transaction: self._keep(transaction, arrived, tokens, are_written=True))

    # ---- within a transaction

    def _keep(
        self, transaction: Transaction, arrived: Arrived, tokens: Sequence[str], are_written: bool = False
    ) -> Kept:
        known = self._known(transaction, arrived, tokens)
        if known is not None:
            return known
        if are_written:
            _require_pieces(transaction, arrived)
        new = arrived.submission._replace(token=tokens[0])
        kept = keep(transaction, new, arrived.files, arrived.client, are_written=are_written)
        if not kept.is_new:
            # Another machine was faster by a moment.
            return _again(transaction, arrived, kept.submission)
        self._then(transaction, kept.submission)
        return kept

    def _known(self, transaction: Transaction, arrived: Arrived, tokens: Sequence[str]) -> Kept | None:
        """What is there of it already; None where there is nothing, and it may come.  Raises HTTPError 429, 422."""
        new = arrived.submission
        for number, token in enumerate(tokens):
            stored = find_by_token(transaction, new.form, token)
            if stored is not None and (number == 0 or new.received - stored.received < SAME):
                return _again(transaction, arrived, stored)
        if self._rate is not None and arrived.client:
            _require_patience(transaction, arrived, self._rate)
        return None


def sweep(database: Database, now: int) -> None:
    """Remove what was written of submissions that never came to be there; `now` is in microseconds.

    Raises Unavailable.  It waits, and not a little where there is much.
    """
    for identity in database.read(lambda transaction: strays(transaction, first_id(now - _ABANDONED))):
        remove_files(database, [identity])


def remove_files(database: Database, identities: Sequence[str]) -> None:
    """Remove what was in the files of submissions that are not there, step by step.  Raises Unavailable; it waits."""
    while database.write(lambda transaction: remove_pieces(transaction, identities, _STEP // PIECE)):
        pass


def _steps(pieces: Iterator[Piece]) -> Iterator[list[Piece]]:
    while step := list(islice(pieces, _STEP // PIECE)):
        yield step


# ---- what tells one from another


def _tokens(arrived: Arrived) -> Sequence[str]:
    """The token that it is kept by, and others that it may have been kept by a moment before."""
    if arrived.key:
        return [f"key {arrived.key}"]
    if arrived.nonce:
        # Who goes back in the browser, and writes something else, has the same nonce: it is another submission.
        return [f"{arrived.nonce} {_digest(arrived)}"]
    if arrived.sender:
        digest, span = _digest(arrived), arrived.submission.received // SAME
        return [f"{span:x} {digest}", f"{span - 1:x} {digest}"]
    return [arrived.submission.id]


def _digest(arrived: Arrived) -> str:
    """What tells one content, and one sender, from another."""
    looks = [_look(*each) for each in arrived.files]
    digest = sha256(dumps([arrived.sender, arrived.submission.fields, looks]).encode())
    for _, file in arrived.files:
        file.file.seek(0)
        while piece := file.file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()[:32]


def _look(field: str, file: File) -> tuple[str, str, int]:
    return field, file.filename, file.size


def _again(transaction: Transaction, arrived: Arrived, stored: Submission) -> Kept:
    """What is there instead.  Raises HTTPError 422 where the client's key stood for something else."""
    if arrived.key:
        looks = [(file.field, file.name, file.size) for file in files_of(transaction, stored.id)]
        if stored.fields != arrived.submission.fields or looks != [_look(*each) for each in arrived.files]:
            raise HTTPError(422, _OTHER)
    return Kept(stored, False)


# ---- what it takes to be kept


def _require_patience(transaction: Transaction, arrived: Arrived, rate: Rate) -> None:
    new = arrived.submission
    before = last_but(transaction, new.form, arrived.client, rate.most - 1)
    left = 0 if before is None else rate.seconds - (new.received - before) // 1_000_000
    if left > 0:
        # Not longer than it ever takes, should a clock have been wrong.
        left = min(left, rate.seconds)
        raise HTTPError(429, f"{_OFTEN} {_in_time(left)}.", [("Retry-After", str(left))])


def _in_time(seconds: int) -> str:
    """When to come again, as people say it."""
    minutes = -(-seconds // 60)
    if minutes >= 120:
        return f"in {-(-minutes // 60)} hours"
    return f"in {minutes} minutes" if minutes > 1 else "in a minute"


def _require_pieces(transaction: Transaction, arrived: Arrived) -> None:
    """They were written by earlier transactions: perhaps into a file that another has taken the place of."""
    if count_pieces(transaction, arrived.submission.id) != sum(1 for _ in pieces_to_keep(arrived.files)):
        raise Unavailable("what was written of a large submission is not there any more")
