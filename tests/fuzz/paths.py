"""Paths: whatever a target says, nothing outside the folder is opened or told, and nothing special is ever opened."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from httpd import HTTPError, Request, Response, StaticFiles
from httpd.protocol.message import Head
from httpd.server.limits import Limits

from ..heads import parser
from .recipe import read_recipe

__all__ = ["WORDS", "one_input"]

WORDS = [
    b"/", b"//", b"..", b".", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"\\", b"%252e", b"%00", b"..%2f", b"c:", b"/folder",
    b"/folder/inner.txt", b"/page.html", b"/fifo", b"/socket", b"/device", b"/out", b"/out/secret.txt", b"/in", b"/up",
    b"/.hidden", b"/.well-known/a", b"/loop", b"/locked", b"/%ff", b"/secret.txt", b"?", b"/dangling",
    b"/moved/", b"/served/", b"/_headers", b"/_redirects", b"/page",
    b"/out-folder/secret.txt", b"/elsewhere", b"/root-x/secret.txt", b"..%c0%af", b"%e2%80%ae",
]  # fmt: skip

# What would make no request-target, the escape of NUL too.
_NOT_IN_TARGET = re.compile(rb"[^!\"$-~]|%(?![0-9A-Fa-f]{2})|%(?=00)")
SECRET = b"nobody may read this"
_open = os.open


def one_input(data: bytes) -> None:
    flags, _, target = read_recipe(data)
    head = parser(Limits()).parse(b"GET /" + _NOT_IN_TARGET.sub(escaped, target) + b" HTTP/1.0")
    assert isinstance(head, Head)
    sites = folder_of_traps()
    site = sites[flags % len(sites)]
    before = open_descriptors()
    with only_plain_files(os.path.realpath(os.fsdecode(site.root.path))):
        response = answered(site, head)
    if response is not None:
        assert SECRET not in content(response)
        location = dict(response.headers).get("Location", "/")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
    site.entities.trim()
    assert open_descriptors() == before


def escaped(octet: re.Match[bytes]) -> bytes:
    return b"%%%02X" % (octet[0][0] or ord("%"))


@functools.cache
def folder_of_traps() -> list[StaticFiles]:
    """A folder with all in it that should not be served, and much beside it, as sites of both strict policies."""
    keeper = tempfile.TemporaryDirectory(prefix="fuzz-paths-")
    _keepers.append(keeper)
    top = Path(keeper.name)
    root = top / "root"
    for folder in (root / "folder", root / ".well-known", top / "root-x", top / "elsewhere"):
        folder.mkdir(parents=True)
    for file in (top / "secret.txt", top / "root-x/secret.txt", top / "elsewhere/secret.txt", root / ".hidden"):
        file.write_bytes(SECRET)
    for file in (root / "page.html", root / "folder/inner.txt", root / ".well-known/a", root / "c:"):
        file.write_bytes(b"for all to see")
    (root / os.fsdecode(b"\xff")).write_bytes(b"a name that is not UTF-8")
    (root / "_redirects").write_text("/moved/* /:splat 302!\n/served/* /:splat 200\n")
    (root / "_headers").write_bytes(b"# " + SECRET)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    links = {
        "out": "../secret.txt", "out-folder": "../elsewhere", "in": "folder/inner.txt", "up": "..", "loop": "loop",
        "dangling": "nowhere", "device": "/dev/zero", "to-fifo": "fifo", "root-link": ".", "beside": "../root-x",
    }  # fmt: skip
    for name, to in links.items():
        (root / name).symlink_to(to)
    return [StaticFiles(root), StaticFiles(root, symlinks="none"), StaticFiles(root, listing=False)]


_keepers: list[tempfile.TemporaryDirectory[str]] = []


@contextlib.contextmanager
def only_plain_files(root: str) -> Iterator[None]:
    """Every descriptor opened meanwhile is of a regular file or a folder, and every one for reading in the root."""

    def watched(path: str | bytes, flags: int, *more: int, **named: int) -> int:
        opened = _open(path, flags, *more, **named)
        mode = os.fstat(opened).st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), f"{path!r} is special"
        if not flags & os.O_PATH:
            where = os.readlink(f"/proc/self/fd/{opened}")
            ours = where == root or where.startswith((root + "/", str(Path(__file__).parents[2])))
            assert ours, f"{where} is outside"
        return opened

    with mock.patch.object(os, "open", watched):
        yield


def answered(site: StaticFiles, head: Head) -> Response | None:
    try:
        return site(Request(head, b"", ""))
    except HTTPError as error:
        assert error.status in (400, 403, 404)
        return None


def content(response: Response) -> bytes:
    """All of a response's content; its producer is closed."""
    body = response.body
    if isinstance(body, bytes):
        return body
    pieces = []
    while piece := body.more():
        pieces.append(piece)
    if close := getattr(body, "close", None):
        close()
    return b"".join(pieces)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
