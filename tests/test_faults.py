"""Whatever a client, the kernel, the disk or a handler does: the server stands, the others are served, and no answer
that looks whole has wrong bytes."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd import Limits, Request, Response, Router, StaticFiles, Templates, text

from .exchange import Given, get, post, read_answers, serving
from .kernel import descriptors, needs_proc, processor_time, read_or_reset, reset, resident, until
from .live import LiveServer
from .tools import TOP

LARGE = random.Random(3).randbytes(24 << 20)
SMALL = random.Random(4).randbytes(60_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a file that is sent from memory, and one that is sent by sendfile."""
    folder = tmp_path / "www"
    folder.mkdir()
    (folder / "small.bin").write_bytes(SMALL)
    (folder / "large.bin").write_bytes(LARGE)
    return folder


def connected(port: int, timeout: float = 10) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout)


def fetched(port: int, path: str = "/small.bin") -> tuple[int, bytes]:
    """Status and content, by a client that knows nothing of ours."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(client):
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read()


def asked(port: int, data: bytes, timeout: float = 10) -> socket.socket:
    """A connection on which this was sent."""
    sock = connected(port, timeout)
    sock.sendall(data)
    return sock


def head_and_some(sock: socket.socket) -> tuple[int, bytes]:
    """The announced length, and the first bytes of the content."""
    held = b""
    while b"\r\n\r\n" not in held:
        piece = sock.recv(4_096)
        assert piece
        held += piece
    head, _, content = held.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 "), head
    [length] = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return length, content


def rest_of(sock: socket.socket, length: int, start: bytes) -> bytes:
    """All of the content, whose first bytes these are."""
    while len(start) < length:
        start += sock.recv(1 << 20)
    return start


def settle(root: Path) -> None:
    """Let the files be old enough to be remembered."""
    newest = max(file.stat().st_ctime for file in root.iterdir())
    time.sleep(max(0.0, newest + 0.05 - time.time()))


def with_few_descriptors(most: int) -> list[str]:
    """The command, allowed no more descriptors than this."""
    limited = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most})); "
    return [sys.executable, "-c", limited + "runpy.run_module('httpd', run_name='__main__', alter_sys=True)"]


def app(folder: Path, source: str) -> list[str]:
    """Options for a server of this application."""
    (folder / "faulty_app.py").write_text(source)
    return ["--app", "faulty_app:site"]


# ---- out of descriptors


def answers_of_crowd(port: int, crowd: int) -> tuple[list[socket.socket], list[bytes]]:
    """So many connections, each with a request; which are kept, and the first piece of each answer."""
    socks = [asked(port, get("/small.bin")) for _ in range(crowd)]
    answers = []
    for sock in socks:
        try:
            answers.append(sock.recv(100))
        except ConnectionResetError:
            answers.append(b"")
    return socks, answers


@pytest.mark.programs
def test_without_descriptors_connections_are_turned_away_until_there_are_some_again(root: Path) -> None:
    needs_proc()
    with LiveServer(root, "--access-log", "off", command=with_few_descriptors(20)) as server:
        # Remembered, the file needs no descriptor; those who come at once are all there before the first is answered.
        settle(root)
        assert fetched(server.port) == (200, SMALL)
        before = len(descriptors(server.pid))
        kept, answers = answers_of_crowd(server.port, 40)
        served = [answer for answer in answers if answer.startswith(b"HTTP/1.0 200")]
        turned = [answer for answer in answers if answer.startswith(b"HTTP/1.0 503")]
        assert len(served) >= 5
        assert len(turned) >= 20
        assert len(served) + len(turned) == 40
        used = processor_time(server.pid)
        time.sleep(0.5)
        assert processor_time(server.pid) - used < 0.1, "it spins"
        assert fetched(server.port)[0] == 503
        # Those who have a connection are told so where a file cannot be opened, and keep it.
        friend = kept[0]
        friend.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            read_or_reset(friend)
        friend.settimeout(10)
        friend.sendall(get("/large.bin", "Accept: text/plain"))
        assert friend.recv(12) == b"HTTP/1.0 503"
        for sock in kept:
            sock.close()
        assert until(lambda: len(descriptors(server.pid)) <= before)
        assert fetched(server.port) == (200, SMALL)
        assert server.log.count("no descriptors are left") == 1
        assert "Traceback" not in server.log


@pytest.mark.programs
@pytest.mark.parametrize(("times", "kept_as"), [(1, ".bin"), (2, "memfd:copy")])
def test_a_cache_gives_its_descriptors_to_connections(root: Path, times: int, kept_as: str) -> None:
    needs_proc()
    for number in range(12):
        (root / f"{number}.bin").write_bytes(b"x" * 200_000)
    with LiveServer(root, "--access-log", "off", command=with_few_descriptors(30)) as server:
        settle(root)
        listener = descriptors(server.pid, "socket")
        for number in [*range(12)] * times:
            assert fetched(server.port, f"/{number}.bin") == (200, b"x" * 200_000)
            # One after the other: connections that are still being closed would take the cache's room.
            assert until(lambda: descriptors(server.pid, "socket") == listener)
        assert len(descriptors(server.pid, kept_as)) == 12
        kept, answers = answers_of_crowd(server.port, 16)
        assert [answer[:12] for answer in answers] == [b"HTTP/1.0 200"] * 16
        assert len(descriptors(server.pid, kept_as)) < 12
        for sock in kept:
            sock.close()


def test_more_connections_than_may_be_are_answered(root: Path) -> None:
    with serving(StaticFiles(root), limits=Limits(connections=3)) as server:
        kept, answers = answers_of_crowd(server.port, 6)
        assert [answer[9:12] for answer in answers] == [b"200"] * 3 + [b"503"] * 3
        for sock in kept:
            sock.close()
        assert until(lambda: fetched(server.port)[0] == 200)


# ---- resets


@pytest.mark.programs
def test_clients_that_reset_while_they_load_leave_nothing_open(root: Path) -> None:
    needs_proc()
    with LiveServer(root, "--access-log", "off") as server:
        assert fetched(server.port, "/large.bin") == (200, LARGE)
        before = descriptors(server.pid)
        for _ in range(4):
            crowd = [asked(server.port, get("/large.bin")) for _ in range(50)]
            for sock in crowd:
                sock.recv(100)
            assert len(descriptors(server.pid, "socket")) >= 50
            assert len(descriptors(server.pid, "large.bin")) == 1, "one file is open once"
            for sock in crowd:
                reset(sock)
        assert until(lambda: len(descriptors(server.pid)) <= len(before))
        assert fetched(server.port, "/large.bin") == (200, LARGE)
        assert "Traceback" not in server.log


MOMENTS = {
    "connected": b"",
    "in the head": b"GET /small.bin HT",
    "in the content": post(b"x" * 1000)[:-500],
    "after a request": get("/small.bin"),
    "in an answer of a file": get("/large.bin"),
    "in an answer of a producer": get("/producer"),
    "with requests sent ahead": get("/small.bin") * 50,
    "lingering": b"GET / HTTP/1.1\r\n\r\n" + b"x" * 1000,
}


@pytest.mark.parametrize("reads", [False, True], ids=["reads nothing", "reads some"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_reset_at_any_moment(root: Path, moment: str, reads: bool, caplog: pytest.LogCaptureFixture) -> None:
    producers: list[Given] = []

    def site(request: Request) -> Response:
        if request.path == "/producer":
            producers.append(Given(*[b"x" * 100_000] * 1_000))
            return Response(producers[-1], length=100_000_000)
        return files(request)

    files = StaticFiles(root)
    with serving(site) as server:
        for _ in range(5):
            sock = asked(server.port, MOMENTS[moment])
            if reads and MOMENTS[moment].endswith(b"\r\n\r\n"):
                sock.recv(100)
            reset(sock)
        assert until(lambda: server._connections == 0)
        assert len(server.timers) == 0
        assert fetched(server.port) == (200, SMALL)
    assert all(producer.closes == 1 for producer in producers)
    assert not caplog.records


# ---- half-closed


def test_who_has_finished_sending_gets_every_answer(root: Path) -> None:
    with serving(StaticFiles(root)) as server, asked(server.port, get("/large.bin") * 2 + get("/small.bin")) as sock:
        sock.shutdown(socket.SHUT_WR)
        data, was_reset = read_or_reset(sock)
        assert not was_reset
        assert [answer.body for answer in read_answers(data)] == [LARGE, LARGE, SMALL]


@pytest.mark.parametrize("start", [b"", b"G", get()[:-1], post(b"12345")[:-1], get() + b"GET"])
def test_half_a_request_and_no_more_is_closed(start: bytes) -> None:
    with serving(lambda request: text("hello")) as server, asked(server.port, start) as sock:
        sock.shutdown(socket.SHUT_WR)
        data, _ = read_or_reset(sock)
        assert [answer.body for answer in read_answers(data)] == ([b"hello"] if start.startswith(get()) else [])
        assert until(lambda: server._connections == 0)


# ---- the disk fails


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a function of `os` fail with EIO, for regular files and their paths: the loop uses these functions, too."""
    status_of = os.fstat

    def on_disk(target: Any) -> bool:
        return isinstance(target, bytes) or (isinstance(target, int) and stat.S_ISREG(status_of(target).st_mode))

    def fail(name: str) -> None:
        real = getattr(os, name)

        def failing(*arguments: Any, **named: Any) -> Any:
            if on_disk(arguments[1 if name == "sendfile" else 0]):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, failing)

    return fail


@pytest.mark.parametrize("name", ["stat", "fstat", "pread", "open"])
def test_a_disk_that_fails_before_the_head_is_a_500(
    root: Path,
    name: str,
    fail: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving(StaticFiles(root)) as server, connected(server.port) as sock:
        fail(name)
        sock.sendall(get("/small.bin"))
        assert sock.recv(12) == b"HTTP/1.0 500"
        monkeypatch.undo()
        assert fetched(server.port) == (200, SMALL)
    assert "Input/output error" in caplog.text


@pytest.mark.parametrize("name", ["sendfile", "fstat"])
def test_a_disk_that_fails_in_the_content_cuts_it(
    root: Path,
    name: str,
    fail: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settle(root)
    with serving(StaticFiles(root)) as server, asked(server.port, get("/large.bin")) as sock:
        length, start = head_and_some(sock)
        fail(name)
        rest, was_reset = read_or_reset(sock)
        assert was_reset
        assert LARGE.startswith(start + rest)
        assert len(start + rest) < length
        monkeypatch.undo()
        assert fetched(server.port, "/large.bin") == (200, LARGE)
    assert "Input/output error" in caplog.text


def test_a_file_that_changes_while_it_is_read_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is never half of the old and half of the new."""
    settle(root)
    real = os.pread
    changed = False

    def read_slowly(descriptor: int, size: int, at: int) -> bytes:
        nonlocal changed
        if size != len(SMALL) or changed:
            return real(descriptor, size, at)
        changed = True
        half = real(descriptor, size // 2, at)
        (root / "small.bin").write_bytes(b"n" * len(SMALL))
        return half

    with serving(StaticFiles(root)) as server:
        monkeypatch.setattr(os, "pread", read_slowly)
        assert fetched(server.port) == (200, b"n" * len(SMALL))
    assert changed


# ---- the log fails


@pytest.mark.programs
def test_a_full_disk_under_the_log_stops_nobody(root: Path) -> None:
    with LiveServer(root, "--access-log", "/dev/full") as server:
        for _ in range(50):
            assert fetched(server.port) == (200, SMALL)
        assert server.wait_for("cannot write the access log: [Errno 28] No space left on device")
        assert server.log.count("cannot write") == 1


ANSWERS_AND_RAISES = """
from httpd import Router, text
site = Router()
site.get("/good")(lambda request: text("good"))
site.get("/raises")(lambda request: 1 / 0)
"""


@pytest.mark.programs
def test_a_full_disk_under_standard_error_stops_nobody(root: Path) -> None:
    """Neither the line that says where it serves, nor a traceback, can be written."""
    options = app(root, ANSWERS_AND_RAISES)
    path = root / "socket"
    command = [sys.executable, "-m", "httpd", *options, "--unix", str(path), "--access-log", "off"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TOP), os.environ.get("PYTHONPATH", "")])}
    with open("/dev/full", "w") as full, subprocess.Popen(command, stderr=full, cwd=root, env=environment) as process:
        try:
            assert until(path.exists, 30)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(path))
                sock.sendall(get("/raises") + get("/good", "Connection: close"))
                failed, good = read_answers(read_or_reset(sock)[0])
            assert (failed.status, good.body) == (500, b"good")
        finally:
            process.terminate()
        assert process.wait(15) == 0


@contextlib.contextmanager
def logging_to_a_pipe(root: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server whose log goes to standard output, which is a pipe that nobody reads; its port."""
    command = [sys.executable, "-m", "httpd", str(root), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        line = process.stderr.readline()
        try:
            yield int(line.split(b":")[-1].split(b"/")[0]), process
        finally:
            process.terminate()
            process.wait(15)


@pytest.mark.programs
def test_a_log_whose_reader_is_gone_stops_nobody(root: Path) -> None:
    with logging_to_a_pipe(root) as (port, process):
        assert process.stdout
        process.stdout.close()
        for _ in range(50):
            assert fetched(port) == (200, SMALL)


@pytest.mark.programs
def test_a_log_whose_reader_sleeps_stops_nobody(root: Path) -> None:
    """A pipe takes 64 KB; the write that it does not take must not wait.  What is left is written when it is read."""
    with logging_to_a_pipe(root) as (port, process):
        with asked(port, get("/absent") * 2_000) as sock:
            sock.shutdown(socket.SHUT_WR)
            data, was_reset = read_or_reset(sock)
        assert not was_reset
        assert data.count(b"HTTP/1.0 404") == 2_000
        assert fetched(port) == (200, SMALL)
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(2_001)]
        assert all(line.startswith(b"127.0.0.1 - - [") and line.endswith(b"\n") for line in lines)
        assert b"small.bin" in lines[-1]


# ---- handlers fail


class Faulty(Given):
    """Gives a little, and then raises."""

    def __init__(self) -> None:
        super().__init__(b"x" * 10_000, b"y" * 10_000, RuntimeError("no more"))


def faulty_site(folder: Path) -> Router:
    (folder / "broken.html").write_text("<p>{{ 1 / 0 }}")
    (folder / "halfway.html").write_text("{% for n in range(100000) %}{{ 100 / (9999 - n) }} and so on {% endfor %}")
    templates = Templates(folder)
    site = Router()
    site.get("/good")(lambda request: text("good"))
    site.get("/raises")(lambda request: {}["nothing"])
    site.get("/recursion")(lambda request: json_of_itself())
    site.get("/none")(lambda request: None)
    site.get("/number")(lambda request: 7)
    site.get("/text")(lambda request: "a text is no response")
    site.get("/class")(lambda request: Response)
    site.get("/length")(lambda request: Response(b"abc", length=5))
    site.get("/producer")(lambda request: Response(Faulty(), length=30_000))
    site.get("/endless")(lambda request: Response(Faulty()))
    site.get("/broken")(lambda request: templates.response("broken.html"))
    site.get("/halfway")(lambda request: templates.response("halfway.html"))
    site.get("/absent")(lambda request: templates.response("absent.html"))
    site.get("/slow")(lambda request: (time.sleep(0.5), text("slow"))[1])
    return site


def json_of_itself() -> Response:
    return json_of_itself()


@pytest.mark.parametrize(
    "path", ["/raises", "/recursion", "/none", "/number", "/text", "/class", "/length", "/broken", "/absent"]
)
def test_a_handler_that_fails_before_the_head_is_a_500(tmp_path: Path, path: str) -> None:
    with serving(faulty_site(tmp_path)) as server, asked(server.port, get(path) + get("/good")) as sock:
        sock.shutdown(socket.SHUT_WR)
        failed, good = read_answers(read_or_reset(sock)[0])
        assert failed.status == 500
        assert failed.keeps_alive
        assert good.body == b"good"


@pytest.mark.parametrize("path", ["/producer", "/endless", "/halfway"])
def test_content_that_fails_after_the_head_is_cut(tmp_path: Path, path: str) -> None:
    with serving(faulty_site(tmp_path)) as server:
        with asked(server.port, get(path) + get("/good")) as sock:
            data, was_reset = read_or_reset(sock)
        assert was_reset, "it looks whole"
        assert data.count(b"HTTP/1.0 ") <= 1
        assert fetched(server.port, "/good") == (200, b"good")


def test_a_slow_handler_makes_the_others_wait_and_no_more(tmp_path: Path) -> None:
    with serving(faulty_site(tmp_path)) as server, asked(server.port, get("/slow")) as slow:
        others = [asked(server.port, get("/good", "Connection: close")) for _ in range(50)]
        for sock in others:
            with sock:
                [answer] = read_answers(read_or_reset(sock)[0])
                assert answer.body == b"good"
        assert slow.recv(12) == b"HTTP/1.0 200"


# ---- clients that take nothing, and clients that say nothing


@pytest.mark.programs
def test_requests_sent_ahead_by_the_thousand_hold_one_file_and_no_memory(root: Path) -> None:
    needs_proc()
    with LiveServer(root, "--access-log", "off") as server:
        assert fetched(server.port, "/large.bin") == (200, LARGE)
        before, memory = len(descriptors(server.pid)), resident(server.pid)
        with connected(server.port) as sock:
            sock.settimeout(1)
            with contextlib.suppress(TimeoutError):
                sock.sendall(get("/large.bin") * 10_000)
            assert len(descriptors(server.pid, "large.bin")) <= 2
            assert len(descriptors(server.pid)) <= before + 2
            assert resident(server.pid) - memory < 2 << 20
            used = processor_time(server.pid)
            began = time.perf_counter()
            assert fetched(server.port) == (200, SMALL)
            assert time.perf_counter() - began < 0.5
            time.sleep(0.3)
            assert processor_time(server.pid) - used < 0.1, "it spins"
            reset(sock)
        assert until(lambda: len(descriptors(server.pid)) <= before)


# Opens connections with half a head each, says so, and counts the answers that come in the end.
SLOWLORIS = r"""
import collections, resource, select, socket, sys
port, crowd = map(int, sys.argv[1:])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
socks = []
for _ in range(crowd):
    sock = socket.create_connection(("127.0.0.1", port), 20)
    sock.sendall(b"GET /small.bin HTTP/1.1\r\nHost: a\r\nX-")
    socks.append(sock)
print("connected", flush=True)
ends = collections.Counter()
for sock in socks:
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        data += b"reset"
    ends[data[:12].decode()] += 1
    sock.close()
print(dict(ends), flush=True)
"""


@pytest.mark.slow
def test_thousands_of_heads_that_never_end_keep_nobody_waiting(root: Path) -> None:
    needs_proc()
    crowd = 5_000
    with LiveServer(root, "--access-log", "off", "--limit", "header-time=8", "--limit", "linger-time=1") as server:
        before = len(os.listdir(f"/proc/{server.pid}/fd"))
        assert fetched(server.port) == (200, SMALL)
        command = [sys.executable, "-c", SLOWLORIS, str(server.port), str(crowd)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attack:
            assert attack.stdout
            waits = []

            def fetched_once_more_and(done: bool) -> bool:
                began = time.perf_counter()
                assert fetched(server.port) == (200, SMALL)
                waits.append(time.perf_counter() - began)
                time.sleep(0.02)
                return done

            def held() -> int:
                return len(os.listdir(f"/proc/{server.pid}/fd")) - before

            assert until(lambda: fetched_once_more_and(held() >= crowd), 7), "they were not all there at once"
            used = processor_time(server.pid)
            time.sleep(0.3)
            assert processor_time(server.pid) - used < 0.1, "idle connections cost time"
            assert until(lambda: fetched_once_more_and(held() <= 0), 30)
            assert attack.stdout.read() == f"connected\n{ {'HTTP/1.0 408': crowd} }\n"
        assert sorted(waits)[len(waits) // 2] < 0.1
        assert max(waits) < 1.5


# ---- what does not belong on the wire


@pytest.mark.parametrize("cut", [1, 2, 3, 6, 200])
def test_a_tls_hello_on_the_plain_port_is_told_so(root: Path, cut: int) -> None:
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(random.Random(5).randbytes(194))
    with serving(StaticFiles(root)) as server, asked(server.port, hello[:cut]) as sock:
        time.sleep(0.02)
        sock.sendall(hello[cut:])
        data, _ = read_or_reset(sock)
        assert data.startswith(b"HTTP/1.0 400 ")
        assert b"TLS" in data


@pytest.mark.programs
def test_urgent_data_neither_spins_nor_breaks_a_request(root: Path) -> None:
    needs_proc()
    with LiveServer(root, "--access-log", "off") as server, connected(server.port) as sock:
        sock.send(b"!", socket.MSG_OOB)
        used = processor_time(server.pid)
        time.sleep(0.5)
        assert processor_time(server.pid) - used < 0.1, "it spins"
        sock.sendall(get("/small.bin")[:20])
        sock.send(b"!", socket.MSG_OOB)
        sock.sendall(get("/small.bin")[20:])
        length, content = head_and_some(sock)
        while len(content) < length:
            content += sock.recv(65_536)
        assert content == SMALL


def test_a_head_of_a_megabyte_is_refused_long_before_its_end(root: Path) -> None:
    with serving(StaticFiles(root)) as server, asked(server.port, b"GET / HTTP/1.1\r\nHost: a\r\n") as sock:
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 20:
                sock.sendall(b"X-%d: " % sent + b"x" * 1_000 + b"\r\n")
                sent += 1_010
                time.sleep(0.0005)
                sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    assert sock.recv(12) == b"HTTP/1.0 431"
                    break
                sock.settimeout(10)
        assert sent < 200_000


# ---- signals


HANDLES_SIGNALS = """
import signal
from httpd import Router, StaticFiles
count = 0
def note(*_):
    global count
    count += 1
for number in (signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGWINCH, signal.SIGVTALRM):
    signal.signal(number, note)
site = Router()
site.mount("/files", StaticFiles("."))
"""


@pytest.mark.programs
def test_signals_at_any_moment(root: Path) -> None:
    """With handlers of the application's, or none; stopped and going on: nobody misses a byte."""
    options = app(root, HANDLES_SIGNALS)
    with LiveServer(
        None, *options, "--access-log", str(root.parent / "log"), cwd=root, env={"PYTHONPATH": str(TOP)}
    ) as server:
        assert fetched(server.port, "/files/small.bin") == (200, SMALL)
        stop = threading.Event()
        kinds = [
            signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGWINCH, signal.SIGVTALRM, signal.SIGPIPE,
            signal.SIGSTOP, signal.SIGCONT, signal.SIGHUP, signal.SIGUSR1,
        ]  # fmt: skip

        def bombard() -> None:
            while not stop.is_set():
                for kind in kinds:
                    server.process.send_signal(kind)
                    time.sleep(0.0005)

        thread = threading.Thread(target=bombard)
        thread.start()
        try:
            for _ in range(10):
                assert fetched(server.port, "/files/large.bin") == (200, LARGE)
                assert fetched(server.port, "/files/small.bin") == (200, SMALL)
        finally:
            stop.set()
            thread.join()
            server.process.send_signal(signal.SIGCONT)
        assert server.stop() == 0
        assert "Traceback" not in server.log


@pytest.mark.programs
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_server_finishes_what_is_under_way(root: Path, kind: signal.Signals) -> None:
    with LiveServer(root, "--access-log", "off") as server:
        with asked(server.port, get("/large.bin")) as sock, asked(server.port, get("/small.bin")) as idle:
            assert rest_of(idle, *head_and_some(idle)) == SMALL
            length, start = head_and_some(sock)
            server.process.send_signal(kind)
            assert idle.recv(1) == b""
            assert until(lambda: refused(server.port))
            assert rest_of(sock, length, start) == LARGE
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log


def refused(port: int) -> bool:
    try:
        connected(port).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.programs
@pytest.mark.parametrize("times", [2, 3, 10, 40])
def test_a_server_that_is_told_to_stop_again_and_again_stops_at_once(root: Path, times: int) -> None:
    with LiveServer(root, "--access-log", "off") as server:
        with asked(server.port, get("/large.bin")) as sock:
            head_and_some(sock)
            began = time.monotonic()
            for _ in range(times):
                with contextlib.suppress(ProcessLookupError):
                    server.process.send_signal(signal.SIGTERM)
                time.sleep(0.001)
            # One that finds another still pending is one with it: a busy machine may have been told only once.
            while server.process.poll() is None and time.monotonic() - began < 8:
                time.sleep(0.3)
                server.process.send_signal(signal.SIGTERM)
            # What comes after the last connection was closed finds an ordinary process.
            assert server.process.wait(10) in (0, -signal.SIGTERM)
            assert time.monotonic() - began < 9
            assert read_or_reset(sock)[1]
        assert "Traceback" not in server.log


@pytest.mark.programs
@pytest.mark.parametrize("kind", [signal.SIGUSR1, signal.SIGHUP])
def test_the_log_is_opened_anew(root: Path, kind: signal.Signals) -> None:
    log = root.parent / "access.log"
    with LiveServer(root, "--access-log", str(log)) as server:
        fetched(server.port)
        assert until(log.exists)
        log.rename(log.with_suffix(".old"))
        server.process.send_signal(kind)
        assert until(log.exists)
        fetched(server.port, "/absent")
        assert until(lambda: "/absent" in log.read_text())
        assert "/absent" not in log.with_suffix(".old").read_text()
        assert server.process.poll() is None
