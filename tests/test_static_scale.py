"""Folders and files of a size that breaks servers: all of it comes, nobody else waits for it, memory stays flat."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import unquote

import pytest

from .exchange import Answer, get, read_answers
from .kernel import needs_proc, resident
from .live import LiveServer
from .static_rows import fetch
from .tools import needs

pytestmark = pytest.mark.slow

MIB = 1 << 20
# Seconds that a small file may take meanwhile.  It is milliseconds; but this process is as busy as the server then.
PATIENCE = 5.0
CROWD = [f"file {number} & more.txt" for number in range(100_000)]


def ask(server: LiveServer, path: str, *fields: str, version: str = "1.1") -> Answer:
    [answer] = read_answers(fetch(server.port, get(path, *fields, "Connection: close", version=version), 60))
    return answer


class Watch:
    """What a server needs while something is going on: bytes of memory at most, seconds for a small file at worst."""

    def __init__(self, server: LiveServer) -> None:
        needs_proc()
        self.server = server
        ask(server, "/small.txt")
        self.before = self.most = resident(server.pid)
        self.worst = 0.0

    @property
    def growth(self) -> int:
        return self.most - self.before

    def during(self, *work: Callable[[], object]) -> None:
        """Do all of the work at once, looking every few milliseconds; raises what it raises."""
        with ThreadPoolExecutor(len(work)) as pool:
            pending: set[Future[object]] = {pool.submit(each) for each in work}
            while pending:
                begin = time.perf_counter()
                assert ask(self.server, "/small.txt").body == b"small"
                self.worst = max(self.worst, time.perf_counter() - begin)
                self.most = max(self.most, resident(self.server.pid))
                done, pending = wait(pending, 0.02)
                for each in done:
                    each.result()

    def __str__(self) -> str:
        return f"{self.growth / MIB:.1f} MiB more, {1000 * self.worst:.0f} ms at worst for a small file meanwhile"


@contextlib.contextmanager
def serving(site: Path) -> Iterator[LiveServer]:
    (site / "small.txt").write_text("small")
    with LiveServer(site, "--access-log", "off") as server:
        yield server


# ---- a folder of 100,000 files


def names_in_html(body: bytes) -> list[str]:
    return [unquote(html.unescape(link)) for link in re.findall(r'href="(file[^"]+)"', body.decode())]


def names_in_json(body: bytes) -> list[str]:
    return [entry["name"] for entry in json.loads(body)["entries"]]


def names_in_text(body: bytes) -> list[str]:
    return [line[32:] for line in body.decode().splitlines()]


FORMS = {"text/html": names_in_html, "application/json": names_in_json, "text/plain": names_in_text}


def lists_all(server: LiveServer, form: str, version: str = "1.1") -> None:
    answer = ask(server, "/crowd/", f"Accept: {form}", version=version)
    assert (answer.status, answer["Content-Type"].partition(";")[0]) == (200, form)
    assert FORMS[form](answer.body) == CROWD


def test_a_folder_of_many_files_is_listed_whole_and_memory_stays_flat(tmp_path: Path) -> None:
    (tmp_path / "crowd").mkdir()
    for name in CROWD:
        os.mknod(tmp_path / "crowd" / name)
    with serving(tmp_path) as server:
        lists_all(server, "application/json")
        lists_all(server, "text/plain")
        watch = Watch(server)
        growth = []
        for _ in range(2):
            watch.during(*[lambda v=v: lists_all(server, "text/html", v) for v in ("1.0", "1.1", "1.1")])
            growth.append(watch.growth)
    print(f"100,000 files listed three times at once, twice: {watch}")
    assert watch.worst < PATIENCE
    assert growth[0] < 64 * MIB
    assert growth[1] - growth[0] < 4 * MIB


# ---- a file of four gigabytes, sparse

HUGE = 4096
# What lies where, in blocks of a MiB; everything else is zeros.
MARKS = {number: bytes([number % 251 + 1]) * MIB for number in (0, 511, 512, 2047, 2048, 2049, 3000, HUGE - 1)}
ZEROS = bytes(MIB)


def fetch_part(server: LiveServer, curl: str, number: int, parts: int) -> None:
    """Have curl fetch one of the parts into a pipe, and compare each block with what should be there."""
    blocks = range(number * HUGE // parts, (number + 1) * HUGE // parts)
    asked = f"{blocks.start * MIB}-{blocks.stop * MIB - 1}"
    command = [curl, "--silent", "--fail", "--noproxy", "*", "--range", asked, server.url + "huge.bin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, pipesize=MIB) as program:
        assert program.stdout is not None
        for block in blocks:
            assert program.stdout.read(MIB) == MARKS.get(block, ZEROS), block
        assert program.stdout.read() == b""
    assert program.returncode == 0


def test_four_gigabytes_in_eight_parts_at_once_leave_memory_as_it_was(tmp_path: Path) -> None:
    curl = needs("curl")
    with (tmp_path / "huge.bin").open("wb") as file:
        for place, block in MARKS.items():
            file.seek(place * MIB)
            file.write(block)
    with serving(tmp_path) as server:
        watch = Watch(server)
        watch.during(*[lambda number=number: fetch_part(server, curl, number, 8) for number in range(8)])
    print(f"4 GiB in eight parts at once: {watch}")
    assert watch.growth < 2 * MIB
    assert watch.worst < PATIENCE
