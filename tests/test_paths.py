"""Path safety over a real socket: targets as no polite client would send them, and a disk that changes meanwhile.

Next to the folder lies a secret.  Whatever is asked, its text is in no answer.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpd import Router, Server, StaticFiles

from .exchange import Answer, get, read_answers, serving
from .kernel import descriptors, needs_proc, read_or_reset, until
from .live import LiveServer

SECRET = b"the secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder, `www`, with a secret beside it."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "www-private").mkdir()
    (tmp_path / "www-private" / "secret.txt").write_bytes(SECRET)
    folder = tmp_path / "www"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / ".well-known" / "acme-challenge").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name, content in {
        "page.html": "page", "sub/inner.txt": "inner", "sub/deep/file.txt": "deep", "per%cent.txt": "per cent",
        "a b.txt": "space", ".well-known/acme-challenge/token": "token", ".git/config": SECRET.decode(),
        ".env": SECRET.decode(), "sub/.hidden": SECRET.decode(), "Case.txt": "Case", "%2e%2e": "literal",
    }.items():  # fmt: skip
        (folder / name).write_text(content)
    return folder


def answer_to(port: int, target: bytes | str, method: str = "GET") -> Answer:
    """The answer to a request-target that is sent as it is."""
    raw = target.encode("latin-1") if isinstance(target, str) else target
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(
            method.encode("ascii") + b" " + raw + b" HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n"
        )
        data, was_reset = read_or_reset(sock)
    assert not was_reset
    assert SECRET not in data
    [answer] = read_answers(data, [method])
    return answer


# ---- spelling

REFUSED = [
    # `..`, in every spelling.
    "/../secret.txt", "/..", "/../", "/sub/../../secret.txt", "/./../secret.txt", "/sub/../page.html",
    "/%2e%2e/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt", "/%2E%2E/secret.txt", "/%2e%2e%2fsecret.txt",
    "/..%2fsecret.txt", "/..%2Fsecret.txt", "/sub%2f..%2f..%2fsecret.txt", "/sub/%2e%2e/page.html",
    "/..;/secret.txt", "/...", "/.../secret.txt", "/..%00/secret.txt", "/..%20/secret.txt",
    "/../www-private/secret.txt",
    "/" + "../" * 40 + "etc/passwd", "/" + "%2e%2e/" * 40 + "etc/passwd", "//../secret.txt", "/sub//../../secret.txt",
    # Decoded twice, these would be.
    "/%252e%252e/secret.txt", "/%25%32%65%25%32%65/secret.txt", "/..%252fsecret.txt", "/sub%252finner.txt",
    "/a%2520b.txt", "/%2570age.html",
    # UTF-8 that is longer than need be, and lookalikes: names that are not there.
    "/%c0%ae%c0%ae/secret.txt", "/%e0%80%ae%e0%80%ae/secret.txt", "/%c0%afetc/passwd", "/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/%u002e%u002e/secret.txt",
    # NUL, backslash, and the names of other systems.
    "/page.html%00", "/%00", "/page.html%00.txt", "/secret.txt%00page.html", "/..\\secret.txt", "/..%5csecret.txt",
    "/%5c..%5csecret.txt", "/sub\\inner.txt", "/sub%5Cinner.txt", "/C:/Windows/win.ini", "/c:\\boot.ini",
    "/C:%5Cboot.ini", "/%5c%5cserver%5cshare", "/page.html::$DATA", "/page.html:stream", "/CON", "/nul.txt",
    "/page.html.",    "/page.html%20", "/PAGE~1.HTM",
    # Absolute paths are paths below the root.
    "//etc/passwd", "///etc/passwd", "/%2fetc/passwd", "/%2f%2fetc%2fpasswd", "/etc/passwd", "/proc/self/environ",
    "/file:///etc/passwd", "/~root/", "/~",
    # What is hidden.
    "/.git/config", "/.git", "/.git/", "/.env", "/%2eenv", "/%2Egit/config", "/sub/.hidden", "//.env", "/.env/",
    "/.well-known/../.env", "/.well-known/.env",
    # Case, and files as folders.
    "/PAGE.HTML", "/case.txt", "/page.html/", "/page.html/x", "/page.html/..", "/sub/inner.txt/", "/page.html//",
]  # fmt: skip


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    with serving(StaticFiles(root)) as server:
        yield server


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_leads_elsewhere_leads_nowhere(server: Server, method: str) -> None:
    answers = {target: answer_to(server.port, target, method).status for target in REFUSED}
    assert {target: status for target, status in answers.items() if status not in (400, 404)} == {}


def test_nothing_leads_out_of_a_mount_either(root: Path) -> None:
    site = Router()
    site.mount("/files", StaticFiles(root / "sub"))
    with serving(site) as server:
        assert answer_to(server.port, "/files/inner.txt").body == b"inner"
        for target in [*REFUSED, "/page.html", "/files", "/files../page.html", "/files/../page.html"]:
            mounted = "/files" + target
            assert answer_to(server.port, mounted).status in (400, 404), mounted
            assert answer_to(server.port, target).status in (308, 301, 400, 404), target
        assert answer_to(server.port, "/files/%2e%2e/page.html").status == 404


@pytest.mark.parametrize(
    ("target", "content"),
    [
        ("/per%25cent.txt", b"per cent"),
        ("/a%20b.txt", b"space"),
        ("/%70age.html", b"page"),
        ("/%50age.html", None),
        ("/sub%2finner.txt", b"inner"),
        ("//page.html", b"page"),
        ("/sub//deep///file.txt", b"deep"),
        ("/.well-known/acme-challenge/token", b"token"),
        ("/Case.txt", b"Case"),
        ("/page.html?../../secret.txt", b"page"),
        ("/./page.html", b"page"),
        ("/%2e/sub/./inner.txt", b"inner"),
        ("/%252e%252e", b"literal"),
        ("http://other.example/page.html", b"page"),
        ("http://other.example/../secret.txt", None),
        ("/%252e%252e%2fsecret.txt", None),
    ],
)
def test_percent_encoding_is_undone_once(server: Server, target: str, content: bytes | None) -> None:
    answer = answer_to(server.port, target)
    assert (answer.status, answer.body) == (200, content) if content is not None else answer.status in (400, 404)


@pytest.mark.parametrize(
    "target",
    [
        "/sub", "//sub", "///sub", "/sub//deep", "//sub/deep", "/%2fsub", "/%2f%2fsub", "//evil.example/%2e%2e/sub",
        "//evil.example", "//evil.example/", "///evil.example", "/\\evil.example", "/%5cevil.example",
        "/%09/evil.example",
        "/%0d%0aLocation:%20//evil.example", "/sub?//evil.example", "/sub?%0d%0aX:y", "http://evil.example/sub",
        "http://evil.example//sub", "//sub@evil.example", "//sub%40evil.example/..",
    ],
)  # fmt: skip
def test_no_redirect_leads_off_the_site(root: Path, target: str) -> None:
    for name in ("evil.example", "sub@evil.example"):
        (root / name).mkdir()
    with serving(StaticFiles(root)) as server:
        answer = answer_to(server.port, target)
    location = answer["location"]
    assert bool(location) == (300 <= answer.status < 400)
    if location:
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\", "/%5c", "/%5C"))
        assert not set(location) & set("\r\n\t \\")


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe.txt", b"caf\xe9.txt", "café ☕.txt".encode(), b"%41.txt", b"a;b&c=d'.txt", b"x\ny.txt", b"-\x01-.txt"],
)
def test_any_name_has_a_spelling(root: Path, name: bytes) -> None:
    with open(os.path.join(os.fsencode(root), name), "wb") as file:
        file.write(b"found")
    target = b"/" + b"".join(b"%%%02X" % byte for byte in name)
    with serving(StaticFiles(root)) as server:
        assert answer_to(server.port, target).body == b"found"
        listed = answer_to(server.port, "/").body
        assert b"page.html" in listed
        assert b"%" in listed
        assert answer_to(server.port, target + b"%20").status == 404


# ---- links, by the option


@pytest.mark.parametrize(
    ("symlinks", "inside", "outside"), [("inside", True, False), ("none", False, False), ("all", True, True)]
)
def test_links_are_followed_by_the_option(root: Path, symlinks: str, inside: bool, outside: bool) -> None:
    elsewhere = root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file.txt").write_text("elsewhere")
    for name, target in {
        "in.html": "page.html", "in-folder": "sub", "absolute.html": str(root / "page.html"), "chain.html": "in.html",
        "through": "../www/page.html", "out.txt": "../elsewhere/file.txt", "out-folder": str(elsewhere),
        "chain-out.txt": "out-folder/file.txt", "loop": "loop", "dangling": "nothing",
        "prefix": "../www-private/secret.txt", "hidden.txt": ".env",
    }.items():  # fmt: skip
        (root / name).symlink_to(target)
    with serving(StaticFiles(root, symlinks=symlinks)) as server:  # type: ignore[arg-type]
        for path in ("/in.html", "/in-folder/inner.txt", "/absolute.html", "/chain.html", "/through"):
            assert (answer_to(server.port, path).status == 200) == inside, path
        for path in ("/out.txt", "/out-folder/file.txt", "/chain-out.txt"):
            assert (answer_to(server.port, path).status == 200) == outside, path
        for path in ("/loop", "/dangling"):
            assert answer_to(server.port, path).status == 404
        if not outside:
            assert answer_to(server.port, "/prefix").status == 404


# ---- what is special


@pytest.mark.programs
def test_what_is_no_file_neither_blocks_nor_is_opened(root: Path) -> None:
    needs_proc()
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "sub" / "index.html")
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(root / "socket"))
    special = ["/fifo", "/socket", "/fifo/", "/sub/index.html"]
    (root / "null").symlink_to("/dev/null")
    special.append("/null")
    with contextlib.suppress(PermissionError):
        os.mknod(root / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        special.append("/device")
    with unix, LiveServer(root, "--access-log", "off") as server:
        before = descriptors(server.pid)
        began = time.monotonic()
        for path, method in itertools.product(special, ["GET", "HEAD", "POST"]):
            assert answer_to(server.port, path, method).status in (404, 411), path
        assert answer_to(server.port, "/sub/").status in (200, 404)
        assert answer_to(server.port, "/page.html").body == b"page"
        assert time.monotonic() - began < 3
        assert until(lambda: len(descriptors(server.pid)) <= len(before))


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user may reach, as pytest's own may not be."""
    folder = Path(tempfile.mkdtemp(prefix="httpd-paths-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


# What is imported when it is first needed is needed before: this Python may lie where only root may read.
AS_NOBODY = """
import base64, hashlib, json, logging, os, resource, sys
import httpd.site.listing
from httpd import Server, StaticFiles
from httpd.site.error_pages import error_response
error_response(403, accept="text/html")
server = Server(StaticFiles(sys.argv[1]), port=0, access_log="off")
server.start()
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
server.run()
"""


@pytest.mark.programs
def test_what_may_not_be_read_is_403(public_folder: Path) -> None:
    for name in ("closed.txt", "open.txt", "big.bin", "shut/file.txt", "passage/file.txt"):
        path = public_folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * (200_000 if name == "big.bin" else 1))
    (public_folder / "closed.txt").chmod(0)
    (public_folder / "shut").chmod(0)
    (public_folder / "passage").chmod(0o711)
    with LiveServer(public_folder, command=[sys.executable, "-c", AS_NOBODY]) as server:
        found = {
            path: answer_to(server.port, path).status
            for path in ("/closed.txt", "/shut/", "/shut/file.txt", "/shut/none", "/passage/", "/passage/file.txt")
        }
        assert found.pop("/passage/file.txt") == 200
        assert found == dict.fromkeys(found, 403)
        for name in ("open.txt", "big.bin"):
            assert answer_to(server.port, f"/{name}").status == 200
            (public_folder / name).chmod(0)
            assert answer_to(server.port, f"/{name}").status == 403
        assert answer_to(server.port, "/").status == 200
        assert "Traceback" not in server.log


# ---- races between the check and the opening


def swap_file_and_link(root: Path) -> Iterator[None]:
    """`/prize` is now a file, now a link to the secret."""
    while True:
        (root.parent / "new").write_text("harmless")
        (root.parent / "new").replace(root / "prize")
        yield
        (root.parent / "link").symlink_to(root.parent / "secret.txt")
        (root.parent / "link").replace(root / "prize")
        yield


def swap_links(root: Path) -> Iterator[None]:
    """`/prize` is a link, now within the folder, now out of it."""
    for target in itertools.cycle([root / "harmless", root.parent / "secret.txt"]):
        (root.parent / "link").symlink_to(target)
        (root.parent / "link").replace(root / "prize")
        yield


def swap_folders(root: Path) -> Iterator[None]:
    """A folder on the way is now one, now a link out of the root."""
    real, link = root / "way", root.parent / "link"
    link.symlink_to(root.parent)
    while True:
        real.rename(root / "aside")
        link.rename(real)
        yield
        real.rename(link)
        (root / "aside").rename(real)
        yield


@pytest.mark.programs
@pytest.mark.parametrize(
    ("swap", "path"), [(swap_file_and_link, "/prize"), (swap_links, "/prize"), (swap_folders, "/way/secret.txt")]
)
def test_a_link_swapped_in_at_any_moment_never_gives_the_secret(
    root: Path, swap: Callable[[Path], Iterator[None]], path: str
) -> None:
    (root / "harmless").write_text("harmless")
    (root / "way").mkdir()
    (root / "way" / "secret.txt").write_text("harmless")
    stop = threading.Event()

    def keep_swapping() -> None:
        for _ in swap(root):
            if stop.is_set():
                break
            # Now faster than a request, now slower.
            time.sleep(next(pauses))

    pauses = itertools.cycle([0.0, 0.0, 0.0002, 0.0, 0.001])
    thread = threading.Thread(target=keep_swapping)
    thread.start()
    seen: dict[bytes, int] = {}
    try:
        with LiveServer(root, "--access-log", "off") as server:
            for _ in range(15):
                with socket.create_connection(("127.0.0.1", server.port), 20) as sock:
                    sock.sendall(get(path) * 200)
                    sock.shutdown(socket.SHUT_WR)
                    data, was_reset = read_or_reset(sock)
                assert not was_reset
                assert SECRET not in data
                for status in (b"200", b"404", b"500"):
                    seen[status] = seen.get(status, 0) + data.count(b"HTTP/1.0 " + status)
            assert "Traceback" not in server.log
    finally:
        stop.set()
        thread.join()
    assert sum(seen.values()) == 3_000
    assert seen[b"200"], "it was never there"
    assert seen[b"404"], "it was never swapped"
    assert not seen[b"500"]
