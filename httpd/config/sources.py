"""Settings from all their sources: the command line over the environment over httpd.toml over the defaults.

`httpd.toml` in the current folder is read unasked, as long as it is the person's own and is not in the folder that is
served: whoever serves what somebody else has made does not mean to be told by it how.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..site.root import is_served
from .agreement import disagreements
from .arguments import read_arguments
from .environment import doubts, read_environment
from .option import Option, Origin, Written, Wrong
from .settings import Place, Settings, nowhere

__all__ = ["NAME", "Sources", "is_within", "read_sources", "settle"]

NAME = "httpd.toml"


class Sources(NamedTuple):
    """What was read.

    `wrong` is all that is wrong with what is written, `notes` are sentences to tell besides, `file` is the path of the
    file, "" where there is none.
    """

    settings: Settings
    wrong: list[Wrong]
    notes: list[str]
    file: str

    def checked(self) -> Settings:
        """The settings.  Raises the first Wrong."""
        for wrong in self.wrong:
            raise wrong
        return self.settings


def read_sources(argv: Sequence[str], environ: Mapping[str, str]) -> Sources:
    """What the command line, the environment and the file say together.

    Raises Wrong where the command line or the file cannot be understood as such, Asked where help is asked for.
    """
    own = [read_environment(environ), read_arguments(argv)]
    notes = [*doubts(environ)]
    before, _ = settle(own)
    if before.is_given(Settings.config):
        return _not_served(_with_file(before.config, own, notes))
    if not os.path.exists(NAME):
        return _with_file("", own, notes)
    if before.is_given(Settings.dir) and is_within(NAME, before.dir):
        return _with_file("", own, [*notes, f"{NAME} is in the folder that is served, and is not read: see --config"])
    _require_own(NAME)
    sources = _with_file(NAME, own, notes)
    for folder in sources.settings.folders:
        if is_within(NAME, folder):
            told = 'it is in the folder that is served; name the folder, dir = "…", or use --config'
            sources.wrong.insert(0, Wrong(told, Origin(NAME, NAME)))
    return sources


def _not_served(sources: Sources) -> Sources:
    """These, with what is wrong where anyone could read the file."""
    file = sources.file
    for folder in sources.settings.folders if file else ():
        if is_served(file, folder):
            told = f"it would be served itself; keep it outside of {folder}, or hide it with a dot"
            sources.wrong.insert(0, Wrong(told, Origin(file, file)))
    return sources


def _with_file(path: str, own: list[list[Written]], notes: list[str]) -> Sources:
    if not path:
        settings, wrong = settle(own)
    else:
        from .file import read_file

        file = read_file(path)
        settings, wrong = settle([file.written, *own], file.place)
        wrong = [*file.wrong, *wrong]
    return Sources(settings, sorted([*wrong, *disagreements(settings)], key=_standing), notes, path)


def _standing(wrong: Wrong) -> tuple[int, ...]:
    """In a file from top to bottom; what is not in it, after that."""
    found = re.search(r":(\d+):(\d+)\Z", wrong.at.place) if wrong.at else None
    return (0, int(found[1]), int(found[2])) if found else (1,)


def settle(sources: Iterable[Iterable[Written]], place: Place = nowhere) -> tuple[Settings, list[Wrong]]:
    """One value of what the sources say, from the weakest to the strongest; and all that cannot be read."""
    taken: dict[Option[Any], list[tuple[Written, Any]]] = {}
    wrong = []
    for source in sources:
        fresh: dict[Option[Any], list[tuple[Written, Any]]] = {}
        for written in source:
            option, text, origin = written
            try:
                value = option.read(text)
            except ValueError as why:
                wrong.append(Wrong(f"{origin.name}: {why}", origin, 2))
            else:
                weaker = taken.get(option, ()) if option.kept else ()
                fresh.setdefault(option, [*weaker]).append((written, value))
        taken.update(fresh)
    return Settings(taken, place), wrong


def is_within(path: str, folder: str) -> bool:
    """Whether a file is below a folder, whatever links lead there."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def _require_own(path: str) -> None:
    """Refuse a file that somebody else could have put here.  Raises Wrong."""
    if not hasattr(os, "geteuid"):
        return
    link, state = os.lstat(path), os.stat(path)
    if {link.st_uid, state.st_uid} - {0, os.geteuid()} or state.st_mode & stat.S_IWOTH:
        told = "somebody else can write it, so it is not read unasked; if you trust it, say --config " + path
        raise Wrong(told, Origin(path, path), 2)
