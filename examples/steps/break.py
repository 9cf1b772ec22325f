"""Break a step of the server, and see the next one mend it.

python examples/steps/break.py 1        what breaks step 1, tried on steps 1 and 2
python examples/steps/break.py 6        all that broke steps 1 to 5, tried on step 6
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
STEPS = {int(path.name[0]): path for path in HERE.glob("[1-9]_*.py")}
LARGE = 16 << 20
PAGE = b"The tide is coming in.\n"
GET_TIDE = b"GET /tide.txt HTTP/1.0\r\n\r\n"
GET_LARGE = b"GET /large.bin HTTP/1.0\r\n\r\n"

# ---- a step that runs


class Running:
    """A step of the server, run in a process of its own on a folder of two files."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self, patience: float = 2.0) -> socket.socket:
        """A connection to it; whoever waits on it longer than this gets a TimeoutError."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=patience)

    def memory(self) -> int:
        """How many bytes of memory it holds."""
        statm = Path(f"/proc/{self.process.pid}/statm")
        if statm.exists():
            return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True)
        return int(shown.stdout) << 10


@contextlib.contextmanager
def running(step: int) -> Iterator[Running]:
    """Run a step on a free port."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "index.html").write_bytes(PAGE)
        Path(folder, "tide.txt").write_bytes(PAGE)
        with Path(folder, "large.bin").open("wb") as large:
            large.truncate(LARGE)
        paths = [str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, str(STEPS[step]), folder, "0"]
        pipe, both = subprocess.PIPE, subprocess.STDOUT
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=both, text=True) as process:
            try:
                assert process.stdout is not None
                said = ""
                while not (address := re.search(r"http://127\.0\.0\.1:(\d+)/", said)):
                    line = process.stdout.readline()
                    said += line
                    if not line:
                        raise SystemExit(f"step {step} did not start:\n{said}")
                yield Running(process, int(address[1]))
            finally:
                process.kill()


def read_all(connection: socket.socket) -> bytes:
    """All that comes until the server closes, or falls silent."""
    pieces = []
    with contextlib.suppress(OSError):
        while piece := connection.recv(1 << 20):
            pieces.append(piece)
    return b"".join(pieces)


def shown(data: bytes) -> str:
    """The beginning and the size of what came."""
    return f"{len(data):,} bytes, {data[:40]!r}…" if len(data) > 200 else repr(data) if data else "nothing"


def megabytes(size: int) -> str:
    """A size for a person."""
    return f"{size / (1 << 20):.0f} MB"


# ---- what breaks them

Outcome = tuple[bool, str]


def two_pieces(server: Running) -> Outcome:
    """A request in two pieces, cut within its target."""
    with server.connect() as connection:
        connection.sendall(GET_TIDE[:8])
        # If it answers now, it answers half a request.
        early, _, _ = select.select([connection], [], [], 0.3)
        if not early:
            connection.sendall(GET_TIDE[8:])
        got = read_all(connection)
    told = f"sent {GET_TIDE[:8]!r}, " + ("and at once came" if early else f"then {GET_TIDE[8:]!r}; came")
    return not got.endswith(PAGE), f"{told} {shown(got)}"


def silent_client(server: Running) -> Outcome:
    """One client sends half a request and falls silent; another one asks for a page."""
    with server.connect() as silent, server.connect() as other:
        silent.sendall(GET_TIDE[:8])
        other.sendall(GET_TIDE)
        got = read_all(other)
    return not got.endswith(PAGE), f"the other client got {shown(got)}"


def large_file(server: Running) -> Outcome:
    """A file larger than the socket's buffer."""
    with server.connect(10) as connection:
        connection.sendall(GET_LARGE)
        # It has something else to do for a moment, as every client has now and then.
        time.sleep(0.2)
        head, _, content = read_all(connection).partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    announced = int(length[1]) if length else 0
    return len(content) != LARGE, f"the head announces {announced:,} bytes, and {len(content):,} came"


def slow_readers(server: Running) -> Outcome:
    """Eight clients ask for a file of 16 MB and do not read it."""
    before = server.memory()
    with contextlib.ExitStack() as clients:
        for _ in range(8):
            client = clients.enter_context(server.connect(10))
            client.sendall(GET_LARGE)
            # One byte tells that it is being answered.
            client.recv(1)
        grown = server.memory() - before
    return grown > 2 * LARGE, f"the server's memory has grown by {megabytes(grown)}"


def endless_head(server: Running) -> Outcome:
    """A head that never ends: 64 MB of field lines, and no blank line."""
    before = server.memory()
    lines = b"X-Tide: coming in\r\n" * 50_000
    got, sent = b"", 0
    with server.connect() as connection:
        connection.sendall(b"GET /tide.txt HTTP/1.0\r\n")
        with contextlib.suppress(OSError):
            while sent < 64 << 20 and not select.select([connection], [], [], 0)[0]:
                sent += connection.send(lines)
        if select.select([connection], [], [], 0.5)[0]:
            got = read_all(connection)
        grown = server.memory() - before
    told = f"{megabytes(sent)} sent, and its memory has grown by {megabytes(grown)}"
    if got:
        told += f"; it has answered {got.splitlines()[0].decode()!r}"
    return grown > 2 * LARGE, told


BREAKS: dict[int, Callable[[Running], Outcome]] = {
    1: two_pieces,
    2: silent_client,
    3: large_file,
    4: slow_readers,
    5: endless_head,
}


def attempt(number: int, step: int) -> bool:
    """Try to break a step: whether it broke.  Says what happened."""
    with running(step) as server:
        broke, told = BREAKS[number](server)
    print(f"  {STEPS[step].name:<16} {'BREAKS' if broke else 'holds '}  {told}")
    return broke


def show(numbers: Iterable[int], steps: Iterable[int]) -> None:
    """Each of these breaks on each of these steps."""
    for number in numbers:
        print(f"{number}. {BREAKS[number].__doc__}")
        for step in steps:
            attempt(number, step)


if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    if wanted not in {"1", "2", "3", "4", "5", "6"}:
        raise SystemExit("say which step to break: python examples/steps/break.py 1 (to 6)")
    step = int(wanted)
    if step == 6:
        show(BREAKS, [6])
    else:
        show([step], [step, step + 1])
