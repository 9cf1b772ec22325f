"""httpd.site.tags: validators where the time of a file tells nothing."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from httpd import HTTPError, StaticFiles
from httpd.protocol.errors import Later
from httpd.site import tags
from httpd.site.entities import SMALL, Entities
from httpd.site.tags import HASHED, MOST, Tags, told_time

from .exchange import RESET, Exchange, get
from .factories import answered, request
from .live import LiveServer
from .test_later import Waiting
from .tools import open_descriptors
from .workbench import noise

# What files of images have, and what a clock that went wrong leaves.
NO_TIMES = [0, 1, 1.5, -5, 4_102_444_800]
SIZES = {"small": 10, "big": SMALL + 1, "huge": HASHED + 1}


def write(path: Path, content: bytes, mtime: float) -> Path:
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


def fields(site: StaticFiles, path: str = "/file") -> dict[str, str]:
    return dict(answered(site, request(path, "HEAD")).headers)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[StaticFiles]:
    """With a clock a minute ahead, so that everything is remembered."""
    (tmp_path / "www").mkdir()
    site = StaticFiles(tmp_path / "www", entities=Entities(clock=lambda: time.time() + 60))
    yield site
    site.entities.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "www" / "file"


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("mtime", NO_TIMES)
def test_no_validator_is_made_of_a_time_that_is_none(site: StaticFiles, file: Path, mtime: float, size: int) -> None:
    """Two files that differ in nothing that an image keeps: neither passes for the other."""
    found = []
    for seed in (1, 2):
        write(file, noise(size, seed), mtime)
        told = fields(site)
        assert "Last-Modified" not in told
        assert answered(site, request("/file", headers={"If-None-Match": told["ETag"]})).status == 304
        found.append(told["ETag"])
        file.unlink()
    assert len(set(found)) == 2
    assert all(etag.startswith('"') for etag in found)


@pytest.mark.parametrize("size", [0, 10, SMALL + 1, HASHED, HASHED + 1, 5 * HASHED + 7])
def test_the_same_bytes_have_the_same_tag_on_every_machine(site: StaticFiles, file: Path, size: int) -> None:
    etags = set()
    for mtime in (0, 1):
        write(file, noise(size), mtime)
        etags.add(fields(site)["ETag"])
        shutil.move(file, file.with_name(f"other{mtime}"))
    assert len(etags) == 1


@pytest.mark.parametrize("mtime", [2, 1_000_000_000, 1_000_000_000.5])
def test_any_other_time_is_believed(site: StaticFiles, file: Path, mtime: float) -> None:
    for size in SIZES.values():
        write(file, noise(size), mtime)
        told = fields(site)
        assert "Last-Modified" in told
        assert told["ETag"].startswith(f'"{file.stat().st_mtime_ns:x}-{size:x}')


def test_a_time_is_believed_once_it_has_come(tmp_path: Path) -> None:
    status = os.stat(write(tmp_path / "file", b"", 1000))
    assert told_time(status, 999.5) is None
    assert told_time(status, 1000) == 1000


@pytest.mark.parametrize("field", ["If-Modified-Since", "If-Unmodified-Since"])
def test_a_file_without_a_time_meets_no_condition_on_one(site: StaticFiles, file: Path, field: str) -> None:
    write(file, b"content", 0)
    assert site(request("/file", headers={field: "Thu, 01 Jan 1970 00:00:00 GMT"})).status == 200
    assert site(request("/file", headers={field: "Fri, 31 Dec 9999 23:59:59 GMT"})).status == 200


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_download_of_such_a_file_goes_on_by_its_tag_only(site: StaticFiles, file: Path, size: int) -> None:
    content = noise(size)
    write(file, content, 0)
    etag = fields(site)["ETag"]
    exchange = Exchange(
        [
            get("/file", "Range: bytes=5-", f"If-Range: {etag}"),
            get("/file", "Range: bytes=5-", "If-Range: Thu, 01 Jan 1970 00:00:00 GMT"),
            get("/file", 'If-Match: "x"', "Range: bytes=5-"),
        ],
        site,
    )
    part, whole, failed = exchange.answers()
    assert (part.status, part.body) == (206, content[5:])
    assert (whole.status, whole.body) == (200, content)
    assert failed.status == 412
    with pytest.raises(HTTPError):
        site(request("/file", headers={"If-Match": f"W/{etag}"}))


# ---- the price


def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read from a file gives, from now on."""
    read: list[int] = []
    real = os.pread

    def counted(fd: int, size: int, at: int) -> bytes:
        data = real(fd, size, at)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    return read


def test_a_file_is_read_for_its_tag_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its entity is forgotten; and a change is seen."""
    file = write(tmp_path / "file", noise(SMALL + 1), 0)
    site = StaticFiles(tmp_path, entities=Entities(max_open=0, clock=lambda: time.time() + 60))
    read = reads(monkeypatch)
    first = fields(site)["ETag"]
    times = len(read)
    assert times > 0
    assert [fields(site)["ETag"] for _ in range(3)] == [first] * 3
    assert len(read) == times
    time.sleep(0.02)
    write(file, noise(SMALL + 1, 2), 0)
    assert fields(site)["ETag"] != first
    assert len(read) == 2 * times


def test_what_changed_just_now_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "file", noise(SMALL + 1), 0)
    status = os.stat(tmp_path / "file")
    read = reads(monkeypatch)
    memory = Tags(10)
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    for settled, times in [(False, 1), (False, 2), (True, 3), (True, 3)]:
        memory.by_content(descriptor, status, None, settled=settled)
        assert sum(read) == times * (SMALL + 1)
    os.close(descriptor)


def test_the_hashes_remembered_are_bounded(tmp_path: Path) -> None:
    memory = Tags(3)
    for number in range(5):
        descriptor = os.open(write(tmp_path / str(number), noise(SMALL + 1, number), 0), os.O_RDONLY)
        memory.by_content(descriptor, os.fstat(descriptor), None, settled=True)
        os.close(descriptor)
    assert len(memory._digests) == 3


def test_what_is_big_is_not_read_on_the_spot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = reads(monkeypatch)
    with open(write(tmp_path / "file", bytes(HASHED), 0), "rb") as file:
        Tags(3).by_content(file.fileno(), os.fstat(file.fileno()), None, settled=True)
    assert sum(read) == HASHED
    read.clear()
    with open(write(tmp_path / "file", bytes(HASHED + 1), 0), "rb") as file, pytest.raises(Later) as raised:
        Tags(3).by_content(file.fileno(), os.fstat(file.fileno()), None, settled=True)
    assert read == []
    raised.value.work()
    assert sum(read) == HASHED + 1


# ---- beside the loop


def test_a_big_file_is_hashed_in_steps_that_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: StaticFiles, file: Path
) -> None:
    """Two clients ask at once.  Each step of the one is the other's, too, and nothing is read twice."""
    write(file, noise(3 * HASHED), 0)
    monkeypatch.setattr(tags, "_STEP", HASHED)
    read, before = reads(monkeypatch), open_descriptors()
    waiting = Waiting()
    one, two = (Exchange([get("/file", method="HEAD")], site, beside=waiting) for _ in range(2))
    steps = 0
    while waiting.jobs:
        waiting.let()
        steps += 1
    assert steps == 4  # three for the content, and one that the second client had asked for already
    assert sum(read) == 3 * HASHED
    assert len({answer["etag"] for exchange in (one, two) for answer in exchange.answers("HEAD")}) == 1
    site.entities.clear()
    assert open_descriptors() == before


def test_nobody_reads_on_for_a_client_that_has_gone(
    monkeypatch: pytest.MonkeyPatch, site: StaticFiles, file: Path
) -> None:
    """What was read is not lost: whoever asks next goes on from there."""
    write(file, noise(3 * HASHED), 0)
    monkeypatch.setattr(tags, "_STEP", HASHED)
    read, waiting = reads(monkeypatch), Waiting()
    gone = Exchange([get("/file"), RESET], site, beside=waiting)
    gone.handler.close()
    waiting.let()
    assert (waiting.jobs, sum(read)) == ([], HASHED)
    fields(site)
    assert sum(read) == 3 * HASHED


def test_a_big_file_that_changes_while_it_is_hashed_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, site: StaticFiles, file: Path
) -> None:
    write(file, noise(3 * HASHED), 0)
    monkeypatch.setattr(tags, "_STEP", HASHED)
    with pytest.raises(Later) as raised:
        site(request("/file"))
    raised.value.work()
    with file.open("r+b") as opened:
        opened.write(b"changed")
    os.utime(file, (0, 0))
    told = site(request("/file", "HEAD")).headers
    assert f"-inode{file.stat().st_ino:x}" in dict(told)["ETag"]


def test_what_would_take_too_long_is_not_hashed(site: StaticFiles, file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(MOST + 1)
    os.utime(file, (0, 0))
    assert f"-inode{file.stat().st_ino:x}" in dict(site(request("/file", "HEAD")).headers)["ETag"]


@pytest.mark.slow
def test_others_are_served_while_a_big_file_is_hashed(tmp_path: Path) -> None:
    """256 MiB, sparse; two machines with the same image say the same of it."""
    (tmp_path / "small.txt").write_text("small")
    for name in ("one", "two"):
        with (tmp_path / name).open("wb") as opened:
            opened.truncate(256 << 20)
        os.utime(tmp_path / name, (1, 1))
    with LiveServer(tmp_path, "--access-log", "off") as server, ThreadPoolExecutor(1) as pool:

        def head(path: str) -> str:
            with closing(HTTPConnection("127.0.0.1", server.port)) as client:
                client.request("HEAD", path)
                return client.getresponse().headers["ETag"]

        began = time.monotonic()
        hashed, meanwhile = pool.submit(head, "/one"), 0
        while not hashed.done():
            head("/small.txt")
            meanwhile += 1
        whole = time.monotonic() - began
        assert hashed.result() == head("/two")
    print(f"256 MiB hashed in {whole:.1f} s; meanwhile {meanwhile} other answers")
    # On the spot there would be one, at the end.
    assert meanwhile > 20
