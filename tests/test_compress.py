"""`httpd compress`: the encoded forms of a folder's files."""

from __future__ import annotations

import contextlib
import gzip
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import brotli
import pytest
import zstandard

from httpd import compress
from httpd.cli import main

from .tools import TOP
from .workbench import noise, run, until

PAGE = b"<!doctype html><title>A page</title>" + b"<p>And so on.\n" * 100
FORMS = (".zst", ".br", ".gz")
DECODE = {".zst": zstandard.decompress, ".br": brotli.decompress, ".gz": gzip.decompress}
COMMAND = (sys.executable, "-m", "httpd", "compress")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    folder.mkdir()
    return folder


def write(path: Path, data: bytes = PAGE, age: float = 100) -> Path:
    """A file last modified `age` seconds ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def forms(path: Path) -> dict[str, bytes]:
    """What lies beside a file, by suffix."""
    return {suffix: form.read_bytes() for suffix in FORMS if (form := Path(f"{path}{suffix}")).exists()}


def table(told: str) -> dict[str, list[str]]:
    """The rows of the closing table by their suffixes: made, fresh, no gain, failed, before, after, saved."""
    return {name: cells for name, *cells in (line.split() for line in told.splitlines()) if name in FORMS}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# ---- what is made


@pytest.mark.programs
def test_every_form_is_there_and_decodes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [write(folder / name) for name in ("index.html", "docs/deep/style.css", "docs/a b.js", ".well-known/x.txt")]
    assert main(["compress", str(folder)]) == 0
    for page in pages:
        made = forms(page)
        assert [*made] == [*FORMS]
        for suffix, form in made.items():
            assert DECODE[suffix](form) == PAGE
            assert len(form) < len(PAGE) / 5
    told = capsys.readouterr()
    assert told.err == ""
    lines = told.out.splitlines()
    assert lines[0].split() == ["made", "fresh", "no", "gain", "failed", "before", "after", "saved"]
    assert [row[:4] for row in table(told.out).values()] == [["4", "0", "0", "0"]] * 3
    assert lines[4].startswith("4 files in ")


@pytest.mark.programs
def test_a_form_has_the_time_the_mode_and_the_owner_of_its_file(folder: Path) -> None:
    page = write(folder / "index.html")
    page.chmod(0o640)
    os.utime(page, ns=(0, 1_234_567_890_123_456_789))
    if os.geteuid() == 0:
        os.chown(page, 1234, 4321)
    assert main(["compress", str(folder)]) == 0
    wanted = page.stat()
    for suffix in FORMS:
        status = Path(f"{page}{suffix}").stat()
        assert (status.st_mode, status.st_mtime_ns) == (wanted.st_mode, wanted.st_mtime_ns)
        assert (status.st_uid, status.st_gid) == (wanted.st_uid, wanted.st_gid)


@pytest.mark.programs
def test_the_same_bytes_in_give_the_same_bytes_out(folder: Path) -> None:
    one, two = write(folder / "one.html", age=1000), write(folder / "two.html", age=10)
    assert main(["compress", str(folder)]) == 0
    assert forms(one) == forms(two)
    # RFC 1952 §2.3: no flags, so no name; no time.
    assert forms(one)[".gz"][3:8] == bytes(5)


@pytest.mark.programs
def test_a_long_file_is_read_in_pieces(folder: Path) -> None:
    data = b"".join(b"%d, " % number for number in range(80_000))
    page = write(folder / "numbers.txt", data)
    assert main(["compress", str(folder)]) == 0
    assert {suffix: DECODE[suffix](form) == data for suffix, form in forms(page).items()} == dict.fromkeys(FORMS, True)
    # RFC 9659 §3: a decoder need not have a window of more than 8 MB.
    assert zstandard.get_frame_parameters(forms(page)[".zst"]).window_size <= 8 << 20


@pytest.mark.programs
def test_what_is_fresh_stays_and_what_has_changed_is_made_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, other = write(folder / "index.html"), write(folder / "other.html")
    assert main(["compress", str(folder)]) == 0
    before = {path: path.stat().st_ino for path in folder.iterdir()}
    assert main(["compress", str(folder)]) == 0
    assert {path: path.stat().st_ino for path in folder.iterdir()} == before
    capsys.readouterr()
    write(page, PAGE + b"more", age=50)
    assert main(["compress", str(folder)]) == 0
    assert DECODE[".br"](forms(page)[".br"]) == PAGE + b"more"
    assert all(before[path] == path.stat().st_ino for path in before if path.name.startswith(other.name))
    assert [row[:4] for row in table(capsys.readouterr().out).values()] == [["1", "1", "0", "0"]] * 3


ENCODE = {
    ".zst": zstandard.ZstdCompressor(level=1).compress, ".br": partial(brotli.compress, quality=1),
    ".gz": partial(gzip.compress, compresslevel=1, mtime=1),
}  # fmt: skip


@pytest.mark.programs
def test_somebody_elses_form_of_the_same_file_stays(folder: Path) -> None:
    """Its time is when it was made.  One that is older is not served, whatever is in it."""
    page, other = write(folder / "index.html"), write(folder / "other.html")
    theirs = {suffix: encode(PAGE) for suffix, encode in ENCODE.items()}
    for suffix, data in theirs.items():
        write(Path(f"{page}{suffix}"), data, age=99)
        write(Path(f"{other}{suffix}"), data, age=101)
    assert main(["compress", str(folder)]) == 0
    assert forms(page) == theirs
    assert all(form.stat().st_mtime == other.stat().st_mtime for form in folder.glob("other.html.*"))


@pytest.mark.programs
@pytest.mark.parametrize("content", [PAGE + b"later", PAGE[:-1], b""])
def test_the_form_of_a_state_that_a_file_was_taken_back_from_is_made_again(folder: Path, content: bytes) -> None:
    page = write(folder / "index.html")
    for suffix, encode in ENCODE.items():
        write(Path(f"{page}{suffix}"), encode(content), age=50)
    assert main(["compress", str(folder)]) == 0
    assert {suffix: DECODE[suffix](data) for suffix, data in forms(page).items()} == dict.fromkeys(FORMS, PAGE)


@pytest.mark.programs
@pytest.mark.parametrize("suffix", FORMS)
def test_what_is_no_whole_form_is_made_again(folder: Path, suffix: str) -> None:
    page = write(folder / "index.html")
    for data in (b"by somebody else", b"", ENCODE[suffix](PAGE)[:-2]):
        write(Path(f"{page}{suffix}"), data, age=50)
        assert main(["compress", str(folder)]) == 0
        assert DECODE[suffix](forms(page)[suffix]) == PAGE


# ---- what is not


@pytest.mark.programs
def test_some_files_are_left_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("photo.jpg", "film.mp4", "font.woff2", "archive.zip", "book.epub", "index.html.gz", ".hidden.html"):
        write(folder / name)
    write(folder / ".git/config")
    write(folder / "_headers")
    write(folder / "docs/_headers")
    write(folder / "back\\slash.html")
    write(folder / "small.html", PAGE[:255])
    write(folder / "noise.bin", noise(5_000))
    os.mkfifo(folder / "pipe.html")
    before = files(folder)
    assert main(["compress", str(folder)]) == 0
    assert files(folder) == before
    told = capsys.readouterr()
    assert [*table(told.out).values()] == [["0", "0", "1", "0"]] * 3
    assert told.out.splitlines()[-1].startswith("1 file in ")


@pytest.mark.programs
def test_what_is_loose_among_the_compact_is_not_left_alone(folder: Path) -> None:
    page = write(folder / "drawing.svg")
    assert main(["compress", str(folder)]) == 0
    assert len(forms(page)) == 3


@pytest.mark.programs
def test_links_are_followed_as_they_are_served(folder: Path) -> None:
    outside = write(folder.parent / "outside.html")
    page = write(folder / "docs/page.html")
    (folder / "inside.html").symlink_to(page)
    (folder / "outside.html").symlink_to(outside)
    (folder / "nowhere.html").symlink_to("nothing")
    (folder / "loop.html").symlink_to("loop.html")
    (folder / "again").symlink_to(folder)
    (folder / "parent").symlink_to(folder.parent)
    assert main(["compress", str(folder)]) == 0
    made = {name for name in files(folder) if name.endswith(FORMS)}
    assert made == {f"{name}{suffix}" for name in ("docs/page.html", "inside.html") for suffix in FORMS}
    assert {path.name for path in folder.parent.iterdir()} == {"outside.html", "www"}


@pytest.mark.programs
def test_a_stale_form_that_would_not_be_worth_it_any_more_goes(folder: Path) -> None:
    shrunk, random = write(folder / "small.html"), write(folder / "random.bin")
    assert main(["compress", str(folder)]) == 0
    write(shrunk, b"short", age=50)
    write(random, noise(5_000), age=50)
    assert main(["compress", str(folder)]) == 0
    assert files(folder) == {"small.html", "random.bin"}


def test_without_the_packages_there_is_gzip(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write(folder / "index.html")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["compress", str(folder)]) == 0
    assert [*forms(page)] == [".gz"]
    told = capsys.readouterr()
    assert ".br needs the package brotli: pip install brotli\n" in told.err
    assert ".zst needs the package zstandard: pip install zstandard\n" in told.err
    assert [line.split()[0] for line in told.out.splitlines()] == ["made", ".gz", "1"]


def test_an_empty_folder_is_soon_done(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 files in ")


# ---- what goes wrong


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_there_must_be_a_folder(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "file")
    assert main(["compress", str(folder / name)]) == 1
    told = capsys.readouterr()
    assert told.err == f"httpd compress: there is no folder {folder / name}; name one that exists\n"
    assert told.out == ""


def test_the_current_folder_may_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["compress", "."]) == 1
    assert capsys.readouterr().err == "httpd compress: there is no folder .; name one that exists\n"


@pytest.mark.programs
def test_a_form_that_cannot_be_put_there_is_told_and_the_others_are_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = write(folder / "sub/a\x1b[31mb.html")
    Path(f"{page}.br").mkdir()
    assert main(["compress", str(folder)]) == 1
    told = capsys.readouterr()
    assert told.err == "httpd compress: sub/a?[31mb.html: Is a directory\n"
    assert table(told.out)[".br"] == ["0", "0", "0", "1"]
    assert files(folder) == {f"sub/{page.name}{suffix}" for suffix in ("", ".zst", ".gz")}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "secret.html").chmod(0)
    write(folder / "closed/page.html").parent.chmod(0)
    write(folder / "blind/page.html").parent.chmod(0o400)
    try:
        assert main(["compress", str(folder)]) == 1
    finally:
        (folder / "closed").chmod(0o755)
        (folder / "blind").chmod(0o755)
    told = capsys.readouterr().err.splitlines()
    assert "httpd compress: secret.html: Permission denied" in told
    assert "httpd compress: closed: Permission denied" in told
    assert "httpd compress: blind/page.html: Permission denied" in told


@pytest.mark.programs
def test_a_folder_that_cannot_be_listed_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.scandir
    page = write(folder / "page.html")
    write(folder / "sick/page.html")

    def sick(path: bytes) -> object:
        if os.fspath(path).endswith(b"/sick"):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(os, "scandir", sick)
    assert main(["compress", str(folder)]) == 1
    assert capsys.readouterr().err == "httpd compress: sick: Input/output error\n"
    assert len(forms(page)) == 3


def test_a_file_that_changes_meanwhile_gets_no_form_of_what_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = write(folder / "index.html")
    real = compress._CODERS["gzip"]

    def while_it_is_written(size: int) -> object:
        with page.open("ab") as file:
            file.write(b"more")
        return real(size)

    monkeypatch.setitem(compress._CODERS, "gzip", while_it_is_written)
    task = compress.Task(os.fsencode(folder), (b"index.html",), "gzip", len(PAGE))
    outcome = compress.make(task)
    assert (outcome.result, outcome.why) == ("failed", "it was changed meanwhile; run this again")
    assert files(folder) == {"index.html"}


@contextlib.contextmanager
def long_work(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command at work on something that takes it a while; in the end it is gone."""
    for number in range(4):
        write(folder / f"{number}.txt", b"".join(b"%x " % (n * n) for n in range(300_000)))
    with subprocess.Popen([*COMMAND, str(folder)], cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert until(lambda: any(name.startswith(".httpd-compress-") for name in files(folder)))
            yield process
        finally:
            process.kill()


several_processes = pytest.mark.skipif(
    not Path("/proc/self/task").exists() or (os.cpu_count() or 1) < 2,
    reason="who its children are is told by Linux, and on one processor there are none",
)


def children(process: subprocess.Popen[bytes]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether there is such a process, and more of it than its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.programs
@several_processes
def test_when_it_is_killed_itself_its_processes_end(folder: Path) -> None:
    with long_work(folder) as process:
        orphans = children(process)
        assert orphans
        process.kill()
        process.communicate(timeout=30)
    assert until(lambda: not any(map(runs, orphans)), patience=30)


@pytest.mark.programs
@several_processes
def test_a_process_that_is_killed_is_told(folder: Path) -> None:
    with long_work(folder) as process:
        os.kill(children(process)[0], signal.SIGKILL)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, b"")
    assert err == b"httpd compress: a process was killed, perhaps for want of memory; what is there is whole\n"


@pytest.mark.programs
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_half(folder: Path, sign: signal.Signals) -> None:
    with long_work(folder) as process:
        process.send_signal(sign)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", b"")
    for name in files(folder) - {f"{number}.txt" for number in range(4)}:
        stem, suffix = os.path.splitext(name)
        assert DECODE[suffix]((folder / name).read_bytes()) == (folder / stem).read_bytes()


# ---- the bar


@pytest.mark.programs
def test_a_terminal_sees_how_far_it_is(folder: Path) -> None:
    for number in range(4):
        write(folder / f"{number}.txt", b"".join(b"%x " % n for n in range(20_000)))
    ours, theirs = pty.openpty()
    with subprocess.Popen([*COMMAND, str(folder)], cwd=TOP, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = bytearray()
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:
            # So a terminal tells that nobody writes to it any more.
            pass
        os.close(ours)
        out = process.communicate(timeout=30)[0]
    assert b"\r[#" in seen
    assert b"%  " in seen
    assert seen.endswith(b"\r\x1b[K")
    assert out.count(b"\n") == 5


@pytest.mark.programs
def test_a_file_sees_only_the_table(folder: Path) -> None:
    write(folder / "index.html")
    told = run(*COMMAND, folder, cwd=TOP)
    assert "\r" not in told
    assert told.count("\n") == 5
