"""The lessons: what an unsolved exercise says, what a wrong attempt says, that the solutions solve, and that the traces
are those of today's code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from httpd.net.asynchat import async_chat
from httpd.trace.laws import check
from httpd.trace.lessons import Anchor, Lesson, NotALesson, Paragraph, Verbatim, read_lesson
from httpd.trace.ndjson import read_trace
from httpd.trace.replay import replay

from .lessons.record import LESSONS, recorded, site
from .tools import TOP

from judge import verdict, wires  # isort: skip

SOLUTIONS = TOP / "tests" / "lessons" / "solutions"
NAMES = sorted(path.stem for path in LESSONS.glob("[0-9]*.py"))


def blocks_of(name: str, kind: type[Any]) -> list[Any]:
    return [block for block in read_lesson(LESSONS / f"{name}.py").blocks if isinstance(block, kind)]


def run(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run([sys.executable, path], capture_output=True, text=True, encoding="utf-8", env=env, timeout=60)


def attempted(folder: Path, name: str, *changes: tuple[str, str], of: Path = SOLUTIONS) -> str:
    """The verdict on a solution, or another file, with these changes."""
    code = (of / f"{name}.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in code, old
        code = code.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(code, encoding="utf-8")
    return verdict(str(path))


# ---- the texts


def test_there_are_eight_each_with_a_solution() -> None:
    assert [name[:2] for name in NAMES] == [f"0{n}" for n in range(1, 9)]
    assert sorted(path.stem for path in SOLUTIONS.glob("*.py")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_short_and_has_its_parts(name: str) -> None:
    lesson = read_lesson(LESSONS / f"{name}.py")
    assert lesson.number == int(name[:2])
    assert re.fullmatch(r"[A-Z].*[^.]", lesson.title)
    source = (LESSONS / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 75
    text = source[: source.index('"""\n')]
    assert len(text.splitlines()) <= 40
    assert text.startswith("r") or "\\" not in text, "what Python would read otherwise"
    paragraphs = [block.text for block in lesson.blocks if isinstance(block, Paragraph)]
    assert paragraphs[-1].startswith("Exercise: ")
    assert all(paragraph.endswith((".", ":")) for paragraph in paragraphs)


@pytest.mark.parametrize("name", NAMES)
def test_each_anchor_leads_into_a_trace_of_the_lesson(name: str) -> None:
    anchors = blocks_of(name, Anchor)
    assert len(anchors) >= 2
    assert all(anchor.trace.startswith(name) for anchor in anchors)
    assert (LESSONS / f"{name}.py").read_text(encoding="utf-8").count("▸") == len(anchors)


# What the anchors point at, so that a trace that is recorded anew keeps what the text says of it.
POINTED = {
    "01_bytes": ["channel:received", "channel:received", "http:request_line"],
    "02_terminator": ["chat:scanned"] * 3,
    "03_two_terminators": ["chat:terminator_found", "chat:terminator_set", "chat:collected", "chat:terminator_set"],
    "04_one_loop": ["channel:received", "channel:received", "channel:sent", "channel:sent"],
    "05_producers": ["chat:pushed", "channel:sent", "channel:sent", "chat:refilled"],
    "06_refusing": ["channel:received", "http:refused", "http:state_changed"],
    "07_time": ["channel:received", "channel:received", "channel:timed_out"],
    "08_line_protocol": ["chat:scanned", "chat:collected", "chat:close_when_done"],
}


@pytest.mark.parametrize("name", NAMES)
def test_an_anchor_points_at_what_it_tells_of(name: str) -> None:
    events = [read_trace(LESSONS / anchor.trace).events[anchor.n] for anchor in blocks_of(name, Anchor)]
    assert [event.name for event in events] == POINTED[name]


@pytest.mark.parametrize(
    "text",
    ["", "import os\n", '"""No number\n\ntext\n"""\n', '"""1. A title\n\n▸ somewhere\n"""\n', '"""1. No end\n\ntext'],
)
def test_what_is_no_lesson_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "01_bytes.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NotALesson):
        read_lesson(path)


def test_a_text_is_read_in_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        'r"""3. Tides\n\nWords that\ngo on.\n\n    a\n      b\n\n▸ t.ndjson #7: see\n▸ t.ndjson #9: more\n"""\n1 +\n',
        encoding="utf-8",
    )
    words, verbatim = Paragraph("Words that go on."), Verbatim("a\n  b")
    anchors = Anchor("t.ndjson", 7, "see"), Anchor("t.ndjson", 9, "more")
    assert read_lesson(path) == Lesson(3, "Tides", (words, verbatim, *anchors))


# ---- the traces


def test_the_traces_are_those_of_todays_code() -> None:
    """If this is meant to change: python -m tests.lessons.record, and read the texts again."""
    kept = {path.name: path.read_text(encoding="ascii") for path in LESSONS.glob("*.ndjson")}
    assert kept == recorded()


@pytest.mark.parametrize("path", sorted(LESSONS.glob("*.ndjson")), ids=lambda path: path.stem)
def test_the_traces_obey_the_laws(path: Path) -> None:
    trace = read_trace(path)
    assert check(trace.events) == []
    if not path.stem.startswith("08"):
        assert replay(trace, site)[1] == []


# ---- the exercises


@pytest.mark.programs
@pytest.mark.parametrize("name", NAMES)
def test_unsolved_it_tells_the_task_and_what_is_wrong(name: str) -> None:
    """From anywhere, and without anything being installed."""
    ran = subprocess.run(
        [sys.executable, "-S", LESSONS / f"{name}.py"], capture_output=True, text=True, encoding="utf-8", cwd="/",
        env={"PYTHONIOENCODING": "utf-8"}, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1
    assert not ran.stderr
    told, _, wrong = ran.stdout.partition("\n---- ")
    lesson, words = read_lesson(LESSONS / f"{name}.py"), " ".join(told.split())
    assert told.startswith(f"{lesson.number}. {lesson.title}\n\n")
    assert [block for block in lesson.blocks if " ".join(block.text.split()) not in words] == []
    assert told.count(".ndjson #") == len(blocks_of(name, Anchor))
    assert f"{name}.ndjson\n" in told
    assert wrong.split("\n")[0].endswith(f"{name}.py: not yet; edit it and run it again")
    _, gap, *lines = wrong.strip().split("\n")
    assert not gap
    assert all(len(line) <= 118 for line in lines)
    assert wrong.endswith(".\n")


@pytest.mark.programs
@pytest.mark.parametrize("name", NAMES)
def test_solved_it_says_so(name: str) -> None:
    ran = run(SOLUTIONS / f"{name}.py", PYTHONPATH=f"{LESSONS}{os.pathsep}{TOP}")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith(f"{name}.py: solved\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_asks_the_laws_or_says_why_none_could_be_broken(name: str) -> None:
    source = (LESSONS / "judge" / f"lesson_{name[1]}.py").read_text(encoding="utf-8")
    text = source[: source.index('"""\n', 3)]
    assert ("check(" in source) is not ("law" in text)


@pytest.mark.programs
def test_an_exercise_that_lost_its_text_is_judged_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "01_bytes.py"
    path.write_text((SOLUTIONS / "01_bytes.py").read_text(encoding="utf-8").replace("return lines", "return []"))
    ran = run(path, PYTHONPATH=f"{LESSONS}{os.pathsep}{TOP}")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout.startswith("---- ")


def test_what_stands_in_the_exercise_and_not_in_its_solution() -> None:
    """A solution is the exercise with a few lines changed: its classes and functions are the same."""
    for name in NAMES:
        names = re.compile(r"^ *(?:class|def) (\w+)", re.MULTILINE)
        asked = set(names.findall((LESSONS / f"{name}.py").read_text(encoding="utf-8")))
        assert asked <= set(names.findall((SOLUTIONS / f"{name}.py").read_text(encoding="utf-8")))


WRONG: list[tuple[str, tuple[str, str], str]] = [
    ("01_bytes", ("(self.rest + piece).split", "piece.split"), r"Cut after byte 1, b'G' \| b'ET /tide.*have given \["),
    ("01_bytes", ("return lines", "return []"), r"In one piece: after .* these lines are complete: .* given \[\]"),
    ("01_bytes", ("return lines", "return None"), r"returns None; it is a list of lines"),
    ("01_bytes", ("*lines, self.rest", "lines"), r"In one piece: .* you have given \[.*, b'', b''\]"),
    ("02_terminator", ("    return next", "    return 0 and next"), r"Cut after byte 19, .* hold back 0 bytes, and"),
    ("02_terminator", ("    return next", "    return min(3, len(data))\n    next"),
     r"hold back 1 byte, and that breaks law 2, event \d+: held back: the last 1 byte, which cannot begin"),
    ("02_terminator", ("reversed(range(len(terminator)))", "range(1, 4)"), r"StopIteration.* raised in line \d+"),
    ("02_terminator", ("    return next", "    return len(data)\n    next"), r"law 2"),
    ("02_terminator", ("    return next", "    return None\n    next"), r"is None: it is how many bytes, 0 to 1"),
    ("02_terminator", ("reversed(range(len(terminator)))", "(3, 2, 1, 0)"), r"held_back\(.*\) is \d, but .* is right"),
    ("03_two_terminators", ("if length:", "if True:"), r"is missing; the terminator was set to 0 or None"),
    ("03_two_terminators", ("        self.set_terminator(b\"\\r\\n\\r\\n\")\n\n\n", "\n\n"),
     r"terminator was 9, .* and no other one"),
    ("03_two_terminators", ("self.set_terminator(length)", "pass"), r"content 1 is b'name=buoy'.*terminator is b'"),
    ("03_two_terminators", ("        self.incoming.clear()\n", ""), r"content 1 is b'name=buoy', and you have b'POST"),
    ("03_two_terminators", ("else part)", "else part + b'!')"), r"content 1 is b'name=buoy', and .* b'name=buoy!'"),
    ("04_one_loop", ("            if not channel.closed:\n    ", ""), r"handle_write\(\) .* closed in this very turn"),
    ("04_one_loop", (" if channel.writable()]", "]"), r"there is room, so select\(\) returns at once"),
    ("04_one_loop", ("in can_read:", "in can_read[:1]:"), r"was ready to read, and nobody called handle_read\(\)"),
    ("04_one_loop", ("in can_read:", "in channels:"), r"nothing more has come, so it would wait, and all the others"),
    ("04_one_loop", (" if not channel.closed]:", "]:"), r"You wait for nobody, since every channel is closed"),
    ("04_one_loop", ("    while channels", "    if channels"), r"serve\(\) has returned, and .* is not closed"),
    ("04_one_loop", ("wait(to_read, to_write)", "wait(to_read, [])"), r"has something to send, and you do not wait"),
    ("05_producers", ("        if not self.unsent:\n    ", ""), r"is given and not sent, and producer 1 is asked"),
    ("05_producers", ("self.unsent or self.producers", "self.producers"), r"^solved$"),
    ("05_producers", ("self.send(self.unsent) :]", "self.send(self.unsent[:5]) - 1 :]"), r"was next, and you send b"),
    ("05_producers", ("self.producers.popleft()", "pass"), r"producer 1 is asked again after b"),
    ("05_producers", ("return bool(self.unsent or self.producers)", "return True"), r"before anything was pushed"),
    ("05_producers", ("self.unsent = self.unsent[self.send(self.unsent) :]",
                      "self.unsent = self.unsent[self.send(self.unsent) :]\n            "
                      "self.unsent and self.send(self.unsent)"), r"send\(\) is called twice in one handle_write\(\)"),
    ("06_refusing", ("if not colon:", "if False:"), r"b'high water at nine' is taken|with the rule 'RFC 9110 §5.1'"),
    ("06_refusing", ('"RFC 9112 §5.1"', '"RFC 9112 §5"'), r"refused, but with the rule 'RFC 9112 §5'\."),
    ("06_refusing", ("len(name) + 1 + bad.start()", "bad.start()"), r"but with the start \d"),
    ("06_refusing", ('value.strip(" \\t")', "value"), r"b'Host: harbour' gives \('Host', ' harbour'\); it is good"),
    ("06_refusing", ("\\x0a-\\x1f", "\\x09-\\x1f"), r"is good and means .*; you refuse it: No value has such a byte"),
    ("06_refusing", ('"There is no name."', '""'), r"is refused without a reason"),
    ("06_refusing", ("400", "500"), r"but with the status 500"),
    ("07_time", ("if self.timer is None:", "if True:"), r"is given up in second 50, and no head was too slow"),
    ("07_time", ("self.timer.cancel()", "pass"), r"is given up in second 20, and no head was too slow"),
    ("07_time", ("            self.timer = None\n", ""), r"asks again, and then falls silent: after 120 seconds"),
    ("07_time", ("        self.completed()\n", "        return\n"), r"goes away after half a head: it is given up"),
    ("08_line_protocol", ("            self.close_when_done()\n", ""), r"after b'PUT 4.*' the connection stays open"),
    ("08_line_protocol", ('elif verb == b"PUT" and number == 0:', "elif False:"), r"b'PUT 0\\r\\n' is answered with"),
    ("08_line_protocol", ('elif verb == b"PUT" and number > MOST_NOTE:', "elif False:"), r"PUT 1001"),
    ("08_line_protocol", (" > MOST_LINE", " > MOST_LINE + 1"), r"b'GET 2\\r\\n' comes behind the close"),
    ("08_line_protocol", (" > MOST_LINE", " > 100_000"), r"b'GET 2\\r\\n' comes behind the close"),
    ("08_line_protocol", ("0 < number <=", "number <="), r"IndexError|is answered"),
    ("08_line_protocol", ('self.push(b"BYE\\r\\n")', 'self.push("BYE\\r\\n")'), r"TypeError: .* raised in line \d+"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "says"), WRONG)
def test_a_wrong_attempt_is_told_what_is_wrong(tmp_path: Path, name: str, change: tuple[str, str], says: str) -> None:
    told = attempted(tmp_path, name, change) or "solved"
    assert re.search(says, told), told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("class Lines:", "class Line:"), "AttributeError: module 'exercise' has no attribute 'Lines'."),
        (
            ("take(self, piece: bytes)", "take(self)"),
            "TypeError: Lines.take() takes 1 positional argument but 2 were given.",
        ),
        (("return lines", "return line"), "NameError: name 'line' is not defined, raised in line 14: return line"),
    ],
)
def test_what_is_raised_is_told_in_a_line(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    told = attempted(tmp_path, "01_bytes", change)
    assert re.sub(r"in line \d+", "in line 14", told).startswith(says)


def test_what_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judge.PATIENCE", 1)
    told = attempted(tmp_path, "02_terminator", ("    return next", "    while True: pass\n    return next"))
    assert re.fullmatch(r"It does not come to an end; after 1 seconds? it was in line \d+: while True: pass", told)


def test_a_channel_whose_trace_breaks_a_law_is_told_so() -> None:
    """Nothing that a learner does to a whole async_chat breaks one; a channel of another make does."""

    class Loses(async_chat):
        def __init__(self, sock: object, map: dict[int, object] | None = None) -> None:
            super().__init__(sock, map)
            self.set_terminator(b"\r\n")

        def ac_scan(self, data: bytes, start: int, terminator: bytes) -> tuple[int, int]:
            return -1, 3

        def collect_incoming_data(self, data: bytes) -> None:
            pass

    with pytest.raises(wires.Wrong, match=r"The trace breaks law 2, event \d+: the terminator stands at 4"):
        wires.talk(Loses, [b"tide\r\n"]).check()
