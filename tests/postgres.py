"""A real PostgreSQL server of Debian's package, in a temporary folder, for as long as a test needs one.

    def test_it(postgresql_url): ...          # an empty database, on a server that the tests of a process share

    with PostgreSQL(durable=True) as server, server.database() as url:
        server.kill()                         # as when the machine falls
        server.start()

It trusts whoever comes to its loopback port or its unix socket, and does not run as root: then it runs as `postgres`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from .proxies import free_port
from .tools import missing, needs_module
from .workbench import until

__all__ = ["PostgreSQL", "shared"]

_numbers = count(1)


def _program(name: str) -> str:
    """The newest server's program of this name.  The test ends here where there is none."""
    folders = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    found = sorted(folders, key=lambda path: float(path.parts[-3])) or [shutil.which(name)]
    return str(found[-1] or missing("PostgreSQL's server (Debian's package postgresql)"))


class PostgreSQL:
    """A server on the loopback port `port` and a unix socket in `folder`; `durable` has it sync its commits.

    `user` is who it runs as.
    """

    def __init__(self, *, durable: bool = False) -> None:
        needs_module("psycopg")
        self.folder = Path(tempfile.mkdtemp(prefix="httpd-pg-"))
        self.port = free_port()
        owner = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.user = owner.pw_name
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            self._user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": ()}
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._data = self.folder / "data"
        self._sync = "on" if durable else "off"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PostgreSQL:
        self._run("initdb", "-D", self._data, "-U", "httpd", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()
        return self

    def __exit__(self, *why: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str | Path) -> None:
        answer = subprocess.run([_program(program), *arguments], capture_output=True, text=True, cwd="/", **self._user)
        assert answer.returncode == 0, answer.stderr

    # ---- up and down

    def start(self) -> None:
        """Start, and wait until it answers.  What was killed before may need a moment until it is gone."""

        def answers() -> bool:
            if self._process is None or self._process.poll() is not None:
                self._process = self._started()
            return self._answers()

        assert until(answers, 60), (self.folder / "log").read_text()

    def _started(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder,
            "fsync": self._sync, "full_page_writes": self._sync, "shared_buffers": "16MB", "max_connections": 60,
            "restart_after_crash": "on",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            command = [_program("postgres"), "-D", str(self._data), *options]
            started = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", start_new_session=True, **self._user)
        self._watch(started.pid)
        return started

    def _watch(self, pid: int) -> None:
        """See to it that the server does not outlive this process, however that ends: then the pipe ends, too."""
        self._unwatch()
        script = 'read _; kill -INT "$0"; rm -rf "$1"'
        command = ["sh", "-c", script, str(pid), str(self.folder)]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, cwd="/", start_new_session=True, **self._user)

    def _unwatch(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            guard.communicate()

    def _answers(self) -> bool:
        import psycopg

        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def stop(self) -> None:
        """Stop at once: clients are cut off, what they have not committed is gone."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """As when it crashes: nobody is told, nothing is written to an end."""
        self._signal(signal.SIGKILL)

    def _signal(self, what: signal.Signals) -> None:
        process, self._process = self._process, None
        self._unwatch()
        if process is not None:
            process.send_signal(what)
            process.wait(30)

    def backends(self) -> list[int]:
        """The processes that serve a client each, but for the one that asks."""
        ours = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return [pid for (pid,) in self.execute(f"SELECT pid FROM pg_stat_activity WHERE {ours}")]

    # ---- databases

    def url(self, name: str) -> str:
        """Where a database of this name is, by the loopback port."""
        return f"postgresql://httpd@127.0.0.1:{self.port}/{name}"

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Execute a statement as the one who may do everything; its rows."""
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, dropped at the end."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@cache
def shared() -> PostgreSQL:
    """The server of this process, started when it is first needed.  Leave it running."""
    server = PostgreSQL()
    atexit.register(server.__exit__)
    return server.__enter__()
