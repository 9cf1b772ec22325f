"""The signatures agree with those that type checkers know: typeshed's stubs, as mypy carries them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .tools import TOP, missing, needs_module

# What we have and the stubs have not, each with its reason.  stubtest says so when one of these is not needed any more.
ADDITIONS = {
    # public, but the stubs leave them out
    "asyncore.dispatcher.addr": "documented with repr() and set by the constructor of 3.11",
    "asyncore.dispatcher.handle_accepted": "documented since Python 3.2",
    "asynchat.async_chat.ac_in_buffer": "programs read and empty it",
    "asynchat.async_chat.encoding": "a class attribute of 3.11",
    "asynchat.async_chat.producer_fifo": "programs look into it",
    "asynchat.async_chat.terminator": "programs read how much is still to come",
    "asynchat.async_chat.use_encoding": "a class attribute of 3.11",
    "asynchat.find_prefix_at_end": "programs call it",
    "asynchat.simple_producer.data": "an attribute of 3.11",
    "asyncore.dispatcher_with_send.out_buffer": "an attribute of 3.11",
    "asynchat.fifo": "documented in Python 2",
    # new here
    "asyncore.__all__": "the modules of 3.11 name no public names",
    "asynchat.__all__": "the modules of 3.11 name no public names",
    "asyncore.Timer": "what call_later gives",
    "asyncore.call_later": "timers",
    "asyncore.dispatcher.handle_eof": "tells the peer's end from a lost connection",
    "asyncore.dispatcher.interest_changed": "interest is kept, so its change is told",
    "asynchat.async_chat.answers_after_eof": "a mend to turn on",
    "asynchat.async_chat.producers_may_stall": "a mend to turn on",
    "asynchat.async_chat.stops_when_closing": "a mend to turn on",
    "asynchat.async_chat.ac_bytes_sent": "a count for the log",
    "asynchat.async_chat.output_sent": "tells that the queue is empty",
    "asynchat.async_chat.handle_eof": "the half-close",
    "asynchat.async_chat.pause_input": "one request at a time",
    "asynchat.async_chat.resume_input": "one request at a time",
    "asynchat.async_chat.wake": "asks a stalled producer again",
    "asynchat.async_chat.ac_ask_again": "what a stalled producer is given: wake, from any thread",
    "asynchat.async_chat.ac_ask_later": "a stalled producer that says when it is to be asked again",
    # steps that a subclass may watch
    "asynchat.async_chat.ac_by_sendfile": "a named step",
    "asynchat.async_chat.ac_enqueue": "a named step",
    "asynchat.async_chat.ac_refill": "a named step",
    "asynchat.async_chat.ac_scan": "a named step",
    "asynchat.async_chat.ac_send": "a named step",
    "asynchat.async_chat.ac_send_file": "a named step",
    "asynchat.async_chat.ac_send_pieces": "a named step",
    "asynchat.async_chat.ac_terminator_awaited": "tells that a message is not whole yet",
    "asynchat.async_chat.take_input": "a named step",
}

# A program that says what types it has, as a living one does.
PROGRAM = '''
from __future__ import annotations
import socket
from typing import Any
from httpd.net import asynchat, asyncore

class Countdown:
    """Not a simple_producer, nor derived from anything: a producer by what it can do."""
    def __init__(self) -> None:
        self.left = 3
    def more(self) -> bytes | None:
        self.left -= 1
        return b"." * max(self.left, 0)

class Line(asynchat.async_chat):
    def __init__(self, sock: socket.socket, map: dict[int, Any] | None = None) -> None:
        asynchat.async_chat.__init__(self, sock, map)
        self.set_terminator(b"\\r\\n")
    def collect_incoming_data(self, data: bytes) -> None:
        self._collect_incoming_data(data)
    def found_terminator(self) -> None:
        line: bytes = self._get_data()
        self.push(bytearray(line))
        self.push_with_producer(Countdown())
        self.push_with_producer(asynchat.simple_producer(line, buffer_size=10))
        self.close_when_done()
    def readable(self) -> bool:
        return not self.closing

class Listener(asyncore.dispatcher):
    def handle_accepted(self, sock: socket.socket, addr: Any) -> None:
        Line(sock)

def serve() -> None:
    timer = asyncore.call_later(1.0, asyncore.close_all)
    asyncore.loop(timeout=1.0, use_poll=True, map=asyncore.socket_map, count=1)
    timer.cancel()
'''


def typeshed() -> Path:
    """The folder of typeshed's stubs for the standard library."""
    needs_module("mypy")
    import mypy

    folder = Path(mypy.__file__).parent / "typeshed" / "stdlib"
    if not (folder / "asyncore.pyi").is_file():
        missing("asyncore.pyi among mypy's stubs")
    return folder


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder where the two stubs stand as those of our modules."""
    net = tmp_path / "stubs" / "httpd" / "net"
    net.mkdir(parents=True)
    for package in (net.parent, net):
        (package / "__init__.pyi").write_text("")
    for name in ("asyncore", "asynchat"):
        text = (typeshed() / f"{name}.pyi").read_text(encoding="utf-8")
        (net / f"{name}.pyi").write_text(text.replace("import asyncore\n", "from . import asyncore\n", 1))
    return tmp_path / "stubs"


@pytest.mark.slow
def test_stubtest(stubs: Path, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text("".join(f"httpd.net.{name.replace('.', '[.]')}([.].*)?\n" for name in ADDITIONS))
    modules = ["httpd.net.asyncore", "httpd.net.asynchat"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--concise", "--allowlist", str(allowed), *modules],
        env={**os.environ, "MYPYPATH": str(stubs), "PYTHONPATH": os.pathsep.join([str(TOP), *sys.path])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_typed_program(tmp_path: Path) -> None:
    needs_module("mypy")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "--cache-dir",
            str(tmp_path),
            str(program),
        ],
        env={**os.environ, "MYPYPATH": str(TOP)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
