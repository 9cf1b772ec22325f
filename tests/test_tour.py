"""The tour: each stop says what made it and leads to its own recording, and all of it is for this machine alone."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest

from httpd import Response
from httpd.cli import main
from httpd.tour.handler import toured
from httpd.tour.sources import Sources
from httpd.tour.stops import STOPS, Stop, stop_at

from .exchange import Exchange, Given, StrictHandler, get
from .tools import TOP
from .touring import Tour, tour

_LINK = re.compile(r'(?:href|src|action|poster)="([^"#]*)')
_STRIP = re.compile(r'<aside class="tour-strip".*?</aside>', re.DOTALL)


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    with tour(tmp_path_factory.mktemp("visitor")) as tour_under_way:
        yield tour_under_way


def strip(page: str) -> str:
    found = _STRIP.search(page)
    assert found
    return unescape(found[0])


# ---- the stops


@pytest.mark.programs
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.path)
def test_each_stop_says_what_made_it_and_leads_there(guide: Tour, stop: Stop) -> None:
    page = guide.page(stop.path)
    assert page.count('<aside class="tour-strip"') == 1
    told = strip(page)
    assert stop.told in told
    assert len(re.findall(r"[.?!](?: |$)", stop.told)) == 2
    source = re.search(r'href="(/source/[^"#]+)#L(\d+)">([^<]+)<', told)
    assert source
    assert source[3] == stop.source
    lines = (TOP / stop.source).read_text(encoding="utf-8").splitlines()
    assert lines[int(source[2]) - 1].startswith(stop.line)
    assert f'<span id="L{source[2]}">{lines[int(source[2]) - 1]}' in unescape(guide.page(source[1]))


@pytest.mark.programs
def test_the_stops_follow_each_other(guide: Tour) -> None:
    path, seen = "/", []
    while path:
        seen.append(path)
        following = re.search(r'class="tour-next" href="([^"]+)"', guide.page(path))
        path = following[1] if following else ""
    assert seen == [stop.path for stop in STOPS]


@pytest.mark.programs
@pytest.mark.parametrize(
    ("path", "stop"),
    [("/", 0), ("/pictures", 1), ("/things/a/", 2), ("/contact/sent", 4), ("/contact2", None), ("/tour.css", None)],
)
def test_which_stop_a_path_belongs_to(path: str, stop: int | None) -> None:
    assert stop_at(path) == (None if stop is None else STOPS[stop])


@pytest.mark.programs
def test_every_link_leads_somewhere(guide: Tour) -> None:
    waiting, seen = ["/"], {"/"}
    while waiting:
        at = waiting.pop()
        status, fields, content = guide.ask(at, Accept="text/html")
        assert status == 200, at
        if "text/html" in fields["Content-Type"] and (at == "/source/" or not at.startswith("/source/")):
            for link in _LINK.findall(content.decode()):
                address = urlsplit(urljoin(guide.url + at, unescape(link)))
                target = address.path + (address.query and f"?{address.query}")
                # What is posted to is not asked for; of a list's orders one is enough.
                if f"http://{address.netloc}" == guide.url and not address.query and address.path != "/inbox/mark":
                    waiting += {target} - seen
                    seen.add(target)
    assert {"/night.webm", "/flags.svg", "/tour.css", "/inbox/", "/source/httpd/tour/site.py"} <= seen


@pytest.mark.programs
def test_a_name_is_greeted_and_stays_a_name(guide: Tour) -> None:
    page = guide.page("/hello?" + urlencode({"name": "<b>A/da</b>"}))
    assert "<h1>Hello, &lt;b&gt;A da&lt; b&gt;</h1>" in page
    assert "<h1>Hello, stranger</h1>" in guide.page("/hello?name=%20")


@pytest.mark.programs
def test_the_film_is_sought(guide: Tour) -> None:
    status, fields, content = guide.ask("/night.webm", Range="bytes=100000-")
    film = (TOP / "static" / "tour" / "site" / "night.webm").read_bytes()
    assert (status, content) == (206, film[100_000:])
    assert fields["Content-Range"] == f"bytes 100000-{len(film) - 1}/{len(film)}"
    assert fields["Content-Type"] == "video/webm"
    assert len(film) < 200_000


# ---- the form


@pytest.mark.programs
def test_what_is_sent_is_in_the_owner_s_page(guide: Tour) -> None:
    token = re.search(r'name="_token" value="([^"]+)"', guide.page("/contact"))
    assert token
    typed = {"name": "Ada <i>", "berth": "For a night", "message": "Good evening", "_token": token[1]}
    wrong, _, page = guide.ask("/contact", urlencode({**typed, "berth": ""}).encode(), Accept="text/html")
    assert (wrong, STOPS[4].told in strip(page.decode())) == (422, True)
    status, _, page = guide.ask("/contact", urlencode(typed).encode())
    assert (status, b"Thank you" in page, STOPS[4].told in strip(page.decode())) == (200, True, True)
    inbox = guide.page("/inbox/")
    assert "Ada &lt;i&gt;" in inbox
    one = re.search(r'href="(submission/[^"]+)"', inbox)
    assert one
    assert "Good evening" in guide.page("/inbox/" + one[1])


# ---- the recording


@pytest.mark.programs
@pytest.mark.parametrize("path", ["/pictures", "/things/", "/inbox/"])
def test_the_watch_link_leads_to_this_very_request(guide: Tour, path: str) -> None:
    asked = f"{path}?a={os.urandom(4).hex()}"
    found = re.search(r'href="(http://[^"/]+)/wire/(\d+)#n=(\d+)"', guide.page(asked))
    assert found
    assert found[1] == guide.console
    assert guide.ask(f"{found[1]}/wire/{found[2]}")[0] == 200
    event = guide.events(int(found[2]))[int(found[3])]
    assert (event["name"], event["data"]["target"]) == ("http:request_line", asked)


# ---- whom it is for


@pytest.mark.programs
def test_it_answers_no_other_host(guide: Tour) -> None:
    for path in ("/", "/source/", "/inbox/", "/none"):
        assert guide.ask(path, Host="evil.example")[0] == 421
    assert guide.ask("/inbox/", Origin="http://evil.example")[0] == 403


@pytest.mark.programs
@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..%2f..%2fetc/passwd", "/etc/passwd", "httpd", "pyproject.toml", "httpd/none.py"]
)
def test_only_a_name_that_is_known_is_read(guide: Tour, name: str) -> None:
    assert guide.ask(f"/source/{name}")[0] == 404


def test_the_sources_are_the_project_s_own() -> None:
    sources = Sources()
    names = [name for _, names in sources.rooms() for name in names]
    assert len(names) == len(set(names)) == len(sources)
    assert {"httpd/__init__.py", "httpd/net/asyncore.py", "templates/tour/strip.html"} <= {*names}
    assert {name.partition("/")[0] for name in names} == {"httpd", "templates", "static"}


# ---- the command


@pytest.mark.programs
def test_nothing_is_left_and_a_folder_of_its_name_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "tour").mkdir()
    (tmp_path / "httpd.toml").write_text("no = settings")
    kept = tmp_path / "kept"
    kept.mkdir()
    with tour(tmp_path, PYTHONPATH=str(TOP), TMPDIR=str(kept), HTTPD_PORT="none") as guide:
        assert "the folder tour is served by httpd ./tour" in guide.server.log
        assert len(list(kept.iterdir())) == 1
    assert list(kept.iterdir()) == []
    assert guide.server.log.count("\n") == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bind", "::"], "httpd tour has no use for --bind"),
        (["site"], "httpd tour has no use for DIR"),
        (["--prot", "1"], "did you mean --port?"),
    ],
)
def test_what_it_does_not_take_is_told(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["tour", *words])
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["tour", "--help"])
    assert capsys.readouterr().out.startswith("usage: httpd tour [--port PORT]")


@pytest.mark.programs
def test_a_port_that_is_taken(guide: Tour, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.listdir(tempfile.gettempdir())
    assert main(["tour", "--port", str(guide.server.port)]) == 1
    assert main(["tour", "--port", "0", "--console", str(guide.server.port)]) == 1
    told = capsys.readouterr().err
    assert "is taken; use --port N for another, --port-auto for the next free one" in told
    assert "no console at port" in told
    assert "Traceback" not in told
    assert not {name for name in os.listdir(tempfile.gettempdir()) if "httpd-tour" in name} - {*before}


# ---- the strip, on a scripted socket


def exchange(response: Any, *pieces: bytes) -> Exchange:
    handler: Any = toured(StrictHandler, Sources(), lambda channel: "/watch?a&b")
    return Exchange(pieces, lambda request: response(), handler_class=handler)


def page(body: Any = b"<body><p>") -> Response:
    return Response(body, content_type="text/html")


def test_head_tells_the_length_of_what_get_gets() -> None:
    [whole] = exchange(page, get()).answers()
    [head] = exchange(page, get(method="HEAD")).answers("HEAD")
    assert (head.lines, head.body) == (whole.lines, b"")
    assert whole.body.startswith(b"<body><aside")
    assert b'href="/watch?a&amp;b"' in whole.body


def test_what_is_no_page_of_a_stop_is_as_it_was() -> None:
    assert exchange(page, get("/other")).answers()[0].body == b"<body><p>"
    assert exchange(lambda: Response(b"<body>", content_type="text/plain"), get()).answers()[0].body == b"<body>"


def test_a_page_that_fails_at_its_beginning_is_an_error_page(caplog: pytest.LogCaptureFixture) -> None:
    content = Given(ValueError("on purpose"))
    [answer] = exchange(lambda: page(content), get()).answers()
    assert (answer.status, content.closes) == (500, 1)
    assert "on purpose" in caplog.text


@pytest.mark.programs
def test_the_listing_s_policy_admits_the_strip_s_style(guide: Tour) -> None:
    _, fields, _ = guide.ask("/things/", Accept="text/html")
    assert len(re.findall("'sha256-", fields["Content-Security-Policy"])) == 3
    assert json.loads(guide.ask("/things/", Accept="application/json")[2])["files"] == 4
