"""httpd.site.copies: a file in memory that is lent like a file, and nobody can write to."""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd import StaticFiles
from httpd.net.producers import file_producer
from httpd.site.copies import Copies, Copy
from httpd.site.entities import COPIED, SMALL, Entities

from .exchange import serving
from .test_entities import Clock, big, drain, load, small
from .test_faults import SMALL as ANOTHER
from .test_faults import asked, fetched, head_and_some, settle
from .tools import open_descriptors

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are no such files")

CONTENT = bytes(number % 251 for number in range(3 * SMALL))
GET = b"GET /middle.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return small(tmp_path, "middle.bin", CONTENT)


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


def made(copies: Copies, fd: int, size: int = len(CONTENT)) -> Copy:
    copy = copies.of(fd, size)
    assert copy
    return copy


def test_a_copy_has_the_bytes_and_takes_no_others(fd: int) -> None:
    copy = made(Copies(1 << 20), fd)
    assert os.pread(copy.fd, 1 << 20, 0) == CONTENT
    writes = lambda: os.pwrite(copy.fd, b"x", 0), lambda: os.truncate(copy.fd, 0), lambda: mmap.mmap(copy.fd, 100)
    for write in writes:
        with pytest.raises(OSError):
            write()
    assert os.pread(copy.fd, 1 << 20, 0) == CONTENT
    copy.release()


def test_a_copy_is_lent_without_a_look_at_it(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = made(Copies(1 << 20), fd)
    producer = file_producer(copy, 5, 200_000, (1, 2))
    copy.release()
    ours, theirs = socket.socketpair()
    with ours, theirs, monkeypatch.context() as nothing_else:
        nothing_else.delattr(os, "fstat")
        nothing_else.delattr(os, "write")
        got = b""
        while producer.remaining:
            sent = producer.send_to(ours.fileno(), 50_000)
            got += theirs.recv(sent, socket.MSG_WAITALL)
    assert got == CONTENT[5:200_005]
    producer.close()


def test_their_bytes_are_bounded_while_anybody_holds_them(fd: int) -> None:
    copies = Copies(2 * len(CONTENT))
    one, two = made(copies, fd), made(copies, fd)
    assert copies.of(fd, 1) is None
    one.acquire()
    one.release()
    assert copies.of(fd, 1) is None
    one.release()
    assert copies.bytes_held == len(CONTENT)
    made(copies, fd, 1).release()
    two.release()
    assert copies.bytes_held == 0


def fail(*arguments: object) -> int:
    raise OSError


@pytest.mark.parametrize("without", ["memfd_create", "a descriptor", "a disk that can be read", "so many bytes"])
def test_where_there_can_be_none(without: str, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(CONTENT)
    match without:
        case "memfd_create":
            monkeypatch.delattr(os, "memfd_create")
        case "a descriptor":
            monkeypatch.setattr(os, "memfd_create", fail)
        case "a disk that can be read":
            monkeypatch.setattr(os, "sendfile", fail)
        case _:
            size += 1
    copies, before = Copies(1 << 20), open_descriptors()
    assert copies.of(fd, size) is None
    assert (copies.bytes_held, open_descriptors()) == (0, before)


# ---- among entities


@pytest.fixture
def entities() -> Iterator[Entities]:
    entities = Entities(max_bytes=3 * len(CONTENT), clock=Clock())
    yield entities
    entities.clear()


@pytest.mark.parametrize(
    ("size", "kind"), [(SMALL, "bytes"), (SMALL + 1, "copy"), (COPIED, "copy"), (COPIED + 1, "file")]
)
def test_how_a_file_is_held(size: int, kind: str, tmp_path: Path) -> None:
    entities = Entities(max_bytes=2 * COPIED, clock=Clock())
    entity = load(entities, small(tmp_path, content=bytes(size)))
    assert (entity.whole is not None, entity.in_memory) == (kind == "bytes", kind != "file")
    assert entities.bytes_held == (size if kind != "file" else 0)
    if kind != "bytes":
        assert drain(entity.stream().body) == bytes(size)
    entities.clear()
    assert entities.bytes_held == 0


def test_what_was_not_used_makes_room(entities: Entities, tmp_path: Path) -> None:
    paths = [small(tmp_path, str(number), CONTENT) for number in range(4)]
    for path in paths:
        assert load(entities, path).in_memory
    assert [entities.find(str(path)) is not None for path in paths] == [False, True, True, True]
    assert entities.bytes_held == 3 * len(CONTENT)


def test_where_copies_are_all_being_sent_the_file_itself_is(entities: Entities, tmp_path: Path) -> None:
    """However many files are asked for, and however slowly taken, there are no more bytes than may be."""
    before = open_descriptors()
    paths = [small(tmp_path, str(number), CONTENT) for number in range(4)]
    sent = [load(entities, path).stream() for path in paths[:3]]
    last = load(entities, paths[3])
    assert not last.in_memory
    assert drain(last.stream().body) == CONTENT
    assert [drain(response.body) for response in sent] == [CONTENT] * 3
    assert load(entities, paths[0]).in_memory
    entities.clear()
    assert open_descriptors() == before


def test_a_file_that_would_take_all_the_room_is_not_copied(tmp_path: Path) -> None:
    entities = Entities(max_bytes=SMALL, clock=Clock())
    load(entities, small(tmp_path))
    assert not load(entities, big(tmp_path)).in_memory
    assert entities.find(str(tmp_path / "small")) is not None
    entities.clear()


def test_a_copy_for_which_there_are_no_validators_is_given_back(
    entities: Entities, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    monkeypatch.setattr(Entities, "_validators", fail)
    with pytest.raises(OSError):
        load(entities, path)
    assert open_descriptors() == before


def test_what_changes_while_its_copy_is_made_is_copied_again(
    entities: Entities, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, new = Copies.of, CONTENT[::-1]

    def changed(copies: Copies, fd: int, size: int) -> Copy | None:
        copy = real(copies, fd, size)
        if path.read_bytes() == CONTENT:
            path.write_bytes(new)
        return copy

    monkeypatch.setattr(Copies, "of", changed)
    assert drain(load(entities, path).stream().body) == new
    assert entities.bytes_held == len(CONTENT)


# ---- over a connection


@pytest.mark.parametrize("times", [1, 2])
def test_an_answer_is_what_it_began_as(tmp_path: Path, times: int) -> None:
    """Whatever is written to the file meanwhile: nobody is cut off, and the next one gets what it is then."""
    old, new = b"o" * COPIED, b"n" * COPIED
    (tmp_path / "middle.bin").write_bytes(old)
    (tmp_path / "small.bin").write_bytes(ANOTHER)
    settle(tmp_path)
    with serving(StaticFiles(tmp_path)) as server:
        for _ in range(times - 1):
            assert fetched(server.port, "/middle.bin") == (200, old)
        with asked(server.port, GET) as sock:
            length, content = head_and_some(sock)
            with open(tmp_path / "middle.bin", "r+b") as file:
                file.write(new)
            while piece := sock.recv(1 << 20):
                content += piece
        assert (length, content) == (COPIED, old)
        settle(tmp_path)
        assert fetched(server.port, "/middle.bin") == (200, new)
