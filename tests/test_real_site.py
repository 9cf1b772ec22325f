"""A real site, fetched whole by real clients: the HTML documentation of a package, over a thousand files.

Where it is: `REAL_SITE`, or PostgreSQL's documentation where Debian puts it (`apt-get install postgresql-doc`).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from .live import LiveServer
from .tools import missing, needs

pytestmark = [pytest.mark.tools, pytest.mark.slow]

WHOLE = ["--recursive", "--level=inf", "--no-parent", "--no-host-directories", "--no-verbose", "--execute=robots=off"]


@pytest.fixture(scope="module")
def site() -> Path:
    """The folder of the documentation."""
    named = os.environ.get("REAL_SITE")
    folders = [Path(named)] if named else sorted(Path("/usr/share/doc").glob("postgresql-doc-*/html"))
    for folder in folders:
        if len(list(folder.rglob("*.html"))) >= 300:
            return folder.resolve()
    missing("a site of several hundred HTML files (REAL_SITE)")


@pytest.fixture(scope="module")
def server(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    log = tmp_path_factory.mktemp("log") / "access.log"
    with LiveServer(site, "--access-log", str(log)) as running:
        yield running


def _files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path from there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _compare(fetched: Path, original: Path) -> int:
    """How many files were fetched; the test fails at one that differs or is not of the site."""
    ours, theirs = _files(fetched), _files(original)
    assert set(ours) <= set(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []
    return len(ours)


def test_wget_fetches_it_link_by_link(server: LiveServer, site: Path, tmp_path: Path) -> None:
    wget = needs("wget")
    fetched = subprocess.run([wget, *WHOLE, server.url], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    failed = re.findall(rf"^{server.url}(\S+):\n.*ERROR (\d+)", fetched.stderr, re.MULTILINE)
    assert [(name, status) for name, status in failed if (site / unquote(name)).exists() or status != "404"] == []
    assert fetched.returncode == (8 if failed else 0), fetched.stderr[-2000:]
    assert _compare(tmp_path, site) >= 0.9 * len(_files(site))


def test_curl_fetches_every_file_of_it(server: LiveServer, site: Path, tmp_path: Path) -> None:
    """Several at once, each connection used again and again."""
    curl = needs("curl")
    out = tmp_path / "out"
    wanted = [f'url = "{server.url}{quote(name)}"\noutput = "{out / name}"\n' for name in _files(site)]
    options = ["--silent", "--show-error", "--fail", "--create-dirs", "--parallel", "--parallel-max", "8"]
    fetched = subprocess.run(
        [curl, *options, "--config", "-"], input="".join(wanted), capture_output=True, text=True, timeout=300
    )
    assert fetched.returncode == 0, fetched.stderr
    assert _compare(out, site) == len(wanted)


def test_curl_asks_again_and_gets_nothing_twice(server: LiveServer, site: Path, tmp_path: Path) -> None:
    """What it has by its ETag is not sent again."""
    curl = needs("curl")
    tag = tmp_path / "etag"
    first = [curl, "--silent", "--fail", "--etag-save", tag, "--output", tmp_path / "page", server.url + "index.html"]
    again = [curl, "--silent", "--fail", "--etag-compare", tag, "--write-out", "%{http_code} %{size_download}"]
    subprocess.run(first, check=True, timeout=60)
    answer = subprocess.run([*again, server.url + "index.html"], check=True, capture_output=True, text=True, timeout=60)
    assert answer.stdout == "304 0"
    assert (tmp_path / "page").read_bytes() == (site / "index.html").read_bytes()


def test_wget_walks_the_listings(site: Path, tmp_path: Path) -> None:
    """A tree without an index page: what is there is found by our own listing pages, every file of it."""
    wget = needs("wget")
    tree, out = tmp_path / "tree", tmp_path / "out"
    for number, page in enumerate(sorted(site.glob("*.html"))[:60]):
        if page.name != "index.html":
            copy = tree / f"part {number % 5}" / "näh & more" / page.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(b"<title>no links</title>" + page.name.encode())
    with LiveServer(tree) as server:
        out.mkdir()
        command = [wget, *WHOLE, "--reject=index.html", server.url]
        fetched = subprocess.run(command, cwd=out, capture_output=True, text=True, timeout=120)
    wanted = {path.name: path.read_bytes() for path in tree.rglob("*.html")}
    assert {path.name: path.read_bytes() for path in out.rglob("*.html")} == wanted, fetched.stderr[-2000:]
