"""An export into a file or to standard output, and how far it is on a terminal."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial

from ..inbox.exporting import Export
from ..inbox.submissions import Wanted
from ..store.database import Database
from ..store.schema import Transaction

__all__ = ["export"]

# How long what is shown of the progress stays, in seconds.
_SHOWN = 0.2


def export(database: Database, wanted: Wanted, kind: str, path: str | None) -> None:
    """Write what is wanted as "csv" or "jsonl"; None is standard output.  Raises OSError, and Unavailable.

    Nobody finds half of a file, and nobody but its owner any of it.  What is no file, as a terminal or a pipe is none,
    is written as it is.
    """
    if path is None:
        database.read(partial(_write, wanted, kind, sys.stdout.buffer.write))
        sys.stdout.buffer.flush()
    elif os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as device:
            database.read(partial(_write, wanted, kind, device.write))
    else:
        _into_file(path, partial(_write, wanted, kind), database)


def _into_file(path: str, work: Callable[[Callable[[bytes], object], Transaction], None], database: Database) -> None:
    # Where a link leads to it, the link stays.
    path = os.path.realpath(path)
    try:
        number, half = tempfile.mkstemp(".part", f"{os.path.basename(path)}.", os.path.dirname(path))
    except OSError as why:
        why.filename = path
        raise
    with open(number, "wb") as file:
        try:
            database.read(partial(work, file.write))
            file.flush()
            os.fsync(number)
            os.replace(half, path)
        except BaseException:
            os.unlink(half)
            raise


def _write(wanted: Wanted, kind: str, write: Callable[[bytes], object], transaction: Transaction) -> None:
    progress = _Progress()
    exported = Export(transaction, wanted, kind, progress)
    for line in exported.lines():
        write(line)
    progress.end(f"{exported.total} exported")


class _Progress:
    """How much is done, on standard error if that is a terminal, and seldom enough to be read."""

    def __init__(self) -> None:
        self._shows = sys.stderr.isatty()
        self._shown = time.monotonic()

    def __call__(self, share: float) -> None:
        if self._shows and time.monotonic() - self._shown > _SHOWN:
            self._shown = time.monotonic()
            print(f"\r{share:.0%}", end="", file=sys.stderr, flush=True)

    def end(self, told: str) -> None:
        if self._shows:
            print(f"\r{told}", file=sys.stderr)
