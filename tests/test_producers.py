"""Producers: what they give, when they are exhausted, and that they are closed once."""

from __future__ import annotations

import errno
import gc
import os
import socket
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpd.net import producers
from httpd.net.producers import (
    PIECE,
    SLICE,
    FileChanged,
    OpenFile,
    Producer,
    bytes_producer,
    close_producer,
    composite_producer,
    feed_producer,
    file_producer,
    finish_producer,
    hooked_producer,
    lines_producer,
    parts_producer,
    sliced_producer,
    stall_producer,
)


class Outcomes:
    """Gives these, then b""; counts its closings."""

    def __init__(self, *outcomes: bytes | None) -> None:
        self.outcomes = list(outcomes)
        self.closed = 0

    def more(self) -> bytes | None:
        return self.outcomes.pop(0) if self.outcomes else b""

    def close(self) -> None:
        self.closed += 1


def drain(producer: Producer) -> list[bytes | None]:
    """All that it gives, up to the b"" that ends it; it must then stay at its end."""
    given = []
    while (data := producer.more()) != b"":
        given.append(data)
    assert producer.more() == b""
    return given


@given(st.binary(max_size=100), st.integers(1, 40))
def test_bytes_producer(data: bytes, size: int) -> None:
    pieces = drain(bytes_producer(data, size))
    assert b"".join(piece or b"" for piece in pieces) == data
    assert all(piece is not None and len(piece) <= size for piece in pieces)
    assert len(pieces) == -(-len(data) // size)


@given(st.lists(st.binary(max_size=10)), st.integers(1, 60))
def test_lines_producer(lines: list[bytes], size: int) -> None:
    pieces = drain(lines_producer(iter(lines), size))
    assert b"".join(piece or b"" for piece in pieces) == b"".join(line + b"\r\n" for line in lines)
    assert all(len(piece or b"") >= size for piece in pieces[:-1])


def test_composite_producer_gives_one_after_the_other_and_closes_each() -> None:
    parts = [Outcomes(b"a", None, b"b"), Outcomes(), Outcomes(b"c")]
    producer = composite_producer(parts)
    assert [producer.more() for _ in range(3)] == [b"a", None, b"b"]
    assert [part.closed for part in parts] == [0, 0, 0]
    assert producer.more() == b"c"
    assert [part.closed for part in parts] == [1, 1, 0]
    assert producer.more() == b""
    producer.close()
    assert [part.closed for part in parts] == [1, 1, 1]


def test_composite_producer_closed_early_closes_the_rest() -> None:
    parts = [Outcomes(b"a"), Outcomes(b"b"), Outcomes(b"c")]
    producer = composite_producer(parts)
    producer.more()
    producer.close()
    producer.close()
    assert [part.closed for part in parts] == [1, 1, 1]
    assert producer.more() == b""
    assert drain(composite_producer([])) == []


def test_composite_producer_takes_what_cannot_be_closed() -> None:
    assert drain(composite_producer([bytes_producer(b"a"), lines_producer([b"b"])])) == [b"a", b"b\r\n"]


def test_a_part_that_cannot_be_closed_does_not_stay() -> None:
    class Fails(Outcomes):
        def close(self) -> None:
            raise OSError("cannot close")

    last = Outcomes(b"x")
    producer = composite_producer([Fails(), last])
    with pytest.raises(OSError, match="cannot close"):
        producer.more()
    assert producer.more() == b"x"


def test_hooked_producer_tells_how_much_was_given_once() -> None:
    told: list[int] = []
    inner = Outcomes(b"abc", None, b"de")
    producer = hooked_producer(inner, told.append)
    assert drain(producer) == [b"abc", None, b"de"]
    assert told == []
    producer.close()
    producer.close()
    assert told == [5]
    assert inner.closed >= 1


def test_hooked_producer_tells_even_when_its_producer_cannot_be_closed() -> None:
    class Fails(Outcomes):
        def close(self) -> None:
            raise OSError("cannot close")

    told: list[int] = []
    producer = hooked_producer(Fails(b"x"), told.append)
    producer.more()
    with pytest.raises(OSError, match="cannot close"):
        producer.close()
    assert told == [1]


def test_feed_producer_gives_what_was_put_and_wakes_whoever_waits() -> None:
    woken: list[str] = []
    feed = feed_producer()
    assert feed.more() is None
    feed.stalled(lambda: woken.append("one"))
    feed.put(b"")
    assert woken == []
    feed.put(b"a")
    feed.put(b"b")
    assert (woken, feed.waiting) == (["one"], 2)
    assert (feed.more(), feed.waiting, feed.more()) == (b"ab", 0, None)
    feed.stalled(lambda: woken.append("two"))
    feed.finish()
    assert woken == ["one", "two"]
    assert drain(feed) == []


def test_feed_producer_gives_what_was_put_before_its_end_and_nothing_after_it() -> None:
    feed = feed_producer()
    feed.put(b"a")
    feed.finish()
    feed.put(b"b")
    assert drain(feed) == [b"a"]


def test_feed_producer_that_is_closed_keeps_nothing_and_wakes_nobody() -> None:
    woken: list[int] = []
    feed = feed_producer()
    feed.stalled(lambda: woken.append(1))
    feed.close()
    feed.put(b"b")
    feed.finish()
    assert (woken, feed.waiting, feed.more()) == ([], 0, b"")


AROUND = [lambda it: composite_producer([it]), lambda it: hooked_producer(it, lambda given: None)]


@pytest.mark.parametrize("around", AROUND)
def test_a_feed_is_woken_and_finished_through_what_stands_around_it(around: Callable[[Producer], Producer]) -> None:
    woken: list[int] = []
    feed = feed_producer()
    producer = around(feed)
    assert producer.more() is None
    stall_producer(producer, lambda: woken.append(1))
    finish_producer(producer)
    assert woken == [1]
    assert drain(producer) == []
    # Nothing is left that could hear it.
    stall_producer(producer, print)
    finish_producer(producer)


def test_telling_what_does_not_listen() -> None:
    for deaf in (b"data", bytes_producer(b""), None):
        stall_producer(deaf, print)
        finish_producer(deaf)


def test_closing_what_has_no_close() -> None:
    close_producer(b"data")
    close_producer(bytes_producer(b""))
    producer = Outcomes()
    close_producer(producer)
    assert producer.closed == 1


def test_anything_with_more_is_a_producer() -> None:
    assert isinstance(Outcomes(), Producer)
    assert isinstance(bytes_producer(b""), Producer)
    assert not isinstance(b"data", Producer)


# ---- files


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


@pytest.fixture
def file(path: Path) -> Iterator[OpenFile]:
    """Open; everything that took it must have let it go in the end."""
    opened = OpenFile(os.open(path, os.O_RDONLY))
    yield opened
    opened.release()
    assert opened.fd == -1


def test_an_open_file_is_closed_by_its_last_holder(path: Path) -> None:
    opened = OpenFile(os.open(path, os.O_RDONLY))
    fd = opened.fd
    assert opened.acquire() is opened
    opened.release()
    os.fstat(fd)
    opened.release()
    assert opened.fd == -1
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize(("start", "length"), [(0, 256_000), (10, 5), (255_999, 1), (1000, PIECE), (7, 200_000)])
def test_a_range_of_a_file(file: OpenFile, path: Path, start: int, length: int) -> None:
    producer = file_producer(file, start, length)
    assert producer.remaining == length
    pieces = drain(producer)
    assert b"".join(piece or b"" for piece in pieces) == path.read_bytes()[start : start + length]
    assert all(piece is not None and len(piece) <= PIECE for piece in pieces)
    assert producer.remaining == 0
    producer.close()
    producer.close()


def test_two_producers_of_one_file_do_not_disturb_each_other(file: OpenFile, path: Path) -> None:
    first, second = file_producer(file, 0, 100_000), file_producer(file, 50, 100_000)
    data = path.read_bytes()
    assert first.more() == data[:PIECE]
    assert second.more() == data[50 : 50 + PIECE]
    assert first.more() == data[PIECE:100_000]
    first.close()
    second.close()


def test_a_file_sends_itself(file: OpenFile, path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        producer = file_producer(file, 5, 1000)
        assert producer.send_to(ours.fileno(), 400) == 400
        assert producer.remaining == 600
        assert producer.send_to(ours.fileno(), 10_000) == 600
        assert producer.send_to(ours.fileno(), 10_000) == 0
        assert theirs.recv(2000) == path.read_bytes()[5:1005]
        producer.close()


def taken(producer: file_producer | parts_producer, sock: socket.socket) -> int:
    """How much the socket took; 0 when it would block."""
    try:
        return producer.send_to(sock.fileno(), 10_000)
    except BlockingIOError:
        return 0


def test_a_socket_that_takes_nothing_leaves_the_producer_where_it_was(file: OpenFile) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        producer = file_producer(file, 0, 256_000)
        sent = 0
        while count := taken(producer, ours):
            sent += count
        assert 0 < sent < 256_000
        assert producer.remaining == 256_000 - sent
        producer.close()


@pytest.mark.parametrize("how", ["more", "send_to"])
@pytest.mark.parametrize("change", ["shorter", "longer", "written to"])
def test_a_file_that_changes_is_not_sent_any_further(file: OpenFile, path: Path, how: str, change: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        producer: Any = file_producer(file, 0, 200_000)
        assert len(producer.more()) == PIECE
        if change == "shorter":
            os.truncate(path, 100)
        elif change == "longer":
            with path.open("ab") as end:
                end.write(b"more")
        else:
            with path.open("r+b") as inside:
                inside.write(b"other")
            os.utime(path, ns=(1, 1))
        with pytest.raises(OSError, match="changed") as caught:
            producer.more() if how == "more" else producer.send_to(ours.fileno(), 100)
        assert caught.value.errno == errno.ENODATA
        producer.close()


@pytest.mark.parametrize("how", ["more", "send_to", "peek"])
def test_what_was_read_while_the_file_changed_is_not_given(
    file: OpenFile, path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pread

    def overtaken(*arguments: int) -> bytes:
        path.write_bytes(b"other" * 51_200)
        return real(*arguments)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        producer: Any = file_producer(file, 0, 200_000)
        monkeypatch.setattr(os, "pread", overtaken)
        with pytest.raises(FileChanged):
            getattr(producer, how)(*[ours.fileno()] * (how == "send_to"), *[100] * (how != "more"))
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        assert producer.remaining == 200_000
        producer.close()


def test_all_but_the_end_is_lent(file: OpenFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, lent = os.sendfile, []

    def counted(*arguments: int) -> int:
        lent.append(real(*arguments))
        return lent[-1]

    monkeypatch.setattr(os, "sendfile", counted)
    monkeypatch.setattr(producers, "copied_end", lambda length: 50_000)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        producer = file_producer(file, 0, 120_000)
        assert producer.send_to(ours.fileno(), 1 << 20) == 120_000
        assert lent == [70_000]
        assert theirs.recv(120_000, socket.MSG_WAITALL) == path.read_bytes()[:120_000]
        producer.close()


def test_more_than_the_file_has_cannot_be_given(file: OpenFile, path: Path) -> None:
    producer = file_producer(file, 255_990, 100)
    assert len(producer.more()) == 10
    with pytest.raises(OSError, match="shorter"):
        producer.more()
    producer.close()


def test_a_closed_file_producer_gives_nothing(file: OpenFile) -> None:
    producer = file_producer(file, 0, 10)
    producer.close()
    with pytest.raises(ValueError, match="closed"):
        producer.more()


# ---- parts


def parts_of(file: OpenFile) -> parts_producer:
    """A boundary, a part of a file, a boundary, nothing, another part, an end."""
    return parts_producer(
        [b"--one--", file_producer(file, 10, 100_000), b"--two--", b"", file_producer(file, 5, 5), b"--end--"]
    )


def expected(path: Path) -> bytes:
    data = path.read_bytes()
    return b"--one--" + data[10:100_010] + b"--two--" + data[5:10] + b"--end--"


def test_parts_give_themselves_one_after_the_other(file: OpenFile, path: Path) -> None:
    producer = parts_of(file)
    assert producer.remaining == len(expected(path))
    assert b"".join(piece or b"" for piece in drain(producer)) == expected(path)
    assert producer.remaining == 0
    producer.close()


@pytest.mark.parametrize("most", [1 << 20, 3, 65_536])
def test_parts_send_themselves(file: OpenFile, path: Path, most: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        producer = parts_of(file)
        got = bytearray()
        while producer.remaining:
            try:
                sent = producer.send_to(ours.fileno(), most)
            except BlockingIOError:
                sent = 0
            assert 0 <= sent <= most
            got += theirs.recv(1 << 20) if sent else b""
        while len(got) < len(expected(path)):
            got += theirs.recv(1 << 20)
        assert producer.send_to(ours.fileno(), most) == 0
        assert got == expected(path)


@pytest.mark.parametrize("first", [b"x" * 100_000, None], ids=["bytes", "file"])
def test_a_socket_that_is_full_leaves_the_parts_where_they_were(file: OpenFile, first: bytes | None) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        producer = parts_producer([first or file_producer(file, 0, 256_000), b"y" * 300_000])
        before = producer.remaining
        sent = producer.send_to(ours.fileno(), 1 << 20)
        assert 0 < sent < before
        assert producer.remaining == before - sent
        while count := taken(producer, ours):
            sent += count
        assert producer.remaining == before - sent
        producer.close()
        assert producer.remaining == 0


def test_what_comes_next_can_be_looked_at(file: OpenFile, path: Path) -> None:
    for producer in (file_producer(file, 10, 100), parts_of(file)):
        given = b""
        while producer.remaining:
            next_bytes = producer.peek(7)
            assert next_bytes
            assert producer.peek(1) == next_bytes[:1]
            piece = producer.more()
            assert piece.startswith(next_bytes)
            given += piece
        assert given == (expected(path) if isinstance(producer, parts_producer) else path.read_bytes()[10:110])
        assert producer.peek(7) == b""
        producer.close()


def test_parts_closed_early_give_the_file_back(file: OpenFile) -> None:
    producer = parts_of(file)
    producer.more()
    producer.close()
    producer.close()
    assert producer.more() == b""


def test_a_promise_made_before_is_kept_or_refused(file: OpenFile, path: Path) -> None:
    """The state may be that of the time when the head was written."""
    now = os.stat(path)
    kept = file_producer(file, 0, 3, (now.st_mtime_ns, now.st_size))
    assert kept.more() == path.read_bytes()[:3]
    kept.close()
    broken = file_producer(file, 0, 3, (now.st_mtime_ns - 1, now.st_size))
    with pytest.raises(FileChanged):
        broken.more()
    broken.close()


def test_what_was_sent_before_the_socket_was_full_counts() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # As much as a pipe holds in one part, and then one byte more than it holds.
    size = 65_536
    producer = parts_producer([b"x" * size, b"y"])
    assert producer.send_to(writing, 1 << 20) == size
    assert producer.remaining == 1
    with pytest.raises(BlockingIOError):
        producer.send_to(writing, 1 << 20)
    assert len(os.read(reading, size)) == size
    assert producer.send_to(writing, 1 << 20) == 1
    os.close(reading)
    os.close(writing)


# ---- work in slices


class Work:
    """Steps that take time: (seconds, what is yielded), on a clock of its own."""

    def __init__(self, *steps: tuple[float, bytes]) -> None:
        # All that are at work share the time, also those that another test has left behind.
        gc.collect()
        self.now = 0.0
        self.ended = False
        self.producer = sliced_producer(self._work(steps), lambda: self.now)

    def _work(self, steps: tuple[tuple[float, bytes], ...]) -> Generator[bytes]:
        try:
            for seconds, data in steps:
                self.now += seconds
                yield data
        finally:
            self.ended = True


def test_a_slice_ends_when_its_time_is_up() -> None:
    work = Work(*[(SLICE / 3, b"x")] * 7)
    assert drain(work.producer) == [b"xxx", None, b"xxx", None, b"x"]


def test_a_slice_ends_when_it_has_made_a_piece() -> None:
    work = Work(*[(0, bytes(PIECE // 2))] * 5)
    assert [data and len(data) for data in drain(work.producer)] == [PIECE, None, PIECE, None, PIECE // 2]


def test_a_slice_that_made_nothing_gives_nothing_yet() -> None:
    work = Work(*[(SLICE, b"")] * 3, (0, b"x"))
    assert drain(work.producer) == [None, None, None, b"x"]


def test_work_that_is_not_wanted_any_more_is_ended() -> None:
    work = Work(*[(SLICE, b"x")] * 2)
    assert work.producer.more() == b"x"
    close_producer(work.producer)
    assert work.ended
    assert drain(work.producer) == [None]


@pytest.mark.parametrize("around", [lambda it: it, *AROUND])
def test_work_is_asked_for_again_in_the_next_turn(around: Callable[[Producer], Producer]) -> None:
    woken: list[int] = []
    stall_producer(around(Work().producer), lambda: woken.append(1))
    assert woken == [1]
