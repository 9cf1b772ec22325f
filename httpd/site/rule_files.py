"""The files of rules in a site's top folder, read again when they change.

Most sites have none: their grammars are imported when there is first something to read.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING

from ..net.report import Reporter
from .root import RULE_FILES, Root, http_error

if TYPE_CHECKING:
    from .header_rules import HeaderRules
    from .redirects import Destination, Redirects
    from .rules import Problem

__all__ = ["OF_CONTENT", "OF_FILES", "RuleFiles"]

logger = Reporter("httpd.site")

# How long the disk is not asked again, in seconds.
_PAUSE = 1.0
# As much as the longest text may have, and a character more: that it is too long is for its reader to find out.
_MOST_BYTES = 4 << 20
# What a rule says of the content at a path; a page that says that there is none is another.  Above all it may not be
# kept for a year because its path looks like that of a script.
OF_CONTENT = frozenset({"cache-control", "content-disposition", "content-language", "content-type", "expires", "link"})
# What an answer that is none of the owner's files says for itself: the policy of pages of our own is by their style and
# script, and an owner's that forbids those is meant for his.
OF_FILES = OF_CONTENT | {
    "allow", "content-security-policy", "content-security-policy-report-only", "location", "retry-after",
    "www-authenticate",
}  # fmt: skip
# How many problems are told: a file that is none of rules has one in every line.
_MOST_TOLD = 20


class RuleFiles:
    """What `_redirects` and `_headers` say, now or within the last second.

    `due` is when to look again, by `clock`, in seconds.
    """

    def __init__(self, root: Root, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._files = [_File(root, name) for name in RULE_FILES]
        self._redirects: Redirects | None = None
        self._headers: HeaderRules | None = None
        self.look()

    def look(self) -> bool:
        """Read what has changed, and tell the operator what is wrong with it; whether anything has."""
        self.due = self.clock() + _PAUSE
        redirects, headers = [file.changed() for file in self._files]
        if redirects is not None:
            from .redirects import parse_redirects

            self._redirects, problems = parse_redirects(redirects)
            self._files[0].tell(problems)
        if headers is not None:
            from .header_rules import parse_headers

            self._headers, problems = parse_headers(headers)
            self._files[1].tell(problems)
        return redirects is not None or headers is not None

    def destination(self, path: str, query: str) -> Destination | None:
        """What `_redirects` says of a decoded plain path; None where it says nothing."""
        return None if self._redirects is None else self._redirects.find(path, query)

    def depends_on_query(self, path: str) -> bool:
        """Whether it is for the query to say if a file of this path is to be had."""
        return self._redirects is not None and self._redirects.depends_on_query(path)

    def fields(
        self, path: str, lines: Iterable[tuple[str, str]], without: Container[str] = ()
    ) -> tuple[tuple[str, str], ...]:
        """The field lines for a decoded plain path, by `_headers`; `lines` are those that the server has for it.

        `without` are the names of which nothing is to be said: OF_CONTENT for a page in the place of what is not
        there, OF_FILES for what is no file.
        """
        return tuple(lines) if self._headers is None else self._headers.apply(path, lines, without)


class _File:
    """One of them, with its text as of the last look: none is as good as an empty one."""

    def __init__(self, root: Root, name: bytes) -> None:
        self._root = root
        self._name = name
        self._text = ""
        self._state: object = None
        self._again = False
        self._trouble = ""

    def changed(self) -> str | None:
        """The text, if it is another than at the last look; a file that cannot be read is what it was."""
        try:
            state = self._look()
            if state == self._state and not self._again:
                return None
            # A second change in the same tick of the file system's clock leaves no mark: a young file is read twice.
            self._again, self._state = state != self._state, state
            text = "" if state is None else self._read()
        except OSError as error:
            self._again = True
            self._tell_trouble(error.strerror or str(error))
            return None
        self._trouble = ""
        changed = text != self._text
        self._text = text
        return text if changed else None

    def _look(self) -> object:
        """What tells one state of the file from another; None for no file."""
        try:
            status = os.stat(self._root.location([self._name]))
        except OSError as error:
            if http_error(error).status != 404:
                raise
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode

    def _read(self) -> str:
        """The text; bytes that are not UTF-8 as lone surrogates."""
        try:
            opened, status = self._root.open([self._name])
        except OSError as error:
            if http_error(error).status != 404:
                raise
            return ""
        if not stat.S_ISREG(status.st_mode):
            os.close(opened)
            return ""
        with os.fdopen(opened, "rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", "surrogateescape")

    # ---- telling the operator

    def tell(self, problems: Sequence[Problem]) -> None:
        """Name the lines that do not count, and why."""
        for line, what in problems[:_MOST_TOLD]:
            self._warn(f"{line}: {what}")
        if len(problems) > _MOST_TOLD:
            self._warn(f" {len(problems) - _MOST_TOLD} more lines are wrong")

    def _tell_trouble(self, what: str) -> None:
        """Once, not every second."""
        if what != self._trouble:
            self._trouble = what
            self._warn(f" cannot be read: {what}")

    def _warn(self, what: str) -> None:
        logger.warning("%s:%s", os.fsdecode(self._root.location([self._name])), what)
