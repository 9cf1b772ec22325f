"""What is in the files of submissions, written in pieces, if need be before the submission is there.

Nobody sees pieces of a submission that is not there: what has its name has its pieces, all of them or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..protocol.files import File
from ..store.schema import Transaction
from .schema import PIECE

__all__ = ["Piece", "count_pieces", "keep_pieces", "pieces_to_keep", "remove_pieces", "strays"]

_STRAY = "NOT EXISTS (SELECT 1 FROM submissions WHERE id = file_pieces.submission)"


class Piece(NamedTuple):
    """What of a file stands in one row: the file's number in its submission, the piece's in the file."""

    number: int
    piece: int
    file: File


def pieces_to_keep(files: Iterable[tuple[str, File]]) -> Iterator[Piece]:
    """The pieces of the files of a submission."""
    for number, (_, file) in enumerate(files):
        for piece in range(-(-file.size // PIECE)):
            yield Piece(number, piece, file)


def keep_pieces(transaction: Transaction, submission: str, pieces: Iterable[Piece]) -> None:
    """Write pieces of the files of a submission; nobody sees them before it is kept."""
    for number, piece, file in pieces:
        file.file.seek(piece * PIECE)
        transaction.execute(
            "INSERT INTO file_pieces (submission, number, piece, content) VALUES (?, ?, ?, ?)",
            (submission, number, piece, file.file.read(PIECE)),
        )


def count_pieces(transaction: Transaction, identity: str) -> int:
    """How many pieces are there of the files of a submission."""
    return int(transaction.execute("SELECT COUNT(*) FROM file_pieces WHERE submission = ?", (identity,))[0][0])


def strays(transaction: Transaction, before: str) -> list[str]:
    """Ids of submissions that have pieces and are not there, of those that sort before one."""
    sql = f"SELECT DISTINCT submission FROM file_pieces WHERE submission < ? AND {_STRAY}"
    return [identity for (identity,) in transaction.execute(sql, (before,))]


def remove_pieces(transaction: Transaction, identities: Sequence[str], most: int) -> int:
    """Remove so many pieces of those submissions that are not there; how many there were."""
    places = ", ".join("?" * len(identities)) or "NULL"
    sql = f"SELECT submission, number, piece FROM file_pieces WHERE submission IN ({places}) AND {_STRAY} LIMIT ?"
    rows = transaction.execute(sql, (*identities, most))
    for row in rows:
        transaction.execute("DELETE FROM file_pieces WHERE submission = ? AND number = ? AND piece = ?", row)
    return len(rows)
