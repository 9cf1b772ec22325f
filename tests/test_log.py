"""The access log: its lines, what cannot be forged, batches, and a file that cannot be written."""

from __future__ import annotations

import errno
import os
import re
import select
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.net.timers import Timers
from httpd.protocol.message import Head
from httpd.server import log as log_module
from httpd.server.log import AccessLog, escape

from .exchange import BEGAN, Clock
from .factories import request
from .tools import missing

# The combined format, one line; within quotes only printable ASCII, and no quote or backslash that is not escaped.
_QUOTED = r'"((?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*)"'
_STAMP = r"\[(\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
LINE = re.compile(rf"(\S+) - - {_STAMP} {_QUOTED} (\d{{3}}) (\d+) {_QUOTED} {_QUOTED}\n")


class Caller:
    """The channel that has answered, as far as a log asks."""

    def __init__(self, asked_at: float = 0.0) -> None:
        self.asked_at = asked_at

    def request_id(self, asked: Head | str) -> str:
        return "f00d0001"


CALLER = Caller()


class Book:
    """An access log in a file, with its clocks."""

    def __init__(self, path: Path | str, log_class: type[AccessLog] = AccessLog) -> None:
        self.path = Path(path)
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.log = log_class(str(path), self.timers, lambda: BEGAN + self.clock.now)

    def turn(self, seconds: float = 0) -> None:
        self.clock.now += seconds
        self.timers.tick()
        self.timers.run_due()

    def answer(self, head: Head | None = None, status: int = 200, size: int = 5) -> None:
        self.log.answered(head or head_of(), "192.0.2.1", status, size, CALLER)

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="ascii")


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "access.log")
    yield book
    book.log.close()


def head_of(path: str = "/", **fields: str) -> Head:
    return request(path, headers={name.replace("_", "-"): value for name, value in fields.items()}).head


# ---- lines


def test_the_combined_format(book: Book) -> None:
    book.answer(head_of("/a", Referer="http://b/", User_Agent="curl/8"), 404, 1234)
    book.turn()
    found = LINE.fullmatch(book.text)
    assert found
    peer, stamp, *rest = found.groups()
    assert (peer, *rest) == ("192.0.2.1", "GET /a HTTP/1.1", "404", "1234", "http://b/", "curl/8")
    assert re.fullmatch(r"0[567]/Nov/1994:\d\d:\d\d:37 [+-]\d{4}", stamp)


def test_what_is_missing_is_a_hyphen_and_a_unix_socket_is_named(book: Book) -> None:
    book.log.answered(head_of(), "", 200, 0, CALLER)
    book.log.refused("", "192.0.2.1", 400, 0, CALLER)
    book.turn()
    assert [LINE.fullmatch(line + "\n") is not None for line in book.text.splitlines()] == [True, True]
    assert book.text.startswith("unix: - - [")
    assert book.text.count('"-" "-"\n') == 2


def test_the_stamp_follows_the_clock(book: Book) -> None:
    for seconds in (0, 0.4, 0.4, 0.4):
        book.turn(seconds)
        book.answer()
        book.answer()
    book.turn()
    assert re.findall(r":(\d\d) ", book.text) == ["37"] * 6 + ["38"] * 2


def test_lines_of_many_different_clients(book: Book) -> None:
    for number in range(1_100):
        book.answer(head_of(f"/{number}"))
    book.turn()
    assert [LINE.fullmatch(line + "\n")[3] for line in book.text.splitlines()] == [  # type: ignore[index]
        f"GET /{number} HTTP/1.1" for number in range(1_100)
    ]


# ---- escaping


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain /~text", "plain /~text"),
        ('"', r"\x22"),
        ("\\", r"\x5c"),
        ("\r\n\t\0\x7f", r"\x0d\x0a\x09\x00\x7f"),
        ("é", r"\xe9"),
        ("\x1b[31m", r"\x1b[31m"),
        ("☃", r"\xe2\x98\x83"),
        ("\udcff", r"\xff"),
    ],
)
def test_escaping(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_alone_is_escaped_or_safe(byte: int) -> None:
    safe = 0x20 <= byte < 0x7F and byte not in b'"\\'
    assert escape(chr(byte)) == (chr(byte) if safe else f"\\x{byte:02x}")


@given(st.text(), st.text(), st.text())
def test_no_request_can_forge_a_line(line: str, referer: str, agent: str) -> None:
    head = request("/", headers={"Referer": referer, "User-Agent": agent}).head
    head.request_line = line
    read, write = os.pipe()
    with open(read, "rb") as lines:
        book = Book(f"/dev/fd/{write}") if os.path.exists("/dev/fd") else Book(os.devnull)
        os.close(write)
        book.log.answered(head, "192.0.2.1", 200, 1, CALLER)
        book.log.refused(line, "192.0.2.1", 400, 1, CALLER)
        book.log.close()
        data = lines.read().decode("ascii")
    one, two = data.splitlines(keepends=True)
    assert LINE.fullmatch(one)
    assert LINE.fullmatch(two)


# ---- batches


def test_the_lines_of_a_turn_are_one_write(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = []
    write = os.write

    def counted(fd: int, data: bytes) -> int:
        writes.append(data.count(b"\n"))
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    for count in (3, 1, 2):
        for _ in range(count):
            book.answer()
        book.turn()
    assert writes == [3, 1, 2]


def test_nothing_is_written_before_the_end_of_the_turn_nor_lost_at_the_end(book: Book) -> None:
    book.answer()
    assert book.text == ""
    book.log.close()
    assert book.text.count("\n") == 1
    book.log.close()
    book.answer()
    book.log.refused("GET", "x", 400, 0, CALLER)
    book.log.flush()
    assert book.text.count("\n") == 1


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("before\n")
    book = Book(tmp_path / "access.log")
    book.answer()
    book.log.close()
    assert book.text.startswith("before\n192.0.2.1 ")


def test_the_file_is_not_for_everyone_to_write(book: Book) -> None:
    assert book.path.stat().st_mode & 0o022 == 0


# ---- reopening


def test_reopening_after_the_file_was_moved(book: Book, tmp_path: Path) -> None:
    book.answer(head_of("/old"))
    book.path.rename(tmp_path / "access.log.1")
    book.log.reopen()
    book.answer(head_of("/new"))
    book.turn()
    assert "/old" in (tmp_path / "access.log.1").read_text()
    assert "/new" in book.text
    assert "/old" not in book.text


def test_the_old_file_is_kept_when_there_is_no_new_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    book = Book(folder / "access.log")
    folder.rename(tmp_path / "moved")
    book.log.reopen()
    assert "cannot reopen the access log" in caplog.text
    book.answer()
    book.log.close()
    assert (tmp_path / "moved" / "access.log").read_text().count("\n") == 1


def test_without_a_descriptor_reopening_is_tried_again(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: object) -> int:
        raise OSError(24, "Too many open files")

    book.path.rename(book.path.with_suffix(".old"))
    with monkeypatch.context() as context:
        context.setattr(os, "open", exhausted)
        book.log.reopen()
    book.turn(1)
    book.answer(head_of("/new"))
    book.turn()
    assert "/new" in book.text


def test_reopening_what_is_no_file_does_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for target in ("off", "-"):
        book = Book(target)
        book.log.reopen()
        book.answer()
        book.log.close()
    out, _ = capfd.readouterr()
    assert out.count("\n") == 1


def test_standard_output_stays_open(capfd: pytest.CaptureFixture[str]) -> None:
    Book("-").log.close()
    print("still there")
    assert capfd.readouterr().out == "still there\n"


def test_a_program_without_standard_output_logs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    book = Book("-")
    book.answer()
    book.turn()
    book.log.close()


# ---- a file that cannot be written


def test_a_full_disk_is_told_once_and_bounded(caplog: pytest.LogCaptureFixture) -> None:
    if not os.path.exists("/dev/full"):
        missing("/dev/full")
    book = Book("/dev/full")
    for _ in range(100):
        for _ in range(200):
            book.answer(head_of("/" + "x" * 100))
        book.turn()
    assert caplog.text.count("cannot write the access log") == 1
    assert len(book.log._unwritten) < 2 * log_module._MOST_WAITING
    book.log.close()


class Disk:
    """One that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def write(self, fd: int, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = min(self.room, len(data))
        self.room -= count
        return self._write(fd, data[:count])


def test_what_waited_is_written_when_the_disk_has_room_again(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(30)
    monkeypatch.setattr(os, "write", disk.write)
    for number in range(3):
        book.answer(head_of(f"/{number}"))
        book.turn()
    assert len(book.text) == 30
    disk.room = 1_000_000
    book.answer(head_of("/3"))
    book.turn()
    assert [LINE.fullmatch(line + "\n")[3] for line in book.text.splitlines()] == [  # type: ignore[index]
        f"GET /{number} HTTP/1.1" for number in range(4)
    ]
    disk.room = 0
    book.answer()
    book.turn()
    assert caplog.text.count("cannot write the access log") == 2


def test_of_too_much_that_waits_whole_lines_go(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left must not begin in the middle of a line, where a client's own text could pass for one."""
    monkeypatch.setattr(log_module, "_MOST_WAITING", 250)
    disk = Disk(20)
    monkeypatch.setattr(os, "write", disk.write)
    for number in range(10):
        book.answer(head_of(f"/{number}"))
        book.turn()
    disk.room = 1_000_000
    book.log.flush()
    first, *rest = book.text.splitlines(keepends=True)
    assert len(first) == 21
    assert len(rest) >= 2
    assert [LINE.fullmatch(line) is not None for line in rest] == [True] * len(rest)
    assert "/9 " in rest[-1]


# ---- a pipe


class Reader:
    """Whoever reads the log from a pipe, when it pleases."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        try:
            return os.read(self.fd, 1 << 20)
        except BlockingIOError:
            return b""


def test_a_reader_who_is_slow_gets_all_and_holds_up_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(tmp_path / "pipe")
    book = Book(tmp_path / "pipe")
    for number in range(3_000):
        book.answer(head_of(f"/{number}"))
    book.turn()
    text = b""
    while piece := reader.read():
        text += piece
        book.turn(1)
    lines = text.decode().splitlines(keepends=True)
    assert [LINE.fullmatch(line)[3] for line in lines] == [  # type: ignore[index]
        f"GET /{number} HTTP/1.1" for number in range(3_000)
    ]
    assert not caplog.records
    book.turn(1)
    assert len(book.timers) == 0
    book.log.close()
    os.close(reader.fd)


def test_what_others_write_into_a_pipe_comes_between_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "pipe")
    book = Book(tmp_path / "pipe")
    pieces: list[bytes] = []
    real_write = os.write

    def write(fd: int, data: bytes) -> int:
        pieces.append(data)
        return real_write(fd, data)

    for number in range(300):
        book.answer(head_of("/" + "x" * (number % 170)))
    book.answer(head_of("/" + "x" * 6_000))
    monkeypatch.setattr(os, "write", write)
    book.turn()
    monkeypatch.undo()
    assert len(pieces) > 5
    assert all(len(piece) <= select.PIPE_BUF for piece in pieces)
    # Only of a line that is longer there are parts.
    assert [piece.endswith(b"\n") for piece in pieces].count(False) == 1
    book.log.close()
    os.close(reader.fd)


def test_a_reader_who_is_slow_costs_the_turns_nothing(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "pipe")
    book = Book(tmp_path / "pipe")
    for _ in range(3_000):
        book.answer(head_of("/before"))
    book.turn()
    for _ in range(3):
        book.answer(head_of("/after"))
        # The one timer that looks for the reader again.
        assert len(book.timers) == 1
        book.turn()
    text = b""
    while piece := reader.read():
        text += piece
        book.turn(1)
    assert (text.count(b"/before"), text.count(b"/after")) == (3_000, 3)
    book.log.close()
    os.close(reader.fd)


def test_a_reader_who_sleeps_on_is_not_waited_for_at_the_end(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "pipe")
    book = Book(tmp_path / "pipe")
    for _ in range(20_000):
        book.answer(head_of("/" + "x" * 100))
    book.turn()
    assert len(book.log._unwritten) <= log_module._MOST_WAITING
    book.log.close()
    assert len(book.timers) == 0
    os.close(reader.fd)


def test_a_reader_who_is_gone_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(tmp_path / "pipe")
    book = Book(tmp_path / "pipe")
    os.close(reader.fd)
    for _ in range(3):
        book.answer()
        book.turn()
    assert caplog.text.count("cannot write the access log: [Errno 32] Broken pipe") == 1
    book.log.reopen()
    assert "cannot reopen the access log: [Errno 6]" in caplog.text
    book.log.close()


def test_a_pipe_that_others_made_non_blocking_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reader = Reader(tmp_path / "pipe")
    book = Book(tmp_path / "pipe")

    def full(fd: int, data: bytes) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as context:
        context.setattr(os, "write", full)
        book.answer(head_of("/late"))
        book.turn()
    book.turn(1)
    assert b"/late" in reader.read()
    assert not caplog.records
    book.log.close()
    os.close(reader.fd)


def test_a_log_that_cannot_be_opened_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Book(tmp_path / "none" / "access.log")
