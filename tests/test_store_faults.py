"""What befalls a store: a full disk, a file that cannot be written, somebody else's lock, a server that goes.

Each is done for real.  The answer is a 503 with Retry-After, nothing is half stored, what was acknowledged is there,
and when the fault has gone, all is well without a restart.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from httpd.inbox.opening import open_inbox
from httpd.inbox.submissions import Wanted, each, files_of, pieces
from httpd.store import sqlite as sqlite_module
from httpd.store.database import Database, open_database
from httpd.store.errors import Unavailable
from httpd.store.schema import Transaction

from .exchange import serving
from .live import LiveServer
from .postgres import PostgreSQL
from .store_app import KEPT, keep, keeping
from .tools import TOP
from .workbench import together, until

LARGE = b"x" * 1_000_000


class Answer:
    """What a request to the store's site came to."""

    def __init__(self, response: http.client.HTTPResponse, success: int = 200) -> None:
        self._success = success
        self.status = response.status
        self.body = response.read().decode()
        self.retry_after = response.headers["Retry-After"]

    @property
    def refused(self) -> bool:
        """Whether this is the refusal of a store that cannot be had."""
        assert (self.status == 503) == bool(self.retry_after), self.body
        assert self.status in (self._success, 503), self.body
        return self.status == 503


def ask(port: int, method: str = "GET", content: bytes | None = None, **headers: str) -> Answer:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(client):
        client.request(method, "/", content, headers)
        return Answer(client.getresponse())


def store(port: int, token: str, content: bytes = b"small") -> Answer:
    return ask(port, "POST", content, **{"X-Token": token})


def tokens(port: int) -> list[str]:
    return ask(port).body.split()


def app(url: str, *before: str) -> LiveServer:
    """A server of its own; `before` stands before its command."""
    return LiveServer(
        None, "--app", "tests.store_app:site", "--access-log", "off",
        command=[*before, sys.executable, "-m", "httpd"], env={"TEST_STORE": url},
    )  # fmt: skip


# ---- a form on it


def form(folder: Path, url: str, **env: str) -> LiveServer:
    """A site with a form that takes files, any number from one address."""
    settings = folder / "httpd.toml"
    fields = "name = { required = true }\nfile = { type = 'file' }"
    settings.write_text(f"[forms.'/contact']\nrate = false\n[forms.'/contact'.fields]\n{fields}\n")
    (folder / "site").mkdir(exist_ok=True)
    options = "--config", str(settings), "--inbox", url, "--access-log", "off"
    return LiveServer(folder / "site", *options, env=env)


def send(port: int, name: str, size: int) -> Answer:
    """Send the form with a file of that size."""
    head = "--x\r\nContent-Disposition: form-data; name="
    parts = f'{head}"name"\r\n\r\n{name}\r\n{head}"file"; filename="a"\r\n\r\n'
    content = parts.encode() + bytes(size) + b"\r\n--x--\r\n"
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(client):
        client.request("POST", "/contact", content, {"Content-Type": "multipart/form-data; boundary=x"})
        return Answer(client.getresponse(), 303)


def names(url: str) -> list[str]:
    """Who has sent it, in order; each with all of the file, and nothing else is there."""
    with contextlib.closing(open_inbox(url, create=False)) as database:

        def whole(seen: Transaction) -> list[str]:
            found = list(each(seen, Wanted()))
            for submission in found:
                [file] = files_of(seen, submission.id)
                assert len(b"".join(pieces(seen, submission.id, 0))) == file.size > 0
            assert seen.execute("SELECT COUNT(*) FROM files") == [(len(found),)]
            return [dict(submission.fields)["name"] for submission in found]

        return database.read(whole)


# ---- the disk


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a few megabytes, which any user may reach."""
    folder = Path(tempfile.mkdtemp(prefix="httpd-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=777", "tmpfs", str(folder)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("nothing may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.programs
def test_a_full_disk(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(8_000_000))
    with app(f"sqlite:{small_disk}/kept.db") as server:
        assert store(server.port, "first").body == "kept"
        kept = 1
        while not store(server.port, f"large{kept}", LARGE).refused:
            kept += 1
        # What is there can be read, and nothing else is there.
        assert tokens(server.port) == ["first", *sorted(f"large{number}" for number in range(1, kept))]
        ballast.unlink()
        assert store(server.port, f"large{kept}", LARGE).body == "kept"
        assert server.wait_for("the store can be written again")
    assert server.log.count("the store cannot be written: sqlite:") == 1
    assert server.log.count("database or disk is full") == 1


@pytest.mark.programs
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    with app(f"sqlite:{tmp_path}/kept.db") as server:
        assert store(server.port, "first").body == "kept"
        _, most = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (300_000, most))
        assert store(server.port, "large", LARGE).refused
        assert tokens(server.port) == ["first"]
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (most, most))
        assert store(server.port, "large", LARGE).body == "kept"
        assert tokens(server.port) == ["first", "large"]


@pytest.mark.programs
def test_a_form_whose_disk_is_full(small_disk: Path, tmp_path: Path) -> None:
    """Small ones and large ones, which are written in steps: of what is answered 503 there is nothing."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(6_000_000))
    url = f"sqlite:{small_disk}/inbox.db"
    with form(tmp_path, url) as server:
        sizes, kept = [100_000, 2_500_000], 0
        while not send(server.port, f"n{kept}", sizes[kept % 2]).refused:
            kept += 1
        assert send(server.port, "large", sizes[1]).refused
        assert names(url) == [f"n{number}" for number in range(kept)]
        ballast.unlink()
        assert not send(server.port, "large", sizes[1]).refused
        assert names(url)[-1] == "large"
        assert server.wait_for("the store can be written again")


@pytest.mark.programs
def test_a_form_whose_uploads_find_no_room(small_disk: Path, tmp_path: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(15_000_000))
    url = f"sqlite:{tmp_path}/inbox.db"
    with form(tmp_path, url, TMPDIR=str(small_disk)) as server:
        assert send(server.port, "large", 2_500_000).refused
        assert not send(server.port, "small", 1_000).refused
        ballast.unlink()
        assert not send(server.port, "large", 2_500_000).refused
    assert names(url) == ["small", "large"]


# ---- the file


@pytest.mark.programs
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    """For the superuser there is none, so the server is not."""
    folder = tmp_path
    before: list[str] = []
    if not os.getuid():
        before = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        folder = Path(tempfile.mkdtemp(prefix="httpd-read-only-"))
        os.chown(folder, 65534, 65534)
        if subprocess.run([*before, sys.executable, "-c", "import httpd"], cwd=TOP, capture_output=True).returncode:
            pytest.skip("another user may not read this checkout")
    path = folder / "kept.db"
    try:
        with app(f"sqlite:{path}", *before) as server:
            path.chmod(0o400)
            assert store(server.port, "a").refused
            assert tokens(server.port) == []
            path.chmod(0o600)
            assert store(server.port, "a").body == "kept"
        assert "readonly" in server.log
        path.chmod(0o400)
        with pytest.raises(RuntimeError, match="cannot be read and written"), app(f"sqlite:{path}", *before):
            pass
    finally:
        if folder != tmp_path:
            shutil.rmtree(folder)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Path, Database, int]]:
    """A file, its database, and the port of a server on it."""
    path = tmp_path / "kept.db"
    database = open_database(f"sqlite:{path}", [KEPT])
    with serving(keeping(database)) as server:
        yield path, database, server.port
    database.close()


@pytest.mark.programs
def test_a_lock_that_another_process_holds(
    kept: tuple[Path, Database, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, _, port = kept
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT", 0.2)
    code = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1]); other.execute('BEGIN IMMEDIATE'); "
        "print('held', flush=True); sys.stdin.read(); other.rollback()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        began = time.monotonic()
        assert store(port, "a").refused
        assert time.monotonic() - began >= 0.15
        # Who reads waits for nobody.
        assert tokens(port) == []
        other.communicate()
    assert store(port, "a").body == "kept"
    assert "database is locked" in caplog.text
    assert "the store can be written again" in caplog.text


def test_a_file_that_is_moved_away(kept: tuple[Path, Database, int], caplog: pytest.LogCaptureFixture) -> None:
    path, _, port = kept
    assert store(port, "a").body == "kept"
    path.rename(path.with_name("elsewhere"))
    assert store(port, "b").refused
    assert not path.exists()
    path.with_name("elsewhere").rename(path)
    assert store(port, "b").body == "kept"
    assert tokens(port) == ["a", "b"]
    assert "cannot be reached any more" in caplog.text


def test_a_damaged_file_and_a_copy_in_its_place(kept: tuple[Path, Database, int]) -> None:
    path, _, port = kept
    for token in "abc":
        assert store(port, token).body == "kept"
    copy = path.with_name("copy")
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("VACUUM INTO ?", (str(copy),))
    damaged = path.with_name("damaged")
    content = bytearray(copy.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    damaged.write_bytes(content)
    put_in_place(damaged, path)
    assert store(port, "d").refused
    assert ask(port).refused
    put_in_place(copy, path)
    assert store(port, "d").body == "kept"
    assert tokens(port) == ["a", "b", "c", "d"]


def test_an_empty_database_in_the_place_of_another_gets_its_tables(kept: tuple[Path, Database, int]) -> None:
    path, _, port = kept
    assert store(port, "a").body == "kept"
    path.with_name("empty").touch(0o600)
    put_in_place(path.with_name("empty"), path)
    assert store(port, "b").body == "kept"
    assert tokens(port) == ["b"]


def put_in_place(new: Path, path: Path) -> None:
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    new.rename(path)


def test_a_damaged_file_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    open_database(f"sqlite:{path}", [KEPT]).close()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        open_database(f"sqlite:{path}", [KEPT])


# ---- PostgreSQL


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgreSQL]:
    """A server that a test may stop."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture
def postgresql(own_server: PostgreSQL) -> Iterator[tuple[PostgreSQL, str]]:
    own_server.start()
    with own_server.database() as url:
        yield own_server, url
        own_server.start()


@pytest.mark.tools
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_postgresql_is_restarted_in_mid_flight(postgresql: tuple[PostgreSQL, str], end: str) -> None:
    server, url = postgresql
    database = open_database(url, [KEPT])
    over = threading.Event()

    def client(name: int) -> list[str]:
        acknowledged = []
        for number in count():
            if over.is_set():
                break
            if not store(port, token := f"{name}-{number}").refused:
                acknowledged.append(token)
        return acknowledged

    def restarts() -> None:
        for _ in range(2):
            time.sleep(0.2)
            getattr(server, end)()
            assert until(lambda: store(port, "down").refused, 60)
            server.start()
            assert until(lambda: not store(port, "up").refused, 60)

    def restarts_and_the_end() -> None:
        try:
            restarts()
        finally:
            over.set()

    with serving(keeping(database)) as httpd:
        port = httpd.port
        clients = [lambda name=name: client(name) for name in range(4)]  # type: ignore[misc]
        *acknowledged, _ = together(*clients, restarts_and_the_end)
        there = set(tokens(port))
    assert all(acknowledged)
    assert {"up", *(token for mine in acknowledged for token in mine)} <= there
    database.close()


@pytest.mark.tools
def test_a_form_whose_postgresql_is_restarted(postgresql: tuple[PostgreSQL, str], tmp_path: Path) -> None:
    server, url = postgresql
    with form(tmp_path, url) as httpd:
        assert not send(httpd.port, "before", 2_500_000).refused
        server.kill()
        assert send(httpd.port, "small", 1_000).refused
        assert send(httpd.port, "large", 2_500_000).refused
        server.start()
        assert until(lambda: not send(httpd.port, "large", 2_500_000).refused, 60)
        assert not send(httpd.port, "small", 1_000).refused
    assert names(url) == ["before", "large", "small"]


@pytest.mark.tools
def test_postgresql_is_not_there_at_the_start(
    postgresql: tuple[PostgreSQL, str], caplog: pytest.LogCaptureFixture
) -> None:
    server, url = postgresql
    server.stop()
    database = open_database(url, [KEPT])
    with serving(keeping(database)) as httpd:
        assert store(httpd.port, "a").refused
        assert ask(httpd.port).refused
        server.start()
        assert store(httpd.port, "a").body == "kept"
        assert tokens(httpd.port) == ["a"]
    database.close()
    assert "this is tried again when it is needed" in caplog.text


@pytest.mark.tools
def test_a_connection_that_is_lost_before_the_commit_is_nobodys_business(postgresql_url: str) -> None:
    database = open_database(postgresql_url, [KEPT])
    runs = []

    def work(transaction: Any) -> str:
        runs.append(True)
        result = keep(transaction, "a")
        if len(runs) == 1:
            transaction.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return result

    assert database.write(work) == "kept"
    assert len(runs) == 2
    assert database.read(lambda seen: seen.execute("SELECT token FROM kept")) == [("a",)]
    database.close()


@pytest.mark.tools
def test_those_who_lock_each_other_out_are_told_apart_and_both_served(postgresql_url: str) -> None:
    first, second = (open_database(postgresql_url, [KEPT]) for _ in range(2))
    both = threading.Barrier(2)

    def work(tokens: str) -> Callable[[Any], list[str]]:
        met = []

        def run(transaction: Any) -> list[str]:
            one = keep(transaction, tokens[0])
            if not met:
                met.append(both.wait(10))
            return [one, keep(transaction, tokens[1])]

        return run

    outcomes = together(lambda: first.write(work("ab")), lambda: second.write(work("ba")))
    assert sorted(outcomes) == [["kept", "kept"], ["known", "known"]]
    for database in (first, second):
        database.close()


@pytest.mark.tools
def test_work_that_passes_over_an_error_is_not_said_to_be_kept(postgresql_url: str) -> None:
    database = open_database(postgresql_url, [KEPT])

    def careless(transaction: Any) -> str:
        keep(transaction, "careless")
        with contextlib.suppress(Exception):
            transaction.execute("SELECT nothing")
        return "kept"

    with pytest.raises(Exception, match="passed over"):
        database.write(careless)
    good = [lambda made, token=token: keep(made, token) for token in "abc"]  # type: ignore[misc]
    outcomes = database._grouping([good[0], careless, good[1], good[2]])
    assert [result for result, _ in outcomes] == ["kept", None, "kept", "kept"]
    assert database.read(lambda seen: seen.execute("SELECT token FROM kept ORDER BY 1")) == [("a",), ("b",), ("c",)]
    database.close()


@pytest.mark.tools
def test_a_statement_that_takes_too_long_is_a_fault(postgresql_url: str) -> None:
    database = open_database(postgresql_url, [KEPT])

    def work(transaction: Any) -> None:
        keep(transaction, "a")
        transaction.execute("SET LOCAL statement_timeout = '50ms'")
        transaction.execute("SELECT pg_sleep(5)")

    with pytest.raises(Unavailable, match="statement timeout"):
        database.write(work)
    assert database.read(lambda seen: seen.execute("SELECT token FROM kept")) == []
    database.close()


@pytest.mark.tools
def test_a_right_that_is_given_later(postgresql: tuple[PostgreSQL, str], caplog: pytest.LogCaptureFixture) -> None:
    server, url = postgresql
    server.execute("CREATE ROLE guest LOGIN")
    database = open_database(url.replace("httpd@", "guest@"), [KEPT])
    with pytest.raises(Unavailable, match="permission denied"):
        database.write(lambda transaction: keep(transaction, "a"))
    server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} OWNER TO guest")
    assert database.write(lambda transaction: keep(transaction, "a")) == "kept"
    database.close()
    assert "permission denied for schema public" in caplog.text


@pytest.mark.tools
def test_who_only_keeps_needs_no_right_to_make_tables(postgresql: tuple[PostgreSQL, str]) -> None:
    _, url = postgresql
    database = open_database(url, [KEPT])
    database.write(lambda made: made.execute("CREATE ROLE keeper LOGIN"))
    database.write(lambda made: made.execute("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO keeper"))
    keeper = open_database(url.replace("httpd@", "keeper@"), [KEPT])
    assert keeper.write(lambda transaction: keep(transaction, "a")) == "kept"
    for opened in (database, keeper):
        opened.close()


@pytest.mark.tools
def test_a_commit_is_on_the_disk_whatever_the_servers_default(postgresql: tuple[PostgreSQL, str]) -> None:
    server, url = postgresql
    server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET synchronous_commit = off")
    database = open_database(url, [KEPT])
    assert database.write(lambda transaction: transaction.execute("SHOW synchronous_commit")) == [("on",)]
    database.close()


@pytest.mark.tools
def test_many_machines_start_at_once_and_share_what_is_kept(postgresql_url: str) -> None:
    databases = together(*[lambda: open_database(postgresql_url, [KEPT])] * 6)

    def race(database: Database) -> list[str]:
        return [database.write(lambda transaction, n=n: keep(transaction, f"{n}")) for n in range(50)]  # type: ignore[misc]

    told = together(*[lambda database=database: race(database) for database in databases])  # type: ignore[misc]
    assert [sum(answer == "kept" for answer in answers) for answers in zip(*told, strict=True)] == [1] * 50
    for database in databases:
        database.close()


@pytest.mark.tools
def test_a_full_disk_below_postgresql(small_disk: Path) -> None:
    """Its log of changes has room, as a log that has none ends the server; its tables have not."""
    with PostgreSQL() as server:
        place = small_disk / "tables"
        place.mkdir()
        shutil.chown(place, server.user)
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(10_000_000))
        server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        with server.database() as url:
            server.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_tablespace = small")
            database = open_database(url, [KEPT])
            with serving(keeping(database)) as httpd:
                kept = 0
                while not store(httpd.port, f"large{kept}", os.urandom(1_000_000)).refused:
                    kept += 1
                assert kept
                assert tokens(httpd.port) == [f"large{number}" for number in range(kept)]
                ballast.unlink()
                assert store(httpd.port, f"large{kept}", os.urandom(1_000_000)).body == "kept"
            database.close()
        server.execute("DROP TABLESPACE small")
