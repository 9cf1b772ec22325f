"""httpd.site.listing and listing_forms, readme, slices: a folder's page."""

from __future__ import annotations

import json
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from html.parser import HTMLParser
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import pytest

from httpd.net.producers import SLICE
from httpd.protocol.errors import HTTPError
from httpd.protocol.message import Response
from httpd.site import entries
from httpd.site import listing as listing_module
from httpd.site.entries import Entry, readable_size
from httpd.site.listing import WHOLE
from httpd.site.readme import SHOWN
from httpd.site.root import Root
from httpd.site.slices import LongAnswers
from httpd.site.static import StaticFiles

from .exchange import Exchange
from .exchange import get as asks
from .factories import Keeping, answered, request
from .kernel import descriptors, until
from .live import LiveServer

JSON = "application/json"
FORMS = ("text/html", JSON, "text/plain")

scandir = os.scandir


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sub" / "deeper").mkdir(parents=True)
    (tmp_path / "Zoo").mkdir()
    for name in ("file10.txt", "file9.txt", "File1.txt", ".hidden", "a b&c.txt", "x:y", "50%", "q?#"):
        (tmp_path / name).write_text("12345")
    os.utime(tmp_path / "file9.txt", (86_400, 86_400))
    return tmp_path


class Links(HTMLParser):
    """Collects a page's links, what its forms ask for, its text, and every element that it has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []  # to other addresses; what a query asks for is in `queries`
        self.queries: list[str] = []
        self.words: list[str] = []
        self.elements: set[str] = set()
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.scripts += tag == "script"
        told = {name: value or "" for name, value in attrs}
        if tag == "a":
            (self.queries if told["href"].startswith("?") else self.links).append(told["href"])
        elif tag == "form":
            self._asked: list[tuple[str, str]] = []
        elif tag == "input" and told["type"] == "hidden":
            self._asked.append((told["name"], told["value"]))
        elif tag == "button":
            pressed = [(told["name"], told["value"])] if "name" in told else []
            self.queries.append("?" + urlencode([*self._asked, *pressed]))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(data.strip())


def get(root: Path, path: str = "/", accept: str = "text/html", query: str = "", **options: Any) -> Response:
    response = answered(StaticFiles(root, **options), request(path, headers={"Accept": accept}, query=query))
    assert response.status == 200
    return response


def page(root: Path, path: str = "/", accept: str = "text/html", query: str = "", **options: Any) -> str:
    return whole(get(root, path, accept, query, **options)).decode()


def whole(response: Response) -> bytes:
    """A response's content, also where it is made in slices."""
    if isinstance(response.body, bytes):
        return response.body
    given = bytearray()
    while (data := response.body.more()) != b"":
        given += data or b""
    response.body.close()  # type: ignore[attr-defined]
    return bytes(given)


def names(root: Path, query: str = "", **options: Any) -> list[str]:
    return [entry["name"] for entry in json.loads(page(root, accept=JSON, query=query, **options))["entries"]]


def test_folders_first_then_names_with_numbers_by_their_value(root: Path) -> None:
    assert names(root) == ["sub", "Zoo", "50%", "a b&c.txt", "File1.txt", "file9.txt", "file10.txt", "q?#", "x:y"]


def test_every_link_leads_to_what_is_named(root: Path) -> None:
    (root / "back\\slash").write_text("never served, so not listed")
    site = StaticFiles(root)
    for link in Links(page(root)).links:
        address = urlsplit(urljoin("http://this.test/", link))
        assert address.netloc == "this.test"
        assert not address.query
        assert site(request(unquote(address.path))).status == 200


def test_links_work_below_any_prefix(root: Path) -> None:
    links = Links(page(root, "/sub/")).links
    assert links == ["../", "../", "deeper/"]


def test_breadcrumbs_lead_up(root: Path) -> None:
    (root / "sub" / "deeper" / "deepest").mkdir()
    found = Links(page(root, "/sub/deeper/deepest/"))
    assert found.links == ["../../../", "../../", "../", "../"]
    heading = found.words[found.words.index("/") :]
    assert heading[:6] == ["/", "sub", "/", "deeper", "/", "deepest"]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)<",
        "\"onmouseover=alert(1) x='",
        "<img src=x onerror=alert(1)>",
        "{{ 7*7 }}",
        "&lt;b&gt;",
        "</title>",
    ],
)
def test_names_are_escaped(tmp_path: Path, name: str) -> None:
    name = name.replace("/", "∕")
    (tmp_path / name).mkdir()
    for path in ("/", f"/{name}/"):
        found = Links(page(tmp_path, path))
        assert found.scripts == 1
        assert not found.elements & {"img", "b"}
        assert any(name in word for word in found.words)
        assert all(set(link) <= set("./%-_~") | set(map(chr, range(48, 123))) for link in found.links)


def test_json_tells_all(root: Path) -> None:
    response = get(root, accept="application/json")
    assert dict(response.headers)["Content-Type"] == "application/json"
    listing = json.loads(page(root, accept="application/json"))
    assert listing["path"] == "/"
    by_name = {entry["name"]: entry for entry in listing["entries"]}
    assert by_name["file9.txt"] == {
        "name": "file9.txt", "href": "file9.txt", "kind": "file", "size": 5, "modified": "1970-01-02T00:00:00Z",
    }  # fmt: skip
    assert by_name["sub"]["href"] == "sub/"
    assert by_name["sub"]["size"] is None
    assert by_name["x:y"]["href"] == "x%3Ay"


def test_plain_text_has_a_line_an_entry(root: Path) -> None:
    (root / "two\nlines").write_text("")
    lines = page(root, accept="text/plain").splitlines()
    assert "1970-01-02 00:00             5  file9.txt" in lines
    assert any(line.endswith("  -  sub/") for line in lines)
    assert any(line.endswith("two?lines") for line in lines)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html,application/xhtml+xml", "image/png"])
def test_html_is_what_a_client_without_a_wish_gets(root: Path, accept: str) -> None:
    response = get(root, accept=accept)
    assert dict(response.headers)["Content-Type"] == "text/html; charset=utf-8"


def test_it_varies_by_accept_and_is_not_sniffed(root: Path) -> None:
    for accept in ("text/html", "application/json", "text/plain"):
        headers = dict(get(root, accept=accept).headers)
        assert headers["Vary"] == "Accept"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_year_that_has_no_date_is_left_blank() -> None:
    entry = Entry(b"x", False, 1, 1e18)
    assert (entry.date, entry.timestamp) == ("", "")


def test_an_empty_folder_says_so(root: Path) -> None:
    assert "This folder is empty." in Links(page(root, "/sub/deeper/")).words
    assert "1 folder" in Links(page(root, "/sub/")).words
    assert "2 folders, 7 files, 35 B" in Links(page(root)).words


def test_a_name_that_is_not_utf8_is_shown_and_linked(root: Path) -> None:
    with open(os.fsencode(root) + b"/caf\xe9", "wb"):
        pass
    os.mkdir(os.fsencode(root) + b"/dir\xe9")
    assert "caf%E9" in Links(page(root)).links
    assert "caf\ufffd" in page(root)
    assert "dir\ufffd" in page(root, "/dir\udce9/")
    assert "dir\ufffd" in page(root, "/dir\udce9/", "application/json")


def test_what_leads_nowhere_is_left_out(root: Path) -> None:
    (root / "gone").symlink_to("nowhere")
    assert "gone" not in page(root)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.00 kB"), (1499, "1.50 kB"), (9_994, "9.99 kB"),
        (9_996, "10.0 kB"), (99_949, "99.9 kB"), (99_951, "100 kB"), (999_499, "999 kB"), (999_501, "1.00 MB"),
        (4 << 30, "4.29 GB"), (10**18, "1.00 EB"),
    ],
)  # fmt: skip
def test_sizes_have_three_digits(size: int, words: str) -> None:
    assert readable_size(size) == words


# ---- sorted and filtered by the server


@pytest.fixture
def various(tmp_path: Path) -> Path:
    """Four files, whose names, sizes and times are in different orders, and two folders."""
    for place, (name, size) in enumerate([("b 10", 3), ("b 9", 3), ("a", 1), ("C", 2)]):
        (tmp_path / name).write_bytes(bytes(size))
        os.utime(tmp_path / name, (1_000 * place, 1_000 * place))
    for place, name in enumerate(("y", "x")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (2_000 * place, 2_000 * place))
    return tmp_path


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", "x y a b9 b10 C"),
        ("sort=name", "x y a b9 b10 C"),
        ("order=desc", "y x C b10 b9 a"),
        ("sort=&order=&filter=", "x y a b9 b10 C"),
        ("sort=&order=desc", "y x C b10 b9 a"),
        ("sort=size", "x y a C b9 b10"),
        ("sort=size&order=desc", "x y b9 b10 C a"),
        ("sort=date&order=asc", "y x b10 b9 a C"),
        ("sort=date&order=desc", "x y C a b9 b10"),
        ("utm_source=x&sort=size", "x y a C b9 b10"),
    ],
)
def test_it_is_sorted_as_the_query_says_folders_first(various: Path, query: str, order: str) -> None:
    assert [name.replace(" ", "") for name in names(various, query)] == order.split()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("filter=B", ["b 9", "b 10"]),
        ("filter=b+1", ["b 10"]),
        ("filter=%20x%20", ["x"]),
        ("filter=nothing", []),
        ("filter=", ["x", "y", "a", "b 9", "b 10", "C"]),
        ("filter=B&order=desc", ["b 10", "b 9"]),
    ],
)
def test_the_filter_looks_for_text_in_names(various: Path, query: str, found: list[str]) -> None:
    assert names(various, query) == found


@pytest.mark.parametrize("query", ["sort=owner", "order=up", "sort=name&order=DESC", "filter=%FF"])
def test_a_query_for_what_there_is_not_is_refused(various: Path, query: str) -> None:
    with pytest.raises(HTTPError) as refused:
        get(various, query=query)
    assert refused.value.status == 400
    assert descriptors(os.getpid(), str(various)) == []


def test_the_heads_ask_for_the_other_orders(various: Path) -> None:
    def heads(query: str) -> list[str]:
        return Links(page(various, query=query)).queries[3:]

    assert heads("") == ["?sort=name&order=desc", "?sort=size&order=desc", "?sort=date&order=desc"]
    assert heads("sort=size&order=desc&filter=a%26b")[:3] == [
        "?filter=a%26b", "?sort=size&order=asc&filter=a%26b", "?sort=date&order=desc&filter=a%26b",
    ]  # fmt: skip
    assert 'class="size" aria-sort="descending"' in page(various, query="sort=size&order=desc")


def test_a_filter_without_result_says_so_and_leads_back(various: Path) -> None:
    found = Links(page(various, query="sort=size&filter=<b>nothing"))
    assert "b" not in found.elements
    assert "<b>nothing" in found.words
    assert "?sort=size&order=asc" in found.queries
    assert "This folder is empty." not in found.words


# ---- validators


def etag(response: Response) -> str:
    return dict(response.headers).get("ETag", "")


@pytest.mark.parametrize("accept", FORMS)
def test_what_has_not_changed_is_304(root: Path, accept: str) -> None:
    fresh = get(root, accept=accept)
    assert etag(fresh).startswith('"')
    again = StaticFiles(root)(request(headers={"Accept": accept, "If-None-Match": etag(fresh)}))
    assert (again.status, again.body, etag(again)) == (304, b"", etag(fresh))
    assert dict(again.headers)["Vary"] == "Accept"


@pytest.mark.parametrize("accept", FORMS)
@pytest.mark.parametrize("change", ["size", "date", "name", "another", "one less", "a folder's date"])
def test_any_change_of_what_is_shown_is_another_tag(root: Path, accept: str, change: str) -> None:
    before = etag(get(root, accept=accept))
    file = root / "file9.txt"
    match change:
        case "size":
            file.write_text("123456")
            os.utime(file, (86_400, 86_400))
        case "date":
            os.utime(file, (90_000, 90_000))
        case "name":
            file.rename(root / "file8.txt")
        case "another":
            (root / "new").touch()
        case "one less":
            file.unlink()
        case _:
            os.utime(root / "sub", (1, 1))
    assert etag(get(root, accept=accept)) != before


def test_each_view_and_form_has_its_tag(various: Path) -> None:
    queries = ("", "order=desc", "sort=size", "filter=b")
    assert len({etag(get(various, accept=accept, query=query)) for accept in FORMS for query in queries}) == 12
    (various / "README").write_text("one")
    before = etag(get(various))
    (various / "README").write_text("two")
    os.utime(various / "README", (various / "README").stat()[-3:-1])
    assert etag(get(various)) != before


def test_a_condition_that_does_not_hold_is_412(root: Path) -> None:
    with pytest.raises(HTTPError) as refused:
        StaticFiles(root)(request(headers={"If-Match": '"other"'}))
    assert refused.value.status == 412


def test_an_ordinary_listing_keeps_the_connection(root: Path) -> None:
    one, two = Exchange([asks() + asks(method="HEAD")], StaticFiles(root)).answers("GET", "HEAD")
    assert one.keeps_alive
    assert (one["content-length"], one["etag"]) == (two["content-length"], two["etag"])
    assert (len(one.body), two.body) == (int(one["content-length"]), b"")


# ---- long ones


@pytest.fixture
def many(tmp_path: Path) -> Path:
    (tmp_path / "many").mkdir()
    for number in range(WHOLE + 1):
        (tmp_path / "many" / f"f{number}").touch()
    return tmp_path / "many"


@pytest.mark.parametrize("accept", FORMS)
@pytest.mark.parametrize("query", ["", "sort=date&order=desc", "filter=f1"])
def test_a_long_listing_is_the_same_in_slices(
    many: Path, monkeypatch: pytest.MonkeyPatch, accept: str, query: str
) -> None:
    long = get(many, accept=accept, query=query)
    assert (long.length, etag(long)[:3]) == (None, 'W/"')
    monkeypatch.setattr(listing_module, "WHOLE", WHOLE + 1)
    short = get(many, accept=accept, query=query)
    assert etag(short).startswith('"')
    assert whole(long) == short.body


def test_a_long_listing_ends_with_the_connection(many: Path) -> None:
    exchange = Exchange([asks("/", "Accept: application/json")], StaticFiles(many))
    [told] = exchange.answers()
    assert not told.keeps_alive
    assert json.loads(told.body)["files"] == WHOLE + 1
    [head] = Exchange([asks(method="HEAD")], StaticFiles(many)).answers("HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("accept", FORMS)
@pytest.mark.parametrize("query", ["", "sort=size&order=desc", "filter=f1"])
def test_a_long_listing_that_has_not_changed_is_304(many: Path, accept: str, query: str) -> None:
    """Whatever the order in which the disk gives the entries; and any change of what is shown is another tag."""

    def again(etag: str) -> Response:
        headers = {"Accept": accept, "If-None-Match": etag}
        return answered(StaticFiles(many), request(query=query, headers=headers))

    fresh = etag(get(many, accept=accept, query=query))
    with mock.patch.object(os, "scandir", backwards):
        unchanged = again(fresh)
    assert (unchanged.status, unchanged.body, etag(unchanged)) == (304, b"", fresh)
    assert dict(unchanged.headers)["Vary"] == "Accept"
    tags = {fresh}
    for change in (
        lambda: (many / "f1").write_text("longer"),
        lambda: os.utime(many / "f1", (1, 1)),
        (many / "f1x").touch,
    ):
        change()
        response = again(fresh)
        tags.add(etag(response))
        assert response.status == 200
        whole(response)
    assert len(tags) == 4
    assert descriptors(os.getpid(), str(many)) == []


@contextmanager
def backwards(fd: int) -> Iterator[list[os.DirEntry[str]]]:
    with scandir(fd) as found:
        yield list(found)[::-1]


def test_each_view_and_form_of_a_long_listing_has_its_tag(many: Path) -> None:
    asked = [(accept, query) for accept in FORMS for query in ("", "order=desc", "sort=size", "filter=f")]
    assert len({etag(get(many, accept=accept, query=query)) for accept, query in asked}) == len(asked)
    assert etag(get(many, archives=False)) != etag(get(many))


def test_a_condition_on_a_long_listing_that_does_not_hold_is_412(many: Path) -> None:
    for condition in ('"other"', etag(get(many))):
        [answer] = Exchange([asks("/", f"If-Match: {condition}")], StaticFiles(many)).answers()
        assert answer.status == 412
    assert descriptors(os.getpid(), str(many)) == []


def test_a_folder_of_more_than_are_sorted_in_one_go_has_no_tag(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MOST", WHOLE + 1)
    monkeypatch.setattr(entries, "_RUN", (WHOLE + 1) // 3)
    assert etag(get(many))
    (many / "one more").touch()
    response = get(many, accept=JSON)
    assert etag(response) == ""
    assert json.loads(whole(response))["files"] == WHOLE + 2


def test_a_long_listing_that_fails_before_its_head_is_500(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_module, "in_order", lambda found, view: (1 // 0 for _ in found))
    [answer] = Exchange([asks()], StaticFiles(many)).answers()
    assert answer.status == 500


def test_a_long_listing_leaves_no_descriptor_open(many: Path) -> None:
    whole(get(many))
    assert descriptors(os.getpid(), str(many)) == []
    unsent, begun = get(many), get(many)
    assert begun.body.more()  # type: ignore[union-attr]
    for response in (unsent, begun):
        response.body.close()  # type: ignore[union-attr]
    del unsent, begun, response
    assert descriptors(os.getpid(), str(many)) == []


def test_only_so_many_long_ones_at_once(many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_module, "_long", LongAnswers(1))
    first = get(many)
    with pytest.raises(HTTPError) as refused:
        get(many)
    assert (refused.value.status, refused.value.headers) == (503, (("Retry-After", "5"),))
    whole(first)
    del first
    get(many)


# ---- the header above, the README below


def shown(root: Path) -> str | None:
    """The text of the README on the page of a folder, None where there is none."""
    _, found, rest = page(root).partition("</table>")[2].partition("<pre>")
    return rest.partition("</pre>")[0] if found else None


def shown_above(root: Path) -> str | None:
    """The same of the header."""
    _, found, rest = page(root).partition("<table>")[0].partition("<pre>")
    return rest.partition("</pre>")[0] if found else None


def test_a_header_stands_above_and_a_readme_below(tmp_path: Path) -> None:
    assert shown_above(tmp_path) is None
    (tmp_path / "README").write_text("below")
    for name, text in [("Header", "third"), ("HEADER.TXT", "second"), ("header.md", "first & <b>only</b>")]:
        (tmp_path / name).write_text(text)
        assert (shown_above(tmp_path), shown(tmp_path)) == (
            text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
            "below",
        )
        assert name in page(tmp_path)
    (tmp_path / "header.md").write_text("x" * (SHOWN + 1))
    assert shown_above(tmp_path) == "x" * SHOWN
    assert "read it all" in page(tmp_path).partition("<table>")[0]


def test_a_long_listing_has_its_header_above(many: Path) -> None:
    (many / "z header.md").touch()
    assert b"<pre>" not in whole(get(many))
    before = etag(get(many))
    (many / "HEADER.md").write_text("above")
    assert b"<pre>above</pre>" in whole(get(many)).partition(b"<table>")[0]
    assert etag(get(many)) != before


def test_a_readme_stands_below(tmp_path: Path) -> None:
    assert shown(tmp_path) is None
    for name, text in [("ReadMe", "third"), ("README.TXT", "second"), ("readme.md", "first")]:
        (tmp_path / name).write_text(text)
        assert shown(tmp_path) == text
    (tmp_path / "readme.md").write_text("<script>alert(1)</script>\n")
    assert shown(tmp_path) == "&lt;script&gt;alert(1)&lt;/script&gt;\n"
    assert "readme.md" in page(tmp_path, query="filter=nothing")


@pytest.mark.parametrize("content", [b"", b" \n", b"binary\0"])
def test_a_readme_that_says_nothing_is_not_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "README").write_bytes(content)
    assert shown(tmp_path) is None


def test_a_readme_that_cannot_be_read_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README").write_text("text")
    plain = Root.open

    def refuses(self: Root, parts: list[bytes]) -> tuple[int, os.stat_result]:
        if parts == [b"README"]:
            raise PermissionError(13, "no")
        return plain(self, parts)

    monkeypatch.setattr(Root, "open", refuses)
    assert shown(tmp_path) is None


def test_a_readme_that_is_no_file_of_ours_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "root" / "README.md").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root" / "README").symlink_to(tmp_path / "secret")
    assert shown(tmp_path / "root") is None


def test_of_a_long_readme_the_beginning_is_shown(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("é" * SHOWN)
    assert shown(tmp_path) == "é" * (SHOWN // 2)
    assert "read it all" in page(tmp_path)
    (tmp_path / "README").write_bytes(b"x" + "é".encode() * (SHOWN // 2 - 1) + b"\xc3")
    assert shown(tmp_path) == "x" + "é" * (SHOWN // 2 - 1) + "\ufffd"
    (tmp_path / "README").write_bytes(b"x" + "é".encode() * SHOWN)
    assert shown(tmp_path) == "x" + "é" * (SHOWN // 2 - 1)


# ---- what is left out


def test_a_guard_leaves_out_what_it_keeps(root: Path) -> None:
    guard = Keeping("/file9.txt", "/sub/")
    assert {"file9.txt", "sub"}.isdisjoint(names(root, guard=guard))
    assert "/Zoo/" in guard.asked
    assert "deeper" not in page(root, "/sub/", guard=Keeping("/sub/deeper/"))


def test_archives_are_offered_where_there_are_archives(root: Path) -> None:
    assert Links(page(root)).queries[1:3] == ["?download=tar.gz", "?download=zip"]
    assert "?download=zip" not in Links(page(root, archives=False)).queries


# ---- a hundred thousand entries


@pytest.fixture(scope="module")
def hundred_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("long")
    (root / "many").mkdir()
    (root / "small.txt").write_text("small")
    folder = os.open(root / "many", os.O_RDONLY)
    for number in range(100_000):
        os.close(os.open(f"file number {number}.txt", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("accept", FORMS)
def test_no_turn_is_long_while_a_hundred_thousand_entries_are_listed(hundred_thousand: Path, accept: str) -> None:
    """In processor time of this thread, which a busy machine does not make longer: what the loop does not do else."""
    turns: list[float] = []

    def turn(call: Callable[[], object]) -> object:
        began = time.thread_time()
        result = call()
        turns.append(time.thread_time() - began)
        return result

    response = answered(StaticFiles(hundred_thousand), request("/many/", headers={"Accept": accept}), turn)
    assert not isinstance(response.body, bytes)
    with closing(response.body):  # type: ignore[type-var]
        while turn(response.body.more) != b"":
            pass
    turns.sort()
    usual, worst = turns[len(turns) * 9 // 10], turns[-1]
    print(f"100,000 entries as {accept}: {len(turns)} turns, {1000 * usual:.1f} ms, {1000 * worst:.0f} ms at worst")
    assert SLICE <= 0.002
    # Three of them: a step may begin when the slice has just not ended.  The worst is for Python's garbage.
    assert usual < 0.006
    assert worst < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("accept", FORMS)
@pytest.mark.parametrize("query", ["", "?sort=date&order=desc"])
def test_others_are_served_while_a_hundred_thousand_entries_are_listed(
    hundred_thousand: Path, accept: str, query: str
) -> None:
    took: list[float] = []
    listed = threading.Event()

    def other(port: int) -> None:
        with closing(HTTPConnection("127.0.0.1", port)) as client:
            while not listed.is_set():
                began = time.monotonic()
                client.request("GET", "/small.txt")
                assert client.getresponse().read() == b"small"
                took.append(time.monotonic() - began)

    with LiveServer(hundred_thousand, "--access-log", "off") as server:
        client = threading.Thread(target=other, args=(server.port,))
        client.start()
        assert until(lambda: len(took) > 100)
        content = bytearray()
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(f"GET /many/{query} HTTP/1.0\r\nAccept: {accept}\r\n\r\n".encode())
            before, began = len(took), time.monotonic()
            while data := sock.recv(1 << 20):
                content += data
            meanwhile, whole = took[before:], time.monotonic() - began
        listed.set()
        client.join()
    assert content.startswith(b"HTTP/1.0 200 OK\r\n")
    assert content.count(b"file%20number" if accept != "text/plain" else b"file number") == 100_000
    # In one go nobody is answered until the end.  A busy machine takes longer for everything.
    assert len(meanwhile) > 20
    assert statistics.median(meanwhile) < 5 * statistics.median(took[:before]) + 0.02
    assert max(meanwhile) < whole / 2
