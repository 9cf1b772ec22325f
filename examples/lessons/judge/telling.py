"""A lesson's text in a terminal, with what its traces say."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

from httpd.trace.lessons import Anchor, NotALesson, Paragraph, read_lesson
from httpd.trace.ndjson import read_trace
from httpd.trace.sentences import sentence

__all__ = ["WIDTH", "tell"]

# Where the traces are; an exercise may be a copy somewhere else.
LESSONS = Path(__file__).resolve().parents[1]

WIDTH = 118


def tell(path: Path) -> None:
    """Print the lesson, with the events that it points at; nothing where its text was taken away."""
    try:
        lesson = read_lesson(path)
    except NotALesson:
        return
    print(f"{lesson.number}. {lesson.title}\n")
    for block, following in zip(lesson.blocks, [*lesson.blocks[1:], None], strict=True):
        if isinstance(block, Anchor):
            print(f"▸ {block.text}\n{_event(block)}")
        elif isinstance(block, Paragraph):
            print(textwrap.fill(block.text, WIDTH, fix_sentence_endings=True, break_on_hyphens=False))
        else:
            print(textwrap.indent(block.text, "    "))
        if not (isinstance(block, Anchor) and isinstance(following, Anchor)):
            print()
    traces = sorted({block.trace for block in lesson.blocks if isinstance(block, Anchor)})
    for trace in traces:
        print(f"All of it: python -m httpd show {os.path.relpath(LESSONS / trace)}")
    print()


def _event(anchor: Anchor) -> str:
    event = read_trace(LESSONS / anchor.trace).events[anchor.n]
    return f"    {anchor.trace} #{event.n}, turn {event.tick}: {sentence(event.what)}"
