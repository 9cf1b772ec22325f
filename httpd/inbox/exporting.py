"""An export straight from the database: never all of it in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..store.schema import Transaction
from .export import Columns, as_csv, as_json_lines
from .records import Record, records
from .submissions import Wanted, each, totals

__all__ = ["Export"]

# After how many submissions it is told how much is done.
_NOW_AND_THEN = 100


class Export:
    """What is wanted, the oldest first, as "csv" or "jsonl".  `total` is how many submissions that is.

    It lasts as long as the transaction, which sees one state of the tables: the columns are those of all rows.
    `tell(share)` is called now and then with how much of the work is done, from 0 to 1.
    """

    def __init__(
        self, transaction: Transaction, wanted: Wanted, kind: str, tell: Callable[[float], object] = lambda share: None
    ) -> None:
        self._transaction = transaction
        self._wanted = wanted
        self._kind = kind
        self._tell = tell
        self._done = 0
        self.total = sum(form.submissions for form in totals(transaction, wanted))

    def lines(self) -> Iterator[bytes]:
        """The content, line by line."""
        if self._kind == "jsonl":
            return as_json_lines(self._records())
        return as_csv(Columns(self._records()), self._records())

    def _records(self) -> Iterator[Record]:
        steps = self.total * (1 if self._kind == "jsonl" else 2)
        for record in records(self._transaction, each(self._transaction, self._wanted)):
            self._done += 1
            if self._done % _NOW_AND_THEN == 0:
                self._tell(self._done / steps)
            yield record
