"""The command line, read by the table of options.

    --name VALUE  --name=VALUE  --switch  --no-switch  DIR  --

An option whose value may be left out takes the next word only if that looks like one: it may be DIR.  Options are not
cut short, so that a new one never changes what an old command means.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from .option import Option, Origin, Written, Wrong
from .settings import OPTIONS, Settings

__all__ = ["FLAGS", "TOLD", "Asked", "read_arguments"]

# What is told instead of serving, and whether a word may come after it.
TOLD = {"-h": True, "--help": True, "--version": False, "--limits": False}

_FOLDER: Option[Any] = Settings.dir


class Asked(Exception):
    """Not a server is asked for, but to be told something: one of `TOLD`, and the word after it."""

    def __init__(self, what: str, word: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.word = word


def read_arguments(argv: Sequence[str]) -> list[Written]:
    """What the command line sets, in its order.  Raises Wrong, and Asked."""
    words = deque(argv)
    written = []
    folders: list[str] = []
    while words:
        word = words.popleft()
        if word == "--":
            folders += words
            break
        if word.startswith("-") and word != "-":
            written.append(_option(word, words))
        else:
            folders.append(word)
    if len(folders) > 1:
        raise Wrong(f"one DIR is enough, and {folders[1]!r} is another", status=2)
    return [*written, *(Written(_FOLDER, folder, Origin(_FOLDER.metavar)) for folder in folders)]


def _option(word: str, words: deque[str]) -> Written:
    """An option, and its value: behind "=", or the next of the words."""
    name, equals, value = word.partition("=")
    if name in TOLD and not equals:
        raise Asked(name, words.popleft() if TOLD[name] and words else "")
    found = FLAGS.get(name)
    if found is None:
        raise Wrong(_unknown(name), status=2)
    option, text = found
    if text is not None and equals:
        raise Wrong(f"{name} takes no value: it is switched by its name alone", status=2)
    if text is None:
        text = value if equals else _value(option, words)
    return Written(option, text, Origin(name))


def _value(option: Option[Any], words: deque[str]) -> str:
    """The value that follows an option, or what the option stands for alone."""
    if option.alone is not None and not (words and option.follows(words[0])):
        return option.alone
    if not words or words[0].partition("=")[0] in FLAGS:
        raise Wrong(f"{option.flag} needs a value: {option.flag} {option.metavar}", status=2)
    return words.popleft()


def _unknown(name: str) -> str:
    from ..nearest import nearest

    close = nearest(name, [*FLAGS, *TOLD])
    return f"there is no option {name}; " + (f"did you mean {close}?" if close else "httpd --help all lists them")


# Each option of the command line, and the text that it stands for; None: the text that comes with it.
FLAGS = {
    flag: (option, text) for option in OPTIONS.values() if option is not _FOLDER for flag, text in option.flags.items()
}
