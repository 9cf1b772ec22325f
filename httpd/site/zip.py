"""A .zip, written member by member to where nobody can go back (APPNOTE.TXT 6.3.10, whose sections are named here).

A file's checksum and sizes are known when it has been read, so they stand behind it (§4.3.9), and again in the
central directory at the end.  The standard library's writer can do that, too; but it holds an object of some 400 bytes
for each member, and writes the directory of a hundred thousand in one go, which takes a tenth of a second.  Here a
member leaves its hundred bytes of the directory, which is given in pieces.
"""

from __future__ import annotations

import os
import stat
import struct
import time
import zlib
from collections.abc import Iterator

from .tar_gz import LEVEL

__all__ = ["Zip"]

# Fields of all sizes stand without gaps, the least significant byte first (§4.1.1).
_LOCAL = struct.Struct("<4s5H3I2H")  # §4.3.7
_DESCRIPTOR = struct.Struct("<4s3I")  # §4.3.9
_LARGE_DESCRIPTOR = struct.Struct("<4sI2Q")
_CENTRAL = struct.Struct("<4s6H3I5H2I")  # §4.3.12
_LARGE_END = struct.Struct("<4sQ2H2I4Q")  # §4.3.14
_LOCATOR = struct.Struct("<4sIQI")  # §4.3.15
_END = struct.Struct("<4s4H2IH")  # §4.3.16

_PIECE = 65_536
# What a field of two or four bytes says when the number stands in the zip64 field (§4.4.1.4).
_IN_LARGE_2, _IN_LARGE_4 = 0xFFFF, 0xFFFFFFFF
# From here on a file's sizes take eight bytes; what cannot be compressed grows a little.
_LARGE_FILE = 0xF0000000
# §4.4.4: sizes behind the data; the name is UTF-8.
_SIZES_BEHIND, _UTF8 = 1 << 3, 1 << 11
_STORED, _DEFLATED = 0, 8
# §4.4.3: what a reader must know, version 2.0 of the format, or 4.5 for what is large; §4.4.2: made on Unix, so that
# names are bytes and there are rights.
_PLAIN_VERSION, _VERSION, _UNIX = 20, 45, 3 << 8
_RAW_DEFLATE = -15
# What two bytes for the day and two for the time can tell, in steps of two seconds (§4.4.6).
_FIRST, _LAST = (1980, 1, 1, 0, 0, 0), (2107, 12, 31, 23, 59, 58)
# Extra fields: sizes of eight bytes (§4.5.3), and the time in seconds since 1970 (Info-ZIP's "UT").
_LARGE_FIELD, _TIME_FIELD = struct.Struct("<2H"), struct.Struct("<2HBi")


class _Member:
    """A file or folder that is being written: what stands before its data, and in the directory."""

    def __init__(self, name: bytes, status: os.stat_result, at: int) -> None:
        is_folder = name.endswith(b"/")
        self.name = name
        self.at = at
        self.large = not is_folder and status.st_size >= _LARGE_FILE
        self.flags = 0 if is_folder else _SIZES_BEHIND
        if _is_utf8(name):
            self.flags |= _UTF8
        self.method = _STORED if is_folder else _DEFLATED
        self.when = _dos_time(status.st_mtime)
        self.times = _TIME_FIELD.pack(0x5455, 5, 1, min(max(int(status.st_mtime), 0), 0x7FFFFFFF))
        rights = 0o755 if status.st_mode & 0o100 else 0o644
        self.attributes = (stat.S_IFMT(status.st_mode) | rights) << 16 | 0x10 * is_folder
        self.checksum = self.packed = self.size = 0

    def local(self) -> bytes:
        needed, size = (_VERSION, _IN_LARGE_4) if self.large else (_PLAIN_VERSION, 0)
        extra = self.times + (_large_field(0, 0) if self.large else b"")
        how = self.flags, self.method, *self.when, 0
        lengths = len(self.name), len(extra)
        return _LOCAL.pack(b"PK\3\4", needed, *how, size, size, *lengths) + self.name + extra

    def descriptor(self) -> bytes:
        form = _LARGE_DESCRIPTOR if self.large else _DESCRIPTOR
        return form.pack(b"PK\7\x08", self.checksum, self.packed, self.size)

    def central(self) -> bytes:
        numbers = [self.size, self.packed] if self.large else []
        if self.at >= _IN_LARGE_4:
            numbers.append(self.at)
        extra = self.times + (_large_field(*numbers) if numbers else b"")
        made_by, needed = _UNIX | _VERSION, _VERSION if numbers else _PLAIN_VERSION
        sizes = (_IN_LARGE_4, _IN_LARGE_4) if self.large else (self.packed, self.size)
        lengths = len(self.name), len(extra), 0
        place = 0, 0, self.attributes, min(self.at, _IN_LARGE_4)
        how = self.flags, self.method, *self.when, self.checksum
        return _CENTRAL.pack(b"PK\1\2", made_by, needed, *how, *sizes, *lengths, *place) + self.name + extra


class Zip:
    """See `archives.Writer`.  Names are marked as UTF-8 where they are that; others are given byte by byte."""

    content_type = "application/zip"

    def __init__(self) -> None:
        self._at = 0  # how many bytes have been given
        self._members = 0
        self._directory = bytearray()

    def begin(self, name: bytes, status: os.stat_result) -> bytes:
        self._member = _Member(name, status, self._at)
        if name.endswith(b"/"):
            self._enter()
        else:
            self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, _RAW_DEFLATE)
        return self._given(self._member.local())

    def data(self, data: bytes) -> bytes:
        self._member.checksum = zlib.crc32(data, self._member.checksum)
        self._member.size += len(data)
        return self._compressed(self._deflate.compress(data))

    def finish(self) -> bytes:
        rest = self._compressed(self._deflate.flush())
        self._enter()
        return rest + self._given(self._member.descriptor())

    def end(self) -> Iterator[bytes]:
        began = self._at
        for at in range(0, len(self._directory), _PIECE):
            yield bytes(self._directory[at : at + _PIECE])
        size = len(self._directory)
        ended = began + size
        if self._members >= _IN_LARGE_2 or ended >= _IN_LARGE_4:
            numbers = self._members, self._members, size, began
            yield _LARGE_END.pack(b"PK\6\6", 44, _UNIX | _VERSION, _VERSION, 0, 0, *numbers)
            yield _LOCATOR.pack(b"PK\6\7", 0, ended, 1)
        count = min(self._members, _IN_LARGE_2)
        yield _END.pack(b"PK\5\6", 0, 0, count, count, min(size, _IN_LARGE_4), min(began, _IN_LARGE_4), 0)

    def _compressed(self, data: bytes) -> bytes:
        self._member.packed += len(data)
        return self._given(data)

    def _given(self, data: bytes) -> bytes:
        self._at += len(data)
        return data

    def _enter(self) -> None:
        self._directory += self._member.central()
        self._members += 1


def _large_field(*numbers: int) -> bytes:
    return _LARGE_FIELD.pack(1, 8 * len(numbers)) + struct.pack(f"<{len(numbers)}Q", *numbers)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _dos_time(seconds: float) -> tuple[int, int]:
    """(time, date) in UTC (§4.4.6)."""
    try:
        when = time.gmtime(seconds)[:6]
    except (OverflowError, OSError, ValueError):
        when = _FIRST
    year, month, day, hour, minute, second = min(max(when, _FIRST), _LAST)
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day
