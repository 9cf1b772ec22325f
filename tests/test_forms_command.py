"""`httpd forms`: what came in, listed, shown, exported, deleted, beside a server that writes."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd.cli import main
from httpd.inbox import deliveries
from httpd.inbox.exporting import Export
from httpd.inbox.opening import open_inbox
from httpd.inbox.showing import fitted
from httpd.inbox.submissions import Wanted, each, keep, new_submission
from httpd.inbox.targets import Target
from httpd.protocol.files import File
from httpd.store.database import Database

from .tools import TOP, python_path

HOUR = 3_600_000_000
HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202eevil"

Run = Any


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The inbox in the current folder, under the name that it has where nobody names it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HTTPD_INBOX", raising=False)
    made = open_inbox("sqlite:.inbox.db")
    yield made
    made.close()


@pytest.fixture
def forms(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: (status, standard output, standard error)."""

    def run(*argv: str) -> tuple[int, str, str]:
        try:
            status = main(["forms", *argv])
        except SystemExit as left:
            status = int(left.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def put(database: Database, *fields: tuple[str, str], form: str = "/contact", age: int = 0, **more: Any) -> str:
    """Store a submission that came in some microseconds ago; its id."""
    received = time.time_ns() // 1_000 - age
    submission = new_submission(form, received, "192.0.2.1", "", fields or [("message", "hello")])
    files = []
    for name, content in more.get("files", ()):
        file = File("cv", name, "application/pdf")
        file.write(content)
        files.append(("cv", file))

    def work(transaction: Any) -> None:
        keep(transaction, submission, files)
        deliveries.enqueue(transaction, submission.id, more.get("targets", ()), received)

    database.write(work)
    return submission.id


def ids(database: Database) -> list[str]:
    return [submission.id for submission in database.read(lambda t: list(each(t, Wanted())))]


# ---- list


def test_the_newest_first_a_line_each(database: Database, forms: Run) -> None:
    old = put(database, ("name", "Ada"), ("message", "one\ntwo"), age=HOUR)
    new = put(database, form="/order", files=[("a.pdf", b"x"), ("b.pdf", b"y")])
    status, out, err = forms("list")
    first, second = out.splitlines()
    assert status == 0
    assert first.startswith(f"{new} * ")
    assert first.endswith("  /order  [2 files] | hello")
    assert second.endswith("  /contact  Ada | one two")
    assert old in second
    assert "/contact: 1, 1 unread" in err


def test_what_is_wanted(database: Database, forms: Run) -> None:
    week = put(database, ("message", "Straße 100%"), age=24 * 7 * HOUR)
    day = put(database, form="/order", age=25 * HOUR)
    now = put(database, age=HOUR)
    assert forms("mark", now)[0] == 0

    def found(*options: str) -> list[str]:
        status, out, _ = forms("list", *options)
        assert status == 0
        return [line.split()[0] for line in out.splitlines()]

    assert found() == [now, day, week]
    assert found("--form", "/order") == [day]
    assert found("--since", "2d") == [now, day]
    assert found("--until", "2d") == [week]
    assert found("--unread") == [day, week]
    assert found("--text", "0%") == [week]
    assert found("--text", "no such") == []
    assert found("--limit", "2") == [now, day]
    assert found("--since", "2001-01-01", "--until", "2001-12-31") == []
    assert found("--until", "2999-12-31") == [now, day, week]
    assert forms("mark", "--unread", now) == (0, "", "")
    assert found("--unread") == [now, day, week]


def test_fewer_than_there_are_is_said(database: Database, forms: Run) -> None:
    put(database)
    put(database)
    assert "the newest 1 of 2; --limit 2 lists them all" in forms("list", "--limit", "1")[2]


def test_an_empty_inbox(database: Database, forms: Run) -> None:
    assert forms("list") == (0, "", "nothing is there\n")
    assert forms("deliveries") == (0, "", "nothing waits, and nothing was given up\n")
    status, out, _ = forms("export")
    assert (status, len(out.splitlines())) == (0, 1)


@pytest.mark.parametrize("action", ["list", "show", "export", "deliveries"])
def test_nothing_that_came_in_drives_a_terminal(database: Database, forms: Run, action: str) -> None:
    identity = put(
        database,
        (HOSTILE, HOSTILE),
        form="/" + HOSTILE,
        files=[(HOSTILE, b"")],
        targets=[Target("mail", HOSTILE)],
    )
    status, out, err = forms(action, *([identity] if action == "show" else []))
    assert status == 0
    assert "owned" in out
    for control in "\x1b\x07":
        assert control not in out + err


@pytest.mark.parametrize(
    ("line", "width", "seen"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("漢字漢字", 8, "漢字漢字"),
        ("漢字漢字", 7, "漢字漢…"),
        ("a漢字", 4, "a漢…"),
        ("x", 0, ""),
        ("any length", None, "any length"),
    ],
)
def test_a_line_fits(line: str, width: int | None, seen: str) -> None:
    assert fitted(line, width) == seen


@pytest.mark.programs
def test_on_a_terminal_a_submission_is_a_line(database: Database, tmp_path: Path) -> None:
    put(database, ("message", "a long letter " * 20))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    subprocess.run(
        [sys.executable, "-m", "httpd", "forms", "list"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": python_path()}, stdout=theirs, stderr=subprocess.PIPE,
        timeout=60, check=True,
    )  # fmt: skip
    os.close(theirs)
    line = os.read(ours, 1_000).decode().rstrip()
    os.close(ours)
    assert len(line) == 60
    assert line.endswith("…")


# ---- show


def test_all_of_one(database: Database, forms: Run) -> None:
    identity = put(
        database,
        ("name", "Ada"),
        ("message", "one\ntwo"),
        files=[("cv.pdf", b"x" * 2_000)],
        targets=[Target("webhook", "https://hooks.example/secret")],
    )
    status, out, err = forms("show", identity)
    assert (status, err) == (0, "")
    assert out.startswith(f"id        {identity}\nform      /contact\nreceived  ")
    assert (
        "\n\nname:\n    Ada\n\nmessage:\n    one\n    two\n\ncv: file 0\n    cv.pdf, application/pdf, 2.00 kB\n" in out
    )
    assert "pending" in out
    assert out.endswith("  webhook https://hooks.example\n")


def test_its_files_are_saved_under_names_of_ours(database: Database, forms: Run, tmp_path: Path) -> None:
    names = ["CV.PDF", "../../x.sh;rm", "a.tar.gz", "no", ".\u202egpj", "x." + "y" * 40]
    identity = put(database, files=[(name, name.encode()) for name in names])
    status, _, err = forms("show", identity, "--files", "saved/here")
    assert status == 0
    suffixes = [".pdf", "", ".gz", "", "", ""]
    expected = [f"{identity}-{number}{suffix}" for number, suffix in enumerate(suffixes)]
    assert sorted(path.name for path in (tmp_path / "saved/here").iterdir()) == sorted(expected)
    assert [(tmp_path / "saved/here" / name).read_bytes().decode() for name in expected] == names
    assert (tmp_path / "saved/here" / expected[0]).stat().st_mode & 0o777 == 0o600
    assert err.count("saved ") == 6
    status, _, err = forms("show", identity, "--files", "saved/here")
    assert status == 1
    assert "is there already; name another folder" in err


def test_a_link_in_its_place_is_not_followed(database: Database, forms: Run, tmp_path: Path) -> None:
    identity = put(database, files=[("x", b"new")])
    (tmp_path / "saved").mkdir()
    (tmp_path / "victim").write_text("old")
    (tmp_path / "saved" / f"{identity}-0").symlink_to(tmp_path / "victim")
    assert forms("show", identity, "--files", "saved")[0] == 1
    assert (tmp_path / "victim").read_text() == "old"


def test_settings_that_wait_for_the_servers_command_line_are_none_of_its_business(
    forms: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_inbox("sqlite:site.db").close()
    (tmp_path / "httpd.toml").write_text('inbox = "sqlite:site.db"\nhsts = 100\n[mail]\nto = "me@example.org"\n')
    assert forms("list") == (0, "", "nothing is there\n")
    (tmp_path / "httpd.toml").write_text('inbox = "mysql:site"\n')
    assert forms("list") == (
        2, "", "httpd forms: httpd.toml:1:1: inbox: 'mysql' is no store: that is sqlite:PATH or "
        "postgresql://USER@HOST/NAME\n",
    )  # fmt: skip


# ---- export


def test_a_table_and_json_lines(database: Database, forms: Run, tmp_path: Path) -> None:
    put(database, ("name", "=1+1"), ("colour", "red"), ("colour", "blue"), age=HOUR)
    put(database, ("name", "Ärmel"), form="/order")
    status, out, err = forms("export")
    assert (status, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out.removeprefix("\ufeff"), newline="")))
    assert [(row["form"], row["name"], row["colour 2"]) for row in rows] == [
        ("/contact", "'=1+1", "blue"),
        ("/order", "Ärmel", ""),
    ]
    assert forms("export", "--output", "all.jsonl", "--form", "/contact") == (0, "", "")
    [line] = (tmp_path / "all.jsonl").read_text().splitlines()
    assert json.loads(line)["fields"] == [["name", "=1+1"], ["colour", "red"], ["colour", "blue"]]
    assert (tmp_path / "all.jsonl").stat().st_mode & 0o777 == 0o600
    assert forms("export", "--output", "all.txt", "--format", "jsonl")[0] == 0
    assert len((tmp_path / "all.txt").read_text().splitlines()) == 2
    assert not list(tmp_path.glob("*.part"))


def test_an_export_takes_nobodys_place(database: Database, forms: Run, tmp_path: Path) -> None:
    put(database)
    (tmp_path / "all.csv.part").write_text("mine")
    (tmp_path / "link.csv").symlink_to("all.csv")
    assert forms("export", "--output", "link.csv") == (0, "", "")
    assert (tmp_path / "all.csv.part").read_text() == "mine"
    assert (tmp_path / "link.csv").is_symlink()
    assert "hello" in (tmp_path / "all.csv").read_text()


def test_an_export_into_a_pipe_goes_through_it(database: Database, forms: Run, tmp_path: Path) -> None:
    put(database)
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert forms("export", "--output", "pipe") == (0, "", "")
        assert b"hello" in os.read(reading, 65_536)
    finally:
        os.close(reading)


def test_an_export_that_fails_leaves_what_was_there(
    database: Database, forms: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database)
    (tmp_path / "all.csv").write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    status, _, err = forms("export", "--output", "all.csv")
    assert (status, err) == (1, "httpd forms: No space left on device\n")
    assert (tmp_path / "all.csv").read_text() == "before"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.programs
def test_many_are_never_all_in_memory(database: Database, tmp_path: Path) -> None:
    """Ten times as many submissions, and no more memory."""

    def peak(form: str) -> int:
        code = (
            "import resource, sys; from httpd.cli import main; "
            f"main(['forms', 'export', '--form', '{form}', '--output', 'out.csv']); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": python_path()},
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return int(ran.stdout)

    for form, count in (("/few", 300), ("/many", 3_000)):
        made = [new_submission(form, number, "", "", [("text", "x" * 5_000)]) for number in range(count)]
        database.write(lambda transaction, made=made: [keep(transaction, each) for each in made])
    assert peak("/many") < peak("/few") + 6_000


@pytest.mark.programs
def test_progress_is_for_a_terminal(database: Database, tmp_path: Path) -> None:
    put(database)
    ours, theirs = pty.openpty()
    ran = subprocess.run(
        [sys.executable, "-m", "httpd", "forms", "export"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": python_path()}, stdout=subprocess.PIPE, stderr=theirs,
        timeout=60, check=True,
    )  # fmt: skip
    os.close(theirs)
    assert b"1 exported" in os.read(ours, 1_000)
    os.close(ours)
    assert ran.stdout.count(b"\r\n") == 2
    assert b"exported" not in ran.stdout


@pytest.mark.parametrize(("kind", "shares"), [("csv", [0.2, 0.4, 0.6, 0.8, 1.0]), ("jsonl", [0.4, 0.8])])
def test_it_says_how_much_is_done(database: Database, kind: str, shares: list[float]) -> None:
    """A table is gone through twice."""
    made = [new_submission("/contact", number, "", "", [("a", "b")]) for number in range(250)]
    database.write(lambda transaction: [keep(transaction, one) for one in made])
    told: list[float] = []
    lines = database.read(lambda transaction: list(Export(transaction, Wanted(), kind, told.append).lines()))
    assert told == shares
    assert len(lines) == 250 + (kind == "csv")


@pytest.mark.programs
def test_a_reader_who_has_enough_is_no_fault(database: Database, tmp_path: Path) -> None:
    for _ in range(3):
        put(database, ("text", "x" * 100_000))
    command = f"{sys.executable} -m httpd forms export | head -c 10"
    env = {**os.environ, "PYTHONPATH": python_path()}
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=tmp_path, env=env, capture_output=True, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


# ---- delete


def test_by_id_and_by_age(database: Database, forms: Run) -> None:
    old = put(database, age=100 * 24 * HOUR, files=[("a", b"x")], targets=[Target("mail", "me@example.org")])
    other = put(database, form="/order", age=100 * 24 * HOUR)
    new = put(database)
    assert forms("delete", "--older-than", "90d", "--form", "/contact", "--yes") == (0, "", "deleted 1\n")
    assert ids(database) == [other, new]
    assert database.read(lambda t: t.execute("SELECT COUNT(*) FROM file_pieces")) == [(0,)]
    assert database.read(lambda t: list(deliveries.deliveries(t, old))) == []
    assert forms("delete", new, new, "--yes") == (0, "", "deleted 1\n")
    assert forms("delete", "--older-than", "1w", "--yes") == (0, "", "deleted 1\n")
    assert forms("delete", "--older-than", "1w") == (0, "", "deleted 0\n")


def test_nobody_is_asked_where_nobody_is(database: Database, forms: Run) -> None:
    identity = put(database)
    status, _, err = forms("delete", identity)
    assert (status, err) == (2, "httpd forms: nobody can be asked here; --yes deletes without asking\n")
    assert ids(database) == [identity]


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_a_person_is_asked(
    database: Database, forms: Run, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    identity = put(database)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    status, _, err = forms("delete", identity)
    assert "Delete 1 submission for good? [y/N]" in err
    assert (status, len(ids(database))) == (left, left)


def test_one_that_is_not_there_deletes_nothing(database: Database, forms: Run) -> None:
    identity = put(database)
    status, _, err = forms("delete", identity, "nobody", "--yes")
    assert (status, err) == (1, "httpd forms: there is no submission nobody; httpd forms list names them\n")
    assert ids(database) == [identity]


def test_beside_a_server_that_writes(database: Database, forms: Run) -> None:
    """Another process, as far as SQLite knows: it writes all the while."""
    for _ in range(30):
        put(database, age=HOUR)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            put(database)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            assert forms("list")[0] == 0
            assert forms("export", "--output", "x.csv")[0] == 0
        assert forms("delete", "--older-than", "30m", "--yes")[2] == "deleted 30\n"
    finally:
        stop.set()
        thread.join()


# ---- deliveries


def test_what_waits_and_what_was_given_up(database: Database, forms: Run) -> None:
    identity = put(database, targets=[Target("webhook", "https://a.example/x"), Target("mail", "me@example.org")])
    first, second = database.read(lambda t: list(deliveries.deliveries(t)))
    claimed = database.write(lambda t: deliveries.claim(t, [first.kind], time.time_ns() // 1_000, 2**62))
    assert claimed is not None
    database.write(lambda t: deliveries.failed(t, claimed, "the receiver answered \x1b 500", None))
    database.write(lambda t: deliveries.delivered(t, second, 0))
    status, out, _ = forms("deliveries")
    assert status == 0
    [line] = out.splitlines()
    assert line.startswith(f"{identity}  {first.id} failed, 1 attempt  {first.kind} ")
    assert line.endswith(r": the receiver answered \x1b 500")
    assert len(forms("deliveries", "--all")[1].splitlines()) == 2
    assert forms("retry")[2] == "1 to be sent on at once, if a server runs\n"
    assert "pending" in forms("deliveries")[1]
    assert forms("retry", identity)[0] == 0
    status, _, err = forms("retry", "nobody")
    assert (status, err) == (1, "httpd forms: there is nothing to send on of these; httpd forms deliveries lists what "
                                "there is\n")  # fmt: skip


# ---- what is wrong


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["list", "--since", "soon"], 2, "'soon' is not a time, such as 2026-01-31"),
        (["list", "--since", "2026-02-30"], 2, "'2026-02-30' is not a time"),
        (["list", "--limit", "0"], 2, "is not a number from 1"),
        (["list", "--limmit", "3"], 2, "unrecognized arguments"),
        (["show"], 2, "required: ID"),
        (["show", "nobody"], 1, "there is no submission nobody; httpd forms list names them"),
        (["mark", "nobody"], 1, "there is no submission nobody"),
        (["delete"], 2, "say what to delete: either ids, or --older-than AGE"),
        (["delete", "x", "--older-than", "3d"], 2, "say what to delete"),
        (["delete", "x", "--form", "/a"], 2, "--form goes with --older-than"),
        (["delete", "--older-than", "soon"], 2, "'soon' is not an age, such as 12h"),
        (["export", "--output", "gone/x.csv"], 1, "gone/x.csv: No such file or directory"),
        (["list", "--inbox", "sqlite:gone.db"], 1, "there is no inbox gone.db here; name the server's inbox"),
        (["list", "--inbox", "mysql:x"], 1, "a store is sqlite:PATH or postgresql:"),
        (["--inbox", "sqlite:gone.db", "list"], 1, "there is no inbox gone.db here"),
        ([], 2, "required: ACTION"),
    ],
)
def test_each_mistake_is_a_sentence(database: Database, forms: Run, argv: list[str], status: int, said: str) -> None:
    got, out, err = forms(*argv)
    assert (got, out) == (status, "")
    assert said in err
    assert err.startswith("httpd forms")
    assert len(err.splitlines()) == 1


def test_the_inbox_may_be_named_by_a_variable(
    database: Database, forms: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("HTTPD_INBOX", f"sqlite:{tmp_path}/.inbox.db")
    assert len(forms("list")[1].splitlines()) == 1


def test_the_inbox_may_be_named_in_the_file(
    database: Database, forms: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(database)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/httpd.toml").write_text(f'dir = "public"\ninbox = "sqlite:{tmp_path}/.inbox.db"\n')
    assert len(forms("list")[1].splitlines()) == 1
    (tmp_path / "elsewhere/httpd.toml").write_text("inbox = \n")
    status, _, err = forms("list")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "httpd.toml:1:" in err


def test_a_database_of_another_program_is_left_alone(
    tmp_path: Path, forms: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".inbox.db").write_text("no database, " * 100)
    status, _, err = forms("list")
    assert status == 1
    assert len(err.splitlines()) == 1


@pytest.mark.programs
def test_its_help_names_every_action() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "httpd", "forms", "--help"], cwd=TOP, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0
    for action in ("list", "show", "export", "mark", "delete", "deliveries", "retry"):
        assert f"\n    {action}" in ran.stdout


@pytest.mark.tools
def test_all_of_it_on_postgresql(
    postgresql_url: str, forms: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTPD_INBOX", postgresql_url)
    database = open_inbox(postgresql_url)
    target = Target("mail", "me@example.org")
    made = [put(database, ("text", f"Ä {number}"), age=450 * HOUR - number, targets=[target]) for number in range(450)]
    last = put(database, ("text", "last"), files=[("a.pdf", b"x" * 300_000)])
    database.close()
    assert len(forms("list", "--limit", "1000")[1].splitlines()) == 451
    assert forms("list", "--text", "Ä 44", "--limit", "1000")[1].count("\n") == 11
    assert "a.pdf" in forms("show", last, "--files", "saved")[1]
    assert (tmp_path / "saved" / f"{last}-0.pdf").stat().st_size == 300_000
    assert forms("export", "--output", "all.jsonl")[0] == 0
    exported = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [one["id"] for one in exported] == [*made, last]
    assert [len(one["files"]) for one in exported] == [0] * 450 + [1]
    assert forms("export")[1].count("\n") == 452
    assert forms("mark", last)[0] == 0
    assert forms("list", "--unread", "--since", "1d") == (0, "", "nothing is there\n")
    assert forms("retry", made[0])[2] == "1 to be sent on at once, if a server runs\n"
    assert len(forms("deliveries")[1].splitlines()) == 450
    assert forms("delete", "--older-than", "1d", "--yes")[2] == "deleted 450\n"
    assert forms("deliveries")[1] == ""
    assert forms("list", "--inbox", "postgresql://127.0.0.1:1/none")[0] == 1
