"""Opening the inbox: the database with all of its tables."""

from __future__ import annotations

import os

from ..store.database import Database, open_database
from . import deliveries
from .schema import SCHEMA

__all__ = ["open_inbox"]


def open_inbox(url: str, *, create: bool = True) -> Database:
    """The inbox at "sqlite:PATH" or "postgresql://…".  With `create` a file that is not there is made.

    Raises ValueError with a sentence where it never could be opened.
    """
    path = url.removeprefix("sqlite:")
    if not create and path != url and not os.path.exists(path):
        raise ValueError(f"there is no inbox {path} here")
    return open_database(url, [SCHEMA, deliveries.SCHEMA])
