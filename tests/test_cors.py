"""httpd.site.wrapping and cors: field lines of every answer, and scripts of other origins."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd import HTTPError, Request, Response, Router, StaticFiles, text
from httpd.cli import main
from httpd.site.cors import Preflight, allowed_origin, cors_lines
from httpd.site.entities import Entities
from httpd.site.wrapping import WithHeaders, field_line

from .exchange import Answer, Exchange, Given, get, post, serving
from .factories import request
from .live import LiveServer
from .tools import needs

PREFLIGHT = ("Origin: https://a.example", "Access-Control-Request-Method: GET")
LINES = [("X-Frame-Options", "DENY"), ("Cache-Control", "no-store")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.txt").write_text("page")
    (tmp_path / "big.bin").write_bytes(b"b" * 200_000)
    (tmp_path / "docs").mkdir()
    return tmp_path


def application() -> Router:
    site = Router()

    @site.get("/fine")
    def fine(request: Request) -> Response:
        return text("fine", headers=[("cache-control", "max-age=5"), ("Set-Cookie", "a=b")])

    @site.get("/made")
    def made(request: Request) -> Response:
        return Response(Given(b"ma", b"de"), length=4)

    @site.get("/gone")
    def gone(request: Request) -> Response:
        raise HTTPError(410, "It was here.", [("Cache-Control", "max-age=60")])

    @site.get("/fails")
    def fails(request: Request) -> Response:
        raise KeyError("by mistake")

    @site.post("/form")
    def form(request: Request) -> Response:
        return text(request.form["a"])

    return site


def told(pieces: bytes, site: object, *, lines: list[tuple[str, str]] | None = None, method: str = "GET") -> Answer:
    [answer] = Exchange([pieces], site, headers=LINES if lines is None else lines).answers(method)  # type: ignore[arg-type]
    return answer


# ---- lines of every answer


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (get("/page.txt"), 200),
        (get("/big.bin"), 200),
        (get("/big.bin", "Range: bytes=1-5"), 206),
        (get("/docs"), 308),
        (get("/docs/"), 200),
        (get("/none"), 404),
        (get("/page.txt", 'If-Match: "another"'), 412),
        (get("/page.txt", "Range: bytes=9-"), 416),
        (post(b"", path="/page.txt"), 405),
        (get("/../x"), 404),
        (get("/ x"), 400),
    ],
)
def test_every_answer_of_a_folder_has_them(folder: Path, asked: bytes, status: int) -> None:
    site = StaticFiles(folder)
    for _ in range(2):
        answer = told(asked, site)
        assert (answer.status, answer["x-frame-options"], answer["cache-control"]) == (status, "DENY", "no-store")
        assert answer["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_answers_without_content_have_them(folder: Path, method: str) -> None:
    for path in ("/page.txt", "/big.bin"):
        assert told(get(path, method=method), StaticFiles(folder), method=method)["x-frame-options"] == "DENY"


def test_304_has_them(folder: Path) -> None:
    site = StaticFiles(folder)
    etag = told(get("/page.txt"), site)["etag"]
    again = told(get("/page.txt", f"If-None-Match: {etag}"), site)
    assert (again.status, again["cache-control"]) == (304, "no-store")


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [("/fine", 200, b"fine"), ("/made", 200, b"made"), ("/gone", 410, None), ("/fails", 500, None)],
)
def test_every_answer_of_an_application_has_them(path: str, status: int, content: bytes | None) -> None:
    answer = told(get(path), application())
    assert (answer.status, answer["x-frame-options"], answer["cache-control"]) == (status, "DENY", "no-store")
    assert content is None or answer.body == content


def test_an_answer_keeps_what_is_its_own() -> None:
    answer = told(get("/fine"), application(), lines=[("Set-Cookie", "c=d"), ("Vary", "Origin")])
    assert [value for name, value in answer.lines if name == "set-cookie"] == ["a=b", "c=d"]
    assert answer["cache-control"] == "max-age=5"
    assert told(get("/gone"), application(), lines=[("Vary", "Origin")])["vary"] == "Origin, Accept"


def test_who_runs_the_server_has_the_last_word(folder: Path) -> None:
    """The folder's `_headers` change what the server would say by itself, and not what it was told to say."""
    (folder / "_headers").write_text("/big.bin\n  Cache-Control: max-age=5\n/page.txt\n  ! Cache-Control\n")
    for lines, wanted in (([("X-A", "b")], ["max-age=5", ""]), (LINES, ["no-store", "no-store"])):
        site = StaticFiles(folder)
        for _ in range(2):
            assert [told(get(path), site, lines=lines)["cache-control"] for path in ("/big.bin", "/page.txt")] == wanted


def test_a_remembered_file_is_wrapped_once(folder: Path) -> None:
    site = WithHeaders(StaticFiles(folder, entities=Entities(clock=lambda: time.time() + 60)), LINES)
    site(request("/page.txt"))
    first = site(request("/page.txt"))
    assert first is site(request("/page.txt"))
    assert first.body == b"page"
    # Another server around the same site has lines of its own.
    assert ("X", "y") in WithHeaders(site, [("X", "y")])(request("/page.txt")).headers
    assert site(request("/page.txt")).headers == first.headers


def test_a_site_that_returns_nothing_is_named() -> None:
    def empty(request: Request) -> Response:
        return None  # type: ignore[return-value]

    with pytest.raises(TypeError, match="empty returned NoneType"):
        WithHeaders(empty, LINES)(request("/"))


def test_what_refuses_content_beforehand_is_still_asked(folder: Path) -> None:
    pieces = get("/page.txt", "Content-Length: 5", "Expect: 100-continue", method="PUT")
    answer = told(pieces, Preflight(StaticFiles(folder)))
    assert (answer.status, answer.interim) == (405, [])


@pytest.mark.parametrize("line", [("X", "a\r\nb"), ("a b", "c"), ("Connection", "close")])
def test_lines_that_cannot_be_sent_are_refused_at_the_start(line: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=line[0]):
        WithHeaders(application(), [line])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("X-A: b", ("X-A", "b")),
        ("X-A:b: c ", ("X-A", "b: c")),
        ("Cache-Control: no-store", ("Cache-Control", "no-store")),
        ("X: \xe9", ("X", "\xe9")),
    ],
)
def test_a_line_as_a_person_writes_it(text: str, line: tuple[str, str]) -> None:
    assert field_line(text) == line


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no-store", "write it as 'Name: value'"),
        ("", "write it"),
        ("X-A:", "write it"),
        ("X A: b", "write it"),
        (": b", "write it"),
        ("X: a\nb", "control"),
        ("X: \u20ac", "beyond latin-1"),
        ("content-length: 5", "the server's"),
        ("Date: today", "the server's"),
        ("Content-Type: text/html", "another for each answer"),
        ("ETag: 5", "another for each answer"),
    ],
)
def test_a_line_that_is_none(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        field_line(text)


# ---- other origins


@pytest.mark.parametrize("origin", ["*", "https://a.example", "http://localhost:3000", "http://[::1]:8080"])
def test_an_origin(origin: str) -> None:
    assert allowed_origin(origin) == origin


def test_an_origin_is_taken_as_a_browser_writes_it() -> None:
    assert allowed_origin("HTTPS://A.Example/") == "https://a.example"


@pytest.mark.parametrize(
    "text",
    [
        *("a.example", "https://", "https://a.example/path", "null", "", "**", "https://*.a.example", "//a"),
        *("https://a.example:443", "http://a.example:80", "https://a.example:", "https://a b", "https://u@a.example"),
        "https://\u00e9.example",
    ],
)
def test_what_no_browser_writes_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match=r"https://app\.example\.org"):
        allowed_origin(text)


@pytest.mark.parametrize(("origin", "vary"), [("*", False), ("https://a.example", True)])
def test_whoever_may_read_is_told_with_every_answer(folder: Path, origin: str, vary: bool) -> None:
    lines = cors_lines(origin)
    for path, status in (("/page.txt", 200), ("/none", 404), ("/docs/", 200)):
        answer = told(get(path, "Origin: https://a.example"), StaticFiles(folder), lines=lines)
        assert (answer.status, answer["access-control-allow-origin"]) == (status, origin)
        assert "Content-Range" in answer["access-control-expose-headers"]
        assert ("Origin" in ",".join(value for name, value in answer.lines if name == "vary")) == vary
        assert answer["access-control-allow-credentials"] == ""


@pytest.mark.parametrize("path", ["/page.txt", "/none", "*"])
def test_a_preflight_is_answered_wherever_it_goes(folder: Path, path: str) -> None:
    site = Preflight(StaticFiles(folder))
    answer = told(get(path, *PREFLIGHT, method="OPTIONS"), site, lines=cors_lines("*"), method="OPTIONS")
    assert (answer.status, answer.body, answer["access-control-allow-origin"]) == (204, b"", "*")
    assert answer["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert answer["access-control-allow-headers"] == "*, Authorization"
    assert int(answer["access-control-max-age"]) > 0


def test_an_application_takes_every_method() -> None:
    answer = told(get("/fine", *PREFLIGHT, method="OPTIONS"), Preflight(application()), method="OPTIONS")
    assert answer["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@pytest.mark.parametrize("fields", [(), PREFLIGHT[:1], PREFLIGHT[1:]])
def test_another_options_is_the_sites(folder: Path, fields: tuple[str, ...]) -> None:
    answer = told(get("/page.txt", *fields, method="OPTIONS"), Preflight(StaticFiles(folder)), method="OPTIONS")
    assert (answer.status, answer["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert answer["access-control-allow-methods"] == ""


# ---- the command


@pytest.mark.programs
def test_the_options_of_the_command(folder: Path) -> None:
    options = ["--header", "X-Frame-Options: DENY", "--header", "Cache-Control: no-store", "--cors=https://a.example"]
    with LiveServer(folder, *options) as server:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for path, status in (("/page.txt", 200), ("/none", 404)):
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            names = ("X-Frame-Options", "Cache-Control", "Access-Control-Allow-Origin")
            assert answer.status == status
            assert [answer.headers[name] for name in names] == ["DENY", "no-store", "https://a.example"]
            assert "Origin" in ",".join(answer.headers.get_all("Vary"))
        client.close()


@pytest.mark.parametrize(
    ("options", "why"),
    [(["--header", "no-store"], "'Name: value'"), (["--cors=example.org"], "is not an origin")],
)
def test_what_is_wrong_is_said_in_a_sentence(options: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)
    assert why in capsys.readouterr().err


# ---- a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=needs("chromium"), args=["--no-sandbox"])
        yield one
        one.close()


_FETCH = """async ([url, init]) => {
    try {
        const answer = await fetch(url, init);
        return [answer.status, await answer.text(), answer.headers.get("Content-Range")];
    } catch (error) { return [0, String(error), null]; }
}"""


@pytest.mark.tools
@pytest.mark.parametrize("who", ["*", "the page's origin", "https://a.example"])
def test_a_script_of_another_origin_in_a_browser(folder: Path, browser: object, who: str) -> None:
    """With a field that needs a preflight; an error, which must be readable too; and a Range, whose field must be."""
    with serving(application()) as elsewhere:
        origin = elsewhere.url.rstrip("/").replace("127.0.0.1", "localhost") if who == "the page's origin" else who
        allowed = who != "https://a.example"
        with serving(Preflight(StaticFiles(folder)), headers=cors_lines(origin)) as server:
            page = browser.new_page()  # type: ignore[attr-defined]
            page.goto(elsewhere.url.replace("127.0.0.1", "localhost") + "fine")

            def fetch(path: str, **init: object) -> list[object]:
                return page.evaluate(_FETCH, [server.url + path, init])  # type: ignore[no-any-return]

            asking = {"headers": {"X-Asked-By": "a script", "Authorization": "Basic YTpi"}}
            assert (fetch("page.txt", **asking)[:2] == [200, "page"]) is allowed
            assert (fetch("none", **asking)[0] == 404) is allowed
            assert (fetch("big.bin", headers={"Range": "bytes=0-1"}) == [206, "bb", "bytes 0-1/200000"]) is allowed
            # The preflight does not name it.
            assert fetch("page.txt", method="PUT", body="x")[0] == 0
            page.close()
