"""What lies in folders for the console: saved traces, and the lessons with theirs; and the trace that somebody brings.

A name comes from a request: it is taken only if it is a plain one, and never joined to anything else.  What is brought
is held in memory until it is answered, and kept nowhere.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO

from ..protocol.errors import HTTPError
from ..protocol.files import File, Files
from ..protocol.forms import Form
from ..protocol.message import Head, Request
from ..resources import folder
from ..site.uploads import Reader
from .events import Trace
from .lessons import Lesson, NotALesson, read_lesson
from .ndjson import NotATrace, read_opened, read_trace

__all__ = ["MOST_FILE", "Brought", "lessons_folder", "lessons_in", "names_in", "trace_brought", "trace_in"]

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
        _check_size(os.path.getsize(path))
        with _said():
            return read_trace(path)
    except OSError as why:
        raise HTTPError(404, f"The trace cannot be read: {why.strerror}.") from None


def trace_brought(request: Request) -> Trace:
    """The trace that is the content of a request, of a route that takes it as `Brought`.  Raises HTTPError 422."""
    with _said():
        return read_opened(request.files[""].file if "" in request.files else BytesIO(request.body))


class Brought:
    """Takes a trace as a request's content, held in memory; `permit(head)` raises HTTPError for who may bring none."""

    def __init__(self, permit: Callable[[Head], object]) -> None:
        self._permit = permit

    def reader(self, head: Head, most_in_memory: int) -> Reader:
        """What reads it, whatever else is held in memory.  Raises HTTPError, 413 for a file that is too large."""
        self._permit(head)
        _check_size(head.content_length)
        return _BroughtReader()


class _BroughtReader:
    """Holds the content as one file."""

    def __init__(self) -> None:
        self._file = File("", "", "")
        self.feed = self._file.write

    def finish(self) -> tuple[Form, Files]:
        """It has come whole."""
        self._file.complete()
        return Form(), Files([("", self._file)])

    def close(self) -> None:
        """Memory goes by itself; a thread may read it when the client has gone."""


def _check_size(size: int) -> None:
    if size > MOST_FILE:
        raise HTTPError(413, f"The trace is larger than {MOST_FILE >> 20} MiB; httpd show shows it.")


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """What is no trace, in an answer."""
    try:
        yield
    except NotATrace as why:
        raise HTTPError(422, f"This is no trace: {why}.") from None


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
