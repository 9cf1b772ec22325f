"""The player of a recorded connection, in a real browser, from the one page that `httpd trace export` writes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from httpd import Request, Response, Router, StaticFiles, text
from httpd.server.handler import TABLE, State, http_request_handler
from httpd.trace import commands
from httpd.trace.about import METHODS, STATES, about
from httpd.trace.events import KINDS, Collected, Event, Received, Refilled, Refused, Sent, TerminatorSet, Trace
from httpd.trace.ndjson import event_line, head_line
from httpd.trace.player import export, in_one, player_json, title_of
from httpd.trace.replay import cut, one_by_one

from .chromium import quiet_page
from .conversations import conversation, ended, head
from .exchange import get, post, serving
from .test_laws import WIRE, CountsContentTwice, FindsItOneOff, LosesWhatIsHeldBack, played
from .tools import TOP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.tools

site = Router()


@site.get("/hello/{name}")
def hello(request: Request, name: str) -> Response:
    return text(f"hello, {name}\n")


@site.post("/echo")
def echo(request: Request) -> Response:
    return text(request.body)


POST = post(b"name=Ada&colour=blue+green", path="/echo")
REFUSED = b"GET / HTTP/1.1\r\nHost: a\r\nX-Name : value\r\n\r\n"
EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"

GOLDEN: dict[str, Trace] = {
    "get": conversation(ended(get("/hello/you")), site).trace,
    "post in three pieces": conversation(ended(POST[:30], POST[30:-9], POST[-9:]), site).trace,
    "byte by byte": conversation(ended(*one_by_one(POST)), site).trace,
    "several": conversation(ended(get("/hello/a") + get("/hello/b") + get("/none")), site).trace,
    "refused": conversation(ended(REFUSED), site).trace,
    "the head is cut off": conversation(ended(b"GET / HTTP/1.1\r\nHo"), site).trace,
}

Opens = Callable[..., "Page"]


@pytest.fixture
def opens(browser: Browser, tmp_path: Path) -> Iterator[Opens]:
    """Opens a trace's page from the disk."""
    with ExitStack() as stack:

        def opens(trace: Trace, link: str = "", **options: Any) -> Page:
            page = stack.enter_context(quiet_page(browser, "http://127.0.0.1:9/", **options))
            page.context.set_offline(True)
            (tmp_path / "page.html").write_text(export(trace), encoding="utf-8")
            page.goto((tmp_path / "page.html").as_uri() + link)
            return page

        yield opens


def number_of(trace: Trace, name: str) -> int:
    """The first event of a name."""
    return next(event.n for event in trace.events if event.name == name)


def step(page: Page) -> int:
    return int(page.locator(".which b").inner_text().removeprefix("Step "))


def sentence(page: Page) -> str:
    return page.locator(".sentence").inner_text()


def until(page: Page, condition: str) -> None:
    """Wait until it holds.  Playwright's own way evaluates text in the page, which the page's policy forbids."""
    deadline = time.monotonic() + 15
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


# ---- what the page is given


def test_every_state_and_every_method_is_known() -> None:
    said = about()
    assert [state["name"] for state in said["states"]] == [state.value for state in State]
    assert set(STATES) == set(State)
    assert said["table"] == {a.value: [b.value for b in State if b in TABLE[a]] for a in State}
    assert {event.split()[0] for event in METHODS} == {name for name in KINDS if not name.startswith("trace:")}
    for method in chain(*said["methods"].values()):
        lines = (TOP / method["file"]).read_text(encoding="utf-8").splitlines()
        shown = method["source"].splitlines()
        assert [line.strip() for line in lines[method["line"] - 1 :][: len(shown)]] == [line.strip() for line in shown]


def test_the_data_is_all_of_it_and_ends_no_script() -> None:
    trace = conversation(ended(get("/hello/x", f"X: {EVIL}")), site).trace
    data = player_json(trace)
    assert data.isascii()
    assert "<" not in data
    given = json.loads(data)
    assert set(given) == {"head", "events", "sentences", "broken", "about"}
    assert given["events"] == [json.loads(event_line(event)) for event in trace.events]
    assert len(given["sentences"]) == len(trace.events)


def test_a_page_is_called_by_what_happened() -> None:
    assert title_of(GOLDEN["get"]) == "GET /hello/you → 200"
    assert title_of(GOLDEN["refused"]) == "Connection 1 → 400"
    named = conversation(ended(get()), site, head(title="a title")).trace
    assert title_of(named) == "a title"
    assert title_of(Trace(named.head._replace(title=""), [])) == "Connection 1"
    assert title_of(Trace(named.head._replace(title="half \ud83d"), [])) == "half ?"


def test_modules_are_put_together_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nimport { c } from "./c.js";\nrun(b, c);\n')
    (tmp_path / "b.js").write_text('import { c } from "./c.js";\nexport const b = c;\n')
    (tmp_path / "c.js").write_text("export async function c() {}\nexport class D {}\n")
    text = in_one(str(tmp_path), "a.js")
    assert text.count("async function c()") == 1
    assert text.index("module_c =") < text.index("module_b =") < text.index("run(b, c)")
    assert "return { c, D };" in text
    assert not re.search(r"^(import|export)", text, re.MULTILINE)


@pytest.mark.parametrize("line", ['import * as b from "./b.js";', "export default 1;", 'const a = "</script>";'])
def test_what_could_not_be_put_together_is_told(line: str, tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"a\.js"):
        in_one(str(tmp_path), "a.js")


def test_modules_that_import_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\n')
    with pytest.raises(ValueError, match="imports itself"):
        in_one(str(tmp_path), "a.js")


def test_a_handler_without_its_source_is_told_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(method: Any) -> Any:
        raise OSError

    monkeypatch.setattr("inspect.getsourcelines", gone)
    assert about.__wrapped__()["methods"]["channel:received"][0]["source"] == ""


def test_the_modules_work_by_themselves_too(browser: Browser) -> None:
    """As a server gives them, under a policy that lets a page run and ask for what is its own and nothing else."""
    own = Router()

    @own.get("/wire")
    def wire(request: Request) -> Response:
        page = """<!doctype html><html lang="en"><title>wire</title><link rel="icon" href="data:,">
            <link rel="stylesheet" href="/static/player.css"><main data-source="/api" class="player"></main>
            <script type="module" src="/static/wire.js"></script></html>"""
        policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'"
        return Response(page, 200, [("Content-Security-Policy", policy)], content_type="text/html; charset=utf-8")

    @own.get("/api")
    def api(request: Request) -> Response:
        return Response(player_json(GOLDEN["get"]), content_type="application/json")

    own.mount("/static", StaticFiles(TOP / "static" / "console"))
    with serving(own) as server, quiet_page(browser, server.url) as page:
        page.goto("/wire#n=4")
        page.locator(".which b").wait_for()
        assert step(page) == 4


def test_a_recording_of_nothing_is_told(opens: Opens) -> None:
    page = opens(Trace(GOLDEN["get"].head, []))
    assert page.locator("h1").inner_text() == "Nothing to play"
    assert page.get_by_role("alert").inner_text() == "this recording has no events"


# ---- the command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    trace = GOLDEN["get"]
    (tmp_path / "one.ndjson").write_text(head_line(trace.head) + "".join(map(event_line, trace.events)))
    return tmp_path / "one.ndjson"


def test_the_command_writes_the_page(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = file.with_suffix(".html")
    assert commands.main(["export", str(file), str(out)]) == 0
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert commands.main(["export", str(file), "-"]) == 0
    assert capsys.readouterr().out == out.read_text(encoding="utf-8")


def test_what_cannot_be_exported_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["export", str(file.parent / "gone"), "x.html"]) == 2
    assert commands.main(["export", str(file), str(file.parent / "gone" / "x.html")]) == 2
    assert commands.main(["export", str(file), str(file)]) == 2
    assert len(file.read_text().splitlines()) > 5
    file.write_text(head_line(GOLDEN["get"].head))
    assert commands.main(["export", str(file), "x.html"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert ["No such file" in line for line in said] == [True, True, False, False]
    assert "the recording itself" in said[2]
    assert "no events" in said[3]


# ---- stepping


def test_keys_step(opens: Opens) -> None:
    trace = GOLDEN["post in three pieces"]
    page = opens(trace)
    assert step(page) == 0
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert step(page) == 3
    assert sentence(page) == "recv gave 30 of at most 16,384 bytes."
    page.keyboard.press("ArrowLeft")
    assert step(page) == 2
    page.keyboard.press("s")
    assert step(page) == number_of(trace, "http:state_changed")
    page.keyboard.press("End")
    assert step(page) == trace.events[-1].n
    page.keyboard.press("ArrowRight")
    assert step(page) == trace.events[-1].n
    page.keyboard.press("Home")
    assert step(page) == 0


def test_it_plays_and_pauses(opens: Opens) -> None:
    page = opens(GOLDEN["get"])
    page.get_by_label("Pace").select_option("fast")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press(" ")
    until(page, "player.index > 2")
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("button", name="Play").is_visible()
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Play").click()
    until(page, "player.index === player.events.length - 1")
    assert page.get_by_role("button", name="Play").is_visible()


def test_a_link_leads_to_a_step(opens: Opens) -> None:
    page = opens(GOLDEN["get"], "#n=7")
    assert step(page) == 7
    page.keyboard.press("ArrowRight")
    until(page, "location.hash === '#n=8'")
    page.evaluate("location.hash = '#n=3'")
    until(page, "player.index === 3")
    page.evaluate("location.hash = '#n=99999'")
    until(page, "player.index === player.events.length - 1")


def test_the_timeline_is_dragged(opens: Opens) -> None:
    trace = GOLDEN["get"]
    page = opens(trace)
    box = page.locator(".timeline").bounding_box()
    assert box
    page.mouse.move(box["x"] + 4, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + 10, steps=5)
    page.mouse.up()
    assert step(page) == trace.events[-1].n
    told = page.locator(".timeline").get_attribute("aria-valuetext")
    assert told == f"event {trace.events[-1].n}: {sentence(page)}"


# ---- what is seen


def test_what_is_held_back_is_shown_as_held_back(opens: Opens) -> None:
    data = get("/hello/you")
    trace = conversation(ended(data[:-2], data[-2:]), site).trace
    page = opens(trace, f"#n={number_of(trace, 'chat:scanned')}")
    assert "2 held back" in page.locator(".bytes.in h2").inner_text()
    assert page.locator(".bytes.in rect.cell.held").get_attribute("width") == str(2 * 13)
    assert page.locator(".keys .held").all_inner_texts() == [r"\r", r"\n"]


def test_a_length_counts_down(opens: Opens) -> None:
    trace = GOLDEN["post in three pieces"]
    at = [event.n for event in trace.events if event.name == "chat:collected"]
    page = opens(trace, f"#n={at[-2]}")
    assert page.locator(".channel ol > li").nth(1).locator(".big").inner_text() == "9 of 26 bytes to come"
    assert "content" in page.locator(".bytes.in .said.content").all_text_contents()


def test_the_state_is_one_of_the_handlers_table(opens: Opens) -> None:
    page = opens(GOLDEN["get"])
    ways = sum(len(after) for after in TABLE.values())
    assert page.locator(".states .way").count() == ways
    assert page.locator(".states .node text").all_text_contents() == [state.value for state in State]
    assert page.locator(".states .node.here text").text_content() == "read header"
    assert page.locator(".states .way.open").count() == len(TABLE[State.READ_HEADER])


def test_the_routes_the_handler_and_the_answer(opens: Opens) -> None:
    trace = GOLDEN["post in three pieces"]
    page = opens(trace, f"#n={number_of(trace, 'http:responded')}")
    boxes = page.locator(".channel ol > li")
    assert "/echo fits" in boxes.nth(3).inner_text()
    assert "echo" in boxes.nth(4).inner_text()
    assert "200" in boxes.nth(4).inner_text()


def test_the_refused_bytes_are_red_and_named(opens: Opens) -> None:
    trace = GOLDEN["refused"]
    refusal = next(event.what for event in trace.events if isinstance(event.what, Refused))
    page = opens(trace, f"#n={number_of(trace, 'http:refused')}")
    cells = page.locator(".bytes.in rect.cell.refused")
    assert float(cells.get_attribute("width") or 0) == 13 * refusal.length
    assert page.locator(".bytes.in .said.refused").text_content() == "400 RFC 9112 §5.1"
    box = cells.bounding_box()
    assert box
    assert box["x"] == pytest.approx(page.locator(".bytes.in .bar.refused").bounding_box()["x"], abs=3)  # type: ignore[index]
    page.mouse.click(box["x"] + 4, box["y"] + 4)
    assert f"Byte {refusal.start} " in page.locator(".follow").inner_text()
    assert "refused at step" in page.locator(".follow").inner_text()


def test_what_is_missing_is_pointed_at(opens: Opens) -> None:
    """Where nothing stands that should, a caret shows the place."""
    trace = GOLDEN["refused"]
    at = number_of(trace, "http:refused")
    total = len(REFUSED)
    events = [
        event._replace(what=event.what._replace(start=total, length=0)) if event.n == at else event
        for event in trace.events
    ]
    page = opens(Trace(trace.head, events), f"#n={at}")
    assert page.locator(".bytes.in path.bar.refused").count() == 1
    assert page.locator(".bytes.in rect.cell.refused").count() == 0


def test_a_short_send_says_what_was_offered(opens: Opens) -> None:
    trace = GOLDEN["get"]
    at = number_of(trace, "channel:sent")
    events = [
        event._replace(what=event.what._replace(length=100)) if event.n == at else event for event in trace.events
    ]
    page = opens(Trace(trace.head, events), f"#n={at}")
    assert page.locator(".bytes.out .said.sent").text_content() == f"send 100 of {events[at].what.offered} offered"
    last = page.locator(".channel ol > li").last.inner_text()
    assert f"{events[at].what.offered - 100} bytes wait" in " ".join(last.split())


def test_a_terminator_that_was_found_is_shown_where_it_stands(opens: Opens) -> None:
    """From the scan on that has found it; what stands before it is collected meanwhile."""
    found = number_of(GOLDEN["get"], "chat:terminator_found")
    names = [GOLDEN["get"].events[n].name for n in range(found - 2, found + 1)]
    assert names == ["chat:scanned", "chat:collected", "chat:terminator_found"]
    for n in range(found - 2, found + 1):
        page = opens(GOLDEN["get"], f"#n={n}")
        assert f"found at byte {GOLDEN['get'].events[found].what.start}" in page.locator(".channel").inner_text()


def test_blanks_that_wait_are_as_many_as_came(opens: Opens) -> None:
    trace = conversation(ended(b"GET  /  HTTP/1.1\r\n\r\n"), site).trace
    page = opens(trace, f"#n={number_of(trace, 'channel:received')}")
    assert "GET  /  HTTP/1.1" in page.locator(".sample").inner_text()


def test_a_count_that_a_stranger_left_out_stops_no_step(opens: Opens) -> None:
    whats = [TerminatorSet("length", 3), Received(0, 2, "ab", 9), Collected(0, 2, None), Received(2, 1, "c", 9)]
    page = opens(Trace(GOLDEN["get"].head, [Event(n, float(n), n, what) for n, what in enumerate(whats)]), "#n=3")
    assert step(page) == 3
    assert "of 3 bytes to come" in " ".join(page.locator(".channel").inner_text().split())


def test_the_method_that_ran_is_shown_with_its_source(opens: Opens) -> None:
    page = opens(GOLDEN["get"], f"#n={number_of(GOLDEN['get'], 'channel:received')}")
    source = page.locator(".source")
    assert "dispatcher.recv" in source.inner_text()
    assert "httpd/net/asyncore.py" in source.inner_text()
    assert "self.socket.recv(buffer_size)" in source.inner_text()
    page.evaluate("n => location.hash = `#n=${n}`", number_of(GOLDEN["get"], "chat:pushed"))
    until(page, "!document.querySelector('.source').innerText.includes('dispatcher.recv')")
    assert "async_chat.push, or async_chat.ac_enqueue" in source.inner_text()
    assert source.inner_text().count(" def ") == 2


def test_a_broken_law_is_shown_where_it_broke(opens: Opens) -> None:
    trace = GOLDEN["get"]
    at = number_of(trace, "channel:sent")
    events = [
        event._replace(what=event.what._replace(length=event.what.offered + 5)) if event.n == at else event
        for event in trace.events
    ]
    page = opens(Trace(trace.head, events))
    assert "breaks" in page.locator("header .broken").inner_text()
    assert page.locator(".timeline .fault").count() >= 1
    page.get_by_role("button", name=f"law 4 at step {at}").first.click()
    assert step(page) == at
    assert "Law 4 is broken here" in page.locator(".law").inner_text()


@pytest.mark.parametrize(
    ("handler_class", "at", "law", "name", "start"),
    [
        pytest.param(LosesWhatIsHeldBack, 44, 1, "chat:collected", 44, id="what was held back is lost"),
        pytest.param(FindsItOneOff, 44, 2, "chat:scanned", 43, id="the terminator is found one off"),
        pytest.param(CountsContentTwice, 48, 3, "chat:collected", 48, id="content is counted twice"),
    ],
)
def test_where_a_planted_fault_shows(
    handler_class: type[http_request_handler], at: int, law: int, name: str, start: int, opens: Opens
) -> None:
    trace = played(cut(WIRE, [at]), handler_class).trace
    broken = next(event for event in trace.events if event.name == name and event.what.start == start)
    page = opens(trace)
    page.get_by_role("button", name=f"law {law} at step {broken.n}").first.click()
    assert step(page) == broken.n
    assert f"Law {law} is broken here" in page.locator(".law").inner_text()
    bar = page.locator(".bytes.in rect.bar.now").first
    column = (float(bar.get_attribute("x") or 0) - 59) / 13
    assert page.evaluate("player.rulers.in.from") + column == start
    assert float(bar.get_attribute("width") or 0) >= 13 * min(broken.what.length, 10) - 2
    whole = played([WIRE], handler_class).trace
    assert "breaks" not in opens(whole).locator("header").inner_text(), "the cut brought it to light"


# ---- what one may ask


def test_a_byte_that_came_is_followed(opens: Opens) -> None:
    trace = GOLDEN["post in three pieces"]
    page = opens(trace, "#n=5")
    page.locator(".bytes.in svg").click(position={"x": 58 + 13 * 1 + 5, "y": 90})
    told = page.locator(".follow li a").all_inner_texts()
    way = ["received", "searched for the terminator", "taken", "understood"]
    assert [line.split(" at ")[0] for line in told] == way
    assert "O (0x4f)" in page.locator(".follow").inner_text()
    page.locator(".follow li a").last.click()
    assert step(page) == number_of(trace, "http:request_line")
    page.keyboard.press("Escape")
    assert page.locator(".follow li").count() == 0


def test_a_byte_that_went_is_followed_by_the_keyboard(opens: Opens) -> None:
    trace = GOLDEN["get"]
    page = opens(trace, f"#n={trace.events[-1].n}")
    ruler = page.locator(".bytes.out svg")
    ruler.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert step(page) == trace.events[-1].n
    assert ruler.get_attribute("aria-valuetext") == "byte 2: T (0x54)"
    told = page.locator(".follow li a").all_inner_texts()
    assert [line.split(" at ")[0] for line in told] == ["queued", "given", "sent"]


def test_predictions_are_asked_for_and_counted(opens: Opens) -> None:
    trace = GOLDEN["get"]
    page = opens(trace, "#n=3")
    page.keyboard.press("p")
    asked = page.locator(".predict")
    choices = asked.locator("li button")
    assert choices.count() == 4
    sentences = json.loads(player_json(trace))["sentences"]
    texts = [text.partition(" ")[2] for text in choices.all_inner_texts()]
    assert sentences[4] in texts
    assert set(texts) <= set(sentences)
    page.keyboard.press(str(texts.index(sentences[4]) + 1))
    assert step(page) == 4
    assert asked.locator(".verdict").inner_text() == "Right, that came."
    assert asked.locator(".score").inner_text() == "1 of 1 right"
    texts = [text.partition(" ")[2] for text in choices.all_inner_texts()]
    choices.nth(next(place for place, text in enumerate(texts) if text != sentences[5])).click()
    assert asked.locator(".score").inner_text() == "1 of 2 right"
    assert asked.locator(".verdict").inner_text() == f"No, it was this: {sentences[5]}"
    assert step(page) == 5
    assert page.evaluate("document.activeElement.closest('.predict') !== null"), "the focus is not lost"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press(str([text.partition(" ")[2] for text in choices.all_inner_texts()].index(sentences[5]) + 1))
    assert asked.locator(".score").inner_text() == "1 of 2 right", "the first answer counts"
    assert sentences[7] not in page.locator(".recent").inner_text(), "what comes is not told before"
    page.keyboard.press("End")
    assert "ends here" in asked.inner_text()
    page.keyboard.press("p")
    assert not asked.is_visible()


# ---- strangers' recordings


def test_hostile_strings_are_text(opens: Opens) -> None:
    target = "/hello/" + EVIL.replace(" ", "+")
    trace = conversation(ended(get(target, f"X-Evil: {EVIL}")), site, head(title=EVIL)).trace
    page = opens(trace)
    assert page.locator("h1").inner_text() == EVIL
    assert page.title() == EVIL
    for event in trace.events:
        page.evaluate("n => player.show(n)", event.n)
        assert page.locator("img").count() == 0
        assert page.locator("script").count() == 2
    page.evaluate("n => player.show(n)", number_of(trace, "http:field_line") + 1)
    assert EVIL in sentence(page)


def test_a_recording_that_breaks_every_law_is_still_drawn(opens: Opens) -> None:
    huge = 1 << 52
    trace = GOLDEN["post in three pieces"]
    events = [
        event._replace(what=event.what._replace(start=huge if place % 2 else 7, length=huge))
        if "length" in event.what._fields and "start" in event.what._fields and not isinstance(event.what, Sent)
        else event
        for place, event in enumerate(trace.events)
    ]
    page = opens(Trace(trace.head, events))
    for event in events:
        page.evaluate("n => player.show(n)", event.n)
    assert step(page) == events[-1].n


@pytest.mark.parametrize("far", [(1 << 53) - 1, 1 << 53])
def test_numbers_that_a_page_cannot_count_on_hold_it_up_nowhere(far: int, opens: Opens) -> None:
    """Of a number beyond 2^53 the next is itself: what counted up to it would never end, nor would the page load."""
    whats = [Received(far, far, "ab", far), Refilled("p#1", "some", far, far, "ab"), Sent(far, far, far)]
    trace = Trace(head(), [Event(n, float(n), n, what) for n, what in enumerate(whats)])
    for at in range(len(whats)):
        page = opens(trace, f"#n={at}")
        assert step(page) == at
        for ruler in page.locator("svg.ruler").all():
            ruler.press("ArrowRight")


# ---- the fold

HOLD = """
() => {
  const { fold, events } = player;
  const faults = [];
  const seen = events.map((_, index) => JSON.stringify(fold.at(index)));
  for (let index = events.length - 1; index >= 0; index -= 3) {
    if (JSON.stringify(fold.at(index)) !== seen[index]) faults.push(`${index} differs when it is come to from behind`);
  }
  seen.map(JSON.parse).forEach((state, index) => {
    const { data, name } = events[index];
    if (!(state.held <= state.received - state.taken)) faults.push(`${index}: more is held than waits`);
    if (!(state.sent <= state.refilled)) faults.push(`${index}: more is sent than was given`);
    if (name === "http:state_changed" && state.state !== data.new) faults.push(`${index}: in ${state.state}`);
    if (name === "chat:pushed" && state.queue.length !== data.depth) faults.push(`${index}: the queue`);
  });
  return { faults, last: JSON.parse(seen.at(-1)) };
}
"""


@pytest.mark.parametrize("name", GOLDEN)
def test_the_state_of_every_step(name: str, opens: Opens) -> None:
    trace = GOLDEN[name]
    held = opens(trace).evaluate(HOLD)
    assert held["faults"] == []
    last, closed = held["last"], trace.events[-1].what
    assert last["received"] == closed.bytes_in
    assert last["taken"] == closed.bytes_in - closed.unread
    assert last["refilled"] == last["sent"] == closed.bytes_out
    assert last["queue"] == []
    assert last["state"] == "closed"
    assert last["requests"] == sum(event.name == "http:request_line" for event in trace.events)


def test_five_thousand_events_scrub(opens: Opens) -> None:
    data = b"".join(get(f"/hello/n{number}") for number in range(170))
    trace = conversation(ended(*(data[at : at + 6] for at in range(0, len(data), 6))), site).trace
    page = opens(Trace(trace.head, trace.events[:5000]))
    assert page.evaluate("player.events.length") == 5000
    page.evaluate("""() => {
      const show = player.show;
      window.took = [];
      player.show = (index) => {
        const began = performance.now();
        show.call(player, index);
        document.body.offsetHeight;
        took.push(performance.now() - began);
      };
    }""")
    box = page.locator(".timeline").bounding_box()
    assert box
    page.mouse.move(box["x"] + 1, box["y"] + 10)
    page.mouse.down()
    # To and fro.
    for part in (0.7, 0.2, 1):
        page.mouse.move(box["x"] + part * box["width"] - 1, box["y"] + 10, steps=60)
    page.mouse.up()
    assert step(page) > 4990
    took = sorted(page.evaluate("took"))
    assert len(took) > 100
    assert took[len(took) * 95 // 100] < 50, "19 of 20 steps of a scrub, in ms; 14 on a busy machine"


# ---- everywhere


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(width: int, scheme: Any, opens: Opens) -> None:
    for trace in GOLDEN.values():
        page = opens(trace, viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.keyboard.press("End")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_has_a_name_for_who_cannot_see_it(opens: Opens) -> None:
    page = opens(GOLDEN["get"], "#n=5")
    for part in page.locator("button, select, input, [role=slider], [role=img]").all():
        assert part.get_attribute("aria-label") or part.inner_text()
    assert page.locator(".sentence").get_attribute("aria-live") == "polite"
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((title) => Number(title.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
