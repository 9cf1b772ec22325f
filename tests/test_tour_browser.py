"""The tour from start to end in a real browser; and that nothing of ours keeps people out of its pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from httpd.tour.stops import STOPS

from .axe import serious
from .chromium import quiet_page
from .test_status import shown
from .tools import TOP
from .touring import Tour, tour

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.tools

# Chromium tells of a page that comes with an error's status, although it shows it.
_TOLD = "Failed to load resource: the server responded with a status of"

LOOKS: list[dict[str, Any]] = [
    {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    for scheme in ("light", "dark")
    for width in (1280, 400)
]
# What keeps people out differs by colour and by width, and seldom by both.
FEW_LOOKS = [LOOKS[0], LOOKS[3]]


def look(options: dict[str, Any]) -> str:
    return f"{options['color_scheme']}-{options['viewport']['width']}"


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    with tour(tmp_path_factory.mktemp("visitor")) as tour_under_way:
        yield tour_under_way


def write(page: Page, name: str) -> None:
    page.fill("[name=name]", name)
    page.check("[value='For a week']")
    page.fill("[name=message]", "With a dog.")
    page.get_by_role("button", name="Send").click()
    page.wait_for_selector("text=Thank you")


def fits(page: Page) -> bool:
    """Whether the page is no wider than the window, and its strip is dressed."""
    colour = page.evaluate("getComputedStyle(document.querySelector('.tour-strip')).backgroundColor")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return not wide and colour in ("rgb(18, 52, 74)", "rgb(26, 54, 70)")


@pytest.mark.parametrize("options", LOOKS, ids=look)
def test_from_start_to_end(browser: Browser, guide: Tour, options: dict[str, Any]) -> None:
    with quiet_page(browser, guide.url, **options) as page:
        page.goto("/")
        for stop in STOPS:
            assert stop.told in page.locator(".tour-strip").inner_text()
            assert fits(page)
            assert serious(page) == []
            if stop.path == "/contact":
                write(page, f"Gull {look(options)}")
                assert fits(page)
            if stop.path == "/inbox/":
                page.click(f"text=Gull {look(options)}")
                page.wait_for_selector("text=With a dog.")
                assert serious(page) == []
            if stop is not STOPS[-1]:
                page.click(".tour-next")
        page.click(".tour-strip a[href*='#L']")
        page.wait_for_selector(":target")
        assert serious(page) == []


def test_without_scripts(browser: Browser, guide: Tour) -> None:
    with quiet_page(browser, guide.url, java_script_enabled=False) as page:
        page.goto("/")
        for stop in STOPS:
            assert stop.told in page.locator(".tour-strip").inner_text()
            if stop.path == "/hello/stranger":
                page.fill("[name=name]", "<b>Ada</b>")
                page.get_by_role("button", name="Greet").click()
                assert page.locator("h1").inner_text() == "Hello, <b>Ada< b>"
            if stop.path == "/contact":
                write(page, "A plain gull")
            if stop.path == "/inbox/":
                assert page.locator("text=A plain gull").is_visible()
            if stop is not STOPS[-1]:
                page.click(".tour-next")


def test_the_film_is_sought(browser: Browser, guide: Tour) -> None:
    with quiet_page(browser, guide.url) as page:
        page.goto("/pictures")
        page.wait_for_function("document.querySelector('video').readyState >= 1")
        sought = """time => new Promise(done => {
            const film = document.querySelector('video');
            film.onseeked = () => done([film.currentTime, film.duration, film.videoWidth]);
            film.currentTime = time;
        })"""
        for time in (28, 3, 15):
            assert page.evaluate(sought, time) == [time, 30, 640]


@pytest.mark.parametrize("options", FEW_LOOKS, ids=look)
def test_the_watch_link_opens_the_console_at_the_request(
    browser: Browser, guide: Tour, options: dict[str, Any]
) -> None:
    with quiet_page(browser, guide.url, **options) as page:
        page.goto("/pictures")
        page.click("text=Watch this request")
        page.wait_for_selector(".bench")
        assert page.locator(".sentence").inner_text() == "The request-line: GET of /pictures, in HTTP/1.1."
        assert serious(page) == []
        page.goto(guide.url + "/hello/Ada")
        page.click("text=Watch this request")
        page.wait_for_selector(".bench")
        for _ in range(2):
            page.get_by_role("button", name="Next state").click()
        assert page.locator(".channel").get_by_text("hello", exact=True).count() == 1
        for place, there in (("/", ".lane .out"), ("/lessons", ".lessons"), ("/lessons/1", ".player .sentence")):
            page.goto(guide.console + place)
            page.wait_for_selector(there)
            assert serious(page) == [], place


@pytest.mark.parametrize("options", FEW_LOOKS, ids=look)
def test_the_lab(browser: Browser, guide: Tour, options: dict[str, Any]) -> None:
    with quiet_page(browser, guide.console, **options) as page:
        page.goto("/lab")
        page.wait_for_selector("form.lab:not([hidden])")
        assert serious(page) == []
        page.select_option("select[name=preset]", label="a space before the colon → 400")
        page.click("button[type=submit]")
        page.wait_for_selector(".outcome:not([hidden])")
        assert serious(page) == []


@pytest.mark.parametrize("options", FEW_LOOKS, ids=look)
def test_a_file_that_is_opened(browser: Browser, guide: Tour, options: dict[str, Any]) -> None:
    with quiet_page(browser, guide.console, **options) as page:
        page.goto("/open")
        page.wait_for_selector("form.open:not([hidden])")
        assert serious(page) == []
        page.set_input_files("input[type=file]", TOP / "examples" / "lessons" / "06_refusing.ndjson")
        page.wait_for_selector(".player .sentence")
        page.keyboard.press("End")
        assert serious(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")


# ---- the other pages of ours


@pytest.mark.parametrize("options", FEW_LOOKS, ids=look)
def test_a_form_that_was_filled_in_wrong_and_an_error(
    browser: Browser, guide: Tour, options: dict[str, Any]
) -> None:
    with quiet_page(browser, guide.url, expected=_TOLD, **options) as page:
        page.goto("/contact")
        page.eval_on_selector("form", "form => form.noValidate = true")
        page.get_by_role("button", name="Send").click()
        page.wait_for_selector("[role=alert]")
        assert fits(page)
        assert serious(page) == []
        page.goto("/none")
        assert serious(page) == []


@pytest.mark.parametrize("options", FEW_LOOKS, ids=look)
def test_the_status_page(browser: Browser, options: dict[str, Any]) -> None:
    with shown() as status, status.connect(), quiet_page(browser, status.url, **options) as page:
        page.goto("/")
        page.get_by_text("Live, every second.").wait_for()
        assert serious(page) == []
