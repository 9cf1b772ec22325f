"""Every line of the README that a reader may type, tried in a folder where what it names is there.

What would serve is checked by `httpd check`, which takes the same options and looks at all that they name: ports such
as 80 and addresses such as 192.0.2.7 are not to be had here.  The other commands are run.
"""

from __future__ import annotations

import functools
import getpass
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from httpd import StaticFiles
from httpd.cli import main
from httpd.cli.commands import COMMANDS
from httpd.inbox.opening import open_inbox
from httpd.site.header_rules import parse_headers
from httpd.site.redirects import parse_redirects

from .exchange import Exchange, get
from .live import LiveServer
from .test_forms_command import put
from .tools import TOP, needs, needs_module

README = (TOP / "README.md").read_text(encoding="utf-8")
_CODE = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
_BLOCKS = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", _CODE, re.MULTILINE)
_LINES = [line.removeprefix("    ") for block in _BLOCKS for line in block.splitlines() if line]

# A trace of its own for whoever asks for a FILE of that kind.
_TRACE = TOP / "tests" / "traces" / "get.ndjson"
_READERS = ("show", "replay", "trace")


def _typed(line: str) -> str:
    """A line of code without the words beside it."""
    return re.split(r"  +", line)[0].partition(" > ")[0]


def _commands() -> list[str]:
    """What stands after `httpd`, in lines of code and in running text; `httpd forms` is only the name of a command."""
    lines = [_typed(line).removeprefix("sudo ") for line in _LINES if not line.startswith("httpd.toml:")]
    lines += re.findall(r"`(httpd [^`]+)`", README)
    return sorted({line.removeprefix("httpd").strip() for line in lines if line.startswith("httpd")} - {"forms"})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the README is about."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPD_WEBHOOK_SECRET", "whsec_" + "a" * 40)
    for folder in ("DIR", "public", "others"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "index.html").write_text("<title>a page</title>" * 99)
    (tmp_path / "examples").symlink_to(TOP / "examples")
    return tmp_path


@functools.cache
def _passwords() -> bytes:
    needs_module("bcrypt")
    import bcrypt

    return b"alice:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(4)) + b"\n"


def _lay_out(words: list[str]) -> None:
    """The files that the command names, in the current folder."""
    for name in {"users", "owners"} & {word.rpartition("=")[2] for word in words}:
        Path(name).write_bytes(_passwords())
    content = b'dir = "DIR"\n'
    if "--tls-cert" in words:
        from .authority import Authority

        content = b"".join(Authority(Path()).pem("www.example.org"))
    elif words[0] in _READERS:
        content = _TRACE.read_bytes()
    for name in {"FILE", "A", "B"} & {*words}:
        Path(name).write_bytes(content)


def _here(command: str) -> list[str]:
    """The words of a command, with places and names of this machine for those of a reader's."""
    who_may_less = getpass.getuser() if os.geteuid() else "nobody"
    ours = {"/srv/www": "DIR", "www-data": who_may_less}
    return [ours.get(word, word) for word in shlex.split(command)]


def _is_of_its_own(command: str) -> bool:
    return command.partition(" ")[0] in COMMANDS


_OF_THEIR_OWN = [command for command in _commands() if _is_of_its_own(command)]
_SERVING = [command for command in _OF_THEIR_OWN if command.partition(" ")[0] in ("docs", "tour")]


@pytest.mark.parametrize("command", [command for command in _commands() if not _is_of_its_own(command)])
def test_what_serves_is_right(command: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = _here(command)
    _lay_out([*words, ""])
    if words == ["--help"]:
        with pytest.raises(SystemExit, match="0"):
            main(words)
        return
    assert main(["check", *words]) == 0
    assert capsys.readouterr().out in ("httpd check: the settings are right\n", "httpd check: FILE is right\n")


@pytest.mark.programs
@pytest.mark.parametrize("command", _SERVING)
def test_those_that_serve_do_so(command: str, place: Path) -> None:
    if command.startswith("docs"):
        needs_module("pdoc")
    started = [sys.executable, "-m", "httpd", *(word for word in shlex.split(command) if word != "--open")]
    with LiveServer(None, command=started, cwd=place, env={"PYTHONPATH": str(TOP)}) as server:
        assert server.stop() == 0


@pytest.mark.programs
@pytest.mark.parametrize("command", [command for command in _OF_THEIR_OWN if command not in _SERVING])
def test_the_other_commands_do_their_work(command: str, place: Path) -> None:
    words = _here(command)
    _lay_out(words)
    database = open_inbox("sqlite:.inbox.db")
    ident = put(database, ("name", "Ada"), ("message", "hello"))
    database.close()
    more = ["--yes"] if "delete" in words else []
    try:
        assert main([*(ident if word == "ID" else word for word in words), *more]) == 0
    except SystemExit as left:
        assert words[-1] == "--help"
        assert not left.code


def test_the_mistakes_are_told_as_it_says(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in _BLOCKS if "$ httpd check" in block)
    shown = [line.strip() for line in block.splitlines()][1:]
    Path("httpd.toml").write_text('dir = "DIR"\n\nprot = 8080\n\n\n\n\n[limits]\nbody = "ten"\n')
    assert main(["check"]) == 1
    assert capsys.readouterr().out.splitlines() == [line for line in shown if line]


def test_the_rules_of_a_folder(place: Path) -> None:
    (block,) = (block for block in _BLOCKS if "# _redirects:" in block)
    lines = "\n".join(line.removeprefix("    ") for line in block.splitlines())
    redirects, _, headers = lines.partition("# _headers\n")
    assert not parse_redirects(redirects)[1]
    assert not parse_headers(headers)[1]
    (place / "DIR" / "_redirects").write_text(redirects)
    (place / "DIR" / "_headers").write_text(headers)
    requests = [get("/old.html"), get("/blog/2020/a/b"), get("/store?id=7"), get("/index.html")]
    old, blog, store, page = Exchange(requests, StaticFiles(place / "DIR")).answers()
    assert (old.status, old["location"]) == (301, "/new.html")
    assert (blog.status, blog["location"]) == (302, "/posts/2020/a/b")
    assert store["location"] == "/products/7"
    assert (page["x-frame-options"], page["x-content-type-options"]) == ("DENY", "")


@pytest.mark.tools
def test_what_curl_is_given() -> None:
    needs("curl")
    (line,) = (line for line in _LINES if line.startswith("curl "))
    with LiveServer(TOP / "examples" / "site") as server:
        answer = subprocess.run(
            ["bash", "-c", line.replace("http://127.0.0.1:8000/", server.url)], capture_output=True, check=True
        )
    told = re.search(r"gives an object with (.*?) these are", README, re.DOTALL)
    assert told
    assert json.loads(answer.stdout).keys() == {*re.findall(r"`(\w+)`", told[1])}


@pytest.mark.tools
def test_the_file_of_passwords(place: Path) -> None:
    """As at a terminal, but that the password comes from a pipe (-i)."""
    needs("htpasswd")
    (line,) = (line for line in _LINES if line.startswith("htpasswd "))
    subprocess.run(
        [
            *shlex.split(line.replace("htpasswd", "htpasswd -i")),
        ],
        input=b"open sesame\n",
        check=True,
    )
    assert main(["check", "--auth", "users", "DIR"]) == 0


@pytest.mark.tools
def test_the_secret_of_webhooks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("openssl")
    (line,) = (line for line in _LINES if line.startswith("export "))
    said = subprocess.run(
        ["bash", "-c", f"{line}; echo -n $HTTPD_WEBHOOK_SECRET"], capture_output=True, text=True, check=True
    )
    monkeypatch.setenv("HTTPD_WEBHOOK_SECRET", said.stdout)
    assert main(["check", "--form", "/contact", "--webhook", "https://example.org/hook", "DIR"]) == 0


_PYTHON = [_typed(line) for line in _LINES if line.startswith(("python", "PYTHONPATH="))]
_PYTHON += re.findall(r"`(python3? [^`]+)`", README)


@pytest.mark.parametrize("command", sorted({*_PYTHON}))
def test_what_python_is_given_is_there(command: str) -> None:
    """The modules and examples have their own tests; the two commands are run by CI and tests/test_first_minutes.py."""
    words = [word for word in shlex.split(command) if word != "-S" and not word.startswith("PYTHONPATH=")]
    if words[1] == "-m":
        assert words[2] == "pip" or importlib.util.find_spec(words[2])
    else:
        assert (TOP / words[1]).is_file()
    assert [word for word in words if word.startswith("tests/") and not (TOP / word).is_file()] == []


def test_no_line_is_left_out() -> None:
    """A new kind of line needs its test here; tests/test_packages.py has those of pip."""
    tried = (
        "httpd",
        "sudo httpd",
        "$ httpd",
        "python",
        "PYTHONPATH=",
        "CI=true bash .ci/run",
        "bash .ci/coverage",
        "pip install",
        "curl ",
        "htpasswd ",
        "export ",
    )
    rules = next(block for block in _BLOCKS if "# _redirects:" in block)
    left = [line for line in _LINES if not line.startswith(tried) and line not in rules]
    assert [_typed(line) for line in left] == ["kill -HUP PID"]
