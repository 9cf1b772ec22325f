"""What site generators make, served and read in a browser: every page, every link on it, and its search.

Each builds a small site of its own, with its theme as it comes; only what it would fetch from elsewhere is off.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urldefrag

import pytest

from httpd.cli import main

from .chromium import quiet_page
from .live import LiveServer
from .tools import needs_module

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.tools, pytest.mark.slow]

FLAG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="#036"/></svg>'

MKDOCS = {
    "mkdocs.yml": "site_name: Harbour\ntheme:\n  name: material\n  font: false\n"
    "  features: [navigation.instant, search.suggest, content.code.copy]\nplugins: [search]\n",
    "docs/index.md": "# Home\n\n![flag](flag.svg) [tides](tides.md) [moorings](grüße/a%20b.md#bollard)\n",
    "docs/tides.md": "# Tides\n\nSpring and neap.\n\n```python\nprint('ebb')\n```\n",
    "docs/grüße/a b.md": "# Moorings\n\n## Bollard\n\nOf cast iron. [home](../index.md)\n",
    "docs/flag.svg": FLAG,
}
SPHINX = {
    "conf.py": "project = 'Harbour'\nhtml_favicon = 'flag.svg'\nextensions = ['sphinx.ext.viewcode']\n",
    "index.rst": "Home\n====\n\n.. image:: flag.svg\n\n.. toctree::\n\n   tides\n   grüße/a b\n",
    "tides.rst": "Tides\n=====\n\nSpring and neap.\n\n.. code-block:: python\n\n   print('ebb')\n",
    "grüße/a b.rst": "Moorings\n========\n\nBollard\n-------\n\nOf cast iron. :doc:`/index`\n",
    "flag.svg": FLAG,
}

LINKS = "() => [...document.querySelectorAll('[href], [src]')].map(it => it.href || it.src)"


def build(folder: Path, sources: dict[str, str], module: str, *arguments: str) -> Path:
    """The site that a generator makes of these sources."""
    needs_module(module)
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    made = subprocess.run([sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def mkdocs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    needs_module("material")
    with LiveServer(build(tmp_path_factory.mktemp("mkdocs"), MKDOCS, "mkdocs", "build", "--quiet")) as server:
        yield server


@pytest.fixture(scope="module")
def sphinx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    site = build(tmp_path_factory.mktemp("sphinx"), SPHINX, "sphinx", "-q", "-W", ".", "site")
    assert main(["compress", str(site)]) == 0
    with LiveServer(site) as server:
        yield server


def crawl(page: Page, start: str) -> dict[str, int]:
    """The status of every address below `start` that some page links to, the pages read in the browser.

    A redirect is one, too: a site that needs them has links that are not right.
    """
    found: dict[str, int] = {}
    todo = [start]
    while todo:
        address = todo.pop()
        if address in found or not address.startswith(start):
            continue
        answer = page.request.get(address, max_redirects=0)
        found[address] = answer.status
        if answer.headers.get("content-type", "").startswith("text/html"):
            page.goto(address, wait_until="networkidle")
            todo += [urldefrag(link).url for link in page.evaluate(LINKS)]
    return found


def test_a_site_of_mkdocs(browser: Browser, mkdocs: LiveServer) -> None:
    with quiet_page(browser, mkdocs.url) as page:
        found = crawl(page, mkdocs.url)
        assert set(found.values()) == {200}
        assert {"", "tides/", "gr%C3%BC%C3%9Fe/a%20b/", "flag.svg"} <= {link.removeprefix(mkdocs.url) for link in found}
        # Its script listens for what is typed only after a while.
        page.goto("/", wait_until="networkidle")
        page.locator("[data-md-component=search-query]").press_sequentially("bollard")
        page.click(".md-search-result__link >> nth=0")
        page.wait_for_url("**/a%20b/**")
        assert "Of cast iron" in page.inner_text("article")
    nothing_missed(mkdocs)


def test_a_site_of_sphinx(browser: Browser, sphinx: LiveServer) -> None:
    """Sent in encoded forms, which the browser decodes."""
    with quiet_page(browser, sphinx.url) as page:
        found = crawl(page, sphinx.url)
        assert set(found.values()) == {200}
        wanted = {"", "tides.html", "gr%C3%BC%C3%9Fe/a%20b.html", "genindex.html", "_static/flag.svg"}
        assert wanted <= {link.removeprefix(sphinx.url) for link in found}
        answer = page.goto("/search.html?q=bollard")
        assert answer
        assert answer.headers["content-encoding"] in ("br", "zstd", "gzip")
        page.click("#search-results li a >> nth=0")
        page.wait_for_url("**/a%20b.html**")
        assert "Of cast iron" in page.inner_text("[role=main]")
    nothing_missed(sphinx)


def nothing_missed(server: LiveServer) -> None:
    """Whatever scripts and styles asked for, too, was there."""
    assert set(re.findall(r'HTTP/1\.[01]" (\d{3}) ', server.log)) <= {"200", "206", "304"}
