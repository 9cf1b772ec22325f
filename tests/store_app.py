"""A small site on a store, for the tests that start it, stop it and take its disk away.

    POST /   keeps the content under the token in `X-Token`, once, and answers "kept" or "known"
    GET /    the tokens that are kept, a line each

`--app tests.store_app:site` serves it; the environment says where it keeps things: TEST_STORE.
"""

from __future__ import annotations

import os
from functools import partial

from httpd import Request, Response, Router, blocking, text
from httpd.site.blocking import promised
from httpd.store.database import Database, open_database
from httpd.store.schema import Schema, Transaction

__all__ = ["KEPT", "keep", "keeping"]

KEPT = Schema("kept", ["CREATE TABLE kept (token TEXT PRIMARY KEY, content BYTEA NOT NULL)"])


def keep(transaction: Transaction, token: str, content: bytes = b"") -> str:
    """One piece of work."""
    sql = "INSERT INTO kept VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING token"
    return "kept" if transaction.execute(sql, (token, content)) else "known"


def keeping(database: Database) -> Router:
    """The site."""
    site = Router()

    @site.post("/", body=4_000_000)
    def post(request: Request) -> Response:
        token = request.headers.get("x-token", "")
        return text(promised(request, partial(database.begin, partial(keep, token=token, content=request.body))))

    @site.get("/")
    @blocking
    def get(request: Request) -> Response:
        rows = database.read(lambda seen: seen.execute("SELECT token FROM kept ORDER BY token"))
        return text("".join(f"{token}\n" for (token,) in rows))

    return site


if "TEST_STORE" in os.environ:
    site = keeping(open_database(os.environ["TEST_STORE"], [KEPT]))
