"""`httpd --trace`, `httpd show`, `httpd replay`: for a person at a terminal, for a pipe, for a program."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import resource
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import Request, Response, text
from httpd.net.timers import Timers
from httpd.trace import again, share, show
from httpd.trace.events import KINDS, Closed, Event, Noted, Received, Trace, Truncated
from httpd.trace.laws import check
from httpd.trace.ndjson import event_line, head_line, read_trace
from httpd.trace.ring import Ring
from httpd.trace.sentences import counted, sentence
from httpd.trace.terminal import LIVE, Screen, widths_for

from .conversations import conversation, ended, head
from .exchange import get, post
from .live import LiveServer
from .tools import TOP, python_path

WIRE = get("/a", "Cookie: secret") + post(b"hello") + b"GET  /\r\n\r\n"


def site(request: Request) -> Response:
    return text(request.body.decode() + "\x1b[31m \u202e")


@pytest.fixture
def trace() -> Trace:
    return conversation(ended(WIRE[:20], WIRE[20:85], WIRE[85:]), site, head(title="a title")).trace


@pytest.fixture
def file(tmp_path: Path, trace: Trace) -> str:
    path = tmp_path / "trace.ndjson"
    path.write_text(head_line(trace.head) + "".join(map(event_line, trace.events)))
    return str(path)


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command, its output a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "httpd", *arguments],
        capture_output=True, encoding="utf-8", timeout=60, cwd=TOP,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONIOENCODING": "utf-8", "COLUMNS": "", **env},
    )  # fmt: skip


def on_terminal(*arguments: str, **env: str) -> str:
    """What the command shows on a terminal."""
    ours, theirs = pty.openpty()
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, ours)
        process = subprocess.Popen(
            [sys.executable, "-m", "httpd", *arguments],
            stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, cwd=TOP,
            env={**os.environ, "PYTHONPATH": python_path(), "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **env},
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65_536):
                shown += data
        process.wait(30)
    return shown.decode().replace("\r\n", "\n")


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


# ---- show


@pytest.mark.programs
def test_a_line_an_event_and_a_verdict(file: str, trace: Trace) -> None:
    done = run("show", file)
    assert (done.returncode, done.stderr) == (0, "")
    title, heading, *lines, verdict = done.stdout.splitlines()
    assert title == "a title: connection 1, 192.0.2.1:4711 to 192.0.2.2:80, 1994-11-06T08:49:37.500Z"
    assert heading.split() == ["n", "ms", "turn", "event", "what", "happened"]
    assert len(lines) == len(trace.events)
    for line, event in zip(lines, trace.events, strict=True):
        assert re.match(rf" *{event.n} +[\d.]+ +\d+ [› ] {event.name} ", line)
        assert line.index(event.name) == heading.index("event")
    assert verdict == f"{len(trace.events)} events; every law holds."
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("columns", ["100", "110", "200"])
def test_the_columns_hold_large_numbers(columns: str) -> None:
    events = [Event(n, n * 100.0, n * 10, Noted("a remark")) for n in (0, 9, 12_345)]
    stream = io.StringIO()
    screen = Screen(stream, {"COLUMNS": columns}, widths_for(events))
    screen.heading("a title")
    for event in events:
        screen.event(event)
    _, heading, *lines = stream.getvalue().splitlines()
    assert {line.index("trace:noted") for line in lines} == {heading.index("event")}
    assert {line.lower().index("a remark") for line in lines} == {heading.index("what happened")}


@pytest.mark.parametrize("columns", ["60", "200"])
def test_the_columns_hold_what_comes_live(columns: str) -> None:
    stream = io.StringIO()
    screen = Screen(stream, {"COLUMNS": columns}, LIVE)
    screen.columns()
    screen.event(Event(0, 0.0, 1, Noted("a remark")), 1)
    screen.event(Event(123_456, 86_400_000.0, 12_345_678, Noted("a remark")), 54_321)
    heading, *lines = stream.getvalue().splitlines()
    assert heading.split()[:2] == ["#", "n"]
    assert {line.index("noted") for line in lines} == {heading.index("event") + ("trace:" in lines[0]) * 6}


@pytest.mark.programs
@pytest.mark.parametrize("width", [40, 60, 80, 110, 300])
def test_no_line_is_wider_than_the_terminal(file: str, width: int) -> None:
    shown = on_terminal("show", file, COLUMNS=str(width))
    assert "\x1b[32m" in shown
    lines = uncoloured(shown).splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.endswith("…") for line in lines) is (width < 300)


@pytest.mark.programs
def test_colour_is_for_who_wants_it(file: str) -> None:
    assert "\x1b[" in on_terminal("show", file)
    assert "\x1b[" not in on_terminal("show", file, NO_COLOR="1")
    assert "\x1b[" not in on_terminal("show", file, TERM="dumb")


def test_nothing_of_the_network_reaches_the_terminal_raw() -> None:
    stream = io.StringIO()
    screen = Screen(stream, {"COLUMNS": "200"})
    screen.event(Event(0, 0.0, 0, Noted("a\x1b[2Jb\x07\u202e\udcff")))
    screen.event(Event(1, 0.0, 0, Received(0, 4, "\x1b[2J", 9)))
    assert stream.getvalue().replace("\n", "").isprintable()
    assert "\\x1b[2J" in stream.getvalue()


@pytest.mark.programs
def test_a_terminal_without_our_letters(file: str) -> None:
    done = run("show", file, PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert 'From "read header" to "handle"' in done.stdout


def test_wide_letters_take_two_columns() -> None:
    stream = io.StringIO()
    Screen(stream, {"COLUMNS": "60"}).event(Event(0, 0.0, 0, Noted("見" * 60)))
    assert stream.getvalue().count("見") <= 17


@pytest.mark.programs
def test_as_objects_for_a_program(file: str, trace: Trace) -> None:
    done = run("show", file, "--json")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["name"] for one in objects] == [event.name for event in trace.events]
    assert objects[0]["text"] == sentence(trace.events[0].what)
    routed = next(one for one in objects if one["name"] == "http:responded")
    assert routed["data"]["fields"][0] == ["Date", "Sun, 06 Nov 1994 08:49:37 GMT"]


@pytest.mark.programs
def test_the_schema_on_demand() -> None:
    done = run("show", "--schema")
    assert {one["title"] for one in json.loads(done.stdout)["oneOf"]} == {"head", *KINDS}


@pytest.mark.programs
def test_a_reader_that_has_enough(tmp_path: Path, file: str) -> None:
    command = f'"{sys.executable}" -m httpd show "{file}" --json | head -n 1'
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": python_path()},
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.programs
def test_a_broken_law_is_told(tmp_path: Path, trace: Trace) -> None:
    path = tmp_path / "broken"
    events = [event for event in trace.events if event.name != "chat:collected"]
    events = [event._replace(n=n) for n, event in enumerate(events)]
    path.write_text(head_line(trace.head) + "".join(map(event_line, events)))
    done = run("show", str(path))
    assert done.returncode == 1
    assert "broken: law 1, event" in done.stdout
    assert run("show", str(path), "--json").returncode == 1


@pytest.mark.programs
@pytest.mark.parametrize("command", ["show", "replay"])
def test_what_cannot_be_read_is_told_in_a_sentence(command: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello\n")
    for name, says in [
        ("none", "cannot read"),
        ("", "is a folder; name one of the traces in it"),
        ("other", "is not a trace that can be read: line 1: not JSON"),
    ]:
        done = run(command, str(tmp_path / name))
        assert done.returncode == 2
        assert done.stderr.startswith(f"httpd {command}: ")
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
    assert "name a trace" in run("show").stderr


# ---- replay


@pytest.mark.programs
def test_played_again_as_it_was(file: str, trace: Trace) -> None:
    done = run("replay", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"{len(trace.events)} events; every law holds."


@pytest.mark.programs
@pytest.mark.parametrize("how", [["--one-byte"], ["--cut", "1", "19", "100"]])
def test_played_again_and_cut(file: str, how: list[str]) -> None:
    done = run("replay", file, *how)
    assert (done.returncode, done.stderr) == (0, "")
    pieces = len(WIRE) if how == ["--one-byte"] else 4
    assert done.stdout.count("channel:received") >= pieces - 10
    assert done.stdout.endswith("every law holds.\n")


@pytest.mark.programs
def test_every_cut_at_a_glance(file: str) -> None:
    done = run("replay", file, "--every-cut")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("■") == len(WIRE) - 1
    cuts = f"{len(WIRE)} bytes cut at each of {len(WIRE) - 1} places"
    assert done.stdout.splitlines()[-1] == f"{cuts}: the same messages, the same answers."
    told = [json.loads(line) for line in run("replay", file, "--every-cut", "--json").stdout.splitlines()]
    assert told == [{"cut": place, "broken": []} for place in range(1, len(WIRE))]


@pytest.mark.programs
def test_progress_is_shown_on_a_terminal(file: str) -> None:
    shown = on_terminal("replay", file, "--every-cut", COLUMNS="80")
    # A fast machine has come to the end before the bar has grown.
    assert set("░█") & set(shown)
    assert f"of {len(WIRE) - 1}" in shown
    assert max(len(line) for line in uncoloured(shown.rpartition("\x1b[K")[2]).splitlines()) <= 80


@pytest.mark.programs
def test_as_objects_with_a_verdict(file: str, trace: Trace) -> None:
    *events, verdict = (json.loads(line) for line in run("replay", file, "--json").stdout.splitlines())
    assert verdict == {"broken": []}
    assert [event["name"] for event in events] == [event.name for event in trace.events]


def test_a_cut_that_makes_a_difference(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A handler that judges half a line: then the answers depend on the cut."""
    from httpd.server.handler import http_request_handler
    from httpd.trace import replay

    class Hasty(http_request_handler):
        def collect_incoming_data(self, data: bytes) -> None:
            super().collect_incoming_data(data)
            if data == b"GET /a H":
                self.push(b"hello")

    monkeypatch.setattr(replay, "http_request_handler", Hasty)
    monkeypatch.setattr(replay.play, "__kwdefaults__", {**replay.play.__kwdefaults__, "handler_class": Hasty})
    assert again.main([file, "--every-cut"]) == 1
    out = capsys.readouterr().out
    assert out.count("✗") == 1
    assert "1 cut made a difference." in out
    assert "before byte 8: law 6" in out
    assert again.main([file, "--cut", "8"]) == 1
    assert "broken: law 6" in capsys.readouterr().out


def test_a_folder_may_answer(tmp_path: Path) -> None:
    from httpd import StaticFiles

    (tmp_path / "a.txt").write_text("first")
    played = conversation(ended(get("/a.txt")), StaticFiles(tmp_path))
    path = tmp_path / "trace"
    path.write_text(head_line(played.trace.head) + "".join(map(event_line, played.events)))
    assert again.main([str(path), "--dir", str(tmp_path)]) == 0
    (tmp_path / "a.txt").write_text("second")
    assert again.main([str(path), "--dir", str(tmp_path)]) == 1
    assert again.main([str(path)]) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--cut", "0"], "'0' is no place to cut"),
        (["--cut", "x"], "'x' is no place to cut"),
        (["--cut", "9999"], "bytes came; cut before one of them"),
        (["--cut", "1", "--one-byte"], "not allowed with"),
        (["--dir", "/nowhere"], "cannot serve /nowhere"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(
    file: str, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(SystemExit):
        assert again.main([file, *options]) == 2
    assert says in capsys.readouterr().err


def test_a_trace_that_cannot_be_played(tmp_path: Path, trace: Trace, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a"
    endless = [
        event._replace(what=event.what._replace(size=1 << 53)) if event.name == "http:responded" else event
        for event in trace.events[:30]
    ]
    for of, events, says in [
        (trace.head, trace.events[1:], "does not begin with a connection"),
        (trace.head._replace(server="a\r\nb"), trace.events, "no server could have been like this"),
        (trace.head._replace(headers=(("a b", "c"),)), trace.events, "no server could have been like this"),
        (trace.head, endless, "answers of 9,007,199,254,740,"),
    ]:
        path.write_text(head_line(of) + "".join(map(event_line, events)))
        assert again.main([str(path)]) == 2
        assert says in capsys.readouterr().err


# ---- sentences


def test_every_event_has_its_sentence(trace: Trace) -> None:
    for event in trace.events:
        said = sentence(event.what)
        assert said[0].isupper() or said.startswith(("recv", "bytes#", "site"))
        assert said.endswith(".")
        assert not re.search(r"\b1 (bytes|routes|items|events|others)\b", said)


@pytest.mark.parametrize(("number", "said"), [(0, "0 bytes"), (1, "1 byte"), (16_384, "16,384 bytes")])
def test_numbers_of_things(number: int, said: str) -> None:
    assert counted(number) == said


# ---- live


def fetch(url: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        answer.read()


@pytest.mark.programs
def test_live_on_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with LiveServer(tmp_path, "--trace", "--access-log", "off", env={"COLUMNS": ""}) as live:
        fetch(live.url + "a.txt")
        fetch(live.url + "a.txt")
        assert live.wait_for("#2")
        assert live.wait_for("channel:closed")
        assert live.stop() == 0
    heading, *_ = [line for line in live.log.splitlines() if line.startswith("# ")]
    assert heading.split() == ["#", "n", "ms", "turn", "event", "what", "happened"]
    lines = [line for line in live.log.splitlines() if line.startswith("#1 ")]
    assert {line.index(":") for line in lines} >= {heading.index("event") + len("chat")}
    assert "http:request_line" in "\n".join(lines)
    assert [int(line.split()[1]) for line in lines] == list(range(len(lines)))


@pytest.mark.programs
def test_into_a_folder(tmp_path: Path) -> None:
    public, folder = tmp_path / "public", tmp_path / "traces"
    public.mkdir()
    (public / "a.txt").write_text("hello")
    with LiveServer(public, f"--trace={folder}") as live:
        fetch(live.url + "a.txt")
        assert live.stop() == 0
    [path] = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    recorded = read_trace(path)
    assert check(recorded.events) == []
    assert again.main([str(path), "--every-cut"]) == 0
    assert show.main([str(path)]) == 0


@pytest.mark.programs
@pytest.mark.parametrize(
    ("folder", "says"),
    [("public/traces", "which is served: anyone could read it"), ("file/traces", "cannot keep traces in file/traces")],
)
def test_a_folder_that_will_not_do(tmp_path: Path, folder: str, says: str) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "httpd", "public", "--port", "0", f"--trace={folder}"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, env={**os.environ, "PYTHONPATH": python_path()},
    )  # fmt: skip
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


# ---- the ring


class Turns:
    """Timers whose turn ends when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = Timers(lambda: self.now)

    def end(self) -> None:
        self.now += 1
        self.timers.tick()
        self.timers.run_due()


@pytest.fixture
def turns() -> Turns:
    return Turns()


def fill(ring: Ring, number: int, events: list[Event], *, close: bool = True) -> None:
    take = ring(head()._replace(connection=number))
    for event in events:
        if close or type(event.what) is not Closed:
            take(event)


def test_the_oldest_files_go(tmp_path: Path, turns: Turns, trace: Trace) -> None:
    kept = Ring(tmp_path, turns.timers, files=3, wall_clock=lambda: 0.0)
    for number in range(1, 6):
        fill(kept, number, trace.events)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split("-")[2] for name in names] == ["000003.ndjson", "000004.ndjson", "000005.ndjson"]
    later = Ring(tmp_path, turns.timers, files=2, wall_clock=lambda: 86_400.0)
    fill(later, 1, trace.events)
    assert len(list(tmp_path.iterdir())) == 2
    small = Ring(tmp_path, turns.timers, size=10, wall_clock=lambda: 2 * 86_400.0)
    fill(small, 1, trace.events)
    assert len(list(tmp_path.iterdir())) == 1


def test_only_its_own_files_are_removed(tmp_path: Path, turns: Turns, trace: Trace) -> None:
    (tmp_path / "mine.ndjson").write_text("")
    (tmp_path / "00000000T000000-1-000001.ndjson.keep").write_text("")
    fill(Ring(tmp_path, turns.timers, files=0, size=0), 1, trace.events)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000000T000000-1-000001.ndjson.keep", "mine.ndjson"]


def test_what_was_recorded_is_written_soon(tmp_path: Path, turns: Turns, trace: Trace) -> None:
    kept = Ring(tmp_path, turns.timers)
    fill(kept, 1, trace.events, close=False)
    assert list(tmp_path.iterdir()) == []
    turns.end()
    [path] = tmp_path.iterdir()
    assert len(read_trace(path).events) == len(trace.events) - 1


@pytest.mark.parametrize("bound", ["MOST_EVENTS", "MOST_BYTES"])
def test_a_connection_that_does_too_much_is_cut_short(
    tmp_path: Path, turns: Turns, trace: Trace, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, bound, 10 if bound == "MOST_EVENTS" else 1_000)
    take = Ring(tmp_path, turns.timers)(head())
    for event in trace.events:
        take(event)
        turns.end()
    [path] = tmp_path.iterdir()
    *some, truncated, closed = read_trace(path).events
    assert type(truncated.what) is Truncated
    assert type(closed.what) is Closed
    assert truncated.what.dropped == len(trace.events) - 1 - len(some)
    assert truncated.n == len(some)
    assert check([*some, truncated, closed]) == []
    assert show.main([str(path)]) == 0


def test_a_disk_that_takes_nothing_is_told_once(
    tmp_path: Path, turns: Turns, trace: Trace, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Ring(tmp_path / "a", turns.timers)
    (tmp_path / "a").rmdir()
    fill(kept, 1, trace.events)
    fill(kept, 2, trace.events)
    assert len(caplog.records) == 1
    (tmp_path / "a").mkdir()
    fill(kept, 3, trace.events)
    [path] = (tmp_path / "a").iterdir()
    assert read_trace(path).head.connection == 3


def test_a_connection_that_goes_on_when_its_file_has_gone_is_not_kept(
    tmp_path: Path, turns: Turns, trace: Trace, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Ring(tmp_path, turns.timers, files=2)
    take = kept(head())
    take(trace.events[0])
    turns.end()
    assert len(list(tmp_path.iterdir())) == 1
    fill(kept, 2, trace.events)
    fill(kept, 3, trace.events)
    for event in trace.events[1:]:
        take(event)
        turns.end()
    assert sorted(read_trace(path).head.connection for path in tmp_path.iterdir()) == [2, 3]
    assert not caplog.records


def test_a_disk_that_fills_leaves_whole_lines(
    tmp_path: Path, turns: Turns, trace: Trace, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Ring(tmp_path, turns.timers)
    take = kept(head())
    for event in trace.events[:5]:
        take(event)
    turns.end()
    [path] = tmp_path.iterdir()
    written = path.stat().st_size
    with files_at_most(written + 50):
        for event in trace.events[5:9]:
            take(event)
        turns.end()
        fill(kept, 2, trace.events)
    for event in trace.events[9:]:
        take(event)
    assert [read_trace(path).head.connection for path in tmp_path.iterdir()] == [1]
    assert path.stat().st_size == written
    assert len(caplog.records) == 1


@contextlib.contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes; a write takes what there is room for, and the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_terminal_that_is_gone_harms_nobody(turns: Turns, trace: Trace) -> None:
    from httpd.trace.live import _Shown

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    shown: Any = _Shown(Screen(Gone()), turns.timers)
    take = shown(trace.head)
    for event in trace.events:
        take(event)
    turns.end()
