"""The encoded forms of a file that lie beside it: `style.css.br`, `.zst` and `.gz` beside `style.css`.

A *sibling* is the same representation with a content coding (RFC 9110 §8.4), made beforehand, by `httpd compress` or
by whatever built the site.  It counts as long as it is not older than its original: whoever changes the original and
forgets the sibling loses some bytes of traffic, and nothing else.  But where an original is taken back to an earlier
state, with the time of that, nothing on the disk tells that the sibling is of the later one, for many tools give their
siblings a later time.  `httpd compress` looks into those, and makes them anew.
"""

# No `annotations` from __future__: see server/limits.py.

import os
from collections.abc import Callable
from stat import S_ISREG
from typing import NamedTuple

__all__ = ["SUFFIXES", "Sibling", "siblings"]

# The codings (RFC 9110 §8.4.1, RFC 7932, RFC 8878) and what their files' names end in; of equal ones the first is sent.
SUFFIXES = {"zstd": b".zst", "br": b".br", "gzip": b".gz"}


class Sibling(NamedTuple):
    """A sibling as the disk tells of it, so that any change of it shows."""

    coding: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    device: int
    mode: int


def siblings(location: bytes, stat: Callable[[bytes], os.stat_result] = os.stat) -> tuple[Sibling, ...]:
    """The files that lie beside the one at `location` now, whether they may be opened or not, and however old."""
    found = []
    for coding, suffix in SUFFIXES.items():
        try:
            now = stat(location + suffix)
        except OSError:
            continue
        if not S_ISREG(now.st_mode):
            continue
        state = now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_dev, now.st_mode
        found.append(Sibling(coding, *state))
    return tuple(found)
