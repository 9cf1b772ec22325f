"""Uploads: what a route takes, where files stay meanwhile, and the upload box with real clients."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import Body, Limits, Request, Response, Router, text
from httpd.passwords.realms import Protected
from httpd.protocol.errors import HTTPError, Later
from httpd.site import uploads
from httpd.site.hosts import Hosts
from httpd.site.uploads import SpooledFile

from .benchmark import uploads as large
from .chromium import chromium, quiet_page
from .exchange import EOF, GET, RESET, Exchange, post
from .factories import request
from .live import LiveServer
from .test_multipart import TYPE, file, form
from .tools import TOP, needs

BIG = b"0123456789abcdef" * 20_000


def spooled(folder: Path, content: bytes = BIG) -> SpooledFile:
    """A file that has come whole."""
    made = SpooledFile(str(folder), "f", "a.bin", "text/plain")
    for at in range(0, len(content), 50_000):
        made.write(content[at : at + 50_000])
    made.complete()
    return made


# ---- where a file stays


@pytest.mark.parametrize("content", [b"", b"small", BIG])
def test_a_file_is_read_saved_and_gone(tmp_path: Path, content: bytes) -> None:
    made = spooled(tmp_path, content)
    assert list(tmp_path.iterdir()) == []
    made.save(str(tmp_path / "kept"))
    with pytest.raises(FileExistsError):
        made.save(str(tmp_path / "kept"))
    made.save(str(tmp_path / "again"))
    assert made.file.read() == b"" or made.file.seek(0) == 0
    made.close()
    assert (tmp_path / "kept").read_bytes() == (tmp_path / "again").read_bytes() == content
    (tmp_path / "plain").touch()
    assert (tmp_path / "kept").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_large_file_is_saved_without_copying(tmp_path: Path) -> None:
    made = spooled(tmp_path)
    made.save(str(tmp_path / "kept"))
    assert os.fstat(made.file.fileno()).st_ino == (tmp_path / "kept").stat().st_ino
    made.close()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
def test_a_file_system_that_knows_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    real = os.open

    def only_names(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, "no")
        return real(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", only_names)
    made = spooled(tmp_path)
    made.save(str(tmp_path / "kept"))
    made.close()
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == BIG


def test_of_a_copy_that_fails_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = spooled(tmp_path, b"small")

    def full(size: int = -1) -> bytes:
        raise OSError(errno.ENOSPC, "full")

    made.file.read = full  # type: ignore[method-assign]
    with pytest.raises(OSError, match="full"):
        made.save(str(tmp_path / "kept"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        made.save(str(tmp_path / "nowhere" / "kept"))


# ---- through the handler


def box(folder: Path) -> Router:
    router = Router()
    router.post("/", body=Body(1 << 30, folder=folder))(lambda request: text(str(request.files["f"].size)))
    return router


def up(content: bytes, *lines: str) -> bytes:
    return post(form(file("f", "a.bin", content)), f"Content-Type: {TYPE}", "Accept: text/plain", *lines)


def open_files(folder: Path) -> int:
    """How many descriptors lead into a folder."""
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(os.readlink(link).startswith(f"{folder}/") for link in links if os.path.lexists(link))


def test_a_large_file_is_on_disk_while_it_comes_and_gone_afterwards(tmp_path: Path) -> None:
    wire = up(BIG)
    exchange = Exchange([wire[:200_000]], box(tmp_path))
    assert open_files(tmp_path) == 1
    exchange.feed(wire[200_000:])
    assert exchange.answers("POST")[0].body == b"320000"
    assert (open_files(tmp_path), list(tmp_path.iterdir())) == (0, [])


@pytest.mark.parametrize("end", [EOF, RESET, None])
def test_it_is_gone_too_when_the_client_is(tmp_path: Path, end: Any) -> None:
    exchange = Exchange([up(BIG)[:200_000]], box(tmp_path))
    assert open_files(tmp_path) == 1
    if end is None:
        exchange.wait(60)
        assert exchange.output.startswith(b"HTTP/1.0 408 ")
    else:
        exchange.feed(end)
    assert (exchange.closed or end is None, open_files(tmp_path)) == (True, 0)


@pytest.mark.parametrize(
    ("number", "status"),
    [(errno.ENOSPC, 503), (errno.EDQUOT, 503), (errno.EMFILE, 503), (errno.ENFILE, 503), (errno.EIO, 500)],
)
def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int) -> None:
    def full(folder: str | None) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(uploads, "_unnamed", full)
    wire = up(BIG)
    exchange = Exchange([wire[:200_000], wire[200_000:], EOF], box(tmp_path))
    [answer] = exchange.answers("POST")
    assert (answer.status, answer.keeps_alive, exchange.closed) == (status, False, True)
    assert bool(answer["retry-after"]) == (status == 503)


def test_a_disk_that_is_really_full(monkeypatch: pytest.MonkeyPatch) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    monkeypatch.setattr(uploads, "_unnamed", lambda folder: open("/dev/full", "w+b"))  # noqa: SIM115
    exchange = Exchange([up(BIG), EOF], box(Path()))
    [answer] = exchange.answers("POST")
    assert (answer.status, answer["retry-after"]) == (503, "5")
    assert exchange.closed


# ---- what a site says before content comes


class Users:
    """Realms that know one password, and have to find out about another."""

    def require(self, request: Request, path: str) -> None:
        given = request.headers.get("authorization")
        if given == "unknown":
            raise Later(lambda: None)
        if given != "right":
            raise HTTPError(401)


def test_a_site_around_a_site_lets_it_say_what_it_takes(tmp_path: Path) -> None:
    inner = box(tmp_path)
    outer = Router()
    outer.mount("/", Hosts([("a", inner)]))
    asked = request("/", "POST", headers={"Authorization": "right"})
    asked.head.host = "a"
    body = inner.check(asked)
    assert body is not None
    assert outer.check(asked) is body
    users: Any = Users()
    assert Protected(outer, users).check(asked) is body
    assert Protected(lambda request: text(""), users).check(asked) is None


def test_a_password_that_is_not_known_yet_learns_nothing(tmp_path: Path) -> None:
    users: Any = Users()
    site = Protected(box(tmp_path), users)
    for given, expected in (("right", 404), ("wrong", 401)):
        with pytest.raises(HTTPError) as caught:
            site.check(request("/nowhere", "POST", headers={"Authorization": given}))
        assert caught.value.status == expected
    for path in ("/", "/nowhere"):
        with pytest.raises(Later):
            site.check(request(path, "POST", headers={"Authorization": "unknown"}))


class Waits:
    """A box whose password is found out when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.site = box(folder)
        self.works: list[tuple[Any, Any]] = []
        self.known: set[str] = set()

    def __call__(self, request: Request) -> Response:
        if request.headers.get("authorization") != "right":
            raise HTTPError(401)
        return self.site(request)

    def check(self, request: Request) -> Any:
        given = request.headers.get("authorization")
        if given not in self.known:
            raise Later(lambda: self.known.add(given))
        if given != "right":
            raise HTTPError(401)
        return self.site.check(request)

    def find_out(self, error: BaseException | None = None) -> None:
        work, then = self.works.pop()
        work()
        then(error)


@pytest.mark.parametrize(("given", "status"), [("right", 200), ("wrong", 401)])
def test_nothing_is_kept_before_the_password_is_found_out(tmp_path: Path, given: str, status: int) -> None:
    site = Waits(tmp_path)
    wire = up(BIG, f"Authorization: {given}")
    exchange = Exchange([wire[:150_000]], site, beside=lambda *work: site.works.append(work))
    assert (exchange.handler.readable(), open_files(tmp_path), exchange.output) == (False, 0, b"")
    # However long it takes, it is not the client who is late.
    exchange.wait(100)
    site.find_out()
    exchange.play()
    assert open_files(tmp_path) == (status == 200)
    exchange.feed(wire[150_000:], EOF)
    assert exchange.answers("POST")[0].status == status
    assert open_files(tmp_path) == 0


def test_who_waits_to_be_told_is_told_when_the_password_is_found_out(tmp_path: Path) -> None:
    site = Waits(tmp_path)
    wire = up(BIG, "Authorization: right", "Expect: 100-continue")
    head = len(wire) - len(form(file("f", "a.bin", BIG)))
    exchange = Exchange([wire[:head]], site, beside=lambda *work: site.works.append(work))
    assert exchange.output == b""
    site.find_out()
    assert exchange.output == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert exchange.feed(wire[head:]).answers("POST")[0].body == b"320000"


@pytest.mark.parametrize("gone", [RESET, None])
def test_a_client_that_goes_meanwhile_and_work_that_fails(tmp_path: Path, gone: Any) -> None:
    site = Waits(tmp_path)
    wire = up(BIG, "Authorization: right")
    exchange = Exchange([wire[:150_000]], site, beside=lambda *work: site.works.append(work))
    if gone is None:
        site.find_out(LookupError("no more"))
        assert exchange.feed(EOF).answers("POST")[0].status == 500
    else:
        exchange.handler.close()
        site.find_out()
        assert exchange.output == b""
    assert exchange.closed


def test_content_that_is_too_long_elsewhere_waits_too(tmp_path: Path) -> None:
    site = Waits(tmp_path)
    exchange = Exchange([up(BIG, "Authorization: right"), GET], site, limits=Limits(body=100))
    assert exchange.answers("POST")[0].body == b"320000"


def test_a_number_is_a_body_and_each_method_has_its_own() -> None:
    router = Router()

    def take(request: Request) -> Response:
        return text(str(len(request.body)))

    for register, most in ((router.put, 1), (router.patch, 2), (router.delete, 3)):
        register("/", body=most)(take)
    router.post("/")(take)
    found = {method: router.check(request("/", method)) for method in ("PUT", "PATCH", "DELETE", "POST")}
    assert [body and body.size for body in found.values()] == [1, 2, 3, None]
    answers = Exchange([post(b"x").replace(b"POST", b"PUT"), post(b"xx").replace(b"POST", b"PUT"), EOF], router)
    assert [answer.status for answer in answers.answers("PUT", "PUT")] == [200, 413]


# ---- the upload box


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    env = {"UPLOADS": str(tmp_path / "uploads"), "PYTHONPATH": str(TOP)}
    command = [sys.executable, "-m", "httpd", "--app"]
    with LiveServer("upload:site", command=command, env=env, cwd=TOP / "examples" / "apps") as server:
        yield server


def curl(*arguments: str) -> str:
    done = subprocess.run([needs("curl"), "-sS", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.tools
def test_curl_leaves_files(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(BIG * 10)
    (tmp_path / "_headers").write_text("/*\n  X-A: b\n")
    kept = tmp_path / "uploads"
    status = ("-o", os.devnull, "-w", "%{http_code} ")
    big = f"file=@{tmp_path / 'big.bin'}"
    assert curl(*status, "-F", big, "-F", f"file=@{tmp_path / '_headers'}", server.url) == "303 "
    assert curl(*status, "-F", f"{big};filename=../../up.txt", server.url) == "303 "
    assert curl(*status, "-F", big, server.url) == "303 "
    assert sorted(os.listdir(kept)) == ["big (2).bin", "big.bin", "headers", "up.txt"]
    assert (kept / "big (2).bin").read_bytes() == BIG * 10
    page = curl(server.url)
    assert 'href="/files/big%20%282%29.bin"' in page
    assert "3.2 MB" in page
    assert "sandbox" in curl("-I", server.url + "files/big.bin")
    assert curl(*status, "-F", "file=text", server.url) == "422 "
    assert curl(*status, "-d", "file=text", server.url) == "415 "
    raw = ("--data-binary", f"@{tmp_path / 'big.bin'}", "-H", "Content-Type: a/b")
    assert curl(*status, *raw, server.url) == "415 "
    assert "Traceback" not in server.log


@pytest.mark.tools
def test_a_browser_leaves_a_file(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "Grüße & mehr.txt").write_bytes(BIG)
    with chromium() as browser, quiet_page(browser, server.url) as page:
        page.goto(server.url)
        page.set_input_files("#file", str(tmp_path / "Grüße & mehr.txt"))
        page.click("button")
        page.wait_for_selector("table")
        assert page.inner_text("td a") == "Grüße & mehr.txt"
        assert page.inner_text("td.size") == "320.0 KB"
        assert page.url == server.url
    assert (tmp_path / "uploads" / "Grüße & mehr.txt").read_bytes() == BIG


@pytest.mark.slow
def test_two_gigabytes_go_through_flat(tmp_path: Path) -> None:
    if os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize < 5 << 30:
        pytest.skip("no room for a file of two gigabytes")
    with large.box(tmp_path) as server:
        seen = large.upload(server, "/", 2_048)
    assert (tmp_path / "uploads" / "large").stat().st_size == 2 << 30
    (tmp_path / "uploads" / "large").unlink()
    assert seen.status == 303
    assert seen.most - seen.before < 4_096, seen


@pytest.mark.programs
def test_a_large_file_goes_through_a_form_flat(tmp_path: Path) -> None:
    with large.form(tmp_path) as server:
        seen = large.upload(server, "/send", 48)
    assert seen.status == 303
    assert seen.most - seen.before < 8_192, seen
