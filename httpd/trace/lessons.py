"""A lesson's text, as it stands at the head of its exercise: paragraphs, and places in recorded traces.

    \"\"\"2. The terminator, and what is held back

    If the terminator itself is cut, no piece has it whole.

    ▸ 02_terminator.ndjson #4: the piece ends with a CR

        what is indented      stays as it is
    \"\"\"

The file is read and not run: it may be the one that somebody is editing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Anchor", "Block", "Lesson", "NotALesson", "Paragraph", "Verbatim", "read_lesson"]

# Longer than any lesson, with its exercise.
_MOST_CHARACTERS = 100_000

_DOCSTRING = re.compile(r'r?"""(\d+)\. ([^\n]+)\n\n(.*?)\n?"""', re.DOTALL)
_ANCHOR = re.compile(r"▸ (\w+\.ndjson) #(\d{1,6}): (.+)")


class NotALesson(ValueError):
    """The file does not begin with a lesson's text."""


class Paragraph(NamedTuple):
    """Words, on one line."""

    text: str


class Verbatim(NamedTuple):
    """Lines that stay as they are, without their common indentation."""

    text: str


class Anchor(NamedTuple):
    """A place in a recorded trace, which lies beside the lesson: event `n`, and what to see there."""

    trace: str
    n: int
    text: str


Block = Paragraph | Verbatim | Anchor


class Lesson(NamedTuple):
    """A lesson's number, title and text."""

    number: int
    title: str
    blocks: tuple[Block, ...]


def read_lesson(path: str | os.PathLike[str]) -> Lesson:
    """The lesson in a file.  Raises NotALesson where there is none, OSError where it cannot be read."""
    with open(path, encoding="utf-8", errors="replace") as file:
        found = _DOCSTRING.match(file.read(_MOST_CHARACTERS))
    if found is None:
        raise NotALesson("the file does not begin with a lesson's number, title and text")
    return Lesson(int(found[1]), found[2], tuple(_blocks(found[3])))


def _blocks(text: str) -> Iterator[Block]:
    for part in re.split(r"\n{2,}", text.strip("\n")):
        if part.startswith("    "):
            yield Verbatim("\n".join(line.removeprefix("    ") for line in part.split("\n")))
        elif part.startswith("▸"):
            yield from map(_anchor, part.split("\n"))
        else:
            yield Paragraph(part.replace("\n", " "))


def _anchor(line: str) -> Anchor:
    found = _ANCHOR.fullmatch(line)
    if found is None:
        raise NotALesson(f"this leads into no trace: {line}")
    return Anchor(found[1], int(found[2]), found[3])
