"""httpd.site.copies: a file in memory that is lent like a file, and nobody can write to."""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd import StaticFiles
from httpd.net.producers import FileChanged, file_producer
from httpd.site.copies import Copies, Copy
from httpd.site.entities import COPIED, SMALL, Entities, Entity

from .exchange import serving
from .test_entities import Clock, drain, load, loaded, small
from .test_faults import asked, fetched, head_and_some, settle
from .tools import open_descriptors

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there are no such files")

CONTENT = bytes(number % 251 for number in range(3 * SMALL))
GET = b"GET /middle.bin HTTP/1.1\r\nHost: a\r\n\r\n"


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


def test_their_bytes_are_counted_while_anybody_holds_them(fd: int) -> None:
    copies = Copies(2 * len(CONTENT))
    one, two = made(copies, fd), made(copies, fd)
    assert not copies.has_room(1)
    one.acquire()
    one.release()
    assert not copies.has_room(1)
    one.release()
    assert copies.bytes_held == len(CONTENT)
    assert copies.has_room(len(CONTENT))
    assert not copies.has_room(len(CONTENT) + 1)
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


def test_an_interrupted_copy_is_given_back(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: int) -> int:
        raise KeyboardInterrupt

    copies, before = Copies(1 << 20), open_descriptors()
    monkeypatch.setattr(os, "sendfile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        copies.of(fd, 1_000)
    assert (copies.bytes_held, open_descriptors()) == (0, before)


# ---- among entities


@pytest.fixture
def entities() -> Iterator[Entities]:
    before = open_descriptors()
    entities = Entities(max_bytes=3 * len(CONTENT), clock=Clock())
    yield entities
    entities.clear()
    assert (entities.copies.bytes_held, open_descriptors()) == (0, before)


def streamed(entities: Entities, path: Path) -> Entity:
    """The file, after it was sent once, as a site does: loaded, if it is not known."""
    known = entities.find(str(path))
    entity = known or loaded(entities, path)
    assert drain(entity.stream().body) == path.read_bytes()
    if known is None:
        entity.close()
    return entity


def is_copy(entity: Entity) -> bool:
    return isinstance(entity.content, Copy)


def middle_files(folder: Path, count: int) -> list[Path]:
    return [small(folder, str(number), CONTENT) for number in range(count)]


@pytest.mark.parametrize(
    ("size", "copied"), [(SMALL, False), (SMALL + 1, True), (COPIED, True), (COPIED + 1, False)]
)
def test_what_is_copied(size: int, copied: bool, tmp_path: Path) -> None:
    entities = Entities(max_bytes=2 * COPIED, clock=Clock())
    path = small(tmp_path, content=bytes(size))
    before = open_descriptors()
    entity = load(entities, path)
    for _ in range(3):
        if entity.whole is None:
            assert drain(entity.stream().body) == bytes(size)
    assert is_copy(entity) is copied
    assert entities.copies.bytes_held == size * copied
    assert open_descriptors() == before + (entity.whole is None)
    entities.clear()
    assert (entities.copies.bytes_held, open_descriptors()) == (0, before)


def test_it_is_copied_when_it_is_sent_again(entities: Entities, path: Path) -> None:
    assert not is_copy(streamed(entities, path))
    # A head, and a part of the content, are no reason.
    entity = entities.find(str(path))
    assert entity is not None
    assert (len(entity.empty.body), entity.length) == (0, len(CONTENT))  # type: ignore[arg-type]
    assert drain(entity.part(7, 10)) == CONTENT[7:17]
    assert not is_copy(entity)
    assert is_copy(streamed(entities, path))
    assert drain(entity.part(7, 10)) == CONTENT[7:17]


def test_who_began_with_the_file_ends_with_it(entities: Entities, path: Path) -> None:
    streamed(entities, path)
    entity = entities.find(str(path))
    assert entity is not None
    early = entity.part(0, len(CONTENT))
    assert is_copy(streamed(entities, path))
    assert drain(early) == CONTENT


def test_of_many_files_in_turn_some_have_their_copies(entities: Entities, tmp_path: Path) -> None:
    """Three have room.  If each made way for the next, every one would be copied anew and none found again."""
    paths, made = middle_files(tmp_path, 10), 0
    real = entities.copies.of

    def counted(fd: int, size: int) -> Copy | None:
        nonlocal made
        made += 1
        return real(fd, size)

    entities.copies.of = counted  # type: ignore[method-assign]
    for _ in range(10):
        for path in paths:
            streamed(entities, path)
    assert made == 3
    assert sum(is_copy(streamed(entities, path)) for path in paths) == 3


def test_what_is_not_asked_for_any_more_makes_way(entities: Entities, tmp_path: Path) -> None:
    paths = middle_files(tmp_path, 4)
    for path in paths[:3] * 2:
        streamed(entities, path)
    assert [is_copy(streamed(entities, paths[3])) for _ in range(3)] == [False, True, True]
    assert [entities.find(str(path)) is not None for path in paths[:3]].count(False) == 1


def test_a_copy_that_somebody_takes_slowly_stays(entities: Entities, tmp_path: Path) -> None:
    """However many files are asked for there are no more bytes than may be, and no copy is forgotten for nothing."""
    paths = middle_files(tmp_path, 4)
    for path in paths[:3] * 2:
        streamed(entities, path)
    slow = [entity.stream() for path in paths[:3] if (entity := entities.find(str(path)))]
    for _ in range(5):
        assert not is_copy(streamed(entities, paths[3]))
    assert [is_copy(streamed(entities, path)) for path in paths[:3]] == [True] * 3
    assert drain(slow[1].body) == CONTENT
    assert [is_copy(streamed(entities, paths[3])) for _ in range(2)] == [False, True]
    assert [entities.find(str(path)) is not None for path in paths[:3]] == [True, False, True]
    assert [drain(response.body) for response in (slow[0], slow[2])] == [CONTENT] * 2


def test_what_was_sent_last_stays(entities: Entities, tmp_path: Path) -> None:
    paths = middle_files(tmp_path, 4)
    for path in (*paths[:3] * 2, paths[0], paths[3], paths[3]):
        streamed(entities, path)
    assert [entities.find(str(path)) is not None for path in paths] == [True, False, True, True]


def test_a_copy_of_what_is_another_file_now_makes_way(entities: Entities, tmp_path: Path) -> None:
    paths = middle_files(tmp_path, 5)
    for path in paths[:3] * 2:
        streamed(entities, path)
    paths[0].write_bytes(CONTENT[::-1])
    assert entities.find(str(paths[0])) is None
    for path in paths[3:] * 2:
        streamed(entities, path)
    assert [is_copy(streamed(entities, path)) for path in paths[3:]] == [True, True]


def test_who_loads_a_file_may_send_it_as_often_as_it_likes(entities: Entities, path: Path) -> None:
    entity = loaded(entities, path)
    assert [drain(entity.stream().body) for _ in range(3)] == [CONTENT] * 3
    entity.close()
    assert is_copy(entity)
    assert is_copy(streamed(entities, path))


def test_what_is_forgotten_is_not_copied(entities: Entities, path: Path) -> None:
    entity = loaded(entities, path)
    entities.clear()
    assert [drain(entity.stream().body) for _ in range(3)] == [CONTENT] * 3
    assert not is_copy(entity)
    entity.close()


def test_a_file_that_would_take_all_the_room_is_not_copied(tmp_path: Path) -> None:
    entities = Entities(max_bytes=len(CONTENT) - 1, clock=Clock())
    first = small(tmp_path, "first", bytes(SMALL + 1))
    second = small(tmp_path, "second", CONTENT)
    for path in (first, first, second, second, second):
        streamed(entities, path)
    known = entities.find(str(first))
    assert known is not None
    assert is_copy(known)
    entities.clear()


@pytest.mark.parametrize("error", [False, True])
def test_what_changes_while_it_is_copied_is_read_anew(
    entities: Entities, path: Path, monkeypatch: pytest.MonkeyPatch, error: bool
) -> None:
    streamed(entities, path)
    real, new = Copies.of, CONTENT[::-1]

    def changed(copies: Copies, fd: int, size: int) -> Copy | None:
        copy = real(copies, fd, size)
        path.write_bytes(new)
        if error:
            monkeypatch.setattr(os, "fstat", fail)
        return copy

    entity = entities.find(str(path))
    assert entity is not None
    monkeypatch.setattr(Copies, "of", changed)
    sent = entity.stream()
    monkeypatch.undo()
    assert not is_copy(entity)
    with pytest.raises(FileChanged):
        drain(sent.body)
    sent.body.close()  # type: ignore[union-attr]
    assert drain(load(entities, path).stream().body) == new


# ---- over a connection


def test_an_answer_is_what_it_began_as(tmp_path: Path) -> None:
    """Whatever is written to the file meanwhile: nobody is cut off, and the next one gets what it is then."""
    old, new = b"o" * COPIED, b"n" * COPIED
    path = small(tmp_path, "middle.bin", old)
    settle(tmp_path)
    with serving(StaticFiles(tmp_path)) as server:
        assert [fetched(server.port, "/middle.bin") for _ in range(2)] == [(200, old)] * 2
        # More than the kernel holds.
        with asked(server.port, GET * 20) as sock:
            length, content = head_and_some(sock)
            with path.open("r+b") as file:
                file.write(new)
            while len(content) < length:
                content += sock.recv(1 << 20)
        assert content[:length] == old
        settle(tmp_path)
        assert fetched(server.port, "/middle.bin") == (200, new)
