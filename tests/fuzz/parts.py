"""Ranges of files, served: each part holds the bytes that it says, all parts together what was asked for."""

from __future__ import annotations

import functools
import os
import re
import tempfile
from pathlib import Path

from httpd import HTTPError, Response, StaticFiles

from ..factories import request
from .paths import content
from .representations import asked

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"bytes=", b"0-0", b"1-", b"-5", b"-1", b"9-19", b"65535-65536", b"65536-", b"-65537", b"66000-", b",", b", ",
    b"Sun, 06 Nov 1994 08:49:37 GMT", b'"a"', b"99999999999999999999999-", b"5-4", b"-0", b"\n",
]  # fmt: skip

# Held in memory, and held as a descriptor.
SIZES = {"small": 20, "big": 132_000}
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


def one_input(data: bytes) -> None:
    """The first byte chooses the file; then a line each: Range, If-Range."""
    name = "big" if data[:1] > b"7" else "small"
    wanted, _, condition = (line.strip(" \t") for line in data[1:].decode("latin-1").partition("\n"))
    fields = [("Range", wanted), *([("If-Range", condition)] if condition else [])]
    site, files = folder()
    try:
        response = site(request(f"/{name}", headers=fields))
    except HTTPError as error:
        assert error.status == 416
        assert dict(error.headers)["Content-Range"] == f"bytes */{SIZES[name]}"
        assert not asked(wanted, SIZES[name])
        return
    body = content(response)
    assert len(body) == response.length
    if response.status == 200:
        assert body == files[name]
        return
    assert response.status == 206
    parts = read_parts(response, body)
    assert all(body == files[name][start : start + len(body)] for start, body in parts)
    told = {at for start, body in parts for at in range(start, start + len(body))}
    assert told == asked(wanted, SIZES[name])
    assert len(told) == sum(len(body) for _, body in parts)


def read_parts(response: Response, body: bytes) -> list[tuple[int, bytes]]:
    """Where each part begins, and what it holds."""
    fields = dict(response.headers)
    found = re.fullmatch("multipart/byteranges; boundary=(.+)", fields["Content-Type"])
    if not found:
        return [(begin(fields["Content-Range"], body), body)]
    before, *parts, after = (b"\r\n" + body).split(b"\r\n--" + found[1].encode())
    assert (before, after) == (b"", b"--\r\n")
    read = []
    for part in parts:
        head, _, held = part.partition(b"\r\n\r\n")
        read.append((begin(head.decode().partition("Content-Range: ")[2], held), held))
    return read


def begin(content_range: str, body: bytes) -> int:
    told = _CONTENT_RANGE.fullmatch(content_range)
    assert told
    first, last, size = map(int, told.groups())
    assert last - first + 1 == len(body)
    assert size in SIZES.values()
    return first


@functools.cache
def folder() -> tuple[StaticFiles, dict[str, bytes]]:
    """Both files, of 1994, as a site; and what they hold: no two stretches of it are alike."""
    keeper = tempfile.TemporaryDirectory(prefix="fuzz-parts-")
    _keepers.append(keeper)
    files = {}
    for name, size in SIZES.items():
        files[name] = b"".join(b"%05d" % number for number in range(size))[:size]
        path = Path(keeper.name, name)
        path.write_bytes(files[name])
        os.utime(path, (784_111_777, 784_111_777))
    return StaticFiles(keeper.name), files


_keepers: list[tempfile.TemporaryDirectory[str]] = []
