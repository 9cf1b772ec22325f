"""Real clients, each over a real socket: every byte is right, and connections are used as both sides say.

What went over the wire is read from a tap, and h11 reads every answer on it.  `test_real_site` has more of wget and
curl, `test_browser` a browser, `test_proxies` what stands in front of a server.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .tap import Tap
from .tools import missing, needs, needs_module
from .workbench import BODY_LIMIT, Workbench, noise, run, workbench

pytestmark = pytest.mark.tools

ODD = "c d/ä &.bin"
PAGES = {"a.html": b"<p>one", "b.txt": b"", ODD: noise(300_000), "e.css": b"p{}\r\n\r\n"}
BIG = noise(3 << 20, seed=11)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with workbench(tmp_path) as bench:
        for name, content in PAGES.items():
            path = bench.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        yield bench


def shape(tap: Tap) -> list[list[tuple[str, int]]]:
    """Each connection's exchanges: (method, status)."""
    return [
        [(asked.method, answer.status) for asked, answer in zip(connection.asked(), connection.answers(), strict=True)]
        for connection in tap.connections
    ]


def give(bench: Workbench, name: str, content: bytes = BIG) -> bytes:
    """Put a file into the folder."""
    (bench.folder / name).write_bytes(content)
    return content


# ---- curl


class TestCurl:
    def curl(self, *options: str | Path, status: int = 0) -> str:
        return run(needs("curl"), "--disable", "--silent", "--show-error", "--noproxy", "*", *options, status=status)

    def test_uses_one_connection_for_all(self, bench: Workbench, tmp_path: Path) -> None:
        """From its second request on it may speak bare HTTP/1.0, for it has learned that the server does."""
        wanted: list[str | Path] = []
        for name in PAGES:
            wanted += [bench.tap.to(name), "--output", tmp_path / str(len(wanted))]
        self.curl(*wanted)
        got = [(tmp_path / str(number)).read_bytes() for number in range(0, len(wanted), 3)]
        assert got == list(PAGES.values())
        assert shape(bench.tap) == [[("GET", 200)] * len(PAGES)]
        first, *others = (asked.version for asked in bench.tap.asked)
        assert first == "HTTP/1.1"
        assert set(others) in ({"HTTP/1.0"}, {"HTTP/1.1"})
        assert not any(asked["Connection"] for asked in bench.tap.asked)
        assert all(answer.keeps_alive for answer in bench.tap.answers)

    def test_speaks_bare_http_1_0(self, bench: Workbench) -> None:
        url = bench.tap.to("a.html")
        assert self.curl("--http1.0", url, url) == "<p>one" * 2
        assert shape(bench.tap) == [[("GET", 200)], [("GET", 200)]]
        assert not any(answer.keeps_alive for answer in bench.tap.answers)

    def test_speaks_http_1_0_and_asks_to_keep_the_connection(self, bench: Workbench) -> None:
        url = bench.tap.to("a.html")
        self.curl("--http1.0", "--header", "Connection: keep-alive", url, url, url)
        assert shape(bench.tap) == [[("GET", 200)] * 3]

    def test_head(self, bench: Workbench) -> None:
        head = self.curl("--head", bench.tap.to(ODD), bench.tap.to("nothing"))
        assert head.startswith("HTTP/1.0 200 OK\r\n")
        assert "Content-Length: 300000\r\n" in head
        assert shape(bench.tap) == [[("HEAD", 200), ("HEAD", 404)]]

    def test_waits_for_the_100_before_a_large_post(self, bench: Workbench, tmp_path: Path) -> None:
        source, out = tmp_path / "source", tmp_path / "out"
        source.write_bytes(BIG)
        self.curl("--data-binary", f"@{source}", "--output", out, bench.tap.to("echo"))
        assert out.read_bytes() == BIG
        [asked], [answer] = bench.tap.asked, bench.tap.answers
        assert asked["Expect"] == "100-continue"
        assert (answer.interim, answer.status, answer.body) == ([100], 200, BIG)

    def test_sends_nothing_of_what_is_refused(self, bench: Workbench, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(bytes(BODY_LIMIT + 1))
        told = self.curl("--data-binary", f"@{source}", "--write-out", "%{http_code}", bench.tap.to("echo"))
        assert told.endswith("413")
        [connection] = bench.tap.connections
        assert bytes(connection.sent).endswith(b"\r\n\r\n")

    def test_uploads_a_file(self, bench: Workbench, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.write_bytes(BIG)
        told = self.curl("--upload-file", source, "--write-out", "%{http_code}", bench.tap.to("upload/big"))
        assert (told, bench.uploads) == ("stored\n201", {"big": BIG})
        assert self.curl("--upload-file", source, bench.tap.to("a.html"), "--write-out", "%{http_code}").endswith("405")

    def test_is_told_that_a_chunked_upload_needs_a_length(self, bench: Workbench, tmp_path: Path) -> None:
        told = self.curl(
            *("--header", "Transfer-Encoding: chunked", "--header", "Accept: text/plain"),
            *("--data-binary", f"@{bench.folder / 'a.html'}", "--write-out", "%{http_code}", bench.tap.to("echo")),
        )
        assert told.endswith("411")
        assert "its length must be sent" in told

    def test_resumes_a_download(self, bench: Workbench, tmp_path: Path) -> None:
        whole = give(bench, "big.bin")
        out = tmp_path / "out"
        out.write_bytes(whole[:1_000_000])
        self.curl("--continue-at", "-", "--output", out, bench.tap.to("big.bin"))
        assert out.read_bytes() == whole
        assert shape(bench.tap) == [[("GET", 206)]]
        assert bench.tap.asked[0]["Range"] == "bytes=1000000-"


# ---- wget


class TestWget:
    def wget(self, *options: str | Path, cwd: Path, status: int = 0) -> str:
        return run(needs("wget"), "--no-config", "--quiet", "--no-proxy", *options, cwd=cwd, status=status)

    def test_follows_the_links_on_one_connection(self, bench: Workbench, tmp_path: Path) -> None:
        give(bench, "index.html", b'<a href="a.html">a</a> <a href="c%20d/">d</a> <link rel=stylesheet href="e.css">')
        out = tmp_path / "out"
        out.mkdir()
        self.wget("--recursive", "--no-host-directories", "--execute=robots=off", bench.tap.url, cwd=out)
        for name in ("index.html", "a.html", ODD, "e.css"):
            assert (out / name).read_bytes() == (bench.folder / name).read_bytes()
        [connection] = bench.tap.connections
        assert {answer.status for answer in connection.answers()} == {200}

    def test_has_nothing_to_do_where_all_is_there(self, bench: Workbench, tmp_path: Path) -> None:
        whole = give(bench, "big.bin")
        for _ in range(2):
            self.wget("--continue", bench.tap.to("big.bin"), cwd=tmp_path)
            assert (tmp_path / "big.bin").read_bytes() == whole

    def test_continues_a_download(self, bench: Workbench, tmp_path: Path) -> None:
        whole = give(bench, "big.bin")
        (tmp_path / "big.bin").write_bytes(whole[:1_000_000])
        self.wget("--continue", bench.tap.to("big.bin"), cwd=tmp_path)
        assert (tmp_path / "big.bin").read_bytes() == whole
        assert shape(bench.tap) == [[("GET", 206)]]

    def test_posts_a_form_and_follows_the_redirect(self, bench: Workbench, tmp_path: Path) -> None:
        form = ["--post-data", "name=A%26B&text=x+y"]
        told = self.wget(*form, "--output-document", "-", bench.tap.to("form"), cwd=tmp_path)
        assert "Thank you" in told
        assert bench.forms == [[("name", "A&B"), ("text", "x y")]]
        assert shape(bench.tap) == [[("POST", 303), ("GET", 200)]]


# ---- Python


class TestStandardLibrary:
    def test_http_client_keeps_its_connection(self, bench: Workbench) -> None:
        client = http.client.HTTPConnection("127.0.0.1", bench.tap.port)
        try:
            for method, path, body, expected in [
                ("GET", "/a.html", None, (200, b"<p>one")),
                ("HEAD", "/a.html", None, (200, b"")),
                ("POST", "/echo", BIG, (200, BIG)),
                ("GET", "/nothing", None, (404, None)),
                ("OPTIONS", "*", None, (204, b"")),
                ("GET", "/b.txt", None, (200, b"")),
            ]:
                client.request(method, path, body)
                answer = client.getresponse()
                content = answer.read()
                assert (answer.status, content) == (expected[0], content if expected[1] is None else expected[1])
                assert (answer.version, answer.will_close) == (10, False)
        finally:
            client.close()
        assert len(bench.tap.connections) == 1

    def test_http_client_is_told_that_chunks_need_a_length(self, bench: Workbench) -> None:
        client = http.client.HTTPConnection("127.0.0.1", bench.tap.port)
        try:
            client.request("POST", "/echo", iter([b"one", b"two"]))
            answer = client.getresponse()
            assert (answer.status, answer.will_close) == (411, True)
            assert answer.read()
        finally:
            client.close()

    def test_urllib_says_close_and_is_told_so(self, bench: Workbench) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(bench.tap.to(ODD)) as answer:
            assert answer.read() == PAGES[ODD]
        with opener.open(bench.tap.to("form"), b"a=1") as answer:
            assert answer.url == bench.tap.to("thanks")
        with pytest.raises(urllib.error.HTTPError) as caught:
            opener.open(bench.tap.to("nothing"))
        caught.value.close()
        assert shape(bench.tap) == [[("GET", 200)], [("POST", 303)], [("GET", 200)], [("GET", 404)]]
        assert not any(answer.keeps_alive for answer in bench.tap.answers)


def test_requests(bench: Workbench) -> None:
    needs_module("requests")
    import requests

    with requests.Session() as session:
        session.trust_env = False
        for name, content in PAGES.items():
            assert session.get(bench.tap.to(name)).content == content
        tag = session.head(bench.tap.to("a.html")).headers["ETag"]
        assert session.get(bench.tap.to("a.html"), headers={"If-None-Match": tag}).status_code == 304
        assert session.put(bench.tap.to("upload/x"), BIG).status_code == 201
        assert session.post(bench.tap.to("form"), {"a": "ä", "b": ""}).text.endswith("Thank you.")
        assert session.post(bench.tap.to("echo"), BIG).content == BIG
        assert len(bench.tap.connections) == 1
        assert session.post(bench.tap.to("echo"), iter([b"one", b"two"])).status_code == 411
    assert bench.uploads == {"x": BIG}
    assert bench.forms == [[("a", "ä"), ("b", "")]]


def test_httpx(bench: Workbench) -> None:
    needs_module("httpx")
    import httpx

    with httpx.Client(trust_env=False, base_url=bench.tap.url) as client:
        for name, content in PAGES.items():
            answer = client.get(bench.tap.to(name))
            assert (answer.content, answer.http_version) == (content, "HTTP/1.0")
        assert client.head("/a.html").headers["Content-Length"] == "6"
        assert client.post("/echo", content=BIG).content == BIG
        with client.stream("GET", bench.tap.to(ODD)) as answer:
            assert b"".join(answer.iter_bytes()) == PAGES[ODD]
        assert client.post("/echo", content=iter([b"one", b"two"])).status_code == 411
    # h11, which reads for it, keeps no connection to a server that says HTTP/1.0.
    assert {len(connection.asked()) for connection in bench.tap.connections} == {1}


def test_aiohttp(bench: Workbench) -> None:
    needs_module("aiohttp")
    import aiohttp

    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            for name, content in PAGES.items():
                async with session.get(bench.tap.to(name)) as answer:
                    assert (answer.status, await answer.read()) == (200, content)
            async with session.post(bench.tap.to("echo"), data=io.BytesIO(BIG)) as answer:
                assert await answer.read() == BIG
            many = [session.get(bench.tap.to(ODD)) for _ in range(12)]
            for answer in await asyncio.gather(*many):
                assert await answer.read() == PAGES[ODD]
                answer.release()
            async with session.post(bench.tap.to("echo"), data=chunks()) as answer:
                assert answer.status == 411

    asyncio.run(work())
    assert len(bench.tap.connections[0].asked()) >= len(PAGES) + 1


# ---- node

NODE = """
const http = require('node:http');
const assert = require('node:assert');
const [base, size] = [process.argv[1], Number(process.argv[2])];

function ask(agent, method, path) {
    return new Promise((done, failed) => {
        const asked = http.request(base + path, { agent, method }, answer => {
            let length = 0;
            answer.on('data', piece => { length += piece.length; });
            answer.on('end', () => done([answer.statusCode, length, asked.reusedSocket]));
        });
        asked.on('error', failed);
        asked.end();
    });
}

(async () => {
    for (let turn = 0; turn < 3; turn++)
        assert.equal(await (await fetch(base + 'a.html')).text(), '<p>one');
    const content = Buffer.alloc(size, 'ab\\r\\n');
    const echoed = await fetch(base + 'echo', { method: 'POST', body: content });
    assert.ok(content.equals(Buffer.from(await echoed.arrayBuffer())));
    const thanks = await fetch(base + 'form', { method: 'POST', body: new URLSearchParams({ a: 'ä&b' }) });
    assert.ok(thanks.redirected && (await thanks.text()).includes('Thank you'));
    const stream = new Blob(['one', 'two']).stream();
    assert.equal((await fetch(base + 'echo', { method: 'POST', body: stream, duplex: 'half' })).status, 411);

    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    assert.deepEqual(await ask(agent, 'GET', 'a.html'), [200, 6, false]);
    assert.deepEqual(await ask(agent, 'HEAD', 'a.html'), [200, 0, true]);
    assert.deepEqual(await ask(agent, 'GET', 'b.txt'), [200, 0, true]);
    agent.destroy();
    console.log('done');
})();
"""


def test_node(bench: Workbench) -> None:
    """Its fetch, and its http module with an agent that keeps connections."""
    told = run(needs("node"), "--eval", NODE, bench.tap.url, str(len(BIG)))
    assert told == "done\n"
    assert bench.forms == [[("a", "ä&b")]]
    used = [len(connection.asked()) for connection in bench.tap.connections]
    # Its fetch takes a second connection while it is still putting the first one back.
    assert sum(used) == 10
    assert len(used) <= 4


# ---- load generators


@pytest.mark.parametrize("keep", [False, True], ids=["bare", "kept"])
def test_ab(bench: Workbench, keep: bool) -> None:
    """It speaks HTTP/1.0, bare or with keep-alive, and counts every answer of another length as failed."""
    options = ["-k"] if keep else []
    told = run(needs("ab"), *options, "-q", "-n", "200", "-c", "4", bench.tap.to(ODD))
    assert re.search(r"^Complete requests: +200$", told, re.MULTILINE)
    assert re.search(r"^Failed requests: +0$", told, re.MULTILINE)
    assert re.search(r"^HTML transferred: +60000000 bytes$", told, re.MULTILINE)
    assert "Non-2xx" not in told
    if keep:
        assert re.search(r"^Keep-Alive requests: +200$", told, re.MULTILINE)
    used = [len(connection.asked()) for connection in bench.tap.connections if connection.sent]
    # It begins one or two that it gives up when it has its answers.
    assert (len(used) == 4) if keep else (200 <= len(used) <= 203 and set(used) == {1})


def test_wrk(bench: Workbench) -> None:
    told = run(needs("wrk"), "-t1", "-c4", "-d1s", bench.tap.to("a.html"))
    assert int(re.search(r"(\d+) requests in", told)[1]) > 50  # type: ignore[index]
    assert "Non-2xx" not in told
    assert "Socket errors" not in told
    bench.tap.settle()
    used = [connection for connection in bench.tap.connections if connection.sent]
    assert len(used) == 4
    for connection in used:
        received = bytes(connection.received)
        # When its time is up, one request each waits for its answer.
        assert received.count(b"\r\n\r\n" + PAGES["a.html"]) >= len(connection.asked()) - 1
        assert received.count(b"HTTP/1.0 ") == received.count(b"HTTP/1.0 200 OK\r\n")


# ---- what fetches what others publish

# Neither a person's settings nor the machine's.
QUIET_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
AUTHOR = {f"GIT_{who}_{what}": "ada@example.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_git_clones_over_dumb_http(bench: Workbench, tmp_path: Path, packed: bool) -> None:
    git = needs("git")
    env = {**os.environ, **QUIET_GIT, **AUTHOR, "no_proxy": "*"}
    origin, bare, clone = tmp_path / "origin", bench.folder / "project.git", tmp_path / "clone"
    run(git, "init", "--quiet", origin, env=env)
    for number, content in enumerate(PAGES.values()):
        (origin / f"file {number}").write_bytes(content)
        run(git, "add", ".", cwd=origin, env=env)
        run(git, "commit", "--quiet", "--message", f"change {number}", cwd=origin, env=env)
    run(git, "clone", "--quiet", "--bare", "--no-hardlinks", origin, bare, env=env)
    if packed:
        run(git, "repack", "-adq", cwd=bare, env=env)
    run(git, "update-server-info", cwd=bare, env=env)
    run(git, "clone", "--quiet", bench.tap.to("project.git"), clone, env=env)
    run(git, "fsck", "--strict", cwd=clone, env=env)
    head = ["rev-parse", "HEAD"]
    assert run(git, *head, cwd=clone, env=env) == run(git, *head, cwd=origin, env=env)
    for number, content in enumerate(PAGES.values()):
        assert (clone / f"file {number}").read_bytes() == content
    assert {answer.status for answer in bench.tap.answers} <= {200, 404}


def test_pip_installs_from_a_static_index(bench: Workbench, tmp_path: Path) -> None:
    """The index is a folder of folders, of which our listings are the pages."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        missing("pip")
    wheel = bench.folder / "simple" / "harbour-lights" / "harbour_lights-1.2-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    _make_wheel(wheel)
    site = tmp_path / "installed"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "http_proxy"))}
    options = ["--isolated", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--root-user-action=ignore"]
    index = ["--index-url", bench.tap.url + "simple/", "--trusted-host", "127.0.0.1"]
    run(
        *(sys.executable, "-m", "pip", "install", "-q", *options, *index, "--target", site, "harbour.lights==1.2"),
        env={**clean, "PIP_CONFIG_FILE": os.devnull, "no_proxy": "*"},
    )
    assert (site / "harbour_lights.py").read_text() == "lit = True\n"
    page = "/simple/harbour-lights/"
    # One connection for all.
    [connection] = bench.tap.connections
    assert [asked.target for asked in connection.asked()] == [page, page + wheel.name]


def _make_wheel(path: Path) -> None:
    about = "harbour_lights-1.2.dist-info"
    files = {
        "harbour_lights.py": "lit = True\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: harbour-lights\nVersion: 1.2\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_apt_installs_from_a_static_repository(bench: Workbench, tmp_path: Path) -> None:
    """It sends several requests ahead where a server keeps its connections."""
    apt, deb = needs("apt-get"), needs("dpkg-deb")
    repository = bench.folder / "debian"
    repository.mkdir()
    stanzas = [_make_deb(deb, tmp_path, f"lamp-{number}", repository) for number in range(5)]
    (repository / "Packages").write_text("\n".join(stanzas))
    env = {**os.environ, "APT_CONFIG": str(_apt_of_its_own(tmp_path, bench.tap.url + "debian/")), "no_proxy": "*"}
    run(apt, "update", env=env)
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    run(apt, "download", "--quiet", *(f"lamp-{number}" for number in range(5)), cwd=fetched, env=env)
    assert {path.name: path.read_bytes() for path in fetched.iterdir()} == {
        path.name: path.read_bytes() for path in repository.glob("*.deb")
    }
    run(apt, "update", env=env)
    assert {answer.status for answer in bench.tap.answers} <= {200, 304, 404}
    # One run, one connection.
    assert len(bench.tap.connections) == 3


def _make_deb(deb: str, tmp_path: Path, name: str, repository: Path) -> str:
    """Put a package into the repository; its stanza of the index."""
    tree = tmp_path / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "content").write_bytes(noise(50_000, seed=len(name)))
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: Ada <ada@example.test>\nDescription: lamp\n"
    (tree / "DEBIAN" / "control").write_text(control)
    archive = repository / f"{name}_1_all.deb"
    run(deb, "--build", "--root-owner-group", tree, archive)
    made = archive.read_bytes()
    return f"{control}Filename: ./{archive.name}\nSize: {len(made)}\nSHA256: {hashlib.sha256(made).hexdigest()}\n"


def _apt_of_its_own(tmp_path: Path, url: str) -> Path:
    """A configuration under which apt knows one source, and nothing of the machine's is read or written."""
    root = tmp_path / "apt"
    for name in ("etc/preferences.d", "state/lists/partial", "cache/archives/partial", "log"):
        (root / name).mkdir(parents=True)
    (root / "sources.list").write_text(f"deb [trusted=yes] {url} ./\n")
    (root / "status").write_text("")
    settings = {
        "Dir::Etc::Main": os.devnull,
        "Dir::Etc::Parts": os.devnull,
        "Dir::Etc::SourceList": root / "sources.list",
        "Dir::Etc::SourceParts": os.devnull,
        "Dir::Etc::Preferences": os.devnull,
        "Dir::Etc::PreferencesParts": root / "etc/preferences.d",
        "Dir::State": root / "state",
        "Dir::State::Status": root / "status",
        "Dir::Cache": root / "cache",
        "Dir::Log": root / "log",
        "APT::Sandbox::User": "root",
        "APT::Get::AllowUnauthenticated": "true",
        "Acquire::http::Proxy": "DIRECT",
        "Acquire::Languages": "none",
    }
    config = tmp_path / "apt.conf"
    config.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    return config


def test_aria2_takes_a_file_in_parts(bench: Workbench, tmp_path: Path) -> None:
    """Several connections at once where the server gives ranges; the file whole in any case."""
    whole = give(bench, "big.bin", noise(8 << 20))
    options = ["--no-conf", "--quiet", "--split=4", "--max-connection-per-server=4", "--min-split-size=1M"]
    run(needs("aria2c"), *options, "--file-allocation=none", "--dir", tmp_path, bench.tap.to("big.bin"))
    assert (tmp_path / "big.bin").read_bytes() == whole
    parts = [asked["Range"] for asked in bench.tap.asked if asked["Range"]]
    assert len(set(parts)) >= 3
    assert len(bench.tap.connections) >= 4
