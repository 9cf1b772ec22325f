"""The form of `submissions`, written for Flask: the same checks, the same row, the same settings of SQLite."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
_TABLES = """
    CREATE TABLE submissions (
        id TEXT PRIMARY KEY, form TEXT NOT NULL, received BIGINT NOT NULL, address TEXT NOT NULL, token TEXT NOT NULL,
        fields TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0, UNIQUE (form, token)
    );
    CREATE INDEX submissions_by_form ON submissions (form, id);
"""


def flask_app(path: Path) -> Flask:
    from flask import Flask, redirect, request

    app = Flask(__name__)
    own = threading.local()

    def connection() -> sqlite3.Connection:
        if not hasattr(own, "connection"):
            own.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            own.connection.execute("PRAGMA synchronous = FULL")
        return own.connection  # type: ignore[no-any-return]

    with sqlite3.connect(path) as first:
        first.execute("PRAGMA journal_mode = WAL")
        first.executescript(_TABLES)
    first.close()

    @app.post("/contact")
    def contact() -> Any:
        fields = [(name, request.form.get(name, "").strip()) for name in ("name", "email", "message")]
        if not all(value and len(value) <= 10_000 for _, value in fields) or not _MAIL.fullmatch(fields[1][1]):
            return "Please fill in all of it.", 422
        identity = f"{time.time_ns():x}{secrets.token_hex(5)}"
        row = (identity, "/contact", time.time_ns() // 1000, request.remote_addr, identity, json.dumps(fields))
        connection().execute("INSERT INTO submissions VALUES (?, ?, ?, ?, ?, ?, 0)", row)
        return redirect("/contact/sent", 303)

    return app
