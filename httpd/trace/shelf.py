"""What lies in folders for the console: saved traces, and the lessons with theirs.

A name comes from a request: it is taken only if it is a plain one, and never joined to anything else.
"""

from __future__ import annotations

import contextlib
import os
import re

from ..protocol.errors import HTTPError
from ..resources import folder
from .events import Trace
from .lessons import Lesson, NotALesson, read_lesson
from .ndjson import NotATrace, read_trace

__all__ = ["MOST_FILE", "lessons_folder", "lessons_in", "names_in", "trace_in"]

# The largest trace that is shown: a page has to hold it, too.
MOST_FILE = 8 << 20
# How many of a folder's traces are offered.
_MOST_FILES = 50

_TRACE = re.compile(r"[\w-][\w.-]*\.ndjson")
_LESSON = re.compile(r"\d\d_\w+\.py")


def trace_in(place: str, name: str) -> Trace:
    """The trace of that name in a folder, "" for none.  Raises HTTPError 404, 413 or 422."""
    path = os.path.join(place, name)
    if not place or not _TRACE.fullmatch(name) or not os.path.isfile(path):
        raise HTTPError(404, "There is no such trace.")
    try:
        if os.path.getsize(path) > MOST_FILE:
            raise HTTPError(413, f"The trace is larger than {MOST_FILE >> 20} MiB; httpd show shows it.")
        return read_trace(path)
    except NotATrace as why:
        raise HTTPError(422, f"This is no trace: {why}.") from None
    except OSError as why:
        raise HTTPError(404, f"The trace cannot be read: {why.strerror}.") from None


def names_in(place: str) -> list[str]:
    """The names of the newest traces in a folder, "" for none."""
    try:
        names = sorted(filter(_TRACE.fullmatch, os.listdir(place)), reverse=True) if place else []
    except OSError:
        return []
    return names[:_MOST_FILES]


def lessons_folder() -> str:
    """Where the lessons are in a checkout, "" where they are not."""
    place = os.path.join(os.path.dirname(folder("static")), "examples", "lessons")
    return place if os.path.isdir(place) else ""


def lessons_in(place: str) -> dict[str, Lesson]:
    """The lessons in a folder by the names of their files, in order.  One that is being edited may be none just now."""
    found = {}
    for name in sorted(filter(_LESSON.fullmatch, os.listdir(place))) if place else []:
        with contextlib.suppress(NotALesson, OSError):
            found[name] = read_lesson(os.path.join(place, name))
    return found
