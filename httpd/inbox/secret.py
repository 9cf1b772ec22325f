"""The key that tokens are signed with: made once, kept beside the database for its owner alone."""

from __future__ import annotations

import contextlib
import os
import secrets

__all__ = ["SHORTEST", "kept_key"]

# In bytes, or characters: shorter ones can be guessed.
SHORTEST = 32


def kept_key(path: str) -> bytes:
    """The key in a file, which is made where there is none.  Raises OSError, and ValueError for one that is no key."""
    with contextlib.suppress(FileExistsError):
        _make(path)
    with open(path, "rb") as file:
        key = file.read(1_000).strip()
    if len(key) < SHORTEST:
        raise ValueError(f"there is no key in {path}; remove it, and another is made")
    return key


def _make(path: str) -> None:
    """Several processes may do it at once: the file is whole when it gets its name, and the first one's stays."""
    if os.path.exists(path):
        return
    temporary = f"{path}.{secrets.token_hex(8)}"
    made = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(made, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SHORTEST) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
