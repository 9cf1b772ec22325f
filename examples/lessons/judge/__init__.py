"""Tells what is still wrong with a lesson's exercise, in one sentence.

    python examples/lessons/02_terminator.py        the text, and what is wrong; exit status 0 once it is solved

`verdict(path)` is the same for a program.  Each lesson has a module here, as `lesson_2.py`, with a function
`judge(exercise)` that raises Wrong.

A lesson is one file: its docstring is the text (httpd/trace/lessons.py reads it), its code the exercise.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import linecache
import logging
import os
import signal
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

TOP = Path(__file__).resolve().parents[3]
# A checkout that nobody has installed will do.
sys.path.append(str(TOP))

from .saying import Wrong  # noqa: E402
from .telling import WIDTH, tell  # noqa: E402

__all__ = ["Wrong", "ask", "verdict"]

# No exercise takes a second; what takes as long as this never ends.
PATIENCE = 10


def ask(path: str) -> NoReturn:
    """Judge the exercise in this file, say the verdict, and exit: 0 solved, 1 not yet."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has not every sign shows another one.
        sys.stdout.reconfigure(errors="replace")
    wrong = verdict(path)
    name = os.path.relpath(path)
    if not wrong:
        print(f"{name}: solved")
        raise SystemExit(0)
    tell(Path(path))
    print(f"---- {name}: not yet; edit it and run it again\n\n{_filled(wrong)}")
    raise SystemExit(1)


def _filled(text: str) -> str:
    """In lines that are read with ease; bytes stay as they are written."""
    return textwrap.fill(text, WIDTH, break_on_hyphens=False, break_long_words=False)


def verdict(path: str) -> str:
    """What is still wrong with the exercise in this file; "" when it is solved."""
    name = Path(path).name
    judge = importlib.import_module(f".lesson_{int(name[:2])}", __name__).judge
    # What the exercise raises inside the server is told here, and needs no log.
    logging.disable()
    try:
        with _patience():
            judge(_loaded(path))
    except Wrong as why:
        return str(why)
    except Exception as why:
        return _raised(path, why)
    finally:
        logging.disable(logging.NOTSET)
    return ""


def _loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("exercise", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _raised(path: str, why: Exception) -> str:
    """What was raised, and where in the exercise; a name or a parameter that is missing is missed outside of it."""
    frames = traceback.extract_tb(why.__traceback__)
    lines = [frame.lineno or 0 for frame in frames if os.path.realpath(frame.filename) == os.path.realpath(path)]
    where = f"in line {lines[-1]}: {linecache.getline(path, lines[-1]).strip()}" if lines else "in no line of it."
    if isinstance(why, TimeoutError):
        return f"It does not come to an end; after {PATIENCE} seconds it was {where}"
    return f"{type(why).__name__}: {why}" + (f", raised {where}" if lines else ".")


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Raise TimeoutError in what does not come to an end, where the system has an alarm clock."""

    def ring(number: int, frame: Any) -> None:
        raise TimeoutError

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
