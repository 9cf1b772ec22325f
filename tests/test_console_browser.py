"""The console in a browser: lanes that grow by themselves, a lab for the keyboard, and no page that is too wide."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from httpd import text
from httpd.trace.events import Event, FieldLine, Pushed, Raised, Received, Refilled, RequestLine, Routed, Tried
from httpd.trace.ndjson import event_line, head_line
from httpd.trace.shelf import MOST_FILE

from .chromium import quiet_page
from .conversations import head
from .exchange import get, talk
from .test_apps import picture
from .test_console import Watched, watched
from .tools import TOP
from .workbench import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.tools

LESSONS = TOP / "examples" / "lessons"
# What a browser does where a file is let go.
DROP = """([name, text]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([text], name));
  for (const kind of ["dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
    if (document.querySelector("h1").dispatchEvent(event)) throw new Error(`${kind} is left to the browser`);
  }
}"""
PHONE = {"width": 400, "height": 800}
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def console() -> Iterator[Watched]:
    with watched() as console:
        yield console


@pytest.fixture
def page(browser: Browser, console: Watched) -> Iterator[Page]:
    with quiet_page(browser, console.url) as page:
        yield page


def lab(page: Page) -> None:
    page.goto("/lab")
    page.wait_for_selector("form.lab:not([hidden])")


def send(page: Page) -> None:
    page.click("button[type=submit]")
    page.wait_for_selector(".outcome:not([hidden])")


def test_a_connection_is_seen_while_it_goes_on(console: Watched, page: Page) -> None:
    page.goto("/")
    page.wait_for_selector(".live.on")
    assert page.locator(".none").is_visible()
    with socket.create_connection(("127.0.0.1", console.server.port)) as sock:
        sock.sendall(b"GET /half HT")
        page.wait_for_selector(".lane .in")
        assert page.locator(".lane .open").count() == 1
        assert page.locator(".lane .out").count() == 0
        sock.sendall(b"TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        page.wait_for_selector(".lane .out")
    page.wait_for_selector(".lane .end")
    assert page.locator(".lane-names").inner_text() == "1 GET /half"
    page.wait_for_selector("text=GET /half HTTP/1.1")
    assert not page.locator(".none").is_visible()


def test_two_that_one_turn_has_served_stand_in_one_band(console: Watched, page: Page) -> None:
    page.goto("/")
    page.wait_for_selector(".live.on")
    for path in ("/a", "/b"):
        talk(console.server, get(path, "Connection: close"))
    page.wait_for_selector(".lane:nth-of-type(2) .end")
    assert page.locator(".turn").count() >= 2
    assert page.locator(".lane-names li").all_inner_texts() == ["2 GET /b", "1 GET /a"]


def test_it_can_be_held_still(console: Watched, page: Page) -> None:
    page.goto("/")
    page.wait_for_selector(".live.on")
    page.get_by_role("button", name="Hold still").press("Enter")
    talk(console.server, get("/a", "Connection: close"))
    page.wait_for_timeout(600)
    assert page.locator(".lane").count() == 0
    page.get_by_role("button", name="Go on").press("Enter")
    page.wait_for_selector(".lane .end")


def test_what_strangers_send_stays_text(console: Watched, page: Page) -> None:
    talk(console.server, get("/<img%20src=x%20onerror=alert(1)>", "Connection: close"))
    page.goto("/")
    page.wait_for_selector(".lane")
    page.wait_for_selector("td >> text=onerror")
    assert page.locator("img").count() == 0


def steps_through(page: Page) -> str:
    """Show every step of the page's player, none of which makes markup of what it tells; all the text there was."""
    page.wait_for_selector(".bench")
    told = []
    for index in range(page.evaluate("player.events.length")):
        page.evaluate("index => player.show(index)", index)
        assert page.locator("img, main script").count() == 0
        assert page.title() != "owned"
        told.append(page.locator("main").inner_text())
    return "\n".join(told)


def test_a_script_in_a_header_value_is_text_at_every_step(console: Watched, page: Page) -> None:
    talk(console.server, get("/a", f"X-Evil: {EVIL}", "Connection: close"))
    page.goto("/wire/1")
    assert EVIL in steps_through(page)


@pytest.fixture
def strangers_file(tmp_path: Path) -> Path:
    """A trace whose every string is a script."""
    whats = [
        Received(0, len(EVIL), EVIL, 99),
        RequestLine(0, len(EVIL), EVIL, EVIL, EVIL),
        FieldLine(0, len(EVIL), EVIL, EVIL),
        Routed(EVIL, EVIL, (Tried(f"route {EVIL}", "path"),), {EVIL: f"param {EVIL}"}, f"handler {EVIL}"),
        Raised(f"error {EVIL}", 500),
        Pushed(f"producer {EVIL}", 1, None),
        Refilled(f"producer {EVIL}", "some", 0, len(EVIL), EVIL),
    ]
    events = [Event(n, float(n), n, what) for n, what in enumerate(whats)]
    lines = [head_line(head(title=f"title {EVIL}")), *map(event_line, events)]
    path = tmp_path / "x.ndjson"
    path.write_text("".join(lines))
    return path


def all_of_it_is_text(page: Page) -> None:
    told = steps_through(page)
    assert page.locator(".player h1").inner_text() == f"title {EVIL}"
    for what in ("route", "param", "handler", "error", "producer"):
        assert f"{what} {EVIL}" in told.replace(f"{EVIL} = ", "")


def test_a_strangers_file_is_text_at_every_step(browser: Browser, strangers_file: Path) -> None:
    with watched(str(strangers_file.parent)) as console, quiet_page(browser, console.url) as page:
        page.goto("/wire/file/x.ndjson")
        all_of_it_is_text(page)


# ---- a file that somebody has


def choose(page: Page, path: Path) -> None:
    page.set_input_files("input[type=file]", path)


def test_a_strangers_file_is_opened_and_is_text_at_every_step(page: Page, strangers_file: Path) -> None:
    page.goto("/open")
    choose(page, strangers_file)
    page.wait_for_selector(".player .sentence")
    all_of_it_is_text(page)
    assert page.locator(".open .progress").inner_text() == ""


def test_a_file_is_dropped_on_the_page_and_another_one_after_it(page: Page) -> None:
    page.goto("/open")
    for name, title in (("02_terminator", "Cut within the terminator"), ("07_time", "A head that takes too long")):
        text = (LESSONS / f"{name}.ndjson").read_text()
        page.evaluate(DROP, [f"{name}.ndjson", text])
        page.wait_for_selector(f".player h1:has-text('{title}')")
        page.keyboard.press("End")
        page.wait_for_function("player.is_at_end()")
        assert page.evaluate("document.querySelector('input[type=file]').files[0].name") == f"{name}.ndjson"
    assert page.locator(".open .fault").is_hidden()


def test_what_is_no_trace_is_told_and_what_was_played_stays(
    browser: Browser, console: Watched, tmp_path: Path
) -> None:
    bad, large, empty = (tmp_path / f"{name}.ndjson" for name in ("<b>bad", "large", "empty"))
    bad.write_text('{"format":"<img src=x onerror=alert(1)>"}\n')
    with open(large, "wb") as file:
        file.truncate(MOST_FILE + 1)
    empty.write_text(head_line(head()))
    with quiet_page(browser, console.url, expected="Failed to load resource") as page:
        page.goto("/open")
        choose(page, LESSONS / "02_terminator.ndjson")
        page.wait_for_selector(".player .sentence")
        for path, says in ((bad, "no trace begins like this"), (large, "larger than 8 MiB"), (empty, "no events")):
            choose(page, path)
            page.wait_for_selector(f".open .fault:has-text('{says}')")
            assert page.locator(".open .fault").inner_text().startswith(f"{path.name}: ")
            assert page.locator(".player .sentence").count() == 1


def test_a_preset_is_sent_and_its_guilty_bytes_are_red(page: Page) -> None:
    lab(page)
    page.select_option("select[name=preset]", label="a space before the colon → 400")
    send(page)
    assert page.locator(".outcome h2").inner_text() == "400: Whitespace between a field name and its colon."
    assert page.locator(".outcome .rule").inner_text() == "RFC 9112 §5.1 · byte 37"
    assert page.locator(".guilty").all_inner_texts() == ["␣"]
    assert page.locator(".twin tbody tr").count() > 2
    assert set(page.locator(".twin .join").all_inner_texts()) == {"="}
    assert page.locator(".twin .pieces").nth(1).locator("i").count() == 3
    page.set_viewport_size({"width": 860, "height": 670})
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    picture(page, "lab")


def test_what_is_missing_is_marked_where_it_is(page: Page) -> None:
    lab(page)
    page.select_option("select[name=preset]", label="no Host → 400")
    send(page)
    assert page.locator(".missing").count() == 1
    assert "something is missing" in page.locator(".outcome .rule").inner_text()


def test_every_cut_is_a_square(page: Page) -> None:
    lab(page)
    page.fill("textarea", "GET / HTTP/1.0\\r\\n\\r\\n")
    page.check("input[value=every-cut]")
    send(page)
    assert page.locator(".square").count() == len("GET / HTTP/1.0\r\n\r\n") - 1
    assert page.locator(".square.differs").count() == 0


def test_where_the_cut_makes_a_difference_both_are_shown(browser: Browser) -> None:
    answers = itertools.count(1)
    with watched(site=lambda request: text("x" * next(answers))) as console, quiet_page(browser, console.url) as page:
        lab(page)
        send(page)
        assert "law 6" in page.locator(".tried.differs").inner_text()
        assert page.locator(".square.differs").count() == 1
        [differs] = page.locator(".twin tr.differs").all()
        assert differs.locator(".join").inner_text() == "≠"
        before = page.locator(".twin tbody tr:not(.differs) .join").all_inner_texts()
        assert set(before) == {"="}
        differs.locator("a").last.click()
        page.wait_for_selector(".bench")
        assert page.locator(".which").inner_text().startswith("Step ")
        assert "http:responded" in page.locator(".which").inner_text()


def test_the_scissors_obey_the_keyboard(page: Page) -> None:
    lab(page)
    page.fill("textarea", "GET / HTTP/1.0\\r\\n\\r\\n")
    page.locator(".scissors .byte-row").focus()
    page.keyboard.press("Home")
    for key in ("Enter", "ArrowRight", "ArrowRight", " ", "End"):
        page.keyboard.press(key)
    cuts = page.locator(".scissors .cut")
    assert [cuts.nth(i).get_attribute("data-at") for i in range(cuts.count())] == ["1", "3", "5"]
    assert page.locator(".scissors [role=status]").inner_text().startswith("Not cut before byte 17, line feed")
    page.keyboard.press("Enter")
    page.click(".scissors [data-at='3']")
    send(page)
    assert page.locator(".twin .pieces").nth(1).locator("i").count() == 4


def test_what_is_written_wrong_is_told(page: Page) -> None:
    lab(page)
    page.fill("textarea", "GET /\\q")
    assert "character 6" in page.get_by_role("alert").inner_text()
    page.fill("textarea", "GET /ä")
    assert "not ASCII" in page.get_by_role("alert").inner_text()
    page.fill("textarea", "GET /\\xe4 HTTP/1.0\\r\\n\\r\\n")
    assert page.get_by_role("alert").count() == 0
    send(page)
    assert page.locator(".guilty").all_inner_texts() == ["e4"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_too_wide_for_a_phone(browser: Browser, console: Watched, scheme: str) -> None:
    talk(console.server, get("/" + "a" * 300, "Connection: close"))
    with quiet_page(browser, console.url, viewport=PHONE, color_scheme=scheme) as page:
        page.goto("/")
        page.wait_for_selector(".lane")
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        lab(page)
        page.select_option("select[name=preset]", label="a long request-line → 414")
        send(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_a_mark_leads_to_its_step(console: Watched, page: Page) -> None:
    talk(console.server, get("/a", "Connection: close"))
    page.goto("/")
    page.wait_for_selector(".lane .end")
    page.click(".lane-names a")
    page.wait_for_selector("main.player h1")
    assert "GET /a" in page.title()
    assert page.url.split("#")[0].endswith("/wire/1")


def test_a_lesson_shows_its_steps(page: Page) -> None:
    page.goto("/lessons/4")
    page.wait_for_selector("section.player .sentence")
    assert page.locator("section.player").count() == 2
    before = page.locator("section.player").nth(1).locator(".sentence").inner_text()
    page.locator(".anchor a").nth(2).click()
    assert page.locator("section.player").nth(1).locator(".sentence").inner_text() != before
    assert page.url.endswith("/lessons/4")


def test_an_error_page_has_its_style(browser: Browser, console: Watched) -> None:
    context = browser.new_context(base_url=console.url)
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.goto("/none")
    assert page.locator("h1").inner_text() == "Not Found"
    assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"
    # The browser tells of the 404 itself, and of nothing else.
    assert [text for text in told if "404" not in text] == []
    context.close()


def test_a_connection_that_goes_on_is_told_where_it_is_played(console: Watched, page: Page) -> None:
    with socket.create_connection(("127.0.0.1", console.server.port)) as sock:
        sock.sendall(b"GET /half HT")
        while not (told := console.json("/api/connections")) or told[-1]["events"] < 3:
            pass
        page.goto(f"/wire/{told[-1]['connection']}#n=2")
        page.wait_for_selector(".bench")
        steps = page.evaluate("player.events.length")
        assert not page.locator(".more-events").is_visible()
        sock.sendall(b"TP/1.1\r\nHost: a\r\n\r\n")
        page.get_by_role("button", name="Show them").click()
        assert until(lambda: page.evaluate(f"player.events.length > {steps}"), 30)
        assert page.evaluate("player.events[player.index].n") == 2
        assert not page.locator(".more-events").is_visible()
        # The player that was there before hears no keys any more.
        page.keyboard.press("ArrowRight")
        assert page.evaluate("player.events[player.index].n") == 3


def test_who_is_at_the_last_step_stays_there_while_it_goes_on(console: Watched, page: Page) -> None:
    with socket.create_connection(("127.0.0.1", console.server.port)) as sock:
        sock.sendall(b"GET /half HT")
        while not (told := console.json("/api/connections")) or told[-1]["events"] < 3:
            pass
        page.goto(f"/wire/{told[-1]['connection']}")
        page.wait_for_selector(".bench")
        page.keyboard.press("End")
        steps = page.evaluate("player.events.length")
        sock.sendall(b"TP/1.1\r\nHost: a\r\n\r\n")
        assert until(lambda: page.evaluate(f"player.events.length > {steps} && player.is_at_end()"), 30)
        # Whoever guesses the next step is not shown it.
        page.keyboard.press("p")
        before = page.evaluate("player.events.length")
        sock.sendall(b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n")
        page.get_by_role("button", name="Show them").wait_for()
        assert page.evaluate("player.events.length") == before
    # It is over, and nothing is waited for any more.
    page.keyboard.press("p")
    page.get_by_role("button", name="Show them").click()
    assert until(lambda: page.evaluate("player.events.at(-1).name === 'channel:closed'"), 30)
