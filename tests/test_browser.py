"""A real browser, Chromium without a window: pages, forms, the back button, uploads, film and sound."""

from __future__ import annotations

import io
import wave
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .chromium import quiet_page
from .film import film
from .workbench import Workbench, noise, workbench

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.tools

FRAME = '<!doctype html><html lang=en><meta charset=utf-8><title>%s</title><link rel=icon href="data:,">'

FILES = {
    "index.html": FRAME % "Home"
    + '<link rel=stylesheet href=style.css><h1>Home</h1><img src=flag.svg alt=flag><a href="form.html">write</a>'
    '<a href="many/">many</a><script type=module src=script.mjs></script>',
    "style.css": "h1 { color: rgb(1, 2, 3) }",
    "flag.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10"/></svg>',
    "script.mjs": "import { word } from './word.mjs'; document.body.dataset.word = word;",
    "word.mjs": "export const word = 'grüße';",
    "form.html": FRAME % "Form" + '<form method=post action=form><input name=name><textarea name=text></textarea>'
    "<button>send</button></form>",
    "many/a b & ü.html": FRAME % "Odd" + "<p>odd",
    "blank.html": FRAME % "Blank",
    "sw.js": """
        self.oninstall = event => event.waitUntil(caches.open('1').then(kept => kept.add('word.mjs')));
        self.onactivate = event => event.waitUntil(self.clients.claim());
        self.onfetch = event => event.respondWith(caches.match(event.request).then(it => it || fetch(event.request)));
    """,
}

# Draws for half a second and records it: a film of our own, in VP8.
RECORD = """async () => {
    const canvas = document.body.appendChild(document.createElement('canvas'));
    const brush = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/webm;codecs=vp8' });
    const parts = [];
    recorder.ondataavailable = event => parts.push(event.data);
    const over = new Promise(done => { recorder.onstop = done; });
    recorder.start();
    for (let turn = 0; turn < 12; turn++) {
        brush.fillStyle = `hsl(${turn * 30} 90% 50%)`;
        brush.fillRect(0, 0, 300, 150);
        await new Promise(done => setTimeout(done, 40));
    }
    recorder.stop();
    await over;
    const answer = await fetch('upload/film.webm', { method: 'PUT', body: new Blob(parts) });
    return answer.status;
}"""

# A picture for each channel, with noise in it that no codec makes small, as WebP in base64.
PICTURES = """([width, height]) => [0, 1, 2].map(channel => {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width, height });
    const brush = canvas.getContext('2d');
    const image = brush.createImageData(width, height);
    for (let place = 0; place < image.data.length; place += 4) {
        image.data[place + channel] = 128 + 127 * Math.random();
        image.data[place + 3] = 255;
    }
    brush.putImageData(image, 0, 0);
    return canvas.toDataURL('image/webp', 0.95).split(',')[1];
})"""

# Which channel is the strongest in what is shown.
SHOWN = """() => {
    const brush = document.createElement('canvas').getContext('2d');
    brush.drawImage(document.getElementById('medium'), 0, 0, 1, 1);
    const colours = [...brush.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    return colours.indexOf(Math.max(...colours));
}"""

# Resolves when the worker that it registers has taken over the page.
REGISTER = """() => new Promise((done, failed) => {
    navigator.serviceWorker.oncontrollerchange = () => done(navigator.serviceWorker.controller.scriptURL);
    navigator.serviceWorker.register('sw.js').catch(failed);
})"""

# Loads a medium into an element of that kind and says how large its picture is and how long it lasts.
LOAD = """([kind, source]) => new Promise((done, failed) => {
    const medium = document.body.appendChild(document.createElement(kind));
    medium.id = 'medium';
    medium.preload = 'auto';
    medium.muted = true;
    medium.onloadeddata = () => done([medium.videoWidth ?? 0, medium.duration]);
    medium.onerror = () => failed(new Error(medium.error.message));
    medium.src = source;
})"""

SEEK = """time => new Promise((done, failed) => {
    const medium = document.getElementById('medium');
    medium.onseeked = () => done(medium.currentTime);
    medium.onerror = () => failed(new Error(medium.error.message));
    medium.currentTime = time;
})"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    with workbench(tmp_path) as bench:
        for name, content in FILES.items():
            path = bench.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
        yield bench


@pytest.fixture
def page(browser: Browser, bench: Workbench) -> Iterator[Page]:
    with quiet_page(browser, bench.tap.url) as page:
        yield page


def statuses(bench: Workbench) -> list[tuple[str, str, int]]:
    """(method, target, status) of everything that was asked."""
    return [
        (asked.method, asked.target, answer.status)
        for connection in bench.tap.connections
        for asked, answer in zip(connection.asked(), connection.answers(), strict=True)
    ]


def test_a_page_with_all_that_belongs_to_it(page: Page, bench: Workbench) -> None:
    page.goto("/", wait_until="networkidle")
    assert page.title() == "Home"
    assert page.locator("h1").evaluate("it => getComputedStyle(it).color") == "rgb(1, 2, 3)"
    assert page.locator("img").evaluate("it => it.naturalWidth") == 20
    assert page.locator("body").get_attribute("data-word") == "grüße"
    asked = statuses(bench)
    wanted = ["/", "/style.css", "/flag.svg", "/script.mjs", "/word.mjs"]
    assert sorted(asked) == sorted(("GET", target, 200) for target in wanted)
    # It may take six connections at once, and uses them again.
    assert all(answer.keeps_alive for answer in bench.tap.answers)
    assert sum(bool(connection.sent) for connection in bench.tap.connections) < len(asked)


def test_a_reload_asks_whether_it_changed(page: Page, bench: Workbench) -> None:
    page.goto("/", wait_until="networkidle")
    before = len(bench.tap.asked)
    page.reload(wait_until="networkidle")
    assert len(bench.tap.asked) > before
    assert ("GET", "/", 304) in statuses(bench)
    assert page.locator("h1").evaluate("it => getComputedStyle(it).color") == "rgb(1, 2, 3)"
    (bench.folder / "index.html").write_text(FRAME % "New" + "<p>changed")
    page.reload(wait_until="networkidle")
    assert page.inner_text("body") == "changed"


def test_a_form_is_posted_once_and_the_way_back_is_open(page: Page, bench: Workbench) -> None:
    page.goto("/")
    page.click("text=write")
    page.fill("[name=name]", "Ada & Söhne")
    page.fill("[name=text]", "two\nlines + 100%")
    page.click("button")
    page.wait_for_url("**/thanks")
    page.reload()
    assert "Thank you" in page.inner_text("body")
    assert bench.forms == [[("name", "Ada & Söhne"), ("text", "two\r\nlines + 100%")]]
    page.go_back()
    assert page.title() == "Form"
    page.go_back()
    assert page.title() == "Home"
    page.go_forward()
    assert page.title() == "Form"
    assert len(bench.forms) == 1


def test_a_listing_leads_to_names_of_every_kind(page: Page, bench: Workbench) -> None:
    page.goto("/")
    page.click("text=many")
    page.wait_for_url("**/many/")
    page.click("text=a b & ü.html")
    page.wait_for_load_state()
    assert page.title() == "Odd"
    assert {status for _, _, status in statuses(bench)} == {200}


def test_a_script_uploads_and_reads_back(page: Page, bench: Workbench) -> None:
    content = noise(2 << 20)
    page.goto("/blank.html")
    told = page.evaluate(
        """async size => {
            const content = new Uint8Array(size).map((_, place) => place * 7 + (place >> 8));
            const stored = await fetch('upload/x', { method: 'PUT', body: content });
            const again = new Uint8Array(await (await fetch('upload/x')).arrayBuffer());
            return [stored.status, again.every((byte, place) => byte === content[place]), again.length];
        }""",
        len(content),
    )
    assert told == [201, True, len(content)]
    assert bench.uploads == {"x": bytes((place * 7 + (place >> 8)) & 255 for place in range(len(content)))}


def test_a_film_that_it_made_itself(page: Page, bench: Workbench) -> None:
    page.goto("/blank.html")
    assert page.evaluate(RECORD) == 201
    (bench.folder / "film.webm").write_bytes(bench.uploads["film.webm"])
    width, _ = page.evaluate(LOAD, ["video", "film.webm"])
    assert width == 300


def test_a_film_is_sought_by_ranges(page: Page, bench: Workbench) -> None:
    """A minute for each of three pictures: what it shows is what stands there, and from there it asked for a part."""
    size = (480, 270)
    page.goto("/blank.html")
    pictures = [b64decode(picture) for picture in page.evaluate(PICTURES, size) for _ in range(60)]
    content = film(pictures, 1, *size)
    (bench.folder / "film.webm").write_bytes(content)
    assert page.evaluate(LOAD, ["video", "film.webm"]) == [480, 180]
    for time, channel in [(170, 2), (100, 1), (5, 0)]:
        assert page.evaluate(SEEK, time) == time
        assert page.evaluate(SHOWN) == channel
    ranges = [asked["Range"] for asked in bench.tap.asked if asked["Range"]]
    starts = [int(text.removeprefix("bytes=").partition("-")[0]) / len(content) for text in ranges]
    assert any(start > 0.9 for start in starts)
    assert any(0.4 < start < 0.8 for start in starts)
    # It breaks off what it no longer wants, so not every answer is a whole one.
    assert sum(connection.received.count(b"HTTP/1.0 206 ") for connection in bench.tap.connections) == len(ranges)


def test_sound_of_which_a_part_is_wanted(page: Page, bench: Workbench) -> None:
    """Far more than it would load ahead.  With ranges (RFC 9110 §14) it asks for the part it was sent to."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes(bytes(44_100 * 4 * 200))
    (bench.folder / "sound.wav").write_bytes(out.getvalue())
    page.goto("/blank.html")
    _, duration = page.evaluate(LOAD, ["audio", "sound.wav"])
    assert duration == 200
    assert abs(page.evaluate(SEEK, 180.0) - 180) < 1
    ranges = [asked["Range"] for asked in bench.tap.asked if asked["Range"]]
    assert max(int(text.removeprefix("bytes=").partition("-")[0]) for text in ranges) > 30_000_000


def test_a_service_worker_takes_over_and_is_asked_about(page: Page, bench: Workbench) -> None:
    """From then on its page is there without the server; the worker itself is never kept (Cache-Control: no-cache)."""
    page.goto("/blank.html")
    assert page.evaluate(REGISTER) == bench.tap.to("sw.js")
    told = dict(zip([asked.target for asked in bench.tap.asked], bench.tap.answers, strict=True))
    assert told["/sw.js"]["Cache-Control"] == "no-cache"
    before = len(bench.tap.asked)
    assert "grüße" in page.evaluate("() => fetch('word.mjs').then(it => it.text())")
    assert len(bench.tap.asked) == before
    (bench.folder / "sw.js").write_text("// a new one")
    page.evaluate("() => navigator.serviceWorker.getRegistration().then(it => it.update())")
    assert [asked.target for asked in bench.tap.asked[before:]] == ["/sw.js"]
