"""A form in a real browser: filled in wrong, mended, sent, and found by its owner; with scripts and without."""

from __future__ import annotations

import contextlib
import csv
import shutil
import tomllib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bcrypt
import pytest

from httpd.cli import main
from httpd.inbox.declared import declare
from httpd.inbox.opening import open_inbox

from .chromium import quiet_page
from .live import LiveServer
from .tools import TOP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.tools

FORM = """
[forms."/contact"]
title = "Write to us"
[forms."/contact".fields]
name = { required = true, max = 60 }
email = { type = "email", required = true }
day = { type = "choice", choices = ["Saturday", "Sunday"], required = true }
topics = { type = "choice", choices = ["Knots", "Sails"], multiple = true }
message = { required = true, lines = 5 }
paper = { type = "file", accept = ["application/pdf"] }
"""
PDF = {"name": "Papier ä.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n"}


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """A form, and its owner's page for who has a password, by the command."""
    (folder / "site").mkdir()
    (folder / "httpd.toml").write_text('dir = "site"\ninbox-page = "/owner"\nauth = ["/owner=users"]\n' + FORM)
    (folder / "users").write_text(f"ann:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    with LiveServer(None, cwd=folder, env={"PYTHONPATH": str(TOP)}) as server:
        yield server.url


def page_of(browser: Browser, url: str, **options: Any) -> contextlib.AbstractContextManager[Page]:
    """Chromium tells of a page that comes with a 422, although it shows it."""
    return quiet_page(browser, url, expected="422 (Unprocessable Content)", **options)


def fill(page: Page, **values: str) -> None:
    for name, value in values.items():
        page.fill(f"[name={name}]", value)


@pytest.mark.parametrize("scripts", [True, False])
def test_what_was_typed_wrong_stays_is_mended_sent_and_found(browser: Browser, tmp_path: Path, scripts: bool) -> None:
    with served(tmp_path) as url, page_of(browser, url, java_script_enabled=scripts, accept_downloads=True) as page:
        _fill_in_wrong(page)
        _see_what_is_wrong(page)
        fill(page, email="ann@example.org")
        page.set_input_files("[name=paper]", PDF)  # type: ignore[arg-type]
        page.get_by_role("button", name="Send").click()
        assert page.url == f"{url}contact/sent"
        assert page.get_by_role("heading").inner_text() == "Thank you"

        page.context.set_extra_http_headers({"Authorization": "Basic " + b64encode(b"ann:secret").decode()})
        page.goto("/owner/")
        page.get_by_role("link", name="Ann Ëxample").first.click()
        shown = page.locator("main").inner_text()
        for said in ("ann@example.org", "Sunday", "Sails", "first line\nsecond <b>line</b>", "Papier ä.pdf"):
            assert said in shown
    table = tmp_path / "table.csv"
    assert main(["forms", "--inbox", f"sqlite:{tmp_path / '.inbox.db'}", "export", "--output", str(table)]) == 0
    [row] = csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines(keepends=True))
    assert (row["name"], row["email"], row["day"], row["topics"]) == (
        "Ann Ëxample",
        "ann@example.org",
        "Sunday",
        "Sails",
    )
    assert row["message"].splitlines() == ["first line", "second <b>line</b>"]


def _fill_in_wrong(page: Page) -> None:
    page.goto("/contact")
    fill(page, name="Ann Ëxample", email="ann@example", message="first line\nsecond <b>line</b>")
    page.get_by_label("Sunday").check()
    page.get_by_label("Sails").check()
    page.set_input_files("[name=paper]", PDF)  # type: ignore[arg-type]
    page.get_by_role("button", name="Send").click()


def _see_what_is_wrong(page: Page) -> None:
    assert page.title() == "Not sent: Write to us"
    alert = page.get_by_role("alert")
    assert "This is not an e-mail address" in alert.inner_text()
    assert alert.evaluate("it => it === document.activeElement"), "what is read first is what is wrong"
    email = page.get_by_label("Email")
    assert email.get_attribute("aria-invalid") == "true"
    told = page.locator("#" + str(email.get_attribute("aria-describedby"))).inner_text()
    assert " ".join(told.split()) == "Error: This is not an e-mail address, such as ann@example.org."
    assert email.input_value() == "ann@example"
    assert page.input_value("[name=name]") == "Ann Ëxample"
    assert page.input_value("[name=message]") == "first line\nsecond <b>line</b>"
    assert page.get_by_label("Sunday").is_checked()
    assert page.get_by_label("Sails").is_checked()
    assert not page.get_by_label("Knots").is_checked()
    assert "Papier ä.pdf did not stay here: please choose it again." in page.locator("form").inner_text()


def test_who_goes_back_and_sends_again_has_sent_one(browser: Browser, tmp_path: Path) -> None:
    with served(tmp_path) as url, page_of(browser, url) as page:
        page.goto("/contact")
        fill(page, name="Ann", email="ann@example.org", message="Hello")
        page.get_by_label("Sunday").check()
        # A second click comes before the first one is answered.
        page.get_by_role("button", name="Send").dblclick()
        page.wait_for_url("**/sent")
    with contextlib.closing(open_inbox(f"sqlite:{tmp_path / '.inbox.db'}")) as database:
        assert database.read(lambda transaction: transaction.execute("SELECT COUNT(*) FROM submissions")) == [(1,)]


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": {"width": 320, "height": 640}}])
def test_the_page_can_be_read_and_is_not_wider_than_the_window(
    browser: Browser, tmp_path: Path, options: dict[str, Any]
) -> None:
    with served(tmp_path) as url, page_of(browser, url, **options) as page:
        page.goto("/contact")
        page.get_by_role("button", name="Send").evaluate("it => { it.form.noValidate = true; it.click() }")
        page.get_by_role("alert").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        hidden = page.locator("[name=_website]")
        assert hidden.evaluate("it => it.closest('div').getBoundingClientRect().width") <= 1
        for place in ("h1", ".error", ".optional"):
            assert _contrast(page, place) >= 4.5


def _contrast(page: Page, place: str) -> float:
    """How well a text can be told from the page (WCAG 2.2, 1.4.3)."""
    ink, paper = page.locator(place).first.evaluate(
        "it => [getComputedStyle(it).color, getComputedStyle(document.body).backgroundColor]"
    )
    light, dark = sorted((_luminance(ink), _luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


# ---- the example: a site of files with a page of its own


@pytest.fixture
def example(tmp_path: Path) -> Iterator[LiveServer]:
    folder = tmp_path / "contact"
    shutil.copytree(TOP / "examples" / "apps" / "contact", folder, ignore=shutil.ignore_patterns("*.db*"))
    with LiveServer(None, cwd=folder, env={"PYTHONPATH": str(TOP)}) as server:
        yield server


def test_a_page_of_the_sites_own_sends_too(browser: Browser, example: LiveServer) -> None:
    with page_of(browser, example.url) as page:
        page.goto("/")
        page.get_by_role("link", name="Write to us").click()
        assert page.url == example.url + "contact"
        fill(page, name="Ann", email="ann@example.org", message="Too short")
        page.select_option("[name=topic]", "A booking")
        page.get_by_role("button", name="Send it").click()
        assert "At least 10 characters, please; these are 9." in page.get_by_role("alert").inner_text()
        assert page.get_by_label("A booking").is_checked()
        fill(page, message="Long enough, now")
        page.get_by_role("button", name="Send").click()
        assert page.url == example.url + "thanks"
        assert page.get_by_role("heading").inner_text() == "Thank you"


def test_a_double_click_on_a_page_of_the_sites_own_is_one_letter_and_two_letters_are_two(
    browser: Browser, example: LiveServer, tmp_path: Path
) -> None:
    with page_of(browser, example.url) as page:
        for message in ("The first letter", "The second letter"):
            page.goto("/contact")
            fill(page, name="Ann", email="ann@example.org", message=message)
            page.select_option("[name=topic]", "A visit")
            page.get_by_role("button", name="Send it").dblclick()
            page.wait_for_url("**/thanks")
    with contextlib.closing(open_inbox(f"sqlite:{tmp_path / 'contact' / 'inbox.db'}")) as database:
        assert database.read(lambda transaction: transaction.execute("SELECT COUNT(*) FROM submissions")) == [(2,)]


def test_the_example_s_page_and_its_declaration_agree() -> None:
    folder = TOP / "examples" / "apps" / "contact"
    [(path, table)] = tomllib.loads((folder / "httpd.toml").read_text())["forms"].items()
    form = declare(path, table)
    page = (folder / "site" / "contact.html").read_text()
    for name in (*(field.name for field in form.fields), form.honeypot):
        assert f'name="{name}"' in page
    for choice in form.fields[2].choices:
        assert f"<option>{choice}</option>" in page
