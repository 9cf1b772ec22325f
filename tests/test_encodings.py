"""Content codings: the encoded forms that lie beside a file, sent to whoever prefers them (RFC 9110 §8.4, §12.5.3)."""

from __future__ import annotations

import gzip
import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from httpd import Limits, Server, StaticFiles
from httpd.site.entities import SMALL, Entities

from .chromium import chromium, quiet_page
from .exchange import serving
from .test_static import content, field, get, refusal
from .tools import TOP, needs, open_descriptors
from .workbench import noise, run

STYLE = b"p { margin: 0 }\n" * 50
# Whether they decode is the business of those who made them, and of the clients below.
FORMS = {"zstd": b"(zstd)" * 6, "br": b"(br)" * 5, "gzip": gzip.compress(STYLE, mtime=0)}
SUFFIX = {"zstd": ".zst", "br": ".br", "gzip": ".gz"}
PLAIN = ""


class Clock:
    """A time of day that the test moves, a minute ahead: whatever is written now has long been so."""

    def __init__(self) -> None:
        self.ahead = 60.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of several sizes, and a style with all its siblings."""
    folder = tmp_path / "www"
    folder.mkdir()
    write(folder / "style.css", STYLE)
    for coding, form in FORMS.items():
        write(folder / f"style.css{SUFFIX[coding]}", form)
    write(folder / "alone.css", STYLE)
    return folder


@pytest.fixture(params=["remembering", "forgetful"])
def site(request: pytest.FixtureRequest, folder: Path, clock: Clock) -> Iterator[StaticFiles]:
    """With a cache, and with one that keeps nothing: the answers are the same."""
    cache = {} if request.param == "remembering" else {"max_count": 0, "max_open": 0}
    site = StaticFiles(folder, entities=Entities(clock=clock, **cache), clock=clock)
    yield site
    site.entities.clear()


def write(path: Path, data: bytes, age: float = 100) -> Path:
    """A file last modified `age` seconds ago."""
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


# ---- which one


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("www")
    for coding, form in FORMS.items():
        write(folder / f"style.css{SUFFIX[coding]}", form, age=100)
        write(folder / f"stale.css{SUFFIX[coding]}", form, age=100 if coding == "zstd" else 101)
        write(folder / f"orphan.css{SUFFIX[coding]}", form)
    write(folder / "style.css", STYLE, age=200)
    write(folder / "alone.css", STYLE)
    write(folder / "stale.css", STYLE, age=100.5)
    with serving(StaticFiles(folder), limits=Limits(requests=10_000)) as server:
        yield server


ALL = "gzip, deflate, br, zstd"
CHOICES = [
    # path, Accept-Encoding (None: no such field), the coding of the answer
    ("/style.css", None, PLAIN),
    ("/style.css", "", PLAIN),
    ("/style.css", "identity", PLAIN),
    ("/style.css", "deflate", PLAIN),
    ("/style.css", "gzip", "gzip"),
    ("/style.css", "x-gzip", "gzip"),
    ("/style.css", "br", "br"),
    ("/style.css", "zstd", "zstd"),
    ("/style.css", ALL, "br"),
    ("/style.css", "*", "br"),
    ("/style.css", "gzip;q=0", PLAIN),
    ("/style.css", "gzip;q=0, zstd;q=0.1", "zstd"),
    ("/style.css", "br;q=0, *", "zstd"),
    ("/style.css", "gzip;q=1.0, br;q=0.9, *;q=0", "gzip"),
    ("/style.css", "identity;q=0, gzip;q=0.5", "gzip"),
    ("/style.css", "identity;q=0.9, gzip;q=0.5", PLAIN),
    ("/style.css", "identity;q=0", PLAIN),
    ("/style.css", "identity;q=0, *;q=0", PLAIN),
    ("/style.css", "*;q=0", PLAIN),
    ("/style.css", "no such, \x80, ;;", PLAIN),
    ("/style.css?v=1", ALL, "br"),
    ("//./style.css", ALL, "br"),
    ("/stale.css", ALL, "zstd"),
    ("/stale.css", "gzip, br", PLAIN),
    ("/alone.css", ALL, PLAIN),
    ("/alone.css", "identity;q=0", PLAIN),
]


def ask(server: Server, path: str, *fields: tuple[str, str], method: str = "GET") -> http.client.HTTPResponse:
    """An answer whose head and content were read; the content is its `content`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in fields:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.content = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


@pytest.mark.parametrize(("path", "accepts", "coding"), CHOICES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_choice(server: Server, method: str, path: str, accepts: str | None, coding: str) -> None:
    """The same over and over, be it the first time or remembered."""
    fields = [] if accepts is None else [("Accept-Encoding", accepts)]
    form = FORMS.get(coding, STYLE)
    for _ in range(2):
        answer = ask(server, path, *fields, method=method)
        assert answer.status == 200
        assert answer.getheader("Content-Encoding", "") == coding
        assert answer.getheader("Content-Type") == "text/css; charset=utf-8"
        assert answer.getheader("Content-Length") == str(len(form))
        assert answer.getheader("Vary", "") == ("" if "alone" in path else "Accept-Encoding")
        assert answer.content == (b"" if method == "HEAD" else form)  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", SUFFIX.values())
def test_a_sibling_asked_for_by_its_own_name_is_a_file_like_any_other(server: Server, suffix: str) -> None:
    answer = ask(server, "/style.css" + suffix, ("Accept-Encoding", ALL))
    kinds = {".zst": "application/zstd", ".br": "application/x-brotli", ".gz": "application/gzip"}
    assert answer.getheader("Content-Type") == kinds[suffix]
    assert answer.getheader("Content-Encoding") is answer.getheader("Vary") is None


def test_a_sibling_without_its_original_stands_for_nothing(server: Server) -> None:
    assert ask(server, "/orphan.css", ("Accept-Encoding", ALL)).status == 404


def test_what_the_client_has_is_judged_by_the_coding_that_it_would_get(server: Server) -> None:
    accepting = {coding: ("Accept-Encoding", coding or "identity") for coding in (PLAIN, *FORMS)}
    tags = {coding: str(ask(server, "/style.css", line).getheader("ETag")) for coding, line in accepting.items()}
    assert len(set(tags.values())) == 4
    for coding, line in accepting.items():
        for held, tag in tags.items():
            answer = ask(server, "/style.css", line, ("If-None-Match", tag))
            assert answer.status == (304 if held == coding else 200), (coding, held)
            assert answer.getheader("ETag") == tags[coding]
            assert answer.getheader("Vary") == "Accept-Encoding"
            assert (answer.getheader("Content-Encoding") is None) == (coding == PLAIN or held == coding)
            refused = ask(server, "/style.css", line, ("If-Match", tag))
            assert refused.status == (200 if held == coding else 412)
            assert "Accept-Encoding" in str(refused.getheader("Vary"))


def test_each_was_modified_when_it_was(server: Server) -> None:
    plain = ask(server, "/style.css").getheader("Last-Modified")
    encoded = ask(server, "/style.css", ("Accept-Encoding", "gzip")).getheader("Last-Modified")
    assert plain != encoded
    assert ask(server, "/style.css", ("If-Modified-Since", str(plain))).status == 304
    conditions = [("Accept-Encoding", "gzip"), ("If-Modified-Since", str(plain))]
    assert ask(server, "/style.css", *conditions).status == 200


def test_ranges_are_of_the_encoded_bytes(server: Server) -> None:
    for coding, form in FORMS.items():
        line = ("Accept-Encoding", coding)
        tag = str(ask(server, "/style.css", line).getheader("ETag"))
        answer = ask(server, "/style.css", line, ("Range", "bytes=3-9"), ("If-Range", tag))
        assert (answer.status, answer.content) == (206, form[3:10])  # type: ignore[attr-defined]
        assert answer.getheader("Content-Range") == f"bytes 3-9/{len(form)}"
        assert answer.getheader("Content-Encoding") == coding
        assert answer.getheader("Vary") == "Accept-Encoding"
        assert answer.getheader("ETag") == tag
        # Parts of another form must not be joined to what the client has.
        assert ask(server, "/style.css", ("Range", "bytes=3-9"), ("If-Range", tag)).status == 200


def test_a_range_beyond_the_encoded_bytes_is_none(server: Server) -> None:
    length = len(FORMS["br"])
    answer = ask(server, "/style.css", ("Accept-Encoding", "br"), ("Range", f"bytes={length}-"))
    assert (answer.status, answer.getheader("Content-Range")) == (416, f"bytes */{length}")
    assert answer.getheader("Vary") == "Accept-Encoding, Accept"
    assert answer.getheader("Content-Encoding") is None


def test_of_several_ranges_each_names_its_coding(server: Server) -> None:
    """The coding is that of the parts; the frames around them are plain."""
    answer = ask(server, "/style.css", ("Accept-Encoding", "br"), ("Range", "bytes=0-1,4-5"))
    assert answer.status == 206
    assert answer.getheader("Content-Encoding") is None
    assert answer.getheader("Vary") == "Accept-Encoding"
    body: bytes = answer.content  # type: ignore[attr-defined]
    assert body.count(b"\r\nContent-Encoding: br\r\n") == 2
    assert body.count(b"\r\nContent-Type: text/css; charset=utf-8\r\n") == 2


# ---- as the disk is now


def coding_of(site: StaticFiles, path: str = "/style.css", accepts: str = ALL) -> str:
    response = get(site, path, Accept_Encoding=accepts)
    coding = field(response, "Content-Encoding")
    assert content(response) == FORMS.get(coding, STYLE)
    return coding


def test_the_shortest_is_sent_and_of_equal_ones_the_first(folder: Path, site: StaticFiles) -> None:
    assert coding_of(site) == "br"
    assert coding_of(site, accepts="gzip, zstd") == "zstd"
    for suffix in SUFFIX.values():
        write(folder / f"alone.css{suffix}", b"same")
    assert field(get(site, "/alone.css", Accept_Encoding=ALL), "Content-Encoding") == "zstd"


def test_a_changed_original_is_sent_itself_at_once(folder: Path, site: StaticFiles) -> None:
    assert coding_of(site) == "br"
    (folder / "style.css").write_bytes(b"new")
    response = get(site, "/style.css", Accept_Encoding=ALL)
    assert (content(response), field(response, "Content-Encoding"), field(response, "Vary")) == (b"new", "", "")


def test_a_changed_sibling_is_sent_as_it_is_at_once(folder: Path, site: StaticFiles) -> None:
    assert coding_of(site) == "br"
    tag = field(get(site, "/style.css", Accept_Encoding="br"), "ETag")
    (folder / "style.css.br").write_bytes(b"shorter")
    response = get(site, "/style.css", Accept_Encoding=ALL)
    assert content(response) == b"shorter"
    assert field(response, "ETag") != tag


def test_a_sibling_that_goes_or_ages_is_not_sent_from_then_on(folder: Path, site: StaticFiles) -> None:
    assert coding_of(site) == "br"
    (folder / "style.css.br").unlink()
    assert coding_of(site) == "zstd"
    os.utime(folder / "style.css.zst", (1000, 1000))
    assert coding_of(site) == "gzip"
    (folder / "style.css.gz").unlink()
    assert coding_of(site) == PLAIN


def test_a_new_sibling_is_noticed_within_a_second(folder: Path, site: StaticFiles, clock: Clock) -> None:
    assert coding_of(site, "/alone.css") == PLAIN
    write(folder / "alone.css.gz", FORMS["gzip"])
    clock.ahead += 1
    assert coding_of(site, "/alone.css") == "gzip"
    write(folder / "alone.css.br", FORMS["br"])
    clock.ahead += 1
    assert coding_of(site, "/alone.css") == "br"


def test_a_remembered_file_is_looked_at_once_and_for_siblings_once_a_second(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    entities = Entities(clock=clock)
    site = StaticFiles(folder, entities=entities, clock=clock)
    find = entities.find

    def stat(location: bytes) -> os.stat_result:
        asked.append(location.rpartition(b"/")[2])
        return os.stat(location)

    monkeypatch.setattr(entities, "find", lambda path, in_round=0: find(path, in_round, stat))
    for path, expected in [
        ("/alone.css", [b"alone.css"]),
        ("/style.css", [b"style.css", b"style.css.br"]),
    ]:
        get(site, path, Accept_Encoding=ALL)
        for _ in range(3):
            asked.clear()
            get(site, path, Accept_Encoding=ALL)
            assert asked == expected
        clock.ahead += 1
        get(site, path, Accept_Encoding=ALL)
        assert len(asked) == len(expected) * 2 + 3
        asked.clear()
        get(site, path, Accept_Encoding=ALL)
        assert asked == expected
    entities.clear()


@pytest.mark.parametrize("stamp", [0, 1])
def test_siblings_of_a_time_that_says_nothing_have_tags_of_their_own(
    folder: Path, site: StaticFiles, stamp: int
) -> None:
    """In the images of containers and of Nix every file is of the first second."""
    for path in folder.iterdir():
        os.utime(path, (stamp, stamp))
    accepted = ["identity", *FORMS]
    answers = [get(site, "/style.css", Accept_Encoding=coding) for coding in accepted]
    assert [field(answer, "Content-Encoding") or "identity" for answer in answers] == accepted
    assert len({field(answer, "ETag") for answer in answers}) == 4
    assert not any(field(answer, "Last-Modified") for answer in answers)
    for answer, coding in zip(answers, accepted, strict=True):
        assert get(site, "/style.css", Accept_Encoding=coding, If_None_Match=field(answer, "ETag")).status == 304


def test_two_forms_of_one_time_and_size_are_told_apart(folder: Path, site: StaticFiles) -> None:
    """As big files are, whose content is not looked at for their tags."""
    data = noise(SMALL + 1)
    for name in ("big.css", "big.css.br", "big.css.gz"):
        os.utime(write(folder / name, data), ns=(10**18, 10**18))
    answers = [get(site, "/big.css", Accept_Encoding=coding) for coding in ("identity", "br", "gzip")]
    assert [content(answer) for answer in answers] == [data] * 3
    assert len({field(answer, "ETag") for answer in answers}) == 3


def test_big_siblings_cost_no_descriptor_in_the_end(folder: Path, site: StaticFiles) -> None:
    site.entities.clear()
    before = open_descriptors()
    for name in ("big.css", "big.css.br"):
        write(folder / name, noise(SMALL + 1))
    for _ in range(3):
        content(get(site, "/big.css", Accept_Encoding="br"))
        get(site, "/big.css", Accept_Encoding="br", Range="bytes=0-1").body.close()  # type: ignore[union-attr]
    site.entities.clear()
    assert open_descriptors() == before


def test_a_folders_own_page_has_siblings_too(folder: Path, site: StaticFiles) -> None:
    for name, form in [("", STYLE), (".gz", FORMS["gzip"])]:
        write(folder / f"index.html{name}", form)
    for _ in range(2):
        assert coding_of(site, "/") == "gzip"
        assert coding_of(site, "/index.html") == "gzip"


def test_a_page_without_its_extension_has_siblings_too(folder: Path, site: StaticFiles) -> None:
    for name, form in [("", STYLE), (".gz", FORMS["gzip"])]:
        write(folder / f"about.html{name}", form)
    for _ in range(2):
        assert coding_of(site, "/about") == "gzip"
    assert field(get(site, "/about"), "Vary") == "Accept-Encoding"


def test_the_page_for_what_is_missing_has_siblings_too(folder: Path, site: StaticFiles) -> None:
    for name, form in [("", STYLE), (".br", FORMS["br"])]:
        write(folder / f"404.html{name}", form)
    for _ in range(2):
        response = get(site, "/nowhere", Accept_Encoding="br")
        assert (response.status, content(response)) == (404, FORMS["br"])
        assert (field(response, "Content-Encoding"), field(response, "Vary")) == ("br", "Accept, Accept-Encoding")
        assert not field(response, "ETag")
        assert content(get(site, "/nowhere")) == STYLE


# ---- what may be opened


def test_siblings_obey_the_policy_for_links(folder: Path, clock: Clock) -> None:
    outside = write(folder.parent / "outside", b"secret")
    inside = write(folder / "inside", FORMS["gzip"])
    (folder / "alone.css.br").symlink_to(outside)
    (folder / "alone.css.gz").symlink_to(inside)
    served = {}
    for symlinks in ("inside", "none", "all"):
        site = StaticFiles(folder, symlinks=symlinks, entities=Entities(clock=clock))  # type: ignore[arg-type]
        for _ in range(2):
            served[symlinks] = field(get(site, "/alone.css", Accept_Encoding=ALL), "Content-Encoding")
        site.entities.clear()
    assert served == {"inside": "gzip", "none": "", "all": "br"}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_no_sibling(folder: Path, site: StaticFiles, make) -> None:  # type: ignore[no-untyped-def]
    make(folder / "alone.css.gz")
    for _ in range(2):
        assert coding_of(site, "/alone.css") == PLAIN


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_no_sibling(folder: Path, site: StaticFiles) -> None:
    (folder / "style.css.br").chmod(0)
    assert coding_of(site) == "zstd"


def test_a_sibling_is_not_passed_over_because_descriptors_have_run_out(
    folder: Path, site: StaticFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be forgotten for as long as it does not change."""
    real = site.root.open

    def scarce(parts: list[bytes]) -> tuple[int, os.stat_result]:
        if parts[-1].endswith(b".br"):
            raise OSError(24, "Too many open files")
        return real(parts)

    monkeypatch.setattr(site.root, "open", scarce)
    assert refusal(site, "/style.css", Accept_Encoding=ALL).status == 503
    monkeypatch.undo()
    assert coding_of(site) == "br"


def second_time(site: StaticFiles, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen when the `.br` is opened to be read, after it has been found to be there."""
    real, seen = site.root.open, set()

    def opened(parts: list[bytes]) -> tuple[int, os.stat_result]:
        if parts[-1].endswith(b".br") and parts[-1] in seen:
            happens()
        seen.add(parts[-1])
        return real(parts)

    monkeypatch.setattr(site.root, "open", opened)


def test_descriptors_that_run_out_at_the_sibling_leave_none_behind(
    folder: Path, site: StaticFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out() -> None:
        raise OSError(24, "Too many open files")

    for name in ("big.css", "big.css.br"):
        write(folder / name, noise(SMALL + 1))
    before = open_descriptors()
    second_time(site, monkeypatch, run_out)
    assert refusal(site, "/big.css", Accept_Encoding=ALL).status == 503
    site.entities.clear()
    assert open_descriptors() == before


def test_a_sibling_that_ages_while_it_is_looked_for_is_not_sent(
    folder: Path, site: StaticFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_time(site, monkeypatch, lambda: os.utime(folder / "style.css.br", (1000, 1000)))
    assert coding_of(site) == PLAIN
    assert coding_of(site) == "zstd"


def test_a_sibling_that_goes_while_it_is_looked_for_costs_nothing_but_the_coding(
    folder: Path, site: StaticFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    second_time(site, monkeypatch, (folder / "style.css.br").unlink)
    assert coding_of(site) == PLAIN
    assert coding_of(site) == "zstd"


# ---- clients


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page, its style and its script, with one form each: the client has no other to fall back upon."""
    folder = tmp_path_factory.mktemp("www")
    filler = "/* and so on, and so on */\n" * 50
    pages = {
        "page.html": "<!doctype html><meta charset=utf-8><title>Grüße</title><link rel=icon href=data:,>"
        f"<link rel=stylesheet href=style.css><script src=script.js></script><p>text<!-- {filler} -->",
        "style.css": f"{filler} p {{ color: rgb(1, 2, 3) }}",
        "script.js": f"{filler} document.documentElement.dataset.word = 'grüße';",
    }
    for name, text in pages.items():
        write(folder / name, text.encode())
    run(sys.executable, "-m", "httpd", "compress", folder, cwd=TOP)
    for name, coding in ONLY.items():
        for other in SUFFIX.keys() - {coding}:
            (folder / f"{name}{SUFFIX[other]}").unlink()
    with serving(StaticFiles(folder), always_recorded=True) as server:
        yield server


ONLY = {"page.html": "gzip", "style.css": "br", "script.js": "zstd"}


@pytest.mark.tools
@pytest.mark.parametrize("name", ONLY)
def test_curl_decodes(compressed: Server, name: str) -> None:
    address = f"http://127.0.0.1:{compressed.port}/{name}"
    plain = run(needs("curl"), "-s", address)
    told = run("curl", "-s", "--compressed", "-w", "\n%{size_download} %header{content-encoding}", address)
    decoded, _, last = told.rpartition("\n")
    length, coding = last.split()
    assert decoded == plain
    assert coding == ONLY[name]
    assert int(length) < len(plain) / 2


@pytest.mark.tools
def test_chromium_decodes(compressed: Server) -> None:
    base = f"http://127.0.0.1:{compressed.port}/"
    with chromium() as browser, quiet_page(browser, base) as page:
        codings: dict[str, str] = {}
        page.on("response", lambda answer: codings.update({answer.url: answer.headers.get("content-encoding", "")}))
        for _ in range(2):
            page.goto("page.html")
            assert page.title() == "Grüße"
            assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
            assert page.evaluate("document.documentElement.dataset.word") == "grüße"
        shorter = "performance.getEntriesByType('resource').map(one => one.encodedBodySize < one.decodedBodySize / 2)"
        assert page.evaluate(shorter) == [True, True]
        assert codings == {base + name: coding for name, coding in ONLY.items()}
