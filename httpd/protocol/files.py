"""Files that came in a form, and names for them that harm nobody."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from .forms import Named

__all__ = ["File", "Files", "sane_name"]

# The longest name of ours, in bytes of UTF-8: file systems take 255, and who keeps the file may want to number it.
MAX_FILENAME = 200
# An ending longer than this is no extension.
_MAX_EXTENSION = 20
_PIECE = 65_536


class File:
    """A file that came in a form.

    `name` is the form's field; `filename` what the client calls the file, as `sane_name` makes it, "" where nothing
    of it is left; `content_type` the media type that the client says, in lower case; `size` is in bytes.  `file` is
    open for reading from its beginning, until the request has been answered.
    """

    __slots__ = ("content_type", "file", "filename", "name", "size")

    def __init__(self, name: str, filename: str, content_type: str) -> None:
        self.name = name
        self.filename = filename
        self.content_type = content_type
        self.size = 0
        self.file: BinaryIO = BytesIO()

    def write(self, data: bytes) -> None:
        """More of it has come.  Raises OSError where there is no room."""
        self.file.write(data)
        self.size += len(data)

    def complete(self) -> None:
        """All of it has come.  Raises OSError where there was no room."""
        self.file.seek(0)

    def save(self, path: str) -> None:
        """Keep it as a new file.  Raises FileExistsError where there is one of that name, and other OSErrors."""
        self.file.seek(0)
        with open(path, "xb") as kept:
            while piece := self.file.read(_PIECE):
                kept.write(piece)

    def close(self) -> None:
        """Give back what it takes."""
        self.file.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.filename!r} of {self.size} bytes>"


class Files(Named[File]):
    """A form's fields that are files."""

    __slots__ = ()
    _what = "file"

    def get(self, name: str) -> File | None:
        """The first file of a field, or None."""
        files = self._values.get(name)
        return files[0] if files else None


def sane_name(filename: str) -> str:
    """What a client calls a file, as a name that may stand in a folder of ours; "" where nothing is left of it.

    It has no folders of either spelling, no control or invisible character, no dot and no space at either end; it is
    in NFC, and short.  A long name keeps its extension.
    """
    import unicodedata

    name = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join([letter for letter in name if unicodedata.category(letter)[0] != "C"])
    name = unicodedata.normalize("NFC", name).strip(". \u00a0")
    if len(name.encode()) <= MAX_FILENAME:
        return name
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION:
        stem, dot, extension = name, "", ""
    room = MAX_FILENAME - len((dot + extension).encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + dot + extension
