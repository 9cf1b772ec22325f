"""The lessons in the console: all of their text, what to do, and the recording beside it at the step it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from httpd.net.timers import Timers
from httpd.trace.console import Console, console_site
from httpd.trace.feed import Feed
from httpd.trace.lab import Doors, Lab
from httpd.trace.lessons import Anchor, read_lesson
from httpd.trace.store import Store

from .chromium import quiet_page
from .exchange import Exchange, get
from .lessons.record import LESSONS
from .test_console import SCRIPT, Watched, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FILES = sorted(LESSONS.glob("[0-9]*.py"))


@pytest.fixture(scope="module")
def console() -> Iterator[Watched]:
    with watched() as console:
        yield console


def ask(lessons: Path | str, path: str) -> tuple[int, str]:
    """What a console answers whose lessons lie there: status, and content as text."""
    timers = Timers()
    feed = Feed(timers)
    store = Store(feed.tell)
    lab = Lab(Doors(("127.0.0.1", 1), ("127.0.0.1", 1)), store, map={}, timers=timers)
    console = Console(store, feed, lab)
    console.lessons = str(lessons)
    [answer] = Exchange([get(path, "Host: localhost", version="1.0")], console_site(console)).answers()
    return answer.status, answer.body.decode()


# ---- pages


def test_all_lessons_are_listed_with_their_titles(console: Watched) -> None:
    listed = re.findall(r'<a href="/lessons/(\d)">(.*)</a></li>', console.ask("/lessons")[2])
    lessons = [read_lesson(file) for file in FILES]
    assert [(int(number), unescape(title)) for number, title in listed] == [(one.number, one.title) for one in lessons]


@pytest.mark.programs
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lesson_has_its_text_and_its_points_and_says_what_to_do(console: Watched, file: Path) -> None:
    lesson = read_lesson(file)
    _, fields, body = console.ask(f"/lessons/{lesson.number:02}")
    text = unescape(body)
    assert "unsafe" not in fields["Content-Security-Policy"]
    assert [block.text for block in lesson.blocks if block.text not in text] == []
    anchors = [(block.trace, str(block.n)) for block in lesson.blocks if isinstance(block, Anchor)]
    assert re.findall(r'data-of="([^"]+)" data-n="(\d+)"', body) == anchors
    assert f"python examples/lessons/{file.name}" in text


@pytest.mark.parametrize(
    "path",
    ["/lessons/0", "/lessons/9", "/lessons/02_terminator.py", "/lessons/..%2f01_bytes", "/wire/lesson/..%2fa.ndjson"],
)
def test_nothing_else_is_read(console: Watched, path: str) -> None:
    assert console.ask(path)[0] == 404


def test_without_a_checkout_it_says_where_they_are() -> None:
    status, text = ask("", "/lessons")
    assert status == 200
    assert text.count("The lessons are in a checkout of the source") == 1
    assert "<ol" not in text
    assert ask("", "/lessons/1")[0] == 404


def test_a_lesson_is_read_anew_and_its_words_are_text(tmp_path: Path) -> None:
    file = tmp_path / "01_bytes.py"
    file.write_text(f'"""1. {SCRIPT}\n\n{SCRIPT}\n\n▸ 01_bytes.ndjson #3: {SCRIPT}\n"""\n', encoding="utf-8")
    for path in ("/lessons", "/lessons/1"):
        text = ask(tmp_path, path)[1]
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)" in text
    file.write_text("import this\n")
    assert ask(tmp_path, "/lessons/1")[0] == 404


# ---- in a browser


def opened(page: Page, lesson: int) -> None:
    page.goto(f"/lessons/{lesson:02}")
    page.wait_for_selector(".anchor [aria-current]")


def shown(page: Page) -> str:
    """The recording and the step that are to be seen."""
    seen = page.locator(".player:visible")
    return f"{seen.locator('h1').inner_text()}, {seen.locator('.which b').inner_text()}"


@pytest.mark.programs
def test_a_point_of_the_text_shows_its_step(browser: Browser, console: Watched) -> None:
    with quiet_page(browser, console.url) as page:
        opened(page, 2)
        assert shown(page) == "Cut within the terminator, Step 4"
        page.get_by_role("link", name="Step 10").press("Enter")
        assert shown(page) == "Cut within the terminator, Step 10"
        assert page.locator(".anchor [aria-current]").inner_text().startswith("Step 10")


@pytest.mark.programs
def test_of_two_recordings_one_is_seen(browser: Browser, console: Watched) -> None:
    with quiet_page(browser, console.url) as page:
        opened(page, 4)
        for index, seen in ((2, "The quick client, Step 17"), (3, "The slow client, Step 20")):
            page.locator(".anchor a").nth(index).click()
            assert shown(page) == seen


@pytest.mark.programs
def test_on_a_phone_nothing_is_too_wide_and_a_point_leads_to_the_recording(browser: Browser, console: Watched) -> None:
    with quiet_page(browser, console.url, viewport={"width": 400, "height": 800}) as page:
        for lesson in (8, 6, 2):
            opened(page, lesson)
            assert page.evaluate("document.documentElement.scrollWidth") == 400
        page.get_by_role("link", name="Step 10").click()
        assert shown(page).endswith("Step 10")
        assert page.locator(".player .sentence").evaluate("(node) => node.getBoundingClientRect().bottom") < 800


@pytest.mark.programs
def test_a_recording_that_cannot_be_had_is_told(browser: Browser, console: Watched) -> None:
    with quiet_page(browser, console.url) as page:
        page.route("**/api/player/lesson/*", lambda route: route.fulfill(status=200, body="{"))
        opened(page, 2)
        assert page.locator(".player [role=alert]").is_visible()
