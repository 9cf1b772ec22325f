"""multipart/form-data (RFC 7578), read as it comes: text is kept, a file is handed on piece by piece.

The library `multipart` finds the parts.  Here stands what is taken of them, and how much.  The library is given blocks
of one size, whatever pieces the network made of the content: so its verdict cannot depend on where the bytes were cut.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .errors import HTTPError
from .files import File, Files, sane_name
from .forms import (
    FORM_TYPES,
    MAX_FIELDS,
    MAX_NAME,
    MAX_VALUE,
    MULTIPART,
    Form,
    field_fault,
    is_multipart,
    shown,
)  # fmt: skip
from .grammar import NOT_IN_VALUE, late
from .media_types import parse_media_type

__all__ = ["MultipartReader", "PartLimits", "parse_multipart"]

# How much the library is given at once, and so how much of the content is held that is in no part yet.
_BLOCK = 65_536
# Of each part: how many lines its head may have (RFC 7578 knows three), and how long one may be, in bytes.
_HEAD_LINES = 8
_HEAD_LINE = 4_096

# boundary := 0*69<bchars> bcharsnospace                                                      (RFC 2046 §5.1.1)
_BOUNDARY = late(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
# RFC 7578 §4.7: parts are sent as they are.
_PLAIN_CODINGS = ("", "7bit", "8bit", "binary")

MakeFile = Callable[[str, str, str], File]


class PartLimits(NamedTuple):
    """What a form in parts may hold.  Sizes are in bytes; what passes a limit is 413."""

    # Parts in all: each is an object, and costs far more than its bytes.
    parts: int = MAX_FIELDS
    # Files: each that is not small takes a descriptor until the request is answered.
    files: int = 100
    # A field's name.
    name: int = MAX_NAME
    # The value of a field that is text.
    value: int = MAX_VALUE
    # All text together: it is held in memory.
    text: int = 2 * MAX_VALUE
    # Each file.
    file: float = math.inf


class MultipartReader:
    """Reads one form.  `feed` it all the content, then `finish` it; in any case `close` it.

    `content_type` is the Content-Type field's value.  `make_file(name, filename, content_type)` gives the File that a
    part is written to.  Raises HTTPError 400 for a type without a proper boundary, 415 for another type.
    """

    def __init__(self, content_type: str, limits: PartLimits | None = None, make_file: MakeFile = File) -> None:
        from multipart import MultipartError, PushMultipartParser  # type: ignore[import-untyped]

        self._limits = limits or PartLimits()
        self._make_file = make_file
        self._parser = PushMultipartParser(
            _boundary(content_type), max_header_size=_HEAD_LINE, max_header_count=_HEAD_LINES
        )
        self._faults: type[Exception] = MultipartError
        self._held = bytearray()  # what does not fill a block yet
        self._parts = 0
        self._name = ""  # of the part that is read now
        self._file: File | None = None  # where it goes, if it is a file
        self._text: list[bytes] = []  # what it has, if it is text
        self._value = 0  # how many bytes that are
        self._texts = 0  # bytes of text in all
        self._fields: list[tuple[str, str]] = []
        self._files: list[tuple[str, File]] = []

    def feed(self, data: bytes) -> None:
        """A piece of the content.  Raises HTTPError 400, 413 or 415, and whatever OSError a file's `write` raises."""
        self._held += data
        while len(self._held) >= _BLOCK:
            block = bytes(self._held[:_BLOCK])
            del self._held[:_BLOCK]
            self._read(block)

    def finish(self) -> tuple[Form, Files]:
        """The form, when all of its content was fed.  Raises as `feed` does."""
        if self._held:
            self._read(bytes(self._held))
            self._held.clear()
        try:
            self._parser.close()
        except self._faults:
            raise HTTPError(400, f"The form ends within its part {self._parts}, without a last boundary.") from None
        # A browser sends a part without a name and without content for a file that nobody chose.
        chosen = [(name, file) for name, file in self._files if file.filename or file.size]
        return Form(self._fields), Files(chosen)

    def close(self) -> None:
        """Close every file."""
        for _, file in self._files:
            # One on a full disk complains once more.
            with contextlib.suppress(OSError):
                file.close()

    def _read(self, block: bytes) -> None:
        try:
            for event in self._parser.parse(block):
                if event is None:
                    self._end_part()
                elif isinstance(event, bytes):
                    self._take(event)
                else:
                    self._begin_part(event)
        except self._faults as why:
            # Its own words tell what, ours where.
            status = 413 if type(why).__name__ == "ParserLimitReached" else 400
            raise HTTPError(status, f"The form cannot be read, after {self._parts} parts: {why.args[0]}.") from None

    def _begin_part(self, segment: Any) -> None:
        limits = self._limits
        self._parts += 1
        if self._parts > limits.parts:
            raise HTTPError(413, f"More than {limits.parts} parts in the form.")
        self._name = name = _name_of(segment, self._parts)
        if len(name.encode()) > limits.name:
            raise field_fault(413, None, f"is longer than {limits.name} bytes")
        media_type = _type_of(segment, name)
        if segment.filename is None:
            self._file = None
            return
        if len(self._files) >= limits.files:
            raise HTTPError(413, f"More than {limits.files} files in the form.")
        self._file = self._make_file(name, sane_name(segment.filename), media_type or "application/octet-stream")
        self._files.append((name, self._file))

    def _take(self, data: bytes) -> None:
        """More of the present part."""
        if self._file is None:
            self._value += len(data)
            self._texts += len(data)
            if self._value > self._limits.value:
                raise field_fault(413, self._name, f"is longer than {self._limits.value} bytes")
            if self._texts > self._limits.text:
                raise HTTPError(413, f"The form has more than {self._limits.text} bytes of text.")
            self._text.append(data)
        elif self._file.size + len(data) > self._limits.file:
            told = f"is longer than {self._limits.file} bytes"
            raise HTTPError(413, f"The file in {shown(self._name)} {told}.", fields={self._name: f"The file {told}."})
        else:
            self._file.write(data)

    def _end_part(self) -> None:
        if self._file is not None:
            self._file.complete()
            return
        try:
            value = b"".join(self._text).decode()
        except UnicodeDecodeError:
            raise field_fault(400, self._name, "is not UTF-8") from None
        self._text.clear()
        self._value = 0
        self._fields.append((self._name, value))


def parse_multipart(content_type: str, body: bytes) -> tuple[Form, Files]:
    """A form in parts that has come whole.  Raises HTTPError as `MultipartReader` does."""
    reader = MultipartReader(content_type)
    reader.feed(body)
    return reader.finish()


def _boundary(content_type: str) -> str:
    if not is_multipart(content_type):
        raise HTTPError(415, f"A form in parts is sent as {MULTIPART}.", [("Accept", FORM_TYPES)])
    boundary = parse_media_type(content_type)[1].get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise HTTPError(400, "The form has no proper boundary (RFC 2046 §5.1.1).")
    return boundary


def _name_of(segment: Any, number: int) -> str:
    """The field that a part is of.  Raises HTTPError 400 where its head does not say."""
    from multipart import parse_content_disposition

    if any(NOT_IN_VALUE.search(value.encode().decode("latin-1")) for _, value in segment.headerlist):
        raise HTTPError(400, f"A control character in the head of part {number} of the form.")
    said = [value for name, value in segment.headerlist if name == "Content-Disposition"]
    if len(said) != 1 or parse_content_disposition(said[0])[1] is None:
        raise HTTPError(400, f"The head of part {number} of the form does not say of which field it is.")
    return str(segment.name)


def _type_of(segment: Any, name: str) -> str:
    """The media type of a part, "" where it says none.  Raises HTTPError 415 for what is not sent plainly, in UTF-8."""
    said = segment.header("Content-Type", "")
    media_type, parameters = parse_media_type(said)
    if said and not media_type:
        raise _part_fault(400, name, "has a Content-Type that is none.")
    if segment.header("Content-Transfer-Encoding", "").strip().lower() not in _PLAIN_CODINGS:
        raise _part_fault(415, name, "is encoded (RFC 7578 §4.7); send it as it is.")
    if segment.filename is None and media_type.startswith("multipart/"):
        raise _part_fault(415, name, "has parts of its own (RFC 7578 §4.3); send them one by one.")
    if segment.filename is None and parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise _part_fault(415, name, "is not sent in UTF-8.")
    return media_type


def _part_fault(status: int, name: str, fault: str) -> HTTPError:
    """The error for how the part of a field is sent."""
    return HTTPError(status, f"The field {shown(name)} {fault}", fields={name: f"This {fault}"})
