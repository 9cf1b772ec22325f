"""Addresses of a folder: what answers for a path that is no file's own.

First on a scripted socket, through the whole handler; then the command, over a real one.
"""

from __future__ import annotations

import errno
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from httpd import Request, Response, Router, StaticFiles
from httpd.site.entities import SMALL, Entities

from .exchange import Answer, Exchange, get
from .live import LiveServer
from .tools import TOP, open_descriptors

HTML = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"
JSON = "Accept: application/json"
TEXT = "Accept: text/plain, text/html;q=0.5"


def site(root: Path, **options: object) -> StaticFiles:
    """A site that remembers at once, its clock being well ahead of the files."""
    return StaticFiles(root, entities=Entities(clock=lambda: time.time() + 60), **options)  # type: ignore[arg-type]


def ask(app: Callable[..., Response], path: str, *fields: str, method: str = "GET") -> Answer:
    if method in ("POST", "PUT", "PATCH"):
        fields = ("Content-Length: 0", *fields)
    [answer] = Exchange([get(path, *fields, method=method)], app).answers(method)
    return answer


def write(root: Path, *paths: str) -> Path:
    """Files below the root, each with its own path as its content."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


# ---- /about and about.html


@pytest.fixture
def pages(tmp_path: Path) -> StaticFiles:
    write(tmp_path, "index.html", "about.html", "plain", "plain.html", "docs/index.html", "docs.html", "docs/a.html")
    write(tmp_path, "blog.html", "blog/post.html", "v1.2.html", ".hidden.html")
    return site(tmp_path)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/about", 200, b"about.html"),
        ("/about?x=1", 200, b"about.html"),
        ("//about", 200, b"about.html"),
        ("/about.html", 200, b"about.html"),
        ("/about/", 404, None),
        ("/about/x", 404, None),
        ("/docs/a", 200, b"docs/a.html"),
        # What has the very name wins, a file or a folder with a page of its own.
        ("/plain", 200, b"plain"),
        ("/docs", 308, b""),
        ("/docs/", 200, b"docs/index.html"),
        # A folder without one has only its listing, and a page of its name is more.
        ("/blog", 200, b"blog.html"),
        ("/blog/post", 200, b"blog/post.html"),
        ("/v1.2", 200, b"v1.2.html"),
        ("/.hidden", 404, None),
        ("/index", 200, b"index.html"),
        ("/About", 404, None),
        ("/..", 404, None),
    ],
)
def test_a_page_needs_no_extension(pages: StaticFiles, path: str, status: int, body: bytes | None) -> None:
    for _ in range(2):
        answer = ask(pages, path)
        assert answer.status == status
        assert body is None or answer.body == body
        assert ask(pages, path, method="HEAD").lines == answer.lines


def test_it_is_the_page_in_every_way(pages: StaticFiles) -> None:
    whole = ask(pages, "/about")
    assert whole["content-type"] == "text/html; charset=utf-8"
    assert ask(pages, "/about", f"If-None-Match: {whole['etag']}").status == 304
    assert ask(pages, "/about", "Range: bytes=0-4").body == b"about"
    assert ask(pages, "/about", method="POST").status == 405
    assert ask(pages, "/nothing", method="POST").status == 404
    assert ask(pages, "/about/", method="DELETE").status == 404


def test_what_takes_its_name_later_is_seen_at_once(pages: StaticFiles) -> None:
    root = Path(pages.root.path.decode())
    assert ask(pages, "/about").body == b"about.html"
    write(root, "about")
    assert ask(pages, "/about").body == b"about"
    (root / "about").unlink()
    write(root, "about/index.html")
    assert ask(pages, "/about")["location"] == "/about/"


def test_a_page_may_not_lie_outside(tmp_path: Path) -> None:
    write(tmp_path, "secret.html", "root/index.html")
    (tmp_path / "root/out.html").symlink_to(tmp_path / "secret.html")
    assert ask(site(tmp_path / "root"), "/out").status == 404
    assert ask(site(tmp_path / "root", symlinks="all"), "/out").status == 200


# ---- 404.html


@pytest.fixture
def lost(tmp_path: Path) -> StaticFiles:
    write(tmp_path, "404.html", "index.html", "blog/404.html", "blog/2024/may/post.html", "shop/cart.html")
    return site(tmp_path)


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/nothing", b"404.html"),
        ("/nothing/at/all.png", b"404.html"),
        ("/blog/nothing", b"blog/404.html"),
        ("/blog/2024/june/x", b"blog/404.html"),
        ("/blog/2024/may/x/", b"blog/404.html"),
        ("/blog/2024/may/post.html/", b"blog/404.html"),
        ("/shop/nothing", b"404.html"),
        ("/blog//nothing", b"blog/404.html"),
        ("/.env", b"404.html"),
        ("/blog/.env", b"404.html"),
        ("/blog/..%5c", b"404.html"),
        ("/" + "deep/" * 1500, b"404.html"),
    ],
)
def test_the_nearest_404_page_is_shown(lost: StaticFiles, path: str, page: bytes) -> None:
    for accept in (HTML, "Accept: */*", "X: y"):
        answer = ask(lost, path, accept)
        assert (answer.status, answer.body) == (404, page)
        assert answer["content-type"] == "text/html; charset=utf-8"
        assert answer["vary"] == "Accept"
        assert answer["x-content-type-options"] == "nosniff"
        assert not answer["etag"] + answer["last-modified"] + answer["accept-ranges"]
        head = ask(lost, path, accept, method="HEAD")
        assert (head.status, head.lines, head.body) == (404, answer.lines, b"")


def test_it_meets_no_condition_and_has_no_parts(lost: StaticFiles) -> None:
    page = ask(lost, "/404.html")
    assert page.status == 200
    for field in (
        f"If-None-Match: {page['etag']}",
        "If-Match: *",
        'If-Match: "x"',
        "Range: bytes=0-1",
        "Range: bytes=99-",
    ):
        assert (ask(lost, "/x", field).status, ask(lost, "/x", field).body) == (404, b"404.html")


def test_who_would_rather_have_something_else_gets_that(lost: StaticFiles) -> None:
    assert json.loads(ask(lost, "/nothing", JSON).body)["status"] == 404
    assert ask(lost, "/nothing", TEXT).body.startswith(b"404 Not Found")
    assert ask(lost, "/nothing", method="POST").body != b"404.html"


def test_a_404_page_may_be_big_and_may_change(lost: StaticFiles) -> None:
    root = Path(lost.root.path.decode())
    (root / "404.html").write_bytes(b"x" * (SMALL + 1))
    for _ in range(2):
        assert len(ask(lost, "/nothing").body) == SMALL + 1
    (root / "404.html").unlink()
    assert b"There is nothing at this address." in ask(lost, "/nothing").body
    (root / "404.html").mkdir()
    assert b"There is nothing at this address." in ask(lost, "/nothing").body


# ---- a single-page application


@pytest.fixture
def application(tmp_path: Path) -> StaticFiles:
    write(tmp_path, "index.html", "app.js", "about.html", "docs/index.html", "assets/logo.svg")
    return site(tmp_path, spa=True)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/users", 200, b"index.html"),
        ("/users/7/edit/", 200, b"index.html"),
        ("/v1.2/users", 200, b"index.html"),
        ("/app.js", 200, b"app.js"),
        ("/about", 200, b"about.html"),
        ("/docs/", 200, b"docs/index.html"),
        ("/missing.js", 404, None),
        ("/assets/missing.svg", 404, None),
        ("/v1.2", 404, None),
        ("/.env", 404, None),
        ("/users/..%2f..", 404, None),
    ],
)
def test_paths_of_an_application_get_its_page(application: StaticFiles, path: str, status: int, body: bytes) -> None:
    for _ in range(2):
        answer = ask(application, path, HTML)
        assert answer.status == status
        assert body is None or answer.body == body
        own = body == b"index.html"
        assert answer["vary"] == ("Accept" if own or status == 404 else "")
        assert answer["cache-control"] == "no-cache" or not own


def test_the_page_of_an_application_is_a_page(application: StaticFiles) -> None:
    page = ask(application, "/users")
    assert page["etag"] == ask(application, "/")["etag"]
    assert page["cache-control"] == ask(application, "/")["cache-control"] == "no-cache"
    assert ask(application, "/users", method="HEAD").lines == page.lines
    assert ask(application, "/users", f"If-None-Match: {page['etag']}").status == 304
    assert ask(application, "/users", JSON).status == 404
    assert ask(application, "/users", "Accept: text/html;q=0, */*").status == 404
    assert ask(application, "/users", method="POST").status == 404


def test_its_paths_do_not_crowd_the_cache(application: StaticFiles) -> None:
    for number in range(50):
        assert ask(application, f"/users/{number}").status == 200
    assert len(application.entities) == 1


def test_an_application_shows_its_own_page_for_a_file_that_is_missing(application: StaticFiles) -> None:
    write(Path(application.root.path.decode()), "404.html")
    assert ask(application, "/missing.js").body == b"404.html"
    assert ask(application, "/users").body == b"index.html"


def test_without_its_page_there_is_no_application(tmp_path: Path) -> None:
    assert ask(site(tmp_path, spa=True), "/users").status == 404


# ---- _redirects


REDIRECTS = """\
/old /new
/file.txt /new
/forced.txt /new 302!
/docs /elsewhere
/bare/* /from-bare/:splat
/about /not-about
/store id=:id /products/:id 302!
/app/* /app.html 200
/gone/* /gone 404
/lost /nowhere 200
/secret/* /:splat 200
/out https://other.example/x 302
/self /self
/a /b
/b /a-file.txt 200
/form /new-form 307
/once.txt /once.txt?seen 302!
//double /x
"""


@pytest.fixture
def moved(tmp_path: Path) -> StaticFiles:
    write(tmp_path, "index.html", "file.txt", "forced.txt", "docs/index.html", "bare/file.txt", "about.html", "store")
    write(tmp_path, "once.txt", "app.html", "gone.html", "a-file.txt", "other/index.html", ".env", "404.html")
    (tmp_path / "_redirects").write_text(REDIRECTS)
    return site(tmp_path)


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/old", 301, "/new"),
        ("//old?a=b", 301, "/new?a=b"),
        ("/./old/", 301, "/new"),
        # What is there goes first, but for the rule that says otherwise.
        ("/file.txt", 200, ""),
        ("/file.txt/", 301, "/new"),
        ("/forced.txt", 302, "/new"),
        ("//forced.txt", 302, "/new"),
        ("/docs", 308, "/docs/"),
        ("/docs/", 200, ""),
        ("/store?id=7", 302, "/products/7"),
        ("/store", 200, ""),
        ("/store?ID=7", 200, ""),
        ("/once.txt?seen", 200, ""),
        ("/once.txt", 302, "/once.txt?seen"),
        # A listing is no file, and about.html is asked only after the rules.
        ("/bare", 301, "/from-bare/"),
        ("/bare/", 301, "/from-bare/"),
        ("/bare/file.txt", 200, ""),
        ("/about", 301, "/not-about"),
        ("/self", 404, ""),
        ("/out", 302, "https://other.example/x"),
        ("/double", 301, "/x"),
    ],
)
def test_a_path_that_has_moved(moved: StaticFiles, path: str, status: int, location: str) -> None:
    for method in ("GET", "HEAD", "GET"):
        answer = ask(moved, path, method=method)
        assert (answer.status, answer["location"]) == (status, location)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/app/users/7", 200, b"app.html"),
        ("/app", 200, b"app.html"),
        ("/gone/for/good", 404, b"gone.html"),
        # One step: what the rule names is a file, whatever other rules say of it.
        ("/b", 200, b"a-file.txt"),
        ("/lost", 404, b"404.html"),
        ("/secret/file.txt", 200, b"file.txt"),
        ("/secret/other/", 200, b"other/index.html"),
        ("/secret/other", 200, b"other/index.html"),
        ("/secret/about", 200, b"about.html"),
        ("/secret/.env", 404, b"404.html"),
        ("/secret/%2e%2e/%2e%2e/etc/passwd", 404, b"404.html"),
        ("/secret/_redirects", 404, b"404.html"),
        ("/secret/", 200, b"index.html"),
    ],
)
def test_a_path_that_another_file_answers_for(moved: StaticFiles, path: str, status: int, body: bytes) -> None:
    for _ in range(2):
        answer = ask(moved, path)
        assert (answer.status, answer.body, answer["location"]) == (status, body, "")
        assert bool(answer["etag"]) == (status == 200)
        assert ask(moved, path, method="HEAD").lines == answer.lines


def test_it_answers_conditions_and_ranges_as_the_file_does(moved: StaticFiles) -> None:
    etag = ask(moved, "/app/x")["etag"]
    assert etag == ask(moved, "/app.html")["etag"]
    assert ask(moved, "/app/y", f"If-None-Match: {etag}").status == 304
    assert ask(moved, "/app/y", "Range: bytes=0-2").body == b"app"
    assert ask(moved, "/gone/x", f"If-None-Match: {etag}", "Range: bytes=0-2").body == b"gone.html"


def test_any_number_of_such_paths_does_not_crowd_the_cache(moved: StaticFiles) -> None:
    for number in range(50):
        assert ask(moved, f"/app/{number}").status == 200
    assert len(moved.entities) == 1


def test_other_methods_are_sent_along(moved: StaticFiles) -> None:
    answer = ask(moved, "/form?x", method="POST")
    assert (answer.status, answer["location"]) == (307, "/new-form?x")
    assert ask(moved, "/forced.txt", method="DELETE").status == 302
    assert ask(moved, "/file.txt", method="DELETE")["allow"] == "GET, HEAD, OPTIONS"
    assert ask(moved, "/about", method="PUT").status == 405
    assert ask(moved, "/lost", method="POST").status == 404
    assert ask(moved, "/old", method="OPTIONS").status == 204
    head = get("/form", "Content-Length: 3", "Expect: 100-continue", method="POST")
    [answer] = Exchange([head, b"a=b"], moved).answers("POST")
    assert (answer.interim, answer.status) == ([100], 307)
    head = get("/nothing", "Content-Length: 3", "Expect: 100-continue", method="POST")
    [answer] = Exchange([head], moved).answers("POST")
    assert (answer.interim, answer.status) == ([], 404)


@pytest.mark.parametrize("target", ["/:splat", "/:splat/", "/x/:splat", "/:splat?a"])
@pytest.mark.parametrize(
    "path",
    [
        "//evil.example", "///evil.example/", "/%2fevil.example", "/%2f%2fevil.example", "/%5cevil.example",
        "/\\evil.example", "/%09//evil.example", "/%0d%0aLocation:%20//evil.example", "/.//evil.example",
        "/%2e/%2fevil.example", "/@evil.example", "/:80@evil.example", "/https://evil.example", "/?//evil.example",
        "/a?%0d%0ax:y", "/%e2%81%84/evil.example",
    ],
)  # fmt: skip
def test_no_path_makes_a_redirect_lead_off_the_site(tmp_path: Path, target: str, path: str) -> None:
    (tmp_path / "_redirects").write_text(f"/from/* {target} 302")
    answer = ask(site(tmp_path), "/from" + path)
    location = answer["location"]
    assert (answer.status, bool(location)) in ((302, True), (404, False))
    if location:
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert not set(location) & set("\r\n\t \\")


def test_below_a_mount_its_paths_are_its_own(moved: StaticFiles) -> None:
    inner, app = Router(), Router()
    inner.mount("/in ner", moved)
    app.mount("/outer", inner)
    for path, location in {
        "/outer/in%20ner/old?q": "/outer/in%20ner/new?q",
        "//outer//in%20ner/.//old": "/outer/in%20ner/new",
        "/outer/in%20ner/out": "https://other.example/x",
        "/outer/in%20ner/self": "",
        "/old": "",
    }.items():
        assert ask(app, path)["location"] == location
    assert ask(app, "/outer/in%20ner/app/x").body == b"app.html"
    assert ask(app, "/outer/in%20ner/nothing").body == b"404.html"


def test_what_the_query_decides_is_not_remembered(moved: StaticFiles) -> None:
    for _ in range(2):
        assert [ask(moved, path).status for path in ("/once.txt?seen", "/once.txt", "/store", "/store?id=7")] == [
            200, 302, 200, 302,
        ]  # fmt: skip


def test_a_path_that_somebody_made_up_has_no_mount(moved: StaticFiles) -> None:
    assert ask(lambda request: moved(request, "/old"), "/tenant")["location"] == "/new"


# ---- _headers


@pytest.fixture
def dressed(tmp_path: Path) -> StaticFiles:
    write(tmp_path, "index.html", "app.js", "assets/a.css", "about.html", "404.html", "big.bin", "bare/x")
    (tmp_path / "big.bin").write_bytes(bytes(SMALL + 1))
    (tmp_path / "_headers").write_text(
        "/*\n  X-All: 1\n/assets/*\n  X-All: 2\n  Cache-Control: max-age=60\n"
        "/app.js\n  ! X-Content-Type-Options\n/about\n  X-About: yes\n/users\n  Cache-Control: no-store\n"
    )
    return site(tmp_path, spa=True, headers=[("Cache-Control", "max-age=1")])


@pytest.mark.parametrize(
    ("path", "every", "cache", "about"),
    [
        ("/", "1", "max-age=1", ""),
        ("/assets/a.css", "1, 2", "max-age=60", ""),
        ("//assets/a.css", "1, 2", "max-age=60", ""),
        ("/assets/a", "1, 2", "max-age=60", ""),
        ("/about", "1", "max-age=1", "yes"),
        ("/about.html", "1", "max-age=1", ""),
        ("/big.bin", "1", "max-age=1", ""),
        ("/users", "1", "no-store", ""),
        ("/missing.js", "1", "max-age=1", ""),
    ],
)
def test_field_lines_go_by_the_path_that_is_asked_for(
    dressed: StaticFiles, path: str, every: str, cache: str, about: str
) -> None:
    for _ in range(2):
        answer = ask(dressed, path)
        assert (answer["x-all"], answer["x-about"]) == (every, about)
        assert cache in [value for name, value in answer.lines if name == "cache-control"]
        assert ask(dressed, path, method="HEAD").lines == answer.lines
        if answer["etag"]:
            unchanged = ask(dressed, path, f"If-None-Match: {answer['etag']}")
            assert (unchanged.status, unchanged["x-all"]) == (304, every)
            assert ask(dressed, path, "Range: bytes=0-1")["x-all"] == every
    assert (ask(dressed, "/app.js")["x-content-type-options"], ask(dressed, "/")["x-content-type-options"]) == (
        "",
        "nosniff",
    )


FIELDS = {
    "X-Frame-Options": "DENY", "Cache-Control": "max-age=31536000, immutable", "Content-Type": "text/x",
    "Content-Security-Policy": "default-src 'self'", "Location": "/elsewhere", "Allow": "BREW", "Expires": "never",
    "X-All": "1",
}  # fmt: skip


@pytest.fixture
def strict(tmp_path: Path) -> StaticFiles:
    """A site whose every answer is to have the same fields, with pages of the server's own."""
    write(tmp_path, "docs/index.html", "note.txt", "log/a.txt", "sub/404.html")
    (tmp_path / "_redirects").write_text("/old /new\n/none /sub/404.html 404\n")
    (tmp_path / "_headers").write_text("/*\n" + "".join(f"  {name}: {value}\n" for name, value in FIELDS.items()))
    return site(tmp_path)


@pytest.mark.parametrize(
    ("path", "lines", "method", "status"),
    [
        ("/log/", [], "GET", 200),
        ("/log/", ["If-None-Match: *"], "GET", 304),
        ("/log/", ["If-Match: a"], "GET", 412),
        ("/log/", ["Accept: application/json"], "GET", 200),
        ("/log/?download=zip", [], "GET", 200),
        ("/log/?download=rar", [], "GET", 400),
        ("/log/?sort=taste", [], "GET", 400),
        ("/docs", [], "GET", 308),
        ("/log", [], "GET", 308),
        ("/old", [], "GET", 301),
        ("/old", [], "POST", 301),
        ("/missing.js", [], "GET", 404),
        ("/../up", [], "GET", 404),
        ("/note.txt", ["If-Match: a"], "GET", 412),
        ("/note.txt", ["Range: bytes=99-"], "GET", 416),
        ("/note.txt", [], "POST", 405),
        ("/note.txt", [], "BREW", 501),
        ("/note.txt", [], "OPTIONS", 204),
    ],
)
def test_every_answer_has_the_owners_fields_but_for_what_is_said_of_files(
    strict: StaticFiles, path: str, lines: list[str], method: str, status: int
) -> None:
    for _ in range(2):
        answer = ask(strict, path, *lines, method=method)
        assert (answer.status, answer["x-all"], answer["x-frame-options"]) == (status, "1", "DENY")
        told = {(name.title(), value) for name, value in answer.lines}
        assert told & FIELDS.items() == {("X-Frame-Options", "DENY"), ("X-All", "1")}


def test_a_listing_is_shown_within_no_other_site(strict: StaticFiles) -> None:
    assert "frame-ancestors 'self'" in ask(strict, "/log/")["content-security-policy"]


@pytest.mark.parametrize("path", ["/sub/missing.js", "/none"])
def test_the_owners_page_for_what_is_missing_is_not_kept_as_what_was_asked_for(strict: StaticFiles, path: str) -> None:
    answer = ask(strict, path)
    assert (answer.status, answer.body, answer["x-all"]) == (404, b"sub/404.html", "1")
    assert (answer["content-type"], answer["cache-control"]) == ("text/html; charset=utf-8", "no-cache")
    assert answer["content-security-policy"] == "default-src 'self'"


def test_what_is_said_in_the_example_site_is_so() -> None:
    """No other site may show these pages in a frame: files, folders, redirects and errors."""
    example = site(TOP / "examples/site")
    for path in ("/", "/keeper.html", "/log/", "/log", "/lamp", "/nothing", "/nothing.png"):
        assert ask(example, path)["x-frame-options"] == "DENY"


# ---- the files of rules


@pytest.mark.parametrize("name", ["_redirects", "_headers", "httpd.toml"])
def test_the_files_of_rules_are_not_served(tmp_path: Path, name: str) -> None:
    """Nor are those of a folder in it, which is another host's site perhaps, whatever leads there."""
    write(tmp_path, name, f"sub/{name}", f"sub/{name.upper()}", f"{name}.txt")
    (tmp_path / "link").symlink_to("sub")
    folder = site(tmp_path)
    spelled = f"%{ord(name[0]):x}{name[1:]}"
    for path in (
        f"/{name}",
        f"//{name}",
        f"/./{name}",
        f"/{name}/",
        f"/{name}/.",
        f"/{spelled}",
        f"/{name}?x",
        f"/sub/{name}",
        f"/sub/{name.upper()}",
        f"/link/{name}",
        f"/link//{spelled}",
    ):
        assert ask(folder, path).status == 404
        assert ask(folder, path, method="POST").status == 404
    listed = ask(folder, "/", TEXT).body.decode()
    assert f"{name}.txt" in listed
    assert f"{name}\n" not in listed
    assert ask(folder, "/sub/", TEXT).body == b""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.programs
def test_a_site_within_another_keeps_its_rules_to_itself(tmp_path: Path) -> None:
    write(tmp_path, "page.html", "inner/page.html")
    (tmp_path / "inner/_redirects").write_text("/old /new\n")
    (tmp_path / "inner/httpd.toml").write_text("port = 80\n")
    with LiveServer(tmp_path, "--host", f"inner.example={tmp_path / 'inner'}") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for host, path, status in [
            ("a", "/inner/page.html", 200), ("a", "/inner/_redirects", 404), ("a", "/inner/httpd.toml", 404),
            ("a", "/inner/old", 404), ("inner.example", "/old", 301), ("inner.example", "/_redirects", 404),
        ]:  # fmt: skip
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, path) == (status, path)
        connection.close()


def test_they_are_read_again_when_they_change(tmp_path: Path) -> None:
    clock = Clock()
    write(tmp_path, "page.html")
    folder = site(tmp_path, clock=clock)

    def after(seconds: float) -> tuple[str, int]:
        clock.now += seconds
        return ask(folder, "/page.html")["x-rule"], ask(folder, "/old").status

    headers, redirects = tmp_path / "_headers", tmp_path / "_redirects"
    assert after(0) == ("", 404)
    headers.write_text("/*\n X-Rule: 1")
    assert after(0.5) == ("", 404)
    assert after(0.6) == ("1", 404)
    headers.write_text("/*\n X-Rule: 2")
    redirects.write_text("/old /new")
    assert after(1.1) == ("2", 301)
    redirects.unlink()
    assert after(1.1) == ("2", 404)
    headers.write_text("/*\n wrong")
    assert after(1.1) == ("", 404)
    headers.unlink()
    headers.mkdir()
    before = open_descriptors()
    for _ in range(3):
        assert after(1.1) == ("", 404)
    assert open_descriptors() == before
    headers.rmdir()
    (tmp_path / "rules").write_text("/*\n X-Rule: linked")
    headers.symlink_to("rules")
    assert after(1.1) == ("linked", 404)
    headers.unlink()
    headers.write_text("/*\n X-Rule: 3")
    assert after(1.1) == ("3", 404)


def test_rules_that_lie_outside_are_none(tmp_path: Path) -> None:
    write(tmp_path, "root/page.html")
    (tmp_path / "rules").write_text("/old /new")
    (tmp_path / "root/_redirects").symlink_to(tmp_path / "rules")
    assert ask(site(tmp_path / "root"), "/old").status == 404
    assert ask(site(tmp_path / "root", symlinks="all"), "/old").status == 301


def test_a_change_that_leaves_no_mark_is_seen_too(tmp_path: Path) -> None:
    """Two writes in one tick of the file system's clock: the same size, the same times."""
    clock = Clock()
    write(tmp_path, "page.html")
    folder = site(tmp_path, clock=clock)
    rules = tmp_path / "_headers"
    rules.write_text("/*\n X-Rule: 1")
    clock.now += 2
    real, frozen = os.stat, os.stat(rules)
    assert ask(folder, "/page.html")["x-rule"] == "1"
    rules.write_text("/*\n X-Rule: 2")
    with mock.patch.object(
        os, "stat", lambda path, **more: frozen if path == os.fsencode(rules) else real(path, **more)
    ):
        clock.now += 2
        assert ask(folder, "/page.html")["x-rule"] == "2"


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "_redirects").write_text("/a /b\n/c\n" + "/d\n" * 30)
    (tmp_path / "_headers").write_text("/a\n Content-Length: 5\n")
    clock = Clock()
    folder = site(tmp_path, clock=clock)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == f"{tmp_path}/_redirects:2: there is no target"
    assert told[20:] == [
        f"{tmp_path}/_redirects: 11 more lines are wrong",
        f"{tmp_path}/_headers:1: no field stands below the path",
        f"{tmp_path}/_headers:2: Content-Length is the server's to say",
    ]
    assert ask(folder, "/a")["location"] == "/b"
    clock.now += 5
    ask(folder, "/a")
    assert len(caplog.records) == len(told)


def test_a_file_of_rules_that_cannot_be_read_is_what_it_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    folder = site(tmp_path, clock=clock)
    (tmp_path / "_redirects").write_text("/a /b")
    real = folder.root.open
    monkeypatch.setattr(folder.root, "open", mock.Mock(side_effect=PermissionError(errno.EACCES, "no permission")))
    for _ in range(3):
        clock.now += 2
        assert ask(folder, "/a").status != 301
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}/_redirects: cannot be read: no permission"
    ]
    monkeypatch.setattr(folder.root, "open", real)
    clock.now += 2
    assert ask(folder, "/a").status == 301


def test_it_costs_one_stat_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "page.html")
    clock = Clock()
    folder = site(tmp_path, clock=clock)
    real, asked = os.stat, []
    monkeypatch.setattr(os, "stat", lambda path, **more: (asked.append(path), real(path, **more))[1])
    for _ in range(100):
        ask(folder, "/page.html")
        clock.now += 0.05
    assert 4 <= asked.count(os.fsencode(tmp_path / "_headers")) <= 5


# ---- below a mount, and over a real socket


def test_it_all_works_below_a_mount(tmp_path: Path) -> None:
    write(tmp_path, "index.html", "about.html", "docs/index.html", "404.html")
    app = Router()
    app.mount("/inner", site(tmp_path))

    @app.post("/inner/form")
    def form(request: Request) -> Response:
        return Response(b"")

    assert ask(app, "/inner/about").body == b"about.html"
    assert ask(app, "/inner/docs?a=b")["location"] == "/inner/docs/?a=b"
    assert ask(app, "/inner/nothing").body == b"404.html"
    assert ask(app, "/nothing").body != b"404.html"
    assert ask(app, "/inner/form").status in (404, 405)


@pytest.mark.programs
def test_the_command_serves_an_application(tmp_path: Path) -> None:
    write(tmp_path, "index.html", "404.html")
    with LiveServer(tmp_path, "--spa") as server:
        with urllib.request.urlopen(server.url + "users/7?tab=2") as answer:
            assert (answer.read(), answer.headers["Cache-Control"]) == (b"index.html", "no-cache")
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(server.url + "missing.png")
        assert (caught.value.code, caught.value.read()) == (404, b"404.html")
        caught.value.close()


@pytest.mark.programs
def test_the_command_follows_the_rules_and_tells_what_is_wrong_with_them(tmp_path: Path) -> None:
    write(tmp_path, "index.html", "app.html")
    (tmp_path / "_redirects").write_text("/old /new\n/app/* /app.html 200\n/ /de 302 Language=de\n")
    with LiveServer(tmp_path) as server:
        assert f"{tmp_path}/_redirects:3: Language=… is a condition that is not known here" in server.log
        with urllib.request.urlopen(server.url + "app/users/7") as answer:
            assert (answer.read(), answer.headers["X-Rule"]) == (b"app.html", None)
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/old?a=b")
        moved = connection.getresponse()
        assert (moved.status, moved.headers["Location"], moved.read()) == (301, "/new?a=b", b"")
        (tmp_path / "_headers").write_text("/app/*\n  X-Rule: 1\nhttps://a.example/*\n  X-Rule: 2\n")
        end = time.monotonic() + 10
        while moved.headers["X-Rule"] is None and time.monotonic() < end:
            time.sleep(0.1)
            connection.request("GET", "/app/users/8")
            moved = connection.getresponse()
            moved.read()
        assert moved.headers["X-Rule"] == "1"
        assert server.wait_for(f"{tmp_path}/_headers:3: the rule is for a whole URL")
        connection.close()
