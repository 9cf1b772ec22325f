"""What systemd is told and what it hands over, by a service manager of our own; its units, judged by its own tools."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from httpd.cli import main
from httpd.processes.notify import Notifier, passed_sockets

from .exchange import get, read_answers, read_to_end
from .tools import needs, needs_module, python_path

APP = """
import os, time
from httpd import Router, text
site = Router()
@site.get("/")
def here(request): return text("here")
@site.get("/environ")
def environ(request):
    return text(" ".join(name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG"))))
@site.get("/hang")
def hang(request): time.sleep(600)
"""
# What systemd does between fork and exec: the sockets from 3 on, and our own process id.
START = """
import fcntl, os, sys
sockets = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split()]
for number, fd in enumerate(sockets, 3): os.dup2(fd, number)
os.environ["LISTEN_PID"] = str(os.getpid())
if sockets: os.environ["LISTEN_FDS"] = str(len(sockets))
if "WATCHDOG_USEC" in os.environ: os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "httpd", *sys.argv[2:]])
"""


class Manager:
    """A service manager: hears what it is told, and hands sockets over."""

    def __init__(self, folder: Path, *options: str, sockets: tuple[socket.socket, ...] = (), **environ: str) -> None:
        self._heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(folder / "notify")
        self._heard.bind(path)
        self._heard.settimeout(30)
        env = {**os.environ, "PYTHONPATH": python_path(), "NOTIFY_SOCKET": path, **environ}
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, " ".join(str(sock.fileno()) for sock in sockets), *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=env,
            pass_fds=[sock.fileno() for sock in sockets],
        )

    def hears(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self._heard.recv(65_536).decode().split("\n"))

    def hears_of(self, name: str) -> dict[str, str]:
        """The next message with that field."""
        while name not in (message := self.hears()):
            pass
        return message

    def close(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(30)
        self._heard.close()
        if self.process.stderr:
            self.process.stderr.close()
        return status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(APP)
    return tmp_path


@contextlib.contextmanager
def managed(*args: Any, **more: Any) -> Iterator[Manager]:
    manager = Manager(*args, **more)
    try:
        yield manager
    finally:
        manager.close()


def ask(where: Any, path: str = "/") -> bytes:
    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as sock:
        sock.settimeout(30)
        sock.connect(where)
        sock.sendall(get(path, "Connection: close"))
        return read_answers(read_to_end(sock))[0].body


# ---- telling


@pytest.mark.programs
def test_it_says_when_it_is_ready_reloads_and_stops(folder: Path) -> None:
    with managed(folder, "--app", "mine:site", "--port", "0", "--access-log", "off") as manager:
        ready = manager.hears()
        assert ready["READY"] == "1"
        assert re.fullmatch(r"serving at http://127\.0\.0\.1:\d+/ with one worker", ready["STATUS"])
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        manager.process.send_signal(signal.SIGHUP)
        reloading = manager.hears()
        assert reloading["RELOADING"] == "1"
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert manager.hears()["READY"] == "1"
        (folder / "mine.py").write_text("import nothing_at_all")
        manager.process.send_signal(signal.SIGHUP)
        assert manager.hears()["RELOADING"] == "1"
        refused = manager.hears()
        assert refused["READY"] == "1"
        assert refused["STATUS"].startswith("not reloaded: the application mine needs nothing_at_all")
        manager.process.terminate()
        assert manager.hears()["STOPPING"] == "1"
        assert manager.process.wait(30) == 0


def test_an_abstract_socket_is_one_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0httpd-test-{os.getpid()}")
        environ = {"NOTIFY_SOCKET": f"@httpd-test-{os.getpid()}", "PATH": "/bin"}
        Notifier(environ).say(READY=1, STATUS="well")
        assert heard.recv(100) == b"READY=1\nSTATUS=well"
        assert environ == {"PATH": "/bin"}


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier({})
    assert not notifier
    assert notifier.watchdog == 0.0
    notifier.say(READY=1)
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).say(READY=1)


@pytest.mark.parametrize(("usec", "ours", "seconds"), [("30000000", 1, 30.0), ("30000000", 0, 0.0), ("x", 1, 0.0)])
def test_the_watchdog_is_for_the_process_that_it_names(usec: str, ours: int, seconds: float) -> None:
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": usec, "WATCHDOG_PID": str(os.getpid() if ours else 1)}
    assert Notifier(environ).watchdog == seconds


@pytest.mark.programs
def test_the_watchdog_is_fed_while_the_loop_comes_round_and_not_while_it_hangs(folder: Path) -> None:
    options = ("--app", "mine:site", "--port", "0", "--access-log", "off")
    with managed(folder, *options, WATCHDOG_USEC="400000") as manager:
        status = manager.hears_of("READY")["STATUS"]
        for _ in range(3):
            assert manager.hears() == {"WATCHDOG": "1"}
        port = int(re.findall(r":(\d+)/", status)[0])
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(get("/hang"))
            manager._heard.settimeout(1.5)
            with pytest.raises(TimeoutError):
                manager.hears_of("nothing more")
        for pid in Path(f"/proc/{manager.process.pid}/task/{manager.process.pid}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        manager._heard.settimeout(30)
        manager.hears_of("WATCHDOG")


# ---- sockets


@pytest.mark.programs
def test_sockets_that_are_handed_over_are_all_that_is_listened_at(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        path = str(folder / "sock")
        unix.bind(path)
        unix.listen()
        options = ("--app", "mine:site", "--port", "1", "--workers", "2", "--limit", "reuse-time=0.1")
        with managed(folder, *options, sockets=(tcp, unix)) as manager:
            url = f"http://127.0.0.1:{tcp.getsockname()[1]}/"
            assert manager.hears_of("READY")["STATUS"] == f"serving at {url} and unix:{path} with 2 workers"
            assert ask(tcp.getsockname()) == ask(path) == b"here"
            assert ask(path, "/environ") == b""
            manager.process.send_signal(signal.SIGHUP)
            manager.hears_of("READY")
            assert ask(tcp.getsockname()) == ask(path) == b"here"
            # Whoever connects while it is restarted waits.
            assert manager.close() == 0
        with socket.create_connection(tcp.getsockname()) as waiting:
            waiting.sendall(get("/", "Connection: close"))
            (folder / "notify").unlink()
            with managed(folder, *options, sockets=(tcp, unix)):
                assert read_answers(read_to_end(waiting))[0].body == b"here"
        assert os.path.exists(path)


@pytest.mark.programs
def test_of_sockets_that_are_handed_over_one_may_lead_to_tls(folder: Path) -> None:
    needs_module("cryptography")
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as tcp:
        ports = [sock.getsockname()[1] for sock in (plain, tcp)]
        options = ("--app", "mine:site", "--tls-self-signed", "--redirect-from", str(ports[0]))
        # In whichever order they are named in the unit.
        with managed(folder, *options, sockets=(plain, tcp), XDG_CACHE_HOME=str(folder)) as manager:
            places = f"https://127.0.0.1:{ports[1]}/, and leading there from port {ports[0]}"
            for _ in range(2):
                assert manager.hears_of("READY")["STATUS"] == f"serving at {places} with one worker"
                with socket.create_connection(("127.0.0.1", ports[0]), 20) as sock:
                    sock.sendall(get("/a?b").replace(b"Host: a", b"Host: localhost"))
                    assert f"\r\nLocation: https://localhost:{ports[1]}/a?b\r\n".encode() in read_to_end(sock)
                with (
                    socket.create_connection(("127.0.0.1", ports[1]), 20) as sock,
                    ssl._create_unverified_context().wrap_socket(sock) as secure,
                ):
                    secure.sendall(get("/", "Connection: close"))
                    assert read_answers(read_to_end(secure))[0].body == b"here"
                manager.process.send_signal(signal.SIGHUP)
            assert manager.hears_of("READY")["STATUS"] == f"serving at {places} with one worker"


@pytest.mark.programs
def test_what_is_no_listening_socket_is_refused(folder: Path) -> None:
    with socket.socket() as unbound, managed(folder, sockets=(unbound,)) as manager:
        assert manager.process.wait(30) == 1
        assert manager.process.stderr
        told = "httpd: descriptor 3 was handed over, and is no stream socket that listens\n"
        assert manager.process.stderr.read() == told


def test_sockets_for_another_process_are_left_alone() -> None:
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": "1", "LISTEN_FDNAMES": "a:b"}
    assert passed_sockets(environ) == []
    assert environ == {}


# ---- units


def unit(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, list[str]]:
    """What `httpd unit` prints, as the values of each name."""
    assert main(["unit", *options]) == 0
    values: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_service_runs_the_command_in_this_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = unit(capsys, "site", "--port", "80", "--gzip", "--no-listing", "--header", 'X-A: 100% of "$5"')
    [command] = said["ExecStart"]
    words = shlex.split(command.replace("%%", "%").replace("$$", "$"))
    assert words[:3] == [sys.executable, "-m", "httpd"]
    assert sorted(words[3:]) == ["--gzip", '--header=X-A: 100% of "$5"', "--no-listing", "--workers=auto", "site"]
    assert said["WorkingDirectory"] == [str(here)]
    assert said["Type"] == ["notify"]
    assert said["DynamicUser"] == ["yes"]


def test_keys_are_read_by_root_and_handed_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = unit(capsys, "site", "--tls-cert", "cert.pem", "--tls-key", "/etc/key.pem", "--user", "www-data:ssl")
    assert said["LoadCredential"] == [f"tls_cert0:{here}/cert.pem", "tls_key0:/etc/key.pem"]
    assert said["ExecStart"][0].endswith("--tls-cert=%d/tls_cert0 --tls-key=%d/tls_key0 --workers=auto")
    assert (said["User"], said["Group"]) == (["www-data"], ["ssl"])
    assert "DynamicUser" not in said


def test_variables_of_the_shell_become_options_and_secrets_go_into_a_file(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {
        "HTTPD_GZIP": "1",
        "HTTPD_DIR": "site",
        "HTTPD_HEALTH": "/weaker",
        "HTTPD_LIMIT": "body=1M head=9K",
        "HTTPD_WEBHOOK_SECRET": "whsec_aaaa",
        "HTTPD_INBOX": "postgresql://me:secret@db.example/inbox",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["unit", "--health", "/healthz", "--form", "/x", "--limit", "body=2M", "--name", "shop"]) == 0
    said = capsys.readouterr().out
    [command] = re.findall("^ExecStart=(.*)$", said, re.MULTILINE)
    words = shlex.split(command)[3:]
    assert sorted(words[:-1]) == [
        "--form=/x", "--gzip", "--health=/healthz", "--limit=body=1M", "--limit=body=2M", "--limit=head=9K", "site"
    ]  # fmt: skip
    assert words.index("--limit=body=1M") < words.index("--limit=body=2M")
    assert "(0600): HTTPD_INBOX, HTTPD_WEBHOOK_SECRET.\nEnvironmentFile=-/etc/shop.env\n" in said
    assert "aaaa" not in said
    assert "me:secret" not in said


def test_forms_are_kept_in_the_state_of_the_service(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [command] = unit(capsys, "--name", "shop", "site", "--form", "/x")["ExecStart"]
    assert command.endswith(" --inbox=sqlite:/var/lib/shop/inbox.db")
    said = unit(capsys, "site", "--form", "/x", "--inbox", "sqlite:/srv/in/box.db", "--user", "www-data")
    assert said["ReadWritePaths"] == ["/srv/in"]


@pytest.mark.parametrize(
    ("options", "listens"),
    [
        ((), ["127.0.0.1:8000", "no"]),
        (("--bind", "::", "--port", "80"), ["[::]:80", "both"]),
        (("--bind", "::", "--bind", "0.0.0.0", "--bind", "127.0.0.1"), ["[::]:8000", "0.0.0.0:8000", "ipv6-only"]),
        (("--unix", "s.sock"), ["{here}/s.sock"]),
    ],
)
def test_the_sockets_are_where_the_server_would_be(
    here: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], listens: list[str]
) -> None:
    said = unit(capsys, "--socket", "site", *options)
    expected = [place.replace("{here}", str(here)) for place in listens]
    got = [*said["ListenStream"], *said.get("BindIPv6Only", [])]
    assert got == [place if place != "no" else "ipv6-only" for place in expected]


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--port", "0"), 1, "port 0 is another at every start; name one, with --port"),
        (("--access-log", "/var/log/x/a.log"), 1, "/var/log/x is to be written, and the unit's own user may not; name"),
        (("--prot", "1"), 2, "there is no option --prot; did you mean --port?"),
    ],
)
def test_what_makes_no_unit_says_why(
    here: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], status: int, told: str
) -> None:
    assert main(["unit", "site", *options]) == status
    assert capsys.readouterr().err.startswith(f"httpd unit: {told}")


@pytest.mark.tools
@pytest.mark.parametrize("options", [(), ("--unix", "/run/s", "--user", "daemon:daemon", "--access-log", "/var/log/a")])
def test_systemd_finds_no_fault_with_the_units(
    here: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    program = needs("systemd-analyze")
    for kind, more in (("service", ()), ("socket", ("--socket",))):
        assert main(["unit", *more, "site", *options]) == 0
        (here / f"httpd.{kind}").write_text(capsys.readouterr().out)
    paths = [str(here / "httpd.service"), str(here / "httpd.socket")]
    verified = subprocess.run([program, "verify", *paths], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    told = subprocess.run(
        [program, "security", "--offline=yes", "--no-pager", paths[0]], capture_output=True, text=True, timeout=60
    ).stdout
    assert float(re.findall(r"exposure level for httpd.service: ([0-9.]+)", told)[0]) <= 1.5
