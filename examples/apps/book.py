"""A guestbook that keeps what is written: in SQLite, durable before anybody is thanked.

python examples/apps/book.py         then open http://127.0.0.1:8000/

The entries are in the file book.db where it is started; BOOK names another database.  A form carries a token of its
session, so no other site can have a visitor sign.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from httpd import Request, Response, Router, Server, Sessions, StaticFiles, Templates, blocking, redirect
from httpd.store.database import open_database
from httpd.store.schema import Schema, Transaction

HERE = Path(__file__).resolve().parent
SHOWN = 20
SCHEMA = Schema(
    "book",
    [
        "CREATE TABLE entries (id TEXT PRIMARY KEY, signed BIGINT, name TEXT, message TEXT)",
        "CREATE TABLE keys (number BIGINT PRIMARY KEY, key TEXT)",
    ],
)

router = Router()
templates = Templates(HERE / "templates")
database = open_database(os.environ.get("BOOK", "sqlite:book.db"), [SCHEMA])


def newest(transaction: Transaction) -> list[tuple[str, str, str]]:
    """(when, who, what) of the last entries."""
    sql = "SELECT signed, name, message FROM entries ORDER BY signed DESC, id LIMIT ?"
    rows = transaction.execute(sql, (SHOWN,))
    return [(time.strftime("%d %B %Y, %H:%M", time.gmtime(signed)), *rest) for signed, *rest in rows]


def add(name: str, message: str) -> None:
    """Write an entry, and wait until it is on the disk."""
    sql = "INSERT INTO entries (id, signed, name, message) VALUES (?, ?, ?, ?)"
    entry = (secrets.token_hex(8), int(time.time()), name, message)
    database.write(lambda transaction: transaction.execute(sql, entry))


def page(request: Request, faults: dict[str, str], status: int = 200) -> Response:
    """The entries and the form, with what was typed and what is wrong with it."""
    typed = request.form if request.method == "POST" else {}
    entries = database.read(newest)
    token = request.session.csrf_token
    return templates.response("book.html", status, entries=entries, token=token, typed=typed, faults=faults)


@router.get("/")
@blocking
def book(request: Request) -> Response:
    """The book.  Reading may wait for the disk, so it is done in a thread."""
    return page(request, {})


@router.post("/")
@blocking
def sign(request: Request) -> Response:
    """Take an entry, or say what is wrong with it."""
    request.session.check_csrf(request)
    check = request.form.check()
    name, message = check.text("name", most=60), check.text("message", most=1_000, lines=True)
    if check.errors:
        return page(request, check.errors, 422)
    add(name, message)
    return redirect("/")


def session_key(transaction: Transaction) -> str:
    """What signs the sessions: made by the process that comes first, the same for all others and after a restart."""
    sql = "INSERT INTO keys (number, key) VALUES (1, ?) ON CONFLICT DO NOTHING"
    transaction.execute(sql, (secrets.token_hex(),))
    return str(transaction.execute("SELECT key FROM keys", ())[0][0])


router.mount("/", StaticFiles(HERE / "public"))
# Whoever knows the key can forge sessions.
site = Sessions(router, database.write(session_key))

if __name__ == "__main__":
    Server(site, port=8000).run()
