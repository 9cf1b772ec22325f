"""A folder's page in a real browser: with its script and without, in light and dark, on a desk and in a hand."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from httpd import Router, StaticFiles
from httpd.site.listing import WHOLE

from .chromium import quiet_page
from .exchange import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.tools

# (name, size, time)
FILES = [("tide 10", 3_000, 4e8), ("tide 9", 20_000, 3e8), ("Ärmel", 100, 2e8), ("zebra", 100, 1e8), ("a & b", 0, 5e8)]

Opens = Callable[..., "Page"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size, when in FILES:
        (tmp_path / name).write_bytes(bytes(size))
        os.utime(tmp_path / name, (when, when))
    for place, name in enumerate(["two", "one"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (place * 1e8, place * 1e8))
    return tmp_path


@pytest.fixture
def opens(browser: Browser, folder: Path) -> Iterator[Opens]:
    """Opens the folder's page, below a prefix, in a new window with these options."""
    site = Router()
    site.mount("/files", StaticFiles(folder))
    with ExitStack() as stack:
        server = stack.enter_context(serving(site))

        def opens(path: str = "", **options: Any) -> Page:
            window: AbstractContextManager[Page] = quiet_page(browser, server.url + "files/", **options)
            page = stack.enter_context(window)
            page.goto(path or "./")
            return page

        yield opens


def names(page: Page) -> list[str]:
    """The rows to be seen, but for the way up."""
    shown = page.locator("tbody:last-of-type td.name:visible").all_inner_texts()
    return [name.rstrip("/") for name in shown]


def requests(page: Page) -> list[str]:
    """The pages that are asked for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("files/")[2]))
    return asked


# ---- sorting and filtering


def test_the_script_sorts_as_the_server_does(opens: Opens) -> None:
    live, plain = opens(), opens(java_script_enabled=False)
    asked = requests(live)
    for head in ("Size", "Size", "Changed (UTC)", "Changed (UTC)", "Name", "Name"):
        live.get_by_role("button", name=head).click()
        with plain.expect_navigation():
            plain.get_by_role("button", name=head).click()
        assert names(live) == names(plain)
        assert live.url.removesuffix("?") == plain.url.removesuffix("?sort=name&order=asc").removesuffix("?")
        for page in (live, plain):
            assert page.locator("th[aria-sort]").inner_text() == head
    assert asked == []
    assert names(live) == ["two", "one", "zebra", "tide 10", "tide 9", "Ärmel", "a & b"]


def test_the_filter_works_with_every_letter(opens: Opens) -> None:
    page = opens()
    asked = requests(page)
    assert not page.get_by_role("button", name="Filter").is_visible()
    box = page.get_by_role("searchbox", name="Filter by name")
    box.fill("/")
    assert names(page) == []
    box.fill("")
    box.press_sequentially("TIDE ")
    assert names(page) == ["tide 9", "tide 10"]
    assert page.get_by_role("status").inner_text() == "2 of 7 shown"
    page.get_by_role("button", name="Size").click()
    assert names(page) == ["tide 9", "tide 10"]
    assert asked == []
    page.reload()
    assert names(page) == ["tide 9", "tide 10"]
    assert asked == ["?sort=size&order=desc&filter=TIDE"]
    # What the server left out is asked for again.
    with page.expect_navigation():
        box.fill("z")
    assert names(page) == ["zebra"]
    with page.expect_navigation():
        box.fill("")
    assert len(names(page)) == 7


def test_the_filter_is_a_form_without_the_script(opens: Opens) -> None:
    page = opens("?sort=size&order=asc", java_script_enabled=False)
    page.get_by_role("searchbox").fill("tide")
    with page.expect_navigation():
        page.get_by_role("button", name="Filter").click()
    assert names(page) == ["tide 10", "tide 9"]
    assert page.get_by_role("searchbox").input_value() == "tide"
    with page.expect_navigation():
        page.get_by_role("button", name="Size").click()
    assert names(page) == ["tide 9", "tide 10"]
    page.get_by_role("searchbox").fill("<b>")
    with page.expect_navigation():
        page.get_by_role("searchbox").press("Enter")
    assert page.locator("td.none").inner_text() == "No name here has <b> in it. Show all"
    with page.expect_navigation():
        page.get_by_role("link", name="Show all").click()
    assert len(names(page)) == 7


def test_all_of_it_can_be_done_with_the_keyboard(opens: Opens) -> None:
    page = opens()
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText || document.activeElement.name"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["/", "filter", ".tar.gz", ".zip", "Name", "Size", "Changed (UTC)", "..", "one/"]
    page.get_by_role("button", name="Size").focus()
    page.keyboard.press("Enter")
    assert names(page)[2] == "tide 9"
    assert page.evaluate("document.activeElement.innerText") == "Size"


def test_a_long_listing_leaves_it_to_the_server(opens: Opens, folder: Path) -> None:
    many = folder / "many"
    many.mkdir()
    for number in range(WHOLE + 10):
        (many / f"file {number}").touch()
    page = opens("many/")
    assert len(names(page)) == WHOLE + 10
    assert page.get_by_role("status").inner_text() == f"{WHOLE + 10} files, 0 B"
    page.get_by_role("searchbox").fill(f"file {WHOLE}")
    assert names(page) == [f"file {WHOLE}"]


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_folder_is_downloaded(opens: Opens, kind: str) -> None:
    page = opens()
    with page.expect_download() as download:
        page.get_by_role("button", name=f".{kind}").click()
    assert download.value.suggested_filename == f"files.{kind}"
    assert Path(download.value.path()).stat().st_size > 100


# ---- how it looks

WIDE, NARROW = {"width": 1100, "height": 900}, {"width": 320, "height": 700}


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_sticks_out(opens: Opens, folder: Path, viewport: dict[str, int]) -> None:
    (folder / ("long" * 60)).mkdir()
    (folder / ("x" * 250)).write_text("")
    (folder / "README.md").write_text("word" * 200)
    page = opens(viewport=viewport)
    for path in ("./", "long" * 60 + "/", "?filter=" + "long" * 60, "?filter=" + "none" * 60):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    page.goto("./")
    # In a hand there are no columns, and each row is big enough for a finger.
    boxes = [row.bounding_box() for row in page.locator("tbody tr").all()]
    assert all(box is not None and box["height"] >= 38 for box in boxes)


def luminance(colour: str) -> float:
    """WCAG 2, of `rgb(1, 2, 3)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


BACKGROUND = """element => {
    for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if (!colour.endsWith(', 0)')) return colour;
    }
}"""


READ = (
    "h1 a", "h1 span", "input", ".download span", ".tools button:visible", "th button", "td", "td a", "pre", "h2 a",
    "q",
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(opens: Opens, folder: Path, scheme: str) -> None:
    (folder / "README").write_text("word\n")
    page = opens(color_scheme=scheme)
    for path in ("./", "?filter=nothing"):
        page.goto(path)
        for selector in READ:
            for element in page.locator(selector).all():
                ink = luminance(element.evaluate("element => getComputedStyle(element).color"))
                paper = luminance(element.evaluate(BACKGROUND))
                contrast = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
                assert contrast >= 4.5, (selector, contrast)
        edge = luminance(page.locator("input").first.evaluate("element => getComputedStyle(element).borderTopColor"))
        paper = luminance(page.locator("body").evaluate(BACKGROUND))
        assert (max(edge, paper) + 0.05) / (min(edge, paper) + 0.05) >= 3
