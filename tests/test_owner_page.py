"""The owner's page: what came in, filtered, turned over, marked, saved; nothing of it is more than text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from httpd import HTTPError, Router
from httpd.inbox import deliveries
from httpd.inbox.opening import open_inbox
from httpd.inbox.page import owner_page
from httpd.inbox.submissions import Wanted, each, keep, mark_seen, new_submission
from httpd.inbox.targets import Target
from httpd.protocol.files import File
from httpd.site.uploads import SpooledFile
from httpd.store.database import Database

from .exchange import Answer, Exchange, get, post
from .tools import needs_module

HOSTILE = "</title></textarea><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e\x1b{{7*7}}"


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        assert answer.status == 200, answer.body
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(answer.body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.tags if tag == "a"]

    def ids(self) -> list[str]:
        """The submissions that are in the table, from top to bottom."""
        return [urlsplit(link).path[11:] for link in self.links() if link.startswith("submission/")]

    def fields(self, name: str) -> list[str | None]:
        return [each.get("value") for tag, each in self.tags if tag in ("input", "button") and each.get("name") == name]


class Owner:
    """The page below /inbox, asked as a browser does."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.site = Router()
        self.site.mount("/inbox", owner_page(database))

    def ask(self, request: bytes) -> Answer:
        [answer] = Exchange([request], self.site).answers(request.split(b" ")[0].decode())
        return answer

    def get(self, path: str = "/inbox/") -> Answer:
        return self.ask(get(path))

    def page(self, path: str = "/inbox/") -> Page:
        return Page(self.get(path))

    def post(self, said: list[tuple[str, str]], *fields: str) -> Answer:
        return self.ask(
            post(
                urlencode(said).encode(),
                "Content-Type: application/x-www-form-urlencoded",
                *(fields or ["Sec-Fetch-Site: same-origin"]),
                path="/inbox/mark",
            )
        )

    def put(self, *fields: tuple[str, str], form: str = "/contact", at: int = 0, **more: Any) -> str:
        """Store a submission; its id."""
        submission = new_submission(form, 1_700_000_000_000_000 + at, "192.0.2.1", "", fields or [("message", "hello")])
        files = []
        for name, media_type, content in more.get("files", ()):
            file = File("cv", name, media_type)
            file.write(content)
            files.append(("cv", file))

        def work(transaction: Any) -> None:
            keep(transaction, submission, files)
            deliveries.enqueue(transaction, submission.id, more.get("targets", ()), submission.received)

        self.database.write(work)
        return submission.id

    def read(self) -> set[str]:
        """The submissions that are marked as read."""
        return {one.id for one in self.database.read(lambda t: list(each(t, Wanted(seen=True))))}


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    database = open_inbox(f"sqlite:{tmp_path / 'inbox.db'}")
    yield Owner(database)
    database.close()


# ---- the table


def test_an_empty_inbox_says_so(owner: Owner) -> None:
    page = owner.page()
    assert "Nothing has come in yet." in page.text
    assert "0 unread" in page.text


def test_the_newest_first(owner: Owner) -> None:
    old = owner.put(("name", "Ada"), ("message", "one\ntwo"))
    new = owner.put(form="/order", at=10, files=[("a.pdf", "application/pdf", b"x")])
    page = owner.page()
    assert page.ids() == [new, old]
    assert "Ada one two" in page.text
    assert "1 file" in page.text
    assert "2 unread" in page.text
    assert "2 submissions" in page.text


def test_it_is_for_nobody_else_to_keep_or_to_frame(owner: Owner) -> None:
    identity = owner.put(files=[("a", "text/html", b"x")])
    for path in ("/inbox/", f"/inbox/submission/{identity}", f"/inbox/submission/{identity}/0", "/inbox/export.csv"):
        answer = owner.get(path)
        assert answer["Cache-Control"] == "no-store"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert not [tag for tag, _ in (Page(answer).tags if path.endswith("/") else []) if tag == "script"]


def test_the_filter(owner: Owner) -> None:
    read = owner.put(("message", "Straße 100%"))
    order = owner.put(form="/order", at=1)
    hello = owner.put(at=2)
    owner.database.write(lambda t: mark_seen(t, [read]))
    assert owner.page("/inbox/?form=/order").ids() == [order]
    assert owner.page("/inbox/?text=0%25").ids() == [read]
    assert owner.page("/inbox/?unread=yes").ids() == [hello, order]
    assert owner.page("/inbox/?unread=yes&form=/contact").ids() == [hello]
    page = owner.page("/inbox/?text=zzz")
    assert page.ids() == []
    assert "Nothing here is like that." in page.text


@pytest.mark.parametrize("text", [HOSTILE, "%_\\", "x" * 10_000])
def test_whatever_is_looked_for_is_a_text(owner: Owner, text: str) -> None:
    owner.put()
    query = urlencode({"text": text, "form": text, "before": text})
    page = owner.page(f"/inbox/?{query[:7_000]}")
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == []


def test_turning_pages_keeps_the_filter(owner: Owner) -> None:
    made = [owner.put(form="/a" if number % 2 else "/b", at=number) for number in range(240)]
    wanted = made[1::2][::-1]
    found, query, pages = [], "?form=/a", 0
    while True:
        page = owner.page(f"/inbox/{query}")
        found += page.ids()
        pages += 1
        assert "120 submissions" in page.text
        older = [link for link in page.links() if "before=" in link and link.startswith("./")]
        if not older:
            break
        query = older[0][2:]
        assert parse_qs(query[1:])["form"] == ["/a"]
    assert found == wanted
    assert pages == 3
    assert "./?form=%2Fa" in page.links(), "the way to the newest"


# ---- one submission


def test_all_of_one(owner: Owner) -> None:
    identity = owner.put(
        ("name", "Ada"),
        ("message", " one\n  two"),
        files=[("plan.pdf", "application/pdf", b"x" * 2_000)],
        targets=[Target("webhook", "https://hooks.example/secret")],
    )
    answer = owner.get(f"/inbox/submission/{identity}?form=/contact")
    page = Page(answer)
    assert "192.0.2.1" in page.text
    assert " one\n  two" in page.text
    assert "plan.pdf 2.00 kB, application/pdf" in page.text
    assert "pending webhook https://hooks.example" in page.text
    assert "secret" not in page.text
    assert page.links() == ["../?form=%2Fcontact", f"{identity}/0"]


@pytest.mark.parametrize("path", ["submission/nobody", "submission/A%20B", "submission/x/0",
                                  "export.exe", "submission/"])  # fmt: skip
def test_what_is_not_there(owner: Owner, path: str) -> None:
    assert owner.get(f"/inbox/{path}").status == 404


def test_nothing_that_came_in_is_more_than_text(owner: Owner) -> None:
    identity = owner.put(
        (HOSTILE, HOSTILE),
        (HOSTILE, HOSTILE),
        form="/" + HOSTILE,
        files=[(HOSTILE, "text/html\u202e<b>", b"x")],
        targets=[Target("mail", HOSTILE)],
    )
    for path in ("/inbox/", f"/inbox/submission/{identity}"):
        page = owner.page(path)
        assert [tag for tag, _ in page.tags if tag in ("script", "img", "b", "textarea")] == []
        assert "{{7*7}}" in page.text
        assert "<script>alert(1)</script>" in page.text
        assert [tag for tag, attributes in page.tags if any(name.startswith("on") for name in attributes)] == []


# ---- its files


@pytest.mark.parametrize(
    ("name", "media_type", "saved", "said"),
    [
        ("plan.pdf", "application/pdf", 'filename="plan.pdf"', "application/pdf"),
        ("page.html", "text/html", 'filename="page.html"', "application/octet-stream"),
        ("x.svg", "image/svg+xml", 'filename="x.svg"', "application/octet-stream"),
        ("Bräu.txt", "text/plain", "filename*=UTF-8''Br%C3%A4u.txt", "text/plain"),
        ('a"; b\r\nSet-Cookie: c', "text/plain", 'filename="a__ b_nSet-Cookie_ c"', "text/plain"),
        ("\u202egnp.exe", "image/png", 'filename="_u202egnp.exe"', "image/png"),
        ("", "x\r\ny", "-0", "application/octet-stream"),
    ],
)
def test_a_file_is_only_ever_saved(owner: Owner, name: str, media_type: str, saved: str, said: str) -> None:
    identity = owner.put(files=[(name, media_type, b"content")])
    answer = owner.get(f"/inbox/submission/{identity}/0")
    assert (answer.status, answer.body) == (200, b"content")
    assert answer["Content-Disposition"].startswith("attachment; ")
    assert saved in answer["Content-Disposition"]
    assert answer["Content-Type"] == said
    assert "sandbox" in answer["Content-Security-Policy"]
    assert answer["Set-Cookie"] == ""


@pytest.mark.parametrize("size", [0, 65_536, 65_537, 1_000_000])
def test_files_of_any_length(owner: Owner, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    identity = owner.put(files=[("a", "text/plain", b"first"), ("b", "text/plain", content[:size])])
    answer = owner.get(f"/inbox/submission/{identity}/1")
    assert answer.body == content[:size]
    assert answer["Content-Length"] == str(size)
    head = owner.ask(get(f"/inbox/submission/{identity}/1", method="HEAD"))
    assert (head.body, head["Content-Length"]) == (b"", str(size))
    assert owner.get(f"/inbox/submission/{identity}/2").status == 404


def test_a_full_disk_is_said(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: SpooledFile, data: bytes) -> None:
        raise HTTPError(503, "There is no room for it on this server.")

    identity = owner.put(files=[("a", "text/plain", b"x")])
    monkeypatch.setattr(SpooledFile, "write", full)
    assert owner.get(f"/inbox/submission/{identity}/0").status == 503


def test_a_database_that_cannot_be_reached_is_said() -> None:
    needs_module("psycopg")
    gone = open_inbox("postgresql://127.0.0.1:1/none")
    answer = Owner(gone).get()
    assert (answer.status, answer["Retry-After"]) == (503, "5")
    gone.close()


# ---- exports


def test_the_exports_are_of_what_is_shown(owner: Owner) -> None:
    owner.put(("name", "=1+1"))
    owner.put(("name", "other"), form="/order", at=1)
    table = owner.get("/inbox/export.csv?form=/contact")
    [row] = csv.DictReader(io.StringIO(table.body.decode("utf-8-sig"), newline=""))
    assert row["name"] == "'=1+1"
    assert table["Content-Disposition"].startswith('attachment; filename="inbox.csv"')
    assert table["Content-Type"] == "text/csv; charset=utf-8"
    lines = owner.get("/inbox/export.jsonl")
    assert [json.loads(line)["form"] for line in lines.body.splitlines()] == ["/contact", "/order"]
    assert lines["Content-Type"] == "application/x-ndjson"


# ---- marking


def test_what_is_chosen_is_marked(owner: Owner) -> None:
    first, second, third = (owner.put(at=number) for number in range(3))
    answer = owner.post([("id", first), ("id", third), ("as", "read"), ("form", "/contact"), ("unread", "yes")])
    assert (answer.status, answer["Location"]) == (303, "./?form=%2Fcontact&unread=yes")
    assert owner.read() == {first, third}
    assert "1 unread" in owner.page().text
    assert owner.post([("id", first), ("as", "unread")])["Location"] == "./"
    assert owner.read() == {third}
    assert owner.post([("as", "read")]).status == 303
    assert owner.read() == {third}
    assert second not in owner.read()


def test_one_that_is_marked_by_itself_is_seen_again(owner: Owner) -> None:
    identity = owner.put()
    page = owner.page(f"/inbox/submission/{identity}?unread=yes")
    assert page.fields("as") == ["read"]
    said = [(name, str(page.fields(name)[0])) for name in ("id", "stay", "unread", "as")]
    assert owner.post(said)["Location"] == f"submission/{identity}?unread=yes"
    assert owner.page(f"/inbox/submission/{identity}").fields("as") == ["unread"]


@pytest.mark.parametrize("foreign", ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
                                     "Origin: http://b", "Origin: null", "Referer: http://b/inbox/"])  # fmt: skip
def test_no_other_site_marks_anything(owner: Owner, foreign: str) -> None:
    identity = owner.put()
    assert owner.post([("id", identity), ("as", "read")], foreign).status == 403
    assert owner.read() == set()


def test_no_link_changes_anything(owner: Owner) -> None:
    identity = owner.put()
    assert owner.get(f"/inbox/mark?id={identity}&as=read").status == 405
    owner.page(f"/inbox/submission/{identity}")
    assert owner.read() == set()


@pytest.mark.parametrize("identity", ["", "\0", "x'; DROP TABLE submissions; --", "../../x", "//evil.example"])
def test_ids_that_are_none_do_nothing(owner: Owner, identity: str) -> None:
    owner.put()
    answer = owner.post([("id", identity), ("as", "read"), ("stay", "yes")])
    assert (answer.status, answer["Location"]) == (303, "./")
    assert owner.read() == set()


@pytest.mark.parametrize("size", range(3))
def test_where_it_leads_stays_here(owner: Owner, size: int) -> None:
    said = [("form", "//evil.example\r\nX: y"), ("text", "https://evil.example"), ("before", "\\evil")]
    location = owner.post(said[: size + 1])["Location"]
    assert re.fullmatch(r"\./\?[\w=&%.+-]+", location)
