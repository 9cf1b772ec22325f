"""Files that change while they are sent: an answer that is whole is of one version, and it is the one that it names.

Everything else is cut with a reset, so that the client can tell.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpd import StaticFiles
from httpd.net.lending import LAST

from .exchange import get, read_answers, serving
from .kernel import read_or_reset
from .live import LiveServer
from .static_rows import read_parts
from .test_faults import SMALL, asked, connected, fetched, head_and_some, settle
from .test_tls import client_context, server_context

# More than the kernel holds of it while its client reads nothing.
LARGE = random.Random(5).randbytes(14 << 20)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file that is sent from memory, one that is not, and one that has an encoded form as large."""
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "small.bin").write_bytes(SMALL)
    (folder / "large.bin").write_bytes(LARGE)
    (folder / "page.html").write_bytes(b"a page")
    (folder / "page.html.gz").write_bytes(LARGE)
    return folder


# ---- changes


def truncate(file: Path, old: bytes) -> None:
    os.truncate(file, 0)


def halve(file: Path, old: bytes) -> None:
    os.truncate(file, len(old) // 2)


def halve_and_restore(file: Path, old: bytes) -> None:
    os.truncate(file, len(old) // 2)
    os.truncate(file, len(old))


def rewrite(file: Path, old: bytes) -> None:
    file.write_bytes(b"r" * len(old))


def rewrite_longer(file: Path, old: bytes) -> None:
    file.write_bytes(b"r" * (len(old) + 1000))


def overwrite(file: Path, old: bytes) -> None:
    with file.open("r+b") as opened:
        opened.write(b"o" * len(old))


def overwrite_the_end(file: Path, old: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(-1, os.SEEK_END)
        opened.write(bytes([old[-1] ^ 1]))


def append(file: Path, old: bytes) -> None:
    with file.open("ab") as opened:
        opened.write(b"appended" * 1000)


def replace(file: Path, old: bytes) -> None:
    other = file.with_suffix(".new")
    other.write_bytes(b"n" * len(old))
    other.replace(file)


def delete(file: Path, old: bytes) -> None:
    file.unlink()


def forbid(file: Path, old: bytes) -> None:
    file.chmod(0)


CHANGES = [
    truncate, halve, halve_and_restore, rewrite, rewrite_longer, overwrite, overwrite_the_end, append, replace, delete,
    forbid,
]  # fmt: skip
# What leaves the open file as it is.
HARMLESS = {replace, delete, forbid}


# ---- large files


# How a large file is asked for: the path, field lines, and what of the content the answer has.
WAYS: dict[str, tuple[str, list[str], list[slice]]] = {
    "whole": ("/large.bin", [], [slice(None)]),
    "a part": ("/large.bin", ["Range: bytes=5-"], [slice(5, None)]),
    "parts": ("/large.bin", ["Range: bytes=0-6999999,7000100-"], [slice(7_000_000), slice(7_000_100, None)]),
    "encoded": ("/page.html", ["Accept-Encoding: gzip"], [slice(None)]),
}


def securely(sock: socket.socket) -> ssl.SSLSocket:
    """The same over TLS, where an end that was not said is an error."""
    return client_context().wrap_socket(sock, suppress_ragged_eofs=False)


def begun(sock: socket.socket) -> bytes:
    """An answer's head and a little of its content."""
    held = b""
    while b"\r\n\r\n" not in held:
        piece = sock.recv(4_096)
        assert piece
        held += piece
    return held


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_large_file_that_changes_while_it_is_sent(
    root: Path, change: Callable[[Path, bytes], None], way: str, secure: bool
) -> None:
    path, fields, slices = WAYS[way]
    file = root / ("page.html.gz" if way == "encoded" else "large.bin")
    settle(root)
    context = server_context() if secure else None
    with (
        serving(StaticFiles(root), tls=context) as server,
        connected(server.port) as plain,
        securely(plain) if secure else plain as sock,
    ):
        sock.sendall(get(path, *fields, "Connection: close"))
        start = begun(sock)
        change(file, LARGE)
        rest, was_reset = read_or_reset(sock)
    if change in HARMLESS:
        assert not was_reset
        [answer] = read_answers(start + rest)
        assert [content for _, content in read_parts(answer)] == [LARGE[part] for part in slices]
    else:
        assert was_reset
        [(_, content)] = plain_answers(start + rest)
        assert len(content) < announced(start)


def announced(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head.lower())
    assert found
    return int(found[1])


@pytest.mark.parametrize("change", CHANGES)
def test_a_large_file_that_was_remembered_and_changes(root: Path, change: Callable[[Path, bytes], None]) -> None:
    settle(root)
    with serving(StaticFiles(root)) as server:
        assert fetched(server.port, "/large.bin") == (200, LARGE)
        with asked(server.port, get("/large.bin", "Connection: close")) as sock:
            start = begun(sock)
            change(root / "large.bin", LARGE)
            assert read_or_reset(sock)[1] is (change not in HARMLESS)
        assert announced(start) == len(LARGE)
        assert fetched(server.port) == (200, SMALL)
        status, content = fetched(server.port, "/large.bin")
        now = (root / "large.bin").read_bytes() if change is not delete else b""
        assert (status, content) == (200, now) or (status, change) in [(404, delete), (403, forbid)]


@pytest.mark.parametrize("taken", [0, 50_000])
@pytest.mark.parametrize("size", [140_000, 300_000, 2_000_000, 4 << 20])
def test_what_is_under_way_is_not_what_is_written_now(root: Path, size: int, taken: int) -> None:
    """What the kernel holds of an answer, at either end, must not be the file's own pages."""
    old = LARGE[:size]
    (root / "other.bin").write_bytes(old)
    settle(root)
    with serving(StaticFiles(root)) as server, connected(server.port) as sock:
        sock.sendall(get("/other.bin", "Connection: close"))
        start = begun(sock)
        while len(start) < taken:
            start += sock.recv(taken)
        # Who is answered later has waited for what could be sent of it.
        assert fetched(server.port) == (200, SMALL)
        overwrite(root / "other.bin", old)
        rest, was_reset = read_or_reset(sock)
    [(_, content)] = plain_answers(start + rest)
    assert old.startswith(content)
    assert was_reset is (len(content) < size)


def test_the_end_of_a_large_file_is_a_copy(root: Path) -> None:
    """Who reads it has read all that was lent."""
    settle(root)
    with serving(StaticFiles(root)) as server, connected(server.port) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
        sock.sendall(get("/large.bin", "Connection: close"))
        start = begun(sock)
        while len(start) < len(LARGE) - LAST:
            start += sock.recv(65_536)
        assert fetched(server.port) == (200, SMALL)
        overwrite(root / "large.bin", LARGE)
        rest, _ = read_or_reset(sock)
    [(_, content)] = plain_answers(start + rest)
    assert LARGE.startswith(content)


# ---- small files, and all of them


@pytest.mark.parametrize("change", CHANGES)
def test_a_small_file_that_changes_while_it_is_sent(root: Path, change: Callable[[Path, bytes], None]) -> None:
    """It was read whole before its first byte went out, so it is sent as it was; the next one is as it is."""
    settle(root)
    with serving(StaticFiles(root)) as server:
        # More than the kernel takes, so that the last are made after the change.
        with asked(server.port, get("/small.bin") * 400) as sock:
            length, content = head_and_some(sock)
            change(root / "small.bin", SMALL)
            sock.shutdown(socket.SHUT_WR)
            rest, was_reset = read_or_reset(sock)
        assert not was_reset
        content += rest
        assert content[:length] == SMALL
        others = list(plain_answers(content, length))
        assert len(others) == 399
        now = (root / "small.bin").read_bytes() if change is not delete else b""
        for status, body in others:
            # Written anew in place, it is for a moment the beginning of what it will be.
            right = status == 200 and (body == SMALL or now.startswith(body))
            assert right or (status, change) in [(404, delete), (403, forbid)]
        assert others[-1] == (200, now) or others[-1][0] != 200


def plain_answers(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Status and content of each answer in much data, from `at` on."""
    while at < len(data):
        end = data.index(b"\r\n\r\n", at) + 4
        found = re.search(rb"content-length: (\d+)", data[at:end].lower())
        assert found
        length = int(found[1])
        yield int(data[at + 9 : at + 12]), data[end : end + length]
        at = end + length


@pytest.mark.programs
def test_versions_of_a_file_are_never_mixed(root: Path) -> None:
    """A file is written anew all the while, in place and by replacement: a whole answer is of one version."""
    file = root / "changing.bin"
    size = 2 << 20
    file.write_bytes(b"a" * size)
    stop = threading.Event()

    def change() -> None:
        for number in iter(int, 1):
            version = bytes([97 + number % 26]) * size
            if stop.is_set():
                return
            if number % 2:
                file.write_bytes(version)
            else:
                file.with_suffix(".new").write_bytes(version)
                file.with_suffix(".new").replace(file)

    thread = threading.Thread(target=change)
    thread.start()
    whole = 0
    try:
        with LiveServer(root, "--access-log", "off") as server:
            end = time.monotonic() + 2
            while time.monotonic() < end:
                with contextlib.suppress(ConnectionResetError, http.client.IncompleteRead):
                    status, content = fetched(server.port, "/changing.bin")
                    assert status == 200
                    assert content == content[:1] * len(content), "two versions in one answer"
                    whole += 1
    finally:
        stop.set()
        thread.join()
    assert whole
