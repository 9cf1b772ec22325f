"""The README of a folder, to be shown as text below its listing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .entries import Entry, Folder
from .root import quoted

__all__ = ["SHOWN", "Readme", "ReadmeOf"]

# In this order, whatever their case.
_NAMES = (b"readme.md", b"readme.txt", b"readme")
# How many bytes of it are shown.
SHOWN = 32_768


class Readme(NamedTuple):
    """A README's beginning; `cut` where there is more of it."""

    raw: bytes
    text: str
    cut: bool

    @property
    def name(self) -> str:
        return self.raw.decode("utf-8", "replace")

    @property
    def href(self) -> str:
        return quoted(self.raw)


class ReadmeOf:
    """The README of a folder, found among its entries while somebody else reads them."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._found: tuple[int, bytes] | None = None

    def look_among(self, entries: Iterable[Entry | None]) -> Iterator[Entry | None]:
        """These entries, handed on."""
        for entry in entries:
            if entry is not None and not entry.is_folder and entry.raw.lower() in _NAMES:
                found = _NAMES.index(entry.raw.lower()), entry.raw
                self._found = min(self._found or found, found)
            yield entry

    def __call__(self) -> Readme | None:
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
        return Readme(raw, text, len(data) > SHOWN)

    def _read(self, parts: list[bytes]) -> bytes:
        fd, status = self._folder.root.open(parts)
        try:
            return os.pread(fd, SHOWN + 1, 0) if stat.S_ISREG(status.st_mode) else b""
        finally:
            os.close(fd)
