"""The folder that a site is served from, and what may be opened in it.

A path from the network passes two gates.  `names` judges the spelling: what is left has no `.` or `..`, no NUL, no
backslash and no hidden name in it.  `Root.open` refuses by what is really there: symbolic links are resolved first,
the result must lie where the policy wants it, and then the way to it is walked again from a descriptor of the root,
one name at a time and following no link, so that what was judged is what is opened, whoever moves things meanwhile.
Only regular files and folders are opened: a FIFO would block, a device may act on being opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import Literal

from ..protocol.errors import HTTPError

__all__ = [
    "RULE_FILES", "Root", "Symlinks", "hidden", "http_error", "is_served", "names", "quoted", "quoted_path", "segments",
]  # fmt: skip

Symlinks = Literal["inside", "none", "all"]

# The owner's rules, in the root itself, are for the server to read.
RULE_FILES = (b"_redirects", b"_headers")
# Those, and the settings.
_OWNERS_FILES = frozenset({*RULE_FILES, b"httpd.toml"})

# O_PATH asks only for the right to pass through a folder, as a plain path would, not for the right to list it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_STEP = _PASS | os.O_NOFOLLOW
_LAST = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBUSY})

# unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"                                          (RFC 3986 §2.3)
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_QUOTED = {byte: chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in range(256)}


def quoted(name: bytes) -> str:
    """One path segment, percent-encoded: safe in any URI reference, whatever its bytes are."""
    return "".join([_QUOTED[byte] for byte in name])


def quoted_path(path: str) -> str:
    """A decoded path, percent-encoded but for its slashes."""
    return "/".join(map(quoted, path.encode("utf-8", "surrogateescape").split(b"/")))


def hidden(name: str | bytes) -> bool:
    """Whether a name is a dot-file's, or that of one of the owner's files, in any case and in any folder.

    A folder may be a site of its own, too, at another host, and its files are found by whatever links lead there.
    `.well-known` is meant to be seen (RFC 8615 §3).
    """
    octets = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return (octets[:1] == b"." and octets != b".well-known") or octets.lower() in _OWNERS_FILES


def is_served(file: str, folder: str) -> bool:
    """Whether a file lies in a folder, or would, where nothing hides it."""
    way = os.path.relpath(os.path.realpath(file), os.path.realpath(folder)).split(os.sep)
    return ".." not in way and not any(map(hidden, way))


def segments(path: str) -> list[str]:
    """The segments of a decoded path.  Empty ones count for nothing, so `//etc` is `etc` below the root.

    Neither does `.` (RFC 3986 §5.2.4): apt, told of a repository at `./`, asks for `/./Packages`.
    """
    return [part for part in path.split("/") if part not in ("", ".")]


def names(path: str) -> list[bytes]:
    """The names that a decoded path is made of.

    Raises HTTPError 404 for `..`, for hidden names, and for NUL and backslash anywhere.
    """
    if "\0" in path or "\\" in path:
        raise HTTPError(404)
    parts = segments(path)
    if any(hidden(part) for part in parts):
        raise HTTPError(404)
    return [part.encode("utf-8", "surrogateescape") for part in parts]


def http_error(error: OSError) -> HTTPError:
    """What a failed look-up means to the client.  Raises `error` itself where it is the server's own trouble."""
    if error.errno in _ABSENT:
        return HTTPError(404)
    if error.errno in _FORBIDDEN:
        return HTTPError(403)
    if error.errno in _EXHAUSTED:
        return HTTPError(503, headers=[("Retry-After", "1")])
    raise error


class Root:
    """A folder, its `path` absolute, as bytes.

    `symlinks` says which symbolic links are followed: those whose target lies "inside" the folder, "none", or "all".
    The folder's own path may be a link, and may be switched to another target while the site is served.
    Raises NotADirectoryError where there is no such folder.
    """

    def __init__(self, folder: str | bytes | os.PathLike[str], *, symlinks: Symlinks = "inside") -> None:
        self.path = os.path.abspath(os.fsencode(folder))
        if symlinks not in ("inside", "none", "all"):
            raise ValueError(f"symlinks are followed 'inside', 'none' or 'all', not {symlinks!r}")
        if not os.path.isdir(self.path):
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", os.fsdecode(folder))
        self.symlinks = symlinks

    def location(self, parts: Sequence[bytes]) -> bytes:
        """Where these names lead, as a path of the file system."""
        return b"/".join((self.path, *parts))

    def open(self, parts: Sequence[bytes]) -> tuple[int, os.stat_result]:
        """Open the regular file or the folder that these names lead to: its descriptor, for reading, and its status.

        Raises OSError: ENOENT for whatever the policy refuses, so that a client cannot tell it from what is absent.
        """
        base, way = self._resolved(parts)
        folder = os.open(base, _PASS)
        try:
            for name in way[:-1]:
                deeper = os.open(name, _STEP, dir_fd=folder)
                os.close(folder)
                folder = deeper
            return _open_last(way[-1] if way else b".", folder)
        finally:
            os.close(folder)

    def _resolved(self, parts: Sequence[bytes]) -> tuple[bytes, Sequence[bytes]]:
        """A folder without links on its path, and the names from there on."""
        base = os.path.realpath(self.path, strict=True)
        if self.symlinks == "none":
            return base, parts
        # From the resolved folder on: the root itself may be switched between the two look-ups.
        target = os.path.realpath(b"/".join((base, *parts)), strict=True)
        if self.symlinks == "all":
            base = b"/"
        elif not _within(target, base):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return base, [name for name in target[len(base) :].split(b"/") if name]

    def admits(self, location: bytes) -> bool:
        """Whether the policy follows the link at `location`, as far as the disk says so now."""
        if self.symlinks != "inside":
            return self.symlinks == "all"
        try:
            return _within(os.path.realpath(location, strict=True), os.path.realpath(self.path, strict=True))
        except OSError:
            return False


def _within(target: bytes, base: bytes) -> bool:
    return target == base or target.startswith(base.rstrip(b"/") + b"/")


def _open_last(name: bytes, folder: int) -> tuple[int, os.stat_result]:
    """Open a name in an open folder, unless it is something special, now or when it has been opened."""
    _require_plain(os.stat(name, dir_fd=folder, follow_symlinks=False))
    opened = os.open(name, _LAST, dir_fd=folder)
    try:
        status = os.fstat(opened)
        _require_plain(status)
    except BaseException:
        os.close(opened)
        raise
    return opened, status


def _require_plain(status: os.stat_result) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
