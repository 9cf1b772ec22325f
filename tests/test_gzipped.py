"""gzip on the fly: what is compressed, for whom, and what never is."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from httpd import Gzipped, Request, Response, Router, StaticFiles, Templates, html, json, text
from httpd.net.producers import feed_producer
from httpd.protocol.errors import HTTPError

from .exchange import EOF, Exchange, get
from .exchange import post as posted
from .factories import request
from .live import LiveServer
from .tools import needs
from .workbench import noise, run

LONG = "and so on, " * 200
ACCEPTS = "Accept-Encoding: gzip, deflate, br"


class Steps:
    """Content that is made while it is sent; None is a pause."""

    def __init__(self, *steps: bytes | None) -> None:
        self.steps = [*steps]
        self.closed = 0

    def more(self) -> bytes | None:
        return self.steps.pop(0) if self.steps else b""

    def close(self) -> None:
        self.closed += 1


def answer(site: Callable[..., Response], *fields: str, path: str = "/", method: str = "GET"):  # type: ignore[no-untyped-def]
    [answer] = Exchange([get(path, *fields, method=method)], Gzipped(site)).answers(method)
    return answer


# ---- what is compressed


@pytest.mark.parametrize(
    "response",
    [
        html(LONG),
        text(LONG),
        json([LONG]),
        html(LONG, 404),
        Response(LONG, content_type="image/svg+xml"),
        Response(LONG, content_type="Text/JavaScript"),
        Response(LONG, headers=[("Cache-Control", "no-cache, max-age=3"), ("content-type", "application/json")]),
    ],
)
def test_text_is_compressed(response: Response) -> None:
    for _ in range(2):
        found = answer(lambda request: response, ACCEPTS)
        plain = answer(lambda request: response)
        assert found.status == plain.status == response.status
        assert (found["content-encoding"], plain["content-encoding"]) == ("gzip", "")
        assert found["vary"] == plain["vary"] == "Accept-Encoding"
        assert found["content-type"] == plain["content-type"]
        assert found["content-length"] == str(len(found.body))
        assert len(found.body) < len(plain.body) / 5
        assert gzip.decompress(found.body) == plain.body == response.body
        assert found.keeps_alive


def test_head_says_what_get_would() -> None:
    head = answer(lambda request: html(LONG), ACCEPTS, method="HEAD")
    assert head["content-length"] == answer(lambda request: html(LONG), ACCEPTS)["content-length"]
    assert head.body == b""


@pytest.mark.parametrize("field", ["", "Accept-Encoding: br", "Accept-Encoding: gzip;q=0", "Accept-Encoding: *;q=0"])
def test_only_who_accepts_it_gets_it(field: str) -> None:
    plain = answer(lambda request: html(LONG), *filter(None, [field]))
    assert (plain.body, plain["content-encoding"], plain["vary"]) == (LONG.encode(), "", "Accept-Encoding")


def test_what_a_response_varied_by_it_still_does() -> None:
    response = html(LONG, headers=[("Vary", "Accept-Language")])
    assert answer(lambda request: response, ACCEPTS)["vary"] == "Accept-Language, Accept-Encoding"


def test_the_tag_of_compressed_content_is_weak_and_holds_nevertheless() -> None:
    def site(request: Request) -> Response:
        given = request.headers.get("if-none-match")
        return Response(b"", 304, [("ETag", '"a"')]) if '"a"' in given else html(LONG, headers=[("etag", '"a"')])

    assert answer(site)["etag"] == '"a"'
    found = answer(site, ACCEPTS)
    assert (found["etag"], found["content-encoding"]) == ('W/"a"', "gzip")
    for tag, vary in [('W/"a"', "Accept-Encoding"), ('"a"', "")]:
        again = answer(site, ACCEPTS, f"If-None-Match: {tag}")
        assert (again.status, again["etag"], again["vary"]) == (304, tag, vary)


def test_a_weak_tag_stays_as_it_is() -> None:
    assert answer(lambda request: html(LONG, headers=[("ETag", 'W/"a"')]), ACCEPTS)["etag"] == 'W/"a"'
    assert answer(lambda request: Response(b"", 304, [("ETag", 'W/"a"')]), ACCEPTS)["etag"] == 'W/"a"'
    assert answer(lambda request: Response(b"", 304), ACCEPTS)["etag"] == ""


# ---- what is not


@pytest.mark.parametrize(
    "response",
    [
        html("short"),
        html(LONG * 500),
        Response(noise(300), content_type="text/plain"),
        Response(LONG),
        Response(LONG, content_type="application/octet-stream"),
        Response(LONG, content_type="image/png"),
        html(LONG, headers=[("Content-Encoding", "br")]),
        html(LONG, headers=[("Accept-Ranges", "bytes")]),
        html(LONG, 206, headers=[("Content-Range", "bytes 0-9/99")]),
        # ---- for one person
        html(LONG, headers=[("Set-Cookie", "session=1")]),
        html(LONG, headers=[("cache-control", "max-age=3, Private")]),
        html(LONG, headers=[("Cache-Control", "no-store")]),
        html(LONG, headers=[("Cache-Control", "no-transform")]),
    ],
)
def test_some_answers_are_left_as_they_are(response: Response) -> None:
    found = answer(lambda request: response, ACCEPTS)
    assert found.body == response.body
    assert found["content-encoding"] == dict(response.headers).get("Content-Encoding", "")


@pytest.mark.parametrize("field", ["Cookie: a=b", "Authorization: Basic YTpi", "cookie:"])
def test_nothing_is_compressed_for_who_shows_a_secret(field: str) -> None:
    found = answer(lambda request: html(LONG), ACCEPTS, field)
    assert (found["content-encoding"], found.body) == ("", LONG.encode())


def test_a_stranger_learns_nothing_of_a_secret_by_the_length() -> None:
    """The attack itself: of the guesses the right one repeats what is there, and would be shorter."""

    def page(request: Request) -> Response:
        return html(f"<p>Your token is token=5ecret. You searched for {request.args.get('q')}. {LONG}")

    def lengths(*fields: str) -> set[int]:
        guesses = ("token=5ecret", "token=zqjxkv")
        return {len(answer(page, ACCEPTS, *fields, path=f"/?q={guess}").body) for guess in guesses}

    assert len(lengths()) == 2
    assert len(lengths("Cookie: session=victim")) == 1


# ---- content that is made while it is sent


def test_a_stream_is_compressed_piece_by_piece() -> None:
    content = Steps(b"one ", None, b"two ", b"three")
    exchange = Exchange([get("/", ACCEPTS)], Gzipped(lambda request: Response(content, content_type="text/plain")))
    head, _, begun = exchange.output.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert b"Content-Length" not in head
    # What was made before the pause is there to be read.
    assert zlib.decompressobj(31).decompress(begun) == b"one "
    exchange.handler.wake()
    exchange.play()
    assert gzip.decompress(exchange.output.partition(b"\r\n\r\n")[2]) == b"one two three"
    assert exchange.feed(EOF).closed
    assert content.closed == 1


def test_an_empty_stream_is_one() -> None:
    found = answer(lambda request: Response(Steps(), content_type="text/plain"), ACCEPTS)
    assert gzip.decompress(found.body) == b""


def test_a_stream_wakes_its_channel_and_ends_with_the_server() -> None:
    feed = feed_producer()
    exchange = Exchange([get("/", ACCEPTS)], Gzipped(lambda request: Response(feed, content_type="text/event-stream")))
    for word in (b"one ", b"two "):
        feed.put(word)
        exchange.play()
    assert zlib.decompressobj(31).decompress(exchange.output.partition(b"\r\n\r\n")[2]) == b"one two "
    exchange.handler.finish()
    exchange.play()
    assert gzip.decompress(exchange.output.partition(b"\r\n\r\n")[2]) == b"one two "


@pytest.mark.cut
def test_a_stream_is_closed_when_the_client_goes() -> None:
    content = Steps(*[noise(60_000)] * 20)
    site = Gzipped(lambda request: Response(content, content_type="text/plain"))
    exchange = Exchange([get("/", ACCEPTS)], site, room=9)
    exchange.handler.close()
    assert content.closed == 1


def test_a_stream_of_known_length_keeps_it() -> None:
    content = Steps(b"four")
    found = answer(lambda request: Response(content, content_type="text/plain", length=4), ACCEPTS)
    assert (found.body, found["content-length"], found["content-encoding"]) == (b"four", "4", "")


# ---- around a site


def test_files_are_left_as_they_are_and_listings_are_not(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(LONG)
    for number in range(20):
        (tmp_path / f"file{number}").touch()
    site = StaticFiles(tmp_path)
    page = answer(site, ACCEPTS, path="/page.html")
    assert (page["content-encoding"], page["vary"]) == ("", "")
    assert answer(site, ACCEPTS, f"If-None-Match: {page['etag']}", path="/page.html")["etag"] == page["etag"]
    listing = answer(site, ACCEPTS)
    assert (listing["content-encoding"], listing["vary"]) == ("gzip", "Accept, Accept-Encoding")
    assert b"file19" in gzip.decompress(listing.body)
    assert answer(site, ACCEPTS, f"If-None-Match: {listing['etag']}").status == 304
    assert answer(site, ACCEPTS, path="/nowhere").status == 404


def test_templates_are_compressed_the_long_ones_while_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("{% for n in range(many) %}<p>{{ n }}{% endfor %}")
    templates = Templates(tmp_path)
    for many in (100, 20_000):
        found = answer(lambda request, many=many: templates.response("page.html", many=many), ACCEPTS)
        assert gzip.decompress(found.body).decode() == templates.render("page.html", many=many)
        assert bool(found["content-length"]) == (many == 100)


def test_the_rest_of_a_site_is_as_it_was() -> None:
    router = Router()

    @router.post("/form")
    def form(request: Request) -> Response:
        return text(LONG)

    outer = Router()
    outer.mount("/in", Gzipped(router))
    site = Gzipped(outer)
    [told] = Exchange([posted(b"a", ACCEPTS, path="/in/form")], site).answers("POST")
    assert gzip.decompress(told.body) == LONG.encode()
    with pytest.raises(HTTPError, match="404"):
        site.check(request("/elsewhere", "POST"))
    [refused] = Exchange([get("/in/form", ACCEPTS)], site).answers()
    assert (refused.status, refused["allow"]) == (405, "POST, OPTIONS")


def test_a_handler_that_returns_nothing_is_named() -> None:
    def forgetful(request: Request) -> None:
        return None

    assert answer(forgetful).status == 500  # type: ignore[arg-type]


@pytest.mark.programs
def test_the_option_of_the_command(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"file{number}").touch()
    ask = (needs("curl"), "-s", "--compressed", "-o", tmp_path / "out", "-w", "%header{content-encoding}")
    with LiveServer(tmp_path, "--gzip") as server:
        assert run(*ask, server.url) == "gzip"
        assert "file19" in (tmp_path / "out").read_text()
        assert run(*ask, "-H", "Cookie: a=b", server.url) == ""
    with LiveServer(tmp_path) as server:
        assert run(*ask, server.url) == ""
