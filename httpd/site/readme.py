"""What a folder's owner says of it, shown as text: a header above its listing, a README below."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .entries import Entry, Folder
from .root import quoted

__all__ = ["HEADER", "README", "SHOWN", "Told", "ToldBy"]

# In this order, whatever their case.
HEADER = (b"header.md", b"header.txt", b"header")
README = (b"readme.md", b"readme.txt", b"readme")
# How many bytes of one are shown.
SHOWN = 32_768


class Told(NamedTuple):
    """Such a file's beginning; `cut` where there is more of it."""

    raw: bytes
    text: str
    cut: bool

    @property
    def name(self) -> str:
        return self.raw.decode("utf-8", "replace")

    @property
    def href(self) -> str:
        return quoted(self.raw)


class ToldBy:
    """The first of these `names` in a folder, found among its entries while somebody else reads them."""

    def __init__(self, folder: Folder, names: Sequence[bytes]) -> None:
        self._folder = folder
        self._names = names
        self._found: tuple[int, bytes] | None = None

    def look_among(self, entries: Iterable[Entry | None]) -> Iterator[Entry | None]:
        """These entries, handed on."""
        for entry in entries:
            if entry is not None and not entry.is_folder and entry.raw.lower() in self._names:
                found = self._names.index(entry.raw.lower()), entry.raw
                self._found = min(self._found or found, found)
            yield entry

    def __call__(self) -> Told | None:
        """Read it, if one was found that can be read and is text."""
        if self._found is None:
            return None
        raw = self._found[1]
        try:
            data = self._read([*self._folder.parts, raw])
        except OSError:
            return None
        if b"\0" in data or not data.strip():
            return None
        # A letter that the end cuts through is no odd byte.
        text = data[:SHOWN].decode("utf-8", "replace").removesuffix("\ufffd" * (len(data) > SHOWN))
        return Told(raw, text, len(data) > SHOWN)

    def _read(self, parts: list[bytes]) -> bytes:
        fd, status = self._folder.root.open(parts)
        try:
            return os.pread(fd, SHOWN + 1, 0) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(fd)
