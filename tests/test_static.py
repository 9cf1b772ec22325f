"""httpd.site.static and root: what a folder gives, and what never leaves it."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from httpd.protocol.errors import HTTPError
from httpd.protocol.message import Response
from httpd.site.entities import SMALL, Entities
from httpd.site.root import Root, names, quoted
from httpd.site.router import Router
from httpd.site.static import StaticFiles

from .factories import request
from .strategies import examples

SECRET = b"the secret outside"
BIG = bytes(range(256)) * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A site with a secret beside it."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_bytes(SECRET)
    root = tmp_path / "root"
    for folder in ("docs/deep", "empty", ".git", ".well-known"):
        (root / folder).mkdir(parents=True)
    (root / "index.html").write_bytes(b"<p>home</p>")
    (root / "page.txt").write_bytes(b"page")
    (root / "docs" / "index.html").write_bytes(b"docs")
    (root / "docs" / "deep" / "a b.txt").write_bytes(b"deep")
    (root / ".git" / "config").write_bytes(SECRET)
    (root / ".env").write_bytes(SECRET)
    (root / ".well-known" / "security.txt").write_bytes(b"contact")
    (root / "big.bin").write_bytes(BIG)
    (root / "nothing.css").write_bytes(b"")
    return root


@pytest.fixture(params=["remembering", "forgetful"])
def site(request: pytest.FixtureRequest, root: Path) -> Iterator[StaticFiles]:
    """With a cache, whose clock stands long after the files were written, and with one that keeps nothing."""
    cache = {} if request.param == "remembering" else {"max_count": 0, "max_open": 0}
    site = StaticFiles(root, entities=Entities(clock=lambda: time.time() + 60, **cache))
    yield site
    site.entities.clear()


def content(response: Response) -> bytes:
    """All of a response's bytes; its producer is closed."""
    if isinstance(response.body, bytes):
        return response.body
    pieces = []
    while piece := response.body.more():
        pieces.append(piece)
    response.body.close()  # type: ignore[attr-defined]
    return b"".join(pieces)


def field(response: Response, name: str) -> str:
    return dict(response.headers).get(name, "")


def get(site: StaticFiles, path: str, **headers: str) -> Response:
    return site(request(path, headers={name.replace("_", "-"): value for name, value in headers.items()}))


def refusal(site: StaticFiles, path: str, method: str = "GET", **headers: str) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        site(request(path, method, headers={name.replace("_", "-"): value for name, value in headers.items()}))
    return caught.value


# ---- what is served


@pytest.mark.parametrize(
    ("path", "expected", "kind"),
    [
        ("/", b"<p>home</p>", "text/html; charset=utf-8"),
        ("/index.html", b"<p>home</p>", "text/html; charset=utf-8"),
        ("/page.txt", b"page", "text/plain; charset=utf-8"),
        ("/docs/", b"docs", "text/html; charset=utf-8"),
        ("/docs/deep/a b.txt", b"deep", "text/plain; charset=utf-8"),
        ("/.well-known/security.txt", b"contact", "text/plain; charset=utf-8"),
        ("/big.bin", BIG, "application/octet-stream"),
        ("/nothing.css", b"", "text/css; charset=utf-8"),
    ],
)
def test_files_are_served(site: StaticFiles, path: str, expected: bytes, kind: str) -> None:
    for _ in range(2):
        response = get(site, path)
        assert (response.status, response.length) == (200, len(expected))
        assert content(response) == expected
        assert field(response, "Content-Type") == kind
        assert field(response, "X-Content-Type-Options") == "nosniff"
        assert field(response, "ETag").startswith('"')
        assert field(response, "Last-Modified").endswith(" GMT")


@pytest.mark.parametrize("path", ["/page.txt", "/big.bin", "/", "/empty/"])
def test_head_is_get_without_the_content(site: StaticFiles, path: str) -> None:
    for _ in range(2):
        head, whole = site(request(path, "HEAD")), get(site, path)
        assert (head.status, head.length, head.fields) == (whole.status, whole.length, whole.fields)
        content(whole)


def test_no_descriptor_is_left_by_head_on_a_big_file(site: StaticFiles) -> None:
    response = site(request("/big.bin", "HEAD"))
    assert response.body == b""


def test_own_field_lines_come_with_every_file_and_with_304(root: Path) -> None:
    site = StaticFiles(root, headers=[("Access-Control-Allow-Origin", "*")])
    response = get(site, "/page.txt")
    assert field(response, "Access-Control-Allow-Origin") == "*"
    again = get(site, "/page.txt", If_None_Match=field(response, "ETag"))
    assert (again.status, field(again, "Access-Control-Allow-Origin")) == (304, "*")


@pytest.mark.parametrize("line", [("X", "a\r\nSet-Cookie: b"), ("a b", "c"), ("Content-Length", "5")])
def test_field_lines_that_cannot_be_sent_are_refused_at_the_start(root: Path, line: tuple[str, str]) -> None:
    """At a request it would be too late: a big file is open by then, for a response that nobody can send."""
    with pytest.raises(ValueError, match=line[0]):
        StaticFiles(root, headers=[line])


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for missing in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(NotADirectoryError, match=missing.name):
            StaticFiles(missing)
    with pytest.raises(ValueError, match="inside"):
        StaticFiles(tmp_path, symlinks="some")  # type: ignore[arg-type]


def test_it_serves_below_a_mount(root: Path) -> None:
    site = Router()
    site.mount("/static files", StaticFiles(root))
    assert content(site(request("/static files/page.txt"))) == b"page"
    assert field(site(request("/static files/docs", query="a=b")), "Location") == "/static%20files/docs/?a=b"
    assert field(site(request("/static files", query="a=b")), "Location") == "/static%20files/?a=b"


# ---- conditions


@pytest.mark.parametrize("path", ["/page.txt", "/big.bin"])
def test_conditional_requests(site: StaticFiles, path: str) -> None:
    for _ in range(2):
        response = get(site, path)
        content(response)
        etag, modified = field(response, "ETag"), field(response, "Last-Modified")
        assert get(site, path, If_None_Match=etag).status == 304
        assert site(request(path, "HEAD", headers={"If-None-Match": etag})).status == 304
        assert get(site, path, If_None_Match=f'"x", {etag}').status == 304
        assert get(site, path, If_Modified_Since=modified).status == 304
        assert get(site, path, If_None_Match=etag, If_Modified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status == 304
        assert get(site, path, If_None_Match='"x"', If_Modified_Since=modified).status == 200
        assert get(site, path, If_Match=etag, If_None_Match=etag).status == 304
        assert refusal(site, path, If_Match='"x"', If_None_Match=etag).status == 412
        assert refusal(site, path, If_Unmodified_Since="Thu, 01 Jan 1970 00:00:00 GMT").status == 412


def test_a_304_has_the_validator_and_no_length(site: StaticFiles) -> None:
    etag = field(get(site, "/page.txt"), "ETag")
    response = get(site, "/page.txt", If_None_Match=etag)
    assert response.headers == [("Cache-Control", "max-age=3600"), ("ETag", etag)]
    assert b"Content-Length" not in response.fields


# ---- methods


@pytest.mark.parametrize("path", ["/page.txt", "/docs/", "/empty"])
def test_other_methods_are_405_with_allow(site: StaticFiles, path: str) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        error = refusal(site, path, method)
        assert (error.status, dict(error.headers)["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert refusal(site, path, "CONNECT").status == 501
    assert refusal(site, path, "BREW").status == 501
    response = site(request(path, "OPTIONS"))
    assert (response.status, field(response, "Allow")) == (204, "GET, HEAD, OPTIONS")


def test_methods_on_nothing(site: StaticFiles) -> None:
    assert refusal(site, "/nothing", "POST").status == 404
    assert refusal(site, "/.env", "POST").status == 404
    assert site(request("*", "OPTIONS")).status == 204


# ---- folders


@pytest.mark.parametrize(
    ("path", "query", "location"),
    [
        ("/docs", "", "/docs/"),
        ("/docs", "q=1&r=%2F", "/docs/?q=1&r=%2F"),
        ("//docs", "", "/docs/"),
        ("//docs/", "", "/docs/"),
        ("//", "", "/"),
        ("/docs//deep", "x", "/docs/deep/?x"),
    ],
)
def test_a_folder_has_one_address(site: StaticFiles, path: str, query: str, location: str) -> None:
    response = site(request(path, query=query))
    assert (response.status, field(response, "Location")) == (308, location)


@pytest.mark.parametrize("name", ["a:b", "evil.test", "日本", "a?b#c", " ", "a%2fb", "\udcff"])
def test_a_redirect_stays_on_the_site(root: Path, name: str) -> None:
    raw = name.encode("utf-8", "surrogateescape")
    os.mkdir(os.fsencode(root) + b"/" + raw)
    for path in (f"/{name}", f"//{name}", f"///{name}//"):
        location = field(get(StaticFiles(root), path), "Location")
        assert not location.startswith("//")
        goal = urlsplit(urljoin("http://this.test/x", location))
        assert goal.netloc == "this.test"
        assert unquote_to_bytes(goal.path) == b"/" + raw + b"/"


def test_without_an_index_there_is_a_listing_if_it_is_wanted(root: Path) -> None:
    assert get(StaticFiles(root), "/empty/").status == 200
    assert refusal(StaticFiles(root, listing=False), "/empty/").status == 403
    assert content(get(StaticFiles(root, index="page.txt"), "/")) == b"page"


def test_an_index_that_comes_and_goes_is_seen(site: StaticFiles, root: Path) -> None:
    assert b"the first" not in content(get(site, "/empty/"))
    (root / "empty" / "index.html").write_bytes(b"the first")
    assert content(get(site, "/empty/")) == b"the first"
    (root / "empty" / "index.html").unlink()
    assert b"the first" not in content(get(site, "/empty/"))


def test_an_index_that_is_a_folder_is_none(site: StaticFiles, root: Path) -> None:
    (root / "empty" / "index.html").mkdir()
    assert field(get(site, "/empty/"), "Content-Type") == "text/html; charset=utf-8"


# ---- what is refused


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/page.txt/", "/page.txt/x", "/docs/../page.txt", "/../secret.txt", "/..", "/docs/..", "/...",
        "/page.txt/.", "/page.txt/./", "/./..", "/.env", "/.git/config", "/.git/", "/.git", "/docs/.hidden",
        "/page.txt\0", "/page.txt\0.html", "/\0", "/..\\secret.txt", "\\secret.txt", "/docs\\index.html",
        "/" + "a" * 300, "/" + "a/" * 3000, "/C:/secret.txt", "/page.txt ", "/PAGE.TXT\x00", "/~root", "/\udcff",
        "/..\udc80", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
    ],
)  # fmt: skip
def test_what_is_not_there_or_not_meant_is_404(site: StaticFiles, path: str) -> None:
    assert refusal(site, path).status == 404
    assert refusal(site, path, "HEAD").status == 404
    assert refusal(site, path, "POST").status in (404, 405)


@pytest.mark.parametrize(
    "path", ["//page.txt", "///page.txt", "/docs//deep///a b.txt", "/./page.txt", "/././/page.txt"]
)
def test_empty_and_dot_segments_count_for_nothing_and_crowd_no_cache(site: StaticFiles, path: str) -> None:
    for _ in range(3):
        assert content(get(site, path)) in (b"page", b"deep")
    assert len(site.entities) <= 1


@pytest.mark.parametrize("path", ["/docs/.", "/./docs", "/docs/./", "//docs/././/"])
def test_a_dot_names_the_folder_it_stands_in(site: StaticFiles, path: str) -> None:
    assert field(get(site, path), "Location") == "/docs/"


def test_an_absolute_path_is_one_below_the_root(site: StaticFiles, root: Path) -> None:
    outside = root.parent / "secret.txt"
    for path in (str(outside), f"/{outside}", f"//{outside}"):
        assert refusal(site, path).status == 404


@pytest.mark.parametrize("errno_name", ["EACCES", "EPERM"])
def test_a_refusal_of_the_disk_is_403(site: StaticFiles, monkeypatch: pytest.MonkeyPatch, errno_name: str) -> None:
    def refuse(parts: object) -> object:
        raise OSError(getattr(errno, errno_name), "no")

    monkeypatch.setattr(site.root, "open", refuse)
    assert refusal(site, "/page.txt").status == 403


def test_trouble_of_the_disk_is_no_404(site: StaticFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(parts: object) -> object:
        raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(site.root, "open", fail)
    with pytest.raises(OSError, match="broken"):
        get(site, "/page.txt")


def test_without_descriptors_the_cache_gives_its_own_back(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = StaticFiles(root, entities=Entities(clock=lambda: 1e12))
    content(get(site, "/big.bin"))
    real, failures = site.root.open, iter([True])

    def scarce(parts: list[bytes]) -> tuple[int, os.stat_result]:
        if next(failures, False):
            raise OSError(errno.EMFILE, "too many open files")
        return real(parts)

    monkeypatch.setattr(site.root, "open", scarce)
    assert content(get(site, "/page.txt")) == b"page"
    failures = iter([True, True])
    assert refusal(site, "/docs/").status == 503
    site.entities.clear()


# ---- special files


@pytest.fixture
def special(root: Path) -> Path:
    os.mkfifo(root / "fifo")
    os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    (root / "null").symlink_to("/dev/null")
    return root


@pytest.mark.parametrize("symlinks", ["inside", "none", "all"])
def test_special_files_are_never_opened(special: Path, symlinks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = StaticFiles(special, symlinks=symlinks)  # type: ignore[arg-type]
    opened: list[object] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more))
    for name in ("fifo", "socket", "null"):
        for path in (f"/{name}", f"/{name}/"):
            assert refusal(site, path).status == 404
    assert not {b"fifo", b"socket", b"null"} & set(opened)


def test_special_files_are_not_listed(special: Path) -> None:
    (special / "index.html").unlink()
    page = content(get(StaticFiles(special), "/", Accept="text/plain"))
    assert b"page.txt" in page
    for name in (b"fifo", b"socket", b"null", b".env", b".git"):
        assert name not in page


# ---- symbolic links


@pytest.fixture
def linked(root: Path) -> Path:
    (root / "inside").symlink_to("page.txt")
    (root / "absolute").symlink_to(root / "page.txt")
    (root / "chain").symlink_to("inside")
    (root / "folder").symlink_to("docs")
    (root / "out").symlink_to("../secret.txt")
    (root / "outdir").symlink_to(root.parent / "outside")
    (root / "docs" / "through").symlink_to("../outdir/secret.txt")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "rootlink").symlink_to(".")
    (root / "sibling").symlink_to("../root-secret")
    (root.parent / "root-secret").write_bytes(SECRET)
    return root


INSIDE = {
    "/inside": b"page",
    "/absolute": b"page",
    "/chain": b"page",
    "/folder/": b"docs",
    "/rootlink/page.txt": b"page",
}
OUTSIDE = ["/out", "/outdir/secret.txt", "/docs/through", "/sibling"]


def test_links_that_stay_inside_are_followed(linked: Path) -> None:
    site = StaticFiles(linked)
    for path, expected in INSIDE.items():
        assert content(get(site, path)) == expected
    for path in [*OUTSIDE, "/outdir/", "/outdir", "/loop", "/dangling"]:
        assert refusal(site, path).status == 404


def test_no_link_is_followed_where_none_is_wanted(linked: Path) -> None:
    site = StaticFiles(linked, symlinks="none")
    for path in [*INSIDE, *OUTSIDE, "/folder", "/outdir", "/loop", "/dangling"]:
        assert refusal(site, path).status == 404
    assert content(get(site, "/page.txt")) == b"page"


def test_every_link_is_followed_where_all_are_wanted(linked: Path) -> None:
    site = StaticFiles(linked, symlinks="all")
    for path, expected in INSIDE.items():
        assert content(get(site, path)) == expected
    for path in OUTSIDE:
        assert content(get(site, path)) == SECRET
    for path in ("/loop", "/dangling"):
        assert refusal(site, path).status == 404


@pytest.mark.parametrize(("symlinks", "there"), [("inside", "chain"), ("all", "out")])
def test_a_listing_shows_what_can_be_fetched(linked: Path, symlinks: str, there: str) -> None:
    (linked / "index.html").unlink()
    site = StaticFiles(linked, symlinks=symlinks)  # type: ignore[arg-type]
    listed = [line.split()[-1] for line in content(get(site, "/", Accept="text/plain")).decode().splitlines()]
    assert there in listed
    for name in listed:
        assert get(site, f"/{name}").status in (200, 308)
    assert "loop" not in listed


def test_a_file_replaced_by_a_link_out_is_no_longer_served(site: StaticFiles, root: Path) -> None:
    assert content(get(site, "/page.txt")) == b"page"
    (root / "page.txt").unlink()
    (root / "page.txt").symlink_to("../secret.txt")
    assert refusal(site, "/page.txt").status == 404


def test_the_root_itself_may_be_a_link_that_is_switched(tmp_path: Path) -> None:
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "page.txt").write_text(release)
    current = tmp_path / "current"
    current.symlink_to("one")
    site = StaticFiles(current)
    assert content(get(site, "/page.txt")) == b"one"
    current.unlink()
    current.symlink_to("two")
    assert content(get(site, "/page.txt")) == b"two"


def test_what_was_judged_is_what_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on the way becomes a link to the outside between the look and the opening."""
    (root / "docs" / "secret.txt").write_bytes(b"harmless")
    real = os.path.realpath

    def slow(path: bytes, **options: bool) -> bytes:
        answer = real(path, **options)
        if answer.endswith(b"secret.txt"):
            os.rename(root / "docs", root / "moved")
            (root / "docs").symlink_to("../outside")
        return answer

    monkeypatch.setattr(os.path, "realpath", slow)
    assert refusal(StaticFiles(root), "/docs/secret.txt").status == 404


def test_a_file_that_becomes_a_fifo_at_the_last_moment_neither_blocks_nor_is_served(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapping(path: bytes, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if path == b"page.txt":
            (root / "page.txt").unlink()
            os.mkfifo(root / "page.txt")
        return real(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swapping)
    assert refusal(StaticFiles(root), "/page.txt").status == 404


# ---- names


@pytest.mark.parametrize(
    "raw", [b"caf\xe9.txt", b"\xff\xfe.txt", "日本.txt".encode(), b"a b+c%20.txt", b"new\nline.txt"]
)
def test_any_name_of_the_disk_can_be_fetched(root: Path, raw: bytes) -> None:
    with open(os.fsencode(root) + b"/" + raw, "wb") as file:
        file.write(b"odd")
    (root / "index.html").unlink()
    site = StaticFiles(root)
    assert content(get(site, "/" + raw.decode("utf-8", "surrogateescape"))) == b"odd"
    assert quoted(raw).encode() in content(get(site, "/", Accept="application/json"))


@given(st.binary(max_size=40))
def test_a_quoted_name_is_one_safe_segment(name: bytes) -> None:
    assert unquote_to_bytes(quoted(name)) == name
    assert set(quoted(name)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")


# ---- nothing leaves the root, whatever is asked

NASTY = st.sampled_from(
    ["..", ".", "", "...", "..\\", "\\", "\0", "C:", "%2e%2e", "secret.txt", "outside", "root", "docs", "page.txt",
     "out", "outdir", "through", "rootlink", "folder", "deep", ".git", "config", ".env", "~", "proc", "self", "etc",
     "passwd", "\udcff", "\udc80\udc81", "∕", "．．", ".. ", " ..", "a" * 256]
)  # fmt: skip
PATHS = st.lists(NASTY | st.text(max_size=5), max_size=8).map(lambda parts: "/" + "/".join(parts))


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATHS, symlinks=st.sampled_from(["inside", "none"]))
@example(path="/outdir/secret.txt", symlinks="inside")
@example(path="/rootlink/rootlink/../../secret.txt", symlinks="inside")
def test_nothing_leaves_the_root(linked: Path, path: str, symlinks: str) -> None:
    for spelled in (path, path + "/", "/" + path):
        try:
            response = StaticFiles(linked, symlinks=symlinks)(request(spelled))  # type: ignore[arg-type]
        except HTTPError as error:
            assert error.status == 404
            continue
        assert SECRET not in content(response)
        assert not field(response, "Location").startswith("//")
        assert response.status in (200, 308)


@given(path=PATHS)
def test_names_are_plain(path: str) -> None:
    try:
        parts = names(path)
    except HTTPError:
        return
    assert all(part not in (b"", b".", b"..") and not set(part) & set(b"/\\\0") for part in parts)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATHS)
def test_no_descriptor_is_left_open(linked: Path, path: str) -> None:
    root = Root(linked)
    before = set(os.listdir("/dev/fd"))
    try:
        descriptor, _ = root.open(names(path))
    except (HTTPError, OSError):
        pass
    else:
        os.close(descriptor)
    # Fewer, where something of another test was closed meanwhile.
    assert set(os.listdir("/dev/fd")) <= before


def test_the_threshold_is_as_documented() -> None:
    assert SMALL == 131_072
