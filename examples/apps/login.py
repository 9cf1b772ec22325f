"""Accounts: sign up, log in, see where one is logged in, log out here or everywhere.

python examples/apps/login.py        then open http://127.0.0.1:8000/

Accounts and sessions are in the file accounts.db where it is started; ACCOUNTS names another database.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

from httpd import HTTPError, Request, Response, Router, Server, StaticFiles, Templates, blocking, redirect
from httpd.sessions import SCHEMA as SESSIONS
from httpd.sessions import StoredSessions
from httpd.store.database import open_database
from httpd.store.schema import Schema

HERE = Path(__file__).resolve().parent
SHORTEST, LONGEST = 8, 200
ACCOUNTS = Schema("accounts", ["CREATE TABLE accounts (name TEXT PRIMARY KEY, salt BYTEA, hash BYTEA)"])

router = Router()
templates = Templates(HERE / "templates")
database = open_database(os.environ.get("ACCOUNTS", "sqlite:accounts.db"), [ACCOUNTS, SESSIONS])
site = StoredSessions(router, database, owner="user")


def hashed(password: str, salt: bytes) -> bytes:
    """What is kept of a password: it takes a twentieth of a second and 16 MB to try one."""
    return hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1)


def add(name: str, password: str) -> bool:
    """Make an account; whether the name was free."""
    salt = secrets.token_bytes(16)
    values = (name, salt, hashed(password, salt))
    sql = "INSERT INTO accounts (name, salt, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING name"
    return bool(database.write(lambda transaction: transaction.execute(sql, values)))


def is_right(name: str, password: str) -> bool:
    """Whether it is the password.  For a name that is not there it takes as long to say no."""
    sql = "SELECT salt, hash FROM accounts WHERE name = ?"
    rows = database.read(lambda transaction: transaction.execute(sql, (name,)))
    salt, kept = rows[0] if rows else (bytes(16), bytes(64))
    return hmac.compare_digest(hashed(password, bytes(salt)), bytes(kept))


def page(request: Request, fault: str = "", status: int = 200) -> Response:
    """The forms, or who is logged in and where."""
    session = request.session
    user = session.get("user", "")
    known = site.of(user) if user else []
    places = [(time.strftime("%d %B, %H:%M", time.gmtime(each.began)), each.ident == session.ident) for each in known]
    context = {"token": session.csrf_token, "user": user, "places": places, "fault": fault}
    return templates.response("login.html", status, name=request.form.get("name") if fault else "", **context)


@router.get("/")
@blocking
def home(request: Request) -> Response:
    """Where everything is."""
    return page(request)


def filled_in(request: Request) -> tuple[str, str]:
    """The name, "" where it is none, and the password.  The same name has the same letters at every form."""
    return request.form.check().text("name", most=LONGEST), request.form["password"]


@router.post("/login")
@blocking
def log_in(request: Request) -> Response:
    """Check the password, and begin a session that nobody can have known before."""
    request.session.check_csrf(request)
    name, password = filled_in(request)
    if len(password) > LONGEST or not is_right(name, password):
        return page(request, "There is no account of that name and password.", 422)
    return welcome(request, name)


@router.post("/signup")
@blocking
def sign_up(request: Request) -> Response:
    """Make an account."""
    request.session.check_csrf(request)
    name, password = filled_in(request)
    if not name or not SHORTEST <= len(password) <= LONGEST:
        return page(request, f"A name, and a password of {SHORTEST} letters or more.", 422)
    if not add(name, password):
        return page(request, "That name is taken.", 422)
    return welcome(request, name)


def welcome(request: Request, name: str) -> Response:
    """Somebody is known from now on."""
    request.session.renew()
    request.session["user"] = name
    return redirect("/")


@router.post("/logout")
@blocking
def log_out(request: Request) -> Response:
    """End this session, or all others of this user."""
    request.session.check_csrf(request)
    if not (user := request.session.get("user")):
        raise HTTPError(403, "Nobody is logged in here.")
    if request.form.get("where") == "elsewhere":
        site.end_all(user, but=request.session.ident)
    else:
        request.session.end()
    return redirect("/")


router.mount("/", StaticFiles(HERE / "public"))

if __name__ == "__main__":
    Server(site, port=8000).run()
