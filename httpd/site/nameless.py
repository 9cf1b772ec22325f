"""A file that has no name and is not written to disk, where the system has such: processes share it by forking."""

from __future__ import annotations

import os
import tempfile

__all__ = ["nameless_file"]


def nameless_file(what: str) -> int:
    """The descriptor of a new one, empty; `what` is for who looks at a process's descriptors."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(what)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
