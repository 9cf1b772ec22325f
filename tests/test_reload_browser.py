"""Live reload as a person sees it: Chromium shows pages of a folder that is written to."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from httpd import HTTPError, Request, Response, Server, StaticFiles, html

from .exchange import serving
from .tools import needs_module
from .workbench import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.tools

ICON = "<link rel=icon href=data:,>"
PAGE = f"<!doctype html><html lang=en><head><title>Page</title>{ICON}<link rel=stylesheet href=style.css></head>"
STYLE = "h1 { color: rgb(%d, 0, 0) }"


class Bench:
    """A served folder; `streams` is how many connections wait for changes."""

    def __init__(self, folder: Path, server: Server, events: Any) -> None:
        self.folder = folder
        self.server = server
        self.events = events

    def write(self, name: str, content: str) -> None:
        # As careful editors do: no reader sees half of it.
        path = self.folder / f".{name}.new"
        path.write_text(content, encoding="utf-8")
        path.rename(self.folder / name)

    @property
    def streams(self) -> int:
        return len(self.events.listeners)


@contextlib.contextmanager
def bench_of(folder: Path, site: Any, port: int = 0) -> Iterator[Bench]:
    needs_module("watchfiles")
    from httpd.reload.watching import reloading

    with serving(site, port=port) as server, reloading(server, [str(folder)]) as events:
        yield Bench(folder, server, events)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "index.html").write_text(PAGE + "<h1>one</h1>")
    (tmp_path / "style.css").write_text(STYLE % 1)
    with bench_of(tmp_path, StaticFiles(tmp_path)) as bench:
        yield bench


@pytest.fixture
def context(browser: Browser, bench: Bench) -> Iterator[BrowserContext]:
    """A browser that remembers nothing; at the end our script has had nothing to complain of."""
    complaints: list[str] = []
    context = browser.new_context(base_url=bench.server.url)
    context.set_default_timeout(10_000)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda message: complaints.append(f"{message.location}: {message.text}"))
    yield context
    context.close()
    assert [text for text in complaints if "httpd-reload" in text and "Security Policy" not in text] == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def shows(page: Page, text: str) -> None:
    page.wait_for_function("text => document.documentElement.textContent.includes(text)", arg=text)


def listens(bench: Bench, count: int = 1) -> None:
    assert until(lambda: bench.streams == count), bench.streams


def test_a_page_follows_its_file(page: Page, bench: Bench) -> None:
    page.goto("/")
    listens(bench)
    bench.write("index.html", PAGE + "<h1>two</h1>")
    shows(page, "two")
    listens(bench)
    bench.write("index.html", PAGE + "<h1>three</h1>")
    shows(page, "three")
    assert page.evaluate("document.compatMode") == "CSS1Compat"
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize(
    "form",
    ["%s", "<p>%s", "<!-- t --><title>t</title>%s", "<!doctype html>%s<textarea>", "%s<script>//", "%s<plaintext>"],
)
def test_a_page_without_a_body(page: Page, bench: Bench, form: str) -> None:
    bench.write("bare.html", form % "one")
    page.goto("/bare.html")
    listens(bench)
    bench.write("bare.html", form % "two")
    shows(page, "two")


def test_a_style_sheet_is_changed_in_place(page: Page, bench: Bench) -> None:
    page.goto("/")
    listens(bench)
    page.evaluate("window.kept = 'yes'")
    heading = page.locator("h1")
    for red in (2, 3, 4):
        bench.write("style.css", STYLE % red)
        page.wait_for_function(f"getComputedStyle(document.querySelector('h1')).color === 'rgb({red}, 0, 0)'")
    assert heading.evaluate("it => getComputedStyle(it).color") == "rgb(4, 0, 0)"
    assert page.evaluate("window.kept") == "yes"
    page.wait_for_function("document.querySelectorAll('link[rel=stylesheet]').length === 1")
    # The page knows of these changes, and still follows its file.
    bench.write("index.html", PAGE + "<h1>two</h1>")
    shows(page, "two")
    assert page.evaluate("window.kept") is None


def test_a_style_sheet_that_another_imports_needs_a_reload(page: Page, bench: Bench) -> None:
    bench.write("style.css", "@import 'more.css';")
    bench.write("more.css", STYLE % 5)
    page.goto("/")
    listens(bench)
    bench.write("more.css", STYLE % 6)
    page.wait_for_function("getComputedStyle(document.querySelector('h1')).color === 'rgb(6, 0, 0)'")


def test_what_belongs_to_a_page_is_new_after_a_reload(page: Page, bench: Bench) -> None:
    """A browser would use a script again without asking, if it were not told to ask."""
    bench.write("word.js", "document.title = 'old'")
    os.utime(bench.folder / "word.js", (1, 1))
    bench.write("index.html", PAGE + "<script src=word.js></script>")
    page.goto("/")
    page.wait_for_function("document.title === 'old'")
    listens(bench)
    bench.write("word.js", "document.title = 'new'")
    page.wait_for_function("document.title === 'new'")


def test_an_error_page_mends_itself(page: Page, bench: Bench) -> None:
    page.goto("/absent.html")
    shows(page, "404")
    listens(bench)
    bench.write("absent.html", "<p>here now")
    shows(page, "here now")


def test_the_page_of_a_handler_that_failed_mends_itself(browser: Browser, tmp_path: Path) -> None:
    def site(request: Request) -> Response:
        content = (tmp_path / "content.txt").read_text()
        if content == "absent":
            raise HTTPError(404)
        return Response(f"<p>{10 / int(content)}", content_type="text/html")

    (tmp_path / "content.txt").write_text("0")
    with bench_of(tmp_path, site) as bench:
        page = browser.new_page()
        page.goto(bench.server.url)
        shows(page, "500")
        bench.write("content.txt", "absent")
        shows(page, "404")
        bench.write("content.txt", "5")
        shows(page, "2.0")
        page.context.close()


def hide(page: Page, hidden: bool) -> None:
    """What a browser does when another tab is shown; without a window, every tab is shown."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def test_a_hidden_tab_makes_no_connection_and_catches_up_when_it_is_shown(page: Page, bench: Bench) -> None:
    page.goto("/")
    listens(bench)
    page.evaluate("window.kept = 'yes'")
    hide(page, True)
    bench.write("style.css", STYLE % 7)
    listens(bench, 0)
    hide(page, False)
    page.wait_for_function("getComputedStyle(document.querySelector('h1')).color === 'rgb(7, 0, 0)'")
    assert page.evaluate("window.kept") == "yes"
    listens(bench)
    hide(page, True)
    bench.write("index.html", PAGE + "<h1>two</h1>")
    assert until(lambda: " 2" in bench.events.state)
    assert "one" in page.content()
    hide(page, False)
    shows(page, "two")


def test_many_tabs_share_one_connection(context: BrowserContext, bench: Bench) -> None:
    pages = [context.new_page() for _ in range(11)]
    for page in pages:
        page.goto("/")
    listens(bench)
    bench.write("index.html", PAGE + "<h1>two</h1>")
    for page in pages:
        shows(page, "two")
    listens(bench)
    # Whoever listens now, and goes, is followed by another.
    for page in pages[:-1]:
        page.close()
    bench.write("index.html", PAGE + "<h1>three</h1>")
    shows(pages[-1], "three")


def test_tabs_that_cannot_share_leave_connections_for_pages(context: BrowserContext, bench: Bench) -> None:
    """As where the origin is not trustworthy: plain http from another machine."""
    context.add_init_script("delete Navigator.prototype.locks")
    pages = [context.new_page() for _ in range(11)]
    for page in pages:
        page.goto("/")
    assert 1 < bench.streams <= 4
    bench.write("index.html", PAGE + "<h1>two</h1>")
    for page in pages:
        shows(page, "two")


def test_a_page_that_a_service_worker_keeps_is_reloaded_once(page: Page, bench: Bench) -> None:
    page.goto("/")
    kept = page.content()
    bench.write("index.html", PAGE + "<h1>two</h1>")
    shows(page, "two")
    loads: list[str] = []
    page.route("**/", lambda route: (loads.append(kept), route.fulfill(body=kept, content_type="text/html")))
    page.reload()
    listens(bench)
    bench.write("index.html", PAGE + "<h1>three</h1>")
    assert until(lambda: bench.events.state.endswith(" 2 0"))
    page.wait_for_timeout(500)
    assert len(loads) == 2


def test_a_page_in_a_sandbox_does_not_ask(page: Page, bench: Bench) -> None:
    bench.write("frame.html", PAGE + "<iframe sandbox='allow-scripts' src=/></iframe>")
    page.goto("/frame.html")
    page.frame_locator("iframe").locator("h1").wait_for()
    listens(bench)


def test_a_policy_that_forbids_the_script_keeps_it_from_running(page: Page, bench: Bench) -> None:
    policy = '<meta http-equiv=Content-Security-Policy content="connect-src \'none\'">'
    bench.write("index.html", PAGE + policy + "<h1>one</h1>")
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto("/")
    assert page.locator("h1").text_content() == "one"
    page.wait_for_timeout(2_500)
    assert len(complaints) == 1
    assert bench.streams == 0


def test_a_listing_follows_its_folder(page: Page, bench: Bench) -> None:
    """It has a policy that knows its own script and no other."""
    (bench.folder / "folder").mkdir()
    page.goto("/folder/")
    listens(bench)
    (bench.folder / "folder" / "new.txt").touch()
    shows(page, "new.txt")


def test_a_policy_still_forbids_what_it_forbids(browser: Browser, tmp_path: Path) -> None:
    policy = [("Content-Security-Policy", "default-src 'self'; script-src 'none'; connect-src 'none'")]
    content = tmp_path / "content.txt"
    content.write_text("one")

    def site(request: Request) -> Response:
        page = f"<title>quiet</title><p>{content.read_text()}<script>document.title = 'ran'</script>"
        return html(page, headers=policy)

    with bench_of(tmp_path, site) as bench:
        page = browser.new_page()
        page.goto(bench.server.url)
        listens(bench)
        bench.write("content.txt", "two")
        shows(page, "two")
        assert page.title() == "quiet"
        page.context.close()


def test_a_server_that_comes_back_is_noticed(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<p>one")
    page = browser.new_page()
    with bench_of(tmp_path, StaticFiles(tmp_path)) as bench:
        port = bench.server.port
        page.goto(bench.server.url)
        listens(bench)
    (tmp_path / "index.html").write_text("<p>two")
    with bench_of(tmp_path, StaticFiles(tmp_path), port):
        shows(page, "two")
        page.context.close()
