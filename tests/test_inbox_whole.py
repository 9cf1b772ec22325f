"""From a form to its owner, by real programs: stored, sent on, read in a browser and at the command line."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import Request, Response, Router, text
from httpd.cli.building import build
from httpd.config.option import Wrong
from httpd.config.sources import read_sources

from .chromium import chromium, quiet_page
from .exchange import serving
from .live import LiveServer
from .test_auth import hashed
from .test_mail import Postbox, post_office
from .tools import python_path

pytestmark = pytest.mark.programs

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
OWNER = "Basic " + base64.b64encode(b"ann:open sesame").decode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "public").mkdir()
    (tmp_path / "public/index.html").write_text("<p>the site")
    (tmp_path / "users").write_text(f"ann:{hashed('open sesame')}\n")
    return tmp_path


@contextlib.contextmanager
def site(folder: Path, *options: str, **env: str) -> Iterator[LiveServer]:
    """A site with a form and the owner's page, in its folder."""
    all_options = ["--form", "/contact", "--auth", "/inbox=users", "--inbox-page", "/inbox", *options]
    path = {"PYTHONPATH": python_path(), "HTTPD_WEBHOOK_SECRET": SECRET, **env}
    with LiveServer("public", *all_options, cwd=folder, env=path) as server:
        yield server


def test_a_server_that_cannot_be_made_leaves_nothing_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HTTPD_WEBHOOK_SECRET", SECRET)
    options = ["public", "--form=/contact", "--webhook=https://example.org/", "--tls-cert=none.pem"]
    before = set(threading.enumerate())
    with pytest.raises(Wrong, match=r"cannot read none\.pem"):
        build(read_sources(options, {}).checked(), print)
    assert set(threading.enumerate()) <= before


def submit(server: LiveServer, message: str) -> str:
    """Send the form as a program does; the submission's id."""
    content = json.dumps({"name": "Ada", "email": "ada@example.com", "message": message}).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(server.url + "contact", content, headers), timeout=30) as answer:
        told = json.load(answer)
    return str(told["id"])


def forms(folder: Path, *argv: str) -> str:
    """What `httpd forms` says beside the server."""
    ran = subprocess.run(
        [sys.executable, "-m", "httpd", "forms", *argv],
        cwd=folder, env={**os.environ, "PYTHONPATH": python_path()}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


class Receiver:
    """Takes webhooks at /hook of a server of ours."""

    def __init__(self) -> None:
        self.site = Router()
        self.got: list[tuple[str, Any]] = []
        self.site.post("/hook")(self.hook)

    def hook(self, request: Request) -> Response:
        fields = request.headers
        signed = b".".join([fields["webhook-id"].encode(), fields["webhook-timestamp"].encode(), request.body])
        expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert fields["webhook-signature"] == f"v1,{expected}"
        self.got.append((fields["webhook-id"], request.json))
        return text("taken")


def wait_until(done: Any, patience: float = 40) -> None:
    end = time.monotonic() + patience
    while not done():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.02)


def test_a_submission_is_posted_and_mailed(folder: Path) -> None:
    receiver, box = Receiver(), Postbox()
    with serving(receiver.site) as there, post_office(box) as port:
        options = ["--webhook", f"{there.url}hook", "--mail-to", "ann@example.org", "--mail-from", "site@example.org"]
        with site(folder, *options, "--mail-server", f"smtp://127.0.0.1:{port}") as server:
            identity = submit(server, "Grüße")
            wait_until(lambda: receiver.got and box.mails)
            wait_until(lambda: "pending" not in forms(folder, "show", identity))
    [(_, told)] = receiver.got
    assert told["type"] == "form.submitted"
    assert told["data"]["id"] == identity
    assert told["data"]["fields"] == [["name", "Ada"], ["email", "ada@example.com"], ["message", "Grüße"]]
    [(_, envelope)] = box.mails
    assert b"Reply-To: ada@example.com" in envelope.content
    assert forms(folder, "show", identity).count("delivered at") == 2


def test_a_form_says_itself_where_to(folder: Path) -> None:
    mine, of_all = Receiver(), Receiver()
    with serving(mine.site) as here, serving(of_all.site) as there:
        (folder / "httpd.toml").write_text(f"""
            dir = "public"
            webhook = "{there.url}hook"
            [forms."/contact"]
            webhook = "{here.url}hook"
            [forms."/order"]
        """)
        env = {"PYTHONPATH": python_path(), "HTTPD_WEBHOOK_SECRET": SECRET}
        with LiveServer(None, cwd=folder, env=env) as server:
            submit(server, "one")
            wait_until(lambda: mine.got)
        assert of_all.got == []


def test_killed_before_it_could_be_sent_it_is_sent_by_the_next(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    options = ["--webhook", f"http://127.0.0.1:{port}/hook"]
    with site(folder, *options) as server:
        identity = submit(server, "not lost")
        wait_until(lambda: "retrying" in forms(folder, "deliveries"))
        server.stop(signal.SIGKILL)
    [line] = forms(folder, "deliveries").splitlines()
    assert line.endswith(f"webhook http://127.0.0.1:{port}: Connection refused")
    assert "/hook" not in line + server.log
    forms(folder, "retry", identity)
    receiver = Receiver()
    with serving(receiver.site, port=port), site(folder, *options):
        wait_until(lambda: receiver.got)
        wait_until(lambda: not forms(folder, "deliveries"))
    [(delivery, told)] = receiver.got
    assert told["data"]["id"] == identity
    assert delivery in line


def test_the_page_is_for_its_owner(folder: Path) -> None:
    with site(folder) as server:
        identity = submit(server, "for ann alone")

        def asked(path: str, **headers: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(urllib.request.Request(server.url + path, headers=headers)) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        for path in (
            "inbox/",
            "inbox",
            "INBOX/",
            f"inbox/submission/{identity}",
            "inbox/export.csv",
            "inbox//export.csv",
        ):
            status, content = asked(path)
            assert (status, "for ann alone" in content) == (401, False), path
        status, content = asked("inbox/", Authorization=OWNER)
        assert (status, "for ann alone" in content) == (200, True)
        assert asked("inbox/mark", Authorization=OWNER)[0] == 405
        data = urllib.parse.urlencode({"id": identity, "as": "read"}).encode()
        request = urllib.request.Request(server.url + "inbox/mark", data, {"Authorization": OWNER})
        with urllib.request.urlopen(request) as answer:
            assert "0 unread" in answer.read().decode()


@pytest.mark.parametrize(
    ("options", "env", "said"),
    [
        (["--inbox-page", "/inbox"], {}, "--inbox-page /inbox would be there for everybody; ask for a password with "
                                         "--auth /inbox=FILE"),
        (["--inbox-page", "/inbox", "--auth", "/other=users"], {}, "would be there for everybody"),
        (["--webhook", "https://a.example/"], {}, "to be signed with; set HTTPD_WEBHOOK_SECRET"),
        (["--webhook", "https://a.example/"], {"HTTPD_WEBHOOK_SECRET": "hunter2"}, "a webhook's secret is whsec_"),
        (["--webhook", "a.example"], {}, "--webhook: 'a.example' is not a URL of http or https"),
        (["--mail-to", "me@example.org"], {}, "mail is from somebody; say whom with --mail-from"),
        (["--mail-to", "me"], {}, "--mail-to: 'me' is not a mail address"),
        (["--mail-from", "me"], {}, "--mail-from: 'me' is not a mail address"),
        (["--mail-from", "a@b", "--mail-server", "x"], {}, "--mail-server: the mail server is smtp://HOST or smtps"),
        (["--mail-from", "a@b"], {"HTTPD_MAIL_USER": "me"}, "--mail-server: a password is not sent unencrypted"),
    ],
)  # fmt: skip
def test_each_mistake_is_a_sentence(folder: Path, options: list[str], env: dict[str, str], said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "httpd", "public", "--port", "0", "--form", "/contact", *options],
        cwd=folder, env={**os.environ, "PYTHONPATH": python_path(), **env}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode in (1, 2)
    assert said in ran.stderr
    assert "hunter2" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.tools
@pytest.mark.slow
def test_in_a_browser(folder: Path) -> None:
    """Fill the form in, and find what was written where its owner looks, on a desk and in a hand."""
    with site(folder) as server, chromium() as browser:
        with quiet_page(browser, server.url) as page:
            page.goto("/contact")
            page.fill("[name=name]", "Ada <b>Löwe</b>")
            page.fill("[name=email]", "ada@example.com")
            page.fill("[name=message]", "one\ntwo")
            page.click("button")
            page.wait_for_url("**/contact/sent")
        credentials = {"username": "ann", "password": "open sesame"}
        for options in ({"color_scheme": "light"}, {"color_scheme": "dark", "viewport": {"width": 375, "height": 700}}):
            with quiet_page(browser, server.url, http_credentials=credentials, **options) as page:
                page.goto("/inbox/")
                assert page.locator(".unread").count() == 1
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                page.click("text=Ada <b>Löwe</b>")
                assert page.locator("dd").nth(2).inner_text() == "one\ntwo"
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                page.click("text=Mark as read")
                page.click("text=Mark as unread")
                page.click("text=Inbox")
                page.check("[name=id]")
                page.click("text=Mark as read")
                assert page.locator(".unread").count() == 0
                with page.expect_download() as download:
                    page.click("text=table (CSV)")
                assert "Ada <b>Löwe</b>" in Path(download.value.path()).read_text(encoding="utf-8")
                page.check("[name=id]")
                page.click("text=Mark as unread")
                assert page.locator(".unread").count() == 1
    assert "Ada <b>Löwe</b>" in forms(folder, "export")
