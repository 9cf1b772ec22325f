"""Live reload without a browser: the script in a page, the events, the watched folders, the command."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import HTTPError, Request, Response, Router, StaticFiles, Templates, cli, html
from httpd.browser import open_browser
from httpd.net.producers import feed_producer
from httpd.protocol.errors import Later
from httpd.reload.events import Events
from httpd.reload.handler import EVENTS, SCRIPT, Reloading, reloaded
from httpd.server.handler import State

from .exchange import EOF, Answer, Exchange, Given, StrictHandler, get, post
from .live import LiveServer
from .scripted import BROKEN
from .tools import TOP, needs_module
from .workbench import until

BROWSER = ("Accept: text/html,application/xhtml+xml,*/*;q=0.8",)
DOCUMENT = ("Sec-Fetch-Dest: document", "Accept: text/html")


def page(content: Any) -> Response:
    return Response(content, content_type="text/html")


# ---- what the site answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html><p>the page")
    (tmp_path / "big.html").write_bytes(b"<!doctype html>" + b"<p>more" * 200_000)
    (tmp_path / "style.css").write_text("p {}")
    for name in ("index.html", "big.html", "style.css"):
        os.utime(tmp_path / name, (1, 1))
    return tmp_path


class Served:
    """A site whose pages reload themselves."""

    def __init__(self, site: Callable[[Request], Response]) -> None:
        self.site = site
        reloading = Reloading()
        self.events = reloading.events
        self.handler_class: Any = reloaded(StrictHandler, reloading)

    def exchange(self, *pieces: bytes) -> Exchange:
        return Exchange(pieces, self.site, handler_class=self.handler_class)

    def asked(self, path: str = "/", *fields: str, method: str = "GET") -> Answer:
        """The answer to one request."""
        [answer] = self.exchange(get(path, *fields, method=method)).answers(method)
        return answer


@pytest.fixture
def site(folder: Path) -> Served:
    return Served(StaticFiles(folder))


@pytest.mark.parametrize("fields", [DOCUMENT, BROWSER, ("Sec-Fetch-Dest: iframe",)])
@pytest.mark.parametrize("path", ["/", "/big.html", "/absent"])
def test_a_page_that_is_shown_has_the_script_and_no_validator(
    site: Served, path: str, fields: tuple[str, ...]
) -> None:
    answer = site.asked(path, *fields, "Accept: text/html")
    assert answer.body.count(f'<script src="{SCRIPT}?{site.events.version}" defer></script>'.encode()) == 1
    assert (answer["cache-control"], answer["etag"], answer["last-modified"]) == ("no-store", "", "")
    assert answer["accept-ranges"] == ""
    assert int(answer["content-length"]) == len(answer.body)


@pytest.mark.parametrize("path", ["/", "/big.html", "/absent", "/style.css"])
def test_head_tells_the_same_length(site: Served, path: str) -> None:
    whole, head = site.asked(path, *DOCUMENT), site.asked(path, *DOCUMENT, method="HEAD")
    assert (head.status, head["content-length"], head.body) == (whole.status, whole["content-length"], b"")
    assert head.lines == whole.lines


@pytest.mark.parametrize(
    "fields", [(), ("Accept: */*",), ("Sec-Fetch-Dest: empty", "Accept: text/html"), (*DOCUMENT, "Range: bytes=0-4")]
)
def test_a_page_that_is_not_shown_is_the_file(site: Served, folder: Path, fields: tuple[str, ...]) -> None:
    answer = site.asked("/", *fields)
    assert (folder / "index.html").read_bytes().startswith(answer.body)
    assert answer["etag"]
    assert answer["cache-control"] == ("no-cache" if answer.status == 206 else "no-store")


def test_what_the_browser_has_of_a_page_is_of_no_use(site: Served) -> None:
    kept = site.asked("/")["etag"]
    for field in (f"If-None-Match: {kept}", "If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT"):
        assert site.asked("/", *DOCUMENT, field).status == 200


def test_what_is_no_page_is_answered_as_ever_and_asked_for_again(site: Served) -> None:
    for fields in (DOCUMENT, ("Sec-Fetch-Dest: style",)):
        answer = site.asked("/style.css", *fields)
        assert (answer.body, answer["cache-control"]) == (b"p {}", "no-cache")
        again = site.asked("/style.css", *fields, f"If-None-Match: {answer['etag']}")
        assert (again.status, again["cache-control"]) == (304, "no-cache")
        assert site.asked("/style.css", *fields, "If-Match: \"x\"").status == 412
    part = site.asked("/style.css", "Range: bytes=1-2")
    assert (part.status, part.body) == (206, b" {")


def test_an_encoded_sibling_is_no_page(site: Served, folder: Path) -> None:
    shutil.copy(folder / "index.html", folder / "index.html.gz")
    answer = site.asked("/", *DOCUMENT, "Accept-Encoding: gzip, br")
    assert answer["content-encoding"] == ""
    assert b"<script" in answer.body


def test_what_must_not_be_stored_still_must_not() -> None:
    headers = [("Cache-Control", "private, no-store"), ("Expires", "0")]
    answer = Served(lambda request: Response(b"", 200, headers)).asked()
    assert answer["cache-control"] == "private, no-store"


def test_a_policy_that_knows_the_page_s_scripts_alone_does_not_stop_ours(site: Served, folder: Path) -> None:
    (folder / "listed").mkdir()
    policy = site.asked("/listed/")["content-security-policy"]
    answer = site.asked("/listed/", *DOCUMENT)
    assert b"httpd-reload" in answer.body
    ours = answer["content-security-policy"]
    assert re.findall("'sha256-[^']+'", ours) == re.findall("'sha256-[^']+'", policy) != []
    assert (f" a{SCRIPT};" in ours, ours.endswith(f"; connect-src a{EVENTS}")) == (True, True)


@pytest.mark.parametrize("host", ["", "a;img-src", "[::1]:8000", "a'b"])
def test_a_host_that_could_say_something_in_a_policy_says_nothing_there(host: str) -> None:
    policy = [("Content-Security-Policy", "default-src 'none'")]
    head = Exchange([get()]).service.parser.parse(get("/", *DOCUMENT).removesuffix(b"\r\n\r\n"), 0)
    head.host = host
    adapted = Reloading().adapted(head, Response(b"<p>", headers=policy, content_type="text/html"))
    assert policy[0] in adapted.headers


def test_a_handler_that_raises_gives_a_page_with_the_script(caplog: pytest.LogCaptureFixture) -> None:
    def fails(request: Request) -> Response:
        if request.query:
            raise HTTPError(410, "It was here.", headers=[("X-Why", "gone")])
        raise RuntimeError("on purpose")

    site = Served(fails)
    gone = site.asked("/?gone", *DOCUMENT)
    assert (gone.status, gone["x-why"], b"<script" in gone.body) == (410, "gone", True)
    assert caplog.text == ""
    failed = site.asked("/", *DOCUMENT)
    assert (failed.status, b"<script" in failed.body) == (500, True)
    assert "on purpose" in caplog.text


def test_a_page_that_fails_at_its_beginning_is_an_error_page(caplog: pytest.LogCaptureFixture) -> None:
    content = Given(ValueError("on purpose"))
    answer = Served(lambda request: page(content)).asked("/", *DOCUMENT)
    assert (answer.status, b"<script" in answer.body) == (500, True)
    assert content.closes == 1


def test_a_page_that_is_made_while_it_is_sent() -> None:
    feed = feed_producer()
    exchange = Served(lambda request: page(feed)).exchange(get("/", *DOCUMENT))
    assert b"<script" not in exchange.output
    feed.put(b"<!doctype html><p>one")
    assert b"defer></script><p>one" in exchange.output
    feed.put(b"<p>two")
    exchange.handler.finish()
    assert exchange.answers()[0].body.endswith(b"<p>one<p>two")


def test_other_methods_reach_the_site() -> None:
    router = Router()

    @router.post("/form")
    def form(request: Request) -> Response:
        return html(f"<p>{request.body.decode()}")

    exchange = Served(router).exchange(
        post(b"posted", "Accept: text/html", path="/form") + get("/form", method="OPTIONS")
    )
    posted, options = exchange.answers("POST", "OPTIONS")
    assert (posted.body, options.status) == (b"<p>posted", 204)


def test_what_the_site_takes_its_time_for_has_the_script_too() -> None:
    done: list[int] = []

    def site(request: Request) -> Response:
        if not done:
            raise Later(lambda: done.append(1))
        return page(b"<p>after work")

    answer = Served(site).asked("/", *DOCUMENT)
    assert answer.body.endswith(b"</script><p>after work")
    done.clear()
    failed = Served(lambda request: fail(Later(lambda: fail(ValueError("no"))))).asked("/", *DOCUMENT)
    assert (failed.status, b"<script" in failed.body) == (500, True)


def fail(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize("target", [SCRIPT, EVENTS])
def test_other_methods_are_not_taken_by_what_is_ours(site: Served, target: str) -> None:
    assert site.asked(target, method="OPTIONS")["allow"] == "GET, HEAD, OPTIONS"
    [answer] = site.exchange(post(b"x", path=target)).answers("POST")
    assert (answer.status, answer["allow"]) == (405, "GET, HEAD, OPTIONS")


# ---- the script and the events


def test_the_script_is_ours_and_of_its_type(site: Served) -> None:
    answer = site.asked(f"{SCRIPT}?1.0")
    assert answer.body == (TOP / "static" / "reload.js").read_bytes()
    assert answer["content-type"] == "text/javascript; charset=utf-8"
    assert answer["cache-control"] == "no-cache"


def heard(exchange: Exchange) -> list[tuple[int, int]]:
    """The states that a stream has told: (last change of pages, last change of styles)."""
    return [(int(a), int(b)) for a, b in re.findall(r"data: \w+ (\d+) (\d+)\n\n", exchange.output.decode())]


def test_the_state_is_told_at_first_and_at_every_change(site: Served) -> None:
    exchange = site.exchange(get(EVENTS, "Sec-Fetch-Site: same-origin"))
    assert b"Content-Type: text/event-stream" in exchange.output
    assert heard(exchange) == [(0, 0)]
    site.events.changed(["/a/style.css"])
    site.events.changed(["/a/style.css", "/a/index.html"])
    assert heard(exchange)[1:] == [(0, 1), (2, 1)]
    assert site.events.version.endswith(".2")
    late = site.exchange(get(EVENTS))
    assert heard(late) == [(2, 1)]


def test_a_stream_lasts_and_beats(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = site.exchange()
    monkeypatch.setattr("httpd.site.events.monotonic", exchange.clock)
    exchange.feed(get(EVENTS)).wait(100)
    assert exchange.output.count(b"\n\n:\n\n") >= 1
    assert exchange.output.count(b":\n\n") == 6
    site.events.changed(["/a"])
    assert heard(exchange) == [(0, 0), (1, 0)]


def test_a_client_that_is_gone_is_found_out(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = site.exchange()
    monkeypatch.setattr("httpd.site.events.monotonic", exchange.clock)
    exchange.feed(get(EVENTS))
    exchange.sock.takes.append(BROKEN)
    exchange.wait(20)
    assert exchange.state is State.CLOSED
    site.events.changed(["/a"])
    assert heard(exchange) == [(0, 0)]


def test_a_stream_ends_when_the_server_stops(site: Served) -> None:
    exchange = site.exchange(get(EVENTS))
    exchange.handler.finish()
    assert exchange.said_end
    assert exchange.feed(EOF).closed
    assert not exchange.sock.reset


def test_one_address_holds_a_few_streams_at_the_most(site: Served) -> None:
    """A browser that cannot choose one tab to listen has connections left for its pages."""
    held = [site.exchange(get(EVENTS)) for _ in range(4)]
    [answer] = site.exchange(get(EVENTS)).answers()
    assert (answer.keeps_alive, answer.body[:6]) == (True, b"retry:")
    held[0].handler.close()
    assert b"Connection: close" in site.exchange(get(EVENTS)).output


def test_head_of_the_events_holds_nothing(site: Served) -> None:
    site.asked(EVENTS, method="HEAD")
    assert len(site.events.listeners) == 0


@pytest.mark.parametrize("origin", ["cross-site", "same-site"])
def test_other_sites_get_no_events(site: Served, origin: str) -> None:
    answer = site.asked(EVENTS, f"Sec-Fetch-Site: {origin}", "Origin: http://other.example")
    assert answer.status == 403
    assert answer["access-control-allow-origin"] == ""


def test_another_server_has_another_beginning() -> None:
    assert Events().state != Events().state


# ---- the watched folders


class Watch:
    """A watched folder, which is looked for often; `told` are the calls, as sets of the names below it."""

    def __init__(self, *folders: Path, ignored: Iterable[Path] = ()) -> None:
        needs_module("watchfiles")
        from httpd.reload import watching

        self.often = pytest.MonkeyPatch()
        self.often.setattr(watching, "_LOOK", 100)
        self.often.setattr(watching, "_ABSENT_SECONDS", 0.05)
        self.told: list[set[str]] = []
        self.root = folders[0]
        self.watcher = watching.Watcher(map(str, folders), self._changed, map(str, ignored))

    def _changed(self, paths: Collection[str]) -> None:
        self.told.append({os.path.relpath(path, os.path.realpath(self.root)) for path in paths})

    def tells(self, *names: str) -> bool:
        """Whether a change of all these is told; then it is forgotten."""
        found = until(lambda: set(names) <= set().union(*self.told), 8)
        assert found, self.told
        self.told.clear()
        return found

    def __enter__(self) -> Watch:
        self.watcher.start()
        return self

    def __exit__(self, *why: object) -> None:
        began = time.monotonic()
        self.watcher.stop()
        self.often.undo()
        assert time.monotonic() - began < 2
        assert "reload" not in {thread.name for thread in threading.enumerate()}


def test_a_burst_of_changes_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with Watch(tmp_path) as watch:
        for number in range(20):
            (tmp_path / "sub" / f"{number}.html").write_text("x")
        time.sleep(0.5)
        assert watch.told == [{f"sub/{number}.html" for number in range(20)}]
        watch.told.clear()
        (tmp_path / "sub" / "3.html").unlink()
        assert watch.tells("sub/3.html")


def test_what_tools_leave_is_not_told(tmp_path: Path) -> None:
    for name in (".git", "node_modules", "a/__pycache__", ".well-known"):
        (tmp_path / name).mkdir(parents=True)
    log = tmp_path / "access.log"
    with Watch(tmp_path, ignored=[log]) as watch:
        for name in (".git/x", "node_modules/x.js", "a/__pycache__/x.pyc", "page.html~", "#page.html#", ".page.swp"):
            (tmp_path / name).write_text("x")
        log.write_text("x")
        (tmp_path / "style.css.map").write_text("x")
        (tmp_path / "style.css").write_text("x")
        (tmp_path / ".well-known" / "x").write_text("x")
        assert until(lambda: set().union(*watch.told) == {"style.css", ".well-known/x"}, 8), watch.told


def test_an_editor_s_save_is_a_change_of_that_file_alone(tmp_path: Path) -> None:
    style = tmp_path / "style.css"
    style.write_text("old")
    with Watch(tmp_path) as watch:
        # As Vim saves: a try, a backup, the new file, the backup removed.
        (tmp_path / "4913").touch()
        (tmp_path / "4913").unlink()
        style.rename(tmp_path / "style.css.old")
        style.write_text("new")
        (tmp_path / "style.css.old").unlink()
        time.sleep(0.4)
        assert watch.told == [{"style.css"}]


def test_several_folders_and_links_to_them(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    link = tmp_path / "link"
    link.symlink_to("two")
    with Watch(tmp_path / "one", link) as watch:
        (tmp_path / "one" / "a").touch()
        assert watch.tells("a")
        (link / "b").touch()
        assert watch.tells("../two/b")
        # A release: the link leads elsewhere.
        (tmp_path / "next").symlink_to("three")
        (tmp_path / "next").rename(link)
        assert watch.tells("../three")
        (tmp_path / "three" / "c").touch()
        assert watch.tells("../three/c")


def test_a_folder_that_is_removed_and_made_anew(tmp_path: Path) -> None:
    root = tmp_path / "www"
    root.mkdir()
    (root / "a").touch()
    with Watch(root) as watch:
        for build in range(2):
            shutil.rmtree(root)
            assert watch.tells(".")
            time.sleep(0.3 * build)
            root.mkdir()
            assert watch.tells(".")
            (root / "b").write_text(str(build))
            assert watch.tells("b")


def test_a_folder_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with Watch(tmp_path / "later") as watch:
        (tmp_path / "later").mkdir()
        assert watch.tells(".")


def break_watching(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[Any]:
    """Have the first watches fail so; how each was begun."""
    import watchfiles

    begun: list[Any] = []
    real = watchfiles.watch

    def watch(*paths: str, **options: Any) -> Iterator[Any]:
        begun.append(options["force_polling"])
        if len(begun) <= len(errors):
            raise errors[len(begun) - 1]
        return real(*paths, **options)

    monkeypatch.setattr(watchfiles, "watch", watch)
    return begun


@pytest.mark.parametrize("why", ["OS file watch limit reached.", "Too many open files (os error 24)"])
def test_where_the_system_s_limit_is_reached_the_files_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    needs_module("watchfiles")
    begun = break_watching(monkeypatch, OSError(why))
    with Watch(tmp_path) as watch:
        (tmp_path / "a").touch()
        assert watch.tells("a")
    assert begun == [None, True]
    assert "fs.inotify" in caplog.text
    assert "Traceback" not in caplog.text


def test_where_files_cannot_be_looked_at_either_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    needs_module("watchfiles")
    break_watching(monkeypatch, FileNotFoundError("gone"), OSError("first"), OSError("second"))
    with Watch(tmp_path) as watch:
        assert until(lambda: "not reloaded any more" in caplog.text)
        assert watch.told == []
    assert "first" in caplog.text


# ---- the command


@pytest.mark.programs
def test_the_command_tells_pages_and_stops_with_its_thread(folder: Path, tmp_path_factory: Any) -> None:
    needs_module("watchfiles")
    other = tmp_path_factory.mktemp("other")
    options = ["--reload", "--access-log", str(folder / "access.log"), "--host", f"other.example={other}"]
    with LiveServer(folder, *options) as live:
        with socket.create_connection(("127.0.0.1", live.port), 5) as sock:
            sock.sendall(get(EVENTS))
            stream = sock.makefile("rb")
            lines: Callable[[], bytes] = stream.readline
            assert until(lambda: lines().startswith(b"data: "))
            (folder / "index.html").write_text("new")
            assert until(lambda: lines().endswith(b" 1 0\n"))
            (other / "style.css").touch()
            assert until(lambda: lines().endswith(b" 1 2\n"))
            began = time.monotonic()
            live.process.send_signal(signal.SIGINT)
            assert stream.read().count(b"data:") == 0
            stream.close()
        # Another signal could come when it is on its way out, and hears none any more.
        assert live.process.wait(5) == 0
        assert time.monotonic() - began < 5
    assert "Traceback" not in live.log


def test_the_command_says_what_is_missing(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "httpd.reload.watching", raising=False)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert cli.main([str(folder), "--port", "0", "--reload"]) == 1
    told = "httpd: --reload needs the package watchfiles: pip install watchfiles\n"
    assert capfd.readouterr().err == told


@pytest.mark.programs
def test_the_server_runs_without_the_room(tmp_path: Path, folder: Path) -> None:
    house = tmp_path / "house"
    for name in ("httpd", "static", "templates"):
        shutil.copytree(TOP / name, house / name, ignore=shutil.ignore_patterns("__pycache__", "reload"))
    with LiveServer(folder, cwd=house) as live, urllib.request.urlopen(live.url, timeout=5) as answer:
        assert b"the page" in answer.read()
    command = [sys.executable, "-m", "httpd", str(folder), "--port", "0", "--reload"]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.programs
def test_what_is_not_asked_for_is_not_imported(folder: Path) -> None:
    look = "import sys; from httpd import cli; print([n for n in sys.modules if 'reload' in n or n == 'webbrowser'])"
    done = subprocess.run([sys.executable, "-c", look], cwd=TOP, capture_output=True, text=True, timeout=30)
    assert done.stdout == "[]\n"


@pytest.mark.programs
def test_an_application_s_templates_are_read_again(tmp_path: Path) -> None:
    needs_module("watchfiles")
    (tmp_path / "page.html").write_text("one")
    (tmp_path / "mine.py").write_text(
        "from httpd import Templates\ntemplates = Templates('.')\n"
        "def site(request): return templates.response('page.html')\n"
    )
    with LiveServer(None, "--reload", "--app", "mine:site", cwd=tmp_path, env={"PYTHONPATH": str(TOP)}) as live:
        for text_ in ("one", "two"):
            (tmp_path / "page.html").write_text(text_)
            with urllib.request.urlopen(live.url, timeout=5) as answer:
                assert answer.read().decode() == text_


@pytest.mark.programs
def test_the_browser_is_opened_at_an_address_that_answers(folder: Path, tmp_path: Path) -> None:
    program, seen = tmp_path / "browser", tmp_path / "seen"
    program.write_text(
        f"#!{sys.executable}\nimport sys, time, urllib.request as it\n"
        f"page = it.urlopen(sys.argv[1]).read()\nopen({str(seen)!r}, 'wb').write(page)\ntime.sleep(1)\n"
    )
    program.chmod(0o755)
    with LiveServer(folder, "--open", env={"BROWSER": str(program)}) as live:
        assert until(lambda: seen.exists() and seen.read_bytes() == b"<!doctype html><p>the page")
        # It stays where it is, and the server serves on.
        with urllib.request.urlopen(live.url, timeout=0.5) as answer:
            assert answer.status == 200


@pytest.mark.programs
def test_where_there_is_no_browser_the_address_is_told(folder: Path) -> None:
    env = {"PATH": "", "BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
    with LiveServer(folder, "--open", env=env) as live:
        assert live.wait_for(f"httpd: there is no browser to open here; visit {live.url}\n")


@pytest.mark.parametrize("outcome", [True, False, OSError("exec format error"), webbrowser.Error("no such browser")])
def test_a_browser_that_cannot_be_started_is_none(
    outcome: bool | Exception, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: outcome if isinstance(outcome, bool) else fail(outcome))
    open_browser("http://a/")
    assert until(lambda: "browser" not in {thread.name for thread in threading.enumerate()})
    told = "" if outcome is True else "httpd: there is no browser to open here; visit http://a/\n"
    assert capfd.readouterr().err == told


def test_a_unix_socket_is_nothing_for_a_browser(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--unix", "here.sock", "--open"]) == 1
    assert capfd.readouterr().err == "httpd: a browser opens no unix socket; name an address too, with --bind\n"


def test_templates_are_read_again_only_for_the_command_s_sake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Templates, "reloads", False)
    assert not Templates(tmp_path).reload
    monkeypatch.setattr(Templates, "reloads", True)
    assert Templates(tmp_path).environment.auto_reload
    assert not Templates(tmp_path, reload=False).reload
