"""Chromium without a window, for tests that need a browser.

    with chromium() as browser, quiet_page(browser, server.url) as page:
        page.goto("/")

A page that loads with anything on its console, or with a request that failed, is no page that works.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .tools import needs, needs_module

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from playwright.sync_api import Request as PageRequest

__all__ = ["chromium", "quiet_page"]

# It talks to nobody but the server.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-proxy-server",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser.  The test ends here where there is none."""
    program = needs("chromium")
    needs_module("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def quiet_page(browser: Browser, url: str, *, expected: str = "", **options: Any) -> Iterator[Page]:
    """A page of a browser that remembers nothing; at the end it has had nothing to complain of, but what is `expected`.

    `options` are those of Playwright's `new_context`.
    """
    complaints: list[str] = []

    def failed(asked: PageRequest) -> None:
        # Film and sound are given up for another part of them, a page for the download that it turns out to be,
        # a stream and a question when their page is left.
        given_up = asked.resource_type in ("media", "document", "eventsource", "fetch")
        if not given_up or asked.failure != "net::ERR_ABORTED":
            complaints.append(f"{asked.url}: {asked.failure}")

    context = browser.new_context(base_url=url, **options)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", failed)
    yield page
    context.close()
    complaints = [told for told in complaints if not expected or expected not in told]
    assert complaints == [], complaints
