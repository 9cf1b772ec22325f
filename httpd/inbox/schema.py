"""The inbox's tables.

Everything is in the database, files too, in pieces: so that whichever machine is asked has all of it, and a backup of
the one is a backup of the other.
"""

from __future__ import annotations

from ..store.schema import Schema

__all__ = ["PIECE", "SCHEMA"]

# How much of a file stands in one row, in bytes: no more of it is in memory at once.
PIECE = 262_144

# `received` is in microseconds since 1970, UTC; `fields` a JSON list of [name, value], in the order of the form.
# `token` tells a submission that is sent again from another; it is the id where the client had none.
_TABLES = """
    CREATE TABLE submissions (
        id TEXT PRIMARY KEY,
        form TEXT NOT NULL,
        received BIGINT NOT NULL,
        address TEXT NOT NULL,
        token TEXT NOT NULL,
        fields TEXT NOT NULL,
        seen INTEGER NOT NULL DEFAULT 0,
        UNIQUE (form, token)
    );
    CREATE INDEX submissions_by_form ON submissions (form, id);
    CREATE TABLE files (
        submission TEXT NOT NULL,
        number INTEGER NOT NULL,
        field TEXT NOT NULL,
        name TEXT NOT NULL,
        media_type TEXT NOT NULL,
        size BIGINT NOT NULL,
        PRIMARY KEY (submission, number)
    );
    CREATE TABLE file_pieces (
        submission TEXT NOT NULL,
        number INTEGER NOT NULL,
        piece INTEGER NOT NULL,
        content BYTEA NOT NULL,
        PRIMARY KEY (submission, number, piece)
    );
"""
# `client` is whose submissions are counted as one's, "" for who has no address.
_CLIENTS = """
    ALTER TABLE submissions ADD COLUMN client TEXT NOT NULL DEFAULT '';
    CREATE INDEX submissions_by_client ON submissions (form, client, received);
"""
SCHEMA = Schema("inbox", [_TABLES, _CLIENTS])
