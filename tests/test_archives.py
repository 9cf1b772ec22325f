"""httpd.site.archives, tar_gz and zip: a folder as an archive, made while it is sent."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from httpd.net.producers import FileChanged, Producer
from httpd.protocol.errors import HTTPError
from httpd.protocol.message import Response
from httpd.site import archives
from httpd.site.slices import LongAnswers
from httpd.site.static import StaticFiles
from httpd.site.tar_gz import TarGz
from httpd.site.zip import Zip

from .exchange import Exchange, get
from .factories import Keeping, request
from .kernel import descriptors, resident
from .live import LiveServer
from .tools import needs

KINDS = ("tar.gz", "zip")

# By what the reader must give back.
Contents = dict[str, bytes | None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "log" / "drawings").mkdir(parents=True)
    (root / "log" / "empty").mkdir()
    (root / "log" / "9.txt").write_bytes(b"nine")
    (root / "log" / "10.txt").write_bytes(b"")
    (root / "log" / "run.sh").write_bytes(b"#!/bin/sh\n" * 20_000)
    (root / "log" / "run.sh").chmod(0o700)
    (root / "log" / "drawings" / "noise").write_bytes(os.urandom(100_000))
    return root


def answer(root: Path, path: str, kind: str, method: str = "GET", site: StaticFiles | None = None) -> Response:
    return (site or StaticFiles(root))(request(path, method, query=f"download={kind}"))


def taken(producer: object) -> bytes:
    """All that a body gives; it is closed at its end, as a channel does."""
    assert isinstance(producer, Producer)
    given = bytearray()
    while (data := producer.more()) != b"":
        given += data or b""
    producer.close()  # type: ignore[attr-defined]
    return bytes(given)


def download(root: Path, path: str, kind: str, site: StaticFiles | None = None) -> bytes:
    return taken(answer(root, path, kind, site=site).body)


def contents(data: bytes, kind: str) -> Contents:
    """What an archive holds: the bytes of each file, None for each folder."""
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return {name: None if name.endswith("/") else opened.read(name) for name in opened.namelist()}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz", errors="surrogateescape") as tar:
        return {
            f"{one.name}/" if one.isdir() else one.name: None if one.isdir() else tar.extractfile(one).read()  # type: ignore[union-attr]
            for one in tar
        }


def names(root: Path, path: str = "/", kind: str = "tar.gz", **options: object) -> list[str]:
    site = StaticFiles(root, **options)  # type: ignore[arg-type]
    return list(contents(download(root, path, kind, site), kind))


def tree(folder: Path) -> Contents:
    """What an archive of the folder must hold."""
    return {
        str(path.relative_to(folder.parent)) + "/" * path.is_dir(): None if path.is_dir() else path.read_bytes()
        for path in [folder, *folder.rglob("*")]
    }


# ---- what is in it


@pytest.mark.parametrize("kind", KINDS)
def test_it_holds_the_folder_and_all_that_is_below(root: Path, kind: str) -> None:
    found = contents(download(root, "/log/", kind), kind)
    assert found == tree(root / "log")
    assert list(found) == [
        "log/", "log/drawings/", "log/drawings/noise", "log/empty/", "log/9.txt", "log/10.txt", "log/run.sh",
    ]  # fmt: skip


@pytest.mark.parametrize(("kind", "media_type"), [("tar.gz", "application/gzip"), ("zip", "application/zip")])
def test_it_is_saved_under_the_folder_s_name(root: Path, kind: str, media_type: str) -> None:
    fields = dict(answer(root, "/log/", kind).headers)
    assert fields["Content-Type"] == media_type
    assert fields["Content-Disposition"] == f"attachment; filename=\"log.{kind}\"; filename*=UTF-8''log.{kind}"
    assert 'filename="site.' in dict(answer(root, "/", kind).headers)["Content-Disposition"]


@pytest.mark.parametrize(
    ("name", "plain", "full"),
    [
        ('a"b;c', "a_b_c", "a%22b%3Bc"),
        ("bücher €", "b_cher _", "b%C3%BCcher%20%E2%82%AC"),
        ("two\r\nlines", "two__lines", "two%0D%0Alines"),
        ("caf\udce9", "caf_", "caf%EF%BF%BD"),
    ],
)
def test_odd_names_harm_no_head(root: Path, name: str, plain: str, full: str) -> None:
    os.mkdir(os.fsencode(root) + b"/" + os.fsencode(name))
    value = dict(answer(root, f"/{name}/", "zip").headers)["Content-Disposition"]
    assert value == f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{full}.zip"


def test_times_and_rights_are_kept_and_owners_are_not(root: Path) -> None:
    os.utime(root / "log" / "9.txt", (1_700_000_001, 1_700_000_001))
    with tarfile.open(fileobj=io.BytesIO(download(root, "/log/", "tar.gz"))) as tar:
        told = {one.name: (one.mode, one.uid, one.gid, one.uname) for one in tar}
        assert tar.getmember("log/9.txt").mtime == 1_700_000_001
    assert told["log/run.sh"] == (0o755, 0, 0, "")
    assert told["log/9.txt"] == (0o644, 0, 0, "")
    with zipfile.ZipFile(io.BytesIO(download(root, "/log/", "zip"))) as opened:
        assert opened.getinfo("log/9.txt").date_time == (2023, 11, 14, 22, 13, 20)
        assert opened.getinfo("log/run.sh").external_attr >> 16 == stat.S_IFREG | 0o755
        assert opened.getinfo("log/").external_attr == (stat.S_IFDIR | 0o755) << 16 | 0x10
        assert opened.getinfo("log/9.txt").extra == b"UT\5\0\1" + (1_700_000_001).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-5, (1980, 1, 1, 0, 0, 0)), (1 << 33, (2107, 12, 31, 23, 59, 58)), (0, (1980, 1, 1, 0, 0, 0))],
)
def test_times_that_an_archive_cannot_tell(root: Path, seconds: int, told: tuple[int, ...]) -> None:
    os.utime(root / "log" / "9.txt", (seconds, seconds))
    with zipfile.ZipFile(io.BytesIO(download(root, "/log/", "zip"))) as opened:
        assert opened.getinfo("log/9.txt").date_time == told
    with tarfile.open(fileobj=io.BytesIO(download(root, "/log/", "tar.gz"))) as tar:
        assert tar.getmember("log/9.txt").mtime == max(0, seconds)


@pytest.mark.parametrize("writer", [TarGz, Zip])
def test_a_time_beyond_all_calendars(writer: type[TarGz] | type[Zip]) -> None:
    beyond = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, 3, 0, 1 << 60, 0))
    made = writer()
    data = made.begin(b"far", beyond) + made.data(b"off") + made.finish() + b"".join(made.end())
    assert contents(data, "zip" if writer is Zip else "tar.gz") == {"far": b"off"}


ODD = ["naïve & “quoted”.txt", "日本語.txt", "  blanks  ", "-rf", "two\nlines", "n" * 255, "100%", "back`$(id)`"]


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_all_kinds(root: Path, kind: str) -> None:
    deep = root / "odd" / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    for name in ODD:
        (deep / name).write_text(name)
    found = contents(download(root, "/odd/", kind), kind)
    assert {name for name in found if found[name] is not None} == {
        f"odd/{'d' * 200}/{'e' * 200}/{name}" for name in ODD
    }


def test_a_name_that_is_not_utf8_keeps_its_bytes(root: Path) -> None:
    with open(os.fsencode(root) + b"/log/caf\xe9", "wb"):
        pass
    assert "log/caf\udce9" in names(root, "/log/", "tar.gz")
    # A reader that is told nothing takes the bytes for those of an old PC.
    assert "log/" + b"caf\xe9".decode("cp437") in names(root, "/log/", "zip")


# ---- what is not in it: what no listing shows


def test_hidden_and_special_files_are_left_out(root: Path) -> None:
    for name in (".env", ".git/config", "back\\slash"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("secret")
    os.mkfifo(root / "log" / "pipe")
    (root / ".well-known").mkdir()
    found = names(root)
    assert [name for name in found if "." in name] == [
        "site/.well-known/", "site/log/9.txt", "site/log/10.txt", "site/log/run.sh",
    ]  # fmt: skip
    assert not any("pipe" in name or "slash" in name for name in found)


@pytest.mark.parametrize(("symlinks", "inside", "outside"), [("inside", 1, 0), ("none", 0, 0), ("all", 1, 1)])
def test_links_are_followed_as_the_policy_says(root: Path, symlinks: str, inside: int, outside: int) -> None:
    (root.parent / "secret").write_bytes(b"secret")
    (root.parent / "vault").mkdir()
    (root.parent / "vault" / "gold").write_bytes(b"gold")
    (root / "log" / "to file").symlink_to("9.txt")
    (root / "log" / "to folder").symlink_to("drawings")
    (root / "log" / "out").symlink_to(root.parent / "secret")
    (root / "log" / "vault").symlink_to(root.parent / "vault")
    (root / "log" / "nowhere").symlink_to("nothing")
    site = StaticFiles(root, symlinks=symlinks)  # type: ignore[arg-type]
    found = contents(download(root, "/log/", "zip", site), "zip")
    assert [found.get("log/to file"), "log/to folder/noise" in found] == [b"nine" if inside else None, bool(inside)]
    assert [found.get("log/out"), found.get("log/vault/gold")] == ([b"secret", b"gold"] if outside else [None, None])
    assert not any("nowhere" in name for name in found)


def test_a_link_back_is_left_out(root: Path) -> None:
    (root / "log" / "self").symlink_to(".")
    (root / "log" / "drawings" / "up").symlink_to("../..")
    (root / "log" / "empty" / "across").symlink_to("../drawings")
    found = names(root)
    assert "site/log/empty/across/noise" in found
    assert not any("self" in name or "up" in name for name in found)


def test_of_a_folder_with_a_page_there_is_the_page(root: Path) -> None:
    (root / "log" / "drawings" / "index.html").write_text("nothing to see")
    assert names(root, "/log/")[:3] == ["log/", "log/drawings/", "log/drawings/index.html"]
    assert "log/drawings/noise" not in names(root, "/log/")
    assert "log/drawings/noise" in names(root, "/log/", index="page.html")
    assert names(root, "/log/", guard=Keeping("/log/drawings/index.html"))[:3] == [
        "log/", "log/drawings/", "log/empty/",
    ]  # fmt: skip


def test_what_a_guard_keeps_is_in_no_archive(root: Path) -> None:
    guard = Keeping("/log/9.txt", "/log/drawings/")
    assert names(root, "/log/", guard=guard) == ["log/", "log/empty/", "log/10.txt", "log/run.sh"]
    assert not any("noise" in name for name in names(root, "/", guard=guard))


def test_what_the_rules_keep_back_is_left_out(root: Path) -> None:
    (root / "_headers").write_text("/*\n  X-Secret: 1\n")
    (root / "_redirects").write_text("/log/drawings/* /elsewhere 302!\n/log/9.txt /log/10.txt 200!\n/log/run.sh /x\n")
    assert names(root) == ["site/", "site/log/", "site/log/empty/", "site/log/10.txt", "site/log/run.sh"]


def test_what_may_not_be_read_is_left_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = StaticFiles(root)
    refuse(monkeypatch, site, b"9.txt", PermissionError(13, "no"))
    found = list(contents(download(root, "/log/", "zip", site), "zip"))
    assert "log/9.txt" not in found
    assert "log/10.txt" in found


def refuse(monkeypatch: pytest.MonkeyPatch, site: StaticFiles, name: bytes, why: OSError) -> None:
    """Have whatever has that name fail to open."""
    plain = type(site.root).open

    def fails(self: object, parts: list[bytes]) -> tuple[int, os.stat_result]:
        if parts[-1:] == [name]:
            raise why
        return plain(self, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(type(site.root), "open", fails)


# ---- while it is made


def begun(root: Path, kind: str = "tar.gz") -> Producer:
    """The body of an archive of /big/, taken as far as the first of its two files."""
    (root / "big").mkdir()
    for name in ("first", "second"):
        (root / "big" / name).write_bytes(os.urandom(1_000_000))
    body = answer(root, "/big/", kind).body
    assert isinstance(body, Producer)
    while not descriptors(os.getpid(), str(root / "big" / "first")):
        body.more()
    return body


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"short"),
        lambda path: os.truncate(path, 2_000_000),
        lambda path: os.utime(path, (1, 1)),
    ],
)
def test_a_file_that_changes_meanwhile_ends_it(root: Path, kind: str, change: Callable[[Path], object]) -> None:
    body = begun(root, kind)
    change(root / "big" / "first")
    with pytest.raises(FileChanged):
        taken(body)
    body.close()  # type: ignore[attr-defined]


def test_the_client_is_told_by_a_reset(root: Path) -> None:
    (root / "big").mkdir()
    (root / "big" / "first").write_bytes(os.urandom(1_000_000))
    exchange = Exchange([get("/big/?download=tar.gz")], StaticFiles(root), room=50_000)
    (root / "big" / "first").write_bytes(b"changed")
    exchange.take()
    assert exchange.reset
    assert exchange.log.entries[0][1] == 200


def test_a_file_that_goes_before_its_turn_is_left_out(root: Path) -> None:
    body = begun(root)
    (root / "big" / "second").unlink()
    taken(body)


@pytest.mark.parametrize("kind", KINDS)
def test_trouble_of_the_server_s_own_ends_it(root: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = StaticFiles(root)
    refuse(monkeypatch, site, b"9.txt", OSError(5, "broken disk"))
    with pytest.raises(OSError, match="broken disk"):
        download(root, "/log/", kind, site)


def test_folders_without_end_end_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_DEEPEST", 3)
    (root / "1" / "2" / "3").mkdir(parents=True)
    assert names(root, "/1/") == ["1/", "1/2/", "1/2/3/"]
    (root / "1" / "2" / "3" / "4").mkdir()
    with pytest.raises(RecursionError):
        download(root, "/1/", "zip")


@pytest.mark.parametrize("kind", KINDS)
def test_no_descriptor_is_left_open(root: Path, kind: str) -> None:
    download(root, "/log/", kind)
    answer(root, "/log/", kind, "HEAD").body.close()  # type: ignore[union-attr]
    assert descriptors(os.getpid(), str(root)) == []
    body = begun(root, kind)
    assert descriptors(os.getpid(), str(root)) == [str(root / "big" / "first")]
    body.close()  # type: ignore[attr-defined]
    assert descriptors(os.getpid(), str(root)) == []


def test_head_is_the_head_alone(root: Path) -> None:
    [told] = Exchange([get("/log/?download=zip", method="HEAD")], StaticFiles(root)).answers("HEAD")
    assert (told.status, told["content-type"], told.body) == (200, "application/zip", b"")


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_with_the_connection(root: Path, kind: str) -> None:
    exchange = Exchange([get(f"/log/?download={kind}")], StaticFiles(root))
    [told] = exchange.answers()
    assert told["content-length"] == ""
    assert not told.keeps_alive
    assert contents(told.body, kind) == contents(download(root, "/log/", kind), kind)


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "path", "kind", "status"),
    [
        ({}, "/log/", "rar", 400),
        ({}, "/nothing/", "zip", 404),
        ({"archives": False}, "/log/", "zip", 403),
        ({"listing": False}, "/log/", "zip", 403),
    ],
)
def test_refusals(root: Path, options: dict[str, bool], path: str, kind: str, status: int) -> None:
    with pytest.raises(HTTPError) as refused:
        answer(root, path, kind, site=StaticFiles(root, **options))  # type: ignore[arg-type]
    assert refused.value.status == status


def test_a_folder_with_a_page_is_that_page(root: Path) -> None:
    (root / "log" / "index.html").write_text("page")
    assert answer(root, "/log/", "zip").body == b"page"


def test_only_so_many_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_long", LongAnswers(2))
    site = StaticFiles(root)
    under_way = [answer(root, "/log/", "zip", site=site) for _ in range(2)]
    with pytest.raises(HTTPError) as refused:
        answer(root, "/log/", "zip", site=site)
    assert (refused.value.status, refused.value.headers) == (503, (("Retry-After", "5"),))
    taken(under_way.pop().body)
    answer(root, "/log/", "zip", site=site)


# ---- other programs


@pytest.mark.tools
def test_tar_and_unzip_give_the_folder_back(root: Path, tmp_path: Path) -> None:
    for name in [*ODD, "caf\udce9"]:
        if name != "two\nlines":  # which unzip joins
            (root / "log" / name).write_text(str(len(name)))
    for kind, command in (("tar.gz", [needs("tar"), "xzf"]), ("zip", [needs("unzip"), "-q"])):
        where = tmp_path / kind
        where.mkdir()
        (where / "archive").write_bytes(download(root, "/log/", kind))
        subprocess.run([*command, "archive"], cwd=where, check=True, capture_output=True, timeout=60)
        assert subprocess.run([needs("diff"), "-r", "log", root / "log"], cwd=where, timeout=60).returncode == 0
        assert (where / "log" / "9.txt").stat().st_mtime == int((root / "log" / "9.txt").stat().st_mtime)
        assert os.access(where / "log" / "run.sh", os.X_OK)


def written(zip_file: Zip, members: list[tuple[bytes, bytes]], status: os.stat_result) -> bytes:
    given = bytearray()
    for name, data in members:
        given += zip_file.begin(name, status) + zip_file.data(data) + zip_file.finish()
    return bytes(given + b"".join(zip_file.end()))


@pytest.mark.tools
def test_a_zip_of_more_members_than_two_bytes_count(tmp_path: Path) -> None:
    members = [(b"%d" % number, b"") for number in range(70_000)]
    (tmp_path / "many.zip").write_bytes(written(Zip(), members, tmp_path.parent.stat()))
    with zipfile.ZipFile(tmp_path / "many.zip") as opened:
        assert opened.namelist() == [name.decode() for name, _ in members]
    subprocess.run([needs("unzip"), "-tq", tmp_path / "many.zip"], check=True, capture_output=True, timeout=60)


@pytest.mark.tools
def test_a_zip_of_more_bytes_than_four_bytes_count(tmp_path: Path) -> None:
    """What comes before is left unwritten, and the file sparse: the places beyond 4 GiB are what matters."""
    large = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, 5 << 30, 0, 0, 0))
    zip_file = Zip()
    first = zip_file.begin(b"first", large) + zip_file.data(b"one") + zip_file.finish()
    zip_file._at = at = 5 << 30
    rest = written(zip_file, [(b"second", b"two")], large)
    with open(tmp_path / "far.zip", "wb") as out:
        out.write(first)
        out.seek(at)
        out.write(rest)
    with zipfile.ZipFile(tmp_path / "far.zip") as opened:
        assert [opened.read(name) for name in opened.namelist()] == [b"one", b"two"]
        assert opened.getinfo("second").header_offset == at
    subprocess.run([needs("unzip"), "-tq", tmp_path / "far.zip"], check=True, capture_output=True, timeout=60)


# ---- a gigabyte


@pytest.mark.slow
@pytest.mark.tools
@pytest.mark.parametrize("kind", KINDS)
def test_a_gigabyte_takes_no_memory_and_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tree" / "deeper").mkdir(parents=True)
    (tmp_path / "small.txt").write_text("small")
    for name in ("one", "two", "deeper/three", "deeper/four"):
        with open(tmp_path / "tree" / name, "wb") as out:
            out.truncate(256 << 20)
    curl = needs("curl")
    with LiveServer(tmp_path, "--access-log", "off") as server:
        small = [curl, "-sf", server.url + "small.txt"]
        subprocess.run([curl, "-sf", "-o", os.devnull, server.url + f"tree/deeper/?download={kind}"], check=True)
        before = most = resident(server.pid)
        command: list[str | Path] = [curl, "-sf", "-o", tmp_path / "archive", server.url + f"tree/?download={kind}"]
        slowest, answered, began = 0.0, 0, time.monotonic()
        with subprocess.Popen(command) as whole:
            while whole.poll() is None:
                asked = time.monotonic()
                assert subprocess.run(small, capture_output=True, check=True).stdout == b"small"
                slowest = max(slowest, time.monotonic() - asked)
                answered += 1
                most = max(most, resident(server.pid))
        took = time.monotonic() - began
        assert whole.returncode == 0
    assert most - before < 4 << 20
    assert answered > 5
    # The program's own start is most of it; without slices it would be all the time that the archive takes.
    assert slowest < took / 2
    check = [needs("unzip"), "-tq"] if kind == "zip" else [needs("tar"), "tzf"]
    subprocess.run([*check, tmp_path / "archive"], check=True, capture_output=True, timeout=120)
