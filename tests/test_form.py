"""A form at a path: shown, checked, stored before it is acknowledged, and never twice."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from httpd import HTTPError, Request, Response, StaticFiles, text
from httpd.inbox.declared import declare
from httpd.inbox.form import FormHandler
from httpd.inbox.forms import Forms
from httpd.inbox.schema import SCHEMA
from httpd.inbox.submissions import Submission, Wanted, files_of, page, pieces
from httpd.inbox.tokens import SignedTokens
from httpd.store.database import Database, open_database
from httpd.store.errors import Full, Unavailable
from httpd.wsgi import WSGI

from .exchange import Answer, Clock, Exchange, get, post

GOOD = {"name": "Ann", "email": "ann@example.org", "message": "Hello\r\nthere"}
URLENCODED = "Content-Type: application/x-www-form-urlencoded"
AS_JSON = "Accept: application/json"
JSON_CONTENT = "Content-Type: application/json"


class AtOnce:
    """A database whose writer is whoever asks; `fault` is what it raises instead."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.fault: Exception | None = None
        self.begun: list[Callable[[], object]] = []
        self.waits = False
        self.read = database.read

    def begin(self, work: Callable[[Any], Any], then: Callable[[Any, BaseException | None], object]) -> None:
        if isinstance(self.fault, Full):
            raise self.fault

        def do() -> None:
            try:
                if self.fault:
                    raise self.fault
                result = self.database.write(work)
            except Exception as error:
                then(None, error)
            else:
                then(result, None)

        if self.waits:
            self.begun.append(do)
        else:
            do()

    def write(self, work: Callable[[Any], Any]) -> Any:
        if self.fault:
            raise self.fault
        return self.database.write(work)


class Site:
    """A form beside a site, and what has come of it."""

    def __init__(self, database: Database, site: Callable[..., Response], table: dict[str, Any], **more: Any) -> None:
        self.clock = Clock()
        self.clock.now = 1_795_000_000.0
        self.store: Any = AtOnce(database)
        declaration = declare("/contact", table)
        self.handler = FormHandler(declaration, self.store, clock=self.clock, **more)
        self.site = Forms(site, [self.handler], database)

    def ask(self, *requests: bytes) -> list[Answer]:
        methods = [request.split(b" ")[0].decode() for request in requests]
        exchange = Exchange(requests, self.site)
        return exchange.answers(*methods)

    def get(self, path: str = "/contact", *fields: str) -> Answer:
        [answer] = self.ask(get(path, *fields))
        return answer

    def post(self, values: dict[str, Any] | list[tuple[str, str]], *fields: str) -> Answer:
        # So that ids tell what came first.
        self.clock.now += 1e-6
        [answer] = self.ask(post(urlencode(values, doseq=True).encode(), URLENCODED, *fields, path="/contact"))
        return answer

    def post_json(self, value: Any, *fields: str) -> Answer:
        [answer] = self.ask(post(json.dumps(value).encode(), JSON_CONTENT, *fields, path="/contact"))
        return answer

    def token(self, *fields: str) -> str:
        return str(json.loads(self.get("/contact", AS_JSON, *fields).body)["_token"])

    @property
    def stored(self) -> list[Submission]:
        found: list[Submission] = self.store.database.read(lambda transaction: page(transaction, Wanted()))
        return found[::-1]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(open_database(f"sqlite:{tmp_path / 'inbox.db'}", [SCHEMA])) as opened:
        yield opened


@pytest.fixture
def make(database: Database) -> Callable[..., Site]:
    def made(site: Callable[..., Response] = lambda request: text("the site"), **table: Any) -> Site:
        return Site(database, site, table)

    return made


@pytest.fixture
def site(make: Callable[..., Site]) -> Site:
    return make()


def values_in(answer: Answer) -> dict[str, str]:
    """What stands in the fields of a page."""
    found = dict(re.findall(r'<input [^>]*?name="([^"]+)"[^>]*? value="([^"]*)"', answer.body.decode()))
    return found | dict(re.findall(r'<textarea [^>]*?name="([^"]+)"[^>]*>\n([^<]*)</textarea>', answer.body.decode()))


# ---- showing it


def test_the_form_is_shown_with_a_label_for_each_field(site: Site) -> None:
    answer = site.get()
    shown = answer.body.decode()
    assert answer.status == 200
    assert '<form action="/contact" method="post">' in shown
    assert '<label for="field-2">Email</label>' in shown
    assert '<input type="email" id="field-2" name="email" required autocomplete="email" value="">' in shown
    assert answer["cache-control"] == "no-store"
    assert "default-src 'none'" in answer["content-security-policy"]
    assert "<script" not in shown
    assert "form" not in answer["set-cookie"]


def test_all_else_is_the_sites(site: Site, make: Callable[..., Site]) -> None:
    assert site.get("/").body == site.get("/contact/us").body == b"the site"
    taken = []

    def whole(request: Request) -> Response:
        taken.append((request.method, request.path))
        return text("whole")

    [answer] = make(whole).ask(post(b"x", path="/a//b"))
    assert answer.body == b"whole"
    assert taken == [("POST", "/a//b")]


def test_the_form_says_what_it_takes(site: Site) -> None:
    [answer] = site.ask(get("/contact", method="OPTIONS"))
    assert (answer.status, answer["allow"]) == (204, "GET, HEAD, POST, OPTIONS")


def test_a_page_of_the_sites_shows_it_instead(make: Callable[..., Site], tmp_path: Path) -> None:
    answer = make(page="/contact.html").get()
    assert (answer.status, answer["location"]) == (303, "/contact.html")
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "contact.html").write_text("<form action='/contact' method=post>")
    own = make(StaticFiles(folder), page="/contact")
    assert own.get().body == b"<form action='/contact' method=post>"
    assert own.post(GOOD).status == 303
    assert len(own.stored) == 1


def test_a_program_is_told_what_the_form_asks_for(make: Callable[..., Site]) -> None:
    field = {"type": "choice", "choices": ["a", "b"], "multiple": True, "max": 2}
    file = {"type": "file", "accept": ["image/*"], "size": "1K", "help": "A picture."}
    told = json.loads(make(fields={"it": field, "file": file}).get("/contact", AS_JSON).body)
    assert told.pop("_token")
    assert ".0" not in json.dumps(told)
    assert told == {
        "path": "/contact",
        "title": "Contact",
        "fields": [
            {
                "name": "it", "type": "choice", "label": "It", "required": False, "choices": ["a", "b"],
                "multiple": True, "max": 2,
            },
            {
                "name": "file", "type": "file", "label": "File", "required": False, "accept": ["image/*"], "max": 1,
                "size": 1024, "help": "A picture.",
            },
        ],
    }  # fmt: skip


def test_each_kind_of_field_has_its_control(make: Callable[..., Site]) -> None:
    many = [str(number) for number in range(9)]
    shown = make(
        intro="<b>We</b> answer.",
        button="Go",
        fields={
            "lines": {"lines": 3, "help": "Some <i>help</i>"},
            "few": {"type": "choice", "choices": ["red & blue", "green"], "required": True},
            "many": {"type": "choice", "choices": many},
            "any": {"type": "choice", "choices": ["x"], "multiple": True, "help": "Any."},
            "cv": {"type": "file", "accept": ["application/pdf", "image/*"], "multiple": True},
            "number": {"type": "number", "min": 1, "max": 2.5},
            "url": {"type": "url"},
            "name": {},
        },
    ).get()
    body = shown.body.decode()
    for part in (
        "&lt;b&gt;We&lt;/b&gt; answer.",
        "<button>Go</button>",
        'enctype="multipart/form-data"',
        '<textarea rows="3" dir="auto" id="field-1" name="lines" aria-describedby="field-1-help">',
        "Some &lt;i&gt;help&lt;/i&gt;",
        '<input type="radio" name="few" value="red &amp; blue" required> red &amp; blue',
        '<select id="field-3" name="many">',
        "<option>8</option>",
        '<fieldset id="field-2" tabindex="-1" role="radiogroup">',
        '<fieldset id="field-4" tabindex="-1" aria-describedby="field-4-help">',
        '<input type="checkbox" name="any" value="x"> x',
        '<input type="file" id="field-5" name="cv" multiple accept="application/pdf,image/*">',
        'step="any" min="1" max="2.5"',
        '<input type="url" id="field-7" name="url" autocomplete="url" value="">',
        '<input type="text" dir="auto" id="field-8" name="name"',
        '<span class="optional">(optional)</span>',
    ):
        assert part in body


# ---- what is good is stored, and then acknowledged


def test_what_is_sent_is_stored_and_answered_with_a_redirect(site: Site) -> None:
    answer = site.post(GOOD)
    assert (answer.status, answer["location"]) == (303, "/contact/sent")
    [stored] = site.stored
    assert stored.fields == [("name", "Ann"), ("email", "ann@example.org"), ("message", "Hello\nthere")]
    assert (stored.form, stored.address, stored.received) == ("/contact", "192.0.2.1", 1_795_000_000_000_001)
    assert b"Thank you" in site.get("/contact/sent").body


def test_nothing_is_acknowledged_before_it_is_stored(site: Site) -> None:
    site.store.waits = True
    exchange = Exchange([post(urlencode(GOOD).encode(), URLENCODED, path="/contact")], site.site)
    assert exchange.output == b""
    site.store.begun.pop()()
    assert exchange.answers()[0].status == 303


def test_the_site_has_a_page_of_thanks(make: Callable[..., Site]) -> None:
    site = make(thanks="/thanks.html?from=contact")
    assert site.post(GOOD)["location"] == "/thanks.html?from=contact"
    assert site.get("/contact/sent").body == b"the site"


def test_json_is_answered_with_json(site: Site) -> None:
    answer = site.post_json({**GOOD, "name": 5, "email": ["ann@example.org"]})
    assert answer.status == 201
    [stored] = site.stored
    assert json.loads(answer.body) == {"id": stored.id}
    assert stored.fields[0] == ("name", "5")


def test_accept_says_how_to_answer(site: Site) -> None:
    assert site.post(GOOD, AS_JSON).status == 201
    assert site.post(GOOD, "Accept: application/problem+json").status == 201
    assert site.post(GOOD, "Accept: text/html,application/xhtml+xml,*/*;q=0.8").status == 303
    assert site.post_json(GOOD, "Accept: text/html").status == 303


def multipart(*parts: tuple[str, str, str, bytes]) -> bytes:
    """A form in parts: (field, filename or "", media type, content)."""
    pieces = []
    for name, filename, media_type, content in parts:
        more = f'; filename="{filename}"\r\nContent-Type: {media_type}' if filename else ""
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        pieces.append(head.encode() + content + b"\r\n")
    body = b"".join(pieces) + b"--x--\r\n"
    return post(body, "Content-Type: multipart/form-data; boundary=x", path="/contact")


def test_files_are_stored_with_it(make: Callable[..., Site]) -> None:
    site = make(fields={"name": {}, "cv": {"type": "file", "accept": ["application/pdf"], "required": True}})
    content = b"%PDF-" + bytes(range(256)) * 4_000
    [answer] = site.ask(multipart(("name", "", "", b"Ann"), ("cv", "../my cv.pdf", "application/pdf", content)))
    assert answer.status == 303
    [stored] = site.stored

    def look(transaction: Any) -> None:
        [file] = files_of(transaction, stored.id)
        assert file[2:] == ("cv", "my cv.pdf", "application/pdf", len(content))
        assert b"".join(pieces(transaction, stored.id, 0)) == content

    site.store.database.read(look)


def test_a_form_without_files_takes_one_in_parts(site: Site) -> None:
    [answer] = site.ask(multipart(*((name, "", "", value.encode()) for name, value in GOOD.items())))
    assert answer.status == 303


LARGE = bytes(range(256)) * 20_000


@pytest.fixture
def photos(make: Callable[..., Site]) -> Site:
    return make(fields={"name": {}, "photo": {"type": "file"}})


def large(content: bytes = LARGE, *fields: tuple[str, str]) -> bytes:
    texts = [(name, "", "", value.encode()) for name, value in (("name", "Ann"), *fields)]
    return multipart(*texts, ("photo", "sea.jpg", "image/jpeg", content))


def test_a_large_file_is_kept_like_any_other(photos: Site) -> None:
    token = ("_token", photos.token())
    for _ in range(2):
        assert photos.ask(large(LARGE, token))[0].status == 303
    photos.clock.now += 1
    assert photos.ask(large(LARGE[1:], token))[0].status == 303
    first, second = photos.stored
    for stored, content in ((first, LARGE), (second, LARGE[1:])):
        there = photos.store.read(lambda seen, identity=stored.id: b"".join(pieces(seen, identity, 0)))
        assert there == content


def test_a_large_file_that_cannot_be_kept_is_told_and_leaves_nothing(photos: Site) -> None:
    photos.store.fault = Unavailable("the disk is full")
    [answer] = photos.ask(large())
    assert (answer.status, answer["retry-after"]) == (503, "5")
    assert values_in(answer)["name"] == "Ann"
    assert photos.stored == []


# ---- what is wrong is said, and what was typed is kept


def test_errors_are_shown_with_what_was_typed(site: Site) -> None:
    answer = site.post({"name": '"><script>', "email": "ann@example", "message": "  two\r\n</textarea>lines "})
    shown = answer.body.decode()
    assert answer.status == 422
    assert site.stored == []
    assert values_in(answer)["email"] == "ann@example"
    assert "&#34;&gt;&lt;script&gt;" in shown
    assert "  two\r\n&lt;/textarea&gt;lines </textarea>" in shown
    assert '<a href="#field-2">Email</a>: This is not an e-mail address' in shown
    assert 'aria-invalid="true" aria-describedby="field-2-error"' in shown
    assert '<p class="error" id="field-2-error">' in shown
    assert 'role="alert"' in shown
    assert "<title>Not sent: Contact</title>" in shown
    again = values_in(answer) | {"email": "ann@example.org", "name": "Ann", "message": "x"}
    assert site.post(again).status == 303


def test_choices_that_were_made_stay(make: Callable[..., Site]) -> None:
    site = make(
        fields={
            "few": {"type": "choice", "choices": ["a", "b"]},
            "many": {"type": "choice", "choices": list("0123456789")},
            "it": {"required": True},
            "any": {"type": "choice", "choices": ["x", "y"], "multiple": True},
        }
    )
    shown = site.post({"few": "b", "many": "7", "any": ["x", "y"]}).body.decode()
    assert 'value="b" checked' in shown
    assert 'value="a" checked' not in shown
    assert "<option selected>7</option>" in shown
    wrong = site.post({"few": "c", "it": "x", "any": "z"}).body.decode()
    assert '<fieldset class=wrong id="field-1" tabindex="-1" role="radiogroup" aria-invalid="true"' in wrong
    assert '<fieldset class=wrong id="field-4" tabindex="-1" aria-describedby="field-4-error">' in wrong
    assert 'value="x" checked' in shown
    assert 'value="y" checked' in shown


def test_a_file_has_to_be_chosen_again_and_the_page_says_so(make: Callable[..., Site]) -> None:
    site = make(fields={"name": {"required": True}, "cv": {"type": "file"}})
    [answer] = site.ask(multipart(("cv", "a<b.pdf", "application/pdf", b"x")))
    assert answer.status == 422
    assert "a&lt;b.pdf did not stay here: please choose it again." in answer.body.decode()


def test_errors_as_json_are_a_problem(site: Site) -> None:
    answer = site.post_json({"name": "Ann", "email": "x"})
    assert answer.status == 422
    assert answer["content-type"] == "application/problem+json"
    assert json.loads(answer.body) == {
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "Some fields are not as they should be.",
        "errors": [
            {
                "detail": "This is not an e-mail address, such as ann@example.org.",
                "pointer": "#/email",
                "field": "email",
            },
            {"detail": "Please fill this in.", "pointer": "#/message", "field": "message"},
        ],
    }


def test_a_field_of_no_form_is_told(site: Site) -> None:
    answer = site.post({**GOOD, "e<mail": "x"})
    assert answer.status == 422
    assert "This form has no field &#39;e&lt;mail&#39;." in answer.body.decode()
    assert json.loads(site.post_json({**GOOD, "more": "x"}).body)["errors"][0]["pointer"] == "#"


@pytest.mark.parametrize(
    ("content", "field", "status"),
    [
        (b"x", "Content-Type: text/plain", 415),
        (b"[]", JSON_CONTENT, 400),
        (b'{"name": {}}', JSON_CONTENT, 400),
        (b'{"name": true}', JSON_CONTENT, 400),
        (b'{"name": [["x"]]}', JSON_CONTENT, 400),
        (b"{", JSON_CONTENT, 400),
        (b"name=%f", URLENCODED, 400),
        (b"name=%ff", URLENCODED, 400),
    ],
)
def test_what_is_no_form_is_an_error(site: Site, content: bytes, field: str, status: int) -> None:
    [answer] = site.ask(post(content, field, path="/contact"))
    assert answer.status == status
    assert site.stored == []


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        (b'{"name": true}', [JSON_CONTENT], 400),
        (b"{", [JSON_CONTENT, "Accept: */*"], 400),
        (b"{}", [JSON_CONTENT + "; charset=latin-1"], 415),
        (b"x" * 2_000_000, [JSON_CONTENT], 413),
        (b"x", ["Content-Type: text/plain", AS_JSON], 415),
        (b"x" * 2_000_000, [URLENCODED, AS_JSON], 413),
        (b"name=%ff", [URLENCODED, AS_JSON], 400),
        (b"--x\r\n", ["Content-Type: multipart/form-data; boundary=x", AS_JSON], 400),
        (b"--x\r\n", ["Content-Type: multipart/form-data; boundary=", AS_JSON], 400),
    ],
)
def test_a_program_is_told_of_every_fault_in_the_same_way(
    site: Site, content: bytes, fields: list[str], status: int
) -> None:
    [answer] = site.ask(post(content, *fields, path="/contact"))
    assert (answer.status, answer["content-type"]) == (status, "application/problem+json")
    told = json.loads(answer.body)
    assert (told["status"], told.keys() - {"errors"}) == (status, {"title", "status", "detail"})
    if b"%ff" in content:
        assert told["errors"] == [{"detail": "This is not UTF-8.", "pointer": "#/name", "field": "name"}]


def test_who_sends_json_and_would_rather_have_a_page_gets_one(site: Site) -> None:
    [answer] = site.ask(post(b"{", JSON_CONTENT, "Accept: text/html, */*;q=0.1", path="/contact"))
    assert (answer.status, answer["content-type"]) == (400, "text/html; charset=utf-8")


def test_too_much_is_refused_before_it_is_read(make: Callable[..., Site]) -> None:
    length = f"Content-Length: {20 << 20}"
    site = make(fields={"cv": {"type": "file", "size": "2M"}})
    exchange = Exchange(
        [get("/contact", "Content-Type: multipart/form-data; boundary=x", length, method="POST")], site.site
    )
    assert exchange.answers("POST")[0].status == 413


def test_a_photo_that_is_far_too_large_loses_no_letter(make: Callable[..., Site]) -> None:
    site = make(fields={"message": {}, "photo": {"type": "file", "size": "1M"}})
    photo = ("photo", "sea.jpg", "image/jpeg", bytes(12 << 20))
    [answer] = site.ask(multipart(("message", "", "", b"A long letter"), photo))
    assert answer.status == 422
    assert values_in(answer)["message"] == "A long letter"
    assert "At most 1 MB, please; sea.jpg has 12 MB." in answer.body.decode()
    assert site.stored == []


# ---- who may send


def test_the_hidden_field_catches_programs_that_are_told_nothing(site: Site) -> None:
    answer = site.post({**GOOD, "_website": "https://spam.example/"})
    assert (answer.status, answer["location"]) == (303, "/contact/sent")
    answer = site.post_json({**GOOD, "_website": "x"})
    assert answer.status == 201
    assert len(json.loads(answer.body)["id"]) == 18
    assert site.stored == []
    assert site.post({**GOOD, "_website": ""}).status == 303
    assert len(site.stored) == 1


@pytest.mark.parametrize(
    "fields",
    [
        ["Origin: http://a"],
        ["Origin: https://a"],
        ["Origin: https://A:443"],
        ["Origin: http://a:80"],
        ["Referer: http://a/contact?x"],
        ["Origin: null", "Sec-Fetch-Site: same-origin"],
        ["Sec-Fetch-Site: none"],
        ["Sec-Fetch-Site: cross-site", "Origin: https://friend.example"],
        ["Origin: https://friend.example"],
        [],
    ],
)
def test_what_comes_from_ones_own_site_is_taken(make: Callable[..., Site], fields: list[str]) -> None:
    assert make(origins=["https://friend.example"]).post(GOOD, *fields).status == 303


@pytest.mark.parametrize(
    "fields",
    [
        ["Origin: http://b"],
        ["Origin: http://a:8080"],
        ["Origin: http://a.b"],
        ["Origin: null"],
        ["Origin: https://a/"],
        ["Referer: http://b/contact?http://a/"],
        ["Referer: about:blank"],
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site", "Origin: http://a"],
        ["Sec-Fetch-Site: cross-site", "Referer: http://a/"],
    ],
)
def test_what_comes_from_another_site_is_shown_to_the_person_first(site: Site, fields: list[str]) -> None:
    answer = site.post(GOOD, *fields)
    assert answer.status == 403
    assert values_in(answer)["name"] == "Ann", "a person may have written it, and presses the button"
    assert json.loads(site.post(GOOD, AS_JSON, *fields).body)["status"] == 403
    assert site.stored == []


def test_a_person_needs_some_time(make: Callable[..., Site]) -> None:
    site = make(**{"fill-time": 3})
    token = site.token()
    site.clock.now += 2
    answer = site.post({**GOOD, "_token": token})
    assert answer.status == 422
    assert "That was quick" in answer.body.decode()
    assert values_in(answer) == {**GOOD, "_token": token, "message": "Hello\r\nthere"}, "with the time that has passed"
    site.clock.now += 1
    assert site.post({**GOOD, "_token": token}).status == 303
    for token in ("", "x", "zzzzzzzz." + "a" * 16):
        assert site.post({**GOOD, "_token": token}).status == 422
    assert len(site.stored) == 1


def test_only_so_much_is_taken_from_one_address(make: Callable[..., Site]) -> None:
    site = make(rate="2/m")
    for _ in range(2):
        assert site.post(GOOD).status == 303
        assert site.post({**GOOD, "email": "x"}).status == 422, "what is not taken does not count"
        site.clock.now += 10
    answer = site.post(GOOD)
    assert (answer.status, answer["retry-after"]) == (429, "40")
    assert values_in(answer)["name"] == "Ann"
    answer = site.post(GOOD, AS_JSON)
    assert (answer.status, answer["content-type"], answer["retry-after"]) == (429, "application/problem+json", "40")
    site.clock.now += 40
    assert site.post(GOOD).status == 303
    assert len(site.stored) == 3


@pytest.mark.parametrize(
    ("rate", "told"),
    [("1/m", "in a minute."), ("1/3m", "in 3 minutes."), ("1/90m", "in 90 minutes."), ("1/d", "in 24 hours.")],
)
def test_who_has_sent_too_much_is_told_when_to_come_again(make: Callable[..., Site], rate: str, told: str) -> None:
    site = make(rate=rate)
    site.post(GOOD)
    site.clock.now += 30
    assert f"Please send it once more {told}" in site.post(GOOD).body.decode()


def test_a_network_counts_as_one_client(database: Database) -> None:
    site = Site(database, lambda request: text(""), {"rate": "1/m"}, client=lambda address: "all of it")
    assert site.post(GOOD).status == 303
    assert site.post(GOOD).status == 429


def test_what_was_there_already_and_what_was_not_stored_do_not_count(make: Callable[..., Site]) -> None:
    site = make(rate="1/m")
    site.store.fault = Unavailable("the disk is full")
    sent = {**GOOD, "_token": site.token()}
    assert {site.post(sent).status for _ in range(3)} == {503}
    site.store.fault = None
    assert {site.post(sent).status for _ in range(3)} == {303}, "whose answer was lost asks again"
    assert site.post_json(GOOD, "Idempotency-Key: a").status == 429
    assert len(site.stored) == 1


def test_all_processes_count_together(make: Callable[..., Site]) -> None:
    one, two = make(rate="2/m"), make(rate="2/m")
    assert [site.post(GOOD).status for site in (one, two, one, two)] == [303, 303, 429, 429]


def test_who_has_no_address_is_not_counted(database: Database) -> None:
    def through_a_socket(request: Request) -> Response:
        request.peer = ""
        return site.site(request)

    site = Site(database, lambda request: text(""), {"rate": "1/m"})
    content = post(urlencode(GOOD).encode(), URLENCODED, path="/contact")
    for _ in range(3):
        assert Exchange([content], through_a_socket).answers("POST")[0].status == 303


def test_a_rate_may_be_left_out(make: Callable[..., Site]) -> None:
    site = make(rate=False)
    assert {site.post(GOOD).status for _ in range(20)} == {303}


# ---- once


def test_what_is_sent_twice_from_one_page_is_stored_once(site: Site) -> None:
    sent = {**GOOD, "_token": site.token()}
    first, second = site.post(sent), site.post(sent)
    assert (first.status, first["location"]) == (second.status, second["location"]) == (303, "/contact/sent")
    assert json.loads(site.post(sent, AS_JSON).body) == {"id": site.stored[0].id}
    assert len(site.stored) == 1


def test_who_goes_back_and_writes_something_else_has_sent_two(site: Site) -> None:
    sent = {**GOOD, "_token": site.token()}
    site.post(sent)
    site.post({**sent, "message": "Something else"})
    site.post({**sent, "message": "Something else"})
    assert [stored.fields[2][1] for stored in site.stored] == ["Hello\nthere", "Something else"]


def test_another_file_of_the_same_name_and_size_is_another_submission(make: Callable[..., Site]) -> None:
    site = make(fields={"cv": {"type": "file"}})
    token = site.token().encode()
    for content in (b"one", b"one", b"two"):
        site.ask(multipart(("_token", "", "", token), ("cv", "a.txt", "text/plain", content)))
    assert len(site.stored) == 2


def test_without_a_token_there_is_no_telling(site: Site) -> None:
    site.post(GOOD)
    site.post(GOOD)
    assert len(site.stored) == 2


def test_a_page_of_the_sites_has_no_token_and_a_double_click_is_one_all_the_same(make: Callable[..., Site]) -> None:
    site = make(page="/contact.html", rate=False)
    firefox = "User-Agent: Firefox"
    for _ in range(2):
        assert site.post(GOOD, firefox).status == 303
    assert len(site.stored) == 1
    site.post({**GOOD, "message": "Something else"}, firefox)
    site.post(GOOD, "User-Agent: Safari")
    assert len(site.stored) == 3, "two letters are two, and so are two people"
    site.clock.now += 110
    site.post(GOOD, firefox)
    assert len(site.stored) == 3, "as when a proxy has lost patience"
    site.clock.now += 20
    for _ in range(2):
        site.post(GOOD, firefox)
    assert len(site.stored) == 4, "what is sent anew later is meant so"


def test_two_files_of_one_name_from_a_page_of_the_sites_are_two(make: Callable[..., Site]) -> None:
    site = make(page="/contact.html", fields={"cv": {"type": "file"}})
    for content in (b"one", b"one", b"two"):
        site.ask(multipart(("cv", "a.txt", "text/plain", content)))
    assert len(site.stored) == 2


@pytest.mark.parametrize("key", ["8e03978e-40d5-43dd-bc93-6894a57f9324", '"quoted"'])
def test_a_key_makes_several_one(site: Site, key: str) -> None:
    answers = [site.post_json(GOOD, f"Idempotency-Key: {key}") for _ in range(3)]
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert len(site.stored) == 1


def test_a_key_that_came_with_something_else_is_refused(site: Site) -> None:
    site.post_json(GOOD, "Idempotency-Key: a")
    answer = site.post_json({**GOOD, "name": "Bob"}, "Idempotency-Key: a")
    assert answer.status == 422
    assert "This Idempotency-Key came with something else" in json.loads(answer.body)["detail"]
    assert site.post_json({**GOOD, "name": "Bob"}, "Idempotency-Key: b").status == 201
    assert site.post_json(GOOD, "Idempotency-Key: a b").status == 400
    assert site.post_json(GOOD, f"Idempotency-Key: {'a' * 201}").status == 400


def test_a_page_that_is_shown_again_keeps_its_token(site: Site) -> None:
    token = site.token()
    answer = site.post({**GOOD, "email": "x", "_token": token})
    assert values_in(answer)["_token"] == token
    assert values_in(site.post({**GOOD, "email": "x", "_token": "made up"}))["_token"] != "made up"


# ---- signed tokens


@pytest.fixture
def signed(database: Database) -> Site:
    site = Site(database, lambda request: text(""), {"token": True})
    site.handler._tokens = SignedTokens(site.clock, b"key", "/contact")
    return site


def test_a_signed_token_and_its_cookie_go_together(signed: Site) -> None:
    page = signed.get()
    cookie = page["set-cookie"]
    assert re.fullmatch(r"httpd-form=[A-Za-z0-9_-]{22}; Path=/contact; Max-Age=86400; HttpOnly; SameSite=Lax", cookie)
    mine, token = f"Cookie: a=b; {cookie.partition(';')[0]}", values_in(page)["_token"]
    other = f"Cookie: httpd-form={'x' * 22}"
    again = signed.get("/contact", mine)
    assert again["set-cookie"] == cookie, "other pages of the same browser have the same cookie"
    for fields, sent in (([other], token), ([], token), ([mine], ""), ([mine], token[:-1]), ([mine], token + "\u00e9")):
        answer = signed.post({**GOOD, "_token": sent}, *fields)
        assert answer.status == 403
        assert values_in(answer)["name"] == "Ann"
        assert values_in(answer)["_token"] not in ("", sent)
    assert signed.stored == []
    assert signed.post({**GOOD, "_token": token}, mine).status == 303
    assert signed.post({**GOOD, "_token": values_in(again)["_token"]}, mine).status == 303
    assert len(signed.stored) == 2


def test_a_refused_page_can_be_sent_at_once(signed: Site) -> None:
    answer = signed.post(GOOD)
    cookie = answer["set-cookie"].partition(";")[0]
    assert answer.status == 403
    assert signed.post(values_in(answer), f"Cookie: {cookie}").status == 303


def test_a_signed_token_grows_old(signed: Site) -> None:
    page = signed.get()
    cookie = f"Cookie: {page['set-cookie'].partition(';')[0]}"
    signed.clock.now += 86_401
    assert signed.post(values_in(page) | GOOD, cookie).status == 403


# ---- the store


@pytest.mark.parametrize("fault", [Unavailable("the disk is full"), Full("1000 wait")])
def test_without_the_store_nothing_is_lost_to_the_person(site: Site, fault: HTTPError) -> None:
    site.store.fault = fault
    token = site.token()
    answer = site.post({**GOOD, "_token": token})
    assert answer.status == 503
    assert answer["retry-after"]
    assert values_in(answer) == {**GOOD, "_token": token}
    assert "disk" not in answer.body.decode()
    answer = site.post_json(GOOD)
    assert (answer.status, answer["content-type"]) == (503, "application/problem+json")
    site.store.fault = None
    assert site.post({**GOOD, "_token": token}).status == 303
    assert len(site.stored) == 1


def test_a_mistake_of_ours_loses_nothing_either(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.store.fault = ZeroDivisionError("a mistake")
    answer = site.post(GOOD)
    assert answer.status == 500
    assert values_in(answer)["name"] == "Ann"
    assert "ZeroDivisionError: a mistake" in caplog.text


def test_what_is_to_happen_besides_happens_once_in_the_same_transaction(database: Database) -> None:
    seen: list[Any] = []

    def then(transaction: Any, submission: Submission) -> None:
        assert transaction.execute("SELECT id FROM submissions") == [(submission.id,)]
        seen.append(submission.fields[0])
        if len(seen) == 1:
            raise ZeroDivisionError

    site = Site(database, lambda request: text(""), {}, then=then, afterwards=lambda: seen.append("afterwards"))
    sent = {**GOOD, "_token": site.token()}
    assert site.post(sent).status == 500
    assert site.stored == []
    assert site.post(sent).status == 303
    assert site.post(sent).status == 303
    assert seen == [("name", "Ann"), ("name", "Ann"), "afterwards"]


def test_a_client_that_leaves_meanwhile_leaves_nothing_half_stored(make: Callable[..., Site]) -> None:
    site = make(fields={"cv": {"type": "file"}})
    site.store.waits = True
    exchange = Exchange([multipart(("cv", "a.txt", "text/plain", b"x" * 100_000))], site.site)
    exchange.handler.handle_close()
    assert exchange.closed
    site.store.begun.pop()()
    assert site.stored == []


def test_a_long_letter_comes_back_whole(make: Callable[..., Site]) -> None:
    site = make(fields={"letter": {"lines": 9}})
    answer = site.post({"letter": "ä" * 100_000})
    assert answer.status == 422
    assert values_in(answer)["letter"] == "ä" * 100_000


def test_a_form_stands_beside_an_application_too(database: Database) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["REQUEST_METHOD"].encode() + environ["PATH_INFO"].encode() + environ["wsgi.input"].read()]

    site = Site(database, WSGI(app), {})
    assert site.post(GOOD).status == 303
    [answer] = site.ask(post(b"x", path="/app/y"))
    assert answer.body == b"POST/app/yx"


@given(st.binary(max_size=60) | st.text("name=email&+%0_;", max_size=40).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_gets_an_answer_that_says_what_is_wrong(site: Site, content: bytes) -> None:
    [answer] = site.ask(post(content or b"&", URLENCODED, path="/contact"))
    assert answer.status in (400, 422)
    [answer] = site.ask(post(content or b"&", JSON_CONTENT, path="/contact"))
    assert answer.status in (400, 422)


# ---- cuts


def test_it_does_not_matter_where_the_bytes_are_cut(make: Callable[..., Site]) -> None:
    site = make(rate=False)
    request = post(urlencode(GOOD).encode(), URLENCODED, path="/contact")
    wrong = post(b"name=%C3%A9", URLENCODED, AS_JSON, path="/contact")
    whole = site.ask(wrong)[0].body
    for cut in range(1, len(request), 7):
        [answer] = Exchange([request[:cut], request[cut:]], site.site).answers("POST")
        assert answer.status == 303
    for cut in range(1, len(wrong)):
        [answer] = Exchange([wrong[:cut], wrong[cut:]], site.site).answers("POST")
        assert (answer.status, answer.body) == (422, whole)
