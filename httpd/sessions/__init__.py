"""Sessions that are kept in a database, and can be listed and ended; the core does not know them."""

from __future__ import annotations

from .stored import SCHEMA, Kept, StoredSessions

__all__ = ["SCHEMA", "Kept", "StoredSessions"]
