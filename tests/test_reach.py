"""Reaching the server: several addresses at once, IPv4 and IPv6, a unix socket."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from httpd import Limits, Request, Response, Server, text
from httpd.net.listening import accepted, listen_at, listen_at_path

from .exchange import GET, Answer, get, hello, read_answers, read_to_end, serving
from .live import LiveServer
from .proxies import HAProxy, Nginx, Proxy
from .test_server import eventually, has_ipv6
from .tools import needs

ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")

CLOSE = get("/", "Connection: close")


def ask(server: Server, host: str, wire: bytes = CLOSE) -> Answer:
    """The answer at one of the server's addresses."""
    with socket.create_connection((host, server.port), 10) as sock:
        sock.sendall(wire)
        [answer] = read_answers(read_to_end(sock))
    return answer


def ask_unix(path: Path | str, wire: bytes = CLOSE) -> Answer:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(wire)
        [answer] = read_answers(read_to_end(sock))
    return answer


def named_peer(request: Request) -> Response:
    return text(request.peer)


# ---- addresses


@ipv6
@pytest.mark.parametrize(
    "bind", ["::", "", "localhost", ["127.0.0.1", "::1"], ["[::1]", "127.0.0.1"], ["::", "0.0.0.0"]]
)
def test_both_families_on_one_port(bind: str | list[str]) -> None:
    with serving(named_peer, bind=bind) as server:
        assert ask(server, "127.0.0.1").body == b"127.0.0.1"
        assert ask(server, "::1").body == b"::1"


@ipv6
@pytest.mark.parametrize(
    "bind",
    [
        ["127.0.0.1", "127.0.0.1"],
        ["localhost", "::1", "[::1]"],
        ["::1", "localhost"],
        ["::1", "::"],
        ["", "::1", "127.0.0.1", "localhost"],
        ["0.0.0.0", "127.0.0.1"],
    ],
)
def test_what_is_named_twice_is_had_once(bind: list[str]) -> None:
    with serving(bind=bind) as server:
        assert ask(server, "127.0.0.1").status == 200
        assert len({listener.addr for listener in server._listeners}) == len(server._listeners) <= 2


@ipv6
def test_one_ipv6_address_is_that_alone() -> None:
    with serving(bind="[::1]") as server:
        assert ask(server, "::1").status == 200
        with pytest.raises(ConnectionRefusedError):
            ask(server, "127.0.0.1")


@ipv6
@pytest.mark.parametrize(
    ("bind", "urls", "said"),
    [
        ("127.0.0.1", ["http://127.0.0.1:{}/"], "http://127.0.0.1:{}/"),
        ("[::1]", ["http://[::1]:{}/"], "http://[::1]:{}/"),
        ("::", ["http://[::1]:{}/"], "http://[::1]:{}/ and every address of this machine"),
        ("", ["http://127.0.0.1:{}/"], "http://127.0.0.1:{}/ and every address of this machine"),
        ("localhost", ["http://localhost:{}/"], "http://localhost:{}/"),
        (
            ["127.0.0.1", "::1"],
            ["http://127.0.0.1:{}/", "http://[::1]:{}/"],
            "http://127.0.0.1:{}/ and http://[::1]:{}/",
        ),
    ],
)
def test_it_says_where_it_is(
    bind: str | list[str], urls: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    server = Server(hello, bind, 0, access_log="off")
    server.start()
    port = str(server.port)
    assert server.urls == [url.replace("{}", port) for url in urls]
    assert server.url == server.urls[0]
    server.stop()
    server.run()
    assert f"serving at {said.replace('{}', port)} (Ctrl-C stops)\n" in capfd.readouterr().err


def test_a_link_local_address_needs_its_interface() -> None:
    server = Server(hello, "fe80::1%eth0", 80, access_log="off")
    assert server.urls == ["http://[fe80::1%25eth0]:80/"]
    server.close()


def test_a_server_that_listens_nowhere_is_none() -> None:
    with pytest.raises(ValueError):
        Server(hello, [])


@ipv6
def test_a_port_that_is_taken_at_one_address_is_had_at_none() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError) as caught:
            listen_at(["127.0.0.1", "::1"], port)
        assert (caught.value.errno, caught.value.filename) == (errno.EADDRINUSE, "::1")
        # The first has given its own back.
        listen_at(["127.0.0.1"], port)[0].close()


@ipv6
def test_a_free_port_is_free_at_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first choice is taken at the second address, another is made."""
    real, choices = socket.socket.bind, []

    def bind(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "::1":
            choices.append(address[1])
            if len(choices) < 3:
                raise OSError(errno.EADDRINUSE, "taken")
        real(sock, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    sockets = listen_at(["127.0.0.1", "::1"], 0)
    assert len(choices) == 3
    assert {sock.getsockname()[1] for sock in sockets} == {choices[-1]}
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize("why", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_localhost_is_ipv4_where_there_is_nothing_else(why: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.bind

    def bind(sock: socket.socket, address: tuple[str, int]) -> None:
        if sock.family == socket.AF_INET6:
            raise OSError(why, "not here")
        real(sock, address)

    monkeypatch.setattr(socket.socket, "bind", bind)
    with serving(bind="localhost") as server:
        assert ask(server, "127.0.0.1").status == 200
    with pytest.raises(OSError, match="not here"):
        listen_at(["::1"], 0)


def test_a_system_that_cannot_wait_for_a_first_byte_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpd.net.listening._DEFER_ACCEPT", None)
    with serving(bind="127.0.0.1") as server:
        assert ask(server, "127.0.0.1").status == 200


def test_of_what_only_looks_like_a_socket_so_many_are_accepted_at_most() -> None:
    class Crowd:
        accept = staticmethod(count().__next__)

    assert list(accepted(Crowd(), 3)) == [0, 1, 2]


@ipv6
def test_an_ipv4_client_counts_as_one_however_it_comes() -> None:
    limits = Limits(connections_per_address=1)
    with serving(bind="::", limits=limits) as server, socket.create_connection(("127.0.0.1", server.port), 10):
        assert eventually(lambda: server._connections == 1)
        assert ask(server, "127.0.0.1", b"").status == 503
        assert ask(server, "::1").status == 200


def test_the_addresses_of_one_ipv6_network_count_as_one() -> None:
    server = Server(hello, port=0, access_log="off", limits=Limits(connections_per_address=1))
    ends: list[socket.socket] = []

    def arrive(address: str) -> bytes:
        ours, theirs = socket.socketpair()
        ends.append(ours)
        ours.sendall(GET)
        server.welcome(theirs, (address, 4711, 0, 0))
        return ours.recv(65_536)[9:12]

    assert [arrive(f"2001:db8::{host}") for host in (1, 2)] == [b"200", b"503"]
    assert arrive("2001:db8:0:1::1") == b"200"
    server.close()
    assert not server._per_client
    for end in ends:
        end.close()


def test_a_closed_server_does_not_start_again() -> None:
    server = Server(hello, port=0, access_log="off")
    server.start()
    server.close()
    with pytest.raises(RuntimeError, match="make another"):
        server.start()


# ---- turned away


def test_a_client_turned_away_gets_its_503_whatever_it_still_sends() -> None:
    """Closed at once, the connection would be reset, and the answer lost."""
    limits, headers = Limits(connections=1), [("X-Of-Every-Answer", "yes")]
    with (
        serving(limits=limits, headers=headers) as server,
        socket.create_connection(("127.0.0.1", server.port), 10),
    ):
        assert eventually(lambda: server._connections == 1)
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port), 10) as sock:
                for _ in range(50):
                    sock.sendall(bytes(10_000))
                sock.shutdown(socket.SHUT_WR)
                [answer] = read_answers(read_to_end(sock))
                assert (answer.status, answer["retry-after"], answer["x-of-every-answer"]) == (503, "1", "yes")
        assert eventually(lambda: server._turned_away == 0)


def test_so_many_are_turned_away_at_leisure_and_the_others_at_once() -> None:
    with contextlib.ExitStack() as held, serving(limits=Limits(connections=1)) as server:
        crowd = [held.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(100)]
        for sock in crowd:
            # Who says nothing is accepted a second late.
            sock.sendall(b"G")
        assert eventually(lambda: server._turned_away == 64)
        assert all(sock.recv(65_536).startswith(b"HTTP/1.0 503 ") for sock in crowd[1:])


# ---- a unix socket


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    sock, remove = listen_at_path(str(path), 0o660)
    with sock:
        yield sock
    remove()


def test_a_unix_socket_beside_an_address_and_alone(path: Path) -> None:
    for bind in ("127.0.0.1", []):
        with serving(named_peer, bind=bind, unix=str(path)) as server:
            assert ask_unix(path).body == b""
            assert server.urls[-1] == f"unix:{path}"
            assert len(server.urls) == (2 if bind else 1)
        assert not path.exists()


def test_connections_to_a_unix_socket_are_nobody_s(path: Path) -> None:
    limits = Limits(connections_per_address=1)
    with serving(unix=str(path), limits=limits), socket.socket(socket.AF_UNIX) as first:
        first.connect(str(path))
        assert ask_unix(path).status == 200


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777])
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_the_mode_is_the_one_asked_for_from_the_first_moment(
    path: Path, mode: int, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    real = socket.socket.listen

    def listen(sock: socket.socket, backlog: int) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        real(sock, backlog)

    monkeypatch.setattr(socket.socket, "listen", listen)
    before = os.umask(mask)
    try:
        sock, remove = listen_at_path(str(path), mode)
        sock.close()
        remove()
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert modes == [mode]


def test_what_a_dead_server_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with serving(unix=str(path)):
        assert ask_unix(path).status == 200


def test_a_living_server_is_not_replaced(path: Path) -> None:
    with serving(unix=str(path)):
        with pytest.raises(OSError, match="somebody listens there") as caught:
            listen_at_path(str(path), 0o660)
        assert caught.value.filename == str(path)
        assert ask_unix(path).status == 200


def test_a_server_with_a_full_queue_lives_too(path: Path) -> None:
    with listening(path) as sock, contextlib.ExitStack() as held:
        sock.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(str(path))
        with pytest.raises(OSError, match="somebody listens there"):
            listen_at_path(str(path), 0o660)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_what_is_no_socket_is_never_removed(path: Path, kind: str) -> None:
    target = path.with_name("target")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(target))
    {
        "file": lambda: path.write_text("precious"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(target),
        "pipe": lambda: os.mkfifo(path),
    }[kind]()
    with pytest.raises(OSError, match="no socket"):
        listen_at_path(str(path), 0o660)
    assert os.path.lexists(path)
    assert target.is_socket()


def test_another_server_s_socket_is_not_taken_away(path: Path) -> None:
    with serving(unix=str(path)):
        path.unlink()
        other, remove = listen_at_path(str(path), 0o660)
    assert path.is_socket()
    other.close()
    remove()
    assert not path.exists()


def test_a_relative_path_is_taken_away_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(unix="s"):
        assert (tmp_path / "s").is_socket()
        monkeypatch.chdir("/")
    assert not (tmp_path / "s").exists()


def test_a_path_that_cannot_be_had_leaves_the_port_free(tmp_path: Path) -> None:
    server = Server(hello, port=0, unix=str(tmp_path / "none" / "s"), access_log="off")
    with pytest.raises(FileNotFoundError):
        server.start()
    assert server.map == {}
    server.close()


# ---- the command


def says(*options: str) -> str:
    """The one sentence of a command that does not start."""
    with pytest.raises(RuntimeError) as caught, LiveServer(".", *options):
        pass
    return str(caught.value).partition("\n")[2].strip()


@pytest.mark.tools
def test_curl_by_a_unix_socket(path: Path, tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("by path")
    with LiveServer(tmp_path, "--unix", str(path), "--unix-mode", "600") as live:
        command = [needs("curl"), "--disable", "-s", "--unix-socket", str(path), "http://any/page.txt"]
        assert subprocess.run(command, capture_output=True, text=True, timeout=20).stdout == "by path"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert live.wait_for("unix: - - [")
        assert f" and unix:{path} (Ctrl-C" in live.log
    assert not path.exists()


@pytest.mark.tools
@pytest.mark.parametrize("kind", [HAProxy, partial(Nginx, modern=True)])
def test_a_proxy_by_a_unix_socket(path: Path, tmp_path: Path, kind: Callable[[Path, str], Proxy]) -> None:
    with serving(named_peer, bind=[], unix=str(path)), kind(tmp_path, str(path)) as proxy:
        for _ in range(3):
            with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/", timeout=10) as answer:
                assert (answer.status, answer.read()) == (200, b"")
        assert eventually(lambda: len(proxy.forwarded()) == 3)


@pytest.mark.programs
@ipv6
@pytest.mark.parametrize("bind", [["127.0.0.1", "[::1]"], ["::"], ["localhost"]])
def test_both_families_on_the_command_line(tmp_path: Path, bind: list[str]) -> None:
    (tmp_path / "index.html").write_text("here")
    with LiveServer(tmp_path, *[f"--bind={address}" for address in bind]) as live:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, live.port), 10) as sock:
                sock.sendall(CLOSE)
                assert read_answers(read_to_end(sock))[0].body == b"here"
        assert live.wait_for("127.0.0.1 - - ")
        assert live.wait_for("\n::1 - - ")


@pytest.mark.programs
def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    path = str(tmp_path / ("x" * 120))
    assert says("--unix", path) == (
        f"httpd: cannot listen at {path}: the path of a unix socket has about 100 bytes at the most; check --unix"
    )


@pytest.mark.programs
def test_a_path_that_is_taken(path: Path) -> None:
    path.write_text("precious")
    assert says("--unix", str(path)) == (
        f"httpd: cannot listen at {path}: there is a file that is no socket; check --unix"
    )


@pytest.mark.programs
@pytest.mark.parametrize("mode", ["", "6", "66", "888", "1777", "rw-rw----", "-60", "6_0"])
def test_a_mode_that_is_none(mode: str) -> None:
    assert "is not a mode: give three octal digits, such as 660" in says("--unix", "s", f"--unix-mode={mode}")


@pytest.mark.programs
def test_an_address_with_a_port() -> None:
    assert says("--bind", "127.0.0.1:80") == (
        "httpd: cannot listen on 127.0.0.1:80 port 0: that is not an address; check --bind"
    )
