"""Telling the operator, by `logging`, which is imported when there is first something to tell.

Most runs of a server have nothing to tell, and `logging` with all that it imports is a good part of the time that a
small server takes to start.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["Reporter", "configure", "tell"]

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_level: str | None = None


class Reporter:
    """Stands for the logger of that name: `error`, `exception`, `warning` and whatever else it has."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        try:
            import logging
        except (ImportError, OSError):
            # No descriptor is left to read the module with, which may be the very thing to be told.
            return _told_nobody

        if _level is not None:
            logging.basicConfig(level=_level, format=_FORMAT)
        return getattr(logging.getLogger(self._name), method)


def _told_nobody(*what: Any, **more: Any) -> None:
    """Stands for a method of a logger that cannot be had now."""


def tell(sentence: str) -> None:
    """Say a sentence to whoever has started the program, on standard error.  Where that is full, nobody is told."""
    try:
        print("httpd:", sentence, file=sys.stderr, flush=True)
    except OSError:
        pass


def configure(level: str) -> None:
    """Send what is told from now on to standard error, from this level on, unless `logging` is set up already."""
    global _level
    _level = level.upper()
