"""Programs written for asyncore and asynchat run with our modules in their place.

First other people's, as they are on PyPI or in CPython's library, each driven for real in a process of its own (the
scripts are in `tests/programs`).  Then those that the modules' documentation shows, written anew.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from httpd.net import asynchat, asyncore

from .interpreters import interpreters
from .tools import TOP, missing, needs_module, python_path

PROGRAMS = TOP / "tests" / "programs"


def drive(program: str, *arguments: str) -> None:
    """Run one of the scripts; it prints "done" when all went well."""
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "stand_in.py"), str(PROGRAMS / f"{program}.py"), *arguments],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("done\n"), done.stdout + done.stderr


@pytest.mark.programs
@pytest.mark.parametrize(
    ("program", "package"),
    [("ftp", "pyftpdlib"), ("inotify", "pyinotify"), ("snmp", "pysnmp"), ("cassandra_reactor", "cassandra")],
)
def test_a_program_from_pypi(program: str, package: str) -> None:
    if program == "inotify" and sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    needs_module(package)
    drive(program)


def library_of_3_11() -> Path:
    """The folder of a standard library that has smtpd."""
    places = [sysconfig.get_path("stdlib")]
    for python in interpreters("3.11").values():
        ask = "import sysconfig; print(sysconfig.get_path('stdlib'))"
        places.append(subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    return next((Path(place) for place in places if (Path(place) / "smtpd.py").is_file()), None) or missing("smtpd.py")


@pytest.mark.programs
def test_the_mail_server_of_python_3_11() -> None:
    drive("smtp", str(library_of_3_11()))


# ---- what the documentation shows


class Client(asyncore.dispatcher):
    """The documentation's HTTP client: sends what its buffer holds, and reads until the end."""

    def __init__(self, address: Any, path: str, channels: dict[int, Any]) -> None:
        asyncore.dispatcher.__init__(self, map=channels)
        self.create_socket()
        self.connect(address)
        self.buffer = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode()
        self.received = b""

    def handle_connect(self) -> None:
        pass

    def handle_close(self) -> None:
        self.close()

    def handle_read(self) -> None:
        self.received += self.recv(8192)

    def writable(self) -> bool:
        return len(self.buffer) > 0

    def handle_write(self) -> None:
        sent = self.send(self.buffer)
        self.buffer = self.buffer[sent:]


class EchoHandler(asyncore.dispatcher_with_send):
    def handle_read(self) -> None:
        data = self.recv(8192)
        if data:
            self.send(data)


class Listener(asyncore.dispatcher):
    """The documentation's server: a handler for each connection."""

    def __init__(self, handler: Callable[[socket.socket], object], channels: dict[int, Any]) -> None:
        asyncore.dispatcher.__init__(self, map=channels)
        self.create_socket()
        self.set_reuse_addr()
        self.bind(("127.0.0.1", 0))
        self.listen(5)
        self.handler = handler

    @property
    def address(self) -> Any:
        return self.socket.getsockname()

    def handle_accepted(self, sock: socket.socket, addr: Any) -> None:
        self.handler(sock)


class http_request_handler(asynchat.async_chat):
    """The documentation's: a head up to the empty line, for a POST as many bytes as it promises, then an answer."""

    def __init__(self, sock: socket.socket, channels: dict[int, Any], log: list[str]) -> None:
        asynchat.async_chat.__init__(self, sock, channels)
        self.ibuffer: list[bytes] = []
        self.obuffer = b""
        self.set_terminator(b"\r\n\r\n")
        self.reading_headers = True
        self.handling = False
        self.content = b""
        self.log_lines = log

    def collect_incoming_data(self, data: bytes) -> None:
        self.ibuffer.append(data)

    def found_terminator(self) -> None:
        if self.reading_headers:
            self.reading_headers = False
            self.head = b"".join(self.ibuffer)
            self.ibuffer = []
            if self.head.startswith(b"POST"):
                length = next(line for line in self.head.split(b"\r\n") if line.lower().startswith(b"content-length"))
                self.set_terminator(int(length.partition(b":")[2]))
            else:
                self.handling = True
                self.set_terminator(None)
                self.handle_request()
        elif not self.handling:
            # Browsers sometimes send more than they promised: that is not read.
            self.set_terminator(None)
            self.content = b"".join(self.ibuffer)
            self.handling = True
            self.ibuffer = []
            self.handle_request()

    def handle_request(self) -> None:
        line = self.head.partition(b"\r\n")[0].decode("latin-1")
        self.log_lines.append(line)
        self.push(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        self.push_with_producer(asynchat.simple_producer(line.encode() + b"|" + self.content * 100, 7))
        self.close_when_done()


def serve(channels: dict[int, Any], ask: Callable[[], None]) -> None:
    """Run the loop, as a foreign program does, while a thread asks; its error is the test's."""
    failed: list[BaseException] = []

    def asking() -> None:
        try:
            ask()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=asking)
    thread.start()
    while thread.is_alive():
        asyncore.loop(timeout=0.02, map=channels, count=1)
    asyncore.close_all(channels)
    if failed:
        raise failed[0]


def test_the_echo_server_of_the_documentation() -> None:
    channels: dict[int, Any] = {}
    server = Listener(lambda sock: EchoHandler(sock, channels), channels)
    data = os.urandom(300_000)

    def ask() -> None:
        with socket.create_connection(server.address, timeout=10) as client:
            threading.Thread(target=client.sendall, args=[data]).start()
            back = bytearray()
            while len(back) < len(data):
                piece = client.recv(65536)
                assert piece
                back += piece
            assert back == data

    serve(channels, ask)


def test_the_handler_of_the_documentation() -> None:
    channels: dict[int, Any] = {}
    log: list[str] = []
    server = Listener(lambda sock: http_request_handler(sock, channels, log), channels)
    url = "http://{}:{}".format(*server.address)

    def ask() -> None:
        with urllib.request.urlopen(f"{url}/page", timeout=10) as answer:
            assert answer.read() == b"GET /page HTTP/1.1|"
        with urllib.request.urlopen(f"{url}/form", data=b"name=value", timeout=10) as answer:
            assert answer.read() == b"POST /form HTTP/1.1|" + b"name=value" * 100

    serve(channels, ask)
    assert log == ["GET /page HTTP/1.1", "POST /form HTTP/1.1"]


def test_the_client_of_the_documentation_asks_the_handler_of_the_documentation() -> None:
    channels: dict[int, Any] = {}
    server = Listener(lambda sock: http_request_handler(sock, channels, []), channels)
    client = Client(server.address, "/x", channels)
    end = time.monotonic() + 5
    while len(channels) > 1 and time.monotonic() < end:
        asyncore.loop(timeout=0.1, use_poll=True, map=channels, count=1)
    assert client.received == b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nGET /x HTTP/1.0|"
    asyncore.close_all(channels)
