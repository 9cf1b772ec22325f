"""The applications of examples/apps, run as they stand: in a browser where they have a page."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from .chromium import chromium, quiet_page
from .live import LiveServer
from .tools import TOP, python_path

pytestmark = pytest.mark.programs

APPS = TOP / "examples" / "apps"
# Where pictures of the pages go, for somebody to look at.
PICTURES = os.environ.get("PICTURES")


class Visitor:
    """A browser without scripts: it keeps cookies, and sends the form that it was shown last."""

    def __init__(self) -> None:
        self._browser = build_opener(HTTPCookieProcessor())
        self._browser.addheaders = []
        self._token = ""

    def get(self, url: str) -> str:
        return self._ask(url, None)

    def post(self, url: str, **fields: str) -> str:
        return self._ask(url, urlencode({"csrf_token": self._token, **fields}).encode())

    def _ask(self, url: str, content: bytes | None) -> str:
        try:
            with self._browser.open(url, content, 10) as answer:
                text = answer.read().decode()
        except HTTPError as error:
            text = error.read().decode()
        found = re.search('name="csrf_token" value="([^"]+)"', text)
        self._token = found[1] if found else self._token
        return text


@contextlib.contextmanager
def running(app: str, folder: Path, **env: str) -> Iterator[LiveServer]:
    """An application, served as `httpd --app` serves it, with what it keeps in a folder of the test's."""
    command = [sys.executable, "-m", "httpd", "--app"]
    env = {"PYTHONPATH": os.pathsep.join([str(APPS), str(TOP)]), **env}
    with LiveServer(f"{app}:site", command=command, env=env, cwd=folder) as server:
        yield server
        assert "Traceback" not in server.log, server.log


def picture(page: object, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png")  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.tools
def test_the_guestbook_keeps_what_is_written(tmp_path: Path) -> None:
    with running("book", tmp_path) as server, chromium() as browser:
        with quiet_page(browser, server.url, viewport={"width": 700, "height": 800}) as page:
            page.goto("/")
            assert page.get_by_text("Nobody has signed yet.").is_visible()
            page.get_by_label("Your name").fill("  <b>Ada</b>  ")
            page.get_by_label("Your message").fill("Fine view of\nthe & harbour <script>alert(1)</script>")
            page.get_by_role("button", name="Sign").click()
            assert page.url == server.url
            assert page.locator("blockquote").inner_text().startswith("Fine view of\nthe & harbour <script>")
            assert "<b>Ada</b>, " in page.locator("footer").inner_text()
            picture(page, "book")
        with quiet_page(browser, server.url) as page:
            # Without a token of its session nothing is taken.
            assert page.request.post("/", form={"name": "Eve", "message": "spam"}).status == 403
            assert page.goto("/").status == 200  # type: ignore[union-attr]
            assert page.locator("blockquote").count() == 1
    with running("book", tmp_path) as server, chromium() as browser, browser.new_page() as page:
        # Kept over a restart; and what is wrong is shown beside what was typed.
        page.goto(server.url)
        assert page.locator("blockquote").count() == 1
        page.get_by_label("Your message").fill("kept")
        page.get_by_role("button", name="Sign").click()
        assert page.get_by_text("Please fill this in.").is_visible()
        assert page.get_by_label("Your message").input_value() == "kept"
        picture(page, "book-fault")


def test_a_page_of_the_guestbook_may_be_sent_to_any_of_its_processes(tmp_path: Path) -> None:
    visitor = Visitor()
    with running("book", tmp_path) as server:
        visitor.get(server.url)
    with running("book", tmp_path) as server:
        assert "Fine view" in visitor.post(server.url, name="Ada", message="Fine view")


@pytest.mark.slow
@pytest.mark.tools
def test_the_clock_ticks_and_ends_with_the_server(tmp_path: Path) -> None:
    with (
        running("clock", tmp_path) as server,
        chromium() as browser,
        quiet_page(browser, server.url, viewport={"width": 700, "height": 400}) as page,
    ):
        page.goto("/")
        page.wait_for_function("document.getElementById('state').textContent == 'Tick 2.'")
        picture(page, "clock")
        begun = time.monotonic()
        assert server.stop() == 0
        # Streams end at once; nobody waits for the end of time.
        assert time.monotonic() - begun < 8
        page.wait_for_function("document.getElementById('state').textContent.includes('gone')")
        # Before it asks again, and the browser complains that nobody is there.
        page.evaluate("ticks.close()")


def test_the_log_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_text("".join(f"line {number}\n" for number in range(1_000)))
    with (
        running("tail", tmp_path, LOG=str(log)) as server,
        socket.create_connection(("127.0.0.1", server.port), 10) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        lines = sock.makefile("rb")
        while lines.readline().strip():
            pass
        first = lines.readline()
        assert first.startswith(b"line ")
        while lines.readline() != b"line 999\n":
            pass
        for name in ("added", "more"):
            with log.open("a") as file:
                file.write(f"{name}\n")
            assert lines.readline() == f"{name}\n".encode()
        log.rename(tmp_path / "moved")
        log.write_text("anew\n")
        assert lines.readline() == b"anew\n"
        lines.close()
    with running("tail", tmp_path, LOG=str(tmp_path / "none")) as server:
        assert b" 404 " in ask(server.port)
    done = subprocess.run(
        [sys.executable, str(APPS / "tail.py")], capture_output=True, text=True, timeout=30, env=without_log()
    )
    assert (done.returncode, done.stderr) == (1, "tail.py FILE: which log is to be shown?\n")


def without_log() -> dict[str, str]:
    return {**os.environ, "LOG": "", "PYTHONPATH": python_path()}


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return sock.makefile("rb").read()


@pytest.mark.slow
@pytest.mark.tools
def test_accounts_log_in_and_out_everywhere(tmp_path: Path) -> None:
    with (
        running("login", tmp_path) as server,
        chromium() as browser,
        quiet_page(browser, server.url, viewport={"width": 700, "height": 500}) as page,
        quiet_page(browser, server.url) as other,
    ):

        def fill(where: object, password: str, button: str) -> None:
            where.get_by_label("Name").fill("ada")  # type: ignore[attr-defined]
            where.get_by_label("Password").fill(password)  # type: ignore[attr-defined]
            where.get_by_role("button", name=button).click()  # type: ignore[attr-defined]

        for each in (page, other):
            each.goto("/")
        fill(page, "lovelace", "Make an account")
        assert page.get_by_role("heading").inner_text() == "Hello, ada"
        fill(other, "lovelace", "Log in")
        assert other.get_by_role("cell", name="elsewhere", exact=True).count() == 1
        picture(other, "login")
        page.reload()
        page.get_by_role("button", name="Log out elsewhere").click()
        assert page.get_by_role("cell", name="here", exact=True).count() == 1
        other.reload()
        assert other.get_by_role("heading").inner_text() == "Who are you?"
        picture(other, "login-form")
        page.get_by_role("button", name="Log out").click()
        assert page.get_by_role("heading").inner_text() == "Who are you?"


@pytest.mark.slow
@pytest.mark.tools
def test_a_wrong_password_is_told_with_the_name_kept(tmp_path: Path) -> None:
    with running("login", tmp_path) as server, chromium() as browser, browser.new_page() as page:
        page.goto(server.url)
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill("not at all")
        page.get_by_role("button", name="Log in").click()
        assert page.get_by_role("alert").inner_text() == "There is no account of that name and password."
        assert page.get_by_label("Name").input_value() == "ada"


def test_a_name_is_the_same_at_the_log_in_as_when_the_account_was_made(tmp_path: Path) -> None:
    with running("login", tmp_path) as server:
        visitor = Visitor()
        visitor.get(server.url)
        assert "Hello, ada<" in visitor.post(server.url + "signup", name=" ada ", password="lovelace")
        visitor.post(server.url + "logout")
        assert "Hello, ada<" in visitor.post(server.url + "login", name=" ada ", password="lovelace")


def test_a_name_that_nobody_can_read_makes_no_account(tmp_path: Path) -> None:
    with running("login", tmp_path) as server:
        visitor = Visitor()
        for name in ("a\0da", "ada\x1b[2J", "a\nda", "n" * 10_000, " "):
            visitor.get(server.url)
            assert "A name, and a password of" in visitor.post(server.url + "signup", name=name, password="lovelace")


# ---- the chat of lines


class Line:
    """One who talks."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.sock.makefile("rb")
        self.hello = self.hears()

    def hears(self) -> str:
        return self.file.readline().decode().removesuffix("\r\n")

    def says(self, text: str, end: str = "\r\n") -> None:
        self.sock.sendall((text + end).encode())

    def leaves(self) -> None:
        self.file.close()
        self.sock.close()


@pytest.fixture
def chat() -> Iterator[int]:
    """The port of a chat."""
    command = [sys.executable, "-u", str(APPS / "talk.py"), "0"]
    env = {**os.environ, "PYTHONPATH": python_path()}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    yield int(process.stdout.readline().partition("127.0.0.1:")[2].partition(" ")[0])
    process.terminate()
    process.wait(10)
    process.stdout.close()


def test_lines_go_to_all_the_others(chat: int) -> None:
    ada, bob = Line(chat), Line(chat)
    assert ada.hello == "You are guest 1. Type a line, /me NAME, /who or /quit."
    assert ada.hears() == "guest 2 comes in."
    ada.says("/me Ada")
    assert ada.hears() == bob.hears() == "guest 1 is Ada now."
    ada.says("one\ntwo\x1b[2J", "\n")
    assert [bob.hears(), bob.hears()] == ["Ada: one", "Ada: two[2J"]
    bob.says("")
    bob.says("/who")
    assert bob.hears() == "Ada, guest 2"
    bob.says("/quit")
    assert (bob.hears(), bob.hears(), ada.hears()) == ("Farewell.", "", "guest 2 has gone.")
    for each in (ada, bob):
        each.leaves()


def test_a_line_without_an_end_is_not_kept(chat: int) -> None:
    ada, bob = Line(chat), Line(chat)
    bob.says("x" * 5_000, "")
    assert ada.hears() == "guest 2 comes in."
    assert bob.hears() == "Farewell: a message of more than 1000 bytes."
    assert ada.hears() == "guest 2 has gone."
    for each in (ada, bob):
        each.leaves()


def test_who_takes_nothing_is_let_go(chat: int) -> None:
    ada, deaf = Line(chat), Line(chat)
    for _ in range(40):
        ada.says("\r\n".join(["y" * 900] * 200))
    heard = ""
    while heard != "guest 2 has gone.":
        heard = ada.hears()
    for each in (ada, deaf):
        each.leaves()
