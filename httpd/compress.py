"""`httpd compress DIR`: make the encoded forms that are served in place of the files (see `site.siblings`).

Beside each file that gets shorter come `.zst`, `.br` and `.gz`, with the file's own time, mode and, as far as one may,
owner.  What there is already stays if it has that time; a later one may be another tool's, or of a state that the file
was taken back from, so it stays if it decodes to the file.  A form is written under another name, a hidden one, and
gets its own when it is whole, so no one ever meets half of it.  A form whose file is gone is left: it is not served.

One *task* is one file in one coding; as many are done at once as there are processors.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import math
import multiprocessing
import os
import signal
import stat
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from io import FileIO
from multiprocessing.process import BaseProcess
from shutil import get_terminal_size
from typing import BinaryIO, Literal, NamedTuple

from .command_parser import CommandParser
from .packages import needs
from .site.entries import readable_size
from .site.root import Root, hidden
from .site.siblings import SUFFIXES, siblings
from .site.types import is_compact, media_type

__all__ = ["main"]

# Below this a file goes out in one packet either way.
SMALLEST = 256
# A form must be shorter by a twentieth: less is not worth a file, and what it costs to choose between them.
WORTH = 0.95
# How much is read at once: seconds pass between two pieces at most, and then Ctrl-C is heard.
PIECE = 1 << 18
# The same of a form: it may be a thousand times as long when it is decoded.
_MORSEL = 1 << 13
# Brotli's best takes two seconds a megabyte.  Beyond this many bytes it is the second best, ten times as fast.
PATIENT = 32 << 20

_PACKAGES = {"zstd": "zstandard", "br": "brotli"}

_Feed = Callable[[bytes], bytes]
_Finish = Callable[[], bytes]


class Task(NamedTuple):
    """One file in one coding: the served folder, the names below it, the file's size in bytes.

    It is `doubtful` where there is a form already, of a later time.
    """

    root: bytes
    parts: tuple[bytes, ...]
    coding: str
    size: int
    doubtful: bool = False


class Outcome(NamedTuple):
    """What became of a task.  `after` is the form's length in bytes, `why` what to tell of a failure.

    The form of a "long" one would not be worth it; a "stopped" one was not wanted any more.
    """

    task: Task
    result: Literal["made", "fresh", "long", "failed", "stopped"]
    after: int = 0
    why: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status: 0 done, 1 some file failed, 2 wrong options, 130 interrupted."""
    parser = CommandParser(
        prog="httpd compress",
        description="Make the encoded forms (.zst, .br, .gz) of a folder's files, which httpd then sends instead.",
    )
    parser.add_argument("dir", metavar="DIR", help="the folder that is served")
    folder = parser.parse_args(argv).dir
    try:
        root = Root(folder)
    except (NotADirectoryError, FileNotFoundError):
        return _complain(f"there is no folder {folder}; name one that exists")
    began = time.monotonic()
    # Asked to end by a signal or by the keyboard: the same.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcomes = _run(root)
    except KeyboardInterrupt:
        return 130
    except BrokenProcessPool:
        return _complain("a process was killed, perhaps for want of memory; what is there is whole")
    finally:
        signal.signal(signal.SIGTERM, before)
    failed = [outcome for outcome in outcomes if outcome.result == "failed"]
    for outcome in failed:
        _complain(f"{_readable(b'/'.join(outcome.task.parts)) or folder}: {outcome.why}")
    print(_table(outcomes, time.monotonic() - began))
    return 1 if failed else 0


def _complain(what: str) -> int:
    print("httpd compress:", what, file=sys.stderr)
    return 1


# ---- what there is to do


def _run(root: Root) -> list[Outcome]:
    codings = [coding for coding in SUFFIXES if coding == "gzip" or importlib.util.find_spec(_PACKAGES[coding])]
    for coding in (coding for coding in SUFFIXES if coding not in codings):
        _complain(needs(SUFFIXES[coding].decode(), _PACKAGES[coding]))
    outcomes, tasks = [], []
    for found in _look(root, codings):
        if isinstance(found, Outcome):
            outcomes.append(found)
        else:
            tasks.append(found)
    # The long ones first, so that no processor is left alone with one at the end.
    tasks.sort(key=lambda task: -task.size)
    with _Bar(sum(task.size for task in tasks)) as bar:
        for outcome in _worked(tasks):
            outcomes.append(outcome)
            bar.advance(outcome.task)
    return outcomes


def _look(root: Root, codings: Sequence[str]) -> Iterator[Task | Outcome]:
    """What there is to do below the root.  A link to a folder is not followed: it has its files elsewhere."""
    folders: list[tuple[bytes, ...]] = [()]
    while folders:
        parts = folders.pop()
        try:
            with os.scandir(root.location(parts)) as scanned:
                entries = [entry for entry in scanned if _is_served(entry.name)]
        except OSError as why:
            yield _failed(Task(root.path, parts, "", 0), why)
            continue
        folders += [(*parts, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
        for entry in entries:
            yield from _of_file(root, (*parts, entry.name), entry, codings)


def _is_served(name: bytes) -> bool:
    return not hidden(name) and b"\\" not in name


def _of_file(
    root: Root, parts: tuple[bytes, ...], entry: os.DirEntry[bytes], codings: Sequence[str]
) -> Iterator[Task | Outcome]:
    """The tasks that a folder's entry makes, none where it is no file, is not served or is compressed in itself."""
    if is_compact(media_type(os.fsdecode(entry.name))) or (entry.is_symlink() and not root.admits(entry.path)):
        return
    try:
        status = entry.stat()
    except OSError as why:
        yield _failed(Task(root.path, parts, "", 0), why)
        return
    if not stat.S_ISREG(status.st_mode):
        return
    later = {one.coding: one.mtime_ns - status.st_mtime_ns for one in siblings(entry.path)}
    for coding in codings:
        task = Task(root.path, parts, coding, status.st_size, later.get(coding, 0) > 0)
        if later.get(coding) == 0:
            yield Outcome(task, "fresh")
        elif status.st_size >= SMALLEST or coding in later:
            yield task


def _worked(tasks: Sequence[Task]) -> Iterator[Outcome]:
    """The outcomes, in the order in which they come."""
    workers = min(len(tasks), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if workers < 2:
        yield from map(make, tasks)
        return
    with ProcessPoolExecutor(workers, initializer=_listen) as pool:
        try:
            for future in as_completed([pool.submit(make, task) for task in tasks]):
                yield future.result()
        except KeyboardInterrupt:
            # Whoever asked may have asked this process alone.
            for worker in multiprocessing.active_children():
                os.kill(worker.pid or 0, signal.SIGINT)
            pool.shutdown(cancel_futures=True)
            raise


# ---- one task, in a process that does many

_stopping = False
_leaving = False
_working = False


class _Stopped(Exception):
    """Somebody wants to end."""


def _listen() -> None:
    """Begin a process: a signal is to be heard between two pieces, and not to break anything off."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_with, args=[multiprocessing.parent_process()], daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """Wait for whoever has no time to say goodbye, and would leave this process waiting for ever."""
    parent.join()
    os._exit(1)


def _stop(*_: object) -> None:
    global _stopping
    _stopping = True


def _leave(*_: object) -> None:
    """Another process was killed, and a pool that is broken asks once, then waits: end at once, or with the task."""
    global _leaving
    _leaving = True
    _stop()
    if not _working:
        os._exit(1)


def make(task: Task) -> Outcome:
    """Do a task, and end this process after it if that was asked for meanwhile."""
    global _working
    _working = True
    try:
        return _made(task)
    finally:
        _working = False
        if _leaving:
            os._exit(1)


def _made(task: Task) -> Outcome:
    """What a task comes to.  A form that would not be worth it is not made, and one of an earlier state goes."""
    target = b"/".join((task.root, *task.parts)) + SUFFIXES[task.coding]
    try:
        if task.doubtful and _holds(task, target):
            return Outcome(task, "fresh")
        length = _write(task, target)
        if not length and os.path.isfile(target):
            os.unlink(target)
    except _Stopped:
        return Outcome(task, "stopped")
    except Exception as why:
        return _failed(task, why)
    return Outcome(task, "made", length) if length else Outcome(task, "long")


def _holds(task: Task, target: bytes) -> bool:
    """Whether the form that is there decodes to the file."""
    with open(Root(task.root).open(task.parts)[0], "rb") as source, open(target, "rb") as form:
        try:
            same = all(source.read(len(data)) == data for data in _decoded(task.coding, form))
        except _Stopped:
            raise
        except Exception:
            # Each coder has its own for what is none of its forms.
            return False
        return same and not source.read(1)


def _failed(task: Task, why: Exception) -> Outcome:
    return Outcome(task, "failed", why=getattr(why, "strerror", None) or str(why) or type(why).__name__)


def _write(task: Task, target: bytes) -> int:
    """Write a form and put it in its place: its length in bytes, 0 where it would not be worth it."""
    opened, status = Root(task.root).open(task.parts)
    with open(opened, "rb", buffering=0) as source:
        descriptor, temporary = tempfile.mkstemp(prefix=b".httpd-compress-", dir=os.path.dirname(target))
        try:
            with open(descriptor, "wb") as form:
                length = _encode(task.coding, source, form, status.st_size)
                if not length:
                    return 0
                form.flush()
                _make_alike(descriptor, status)
            now = os.fstat(opened)
            if (now.st_mtime_ns, now.st_size) != (status.st_mtime_ns, status.st_size):
                raise OSError(errno.EBUSY, "it was changed meanwhile; run this again")
            os.replace(temporary, target)
            return length
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def _encode(coding: str, source: FileIO, form: BinaryIO, size: int) -> int:
    """How many bytes of it were written, 0 once they are too many."""
    length = 0
    for data in _encoded(coding, source, size):
        length += form.write(data)
        if length > size * WORTH:
            return 0
    return length if size >= SMALLEST else 0


def _encoded(coding: str, source: FileIO, size: int) -> Iterator[bytes]:
    feed, finish = _CODERS[coding](size)
    yield from map(feed, _pieces(source, PIECE))
    yield finish()


def _decoded(coding: str, form: BinaryIO) -> Iterator[bytes]:
    """Raises some error for what is no whole form."""
    feed, is_whole = _DECODERS[coding]()
    yield from map(feed, _pieces(form, _MORSEL))
    if not is_whole():
        raise EOFError


def _pieces(file: BinaryIO | FileIO, size: int) -> Iterator[bytes]:
    while piece := file.read(size):
        if _stopping:
            raise _Stopped
        yield piece


def _make_alike(descriptor: int, status: os.stat_result) -> None:
    """Give an open file the other's owner, as far as one may, its mode and its time; and have the disk hold it."""
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & 0o777)
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))
    # A machine that stops just now must not come back with the name and without the bytes.
    os.fsync(descriptor)


def _gzip(size: int) -> tuple[_Feed, _Finish]:
    # In a header of zlib's own (31) there is neither a name nor a time: the same bytes in, the same bytes out.
    coder = zlib.compressobj(9, zlib.DEFLATED, 31, 9)
    return coder.compress, coder.flush


def _brotli(size: int) -> tuple[_Feed, _Finish]:
    coder = importlib.import_module("brotli").Compressor(quality=11 if size <= PATIENT else 9)
    return coder.process, coder.finish


def _zstd(size: int) -> tuple[_Feed, _Finish]:
    # The levels beyond need a window that browsers need not have (RFC 9659: 8 MB).
    coder = importlib.import_module("zstandard").ZstdCompressor(level=19).compressobj(size=size)
    return coder.compress, coder.flush


_CODERS = {"zstd": _zstd, "br": _brotli, "gzip": _gzip}


def _from_gzip() -> tuple[_Feed, Callable[[], bool]]:
    decoder = zlib.decompressobj(31)
    return decoder.decompress, lambda: decoder.eof


def _from_brotli() -> tuple[_Feed, Callable[[], bool]]:
    decoder = importlib.import_module("brotli").Decompressor()
    return decoder.process, decoder.is_finished


def _from_zstd() -> tuple[_Feed, Callable[[], bool]]:
    decoder = importlib.import_module("zstandard").ZstdDecompressor().decompressobj()
    return decoder.decompress, lambda: decoder.eof


_DECODERS = {"zstd": _from_zstd, "br": _from_brotli, "gzip": _from_gzip}


# ---- what is told


class _Bar:
    """How far it is, on a terminal: one line that is drawn again and again, and is gone at the end."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.drawn = -math.inf
        self.wanted = total > 0 and sys.stderr.isatty()

    def __enter__(self) -> _Bar:
        self._draw("")
        return self

    def __exit__(self, *_: object) -> None:
        if self.wanted:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def advance(self, task: Task) -> None:
        self.done += task.size
        # A terminal is slower than a small file.
        if time.monotonic() - self.drawn > 0.1:
            self._draw(_readable(task.parts[-1] + SUFFIXES[task.coding]))

    def _draw(self, name: str) -> None:
        if self.wanted:
            self.drawn = time.monotonic()
            part = self.done / self.total
            line = f"[{'#' * int(part * 30):30}] {part:4.0%}  {name}"[: get_terminal_size().columns - 1]
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _table(outcomes: Sequence[Outcome], seconds: float) -> str:
    lines = [f"{'':6}{'made':>8}{'fresh':>8}{'no gain':>9}{'failed':>8}{'before':>10}{'after':>10}{'saved':>7}"]
    for coding, suffix in SUFFIXES.items():
        own = [outcome for outcome in outcomes if outcome.task.coding == coding]
        made = [outcome for outcome in own if outcome.result == "made"]
        before, after = sum(outcome.task.size for outcome in made), sum(outcome.after for outcome in made)
        counts = "".join(
            f"{sum(outcome.result == result for outcome in own):{width}}"
            for result, width in (("made", 8), ("fresh", 8), ("long", 9), ("failed", 8))
        )
        sizes = f"{readable_size(before):>10}{readable_size(after):>10}{1 - after / before:>7.0%}" if made else ""
        if own:
            lines.append(f"{suffix.decode():6}{counts}{sizes}")
    files = len({outcome.task.parts for outcome in outcomes})
    return "\n".join([*lines, f"{files} file{'s' * (files != 1)} in {seconds:.1f} s"])


def _readable(path: bytes) -> str:
    """A path for a terminal: what is no letter there, and would do something instead, is a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in path.decode("utf-8", "replace"))
