"""What a server costs besides its requests: memory, the time until it answers, idle connections, system calls."""

from __future__ import annotations

import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from .measure import processor_time, resident, run
from .peers import PEERS, Peer, Place, Running, free_port, program, spawn, started
from .workloads import WORKLOADS

_HOLD = Path(__file__).with_name("hold.py")
_GET = b"GET /1k.html HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

Row = tuple[str, str]


def memory(peers: list[Peer], place: Place, quick: bool) -> Iterator[Row]:
    """Resident memory of each server's processes after its first answer."""
    for peer in peers:
        with started(peer, _own(place, peer)) as running:
            _first_answer(running.place.port)
            yield peer.name, f"{resident(running) / 2**20:.1f} MiB"


def start(peers: list[Peer], place: Place, quick: bool) -> Iterator[Row]:
    """From exec to the first answer, each beside `python -m http.server` in the same round."""
    beside = PEERS["http.server"]
    racing = {peer.name: peer for peer in [*peers, beside]}
    times: dict[str, list[float]] = {name: [] for name in racing}
    for peer in racing.values():
        _time_to_answer(peer, _own(place, peer))
    for _ in range(5 if quick else 21):
        for name, peer in racing.items():
            times[name].append(_time_to_answer(peer, _own(place, peer)))
    for peer in peers:
        ratios = [one / other for one, other in zip(times[peer.name], times[beside.name], strict=True)]
        yield peer.name, f"{1000 * median(times[peer.name]):.0f} ms, {median(ratios):.2f} of {beside.name}"


def idle(peers: list[Peer], place: Place, quick: bool) -> Iterator[Row]:
    """Many kept connections that say nothing: memory each, and what they add to another client's request."""
    ours = PEERS["httpd"]
    count = 1_000 if quick else 10_000
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with started(ours, _own(place, ours)) as running:
        _first_answer(running.place.port)
        seconds = 1 if quick else 3
        run(running, WORKLOADS["1k"], 0, 1)
        alone = [run(running, WORKLOADS["1k"], n, seconds).cpu for n in range(3)]
        before = resident(running)
        with held(running.place.port, count):
            each = (resident(running) - before) / count
            yield "memory", f"{each:.0f} bytes a connection, with {count:,} connections"
            used = processor_time(running)
            time.sleep(5)
            used = (processor_time(running) - used) / 5
            yield "processor", f"{1000 * used:.1f} ms a second while they all are silent"
            among = [run(running, WORKLOADS["1k"], n, seconds).cpu for n in range(3)]
        yield "1 KB request", f"{median(alone):.1f} µs of processor alone, {median(among):.1f} µs among them"


def syscalls(peers: list[Peer], place: Place, quick: bool) -> Iterator[Row]:
    """The system calls for a 1 KB request, 32 connections kept, as strace counts them."""
    for peer in peers:
        with started(peer, _own(place, peer)) as running:
            run(running, WORKLOADS["ab"], 0, 1)
            yield peer.name, _counted(running)


FOOTPRINT: dict[str, Callable[[list[Peer], Place, bool], Iterator[Row]]] = {
    "memory": memory,
    "start": start,
    "idle": idle,
    "syscalls": syscalls,
}


def _own(place: Place, peer: Peer) -> Place:
    """A port and a scratch folder for one more start of that peer."""
    port = free_port()
    return replace(place, port=port, scratch=place.scratch / f"{peer.name.replace(' ', '-')}-{port}")


def _first_answer(port: int) -> bytes:
    """The first bytes of an answer.  OSError while nobody listens."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(_GET)
        return connection.recv(65536)


def _time_to_answer(peer: Peer, place: Place) -> float:
    began = time.perf_counter()
    running = Running(peer, place, spawn(peer, place))
    try:
        while time.perf_counter() < began + 20:
            try:
                if _first_answer(place.port):
                    return time.perf_counter() - began
            except OSError:
                time.sleep(0.001)
        raise RuntimeError(f"{peer.name} does not answer")
    finally:
        running.stop()


@contextmanager
def held(port: int, count: int) -> Iterator[None]:
    """So many kept connections, held by another process."""
    command = [sys.executable, str(_HOLD), str(port), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin
        assert load.stdout
        if load.stdout.readline() != f"held {count}\n":
            raise RuntimeError("the connections could not be held")
        yield
        load.stdin.close()


def _counted(running: Running) -> str:
    """`recvfrom 1.0, stat 1.0, …` for a request, by strace on all threads."""
    strace = program("strace")
    if strace is None:
        return "strace is missing"
    table = running.place.scratch / "strace.txt"
    pids = [option for pid in running.pids() for option in ("-p", str(pid))]
    with subprocess.Popen([strace, "-f", "-c", "-o", str(table), *pids], stderr=subprocess.DEVNULL) as tracer:
        time.sleep(0.5)
        done = run(running, WORKLOADS["ab"], 0, 2).requests
        tracer.send_signal(signal.SIGINT)
    calls = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", table.read_text(), re.MULTILINE)
    each = sorted(((int(count) / done, name) for count, name in calls if name != "total"), reverse=True)
    shown = ", ".join(f"{name} {count:.2f}" for count, name in each if count >= 0.005)
    return f"{sum(count for count, _ in each):.2f}: {shown}"
