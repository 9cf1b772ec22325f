"""A parent and its workers, as real processes: replaced, reloaded, stopped, and none left behind."""

from __future__ import annotations

import base64
import contextlib
import errno
import http.client
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from httpd.inbox.opening import open_inbox
from httpd.inbox.submissions import Wanted, page
from httpd.processes.sockets import Places, hold

from .exchange import GET, get, read_answers, read_to_end
from .live import LiveServer
from .tools import TOP, needs_module, python_path

pytestmark = [
    pytest.mark.programs,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc"),
]

APP = """
import os, time
from httpd import Router, blocking, text
site = Router()
VERSION = "one"
@site.get("/")
def version(request): return text(VERSION)
@site.get("/pid")
def pid(request): return text(str(os.getpid()))
@site.get("/hang")
def hang(request): time.sleep(600)
@site.get("/large")
def large(request): return text("x" * 20_000_000)
@site.get("/long")
@blocking
def long(request):
    yield f"{os.getpid()}\\n"
    time.sleep(1)
    yield "done"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a page and an application."""
    (tmp_path / "index.html").write_text("the index")
    write_app(tmp_path, "one")
    return tmp_path


def write_app(folder: Path, version: str) -> None:
    # A module's cache goes by the second and the size of its source.
    (folder / "mine.py").write_text(APP.replace('"one"', f'"{version}"') + "#" * len(list(folder.iterdir())))


class Workers(LiveServer):
    """A parent with two workers."""

    def __init__(self, folder: Path, *options: str) -> None:
        what = options if "--app" not in options else (*options, "--access-log", "off")
        super().__init__(None, "--workers", "2", *what, cwd=folder, env={"PYTHONPATH": str(TOP)})

        # Somebody who keeps cookies.
        self.person = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    @property
    def pids(self) -> set[int]:
        """The workers' process ids."""
        return children(self.pid)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def body(self, path: str = "") -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]

    def sent(self, path: str, values: dict[str, str] | None = None) -> dict[str, Any]:
        """What is answered, on a connection of its own, as JSON; `_status` is its status."""
        data = urlencode(values).encode() if values else None
        request = urllib.request.Request(self.url + path[1:], data, {"Accept": "application/json"})
        with self.person.open(request, timeout=10) as answer:
            return {**json.load(answer), "_status": answer.status}

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def reload(self) -> bool:
        """Reload; whether it was said to have succeeded."""
        said = [self.log.count(f"httpd: {word}") for word in ("reloaded", "not reloaded")]
        self.signal(signal.SIGHUP)
        wait(lambda: said != [self.log.count(f"httpd: {word}") for word in ("reloaded", "not reloaded")])
        return self.log.count("httpd: reloaded") > said[0]


def children(pid: int) -> set[int]:
    """The living processes whose parent this is."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(path.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait(condition: Callable[[], object], patience: float = 30) -> None:
    """Wait until it comes true."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.02)


@pytest.fixture
def served(folder: Path) -> Iterator[Workers]:
    with Workers(folder, "--app", "mine:site") as server:
        yield server


# ---- start and stop


def test_a_parent_serves_nobody_and_its_workers_serve_all(served: Workers) -> None:
    assert served.log == f"httpd: serving at {served.url} with 2 workers (Ctrl-C stops)\n"
    assert len(served.pids) == 2
    assert {int(served.body("pid")) for _ in range(20)} <= served.pids


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_them(served: Workers, number: signal.Signals) -> None:
    pids = served.pids
    assert served.stop(number) == 0
    assert not any(map(alive, pids))
    assert served.log.count("\n") == 1


def test_stopping_finishes_an_answer_and_a_request_on_a_kept_connection(served: Workers) -> None:
    with served.connect() as large, served.connect() as kept:
        kept.sendall(GET)
        assert b"keep-alive" in kept.recv(65_536)
        large.sendall(get("/large"))
        large.recv(100)
        served.signal(signal.SIGTERM)
        time.sleep(0.1)
        kept.sendall(GET)
        assert read_answers(kept.recv(65_536))[0].body == b"one"
        assert len(read_to_end(large)) > 19_999_000
    assert served.process.wait(30) == 0


def test_who_comes_while_all_of_them_stop_is_sent_elsewhere(folder: Path) -> None:
    with Workers(folder, "--app", "mine:site", "--health", "/healthz", "--limit", "drain-time=60") as served:
        with served.connect() as large, served.connect() as kept:
            large.sendall(get("/large"))
            large.recv(100)
            kept.sendall(b"GET /healthz HTTP/1.1\r\n")
            served.signal(signal.SIGTERM)
            wait(lambda: refused(served.port))
            kept.sendall(b"Host: a\r\n\r\n")
            assert read_answers(read_to_end(kept))[0].status == 503
            assert len(read_to_end(large)) > 19_999_000
        assert served.process.wait(30) == 0


def refused(port: int) -> bool:
    """Whether nobody listens at a port of this machine."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_second_signal_ends_them_at_once(served: Workers) -> None:
    with served.connect() as sock:
        sock.sendall(get("/large"))
        sock.recv(100)
        began = time.monotonic()
        served.signal(signal.SIGINT)
        time.sleep(0.3)
        assert served.process.poll() is None, "it did not wait for the answer under way"
        assert served.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 8
        with pytest.raises(ConnectionResetError):
            read_to_end(sock)


def test_ctrl_c_at_a_terminal_reaches_all_processes_and_still_finishes_answers(served: Workers) -> None:
    with served.connect() as large:
        large.sendall(get("/large"))
        large.recv(100)
        for pid in [*served.pids, served.pid]:
            os.kill(pid, signal.SIGINT)
        assert len(read_to_end(large)) > 19_999_000
    assert served.process.wait(30) == 0


def test_a_whole_group_that_is_told_to_end_starts_nobody(folder: Path) -> None:
    command = [sys.executable, "-m", "httpd", "--workers", "2", "--port", "0"]
    env = {**os.environ, "PYTHONPATH": python_path()}
    for _ in range(4):
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder, env=env
        ) as parent:
            assert parent.stderr is not None
            assert parent.stderr.readline().startswith("httpd: serving at ")
            os.killpg(parent.pid, signal.SIGTERM)
            assert parent.stderr.read() == ""
            assert parent.wait(30) == 0


def test_workers_end_with_their_parent(served: Workers) -> None:
    pids = served.pids
    served.process.kill()
    wait(lambda: not any(map(alive, pids)))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--app", "nowhere:site"), "there is no module nowhere here; run httpd in the folder it is in"),
        (("--bind", "192.0.2.1"), "cannot listen on 192.0.2.1 port 0: Cannot assign requested address; check --bind"),
        (("--workers", "0.5"), "error: --workers: '0.5' is neither a number up to 1024 nor auto"),
        (("--user", "nobody-at-all"), "--user: there is no user 'nobody-at-all'; give the name of one"),
        (("--console",), "--console is for one process, and here a parent has workers; leave one of them out"),
        (("--access-log", "/nowhere/log"), "cannot open the access log /nowhere/log: No such file or directory"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(folder: Path, options: tuple[str, ...], told: str) -> None:
    command = [sys.executable, "-m", "httpd", "--port", "0", "--workers", "2", *options]
    env = {**os.environ, "PYTHONPATH": python_path()}
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=env)
    assert answer.returncode in (1, 2)
    assert answer.stderr.count("\n") == 1
    assert answer.stderr.startswith(f"httpd: {told}")


# ---- TLS


def test_all_workers_have_one_certificate_and_resume_each_others_sessions(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it cannot be kept, and also the one that takes a dead one's place."""
    needs_module("cryptography")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "index.html"))
    context = ssl._create_unverified_context()

    def asked(session: ssl.SSLSession | None = None) -> tuple[int, bytes, ssl.SSLSession | None, bool]:
        with served.connect() as sock, context.wrap_socket(sock, session=session) as secure:
            secure.sendall(get("/pid", "Connection: close"))
            worker = int(read_answers(read_to_end(secure))[0].body)
            shown = secure.getpeercert(True)
            assert shown
            return worker, shown, secure.session, secure.session_reused

    with Workers(folder, "--app", "mine:site", "--tls-self-signed") as served:
        assert served.wait_for("it cannot be kept, so the next start makes another")
        first, shown, session, _ = asked()
        os.kill(first, signal.SIGKILL)
        wait(lambda: len(served.pids) == 2 and first not in served.pids)
        found = [asked(session) for _ in range(20)]
    assert first not in {worker for worker, *_ in found}
    assert {certificate for _, certificate, *_ in found} == {shown}
    assert all(reused for *_, reused in found)
    assert served.log.count("SHA-256") == 1


# ---- death


def test_a_killed_worker_is_replaced_and_no_other_connection_is_harmed(served: Workers) -> None:
    victim, other = sorted(served.pids)
    socks = [served.connect() for _ in range(20)]
    owners = []
    for sock in socks:
        sock.sendall(get("/pid"))
        owners.append(int(read_answers(sock.recv(65_536))[0].body))
    os.kill(victim, signal.SIGKILL)
    wait(lambda: len(served.pids) == 2 and victim not in served.pids)
    for sock, owner in zip(socks, owners, strict=True):
        if owner == other:
            sock.sendall(get("/pid", "Connection: close"))
            assert int(read_answers(read_to_end(sock))[0].body) == other
        else:
            assert sock.recv(1) == b""
        sock.close()
    assert served.wait_for(f"httpd: worker {victim} was killed by SIGKILL; another is started now")
    assert served.body() == "one"


def test_a_killed_worker_loses_what_it_had_in_hand_and_nothing_else(served: Workers) -> None:
    """While others ask as fast as they can: those of the other worker notice nothing, and nobody fails twice."""
    lost: list[int] = []
    answered: Counter[int] = Counter()
    over = threading.Event()

    def ask() -> None:
        client, worker = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10), 0
        while not over.is_set():
            try:
                client.request("GET", "/pid")
                worker = int(client.getresponse().read())
                answered[worker] += 1
            except (OSError, http.client.HTTPException):
                lost.append(worker)
                client.close()
                worker = 0
        client.close()

    victim, other = sorted(served.pids)
    with ThreadPoolExecutor(4) as threads, contextlib.ExitStack() as clients:
        asking = [threads.submit(ask) for _ in range(4)]
        socks = [clients.enter_context(served.connect()) for _ in range(12)]
        for sock in socks:
            sock.sendall(get("/long", "Connection: close"))
        files = [sock.makefile("rb") for sock in socks]
        owners = [next(int(line) for line in file if line.strip().isdigit()) for file in files]
        os.kill(victim, signal.SIGKILL)
        ends = [file.read() for file in files]
        wait(lambda: len(served.pids) == 2)
        replaced = next(iter(served.pids - {other}))
        wait(lambda: answered[replaced] > 10 or answered[other] > 10_000)
        over.set()
        for one in asking:
            one.result()
    assert set(owners) == {victim, other}
    assert ends == [b"done" if owner == other else b"" for owner in owners]
    assert set(lost) <= {victim, 0}
    assert len(lost) <= 4, "each had one request under way at the most"


def test_a_worker_that_is_asked_to_end_is_replaced(served: Workers) -> None:
    victim = min(served.pids)
    os.kill(victim, signal.SIGTERM)
    wait(lambda: len(served.pids) == 2 and victim not in served.pids)
    assert served.wait_for(f"worker {victim} was told to end; another is started")


@pytest.mark.slow
def test_a_worker_that_hangs_is_killed(folder: Path) -> None:
    with Workers(folder, "--app", "mine:site", "--limit", "hang-time=1") as server, server.connect() as sock:
        pids = server.pids
        sock.sendall(get("/hang"))
        assert server.wait_for("has not answered for 1 seconds, and is killed", 20)
        wait(lambda: len(server.pids) == 2 and server.pids != pids)
        assert server.body() == "one"


# ---- reload


def test_a_reload_takes_the_application_anew(served: Workers, folder: Path) -> None:
    before = served.pids
    write_app(folder, "second")
    assert served.reload()
    wait(lambda: len(served.pids) == 2 and not served.pids & before)
    assert {served.body() for _ in range(10)} == {"second"}


def test_a_reload_that_fails_says_why_in_one_line_and_the_old_serve_on(served: Workers, folder: Path) -> None:
    before = served.pids
    (folder / "mine.py").write_text("import nothing_like_that")
    assert not served.reload()
    told = served.log.splitlines()[-1]
    assert told.startswith("httpd: not reloaded, and the old workers serve on: the application mine needs nothing_like")
    wait(lambda: served.pids == before)
    assert {served.body() for _ in range(10)} == {"one"}
    write_app(folder, "mended")
    assert served.reload()
    # The old ones may not have heard of it yet.
    wait(lambda: served.body() == "mended")


def test_a_reload_takes_the_settings_anew_and_the_addresses(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = free.getsockname()[1]
    settings = folder / "httpd.toml"
    settings.write_text('dir = "site"\naccess-log = "off"\n')
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("first")
    with Workers(folder) as server:
        server_url = server.url
        settings.write_text(f'dir = "site"\naccess-log = "off"\nunix = "{folder}/sock"\nbind = ["127.0.0.1"]\n')
        assert server.reload()
        assert server.url == server_url
        assert server.body() == "first"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(folder / "sock"))
        settings.write_text(f'dir = "site"\nbind = ["127.0.0.1", "127.0.0.2"]\nport = {other}\n')
        # The command line has the last word on the port.
        assert server.reload()
        assert not (folder / "sock").exists()
        socket.create_connection(("127.0.0.2", server.port), 10).close()
        settings.write_text('dir = "site"\nbind = "127.0.0.1"\n')
        assert server.reload()
        with pytest.raises(ConnectionRefusedError):
            wait(lambda: socket.create_connection(("127.0.0.2", server.port), 10).close())
        settings.write_text('dir = "site"\nprot = 80\n')
        assert not server.reload()
        assert "httpd.toml:2:1: there is no key prot" in server.log
        assert server.body() == "first"


def test_a_kept_connection_goes_over_a_reload(served: Workers) -> None:
    with served.connect() as sock:
        sock.sendall(GET)
        assert b"keep-alive" in sock.recv(65_536)
        assert served.reload()
        kept = True
        while kept:
            # Until its worker has heard of it, all is as before.
            sock.sendall(GET)
            [answer] = read_answers(sock.recv(65_536))
            assert answer.body == b"one"
            kept = answer.keeps_alive
        assert sock.recv(1) == b""


def test_a_unix_socket_stays_over_a_reload_and_goes_with_the_parent(folder: Path) -> None:
    path = folder / "sock"
    with Workers(folder, "--unix", str(path), "--unix-mode", "600", "--bind", "127.0.0.1") as server:
        before = path.stat()
        assert stat.S_IMODE(before.st_mode) == 0o600
        assert server.reload()
        assert path.stat().st_ino == before.st_ino
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(get("/", "Connection: close"))
            assert read_answers(read_to_end(sock))[0].body == b"the index"
    assert not path.exists()


# ---- forms

ANN = {"name": "Ann", "email": "ann@example.org", "message": "Hello"}


def test_a_form_of_one_worker_is_taken_by_every_other_also_over_a_reload(folder: Path) -> None:
    """The token is signed by whoever shows the form, the database is opened by each worker after it was forked."""
    (folder / "httpd.toml").write_text('dir = "site"\n[forms."/contact"]\nrate = false\ntoken = true\n')
    (folder / "site").mkdir()
    with Workers(folder) as server:
        shown = [server.sent("/contact")["_token"] for _ in range(12)]
        taken = [server.sent("/contact", {**ANN, "_token": token})["_status"] for token in shown[:6]]
        assert server.reload()
        taken += [server.sent("/contact", {**ANN, "_token": token})["_status"] for token in shown]
    assert taken == [201] * 18
    with contextlib.closing(open_inbox(f"sqlite:{folder}/.inbox.db", create=False)) as database:
        kept = database.read(lambda transaction: page(transaction, Wanted(), limit=100))
    # What was sent again is the same submission.
    assert len(kept) == 12


# ---- sessions


def test_who_has_logged_in_is_known_to_every_worker_also_after_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_module("itsdangerous")
    monkeypatch.setenv("ACCOUNTS", f"sqlite:{tmp_path / 'accounts.db'}")
    with Workers(TOP / "examples" / "apps", "--app", "login:site", "--request-id") as served:
        _, form = shown(served)
        shown(served, "signup", name="ada", password="lovelace", csrf_token=token_in(form))
        old, pages = served.pids, asked_of_both(served)
        assert {"Hello, ada" in page for page in pages.values()} == {True}
        assert len({token_in(page) for page in pages.values()}) == 1
        assert served.reload()
        wait(lambda: not any(map(alive, old)))
        _, page = shown(served)
        assert "Hello, ada" in page
        # What was shown before the reload is good after it.
        shown(served, "logout", csrf_token=token_in(pages.popitem()[1]))
        assert {"Hello, ada" in page for page in asked_of_both(served).values()} == {False}


def shown(served: Workers, path: str = "", **values: str) -> tuple[str, str]:
    """Which worker answers, as its requests' names begin; and the page."""
    data = urlencode(values).encode() if values else None
    with served.person.open(served.url + path, data, 10) as answer:
        return answer.headers["X-Request-Id"][:12], answer.read().decode()


def asked_of_both(served: Workers) -> dict[str, str]:
    """A page of each worker: so many are asked for at once that neither can be idle."""
    pages: dict[str, str] = {}
    with ThreadPoolExecutor(8) as threads:
        wait(lambda: pages.update(threads.map(lambda _: shown(served), range(8))) or len(pages) == 2)
    return pages


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]


# ---- logs


def test_all_workers_write_whole_lines_to_one_log_and_open_it_anew(folder: Path) -> None:
    log, moved = folder / "access.log", folder / "access.log.1"
    with Workers(folder, "--access-log", str(log)) as server:
        asked = [subprocess.Popen([sys.executable, "-c", ASKING, server.url, "300"]) for _ in range(2)]
        wait(lambda: log.exists() and log.stat().st_size > 10_000)
        log.rename(moved)
        server.signal(signal.SIGUSR1)
        wait(log.exists)
        assert [process.wait(60) for process in asked] == [0, 0]
        body = server.body("index.html")
        assert body == "the index"
    lines = (moved.read_text() + log.read_text()).splitlines()
    assert len(lines) == 601
    assert all(re.fullmatch(r'127\.0\.0\.1 - - \[.*\] "GET /\S* HTTP/1\.[01]" 200 9 ".*" ".*"', line) for line in lines)


ASKING = """
import sys, urllib.request
for number in range(int(sys.argv[2])):
    assert urllib.request.urlopen(f"{sys.argv[1]}?{number}" + "x" * 1000).read() == b"the index"
"""


def test_what_all_workers_find_is_told_once(folder: Path) -> None:
    bcrypt = pytest.importorskip("bcrypt")
    (folder / ".users").write_text(f"alice:{bcrypt.hashpw(b'secret', bcrypt.gensalt(5)).decode()}\n")
    with Workers(folder, "--auth", str(folder / ".users"), "--bind", "0.0.0.0") as server:
        wait(lambda: "passwords are sent unencrypted" in server.log)
    assert server.log.count("passwords are sent unencrypted") == 1


def test_a_guesser_has_no_more_tries_where_there_are_more_workers(folder: Path) -> None:
    """Nor after a reload."""
    bcrypt = pytest.importorskip("bcrypt")
    (folder / ".users").write_text(f"alice:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")

    def status(server: Workers, password: str) -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as client:
            given = base64.b64encode(f"alice:{password}".encode()).decode()
            client.request("GET", "/", headers={"Authorization": f"Basic {given}"})
            return client.getresponse().status

    with Workers(folder, "--auth", str(folder / ".users")) as server:
        with ThreadPoolExecutor(8) as guesser:
            got = [*guesser.map(lambda number: status(server, f"guess {number}"), range(60))]
        assert Counter(got) == {401: 10, 429: 50}
        assert server.reload()
        assert Counter(status(server, f"once more {number}") for number in range(10)) == {429: 10}


# ---- who the workers are

WHO = """
@site.get("/who")
def who(request):
    ways = []
    for way in (os.setuid, os.seteuid, os.setgid, os.setegid):
        try: way(0); ways.append(way.__name__)
        except PermissionError: pass
    try: os.setgroups([0]); ways.append("setgroups")
    except PermissionError: pass
    return text(f"{os.getresuid()} {os.getresgid()} {os.getgroups()} {ways} {os.environ['HOME']}")
"""
NOBODY = "(65534, 65534, 65534) (65534, 65534, 65534) [65534] [] /nonexistent"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_workers_become_a_user_who_cannot_come_back() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "mine.py").write_text(APP + WHO)
        path = str(folder / "socket")
        with Workers(folder, "--app", "mine:site", "--user", "nobody", "--unix", path, "--bind", "127.0.0.1") as server:
            assert server.body("who") == NOBODY
            assert all(os.stat(f"/proc/{pid}").st_uid == 65534 for pid in server.pids)
            assert os.stat(path).st_uid == 65534
            # The parent still can: a port below 1024 at the next reload, a key that only root reads.
            assert server.reload()
            assert server.body("who") == NOBODY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_log_that_the_user_may_not_write_is_told_at_the_start() -> None:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        options = ["--port", "0", "--user", "nobody", "--access-log", f"{name}/log"]
        command = [sys.executable, "-m", "httpd", name, *options]
        env = {**os.environ, "PYTHONPATH": python_path()}
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"httpd: cannot open the access log {name}/log: Permission denied; ")
    assert answer.stderr.endswith(" (as nobody)\n")


def test_pages_for_the_operator_that_are_added_come_to_the_port_of_those_that_are_there(tmp_path: Path) -> None:
    needs_module("prometheus_client")
    site, file = tmp_path / "site", tmp_path / "httpd.toml"
    site.mkdir()
    file.write_text("status = true\n")
    with Workers(site, "--config", str(file)) as served:
        assert served.wait_for("the status page is at")
        page = re.search(r"the status page is at (\S+)", served.log)
        assert page
        file.write_text("status = true\nmetrics = true\n")
        assert served.reload()
        assert served.wait_for(f"the metrics are at {page[1]}metrics")
        wait(lambda: b"httpd_workers 2.0" in urllib.request.urlopen(f"{page[1]}metrics", timeout=10).read())


def test_a_reload_changes_no_file_that_has_taken_the_place_of_the_socket(tmp_path: Path) -> None:
    path, secret = tmp_path / "sock", tmp_path / "secret"
    secret.touch(0o600)
    places = Places((), 0, unix=str(path), unix_mode=0o666)
    held = hold(places)
    try:
        hold(places, held).let_go()
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        path.unlink()
        path.symlink_to(secret)
        with pytest.raises(OSError, match="no socket"):
            hold(places, held)
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    finally:
        held.let_go()
