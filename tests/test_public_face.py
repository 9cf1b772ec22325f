"""The names that a program imports, and the program that shows them: it runs as it stands."""

from __future__ import annotations

import http.client
import subprocess
import sys
import types
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

import httpd
from httpd import asynchat, asyncore

from .live import LiveServer
from .tools import TOP

# `save` is the program's own.
EXAMPLE = """\
from httpd import Router, Server, StaticFiles, Templates, redirect
site = Router()
templates = Templates("templates")
@site.get("/hello/{name}")
def hello(request, name): return templates.response("hello.html", name=name)
@site.post("/guestbook")
def sign(request): save(request.form["message"]); return redirect("/thanks")
site.mount("/", StaticFiles("public"))
Server(site, port=8000).run()
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the program in it, on a port of our own, and what it needs."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.html").write_text("<p>Hello {{ name }}")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("the front page")
    (tmp_path / "public" / "thanks").write_text("thank you")
    save = 'def save(message):\n    with open("saved", "a") as book: book.write(message + "\\n")\n'
    (tmp_path / "program.py").write_text(save + EXAMPLE.replace("port=8000", "port=0"))
    return tmp_path


@pytest.mark.programs
def test_the_example_runs_as_it_stands(program: Path) -> None:
    command = [sys.executable, "program.py"]
    with LiveServer("", command=command, cwd=program, env={"PYTHONPATH": str(TOP)}) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

        def ask(method: str, path: str, content: str | None = None) -> tuple[int, str, str]:
            fields = {"Content-Type": "application/x-www-form-urlencoded"} if content else {}
            connection.request(method, path, content, fields)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers.get("Location", "")

        assert ask("GET", "/hello/you%20%26%20me") == (200, "<p>Hello you &amp; me", "")
        assert ask("POST", "/guestbook", urllib.parse.urlencode({"message": "üm + &"})) == (303, "", "/thanks")
        assert ask("GET", "/thanks") == (200, "thank you", "")
        assert ask("GET", "/") == (200, "the front page", "")
        assert ask("POST", "/guestbook", "other=1")[0] == 400
        assert ask("GET", "/guestbook")[0] == 405
        assert ask("GET", "/absent")[0] == 404
        connection.close()
        assert server.stop() == 0
    assert (program / "saved").read_text(encoding="utf-8") == "üm + &\n"
    assert "Traceback" not in server.log


def test_every_name_that_is_promised_is_there() -> None:
    assert [name for name in httpd.__all__ if not hasattr(httpd, name)] == []
    assert len(set(httpd.__all__)) == len(httpd.__all__)


@pytest.mark.parametrize("name", sorted(httpd.__all__))
def test_every_public_name_says_what_it_is(name: str) -> None:
    thing = getattr(httpd, name)
    assert thing.__doc__
    assert len(thing.__doc__) > 20


def test_a_star_import_gives_them_and_nothing_else() -> None:
    names: dict[str, object] = {}
    exec("from httpd import *", names)
    assert set(names) - {"__builtins__"} == set(httpd.__all__)


@pytest.mark.programs
@pytest.mark.parametrize("name", ["Server", "net", "__all__", "nobody"])
def test_the_first_name_that_is_asked_for_may_be_any(name: str) -> None:
    """The names are read when the first is asked for; rooms that they have opened are there, too."""
    script = f"import sys, httpd; before = 'httpd.server' in sys.modules; print(before, hasattr(httpd, {name!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=TOP, timeout=20)
    assert (done.stdout, done.stderr) == (f"False {name != 'nobody'}\n", "")


def test_the_two_old_modules_stand_in_for_those_that_left() -> None:
    assert isinstance(asyncore, types.ModuleType)
    assert isinstance(asynchat, types.ModuleType)
    assert issubclass(httpd.http_request_handler, asynchat.async_chat)
    assert issubclass(asynchat.async_chat, asyncore.dispatcher)


def test_the_package_is_typed_and_has_a_version() -> None:
    assert (Path(httpd.__file__).parent / "py.typed").exists()
    assert [part.isdecimal() for part in httpd.__version__.split(".")] == [True] * 3


@pytest.mark.programs
def test_importing_it_does_nothing_but_import() -> None:
    script = "import threading, sys, httpd; print(threading.active_count(), 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=TOP, timeout=20)
    assert (done.stdout, done.stderr) == ("1 False\n", "")
