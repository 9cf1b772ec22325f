"""`httpd docs`: every public name has its place in the reference, says what it is, and no link leads nowhere."""

from __future__ import annotations

import builtins
import http.client
import importlib
import inspect
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

from httpd import cli
from httpd.cli.docs import PUBLIC, render
from httpd.net.tls import TlsSocket

from .live import LiveServer
from .tools import TOP, needs_module


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference, made once."""
    needs_module("pdoc")
    folder = tmp_path_factory.mktemp("docs")
    assert render(folder) == list(PUBLIC), "the tests have every package that a module needs"
    return folder


class Page(HTMLParser):
    """What a page of the reference leads to, what can be led to in it, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.names.add(named.get("id") or "")
        if tag == "a" and named.get("href"):
            self.links.append(str(named["href"]))
        elif tag in ("script", "img", "link", "iframe") and (source := named.get("src") or named.get("href")):
            self.loads.append(source)


def page_of(pages: Path, module: str) -> Page:
    return Page((pages / (module.replace(".", "/") + ".html")).read_text(encoding="utf-8"))


# ---- what is public, and what it says


def public_names(module: str) -> list[str]:
    found = importlib.import_module(module)
    return [name for name in found.__all__ if not inspect.ismodule(getattr(found, name))]


def members(thing: Any) -> Iterator[tuple[str, Any]]:
    """The methods and properties that a class has of its own, as a reader of its page sees them."""
    if inspect.isclass(thing):
        for name, member in vars(thing).items():
            if isinstance(member, (staticmethod, classmethod)):
                member = member.__func__
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                yield name, member


EVERY_NAME = [(module, name) for module in PUBLIC for name in public_names(module)]


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_every_public_name_says_what_it_is(module: str, name: str) -> None:
    thing = getattr(importlib.import_module(module), name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing), "it says nothing"
    silent = [method for method, member in members(thing) if not (inspect.getdoc(member) or _said(thing, method))]
    assert silent == []


def _said(thing: Any, name: str) -> str | None:
    """What is said elsewhere of a method: by a class that it is derived from, by the module of all that are alike, or
    by the socket that it stands for.
    """
    for base in (*thing.__mro__[1:], *([socket.socket] if thing is TlsSocket else [])):
        if doc := inspect.getdoc(getattr(base, name, None)):
            return doc
    module = inspect.getmodule(thing).__doc__ or ""  # type: ignore[union-attr]
    return module if f"{name}(" in module else None


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_what_a_function_raises_is_said(module: str, name: str) -> None:
    """An exception that a public function raises itself, by name, stands in its docstring, or in its class's."""
    thing = getattr(importlib.import_module(module), name)
    told = inspect.getdoc(thing) or ""
    functions = [("", thing)] if inspect.isfunction(thing) else [*members(thing)]
    missing = []
    for method, function in functions:
        function = function.fget if isinstance(function, property) else function
        raised = set(re.findall(r"^ +raise ([A-Z]\w+)", inspect.getsource(function), re.MULTILINE))
        doc = told + (inspect.getdoc(function) or _said(thing, method) or "")
        missing += [f"{method or name}: {error}" for error in raised - {"NotImplementedError"} if not _told(error, doc)]
    assert missing == []


def _told(error: str, doc: str) -> bool:
    """Whether an exception is named, by itself or as one of its kind."""
    kinds = getattr(builtins, error, Exception).__mro__
    return any(name in doc for name in [error, *(kind.__name__ for kind in kinds if issubclass(kind, OSError))])


# ---- where it stands


@pytest.mark.programs
@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_its_place(pages: Path, module: str) -> None:
    names = page_of(pages, module).names
    found = importlib.import_module(module)
    wanted = {name for name in public_names(module) if getattr(getattr(found, name), "__doc__", None)}
    wanted |= {f"{name}.{method}" for name in wanted for method, _ in members(getattr(found, name))}
    assert wanted - names == set()


@pytest.mark.programs
def test_no_link_leads_nowhere_and_nothing_comes_from_elsewhere(pages: Path) -> None:
    parsed = {str(path.relative_to(pages)): Page(path.read_text("utf-8")) for path in pages.rglob("*.html")}
    assert len(parsed) == len(PUBLIC) + 1
    dead, elsewhere = [], []
    for name, page in parsed.items():
        elsewhere += [source for source in page.loads if not source.startswith("data:") and "//" in source]
        for link in page.links:
            if urlsplit(link).scheme:
                continue
            path, fragment = urldefrag(urljoin(name, link))
            target = parsed.get(unquote(path))
            if target is None or (fragment and unquote(fragment) not in target.names):
                dead.append(f"{name}: {link}")
    assert (dead, elsewhere) == ([], [])


# ---- the command


@pytest.mark.programs
def test_it_is_served(tmp_path: Path) -> None:
    needs_module("pdoc")
    command = [sys.executable, "-m", "httpd", "docs"]
    with LiveServer(None, command=command, cwd=tmp_path, env={"PYTHONPATH": str(TOP)}) as live:
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=10)
        for path in ("/", "/httpd.html", "/httpd/net/asynchat.html", "/search.js"):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True), path
        connection.close()
        assert live.stop() == 0


@pytest.mark.programs
def test_it_is_written_into_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    needs_module("pdoc")
    assert cli.main(["docs", "--output", str(tmp_path / "made")]) == 0
    assert (tmp_path / "made" / "index.html").exists()
    assert capfd.readouterr().out == f"the first page is {tmp_path / 'made' / 'index.html'}\n"


def test_where_it_cannot_be_written_that_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    needs_module("pdoc")
    (tmp_path / "file").touch()
    assert cli.main(["docs", "--output", str(tmp_path / "file")]) == 1
    said = capfd.readouterr().err
    assert re.fullmatch(r"httpd: cannot write into .*/file: .*; name another folder with --output\n", said)


@pytest.mark.programs
def test_without_its_package_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['pdoc'] = None; from httpd.cli import main; sys.exit(main(['docs']))"
    done = subprocess.run([sys.executable, "-c", program], cwd=TOP, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, "httpd: httpd docs needs the package pdoc: pip install pdoc\n")


@pytest.mark.parametrize("words", [["--bind", "::"], ["somewhere"], ["--gzip"]])
def test_what_it_has_no_use_for_is_refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["docs", *words])
    assert left.value.code == 2
    assert "httpd docs has no use for" in capfd.readouterr().err
