"""A submission with its files, as its owner reads it, and as it leaves the house."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from ..store.schema import Transaction
from .moments import moment
from .submissions import StoredFile, Submission

__all__ = ["Record", "records"]

# Of how many submissions the files are asked for at once.
_BATCH = 200


class Record(NamedTuple):
    """A submission, and what came along with it."""

    submission: Submission
    files: Sequence[StoredFile] = ()

    def as_object(self) -> dict[str, Any]:
        """All of it but what is in the files, for JSON."""
        about = self.submission
        return {
            "id": about.id,
            "form": about.form,
            "received": moment(about.received),
            "address": about.address,
            "read": about.seen,
            "fields": [[name, value] for name, value in about.fields],
            "files": [
                {"number": file.number, "field": file.field, "name": file.name, "type": file.media_type,
                 "size": file.size} for file in self.files
            ],
        }  # fmt: skip


def records(transaction: Transaction, submissions: Iterable[Submission]) -> Iterator[Record]:
    """Each submission with its files.  They come in the order of their ids, up or down, and few are held at once."""
    waiting = iter(submissions)
    while batch := list(islice(waiting, _BATCH)):
        ids = [submission.id for submission in batch]
        rows = transaction.execute(
            "SELECT submission, number, field, name, media_type, size FROM files "
            "WHERE submission BETWEEN ? AND ? ORDER BY submission, number",
            (min(ids), max(ids)),
        )
        files = {identity: [StoredFile(*row) for row in group] for identity, group in groupby(rows, itemgetter(0))}
        yield from (Record(submission, files.get(submission.id, ())) for submission in batch)
