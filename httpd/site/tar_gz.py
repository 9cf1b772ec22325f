"""A .tar.gz, written member by member.

The headers are the standard library's, in the pax form (POSIX.1-2001): names of any length and any bytes, files of any
size.  Its writer is not: that copies a whole file at once.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Iterator
from tarfile import DIRTYPE, PAX_FORMAT, REGTYPE, TarInfo

__all__ = ["LEVEL", "TarGz"]

# The lowest: higher ones take up to three times as long, of everybody's time, for a tenth less to send.
LEVEL = 1
# Tells zlib to write gzip's head and tail.
_GZIP = 31
_BLOCK = 512


class TarGz:
    """See `archives.Writer`.  Owners are not told, and rights only as far as who may run it."""

    content_type = "application/gzip"

    def __init__(self) -> None:
        self._gzip = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
        self._padding = 0

    def begin(self, name: bytes, status: os.stat_result) -> bytes:
        is_folder = stat.S_ISDIR(status.st_mode)
        info = TarInfo(name.decode("utf-8", "surrogateescape"))
        info.type = DIRTYPE if is_folder else REGTYPE
        info.size = 0 if is_folder else status.st_size
        info.mtime = max(0, int(status.st_mtime))
        info.mode = 0o755 if status.st_mode & 0o100 else 0o644
        self._padding = -info.size % _BLOCK
        return self._gzip.compress(info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape"))

    def data(self, data: bytes) -> bytes:
        return self._gzip.compress(data)

    def finish(self) -> bytes:
        return self._gzip.compress(bytes(self._padding))

    def end(self) -> Iterator[bytes]:
        yield self._gzip.compress(bytes(2 * _BLOCK)) + self._gzip.flush()
