"""Telling when files below some folders change: a thread of its own, which `watchfiles` lets wait in the kernel.

A folder may be a link, may be switched to another target, removed, and made anew: then it is watched anew.  What tools
leave beside the files is not told: dot-files and dot-folders, `node_modules`, `__pycache__`, backups, and what came
and went at once, as editors have it while they save.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator

import watchfiles

from ..net import wake
from ..net.report import Reporter
from ..server.server import Server
from .events import Events
from .handler import Reloading, reloaded

__all__ = ["Watcher", "reloading"]

logger = Reporter("httpd.reload")

# How often it is looked whether the folders are still those that are watched, and for files where they cannot be
# waited for; in milliseconds.
_LOOK = 1_000
_POLL = 500
# How often it is looked for folders that are not there.
_ABSENT_SECONDS = 0.25
# How long a start waits for the watch to begin, and an end for its end.
_MOST_PATIENCE = 10.0

_IGNORED = frozenset({"node_modules", "__pycache__"})

# The folders by their real paths, and which ones they are: (device, inode).
_Roots = dict[str, tuple[int, int]]
_Changes = set[tuple[watchfiles.Change, str]]


@contextlib.contextmanager
def reloading(server: Server, folders: Iterable[str], ignored: Iterable[str] = ()) -> Iterator[Events]:
    """Have the pages that a server gives reload themselves when files below `folders` change, except `ignored` ones."""
    shared = Reloading()
    server.handler_class = reloaded(server.handler_class, shared)
    watcher = Watcher(folders, lambda paths: wake.call(shared.events.changed, paths, map=server.map), ignored)
    watcher.start()
    try:
        yield shared.events
    finally:
        watcher.stop()


class Watcher:
    """Calls `changed(paths)`, from its thread, when files below `folders` were made, written to or removed.

    A burst of changes is one call.  Whatever changes `ignored`, paths of files, does not count.
    """

    def __init__(
        self, folders: Iterable[str], changed: Callable[[Collection[str]], object], ignored: Iterable[str] = ()
    ) -> None:
        self._folders = [os.path.abspath(folder) for folder in folders]
        self._changed = changed
        self._ignored = {os.path.realpath(path) for path in ignored}
        self._stopped = threading.Event()
        self._begun = threading.Event()
        self._polls = False
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def start(self) -> None:
        """Begin, and come back when no change is missed any more; after some seconds at the latest."""
        self._thread.start()
        self._begun.wait(_MOST_PATIENCE)

    def stop(self) -> None:
        """Make no further call, and end the thread."""
        self._stopped.set()
        self._thread.join(_MOST_PATIENCE)

    def is_set(self) -> bool:
        """Whether to end.  The watch asks this many times a second, from its beginning on."""
        self._begun.set()
        return self._stopped.is_set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            roots = self._roots()
            if roots:
                self._watch_or_look(roots)
            else:
                self._begun.set()
                self._stopped.wait(_ABSENT_SECONDS)

    def _watch_or_look(self, roots: _Roots) -> None:
        """Watch.  Where the system does not let us wait for changes, look for them; where not even that, give up."""
        try:
            self._watch(roots)
        except FileNotFoundError:
            # Gone since it was looked for.
            return
        except Exception as why:
            if self._polls:
                logger.exception("files cannot be watched: pages are not reloaded any more")
                self._begun.set()
                self._stopped.set()
            else:
                logger.warning("%s; pages are reloaded, but every file is looked at twice a second for it", _told(why))
                self._polls = True

    def _watch(self, roots: _Roots) -> None:
        """Tell of changes until the folders are others."""
        # What changed since another watch ended, nobody saw.
        unseen = self._begun.is_set()
        for changes in watchfiles.watch(
            *roots,
            watch_filter=lambda change, path: self._counts(path, roots),
            stop_event=self,
            rust_timeout=_LOOK,
            yield_on_timeout=True,
            raise_interrupt=False,
            force_polling=self._polls or None,
            poll_delay_ms=_POLL,
            ignore_permission_denied=True,
        ):
            paths = list(roots) if unseen else _lasting(changes)
            unseen = False
            if paths:
                self._changed(paths)
            # A folder made anew may have the number of the one before.
            if not roots.keys().isdisjoint(_removed(changes)) or self._roots() != roots:
                return

    def _roots(self) -> _Roots:
        """The folders that are there now."""
        roots = {}
        for path in map(os.path.realpath, self._folders):
            with contextlib.suppress(OSError):
                status = os.stat(path)
                roots[path] = status.st_dev, status.st_ino
        return roots

    def _counts(self, path: str, roots: Iterable[str]) -> bool:
        """Whether a change of this file is one of the site."""
        if path in self._ignored:
            return False
        return any(_is_of_the_site(path[len(root) :]) for root in roots if f"{path}/".startswith(f"{root}/"))


def _is_of_the_site(below: str) -> bool:
    """Whether the path below a root, "" for the root itself, is of no tool's files."""
    names = below.split("/")
    if any(name in _IGNORED or (name.startswith(".") and name != ".well-known") for name in names):
        return False
    # Backups, and Emacs's unsaved texts.  The map of a style sheet comes with it, and changes nothing by itself.
    return not names[-1].startswith("#") and not names[-1].endswith(("~", ".css.map"))


def _lasting(changes: _Changes) -> list[str]:
    """The paths that have changed, without those that came and went."""
    came = {path for kind, path in changes if kind is watchfiles.Change.added}
    return [path for path in {path for _, path in changes} if path not in came or os.path.lexists(path)]


def _removed(changes: _Changes) -> list[str]:
    return [path for kind, path in changes if kind is watchfiles.Change.deleted]


def _told(why: Exception) -> str:
    """What hinders waiting for changes, with the remedy where it is known."""
    if "limit" in str(why) or "Too many open files" in str(why):
        return "the system's limit for watching folders is reached (sysctl fs.inotify shows and raises it)"
    return str(why)
