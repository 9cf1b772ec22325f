"""A folder as an archive, .tar.gz or .zip, made while it is sent: nothing of it is kept, in memory or on the disk.

What is in it is what the listings below the folder show, by the same rules: so of a folder that has a page of its own,
and therefore no listing, there is that page only.  Links that the policy follows are followed, but not back to a
folder that they stand in.  What cannot be had (404, 403) is left out.

A file that changes while it is archived, and any other trouble, cuts the connection: an archive whose end is missing
is none, and nobody takes it for one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import NamedTuple, Protocol

from ..net.producers import FileChanged
from ..protocol.errors import HTTPError
from ..protocol.message import Response
from .answers import saved_as
from .entries import Entry, Folder, View, in_order, scan
from .root import http_error
from .slices import LongAnswers
from .tar_gz import TarGz
from .zip import Zip

__all__ = ["Writer", "archive"]

# How many folders may stand in each other: links can make a little tree deep.
_DEEPEST = 100
# How much of a file is read and compressed in one step: less than a millisecond's work.
_STEP = 32_768

_HEADERS = [("Cache-Control", "no-cache"), ("X-Content-Type-Options", "nosniff")]

_long = LongAnswers(64)


# Device and inode.
_Identity = tuple[int, int]


class Writer(Protocol):
    """A form of archive.  What its methods give are the archive's bytes, perhaps b"" until there are more."""

    content_type: str

    def begin(self, name: bytes, status: os.stat_result) -> bytes:
        """A file or, its name ending in "/", a folder."""

    def data(self, data: bytes) -> bytes:
        """More of the file's content."""

    def finish(self) -> bytes:
        """The file's end."""

    def end(self) -> Iterator[bytes]:
        """The archive's end, in pieces."""


class _Member(NamedTuple):
    """A file or folder for an archive.  Its descriptor is open until the next one is asked for."""

    name: bytes
    fd: int
    status: os.stat_result

    def content(self) -> Iterator[bytes]:
        """A file's content, of the very length that its status says.  Raises FileChanged."""
        at, told = 0, self.status
        while at < told.st_size:
            data = os.pread(self.fd, _STEP, at)
            # Looked at after every read, so that nothing has changed before it either.
            now = os.fstat(self.fd)
            if not data or (now.st_mtime_ns, now.st_size) != (told.st_mtime_ns, told.st_size):
                raise FileChanged(errno.ENODATA, "a file changed while it was being archived")
            at += len(data)
            yield data


def archive(folder: Folder, kind: str, path: str, index: bytes) -> Response:
    """The folder as an archive of that kind, "tar.gz" or "zip", to be saved under the name that its `path` ends in.

    `index` is the name of a folder's own page.  Raises HTTPError: 400 for another kind, 503 where there is too much
    to do.
    """
    kinds: dict[str, type[TarGz] | type[Zip]] = {"tar.gz": TarGz, "zip": Zip}
    if kind not in kinds:
        raise HTTPError(400, "A folder is downloaded as tar.gz or as zip.")
    writer: Writer = kinds[kind]()
    name = path.rstrip("/").rpartition("/")[2].encode("utf-8", "surrogateescape") or b"site"
    body = _long.begin(_written(writer, _Tree(index).below(folder, name)))
    told = f"{name.decode('utf-8', 'replace')}.{kind}"
    headers = [("Content-Disposition", saved_as(told)), *_HEADERS]
    return Response(body, 200, headers, content_type=writer.content_type)


def _written(writer: Writer, members: Generator[_Member | None]) -> Generator[bytes]:
    with closing(members):
        for member in members:
            if member is None:
                yield b""
                continue
            yield writer.begin(member.name, member.status)
            if stat.S_ISREG(member.status.st_mode):
                for data in member.content():
                    yield writer.data(data)
                yield writer.finish()
    yield from writer.end()


class _Tree:
    """The members of an archive.  `index` is the name of a folder's own page."""

    def __init__(self, index: bytes) -> None:
        self._index = index

    def below(self, place: Folder, name: bytes, above: tuple[_Identity, ...] = ()) -> Generator[_Member | None]:
        """What a place leads to, a file or a folder with all that is in it, as `name`; None now and then.

        `above` are the folders that it stands in.
        """
        try:
            fd, status = place.root.open(place.parts)
        except OSError as error:
            if http_error(error).status in (403, 404):
                return
            raise
        if stat.S_ISDIR(status.st_mode):
            yield from self._folder(place, fd, status, name, above)
            return
        try:
            yield _Member(name, fd, status)
        finally:
            os.close(fd)

    def _folder(
        self, place: Folder, fd: int, status: os.stat_result, name: bytes, above: tuple[_Identity, ...]
    ) -> Generator[_Member | None]:
        has_page = _is_file(self._index, fd)
        page = Entry(self._index, False, 0, 0)
        entries = in_order(scan(place, fd), View())
        # Once it has begun, it closes the folder, whatever happens.
        begun = next(entries, None)
        here = status.st_dev, status.st_ino
        if here in above:
            return
        if len(above) == _DEEPEST:
            raise RecursionError(f"more than {_DEEPEST} folders in each other are not archived")
        yield _Member(name + b"/", -1, status)
        for entry in [page] if has_page else chain([begun], entries):
            if entry is None:
                yield None
            elif entry is not page or place.shows(page):
                yield from self.below(place.below(entry.raw), name + b"/" + entry.raw, (*above, here))


def _is_file(name: bytes, folder: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=folder).st_mode)
    except OSError:
        return False
