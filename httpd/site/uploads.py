"""What content a route takes, and where large files stay while it comes.

    @site.post("/upload", body=Body(2 << 30, folder="uploads"))
    def upload(request):
        file = request.files["file"]
        file.save(os.path.join("uploads", file.filename))

A route that says nothing takes as much as any other request may have, in memory.  One that says more takes it as a
form in parts, read as it comes: no more than a piece of it is in memory at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ..protocol.errors import HTTPError
from ..protocol.files import File, Files
from ..protocol.forms import MULTIPART, Form, is_multipart
from ..protocol.media_types import parse_media_type
from ..protocol.message import Head

if TYPE_CHECKING:
    from ..protocol.multipart import PartLimits
    from .inflow import Inflow

__all__ = ["SPOOLED", "Body", "Reader", "SpooledFile", "Taken", "WholeBody", "WholeReader"]

# A file longer than this is written to disk while it comes.
SPOOLED = 65_536
# How a system or a file system says that it has no files without names.  None: Python knows none there.
_UNFIT = (None, errno.EISDIR, errno.EINVAL, errno.EOPNOTSUPP)


class SpooledFile(File):
    """A File that goes to disk as soon as it is not small: a file without a name, which is gone when it is closed."""

    __slots__ = ("_folder", "_is_on_disk")

    def __init__(self, folder: str | None, name: str, filename: str, content_type: str) -> None:
        super().__init__(name, filename, content_type)
        self._folder = folder
        self._is_on_disk = False

    def write(self, data: bytes) -> None:
        """More of it has come.  Raises HTTPError 503 where the disk is full, or descriptors have run out."""
        with _told():
            if not self._is_on_disk and self.size + len(data) > SPOOLED:
                small, self.file = self.file, _unnamed(self._folder)
                self._is_on_disk = True
                self.file.write(small.getvalue())  # type: ignore[attr-defined]
            super().write(data)

    def complete(self) -> None:
        """All of it has come.  Raises as `write`."""
        with _told():
            self.file.flush()
            super().complete()

    def save(self, path: str) -> None:
        """Keep it as a new file: at once, if it waits in the same file system, by giving it its name; else by copying.

        Raises FileExistsError where there is one of that name, and other OSErrors; then nothing is left of it.
        """
        try:
            self.file.flush()
            if self._is_on_disk:
                number = self.file.fileno()
                # Only with a descriptor beside it, which counts for nothing else, does Python have the link followed.
                os.link(f"/proc/self/fd/{number}", path, src_dir_fd=number)
                return
        except FileExistsError:
            raise
        except (OSError, NotImplementedError):
            pass
        try:
            super().save(path)
        except FileExistsError:
            raise
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What may go wrong with a disk, as the client is told."""
    try:
        yield
    except OSError as why:
        if why.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            # As of a store that is full: somebody makes room, and it can be sent again.
            raise HTTPError(503, "There is no room for it on this server.", [("Retry-After", "5")]) from why
        if why.errno in (errno.EMFILE, errno.ENFILE):
            raise HTTPError(503, headers=[("Retry-After", "2")]) from why
        raise


def _unnamed(folder: str | None) -> BinaryIO:
    """A file that has no name yet, in a folder (None: where temporary files are), on disk."""
    import tempfile

    where = tempfile.gettempdir() if folder is None else folder
    try:
        # Unlike one of tempfile's own, it may be given a name later; its mode is then that of any new file.
        return open(os.open(where, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666), "w+b")
    except (AttributeError, OSError) as why:
        if getattr(why, "errno", None) in _UNFIT:
            return tempfile.TemporaryFile(dir=where)
        raise


class Reader(Protocol):
    """Reads content as it comes: `feed` it all, then `finish` it; in any case `close` it.  Raises HTTPError."""

    def feed(self, data: bytes) -> None: ...
    def finish(self) -> tuple[Form, Files]: ...
    def close(self) -> None: ...


class Taken(Protocol):
    """Says what reads content of a route, by its head; None for what is to be held in memory as any other content.
    Raises HTTPError for content that is not taken.
    """

    def reader(self, head: Head, most_in_memory: int) -> Reader | None: ...


class WholeReader:
    """Keeps content of any kind as one file that has no name, for who does not want it `streamed`."""

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type
        self._file = SpooledFile(None, "", "", content_type)

    def streamed(self, wanted: Callable[[], object], *, awaited: bool) -> Inflow:
        """What reads it instead, before any has come, for a thread that reads it while it comes (see Inflow)."""
        from .inflow import Inflow

        return Inflow(self._content_type, wanted, awaited=awaited)

    def feed(self, data: bytes) -> None:
        """A piece of it.  Raises HTTPError 503, as SpooledFile does."""
        self._file.write(data)

    def finish(self) -> tuple[Form, Files]:
        """It has come whole."""
        self._file.complete()
        return Form(), Files([("", self._file)])

    def close(self) -> None:
        """Give back what it takes."""
        with contextlib.suppress(OSError):
            self._file.close()


class WholeBody:
    """Content of any kind, at most `size` bytes: `request.files[""]`, if it is not little.

    Little is held in memory, and the site is asked when it is there: it takes no thread to wait for, and no client can
    have one wait.  More is read while it comes, by as many threads as the server lets wait for clients; for the rest it
    goes to disk first.  So who reads it is in a thread: `blocking`, or a WSGI application.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def reader(self, head: Head, most_in_memory: int) -> Reader | None:
        """What reads it; None for little, which is held in memory.  Raises HTTPError 413."""
        if head.content_length > self.size:
            raise HTTPError(413, f"More than {self.size} bytes of content; that is the most for this application.")
        little = head.content_length <= min(SPOOLED, most_in_memory)
        return None if little else WholeReader(head.headers.get("content-type"))


class Body:
    """What content a route takes: at most `size` bytes, of these media types (any, if none is named).

    A form in parts is read as it comes, its files go to unnamed files in `folder` (by default, where temporary files
    are).  There, `file.save` to the same file system is a matter of a moment.  `limits` bound the parts.  Content of
    another kind is held in memory, and the server's limit `body` holds for it too.
    """

    def __init__(
        self,
        size: int,
        *,
        types: Iterable[str] = (),
        folder: str | os.PathLike[str] | None = None,
        limits: PartLimits | None = None,
    ) -> None:
        if size < 0:
            raise ValueError(f"content of at most {size} bytes")
        self.size = size
        self.types = (types.lower(),) if isinstance(types, str) else tuple(each.lower() for each in types)
        self.limits = limits
        self._make_file = partial(SpooledFile, None if folder is None else os.fspath(folder))

    def reader(self, head: Head, most_in_memory: int) -> Reader | None:
        """What reads the content as it comes; None where it is to be held in memory.

        Raises HTTPError 413 or 415 for content that is not taken, 400 for a form that cannot be read.
        """
        if head.content_length > self.size:
            raise HTTPError(413, f"More than {self.size} bytes of content; that is the most for this address.")
        content_type = head.headers.get("content-type")
        media_type = MULTIPART if is_multipart(content_type) else parse_media_type(content_type)[0]
        if self.types and media_type not in self.types:
            wanted = ", ".join(self.types)
            raise HTTPError(415, f"This address takes {wanted}.", [("Accept", wanted)])
        if media_type == MULTIPART:
            from ..protocol.multipart import MultipartReader

            return MultipartReader(content_type, self.limits, self._make_file)
        if head.content_length > most_in_memory:
            raise HTTPError(413, f"More than {most_in_memory} bytes of content that is no form in parts ({MULTIPART}).")
        return None
