"""httpd.site.entities: what is remembered is what the file is."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from httpd.net.producers import FileChanged
from httpd.protocol.message import Content
from httpd.site.entities import SMALL, Entities, Entity, give_back

from .tools import open_descriptors

FIELDS = [("Content-Type", "text/plain")]


class Clock:
    """A time of day that the test sets."""

    def __init__(self) -> None:
        self.now = time.time() + 60

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entities(clock: Clock) -> Iterator[Entities]:
    entities = Entities(max_count=4, max_bytes=100_000, max_open=2, clock=clock)
    yield entities
    entities.clear()


def loaded(entities: Entities, path: Path) -> Entity:
    """Open and load, as a site does; to be closed."""
    opened = os.open(path, os.O_RDONLY)
    return entities.load(str(path), os.fsencode(path), (opened, os.fstat(opened)), FIELDS)


def load(entities: Entities, path: Path) -> Entity:
    """Open, load and let go."""
    entity = loaded(entities, path)
    entity.close()
    return entity


def drain(content: bytes | Content) -> bytes:
    if isinstance(content, bytes):
        return content
    pieces = []
    while piece := content.more():
        pieces.append(piece)
    content.close()  # type: ignore[attr-defined]
    return b"".join(pieces)


def small(folder: Path, name: str = "small", content: bytes = b"content") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def big(folder: Path, name: str = "big") -> Path:
    return small(folder, name, bytes(SMALL + 1))


def test_a_hit_is_the_very_same_response(entities: Entities, tmp_path: Path) -> None:
    path = small(tmp_path)
    entity = load(entities, path)
    found = entities.find(str(path))
    assert found is entity
    assert found.whole is not None
    assert found.whole.fields is entity.empty.fields
    assert found.whole.body == b"content"


def test_a_hit_costs_one_stat(entities: Entities, tmp_path: Path) -> None:
    path = small(tmp_path)
    load(entities, path)
    asked: list[bytes] = []

    def counted(location: bytes) -> os.stat_result:
        asked.append(location)
        return os.stat(location)

    assert entities.find(str(path), stat=counted) is not None
    assert asked == [os.fsencode(path)]


def test_the_responses_of_a_big_file_share_field_lines_and_descriptor(entities: Entities, tmp_path: Path) -> None:
    before = open_descriptors()
    entity = load(entities, big(tmp_path))
    one, two = entity.stream(), entity.stream()
    assert open_descriptors() == before + 1
    assert one.fields is two.fields
    assert one is not two
    assert (one.length, entity.empty.length, entity.empty.body) == (SMALL + 1, SMALL + 1, b"")
    entities.clear()
    assert drain(one.body) == drain(two.body) == bytes(SMALL + 1)
    assert open_descriptors() == before


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1])
def test_every_size_is_whole(entities: Entities, tmp_path: Path, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    entity = load(entities, small(tmp_path, content=content))
    assert (entity.whole is None) == (size > SMALL)
    if entity.whole:
        assert entity.whole.body == content


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"CONTENT")
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.rename(path)


def rewrite(path: Path) -> None:
    stamp = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(b"CONTENT")
    os.utime(path, ns=(stamp, stamp))


CHANGES = {
    "appended": lambda path: path.write_bytes(b"content and more"),
    "truncated": lambda path: path.write_bytes(b""),
    "replaced with the same size and time": replace,
    "rewritten with the same size and time": rewrite,
    "touched": os.utime,
    "deleted": lambda path: path.unlink(),
    "made unreadable": lambda path: path.chmod(0o200),
    "made a folder": lambda path: (path.unlink(), path.mkdir()),
    "linked elsewhere": lambda path: (path.rename(path.with_suffix(".moved")), path.symlink_to("nowhere")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(entities: Entities, tmp_path: Path, change: str) -> None:
    path = small(tmp_path)
    load(entities, path)
    time.sleep(0.02)
    CHANGES[change](path)
    assert entities.find(str(path)) is None
    assert (len(entities), entities.bytes_held) == (0, 0)


def test_what_changed_just_now_is_served_but_not_remembered(entities: Entities, clock: Clock, tmp_path: Path) -> None:
    path = small(tmp_path)
    before = open_descriptors()
    for age, remembered in [(-5.0, False), (0.0, False), (0.015, False), (0.03, True)]:
        clock.now = path.stat().st_ctime + age
        assert load(entities, path).whole is not None
        assert (entities.find(str(path)) is not None) == remembered
    path = big(tmp_path)
    clock.now = path.stat().st_ctime
    opened = os.open(path, os.O_RDONLY)
    entity = entities.load(str(path), os.fsencode(path), (opened, os.fstat(opened)), FIELDS)
    response = entity.stream()
    entity.close()
    assert entities.find(str(path)) is None
    assert drain(response.body) == bytes(SMALL + 1)
    assert open_descriptors() == before


def test_a_file_that_changed_since_it_was_opened_is_what_it_is_now(entities: Entities, tmp_path: Path) -> None:
    path = small(tmp_path)
    opened = os.open(path, os.O_RDONLY)
    status = os.fstat(opened)
    path.write_bytes(b"short")
    entity = entities.load("/x", os.fsencode(path), (opened, status), FIELDS)
    assert entity.whole is not None
    assert (entity.whole.body, entity.whole.length, entity.size) == (b"short", 5, 5)


def test_two_contents_with_one_timestamp_have_two_entity_tags(entities: Entities, tmp_path: Path) -> None:
    path = small(tmp_path)
    one = load(entities, path).etag
    rewrite(path)
    assert load(entities, path).etag != one


def test_a_time_that_no_date_can_tell_is_not_told(entities: Entities, tmp_path: Path) -> None:
    path = small(tmp_path)
    os.utime(path, (-1, -1))
    entity = load(entities, path)
    assert entity.mtime is None
    assert "Last-Modified" not in dict(entity.empty.headers)
    assert entity.etag


# ---- bounds


def test_it_is_bounded_in_number(entities: Entities, tmp_path: Path) -> None:
    paths = [small(tmp_path, str(number)) for number in range(6)]
    for path in paths:
        load(entities, path)
    assert len(entities) == 4
    assert [entities.find(str(path)) is not None for path in paths] == [False, False, True, True, True, True]


def test_what_is_used_stays(entities: Entities, tmp_path: Path) -> None:
    paths = [small(tmp_path, str(number)) for number in range(20)]
    for path in paths:
        load(entities, path)
        assert entities.find(str(paths[0])) is not None


def test_it_is_bounded_in_bytes(entities: Entities, tmp_path: Path) -> None:
    for number in range(3):
        load(entities, small(tmp_path, str(number), bytes(40_000)))
    assert (len(entities), entities.bytes_held) == (2, 80_000)


def test_it_is_bounded_in_descriptors_and_gives_them_back(entities: Entities, tmp_path: Path) -> None:
    before = open_descriptors()
    load(entities, small(tmp_path))
    for number in range(5):
        load(entities, big(tmp_path, str(number)))
    assert open_descriptors() == before + 2
    entities.trim()
    assert open_descriptors() == before
    assert len(entities) == 1


def test_a_cache_of_nothing_serves_all_the_same(tmp_path: Path, clock: Clock) -> None:
    entities = Entities(max_count=0, max_bytes=0, max_open=0, clock=clock)
    before = open_descriptors()
    assert load(entities, small(tmp_path)).whole is not None
    path = big(tmp_path)
    opened = os.open(path, os.O_RDONLY)
    entity = entities.load("/big", os.fsencode(path), (opened, os.fstat(opened)), FIELDS)
    response = entity.stream()
    entity.close()
    assert drain(response.body) == bytes(SMALL + 1)
    assert (len(entities), entities.bytes_held, open_descriptors()) == (0, 0, before)


def test_loading_again_takes_the_place_of_the_old(entities: Entities, tmp_path: Path) -> None:
    before = open_descriptors()
    path = big(tmp_path)
    load(entities, path)
    load(entities, path)
    assert (len(entities), open_descriptors()) == (1, before + 1)


def test_a_disk_that_fails_costs_no_descriptor(
    entities: Entities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = small(tmp_path), open_descriptors()

    def fail(*args: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(OSError, match="Input/output"):
        load(entities, path)
    assert open_descriptors() == before


def test_a_small_file_that_never_holds_still_is_not_served(
    entities: Entities, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before, real = small(tmp_path), open_descriptors(), os.pread
    versions = iter(range(1, 100))

    def read_while_it_changes(fd: int, size: int, at: int) -> bytes:
        data = real(fd, size, at)
        path.write_bytes(b"x" * next(versions))
        return data

    monkeypatch.setattr(os, "pread", read_while_it_changes)
    with pytest.raises(OSError, match="changes whenever"):
        load(entities, path)
    assert open_descriptors() == before


def test_a_big_file_rewritten_since_its_status_was_taken_is_not_sent(entities: Entities, tmp_path: Path) -> None:
    """Its new bytes must not go out under the old entity-tag."""
    path = big(tmp_path)
    entity = load(entities, path)
    entity = entities.find(str(path)) or entity
    with path.open("r+b") as file:
        file.write(b"new")
    content = entity.stream().body
    with pytest.raises(FileChanged):
        drain(content)
    content.close()  # type: ignore[union-attr]


def test_every_cache_of_the_process_gives_its_descriptors_back(tmp_path: Path, clock: Clock) -> None:
    # Other tests may have left a cache behind.
    give_back()
    before = open_descriptors()
    caches = [Entities(clock=clock) for _ in range(2)]
    for cache in caches:
        load(cache, big(tmp_path))
        load(cache, small(tmp_path))
    assert open_descriptors() == before + 2
    assert give_back()
    assert open_descriptors() == before
    assert [len(cache) for cache in caches] == [1, 1]
    assert not give_back()
