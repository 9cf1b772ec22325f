"""The pages of a file that a socket was lent, and when it has given them back."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd import Limits, StaticFiles
from httpd.net import lending, producers
from httpd.net.lending import END, HELD, LAST, copied_end, unsent
from httpd.net.producers import FileChanged, OpenFile, file_producer

from .exchange import get, serving
from .kernel import read_or_reset
from .scripted import ScriptedSocket
from .test_faults import connected

LOCK = 72  # SO_BUF_LOCK
SIZE = HELD + END + 12_345

bounds = pytest.mark.skipif(sys.platform != "linux", reason="where a socket's buffer cannot be bound nothing waits")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of which something is lent."""
    made = tmp_path / "file"
    made.write_bytes(os.urandom(SIZE))
    return made


@pytest.fixture
def producer(path: Path) -> Iterator[file_producer]:
    file = OpenFile(os.open(path, os.O_RDONLY))
    made = file_producer(file, 0, SIZE)
    file.release()
    yield made
    made.close()


@contextlib.contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection over TCP; the first one does not block, the second has a small buffer."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        theirs = socket.create_connection(listening.getsockname(), 10)
        with theirs, listening.accept()[0] as ours:
            ours.setblocking(False)
            yield theirs, ours


def send_until_it_blocks(producer: file_producer, sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while producer.send_to(sock.fileno(), 1 << 20):
            pass


def has_room(sock: socket.socket) -> bool:
    return bool(select.select([], [sock], [], 0)[1])


def read_while_it_waits(producer: file_producer, reader: socket.socket, writer: socket.socket, left: int) -> bytearray:
    """What the reader gets until the producer has only so much left, or no more."""
    got = bytearray()
    while producer.remaining > left:
        send_until_it_blocks(producer, writer)
        if producer.remaining > left:
            got += reader.recv(1 << 20)
    return got


@bounds
def test_the_last_piece_waits_for_what_was_lent(producer: file_producer, path: Path) -> None:
    with connection() as (writer, reader):
        got = read_while_it_waits(producer, reader, writer, LAST)
        # Nobody reads, so the socket still has more than was copied, and the loop is not told of room again and again.
        assert unsent(writer.fileno()) > END - LAST
        with pytest.raises(BlockingIOError):
            producer.send_to(writer.fileno(), 1 << 20)
        assert not has_room(writer)
        waited = 0
        while producer.remaining:
            got += reader.recv(1 << 16)
            if has_room(writer):
                send_until_it_blocks(producer, writer)
            waited += 1
        assert waited > 1
        writer.shutdown(socket.SHUT_WR)
        while more := reader.recv(1 << 20):
            got += more
        assert got == path.read_bytes()
        # The kernel sizes the buffer again.
        assert writer.getsockopt(socket.SOL_SOCKET, LOCK) == 0


@bounds
@pytest.mark.parametrize("option", [socket.SO_SNDBUF, socket.SO_RCVBUF])
def test_a_size_that_somebody_gave_is_given_back(option: int) -> None:
    with connection() as (writer, _):
        writer.setsockopt(socket.SOL_SOCKET, option, 200_000)
        before = writer.getsockopt(socket.SOL_SOCKET, LOCK), writer.getsockopt(socket.SOL_SOCKET, option)
        bound = lending.bound(writer.fileno())
        lending.unbound(writer.fileno(), bound)
        assert before == (writer.getsockopt(socket.SOL_SOCKET, LOCK), writer.getsockopt(socket.SOL_SOCKET, option))


@bounds
def test_before_linux_5_14_a_buffer_gets_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    with connection() as (writer, _):
        size = writer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        monkeypatch.setattr(lending, "_LOCK", 9_999)
        before = lending.bound(writer.fileno())
        assert before == (size, None)
        assert writer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == END - LAST
        lending.unbound(writer.fileno(), before)
        # As much of it as a program may ask for.
        most = 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
        assert writer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == min(size // 2 * 2, most)


@bounds
def test_a_client_that_never_acknowledges_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for what was lent is the client's, so it has no more patience than any other."""
    (tmp_path / "large.bin").write_bytes(bytes(SIZE))
    monkeypatch.setattr(producers, "unsent", lambda fd: SIZE)
    limits = Limits(stall_time=0.2)
    with serving(StaticFiles(tmp_path), limits=limits) as server, connected(server.port) as sock:
        sock.sendall(get("/large.bin"))
        content, was_reset = read_or_reset(sock)
    assert was_reset
    assert len(content.partition(b"\r\n\r\n")[2]) == SIZE - LAST


@bounds
def test_whoever_writes_while_pages_are_lent_is_noticed(producer: file_producer, path: Path) -> None:
    """Though by then all but the last piece is with the kernel."""
    with connection() as (writer, reader):
        read_while_it_waits(producer, reader, writer, LAST)
        with open(path, "r+b") as other:
            other.write(b"other")
        while not has_room(writer):
            assert reader.recv(1 << 16)
        with pytest.raises(FileChanged):
            producer.send_to(writer.fileno(), 1 << 20)
        assert producer.remaining == LAST


def test_a_reader_in_time_is_not_waited_for(
    producer: file_producer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(producers, "bound")
    with connection() as (writer, reader):
        got = bytearray()
        while len(got) < SIZE:
            if producer.remaining:
                with contextlib.suppress(BlockingIOError):
                    producer.send_to(writer.fileno(), 30_000)
            with contextlib.suppress(BlockingIOError):
                while data := reader.recv(1 << 20, socket.MSG_DONTWAIT):
                    got += data
        assert got == path.read_bytes()


def test_what_is_no_socket_takes_all_at_once(producer: file_producer, path: Path, tmp_path: Path) -> None:
    with open(tmp_path / "copy", "w+b") as copy:
        sent = 0
        while producer.remaining:
            sent += producer.send_to(copy.fileno(), 1 << 20)
        assert sent == SIZE
        assert copy.read() == b""
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


@bounds
def test_of_a_small_file_all_is_copied() -> None:
    assert copied_end(HELD) == HELD
    assert copied_end(HELD + 1) == END


@pytest.mark.parametrize("without", ["termios", "Linux"])
def test_where_nothing_can_wait_as_much_is_copied_as_sockets_hold(
    without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without == "Linux":
        monkeypatch.setattr(sys, "platform", "darwin")
    else:
        monkeypatch.setattr(lending, "_UNSENT", 0)
    assert copied_end(HELD + 1) == HELD


def test_a_system_without_the_modules_that_tell_has_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "termios", None)
    spec = importlib.util.spec_from_file_location("lending_elsewhere", lending.__file__)
    assert spec is not None
    assert spec.loader is not None
    elsewhere = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    assert elsewhere.copied_end(HELD + 1) == HELD
    assert elsewhere.unsent(0) == 0


def test_what_the_peer_has_not_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        assert unsent(ours.fileno()) == 0
        ours.send(b"x" * 1000)
        assert unsent(ours.fileno()) > 0
        ours.close()
    assert unsent(ScriptedSocket().fileno()) == 0

    monkeypatch.setattr(lending, "_UNSENT", 0)
    assert unsent(ours.fileno()) == 0
