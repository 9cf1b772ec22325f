"""Forms over real sockets: by the command, by httpd.toml, from several processes at once."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import stat
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from httpd.cli import main
from httpd.inbox.opening import open_inbox
from httpd.inbox.submissions import Submission, Wanted, page

from .live import LiveServer
from .tools import TOP, needs

GOOD = {"name": "Ann", "email": "ann@example.org", "message": "Hello"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a site in it."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("the site")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HTTPD_FORM_KEY", raising=False)
    return tmp_path


def served(folder: str | None, *options: str) -> LiveServer:
    return LiveServer(folder, *options, cwd=os.curdir, env={"PYTHONPATH": str(TOP)})


def stored(url: str = "sqlite:.inbox.db") -> list[Submission]:
    with contextlib.closing(open_inbox(url, create=False)) as database:
        return database.read(lambda transaction: page(transaction, Wanted(), limit=1_000))[::-1]


def send(server: LiveServer, values: dict[str, str], path: str = "/contact", **fields: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(
            "POST", path, urlencode(values), {"Content-Type": "application/x-www-form-urlencoded", **fields}
        )
        answer = connection.getresponse()
        answer.read()
        return answer


def load(server: LiveServer, path: str) -> Any:
    request = urllib.request.Request(server.url + path, headers={"Accept": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What the command says, which does not start."""
    try:
        assert main([*argv, "--port", "0"]) == 1
    except SystemExit as exit_:
        assert exit_.code == 2
    return capsys.readouterr().err


@pytest.mark.programs
def test_an_option_is_enough(folder: Path) -> None:
    with served("site", "--form", "/contact") as server:
        assert send(server, GOOD).status == 303
        assert server.wait_for("what comes in by the forms is shown by httpd forms list")
        with urllib.request.urlopen(server.url) as answer:
            assert answer.read() == b"the site"
        for name in (".inbox.db", ".inbox.db-wal", "../.inbox.db"):
            with pytest.raises(urllib.error.HTTPError) as why:
                urllib.request.urlopen(server.url + name)
            why.value.close()
            assert why.value.code == 404
    assert [submission.fields for submission in stored()] == [list(GOOD.items())]
    assert stat.S_IMODE((folder / ".inbox.db").stat().st_mode) == 0o600
    assert stored()[0].address == "127.0.0.1"


@pytest.mark.programs
def test_httpd_toml_says_more(folder: Path) -> None:
    (folder / "httpd.toml").write_text(
        """
        dir = "site"
        inbox = "sqlite:kept.db"

        [forms."/ask"]
        thanks = "/index.html"
        token = true

        [forms."/ask".fields]
        question = { required = true, message = "What is it?" }
        """
    )
    with served(None, "--form", "/contact") as server:
        assert load(server, "contact")["title"] == "Contact"
        assert [field["name"] for field in load(server, "ask")["fields"]] == ["question"]
        assert send(server, {"question": "Why?"}, "/ask").status == 403, "there is no token"
        assert send(server, GOOD).status == 303
    assert [submission.form for submission in stored("sqlite:kept.db")] == ["/contact"]
    key = folder / "kept.db.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with served(None) as server:
        assert load(server, "ask")["_token"].count("~") == 1
    assert key.read_bytes() == before


@pytest.mark.programs
def test_two_processes_store_one_submission_once(folder: Path) -> None:
    with served("site", "--form", "/contact") as one, served("site", "--form", "/contact") as two:
        token = load(one, "contact")["_token"]
        begin = threading.Barrier(6)
        answers: list[int] = []

        def person(server: LiveServer) -> None:
            begin.wait()
            answers.append(send(server, {**GOOD, "_token": token}, Accept="application/json").status)

        threads = [threading.Thread(target=person, args=(server,)) for server in (one, two) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [201] * 6
    assert len(stored()) == 1


@pytest.mark.tools
def test_what_waits_together_is_stored_together(folder: Path) -> None:
    """Sixty-four people at once need neither as many threads nor as many syncs."""
    calls = folder / "calls"
    strace = [needs("strace"), "-D", "-f", "-o", str(calls), "-e", "trace=fdatasync,fsync,clone,clone3"]
    # A disk that takes its time: on one that does not, hardly two wait together.
    strace += ["-e", "inject=fdatasync,fsync:delay_enter=10000"]
    (folder / "httpd.toml").write_text('dir = "site"\n[forms."/contact"]\nrate = false\n')
    body = urlencode(GOOD)
    request = (
        "POST /contact HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
    command = [*strace, sys.executable, "-m", "httpd"]
    live = LiveServer(None, command=command, cwd=os.curdir, env={"PYTHONPATH": str(TOP)})
    with live as server, contextlib.ExitStack() as opened:
        address = "127.0.0.1", server.port
        sockets = [opened.enter_context(socket.create_connection(address, 30)) for _ in range(64)]
        before = calls.read_text()
        for sock in sockets:
            sock.sendall(request)
        assert {sock.recv(12) for sock in sockets} == {b"HTTP/1.0 303"}
        meanwhile = calls.read_text().removeprefix(before)
    assert len({submission.id for submission in stored()}) == 64
    assert 0 < len(re.findall(r"f(?:data)?sync(?:\(\d+\)| resumed>\)) += 0", meanwhile)) < 32
    assert meanwhile.count("clone") < 4


def test_a_database_that_would_be_served_is_refused(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    for url in ("sqlite:site/inbox.db", f"sqlite:{folder}/site/sub/../inbox.db"):
        assert "is in site, which is served: anyone could read it" in refused(
            capsys, "site", "--form", "/contact", "--inbox", url
        )
    assert "is in ., which is served" in refused(capsys, "--form", "/contact", "--inbox", "sqlite:inbox.db")
    assert not (folder / "site" / "inbox.db").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--form", "contact"], 'the path of a form begins with "/"'),
        (["--form", "/contact/sent"], "GET /contact/sent has a handler already: give each form"),
        (["--inbox", "sqlite:nowhere/inbox.db"], "nowhere/inbox.db: the file cannot be made: No such"),
        (["--inbox", "mysql://x"], "--inbox: 'mysql' is no store: that is sqlite:PATH or postgresql://USER@HOST/NAME"),
        (["--inbox", "sqlite:other.db"], "sqlite:other.db: this file is no SQLite database; see --inbox"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], folder: Path, options: list[str], says: str
) -> None:
    (folder / "other.db").write_text("something else, which is long enough to be one" * 20)
    told = refused(capsys, "site", "--form", "/contact", *options)
    assert says in told
    assert told.count("\n") == 1


def test_a_key_that_is_wrong_is_told_with_its_line(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "httpd.toml").write_text('dir = "site"\n\n[forms."/a".fields]\nname = { requird = true }\n')
    told = refused(capsys)
    assert 'httpd.toml:4:10: forms."/a".fields.name.requird: there is no such key; did you mean required?' in told
    assert "httpd.toml:" not in refused(capsys, "--form", "x", "--config=")


def test_every_form_that_is_wrong_is_told_before_the_server_is_started(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    settings = 'dir = "site"\ninbox = "sqlite:site/x.db"\n[forms."/a"]\nrat = 1\n[forms."/b"]\npage = "x"\n'
    (folder / "httpd.toml").write_text(settings)
    assert main(["check"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in told] == ["httpd.toml:4:1", "httpd.toml:6:1", "httpd.toml:2:1"]
    assert 'forms."/a".rat: there is no such key; did you mean rate?' in told[0]


def test_machines_that_share_an_inbox_share_a_key(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = 'dir = "site"\ninbox = "postgresql://nobody@localhost/x"\nforms."/a".token = true'
    (folder / "httpd.toml").write_text(settings)
    assert "set HTTPD_FORM_KEY to a secret on each of them" in refused(capsys)
    monkeypatch.setenv("HTTPD_FORM_KEY", "short")
    assert "HTTPD_FORM_KEY is a secret of 32 characters or more; this one has 5" in refused(capsys)


def test_a_key_of_ours_that_is_none_is_told(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "httpd.toml").write_text('dir = "site"\nforms."/a".token = true')
    (folder / ".inbox.db.key").write_text("short\n")
    assert "there is no key in .inbox.db.key; remove it, and another is made" in refused(capsys)


def test_a_key_that_cannot_be_kept_is_told(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "httpd.toml").write_text('dir = "site"\nforms."/a".token = true')
    (folder / ".inbox.db.key").mkdir()
    assert "cannot keep the key of the forms in .inbox.db.key: Is a directory" in refused(capsys)
